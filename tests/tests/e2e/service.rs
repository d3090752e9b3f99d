//! What a service manager is told, and what the unit that is shipped leaves the daemon.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use weir_tests::harness::{Place, daemon};

use crate::{Case, case};

/// How long the manager waits for the next word: as long as starting may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// After how long the manager takes the daemon for stuck.
const WATCHDOG: Duration = Duration::from_secs(1);

pub(crate) fn cases() -> Vec<Case> {
    vec![case("the_service_manager_is_told_what_goes_on", told)]
}

/// A daemon that is asked to say that it goes on.
struct Service {
    child: Child,
    manager: UnixDatagram,
}

impl Service {
    fn start(place: &Place, home: &std::path::Path) -> anyhow::Result<Self> {
        let path = home.join("notify");
        let manager = UnixDatagram::bind(&path)?;
        manager.set_read_timeout(Some(PATIENCE))?;
        let mut command = daemon::command(place, home)?;
        command.env("NOTIFY_SOCKET", &path);
        command.env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self { child: command.spawn()?, manager })
    }

    /// What it says until a line is `end`, that line included.
    fn until(&self, end: &str) -> anyhow::Result<Vec<String>> {
        let mut said = Vec::new();
        let mut message = [0; 4096];
        while said.last().is_none_or(|line| line != end) {
            let length = self.manager.recv(&mut message);
            let length = length.with_context(|| format!("no {end} after {said:?}"))?;
            let text = String::from_utf8_lossy(&message[..length]).into_owned();
            for line in text.lines() {
                said.push(line.to_owned());
                if line == end {
                    break;
                }
            }
        }
        Ok(said)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        Ok(kill_process(pid.context("no pid")?, signal)?)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn told() -> anyhow::Result<()> {
    let (place, home) = (Place::find()?, tempfile::tempdir()?);
    let mut service = Service::start(&place, home.path())?;
    let said = service.until("READY=1")?;
    anyhow::ensure!(said.iter().all(|line| line != "WATCHDOG=1"), "{said:?}");
    let status = fs::read_to_string(format!("/proc/{}/status", service.child.id()))?;
    let unit = fs::read_to_string(place.packaging.join("weir.service"))?;
    let wanted = unit.lines().find(|line| line.starts_with("CapabilityBoundingSet="));
    let wanted = wanted.context("the unit bounds no capabilities")?.matches("CAP_").count();
    for set in ["CapPrm:\t", "CapEff:\t", "CapBnd:\t"] {
        let bits = status.lines().find_map(|line| line.strip_prefix(set)).context("no set")?;
        let count = u64::from_str_radix(bits, 16)?.count_ones();
        anyhow::ensure!(count as usize == wanted, "{set} is {bits}, not {wanted} capabilities");
    }
    anyhow::ensure!(status.contains("NoNewPrivs:\t1\n"), "{status}");
    for _ in 0..3 {
        service.until("WATCHDOG=1")?;
    }
    service.signal(Signal::TERM)?;
    service.until("STOPPING=1")?;
    let status = service.child.wait()?;
    anyhow::ensure!(status.success(), "it stopped with {status}");
    Ok(())
}
