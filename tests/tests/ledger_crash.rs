//! The ledger under the worst that can happen to it: `kill -9` at any moment, a full disk, a power
//! cut. Nothing acknowledged may be lost, and nothing may count twice.
//!
//! The last two mount file systems and need root. Without it they say so and pass, unless
//! `WEIR_E2E=require` is set.

#![expect(clippy::unwrap_used, reason = "the helpers of a test fail by panicking as the test does")]

use std::collections::HashMap;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{sleep, spawn};
use std::time::Duration;

use tempfile::TempDir;
use weir::ledger::{
    CallsQuery, Dimension, IdentityQuery, Ledger, OpenReport, Options, Usage, UsageQuery, rebuild,
    verify,
};
use weir_core::units::{PicoUsd, Timestamp};
use weir_tests::ledger::numbered_call;

/// How long to wait for a line that must come.
const SOON: Duration = Duration::from_secs(20);

/// A running `ledger-writer`.
struct Writer {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    acknowledged: u64,
}

impl Writer {
    fn start(state: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ledger-writer"))
            .arg(state)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = sync_channel(1 << 20);
        spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let input = child.stdin.take();
        Self { child, input, lines, acknowledged: 0 }
    }

    fn note(&mut self, line: &str) {
        if let Some(number) = line.strip_prefix("ack ") {
            self.acknowledged = number.parse().unwrap();
        }
    }

    /// Waits for a line that begins so.
    fn wait_for(&mut self, start: &str) {
        loop {
            let line = self.lines.recv_timeout(SOON).unwrap();
            self.note(&line);
            if line.starts_with(start) {
                return;
            }
        }
    }

    /// Takes note of what it has said so far.
    fn catch_up(&mut self) {
        while let Ok(line) = self.lines.try_recv() {
            self.note(&line);
        }
    }

    /// Kills it. Returns the last call that it was told is safe.
    fn kill(&mut self) -> u64 {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        while let Ok(line) = self.lines.recv() {
            self.note(&line);
        }
        self.acknowledged
    }

    /// Lets it end in good order.
    fn finish(&mut self) -> u64 {
        drop(self.input.take());
        while let Ok(line) = self.lines.recv_timeout(SOON) {
            self.note(&line);
        }
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
        self.acknowledged
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _gone_already = self.child.wait();
    }
}

/// A directory on a real disk, if the build directory is on one.
fn home() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn open(state: &Path) -> (Ledger, OpenReport) {
    Ledger::open(state, Timestamp::now(), Options { retain_days: None, probe: None }).unwrap()
}

fn everything(by: &[Dimension]) -> UsageQuery {
    UsageQuery { by: by.to_vec(), since: Timestamp::MIN, until: Timestamp::MAX, uid: None }
}

/// Checks that the ledger holds calls 1 to some n, each once, and returns n.
#[track_caller]
fn check_sums(ledger: &Ledger) -> u64 {
    let held = ledger.reader().committed().seq - 1;
    let totals = ledger.reader().usage(&everything(&[])).unwrap().totals;
    assert_eq!(totals.calls, held);
    assert_eq!(totals.tokens.input_uncached, held * (held + 1) / 2);
    assert_eq!(totals.cost, PicoUsd(i128::from(held * (held + 1) / 2)));
    let query = IdentityQuery { uid: None, now: Timestamp::now() };
    let known = ledger.reader().identities(&query).unwrap().identities;
    assert_eq!(known.iter().map(|identity| identity.usage.calls).sum::<u64>(), held);
    let cost = known.iter().map(|identity| identity.usage.cost.0).sum::<i128>();
    assert_eq!(PicoUsd(cost), totals.cost);
    held
}

/// Checks the same row by row and line by line, and that the log is whole.
#[track_caller]
fn check_all(state: &Path) -> u64 {
    let (ledger, _report) = open(state);
    let held = check_sums(&ledger);
    let mut by_model = HashMap::<String, Usage>::new();
    for (number, stored) in (1..).zip(ledger.reader().calls(CallsQuery::default()).unwrap()) {
        let record = stored.unwrap().record;
        assert_eq!(record, numbered_call(number));
        by_model
            .entry(record.model.clone().unwrap())
            .or_default()
            .add(&Usage::of(&record).unwrap());
    }
    let report = ledger.reader().usage(&everything(&[Dimension::Model])).unwrap();
    assert_eq!(report.rows.len(), by_model.len());
    for row in report.rows {
        let (_, model) = &row.key.0[0];
        assert_eq!(by_model[model.as_ref().unwrap()], row.usage);
    }
    ledger.close().unwrap();
    let verified = verify(state).unwrap();
    assert_eq!((verified.lines, verified.problem_count), (held, 0), "{:?}", verified.problems);
    held
}

/// Some number below `limit`, another one each time.
fn any_below(limit: u64) -> u64 {
    RandomState::new().hash_one(0) % limit
}

#[test]
fn killed_at_any_moment_it_loses_and_doubles_nothing() {
    let home = home();
    let state = home.path().join("state");
    let mut last = 0;
    for round in 0..100 {
        let mut writer = Writer::start(&state);
        // Half of the rounds die while opening or soon after.
        sleep(Duration::from_millis(any_below(if round % 2 == 0 { 40 } else { 160 })));
        let acknowledged = writer.kill().max(last);
        let (ledger, report) = open(&state);
        assert_eq!(report.index.unwrap().rebuilt, None, "round {round}");
        let held = check_sums(&ledger);
        assert!(
            held >= acknowledged,
            "round {round}: {acknowledged} were acknowledged, {held} are left"
        );
        last = held;
    }
    let held = check_all(&state);
    assert!(held > 1000, "the writer hardly wrote: {held} calls");
    assert_eq!(rebuild(&state, Timestamp::now()).unwrap(), held);
    assert_eq!(check_all(&state), held);
    println!("{held} calls in 100 rounds");
}

#[test]
fn a_full_disk_stops_it_until_there_is_space() {
    let Some(disk) = Mount::tmpfs("size=16m") else { return };
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![1; 6 << 20]).unwrap();
    let state = disk.path().join("state");
    let mut writer = Writer::start(&state);
    writer.wait_for("full");
    writer.wait_for("full");
    let before = writer.acknowledged;
    assert!(verify(&state).unwrap().lines >= before);
    fs::remove_file(&ballast).unwrap();
    writer.wait_for("ack");
    assert!(writer.acknowledged > before);
    let acknowledged = writer.finish();
    assert!(check_all(&state) >= acknowledged);
}

#[test]
fn a_power_cut_loses_nothing_acknowledged() {
    let home = home();
    let image = home.path().join("disk.img");
    fs::File::create(&image).unwrap().set_len(96 << 20).unwrap();
    let Some(disk) = Mount::image(&image, true) else { return };
    let mut writer = Writer::start(&disk.path().join("state"));
    writer.wait_for("ack");
    for round in 0..5 {
        sleep(Duration::from_millis(200 + any_below(400)));
        writer.catch_up();
        let acknowledged = writer.acknowledged;
        let copy = home.path().join("copy.img");
        fs::copy(&image, &copy).unwrap();
        let after = Mount::image(&copy, false).unwrap();
        let state = after.path().join("state");
        // The machine did not really go down, so its boot id is the same.
        fs::write(state.join("index.dirty"), "the boot before").unwrap();
        let (ledger, report) = open(&state);
        assert!(report.index.unwrap().rebuilt.is_some());
        let held = check_sums(&ledger);
        assert!(
            held >= acknowledged,
            "round {round}: {acknowledged} were acknowledged, {held} are left"
        );
        drop(ledger);
        check_all(&state);
    }
    writer.kill();
}

/// A file system that is unmounted when this is dropped.
struct Mount(TempDir);

impl Mount {
    /// `None` if there is no privilege to mount, and that is no reason to fail.
    fn tmpfs(options: &str) -> Option<Self> {
        privileged().then(|| Self::new(&["-t", "tmpfs", "-o", options, "tmpfs"]))
    }

    /// The ext4 file system in a file, made first if it is `fresh`.
    fn image(image: &Path, fresh: bool) -> Option<Self> {
        privileged().then(|| {
            if fresh {
                run(Command::new("mkfs.ext4").arg("-q").arg(image));
            }
            Self::new(&["-o", "loop", image.to_str().unwrap()])
        })
    }

    fn new(arguments: &[&str]) -> Self {
        let dir = home();
        run(Command::new("mount").args(arguments).arg(dir.path()));
        Self(dir)
    }

    fn path(&self) -> PathBuf {
        self.0.path().to_owned()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a writer that is being killed may still hold it.
        let _best_effort = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn run(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

fn privileged() -> bool {
    let root = rustix::process::geteuid().is_root();
    let required = std::env::var_os("WEIR_E2E").is_some_and(|value| value == "require");
    assert!(root || !required, "mounting a file system needs root");
    if !root {
        println!("skipped: mounting a file system needs root");
    }
    root
}
