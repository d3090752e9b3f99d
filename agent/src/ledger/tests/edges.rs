//! Steps to other agents in the ledger.

use weir_core::meter::EdgeRecord;

use super::super::testing::{call, edge, time};
use super::super::{CallsQuery, EdgesQuery, Entry, Ledger, verify};
use super::{open, query};

#[test]
fn steps_are_kept_apart_from_calls() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    let entry = |number, second| Entry::Edge(Box::new(edge(number, time(second))));
    let of_calls = [Entry::Call(Box::new(call(1, time(5)))), entry(2, 6), entry(3, 9000)];
    ledger.append(time(0), &of_calls).unwrap();
    let check = |ledger: &Ledger| {
        let reader = ledger.reader();
        let edges = |query: EdgesQuery| {
            let found = reader.edges(query).unwrap().map(|edge| edge.unwrap().record);
            found.collect::<Vec<EdgeRecord>>()
        };
        let (one, other) = (edge(2, time(6)), edge(3, time(9000)));
        assert_eq!(edges(EdgesQuery::default()), [one.clone(), other.clone()]);
        let since = EdgesQuery { since: Some(time(7)), ..EdgesQuery::default() };
        assert_eq!(edges(since), [other]);
        let limited = EdgesQuery { limit: Some(1), ..EdgesQuery::default() };
        assert_eq!(edges(limited), [one]);
        assert_eq!(reader.calls(CallsQuery::default()).unwrap().count(), 1);
        let report = reader.usage(&query(&[], 0, 10_000)).unwrap();
        assert_eq!((report.totals.calls, report.complete), (1, true));
    };
    check(&ledger);
    drop(ledger);
    check(&open(dir.path()).0);
    assert_eq!(verify(dir.path()).unwrap().problem_count, 0);
}
