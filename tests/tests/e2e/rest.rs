//! What the daemon takes from the host when nothing happens.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use anyhow::Context as _;
use weir_tests::harness::{Daemon, Place};

use crate::{Case, case};

/// Before a tokenizer was needed.
const RESIDENT_KIB: u64 = 60 << 10;

/// How long to look, and how often: somebody else on the host may start a program meanwhile.
const WINDOW: Duration = Duration::from_secs(3);
const WINDOWS: u32 = 4;

pub(crate) fn cases() -> Vec<Case> {
    vec![case("at_rest_it_takes_little_memory_and_no_time", rest)]
}

fn rest() -> anyhow::Result<()> {
    let (place, home) = (Place::find()?, tempfile::tempdir()?);
    let daemon = Daemon::start(&place, home.path())?;
    sleep(Duration::from_secs(2));
    let resident = resident_kib(daemon.pid())?;
    anyhow::ensure!(resident < RESIDENT_KIB, "{resident} KiB are resident");
    let mut least = u64::MAX;
    for _ in 0..WINDOWS {
        let before = ticks(daemon.pid())?;
        sleep(WINDOW);
        least = least.min(ticks(daemon.pid())? - before);
        if least == 0 {
            return Ok(());
        }
    }
    anyhow::bail!("it used {least} clock ticks in {} s of doing nothing", WINDOW.as_secs())
}

fn resident_kib(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Processor time used so far, in clock ticks.
fn ticks(pid: u32) -> anyhow::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, after_name) = stat.rsplit_once(')').context("no name in stat")?;
    // Fields 14 and 15, counted from the pid, which is the first: the name is the second.
    let times = after_name.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    Ok(times.sum::<Result<u64, _>>()?)
}
