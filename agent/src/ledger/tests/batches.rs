//! Who created a batch, in the ledger.

use weir_core::meter::BatchRecord;

use super::{DAY, open, query};
use crate::ledger::testing::{batch, call, time};
use crate::ledger::{CallsQuery, Entry, Ledger, Options, rebuild, verify};

fn entry(record: BatchRecord) -> Entry {
    Entry::Batch(Box::new(record))
}

/// A batch lasts longer than a run of the daemon.
#[test]
fn whose_a_batch_is_is_found_after_reopening_and_after_a_rebuild() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    let created = batch(1, "batch_1", time(0));
    let file = BatchRecord { file: Some("file-2".to_owned()), ..created.clone() };
    let forged = [2, 3].map(|number| entry(batch(number, "batch_1", time(DAY))));
    ledger.append(time(0), &[entry(created.clone()), forged[0].clone()]).unwrap();
    ledger.append(time(1), &forged).unwrap();
    ledger.append(time(DAY), &[forged[0].clone(), entry(file.clone())]).unwrap();
    let check = |ledger: &Ledger| {
        let found = |record: &BatchRecord, oldest| ledger.reader().batch(record.key(), oldest);
        // The first one counts.
        assert_eq!(found(&created, time(0)).unwrap(), Some(created.clone()));
        assert_eq!(found(&file, time(0)).unwrap(), Some(file.clone()));
        assert_eq!(found(&batch(1, "batch_2", time(0)), time(0)).unwrap(), None);
        assert_eq!(found(&file, time(2 * DAY)).unwrap(), None);
    };
    check(&ledger);
    ledger.close().unwrap();
    let (ledger, _) = open(dir.path());
    check(&ledger);
    ledger.close().unwrap();
    rebuild(dir.path(), time(DAY)).unwrap();
    let (ledger, _) = open(dir.path());
    check(&ledger);
    ledger.close().unwrap();
    assert_eq!(verify(dir.path()).unwrap().problem_count, 0);
    // What retention has removed is gone.
    let keep = Options { retain_days: Some(1), probe: None };
    let (ledger, _) = Ledger::open(dir.path(), time(2 * DAY), keep).unwrap();
    let found = |record: &BatchRecord| ledger.reader().batch(record.key(), time(0)).unwrap();
    assert_eq!(found(&file), Some(file.clone()));
}

#[test]
fn a_batch_is_no_call_and_nothing_in_the_sums() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    let entries = [Entry::Call(Box::new(call(1, time(5)))), entry(batch(1, "batch_1", time(6)))];
    ledger.append(time(7), &entries).unwrap();
    for until in [3599, 3600] {
        let report = ledger.reader().usage(&query(&[], 0, until)).unwrap();
        assert_eq!((report.totals.calls, report.complete), (1, true));
    }
    assert_eq!(ledger.reader().calls(CallsQuery::default()).unwrap().count(), 1);
}
