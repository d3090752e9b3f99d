//! Ten thousand processes that share a hundred pids: what is known of one is never said of another.
//!
//! Needs root and a kernel whose `pid_max` is each pid namespace's own (Linux 6.14). Without them the test
//! says so and passes, unless the environment has `WEIR_E2E=require`.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may fail as tests do")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use weir::host::{Host, Paths, Sighting};
use weir_core::identity::{Namespace, ProcessFacts};
use weir_core::units::ProcessKey;

/// Set for the process that runs inside the namespace.
const INSIDE: &str = "WEIR_TEST_INSIDE";
/// The kernel gives pids from 300 on, once it has begun anew (`RESERVED_PIDS`).
const PID_MAX: &str = "400";
const PROGRAMS: usize = 7;

fn is_required() -> bool {
    std::env::var("WEIR_E2E").as_deref() == Ok("require")
}

/// Why the test can't run here.
fn obstacle() -> Option<&'static str> {
    let release = rustix::system::uname();
    let mut numbers = release.release().to_str().unwrap().split(['.', '-']);
    let mut number = || numbers.next().and_then(|number| number.parse::<u32>().ok()).unwrap_or(0);
    // On an older kernel the whole host would run out of pids.
    if (number(), number()) < (6, 14) {
        return Some("pid_max is the whole host's before Linux 6.14");
    }
    (!rustix::process::geteuid().is_root()).then_some("not root")
}

#[test]
fn what_is_known_of_a_process_is_never_said_of_the_next_with_its_pid() {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    if let Some(obstacle) = obstacle() {
        assert!(!is_required(), "{obstacle}");
        println!("skipped: {obstacle}");
        return;
    }
    let ended = Command::new("unshare")
        .args(["--pid", "--fork", "--mount-proc", "--kill-child"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("what_is_known_of_a_process_is_never_said_of_the_next_with_its_pid")
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(ended.success());
}

/// A process that waits for its input to end.
struct Running {
    child: Child,
    key: ProcessKey,
    program: usize,
}

/// Programs that differ in nothing but their path.
struct Programs(tempfile::TempDir);

impl Programs {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let programs = Self(directory);
        for program in 0..PROGRAMS {
            std::fs::copy("/bin/cat", programs.path(program)).unwrap();
        }
        programs
    }

    fn path(&self, program: usize) -> PathBuf {
        self.0.path().join(format!("p{program}"))
    }

    fn start(&self, program: usize) -> Running {
        let child = Command::new(self.path(program))
            .env("AWS_ROLE_ARN", format!("role-{program}"))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let key = ProcessKey { pid: child.id(), start_ns: start_ticks(child.id()) * 10_000_000 };
        Running { child, key, program }
    }

    /// What is known is of this program, or absent.
    #[track_caller]
    fn check(&self, facts: &ProcessFacts, program: usize, how: &str) -> [bool; 2] {
        let exe = facts.process.exe.as_deref();
        let own = self.path(program);
        assert!(exe.is_none_or(|exe| Path::new(exe) == own), "{how}: {exe:?} is not {own:?}");
        let role = facts.cloud.get("AWS_ROLE_ARN");
        let own = format!("role-{program}");
        assert!(role.is_none_or(|role| *role == own), "{how}: {role:?} is not {own}");
        [exe.is_some(), role.is_some()]
    }
}

fn start_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    fields.split(' ').nth(19).unwrap().parse().unwrap()
}

fn inside() {
    std::fs::write("/proc/sys/kernel/pid_max", PID_MAX).unwrap();
    let processes = if is_required() { 10_000 } else { 1_000 };
    let namespace = Namespace::new("example.org", "h1").unwrap();
    let new_host = || Host::new(namespace.clone(), Paths::default());
    // One that notes processes as they come and go, and one that only ever hears of those that went.
    let (mut host, mut late) = (new_host(), new_host());
    let programs = Programs::new();
    let facts = |host: &mut Host, key| host.facts(&Sighting { key, uid: 0, cgroup_id: u64::MAX });
    let mut before: HashMap<u32, (ProcessKey, usize)> = HashMap::new();
    let (mut reused, mut indistinct) = (0, 0);
    let mut known = [0; 2];
    let mut took = [Duration::ZERO; 3];
    for count in 0..processes {
        let Running { mut child, key, program } = programs.start(count % PROGRAMS);
        let filename = programs.path(program);
        let begun = Instant::now();
        host.executed(key, filename.as_os_str().as_encoded_bytes());
        took[0] += begun.elapsed();
        let begun = Instant::now();
        let first = facts(&mut host, key);
        took[1] += begun.elapsed();
        let seen = programs.check(&first, program, "while it runs");
        let begun = Instant::now();
        facts(&mut host, key);
        took[2] += begun.elapsed();
        for (known, seen) in known.iter_mut().zip(seen) {
            *known += usize::from(seen);
        }
        if let Some((earlier, its_program)) = before.insert(key.pid, (key, program)) {
            reused += 1;
            if earlier.start_ns == key.start_ns {
                // The kernel tells others no more of a start than its tick of 10 ms.
                indistinct += 1;
            } else {
                programs.check(&facts(&mut host, earlier), its_program, "an earlier one");
                let seen = programs.check(&facts(&mut late, earlier), its_program, "never seen");
                assert_eq!(seen, [false; 2], "it is gone, and another has its pid");
            }
        }
        drop(child.stdin.take());
        child.wait().unwrap();
        host.exited(key);
        let seen = programs.check(&facts(&mut host, key), program, "after it ended");
        assert!(seen[0], "the program that it ran was noted");
    }
    println!(
        "{processes} processes, {reused} with the pid of an earlier one, {indistinct} in the same tick; \
         program known of {}, role of {} while they ran",
        known[0], known[1]
    );
    let each = took.map(|took| took / u32::try_from(processes).unwrap());
    println!("an exec took {:?}, the first facts {:?}, the next {:?}", each[0], each[1], each[2]);
    assert!(reused > processes / 2 && indistinct < processes / 100);
    assert!(known[0] == processes && known[1] > 0);
}
