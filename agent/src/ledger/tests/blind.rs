//! Blind spots in the ledger.

use weir_core::blind::{BlindSpot, KnownBy, PlainRequest, Reason, Transport};
use weir_core::identity::{Assigned, Container};

use super::super::line::LINE_MAX;
use super::super::testing::{call, time};
use super::super::{CallsQuery, Entry, Ledger, verify};
use super::{open, query};

fn spot(from: i64, until: i64) -> BlindSpot {
    let call = call(1, time(from));
    BlindSpot {
        time: time(from),
        until: time(until),
        identity: call.identity,
        process: call.process,
        unit: Some("u1.service".to_owned()),
        container: None,
        host: "api.openai.com".to_owned(),
        known_by: KnownBy::Name,
        remote: "[2001:db8::1]:443".parse().unwrap(),
        transport: Transport::Tcp,
        reason: Reason::UnknownTls,
        connections: 3,
        written: 1000,
        read: Some(2000),
        plain_http: None,
    }
}

#[test]
fn blind_spots_make_a_report_incomplete() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    let entry = Entry::Blind(Box::new(spot(100, 110)));
    ledger.append(time(0), &[Entry::Call(Box::new(call(1, time(5)))), entry]).unwrap();
    let check = |ledger: &Ledger| {
        for (since, until, spots) in [(0, 50, 0), (0, 101, 1), (110, 150, 1), (111, 200, 0)] {
            let report = ledger.reader().usage(&query(&[], since, until)).unwrap();
            assert_eq!(report.blind_spots, vec![spot(100, 110); spots], "{since}..{until}");
            assert_eq!(report.complete, spots == 0, "{since}..{until}");
        }
        assert_eq!(ledger.reader().calls(CallsQuery::default()).unwrap().count(), 1);
    };
    check(&ledger);
    drop(ledger);
    check(&open(dir.path()).0);
    assert_eq!(verify(dir.path()).unwrap().problem_count, 0);
}

#[test]
fn more_than_a_report_lists_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    let entries: Vec<_> =
        (0..150).map(|second| Entry::Blind(Box::new(spot(second, second)))).collect();
    ledger.append(time(0), &entries).unwrap();
    let report = ledger.reader().usage(&query(&[], 0, 1000)).unwrap();
    assert_eq!((report.blind_spots.len(), report.omitted), (100, 50));
}

#[test]
fn the_longest_texts_fit_a_line() {
    let worst = "\u{1}".repeat(1 << 20);
    let mut spot = spot(0, 0);
    for text in [&mut spot.identity.0, &mut spot.host] {
        text.clone_from(&worst);
    }
    (spot.process.exe, spot.unit) = (Some(worst.clone()), Some(worst.clone()));
    spot.container = Some(Container {
        id: worst.clone(),
        name: Some(worst.clone()),
        image: Some(worst.clone()),
        runtime: Some(worst.clone()),
    });
    let ids = (0..100).map(|number| (format!("{number}{worst}"), worst.clone())).collect();
    let assigned = Assigned { rule: worst.clone(), labels: ids, ..Assigned::default() };
    spot.plain_http = Some(Box::new(PlainRequest {
        provider: Some(worst.clone()),
        credential_ids: assigned.labels.clone(),
        assigned: Some(assigned),
        ..PlainRequest::default()
    }));
    let line = serde_json::to_vec(&Entry::Blind(Box::new(spot)).bounded()).unwrap();
    assert!(line.len() <= LINE_MAX, "{}", line.len());
}
