//! What `/proc` tells of a process while it lives.

use std::path::Path;

use weir_core::identity::Membership;
use weir_core::units::ProcessKey;

use super::files::Dir;

/// Most bytes of `stat`, `status` and `cgroup` that are read; all are far shorter.
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
    /// Its real user id in the initial user namespace.
    pub(super) uid: Option<u32>,
    /// It leads a session that has a controlling terminal.
    pub(super) leads_terminal: bool,
}

/// A process that was running when somebody looked.
#[derive(Debug)]
pub(super) struct Resident {
    pub(super) pid: u32,
    /// When it started, in clock ticks since boot.
    pub(super) ticks: u64,
    /// Who started it, or whoever has it now that that one has ended.
    pub(super) parent: u32,
    pub(super) snapshot: Snapshot,
}

/// What is needed of `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    leads_terminal: bool,
    /// In clock ticks since boot.
    start: u64,
}

impl Snapshot {
    /// Looks at a process; `None` if it has ended, even if another has its pid by now.
    ///
    /// Reads nothing that waits for the process: `stat`, `status`, `cgroup` and the `exe` link are the
    /// kernel's own, unlike `cmdline` and `environ`, whose pages a process can make us wait for.
    pub(super) fn take(proc: &Path, key: ProcessKey) -> Option<Self> {
        let resident = Resident::look(proc, key.pid)?;
        (resident.ticks == ticks(key.start_ns)).then_some(resident.snapshot)
    }
}

impl Resident {
    /// All processes that run, at most `limit`.
    pub(super) fn all(proc: &Path, limit: usize) -> Vec<Self> {
        let entries = std::fs::read_dir(proc).into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter_map(|pid| Self::look(proc, pid)).take(limit).collect()
    }

    /// Looks at the process that has `pid` now.
    fn look(proc: &Path, pid: u32) -> Option<Self> {
        // An open directory of /proc stays with the process it was opened for.
        let dir = Dir::open(proc).ok()?.open_below(pid.to_string()).ok()?;
        let stat = || Stat::parse(&dir.read("stat", MAX_FILE).ok()?, pid);
        let before = stat()?;
        let exe = rustix::fs::readlinkat(dir.fd(), "exe", Vec::new())
            .ok()
            .and_then(|target| program(target.to_bytes()));
        let cgroups = dir.read("cgroup", MAX_FILE).ok()?;
        let cgroups = Membership::parse(&String::from_utf8_lossy(&cgroups));
        let uid = dir.read("status", MAX_FILE).ok().and_then(|status| real_uid(&status));
        // What a process has that is just ending is not what it had.
        let Stat { parent, leads_terminal, start } = stat()?;
        let snapshot = Snapshot { exe, cgroups, uid, leads_terminal };
        (start == before.start).then_some(Self { pid, ticks: start, parent, snapshot })
    }
}

/// A path as the kernel gives it, without its mark of a program that was deleted or replaced while
/// it ran.
pub(super) fn program(path: &[u8]) -> Option<String> {
    let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
    (1..=MAX_EXE).contains(&path.len()).then(|| String::from_utf8_lossy(path).into_owned())
}

impl Stat {
    /// Fields 3, 4, 6, 7 and 22 of `/proc/PID/stat`, unless the process has ended and only waits for its
    /// parent to notice. (It has no program then, and v1 hierarchies say that it is in their root.) The
    /// program's name, which it chooses itself, stands before them in parentheses and may contain any.
    fn parse(stat: &[u8], pid: u32) -> Option<Self> {
        let name_end = stat.iter().rposition(|&b| b == b')')?;
        let mut fields = std::str::from_utf8(&stat[name_end + 1..]).ok()?.split_ascii_whitespace();
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        let session = fields.nth(1)?;
        let terminal = fields.next()?;
        let start = fields.nth(22 - 8)?.parse().ok()?;
        let leads_terminal = terminal != "0" && session.parse() == Ok(pid);
        (!matches!(state, "Z" | "X")).then_some(Self { parent, leads_terminal, start })
    }
}

/// The first of the four in `/proc/PID/status`. Its first line has the program's name, in which the kernel
/// escapes line breaks.
fn real_uid(status: &[u8]) -> Option<u32> {
    let text = String::from_utf8_lossy(status);
    let line = text.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
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
        let parse = |text: &str| Stat::parse(text.as_bytes(), 7);
        let expected = Stat { parent: 1, leads_terminal: false, start: 158_764 };
        assert_eq!(parse(STAT), Some(expected));
        assert_eq!(parse(&STAT.replace(") S", ") Z")), None);
        assert_eq!(parse("7 (a"), None);
        assert_eq!(parse("7 (a) S 1 2 3"), None);
        assert_eq!(real_uid(b"Name:\ta\\nUid:\t9\nUid:\t5\t6\t7\t8\n"), Some(5));
        assert_eq!(real_uid(b"Name:\ta\n"), None);
    }

    #[test]
    fn who_leads_the_session_of_a_terminal_is_known() {
        let leads = |text: &str, pid| Stat::parse(text.as_bytes(), pid).unwrap().leads_terminal;
        let on_terminal = STAT.replace(" 7 7 0 ", " 7 7 34816 ");
        assert!(leads(&on_terminal, 7));
        assert!(!leads(&on_terminal, 8), "another leads it");
        assert!(!leads(STAT, 7), "it has no terminal");
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
            let _ = Stat::parse(&stat, 7);
            let _ = real_uid(&stat);
            let _ = program(&stat);
        }
    }
}
