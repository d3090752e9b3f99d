//! Appends calls to a ledger as fast as it takes them, for the crash tests to kill.
//!
//! `ledger-writer STATE_DIR`. Call number n is the n-th line of the log and used n input tokens, so
//! that sums show at once whether one is missing or there twice. Prints `open` once, `ack N` when
//! everything up to call N is acknowledged, and `full` when the disk is; ends in good order at the
//! end of its input.

use std::io::{Read, Write, stdin, stdout};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{sleep, spawn};
use std::time::Duration;

use anyhow::{Context, Result};
use weir::ledger::{Entry, Ledger, LedgerError, Options, Probe, answer_probe};
use weir_core::units::Timestamp;

static FINISH: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    if let Some(code) = answer_probe(std::env::args_os()) {
        return code;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ledger-writer: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let dir = std::env::args_os().nth(1).context("which state directory?")?;
    spawn(|| {
        let _until_the_end = stdin().read_to_end(&mut Vec::new());
        FINISH.store(true, Ordering::Relaxed);
    });
    let options = Options { retain_days: None, probe: Some(Probe::itself()) };
    let (mut ledger, _report) = Ledger::open(Path::new(&dir), Timestamp::now(), options)?;
    say("open")?;
    let mut size = 1;
    while !FINISH.load(Ordering::Relaxed) {
        let first = ledger.reader().committed().seq;
        size = size % 17 + 3;
        let batch: Vec<_> = (first..first + size)
            .map(|number| Entry::Call(Box::new(weir_tests::ledger::numbered_call(number))))
            .collect();
        match ledger.append(Timestamp::now(), &batch) {
            Ok(ack) => say(&format!("ack {}", ack.committed.seq - 1))?,
            Err(error @ LedgerError::File { .. }) if error.is_disk_full() => {
                say("full")?;
                sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(error.into()),
        }
    }
    match ledger.close() {
        // The store may find only now that it could not write while the disk was full.
        Err(error) if error.is_disk_full() => say("full"),
        closed => Ok(closed?),
    }
}

fn say(line: &str) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
