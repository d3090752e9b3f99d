//! What `/proc` tells of a process while it lives.

use std::path::Path;

use weir_core::identity::Membership;
use weir_core::units::ProcessKey;

use super::files::Dir;

/// Most bytes of `stat` and of `cgroup` that are read; both are far shorter.
const MAX_FILE: usize = 64 * 1024;
/// Longest path of a program that is kept, in bytes (`PATH_MAX`).
pub(super) const MAX_EXE: usize = 4096;

/// What was seen of a process at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// Its program's path in its own mount namespace.
    pub(super) exe: Option<String>,
    /// Its cgroups.
    pub(super) cgroups: Membership,
}

impl Snapshot {
    /// Looks at a process; `None` if it has ended, even if another has its pid by now.
    ///
    /// Reads nothing that waits for the process: `stat`, `cgroup` and the `exe` link are the
    /// kernel's own, unlike `cmdline` and `environ`, whose pages a process can make us wait for.
    pub(super) fn take(proc: &Path, key: ProcessKey) -> Option<Self> {
        // An open directory of /proc stays with the process it was opened for.
        let dir = Dir::open(proc).ok()?.open_below(key.pid.to_string()).ok()?;
        let is_the_same = || {
            let stat = dir.read("stat", MAX_FILE).ok()?;
            (running_since(&stat)? == ticks(key.start_ns)).then_some(())
        };
        is_the_same()?;
        let exe = rustix::fs::readlinkat(dir.fd(), "exe", Vec::new())
            .ok()
            .and_then(|target| program(target.to_bytes()));
        let cgroups = dir.read("cgroup", MAX_FILE).ok()?;
        let cgroups = Membership::parse(&String::from_utf8_lossy(&cgroups));
        is_the_same()?;
        Some(Self { exe, cgroups })
    }
}

/// A path as the kernel gives it, without its mark of a program that was deleted or replaced while
/// it ran.
pub(super) fn program(path: &[u8]) -> Option<String> {
    let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
    (1..=MAX_EXE).contains(&path.len()).then(|| String::from_utf8_lossy(path).into_owned())
}

/// Fields 3 and 22 of `/proc/PID/stat`: when the process started, in clock ticks since boot, unless
/// it has ended and only waits for its parent to notice. (It has no program then, and v1 hierarchies
/// say that it is in their root.) The program's name, which it chooses itself, stands before them in
/// parentheses and may contain any.
fn running_since(stat: &[u8]) -> Option<u64> {
    let name_end = stat.iter().rposition(|&b| b == b')')?;
    let mut fields = std::str::from_utf8(&stat[name_end + 1..]).ok()?.split_ascii_whitespace();
    let state = fields.next()?;
    let start = fields.nth(22 - 4)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(start)
}

/// Nanoseconds as the kernel turns them into clock ticks: rounded down (`nsec_to_clock_t`), so that
/// the ticks of a key and of `/proc` are equal and not merely near.
pub(super) fn ticks(ns: u64) -> u64 {
    ns / (1_000_000_000 / rustix::param::clock_ticks_per_second().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STAT: &str = "7 (a) b) (c) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 158764 3 4 5";

    #[test]
    fn a_name_can_not_forge_a_start_time() {
        assert_eq!(running_since(STAT.as_bytes()), Some(158_764));
        assert_eq!(running_since(STAT.replace(") S", ") Z").as_bytes()), None);
        assert_eq!(running_since(b"7 (a"), None);
        assert_eq!(running_since(b"7 (a) S 1 2 3"), None);
    }

    #[test]
    fn the_mark_of_a_deleted_program_is_no_part_of_its_path() {
        for (link, path) in [
            (&b"/usr/bin/a"[..], Some("/usr/bin/a")),
            (b"/usr/bin/a (deleted)", Some("/usr/bin/a")),
            (b"/memfd:x (deleted)", Some("/memfd:x")),
            (b" (deleted)", None),
            (b"", None),
            (b"/a\xff", Some("/a\u{fffd}")),
        ] {
            assert_eq!(program(link).as_deref(), path);
        }
        assert_eq!(program(&[b'a'; MAX_EXE + 1]), None);
    }

    #[test]
    fn of_another_start_time_it_is_another_process() {
        let proc = tempfile::tempdir().unwrap();
        let dir = proc.path().join("7");
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("stat"), STAT).unwrap();
        std::fs::write(dir.join("cgroup"), "0::/system.slice/a.service\n").unwrap();
        std::os::unix::fs::symlink("/opt/agent (deleted)", dir.join("exe")).unwrap();

        let take = |start_ns| Snapshot::take(proc.path(), ProcessKey { pid: 7, start_ns });
        let seen = take(1_587_640_000_000).unwrap();
        assert_eq!(seen.exe.as_deref(), Some("/opt/agent"));
        assert_eq!(seen.cgroups.path(), Some("/system.slice/a.service"));
        assert_eq!(take(1_587_649_999_999), Some(seen), "the same tick");
        assert_eq!(take(1_587_650_000_000), None, "the next tick");
        assert_eq!(take(1_587_639_999_999), None, "the tick before");
    }

    proptest! {
        #[test]
        fn no_stat_breaks_the_parser(stat in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = running_since(&stat);
            let _ = program(&stat);
        }
    }
}
