//! How long reports take over a month of a busy host: 10,000 identities and 1,000,000 calls.
//!
//! `cargo bench -p weir --bench usage [CALLS [IDENTITIES]]`. Fills a ledger, then asks it as a reader
//! does and as `weir usage` does, and says how large the index is.

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

#[expect(dead_code, reason = "tests use more of it")]
#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use support::{Daemon, call};
use weir::ledger::{Dimension, Entry, IdentityQuery, Reader, UsageQuery};
use weir_core::http::{CredentialKind, CredentialPlace};
use weir_core::identity::IdentityId;
use weir_core::meter::UsageRecord;
use weir_core::secret::FingerprintKey;
use weir_core::units::{PicoUsd, Timestamp};

const DAYS: i64 = 30;
/// Calls that are stored at once.
const BATCH: u64 = 1000;
/// How often each question is asked; the median and the slowest are told.
const ROUNDS: usize = 21;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let (calls, identities) =
        (numbers.next().unwrap_or(1_000_000), numbers.next().unwrap_or(10_000));
    let daemon = Daemon::start();
    let began = Instant::now();
    fill(&daemon, calls, identities);
    let per_call = began.elapsed() / u32::try_from(calls).unwrap();
    println!("{calls} calls of {identities} identities stored, {per_call:?} each");
    daemon.ledger().checkpoint();
    let state = daemon.directory.path().join("state");
    println!(
        "log {} MB, index {} MB",
        megabytes(&state.join("log")),
        megabytes(&state.join("index"))
    );
    let reader = daemon.ledger().reader();
    for (name, by) in [
        ("identity", &[Dimension::Identity][..]),
        ("identity,model", &[Dimension::Identity, Dimension::Model]),
        ("model", &[Dimension::Model]),
    ] {
        let query = month(by);
        timed(&format!("reader: usage --by {name} --since 30d"), || {
            let report = reader.usage(&query).unwrap();
            assert!(report.totals.calls > calls * 9 / 10, "{}", report.totals.calls);
        });
    }
    inventory(&reader);
    for arguments in [
        &["usage", "--by", "identity", "--since", "30d"][..],
        &["usage", "--by", "identity", "--since", "30d", "--format", "json"],
        &["identities"],
        &["credentials"],
    ] {
        timed(&format!("weir {}", arguments.join(" ")), || {
            let output = Command::new(env!("CARGO_BIN_EXE_weir"))
                .args(arguments)
                .env("WEIR_SOCKET", daemon.socket())
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        });
    }
}

fn inventory(reader: &Reader) {
    let query = IdentityQuery { uid: None, now: Timestamp::now() };
    timed("reader: identities", || drop(reader.identities(&query).unwrap()));
    timed("reader: credentials", || drop(reader.credentials(&query).unwrap()));
}

/// The last thirty days, to this moment.
fn month(by: &[Dimension]) -> UsageQuery {
    let until = Timestamp::now();
    let since = until - SignedDuration::from_hours(24 * DAYS);
    UsageQuery { by: by.to_vec(), since, until, uid: None }
}

/// Stores calls of a month in the order of their time, as they would have come.
fn fill(daemon: &Daemon, calls: u64, identities: u64) {
    let end = Timestamp::now();
    let begin = end - SignedDuration::from_hours(24 * DAYS);
    let step =
        SignedDuration::from_secs_f64(86_400.0 * 30.0 / f64::from(u32::try_from(calls).unwrap()));
    let key = FingerprintKey::new([7; 32]);
    for first in (0..calls).step_by(usize::try_from(BATCH).unwrap()) {
        let numbers = first..(first + BATCH).min(calls);
        let entries: Vec<Entry> = numbers
            .map(|number| {
                let time = begin + step * i32::try_from(number).unwrap();
                Entry::Call(Box::new(made(number, identities, time, &key)))
            })
            .collect();
        let now = begin + step * i32::try_from(first + BATCH).unwrap();
        daemon.ledger().append(now.min(end), &entries).unwrap();
    }
}

/// Who calls is spread as if by chance; each has a model and a credential or two.
fn made(number: u64, identities: u64, time: Timestamp, key: &FingerprintKey) -> UsageRecord {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let who = mixed % identities;
    let model = ["gpt-5", "gpt-5-mini"][usize::try_from(who % 2).unwrap()];
    let mut record = call(u32::try_from(number).unwrap(), "ann", model);
    record.time = time;
    record.identity =
        IdentityId(format!("spiffe://weir.local/host/host-1/unit/agent-{who:05}.service"));
    record.process.uid = 1000 + u32::try_from(who % 100).unwrap();
    record.credential = Some(key.fingerprint("bearer", &(who / 3).to_be_bytes()));
    record.credential_kind = Some(CredentialKind::OpenaiKey);
    record.credential_in = Some(CredentialPlace::Header);
    record.response_id = Some(format!("resp_{number:032x}"));
    record.cost_usd = Some(PicoUsd(i128::from(mixed % 1_000_000) * 1_000));
    record
}

fn timed(what: &str, mut work: impl FnMut()) {
    let mut times: Vec<(Duration, Duration)> = (0..ROUNDS)
        .map(|_round| {
            let (began, used) = (Instant::now(), processor_time());
            work();
            (began.elapsed(), processor_time() - used)
        })
        .collect();
    times.sort_unstable();
    let (wall, processor) = times[ROUNDS / 2];
    let slowest = times[ROUNDS - 1].0;
    println!("{what}: median {wall:?} ({processor:?} of the processor here), slowest {slowest:?}");
}

/// What this process has used. Where other programs run too, it says more than the clock.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.try_into().unwrap()
}

/// What the files of a directory take, in MB.
fn megabytes(directory: &Path) -> u64 {
    fn bytes(directory: &Path) -> u64 {
        let items = std::fs::read_dir(directory).unwrap().map(|item| item.unwrap().path());
        items
            .map(|path| if path.is_dir() { bytes(&path) } else { path.metadata().unwrap().len() })
            .sum()
    }
    bytes(directory) / 1_000_000
}
