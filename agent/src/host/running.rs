//! A process that runs now, as the kernel would stamp it on a record: for whoever asks about a pid.

use std::path::Path;

use weir_core::identity::Membership;
use weir_core::units::ProcessKey;

use super::files::Dir;

/// Most bytes of a file that are read; all are far shorter.
const MAX_FILE: usize = 64 * 1024;

/// A process as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Running {
    /// Which process. Of its start time only the clock tick is right, which is all that procfs tells.
    pub(super) key: ProcessKey,
    /// Its real user id.
    pub(super) uid: u32,
    /// Its path in the v2 hierarchy.
    pub(super) cgroup: Option<String>,
}

impl Running {
    /// The process that has this pid; `None` if none has. Reads only what the kernel itself answers.
    pub(super) fn of(proc: &Path, pid: u32) -> Option<Self> {
        let dir = Dir::open(proc).ok()?.open_below(pid.to_string()).ok()?;
        let start_ns = start_ns(&dir.read("stat", MAX_FILE).ok()?)?;
        let uid = real_uid(&dir.read("status", MAX_FILE).ok()?)?;
        let cgroups = dir.read("cgroup", MAX_FILE).ok()?;
        let cgroups = Membership::parse(&String::from_utf8_lossy(&cgroups));
        let cgroup = cgroups.unified().map(str::to_owned);
        Some(Self { key: ProcessKey { pid, start_ns }, uid, cgroup })
    }
}

/// Field 22 of `/proc/PID/stat`, in nanoseconds. The program's name, which it chooses itself, stands
/// before it in parentheses and may contain any.
fn start_ns(stat: &[u8]) -> Option<u64> {
    let name_end = stat.iter().rposition(|&b| b == b')')?;
    let mut fields = std::str::from_utf8(&stat[name_end + 1..]).ok()?.split_ascii_whitespace();
    let ticks: u64 = fields.nth(22 - 3)?.parse().ok()?;
    ticks.checked_mul(1_000_000_000 / rustix::param::clock_ticks_per_second().max(1))
}

/// The first number of the line `Uid:` of `/proc/PID/status`. The name, which the process chooses, is
/// escaped there and can't forge a line.
fn real_uid(status: &[u8]) -> Option<u32> {
    let status = String::from_utf8_lossy(status);
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_process_is_read_whatever_it_calls_itself() {
        let proc = tempfile::tempdir().unwrap();
        let dir = proc.path().join("7");
        std::fs::create_dir(&dir).unwrap();
        let stat = "7 (a) b) (c) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 158764 3 4 5";
        std::fs::write(dir.join("stat"), stat).unwrap();
        let status = "Name:\tUid:\\n0\nUid:\t1000\t0\t0\t0\nGid:\t5\t5\t5\t5\n";
        std::fs::write(dir.join("status"), status).unwrap();
        std::fs::write(dir.join("cgroup"), "1:cpu:/x\n0::/system.slice/a.service\n").unwrap();
        let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second();
        let expected = Running {
            key: ProcessKey { pid: 7, start_ns: 158_764 * tick },
            uid: 1000,
            cgroup: Some("/system.slice/a.service".to_owned()),
        };
        assert_eq!(Running::of(proc.path(), 7), Some(expected));
        assert_eq!(Running::of(proc.path(), 8), None);
    }

    proptest! {
        #[test]
        fn no_content_breaks_the_parsers(content in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = start_ns(&content);
            let _ = real_uid(&content);
        }
    }
}
