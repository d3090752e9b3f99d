//! What `/proc` tells of a process while it lives.

use std::path::Path;

use weir_core::identity::Membership;
use weir_core::units::ProcessKey;

use super::files::Dir;

/// Most bytes of `stat` and of `cgroup` that are read; both are far shorter.
const MAX_FILE: usize = 64 * 1024;
/// Longest path of a program that is kept, in bytes (`PATH_MAX`).
pub(super) const MAX_EXE: usize = 4096;

/// What the kernel says of a process beside its program and its cgroups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// Its real user, in the initial user namespace.
    pub(super) uid: Option<u32>,
    /// Its real group, likewise.
    pub(super) gid: Option<u32>,
    /// Who logged in, as far as the kernel keeps it.
    pub(super) login_uid: Option<u32>,
    /// Whether it has a controlling terminal.
    pub(super) terminal: Option<bool>,
    /// It leads the session of one.
    pub(super) leads_terminal: bool,
}

/// What was seen of a process at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// Its program's path in its own mount namespace.
    pub(super) exe: Option<String>,
    /// Its cgroups.
    pub(super) cgroups: Membership,
    /// What else the kernel says.
    pub(super) standing: Standing,
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

/// The directory that procfs has of a process. An open one stays with the process it was opened for.
pub(super) struct Opened {
    pub(super) dir: Dir,
    pid: u32,
    start: u64,
}

impl Opened {
    /// Opens the directory of a process; `None` if it has ended, even if another has its pid by now.
    pub(super) fn of(proc: &Path, key: ProcessKey) -> Option<Self> {
        Self::at(proc, key.pid).filter(|opened| opened.start == ticks(key.start_ns))
    }

    /// Opens the directory of the process that has `pid` now.
    fn at(proc: &Path, pid: u32) -> Option<Self> {
        let dir = Dir::open(proc).ok()?.open_below(pid.to_string()).ok()?;
        let start = Stat::parse(&dir.read("stat", MAX_FILE).ok()?, pid)?.start;
        Some(Self { dir, pid, start })
    }

    /// What it is now; `None` if it has ended.
    pub(super) fn stat(&self) -> Option<Stat> {
        let stat = Stat::parse(&self.dir.read("stat", MAX_FILE).ok()?, self.pid)?;
        (stat.start == self.start).then_some(stat)
    }
}

impl Snapshot {
    /// Looks at a process; `None` if it has ended, even if another has its pid by now.
    pub(super) fn take(proc: &Path, key: ProcessKey) -> Option<Self> {
        Self::of(&Opened::of(proc, key)?).map(|(snapshot, _stat)| snapshot)
    }

    /// Reads nothing that waits for the process: `stat`, `status`, `loginuid`, `cgroup` and the `exe`
    /// link are the kernel's own, unlike `cmdline` and `environ`, whose pages a process can make us
    /// wait for.
    fn of(process: &Opened) -> Option<(Self, Stat)> {
        let dir = &process.dir;
        let exe = rustix::fs::readlinkat(dir.fd(), "exe", Vec::new())
            .ok()
            .and_then(|target| program(target.to_bytes()));
        let cgroups = dir.read("cgroup", MAX_FILE).ok()?;
        let cgroups = Membership::parse(&String::from_utf8_lossy(&cgroups));
        let status = dir.read("status", MAX_FILE).ok();
        let first = |name| status.as_ref().and_then(|status| first_id(status, name));
        let login_uid = dir.read("loginuid", 64).ok().and_then(|uid| login_uid(&uid));
        // What a process has that is just ending is not what it had.
        let stat = process.stat()?;
        let standing = Standing {
            uid: first("Uid:"),
            gid: first("Gid:"),
            login_uid,
            terminal: Some(stat.has_terminal),
            leads_terminal: stat.leads_terminal,
        };
        Some((Self { exe, cgroups, standing }, stat))
    }
}

impl Resident {
    /// All processes that run, at most `limit`.
    pub(super) fn all(proc: &Path, limit: usize) -> Vec<Self> {
        let entries = std::fs::read_dir(proc).into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter_map(|pid| Self::look(proc, pid)).take(limit).collect()
    }

    /// Its key, as far as `/proc` tells: to a clock tick.
    pub(super) fn key(&self) -> ProcessKey {
        let start_ns = self.ticks.saturating_mul(tick_ns());
        ProcessKey { pid: self.pid, start_ns }
    }

    /// The process that has `pid` now; `None` if none has.
    pub(super) fn look(proc: &Path, pid: u32) -> Option<Self> {
        let (snapshot, Stat { parent, start, .. }) = Snapshot::of(&Opened::at(proc, pid)?)?;
        Some(Self { pid, ticks: start, parent, snapshot })
    }
}

/// A path as the kernel gives it, without its mark of a program that was deleted or replaced while
/// it ran.
pub(super) fn program(path: &[u8]) -> Option<String> {
    let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
    (1..=MAX_EXE).contains(&path.len()).then(|| String::from_utf8_lossy(path).into_owned())
}

/// What is read of `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// When it started, in clock ticks since boot.
    start: u64,
    parent: u32,
    /// Whether it has a controlling terminal.
    pub(super) has_terminal: bool,
    leads_terminal: bool,
}

impl Stat {
    /// Fields 3, 4, 6, 7 and 22 of that of the process `pid`, unless it has ended and only waits for its
    /// parent to notice. (It has no program then, and v1 hierarchies say that it is in their root.) The
    /// program's name, which it chooses itself, stands before them in parentheses and may contain any.
    fn parse(stat: &[u8], pid: u32) -> Option<Self> {
        let name_end = stat.iter().rposition(|&b| b == b')')?;
        let mut fields = std::str::from_utf8(&stat[name_end + 1..]).ok()?.split_ascii_whitespace();
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        let session = fields.nth(1)?;
        let has_terminal = fields.next()?.parse::<i64>().ok()? != 0;
        let start = fields.nth(22 - 8)?.parse().ok()?;
        let leads_terminal = has_terminal && session.parse() == Ok(pid);
        let is_alive = !matches!(state, "Z" | "X");
        is_alive.then_some(Self { start, parent, has_terminal, leads_terminal })
    }
}

/// The first number of the line `Uid:` or `Gid:` of `/proc/PID/status`: the real one, in the user namespace
/// of whoever opened the file. The name, which the process chooses, is escaped there and can't forge a line.
fn first_id(status: &[u8], line: &str) -> Option<u32> {
    let status = String::from_utf8_lossy(status);
    let ids = status.lines().find_map(|text| text.strip_prefix(line))?;
    ids.split_ascii_whitespace().next()?.parse().ok()
}

/// `/proc/PID/loginuid`: the uid that somebody logged in with. -1 stands for nobody.
fn login_uid(content: &[u8]) -> Option<u32> {
    let uid = std::str::from_utf8(content).ok()?.trim_ascii_end().parse().ok()?;
    (uid != u32::MAX).then_some(uid)
}

/// Nanoseconds as the kernel turns them into clock ticks: rounded down (`nsec_to_clock_t`), so that
/// the ticks of a key and of `/proc` are equal and not merely near.
pub(super) fn ticks(ns: u64) -> u64 {
    ns / tick_ns()
}

/// How long a clock tick takes, in nanoseconds.
fn tick_ns() -> u64 {
    1_000_000_000 / rustix::param::clock_ticks_per_second().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STAT: &str = "7 (a) b) (c) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 158764 3 4 5";

    #[test]
    fn a_name_can_not_forge_a_start_time() {
        let start = |stat: &[u8]| Stat::parse(stat, 7).map(|stat| stat.start);
        assert_eq!(start(STAT.as_bytes()), Some(158_764));
        assert_eq!(start(STAT.replace(") S", ") Z").as_bytes()), None);
        assert_eq!(start(b"7 (a"), None);
        assert_eq!(start(b"7 (a) S 1 2 3"), None);
    }

    #[test]
    fn a_terminal_group_and_login_are_the_kernel_s_word() {
        let terminal = |stat: &str| Stat::parse(stat.as_bytes(), 7).unwrap().has_terminal;
        assert!(!terminal(STAT));
        assert!(terminal(&STAT.replace("7 7 0 -1", "7 7 34816 7")));
        assert!(!terminal(&STAT.replace("(c)", "(1 1 1 34816)")));
        for (status, gid) in [
            ("Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t1000\t5\t6\t7\n", Some(1000)),
            ("Name:\tGid:\\n7\nGid:\t8\t8\t8\t8\n", Some(8)),
            ("Gid:\n", None),
            ("Gid:\t-1\n", None),
            ("", None),
        ] {
            assert_eq!(first_id(status.as_bytes(), "Gid:"), gid, "{status:?}");
        }
        for (content, uid) in
            [("1000", Some(1000)), ("0\n", Some(0)), ("4294967295", None), ("", None), ("x", None)]
        {
            assert_eq!(login_uid(content.as_bytes()), uid, "{content:?}");
        }
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
            let _ = first_id(&stat, "Uid:");
            let _ = login_uid(&stat);
            let _ = program(&stat);
        }
    }
}
