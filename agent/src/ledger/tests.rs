//! The ledger as a whole, against a plain list of what it acknowledged.

mod answers;
mod batches;
mod blind;
mod edges;
mod inventory;
mod plain;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use proptest::prelude::*;
use weir_core::meter::UsageRecord;
use weir_core::units::{Role, Timestamp};

use super::testing::{call, time, value};
use super::{
    CallsQuery, Damage, Dimension, Entry, Ledger, LedgerError, Loss, Mark, OpenReport, Options,
    ProblemKind, RowKey, Usage, UsageQuery, rebuild, verify,
};

const DAY: i64 = 86_400;
const KEEP: Options = Options { retain_days: None, probe: None };

fn open(dir: &Path) -> (Ledger, OpenReport) {
    Ledger::open(dir, time(0), KEEP).unwrap()
}

fn calls(numbers: impl IntoIterator<Item = u64>, at: Timestamp) -> Vec<Entry> {
    numbers.into_iter().map(|number| Entry::Call(Box::new(call(number, at)))).collect()
}

fn query(by: &[Dimension], since: i64, until: i64) -> UsageQuery {
    UsageQuery { by: by.to_vec(), since: time(since), until: time(until), uid: None }
}

/// What a query must answer, worked out in the plainest way.
fn expected(records: &[UsageRecord], query: &UsageQuery) -> BTreeMap<RowKey, Usage> {
    let mut rows = BTreeMap::<RowKey, Usage>::new();
    for record in records {
        let counts = record.role == Role::Client
            && query.uid.is_none_or(|uid| uid == record.process.uid)
            && (query.since..query.until).contains(&record.time);
        if counts {
            let key = RowKey(query.by.iter().map(|by| (*by, value(record, *by))).collect());
            rows.entry(key).or_default().add(&Usage::of(record).unwrap());
        }
    }
    rows
}

#[track_caller]
fn check(ledger: &Ledger, records: &[UsageRecord], query: &UsageQuery) {
    let report = ledger.reader().usage(query).unwrap();
    let rows: BTreeMap<_, _> = report.rows.iter().map(|row| (row.key.clone(), row.usage)).collect();
    assert_eq!(rows.len(), report.rows.len(), "each row once");
    assert_eq!(rows, expected(records, query));
    assert_eq!(report.totals.calls, rows.values().map(|usage| usage.calls).sum::<u64>());
    let stored = ledger.reader().calls(CallsQuery {
        since: Some(query.since),
        until: Some(query.until),
        uid: query.uid,
        ..CallsQuery::default()
    });
    let stored: Vec<_> = stored.unwrap().map(|call| call.unwrap().record).collect();
    let wanted = |record: &&UsageRecord| {
        (query.since..query.until).contains(&record.time)
            && query.uid.is_none_or(|uid| uid == record.process.uid)
    };
    assert_eq!(stored, records.iter().filter(wanted).cloned().collect::<Vec<_>>());
}

fn newest_file(dir: &Path) -> std::path::PathBuf {
    let log = fs::read_dir(dir.join("log")).unwrap().map(|item| item.unwrap().path());
    log.filter(|path| path.extension().is_some_and(|ext| ext == "jsonl")).max().unwrap()
}

#[test]
fn what_is_acknowledged_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, report) = open(dir.path());
    assert_eq!(report.index.unwrap().rebuilt, None);
    let ack = ledger.append(time(10), &calls(0..5, time(9))).unwrap();
    assert_eq!((ack.first_seq, ack.committed.seq), (1, 6));
    let ack = ledger.append(time(10), &calls(5..6, time(9))).unwrap();
    assert_eq!((ack.first_seq, ack.committed), (6, ledger.reader().committed()));
    ledger.close().unwrap();
    let (ledger, report) = open(dir.path());
    assert_eq!(report.cut, None);
    assert_eq!(report.index.unwrap().replayed, 0);
    let records: Vec<_> = (0..6).map(|number| call(number, time(9))).collect();
    check(&ledger, &records, &query(&[Dimension::Model, Dimension::Process], 0, 3600));
    assert_eq!(verify(dir.path()).unwrap().problem_count, 0);
}

#[test]
fn only_the_owner_can_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    ledger.append(time(0), &calls(0..1, time(0))).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir.path().join("log")), 0o700);
    assert_eq!(mode(&dir.path().join("index")), 0o700);
    assert_eq!(mode(&newest_file(dir.path())), 0o600);
}

#[test]
fn a_second_writer_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (_ledger, _) = open(dir.path());
    let second = Ledger::open(dir.path(), time(0), KEEP).unwrap_err();
    assert!(matches!(second, LedgerError::AlreadyRunning { .. }));
    assert!(matches!(rebuild(dir.path(), time(0)), Err(LedgerError::AlreadyRunning { .. })));
}

#[test]
fn a_server_sees_calls_but_is_not_billed_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    let mut served = call(1, time(0));
    served.role = Role::Server;
    ledger.append(time(0), &[Entry::Call(Box::new(served.clone()))]).unwrap();
    check(&ledger, &[served], &query(&[], 0, 3600));
}

#[test]
fn a_corrupt_index_is_made_anew_and_kept() {
    for damage in [0u8, 0xff] {
        let dir = tempfile::tempdir().unwrap();
        let (mut ledger, _) = open(dir.path());
        ledger.append(time(0), &calls(0..50, time(0))).unwrap();
        ledger.close().unwrap();
        for item in fs::read_dir(dir.path().join("index")).unwrap() {
            let path = item.unwrap().path();
            if path.is_file() {
                let len = usize::try_from(fs::metadata(&path).unwrap().len()).unwrap();
                fs::write(&path, vec![damage; len]).unwrap();
            }
        }
        let (ledger, report) = open(dir.path());
        let index = report.index.unwrap();
        let rebuilt = index.rebuilt.unwrap();
        assert!(rebuilt.aside.join("db").exists(), "{rebuilt:?}");
        assert!(!rebuilt.cause.is_empty());
        assert_eq!(index.replayed, 50);
        let records: Vec<_> = (0..50).map(|number| call(number, time(0))).collect();
        check(&ledger, &records, &query(&[Dimension::Identity], 0, 3600));
    }
}

#[test]
fn an_unfinished_snapshot_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    ledger.append(time(0), &calls(0..50, time(0))).unwrap();
    ledger.close().unwrap();
    fs::write(dir.path().join("index/snap.00000000000FFFFF.generating"), b"half").unwrap();
    let (ledger, report) = open(dir.path());
    assert_eq!(report.index.unwrap().rebuilt, None);
    ledger.close().unwrap();
    fs::write(dir.path().join("index/snap.00000000000FFFFF"), b"half").unwrap();
    let (_ledger, report) = open(dir.path());
    let index = report.index.unwrap();
    assert!(index.snapshots_removed);
    assert_eq!(index.rebuilt, None);
}

#[test]
fn after_an_unclean_boot_the_index_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    ledger.append(time(0), &calls(0..5, time(0))).unwrap();
    drop(ledger);
    fs::write(dir.path().join("index.dirty"), "another boot").unwrap();
    let (_ledger, report) = open(dir.path());
    let index = report.index.unwrap();
    assert!(index.rebuilt.unwrap().cause.contains("went down"));
    assert_eq!(index.replayed, 5);
}

#[test]
fn a_trial_that_is_still_running_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    ledger.append(time(0), &calls(0..5, time(0))).unwrap();
    ledger.close().unwrap();
    let store = fs::File::open(dir.path().join("index/db")).unwrap();
    rustix::fs::flock(&store, rustix::fs::FlockOperation::LockExclusive).unwrap();
    std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(100));
        drop(store);
    });
    let (_ledger, report) = open(dir.path());
    assert_eq!(report.index.unwrap().rebuilt, None);
}

#[test]
fn an_index_of_another_log_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    ledger.append(time(0), &calls(0..5, time(0))).unwrap();
    ledger.close().unwrap();
    fs::remove_file(newest_file(dir.path())).unwrap();
    let (mut ledger, report) = open(dir.path());
    assert!(report.index.unwrap().rebuilt.is_some());
    ledger.append(time(0), &calls(7..8, time(0))).unwrap();
    check(&ledger, &[call(7, time(0))], &query(&[], 0, 3600));
}

#[test]
fn any_flipped_byte_is_found_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    ledger.append(time(0), &calls(0..4, time(0))).unwrap();
    ledger.close().unwrap();
    let path = newest_file(dir.path());
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x20;
        fs::write(&path, &bytes).unwrap();
        // A newline that is gone from the end leaves an unfinished line, and waits for a writer.
        if at + 1 == whole.len() {
            continue;
        }
        let report = verify(dir.path()).unwrap();
        let line = whole[..at].iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        let problem = &report.problems[0];
        assert_eq!((&problem.file, problem.line), (&path, line), "byte {at}");
        assert_eq!(problem.kind, ProblemKind::Damaged(Damage::Checksum), "byte {at}");
    }
}

#[test]
fn removed_and_forged_lines_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    ledger.append(time(0), &calls(0..4, time(0))).unwrap();
    ledger.close().unwrap();
    let path = newest_file(dir.path());
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    fs::write(&path, format!("{}\n{}\n{}\n", lines[0], lines[1], lines[3])).unwrap();
    let kinds = |dir: &Path| {
        let problems = verify(dir).unwrap().problems;
        problems.into_iter().map(|problem| (problem.line, problem.kind)).collect::<Vec<_>>()
    };
    assert_eq!(
        kinds(dir.path()),
        [(3, ProblemKind::ChainBroken), (3, ProblemKind::Gap { expected: 3, found: 4 })]
    );
    let first = super::line::read(lines[0].as_bytes()).unwrap();
    let other = Entry::Call(Box::new(call(99, time(0))));
    let forged = super::line::write(1, first.prev, &other).unwrap();
    let forged = String::from_utf8(forged).unwrap();
    fs::write(&path, format!("{forged}\n{}\n", lines[1])).unwrap();
    assert_eq!(kinds(dir.path()), [(2, ProblemKind::ChainBroken)]);
    fs::write(&path, format!("{}\n{}", lines[0], &lines[1][..40])).unwrap();
    assert_eq!(kinds(dir.path()), [(2, ProblemKind::Torn { bytes: 40 })]);
}

#[test]
fn a_damaged_line_is_passed_over_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    ledger.append(time(0), &calls(0..3, time(0))).unwrap();
    ledger.close().unwrap();
    let path = newest_file(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 40;
    bytes[last] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let (mut ledger, _) = open(dir.path());
    let ack = ledger.append(time(0), &calls(3..4, time(0))).unwrap();
    assert_eq!(ack.first_seq, 4);
    drop(ledger);
    rebuild(dir.path(), time(0)).unwrap();
    let (ledger, _) = open(dir.path());
    let report = ledger.reader().usage(&query(&[], 0, 10)).unwrap();
    assert_eq!((report.totals.calls, report.damaged_lines, report.complete), (3, 1, false));
    let verified = verify(dir.path()).unwrap();
    assert_eq!((verified.lines, verified.problem_count), (4, 1), "{:?}", verified.problems);
}

#[test]
fn retention_removes_whole_days_and_the_chain_still_holds() {
    let dir = tempfile::tempdir().unwrap();
    let keep = Options { retain_days: Some(2), probe: None };
    let (mut ledger, _) = Ledger::open(dir.path(), time(0), keep.clone()).unwrap();
    let mut records = Vec::new();
    for day in 0..6 {
        // The first call of each file began before midnight.
        for (number, second) in [(1, -1), (2, 5), (3, 80_000)] {
            let record = call(number, time(day * DAY + second));
            let entry = Entry::Call(Box::new(record.clone()));
            ledger.append(time(day * DAY + second.max(0)), &[entry]).unwrap();
            records.push(record);
        }
    }
    let left = &records[9..];
    let all = query(&[Dimension::Model], -DAY, 10 * DAY);
    check(&ledger, left, &all);
    assert_eq!(super::log::days(&dir.path().join("log")).unwrap().len(), 3);
    let report = ledger.reader().usage(&all).unwrap();
    assert_eq!((report.complete, report.begins), (false, Some(time(3 * DAY))));
    assert!(ledger.reader().usage(&query(&[], 3 * DAY, 10 * DAY)).unwrap().complete);
    assert_eq!(verify(dir.path()).unwrap().problem_count, 0);
    assert_eq!(verify(dir.path()).unwrap().first_seq, Some(10));
    ledger.close().unwrap();
    assert_eq!(rebuild(dir.path(), time(0)).unwrap(), 9);
    let (ledger, _) = Ledger::open(dir.path(), time(0), keep).unwrap();
    check(&ledger, left, &all);
}

#[test]
fn a_clock_that_steps_back_does_not_reorder_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    let mut records = Vec::new();
    for (number, second) in [(1, 0), (2, DAY + 5), (3, 10), (4, -40 * DAY), (5, DAY + 6)] {
        records.push(call(number, time(second)));
        ledger.append(time(second), &calls([number], time(second))).unwrap();
    }
    assert_eq!(super::log::days(&dir.path().join("log")).unwrap().len(), 2);
    assert_eq!(verify(dir.path()).unwrap().problem_count, 0);
    check(&ledger, &records, &query(&[Dimension::Api], -100 * DAY, 100 * DAY));
    check(&ledger, &records, &query(&[Dimension::Api], 1, DAY + 6));
    drop(ledger);
    let (ledger, _) = open(dir.path());
    check(&ledger, &records, &query(&[Dimension::Api], -100 * DAY, 100 * DAY));
}

#[test]
fn losses_and_gaps_make_a_report_incomplete() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    let mark = |second| Mark { time: time(second) };
    let loss =
        Loss { from: time(100), to: time(110), bytes: 7, records: 1, cause: "ring".to_owned() };
    ledger.append(time(0), &[Entry::Start(mark(10))]).unwrap();
    ledger.append(time(0), &[Entry::Loss(loss.clone()), Entry::Stop(mark(200))]).unwrap();
    drop(ledger);
    let (mut ledger, _) = open(dir.path());
    ledger.append(time(0), &[Entry::Start(mark(300))]).unwrap();
    let mut lossy = call(1, time(400));
    lossy.lost_bytes = 1;
    ledger.append(time(0), &[Entry::Call(Box::new(lossy))]).unwrap();
    let check = |ledger: &Ledger| {
        for (since, until, losses, gaps, complete) in [
            (0, 50, 0, 0, true),
            (0, 101, 1, 0, false),
            (110, 150, 1, 0, false),
            (111, 200, 0, 0, true),
            (150, 201, 0, 1, false),
            (250, 260, 0, 1, false),
            (301, 400, 0, 0, true),
            (301, 401, 0, 0, false),
        ] {
            let report = ledger.reader().usage(&query(&[], since, until)).unwrap();
            assert_eq!(
                (report.losses.len(), report.gaps.len(), report.complete),
                (losses, gaps, complete),
                "{since}..{until}"
            );
            assert_eq!(report.begins, Some(time(10)));
        }
    };
    check(&ledger);
    // The log alone must say the same.
    ledger.shared.index_mut().take();
    check(&ledger);
}

#[test]
fn calls_go_on_from_where_a_reader_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    let reader = ledger.reader();
    ledger.append(time(0), &calls(0..10, time(0))).unwrap();
    let first = CallsQuery { limit: Some(4), ..CallsQuery::default() };
    let seen: Vec<_> = reader.calls(first).unwrap().map(Result::unwrap).collect();
    assert_eq!(seen.len(), 4);
    ledger.append(time(DAY), &calls(10..12, time(0))).unwrap();
    let rest = CallsQuery { from: Some(seen[3].next), ..CallsQuery::default() };
    let rest: Vec<_> = reader.calls(rest).unwrap().map(Result::unwrap).collect();
    assert_eq!(rest[0].record, call(4, time(0)));
    assert_eq!(rest.len(), 8);
    assert_eq!(rest[7].next, reader.committed());
    let none = CallsQuery { from: Some(reader.committed()), ..CallsQuery::default() };
    assert_eq!(reader.calls(none).unwrap().count(), 0);
    let identity = Some("spiffe://weir.local/host/h/unit/u1.service".to_owned());
    let one = CallsQuery { identity, ..CallsQuery::default() };
    assert_eq!(reader.calls(one).unwrap().count(), 4);
}

#[test]
fn a_row_is_flat_json() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    ledger.append(time(0), &calls([7, 14], time(0))).unwrap();
    let by = [Dimension::Model, Dimension::Provider];
    let report = ledger.reader().usage(&query(&by, 0, 1)).unwrap();
    insta::assert_json_snapshot!(report.rows, @r#"
    [
      {
        "model": null,
        "provider": "openai",
        "calls": 2,
        "errors": 0,
        "input_uncached": 21,
        "cache_read": 0,
        "cache_write": 0,
        "output": 6,
        "reasoning": 6,
        "input_total": 21,
        "output_total": 6,
        "cost_usd": "0.000021000063",
        "unpriced_calls": 0,
        "lost_bytes": 0
      }
    ]
    "#);
}

#[test]
fn readers_work_while_the_writer_appends() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path());
    let reader = ledger.reader();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut last = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let report = reader.usage(&query(&[Dimension::Model], -10, 5000)).unwrap();
                // Batches have ten calls each and are seen whole or not at all.
                assert_eq!(report.totals.calls % 10, 0);
                assert!(report.totals.calls >= last);
                last = report.totals.calls;
            }
        });
        for batch in 0..50 {
            ledger.append(time(batch), &calls(0..10, time(batch * 100))).unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(reader.usage(&query(&[], 0, 5000)).unwrap().totals.calls, 500);
}

/// What may happen to a ledger.
#[derive(Clone, Debug)]
enum Event {
    /// A batch, at a time, of calls that began so many seconds earlier.
    Append { at: i64, calls: Vec<(u64, i64)> },
    /// The process dies, having written part of a line.
    Crash { torn: usize },
    /// The index forgets what it learnt since it was last saved.
    IndexBack,
    /// The index is saved for [`Event::IndexBack`].
    SaveIndex,
    /// The index is gone.
    IndexGone,
    /// The index breaks while the ledger is open.
    IndexBreaks,
    /// It is closed in good order and opened again.
    Reopen,
}

fn event() -> impl Strategy<Value = Event> {
    let batch = prop::collection::vec((0..200u64, 0..8000i64), 0..12);
    prop_oneof![
        6 => (0..3 * DAY, batch).prop_map(|(at, calls)| Event::Append { at, calls }),
        2 => (0..900usize).prop_map(|torn| Event::Crash { torn }),
        1 => Just(Event::SaveIndex),
        1 => Just(Event::IndexBack),
        1 => Just(Event::IndexGone),
        1 => Just(Event::IndexBreaks),
        1 => Just(Event::Reopen),
    ]
}

/// Leaves the first `len` bytes of a line at the end of the log.
fn tear(dir: &Path, len: usize) {
    if super::log::days(&dir.join("log")).unwrap().is_empty() {
        return;
    }
    let path = newest_file(dir);
    let entry = Entry::Call(Box::new(call(1, time(0))));
    let line = super::line::write(9, super::line::Hash::ZERO, &entry).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend_from_slice(&line[..len.min(line.len())]);
    fs::write(&path, bytes).unwrap();
}

fn copy(from: &Path, to: &Path) {
    let _absent = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for item in fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        if item.path().is_file() {
            fs::copy(item.path(), to.join(item.file_name())).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_events_loses_or_doubles_a_call(
        events in prop::collection::vec(event(), 1..14),
        edges in prop::array::uniform2(-9000..3 * DAY),
    ) {
        let home = tempfile::tempdir().unwrap();
        let (dir, saved) = (home.path().join("state"), home.path().join("saved"));
        let mut ledger = open(&dir).0;
        let mut records = Vec::new();
        for event in events {
            match event {
                Event::Append { at, calls } => {
                    let batch = calls.iter().map(|(number, ago)| call(*number, time(at - ago)));
                    let batch: Vec<_> = batch.collect();
                    let entries = batch.iter().cloned().map(|call| Entry::Call(Box::new(call)));
                    ledger.append(time(at), &entries.collect::<Vec<_>>()).unwrap();
                    records.extend(batch);
                }
                Event::Crash { torn } => {
                    drop(ledger);
                    tear(&dir, torn);
                    ledger = open(&dir).0;
                }
                Event::IndexBack => {
                    drop(ledger);
                    if saved.exists() {
                        copy(&saved, &dir.join("index"));
                    }
                    ledger = open(&dir).0;
                }
                Event::SaveIndex => {
                    drop(ledger);
                    copy(&dir.join("index"), &saved);
                    ledger = open(&dir).0;
                }
                Event::IndexGone => {
                    drop(ledger);
                    fs::remove_dir_all(dir.join("index")).unwrap();
                    ledger = open(&dir).0;
                }
                Event::IndexBreaks => {
                    ledger.shared.index_mut().take();
                    ledger.retry = std::time::Instant::now();
                }
                Event::Reopen => {
                    ledger.close().unwrap();
                    ledger = open(&dir).0;
                }
            }
            let [since, until] = edges;
            check(&ledger, &records, &query(&Dimension::ALL, since, until));
        }
        check(&ledger, &records, &query(&Dimension::ALL, -20_000, 9 * DAY));
        let one = UsageQuery { uid: Some(1), ..query(&[Dimension::Identity], -20_000, 9 * DAY) };
        check(&ledger, &records, &one);
        prop_assert_eq!(verify(&dir).unwrap().problem_count, 0);
    }

    #[test]
    fn any_cut_of_the_last_line_leaves_the_acknowledged_ones(cut in 1..700usize) {
        let dir = tempfile::tempdir().unwrap();
        let (mut ledger, _) = open(dir.path());
        ledger.append(time(0), &calls(0..3, time(0))).unwrap();
        let whole = ledger.reader().committed();
        ledger.append(time(0), &calls(3..4, time(0))).unwrap();
        drop(ledger);
        let path = newest_file(dir.path());
        let bytes = fs::read(&path).unwrap();
        let last = bytes.len() - usize::try_from(whole.offset).unwrap();
        let kept = bytes.len() - cut.min(last);
        fs::write(&path, &bytes[..kept]).unwrap();
        let (mut ledger, report) = open(dir.path());
        prop_assert_eq!(report.cut.map_or(0, |cut| cut.bytes), (last - cut.min(last)) as u64);
        prop_assert_eq!(ledger.reader().committed(), whole);
        let ack = ledger.append(time(0), &calls(4..5, time(0))).unwrap();
        prop_assert_eq!(ack.first_seq, 4);
        let records = [0, 1, 2, 4].map(|number| call(number, time(0)));
        check(&ledger, &records, &query(&[Dimension::Model], 0, 1));
        prop_assert_eq!(verify(dir.path()).unwrap().problem_count, 0);
    }
}
