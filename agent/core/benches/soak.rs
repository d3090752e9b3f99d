//! Gigabytes of mixed traffic through one pipeline, over connection after connection, to see that
//! memory stays where it is. One in eight is left open in the middle of its answer.
//!
//! `cargo bench -p weir-core --bench soak -- 2 stream` takes 2 GB, instead of 10, of the exchanges
//! whose names contain `stream`. Prints how fast each kind went, by the time that was spent on a
//! core, and fails if the peak of the resident memory grew by more than [`GROWTH`] after the first
//! tenth.

mod traffic;

use std::process::ExitCode;

use rustix::time::{ClockId, clock_gettime};
use weir_core::pipeline::{Input, Pipeline};
use weir_core::secret::FingerprintKey;
use weir_core::units::Timestamp;

use traffic::{Exchange, handle_all};

/// How much the peak may grow, in kB: as much as an allocator does with fragments, and less than
/// 10 bytes for each of the connections of 10 GB.
const GROWTH: u64 = 4 * 1024;
/// At least as much of one kind is taken before the next, in bytes, be its exchanges large or small.
const TURN: u64 = 1_000_000;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let (numbers, names): (Vec<_>, Vec<_>) =
        words.iter().partition(|word| word.parse::<u64>().is_ok());
    let gigabytes = numbers.first().and_then(|word| word.parse().ok()).unwrap_or(10);
    let mut kinds: Vec<Kind> = traffic::model_calls()
        .into_iter()
        .chain(traffic::other_traffic())
        .filter(|exchange| names.iter().all(|name| exchange.name.contains(name.as_str())))
        .map(|exchange| Kind { exchange, bytes: 0, seconds: 0.0 })
        .collect();
    let grown = soak(&mut kinds, gigabytes * 1_000_000_000);
    for Kind { exchange, bytes, seconds } in &kinds {
        println!("{:>34}: {:8.0} MB/s", exchange.name, *bytes as f64 / seconds / 1e6);
    }
    if grown > GROWTH {
        println!("the peak grew by {grown} kB, more than {GROWTH} kB");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Exchanges of one kind, and what they have come to.
struct Kind {
    exchange: Exchange,
    bytes: u64,
    seconds: f64,
}

/// Takes `total` bytes, the kinds in turn. Returns by how many kB the peak of the memory grew.
fn soak(kinds: &mut [Kind], total: u64) -> u64 {
    let mut pipeline = Pipeline::new(FingerprintKey::new([1; 32]));
    let (mut bytes, mut early) = (0, None);
    // Every connection takes a second.
    let mut now = 0;
    while bytes < total {
        for kind in &mut *kinds {
            let time = Timestamp::from_second(now).unwrap_or_default();
            handle_all(&mut pipeline, Input::Tick { time });
            let start = seconds_on_core();
            let mut size = 0;
            while size < TURN {
                now += 1;
                let time = Timestamp::from_second(now).unwrap_or_default();
                if now % 8 == 0 {
                    let half = kind.exchange.cuts.len() / 2;
                    kind.exchange.begin(&mut pipeline, now.unsigned_abs(), time, half);
                } else {
                    let calls = kind.exchange.run(&mut pipeline, now.unsigned_abs(), time);
                    assert_eq!(calls, kind.exchange.calls, "{}", kind.exchange.name);
                    size += kind.exchange.size();
                }
            }
            kind.bytes += size;
            kind.seconds += seconds_on_core() - start;
            bytes += size;
        }
        if early.is_none() && bytes >= total / 10 {
            early = Some(report(bytes, &pipeline));
        }
    }
    report(bytes, &pipeline).saturating_sub(early.unwrap_or_default())
}

/// Says how things stand. Returns the peak of the resident memory in kB.
fn report(bytes: u64, pipeline: &Pipeline) -> u64 {
    let (peak, stats) = (memory("VmHWM:"), pipeline.stats());
    println!(
        "after {:.1} GB: {} kB resident, {peak} kB at most; {} connections open, {} calls",
        bytes as f64 / 1e9,
        memory("VmRSS:"),
        stats.connections,
        stats.calls
    );
    peak
}

/// How long this thread has been on a core: what others do on the machine counts little.
fn seconds_on_core() -> f64 {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9
}

/// A field of `/proc/self/status` (proc_pid_status(5)), in kB.
fn memory(field: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(field));
    value.and_then(|value| value.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}
