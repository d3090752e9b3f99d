//! What probing costs a program: TLS round trips in one process, with the probes and without.
//!
//! Each round trip writes 2,000 bytes one way and 4,000 back, over memory, so there are two writes and
//! two reads and nothing to wait for. `quiet` isn't HTTP and costs the breakpoints alone; `http` is
//! copied too. `plain` are `SSL_read` and `SSL_write`, `ex` the functions that CPython calls. What
//! counts are the ratios: the calls come from Python, and its own time is in all the numbers.
//!
//! Needs the privilege to load probes, and says so without it.

#![expect(clippy::print_stdout, reason = "the numbers are what it is for")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use weir::capture::{Capture, Options};

/// Round trips of a run.
const ROUND_TRIPS: u32 = 5_000;

/// Runs of each kind, of which the quickest counts: the others were disturbed.
const RUNS: u32 = 5;

const KINDS: [&str; 4] = ["quiet_plain", "quiet_ex", "http_plain", "http_ex"];

fn main() -> anyhow::Result<()> {
    let without = measure()?;
    let (capture, mut drain) = match Capture::start(&Options::default()) {
        Ok(started) => started,
        Err(error) => {
            println!("round trips: skipped: {error}");
            return Ok(());
        }
    };
    let is_over = Arc::new(AtomicBool::new(false));
    let reader = thread::spawn({
        let is_over = Arc::clone(&is_over);
        move || -> std::io::Result<()> {
            while !is_over.load(Ordering::Relaxed) {
                drain.wait(Some(Duration::from_millis(20)))?;
                drain.drain(|_event| {});
            }
            Ok(())
        }
    });
    let with = measure();
    is_over.store(true, Ordering::Relaxed);
    let ended = reader.join();
    let status = capture.status();
    drop(capture);
    anyhow::ensure!(matches!(ended, Ok(Ok(()))), "the ring could not be read: {ended:?}");
    println!("µs per round trip   without     with    more  ratio");
    for ((kind, without), with) in KINDS.into_iter().zip(without).zip(with?) {
        let (more, ratio) = (with - without, with / without);
        println!("{kind:<18} {without:>8.1} {with:>8.1} {more:>7.1}  {ratio:>5.2}");
    }
    // What is lost isn't copied and costs less: with many losses the numbers of `http` are too low.
    let lost: u64 = status.losses.iter().map(|loss| loss.records).sum();
    println!("{} records were read, {lost} lost", status.records);
    Ok(())
}

/// Microseconds per round trip of each kind.
fn measure() -> anyhow::Result<Vec<f64>> {
    let folder = tempfile::tempdir()?;
    let mut client = client(folder.path())?;
    let (input, output) = (client.stdin.take(), client.stdout.take());
    let mut input = input.context("its input is piped")?;
    let mut output = BufReader::new(output.context("its output is piped")?);
    let mut times = Vec::new();
    for kind in KINDS {
        let mut best = f64::INFINITY;
        for _ in 0..RUNS {
            writeln!(input, "{kind} {ROUND_TRIPS}")?;
            let mut answer = String::new();
            output.read_line(&mut answer)?;
            best = best.min(answer.trim().parse().with_context(|| format!("it said {answer:?}"))?);
        }
        times.push(best);
    }
    drop(input);
    client.wait()?;
    Ok(times)
}

fn client(folder: &Path) -> anyhow::Result<Child> {
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .stderr(Stdio::null())
        .status()?;
    anyhow::ensure!(made.success(), "openssl made no certificate");
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/round_trips.py");
    Command::new("/usr/bin/python3")
        .arg(script)
        .args([&cert, &key])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("/usr/bin/python3 is needed, on the system's OpenSSL")
}
