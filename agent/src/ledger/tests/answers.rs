//! Answers that are seen more than once.

use weir_core::meter::{Settlement, UsageRecord};
use weir_core::units::Role;

use super::{DAY, open, query};
use crate::ledger::testing::{call, time};
use crate::ledger::{CallsQuery, Entry, Ledger, Options, rebuild};

fn answer(number: u64, id: &str) -> UsageRecord {
    UsageRecord { response_id: Some(id.to_owned()), ..call(number, time(0)) }
}

/// Whoever reads an answer back after a restart must not be billed for it again.
#[test]
fn what_billed_an_answer_is_found_after_reopening_and_after_a_rebuild() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    let repeat = UsageRecord { duplicate_of: Some(call(1, time(0)).id), ..answer(3, "resp_1") };
    let server = UsageRecord { role: Role::Server, ..answer(4, "resp_2") };
    let records = [answer(1, "resp_1"), answer(2, "resp_2"), repeat, server];
    let entries = records.map(|record| Entry::Call(Box::new(record)));
    ledger.append(time(0), &entries[..2]).unwrap();
    ledger.append(time(DAY), &entries[2..]).unwrap();
    let check = |ledger: &Ledger| {
        let found = |id| ledger.reader().answered(id).unwrap();
        assert_eq!(found("resp_1"), Some(answer(1, "resp_1")));
        assert_eq!(found("resp_2"), Some(answer(2, "resp_2")));
        assert_eq!(found("resp_3"), None);
    };
    check(&ledger);
    ledger.close().unwrap();
    let (ledger, _) = open(dir.path());
    check(&ledger);
    ledger.close().unwrap();
    rebuild(dir.path(), time(DAY)).unwrap();
    let (mut ledger, _) = open(dir.path());
    check(&ledger);
    // The last one counts, and what retention has removed is gone.
    ledger.append(time(DAY), &[Entry::Call(Box::new(answer(5, "resp_1")))]).unwrap();
    assert_eq!(ledger.reader().answered("resp_1").unwrap(), Some(answer(5, "resp_1")));
    ledger.close().unwrap();
    let keep = Options { retain_days: Some(1), probe: None };
    let (ledger, _) = Ledger::open(dir.path(), time(2 * DAY), keep).unwrap();
    assert_eq!(ledger.reader().answered("resp_2").unwrap(), None);
    assert_eq!(ledger.reader().answered("resp_1").unwrap(), Some(answer(5, "resp_1")));
}

#[test]
fn a_repeat_is_a_line_and_nothing_in_the_sums() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    let first = call(1, time(0));
    let repeat = UsageRecord { duplicate_of: Some(first.id.clone()), ..call(2, time(1)) };
    let settles = Some(Settlement { call: first.id.clone(), tokens: first.tokens });
    let rest = UsageRecord { settles, ..call(1, time(2)) };
    let records = [first.clone(), repeat, rest];
    let entries = records.map(|record| Entry::Call(Box::new(record)));
    ledger.append(time(3), &entries).unwrap();
    let by_index = ledger.reader().usage(&query(&[], 0, 3600)).unwrap();
    let by_log = ledger.reader().usage(&query(&[], 0, 3599)).unwrap();
    assert_eq!(by_index.totals, by_log.totals);
    assert_eq!(by_log.totals.calls, 1);
    assert_eq!(by_log.totals.tokens.input_uncached, 2 * first.tokens.input_uncached);
    assert_eq!(by_log.totals.cost.0, 2 * first.cost_usd.unwrap().0);
    assert_eq!(ledger.reader().calls(CallsQuery::default()).unwrap().count(), 3);
}
