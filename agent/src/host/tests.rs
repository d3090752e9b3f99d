//! The whole room: once on a host made of files, once on the one that the tests run on.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command};

use tempfile::TempDir;
use weir_core::identity::{Rule, RuleSpec};

use super::cgroups::id_of;
use super::*;

const ID: &str = "3f29a1cc0b6d4e8f9a7b5c3d1e2f40516273849506a7b8c9d0e1f2a3b4c5d6e7";
const START_NS: u64 = 5_000_000_000;

fn namespace() -> Namespace {
    Namespace::new("example.org", "h1").unwrap()
}

fn identity(attribution: &Attribution) -> &str {
    attribution.identity.0.strip_prefix("spiffe://example.org/host/h1").unwrap()
}

fn key(pid: u32) -> ProcessKey {
    ProcessKey { pid, start_ns: START_NS }
}

/// A host made of files.
struct Fake {
    root: TempDir,
    host: Host,
}

impl Fake {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for directory in ["proc", "cgroup", "docker/containers"] {
            std::fs::create_dir_all(at(directory)).unwrap();
        }
        std::fs::write(at("cgroup/cgroup.controllers"), "").unwrap();
        std::fs::write(at("passwd"), "agent:x:1000:1000::/nowhere:/bin/sh\n").unwrap();
        let paths = Paths {
            proc: at("proc"),
            cgroup2: vec![at("cgroup")],
            passwd: at("passwd"),
            docker: at("docker"),
            containers_storage: at("storage"),
            containerd_tasks: at("tasks"),
            ..Paths::default()
        };
        Self { host: Host::new(namespace(), paths), root }
    }

    /// Starts a process, or moves it or has it execute another program. Returns its cgroup's id.
    fn run(&self, pid: u32, exe: &str, cgroup: &str) -> u64 {
        let directory = self.root.path().join("proc").join(pid.to_string());
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir(&directory).unwrap();
        let ticks = START_NS / 10_000_000;
        let stat = format!("{pid} (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 {ticks} 0");
        std::fs::write(directory.join("stat"), stat).unwrap();
        std::fs::write(directory.join("cgroup"), format!("0::{cgroup}\n")).unwrap();
        symlink(exe, directory.join("exe")).unwrap();
        self.cgroup(cgroup)
    }

    fn cgroup(&self, path: &str) -> u64 {
        let directory = self.root.path().join("cgroup").join(path.trim_start_matches('/'));
        std::fs::create_dir_all(&directory).unwrap();
        id_of(&directory)
    }

    fn end(&self, pid: u32) {
        std::fs::remove_dir_all(self.root.path().join("proc").join(pid.to_string())).unwrap();
    }

    fn see(&mut self, pid: u32, uid: u32, cgroup_id: u64) -> Attribution {
        self.host.attribution(&Sighting { key: key(pid), uid, cgroup_id })
    }
}

#[test]
fn a_living_process_is_named() {
    let mut fake = Fake::new();
    let service = fake.run(7, "/usr/bin/python3", "/system.slice/a.service");
    let seen = fake.see(7, 1000, service);
    assert_eq!(identity(&seen), "/unit/a.service");
    assert_eq!(seen.unit.as_deref(), Some("a.service"));
    assert_eq!(seen.process.exe.as_deref(), Some("/usr/bin/python3"));

    let session = fake.run(8, "/bin/sh", "/user.slice/user-1000.slice/session-1.scope");
    assert_eq!(identity(&fake.see(8, 1000, session)), "/user/agent");
    assert_eq!(identity(&fake.see(8, 1001, session)), "/user/uid-1001");
}

#[test]
fn a_container_has_the_name_that_its_runtime_wrote_down() {
    let mut fake = Fake::new();
    let directory = fake.root.path().join("docker/containers").join(ID);
    std::fs::create_dir(&directory).unwrap();
    let state = r#"{"Name":"/web","Config":{"Image":"shop:2"}}"#;
    std::fs::write(directory.join("config.v2.json"), state).unwrap();
    let cgroup = fake.run(7, "/app", &format!("/docker/{ID}"));
    let seen = fake.see(7, 0, cgroup);
    assert_eq!(identity(&seen), "/container/web");
    let container = seen.container.unwrap();
    assert_eq!(container.image.as_deref(), Some("shop:2"));
    assert_eq!(container.runtime.as_deref(), Some("docker"));
}

#[test]
fn a_process_that_has_gone_is_named_from_what_the_kernel_stamped() {
    let mut fake = Fake::new();
    let service = fake.cgroup("/system.slice/a.service");
    let seen = fake.see(7, 1000, service);
    assert_eq!(identity(&seen), "/unit/a.service");
    assert_eq!(seen.process, Process { pid: 7, exe: None, uid: 1000 });

    fake.host.executed(key(7), b"/usr/bin/curl");
    fake.host.exited(key(7));
    assert_eq!(fake.see(7, 1000, service).process.exe.as_deref(), Some("/usr/bin/curl"));
    assert_eq!(identity(&fake.see(7, 1000, u64::MAX)), "/user/agent", "its cgroup has gone, too");
}

#[test]
fn a_pid_that_another_process_has_by_now_tells_nothing() {
    let mut fake = Fake::new();
    fake.run(7, "/usr/bin/other", "/system.slice/other.service");
    let earlier = ProcessKey { pid: 7, start_ns: START_NS - 1_000_000_000 };
    let sighting = Sighting { key: earlier, uid: 1000, cgroup_id: u64::MAX };
    let seen = fake.host.attribution(&sighting);
    assert_eq!((identity(&seen), seen.process.exe.as_deref()), ("/user/agent", None));
}

#[test]
fn the_cgroup_that_the_kernel_stamped_counts_not_the_one_that_it_moved_to() {
    let mut fake = Fake::new();
    let before = fake.run(7, "/app", "/system.slice/a.service");
    fake.run(7, "/app", "/system.slice/b.service");
    assert_eq!(identity(&fake.see(7, 1000, before)), "/unit/a.service");
}

#[test]
fn a_forked_process_runs_its_parent_s_program_until_it_executes_another() {
    let mut fake = Fake::new();
    let service = fake.run(7, "/usr/bin/python3", "/system.slice/a.service");
    fake.host.forked(key(7), key(8));
    fake.host.forked(key(8), key(9));
    fake.host.executed(key(9), b"/usr/bin/curl");
    fake.end(7);
    for pid in [7, 8, 9] {
        fake.host.exited(key(pid));
    }
    let mut exe = |pid| fake.see(pid, 1000, service).process.exe;
    assert_eq!(exe(7).as_deref(), Some("/usr/bin/python3"));
    assert_eq!(exe(8).as_deref(), Some("/usr/bin/python3"));
    assert_eq!(exe(9).as_deref(), Some("/usr/bin/curl"));
    assert_eq!(exe(10), None);
}

#[test]
fn who_ran_before_us_is_known_after_it_ended() {
    let mut fake = Fake::new();
    let service = fake.run(7, "/usr/bin/bot", "/system.slice/a.service");
    fake.host.look_around();
    fake.end(7);
    fake.host.exited(key(7));
    let seen = fake.see(7, 1000, service);
    assert_eq!(seen.process.exe.as_deref(), Some("/usr/bin/bot"));
    assert_eq!(seen.workload.agent.unwrap().name, "bot");
}

#[test]
fn whom_a_process_works_for_is_known_after_all_in_between_have_ended() {
    let mut fake = Fake::new();
    let service = fake.run(7, "/usr/bin/bot", "/system.slice/a.service");
    fake.host.forked(key(7), key(8));
    fake.run(8, "/bin/sh", "/system.slice/a.service");
    fake.host.executed(key(8), b"/bin/sh");
    fake.host.forked(key(8), key(9));
    for pid in [7, 8] {
        fake.end(pid);
        fake.host.exited(key(pid));
    }
    fake.host.executed(key(9), b"/usr/bin/curl");
    let agent = fake.see(9, 1000, service).workload.agent.unwrap();
    assert_eq!((agent.name.as_str(), agent.pid, agent.depth), ("bot", 7, 2));
}

#[test]
fn a_pid_is_explained_as_its_calls_would_be() {
    let rule = |name: &str, all: &str| {
        let all = all.split(' ').map(|selector| selector.parse().unwrap()).collect();
        Rule::new(RuleSpec { name: Some(name.to_owned()), all, ..RuleSpec::default() }).unwrap()
    };
    let mut fake = Fake::new();
    let rules = Rules::new(vec![
        rule("other", "systemd:id:other.service"),
        rule("bot", "systemd:id:a.service unix:user:agent unix:path:/usr/bin/*"),
    ]);
    fake.host = std::mem::replace(&mut fake.host, Host::new(namespace(), Paths::default()))
        .with_rules(rules);
    let service = fake.run(7, "/usr/bin/python3", "/system.slice/a.service");
    let status = "Name:\tx\nUid:\t1000\t0\t0\t0\n";
    std::fs::write(fake.root.path().join("proc/7/status"), status).unwrap();
    let explained = fake.host.explain(7).unwrap();
    assert_eq!(explained.identity.0, "spiffe://example.org/workload/bot");
    assert_eq!(explained.resolved.0, "spiffe://example.org/host/h1/unit/a.service");
    assert_eq!(explained.rules.len(), 2);
    assert_eq!(explained.process.uid, 1000);
    assert_eq!(fake.see(7, 1000, service).identity, explained.identity);
    assert_eq!(fake.host.explain(8), None);
}

#[test]
fn where_v2_is_not_used_a_process_keeps_the_v1_cgroup_it_was_seen_in() {
    let mut fake = Fake::new();
    let root = fake.run(7, "/app", "/");
    let content = format!("4:memory:/docker/{ID}\n1:name=systemd:/docker/{ID}\n0::/\n");
    std::fs::write(fake.root.path().join("proc/7/cgroup"), content).unwrap();
    fake.host.executed(key(7), b"/app");
    fake.end(7);
    assert_eq!(identity(&fake.see(7, 0, root)), "/container/3f29a1cc0b6d");
}

/// A child of ours, ended and waited for at the end of the test.
struct Running(Child);

impl Running {
    fn start(program: &str, arguments: &[&str]) -> Self {
        Self(Command::new(program).args(arguments).spawn().unwrap())
    }

    fn sighting(&self, uid: u32, cgroup_id: u64) -> Sighting {
        Sighting { key: live_key(self.0.id()), uid, cgroup_id }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The key of a process that runs now, as far as `/proc` tells: to a clock tick.
fn live_key(pid: u32) -> ProcessKey {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks: u64 = fields.split(' ').nth(19).unwrap().parse().unwrap();
    ProcessKey { pid, start_ns: ticks * 10_000_000 + 9_999_999 }
}

/// Waits until a process runs `program`.
fn wait_for(pid: u32, program: &str) {
    let link = format!("/proc/{pid}/exe");
    for _ in 0..500 {
        if std::fs::read_link(&link).is_ok_and(|exe| exe.ends_with(program)) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{pid} never ran {program}");
}

#[test]
fn live_ourselves() {
    let mut host = Host::new(namespace(), Paths::default());
    let sighting =
        Sighting { key: live_key(std::process::id()), uid: 4_294_967_000, cgroup_id: u64::MAX };
    let seen = host.attribution(&sighting);
    let exe = std::env::current_exe().unwrap();
    assert_eq!(seen.process.exe.as_deref().map(Path::new), Some(exe.as_path()));
    assert!(seen.identity.0.starts_with("spiffe://example.org/host/h1/"));
}

#[test]
fn live_child_is_known_after_it_ended() {
    let mut host = Host::new(namespace(), Paths::default());
    let child = Running::start("sleep", &["60"]);
    wait_for(child.0.id(), "sleep");
    let sighting = child.sighting(0, u64::MAX);
    host.executed(sighting.key, b"sleep");
    drop(child);
    host.exited(sighting.key);
    let exe = host.attribution(&sighting).process.exe.unwrap();
    assert!(exe.ends_with("/sleep"), "{exe}");
}

#[test]
fn live_process_of_another_user() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let mut host = Host::new(namespace(), Paths::default());
    let child = Running::start("setpriv", &["--reuid", "54321", "--clear-groups", "sleep", "60"]);
    wait_for(child.0.id(), "sleep");
    let seen = host.attribution(&child.sighting(54321, u64::MAX));
    assert!(seen.process.exe.unwrap().ends_with("/sleep"));
    if seen.unit.is_none() && seen.container.is_none() {
        assert_eq!(seen.identity.0, "spiffe://example.org/host/h1/user/uid-54321");
    }
}

#[test]
fn live_process_says_what_it_runs_and_for_which_role() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("agent.sh");
    std::fs::write(&script, "read line\n").unwrap();
    let child = Command::new("sh")
        .arg(&script)
        .args(["--key", "sk-secret"])
        .env("AZURE_CLIENT_ID", "2c48913c")
        .env("AZURE_CLIENT_SECRET", "secret")
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let child = Running(child);
    let mut host = Host::new(namespace(), Paths::default());
    let sighting = child.sighting(0, u64::MAX);
    let facts = known(&mut host, &sighting, |facts| facts.script.is_some());
    assert_eq!(facts.script.as_deref(), script.to_str());
    let role = ("AZURE_CLIENT_ID", "2c48913c".to_owned());
    assert!(facts.cloud.iter().any(|(name, id)| (*name, id) == (role.0, &role.1)));
    assert!(!format!("{facts:?}").contains("secret"));
    assert_eq!(facts.gid, Some(rustix::process::getgid().as_raw()));
    assert!(facts.terminal.is_some());

    let mut forked = sighting;
    forked.key.pid = u32::MAX;
    host.forked(sighting.key, forked.key);
    assert_eq!(host.facts(&forked).script, facts.script, "until it executes something");
    host.executed(forked.key, b"/bin/true");
    assert_eq!(host.facts(&forked).script, None);
    drop(child);
    assert_eq!(host.facts(&sighting).script, facts.script, "it has ended since");
}

#[test]
fn live_program_is_known_by_its_content() {
    let database = tempfile::tempdir().unwrap();
    let child = Running::start("sleep", &["60"]);
    wait_for(child.0.id(), "sleep");
    let exe = std::fs::read_link(format!("/proc/{}/exe", child.0.id())).unwrap();
    let list = format!("{}\n", exe.display());
    std::fs::create_dir(database.path().join("info")).unwrap();
    std::fs::write(database.path().join("info/sleepers:amd64.list"), list).unwrap();
    std::fs::write(database.path().join("status"), "").unwrap();
    let paths = Paths { dpkg: database.path().to_owned(), ..Paths::default() };
    let sighting = child.sighting(0, u64::MAX);
    let mut host = Host::new(namespace(), paths.clone());
    assert_eq!(host.facts(&sighting).exe_sha256, None, "nobody wants to know");
    let all = ["unix:uid:1".parse().unwrap(), "package:sleepers".parse().unwrap()].into();
    let rule = Rule::new(RuleSpec { all, ..RuleSpec::default() }).unwrap();
    let mut host = Host::new(namespace(), paths).with_rules(Rules::new(vec![rule]));
    let facts = known(&mut host, &sighting, |facts| facts.exe_sha256.is_some());
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::digest(std::fs::read(&exe).unwrap());
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(facts.exe_sha256, Some(digits));
    assert_eq!(facts.package.as_deref(), Some("sleepers"));
}

/// The facts, once what is wanted is among them: a machine under load may be late with hints.
fn known(
    host: &mut Host,
    sighting: &Sighting,
    is_known: impl Fn(&ProcessFacts) -> bool,
) -> ProcessFacts {
    for _ in 0..100 {
        let facts = host.facts(sighting);
        if is_known(&facts) {
            return facts;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("never known");
}

/// Puts pages over its own arguments that never come, says so and waits.
const HOLDS_ITS_ARGUMENTS_BACK: &str = r"
import ctypes, fcntl, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
stat = open('/proc/self/stat').read().rsplit(') ', 1)[1].split(' ')
start = int(stat[45]) & ~4095
fault = libc.syscall(323, 0o2000000)
if fault < 0:
    print('unsupported', flush=True); sys.exit()
fcntl.ioctl(fault, 0xc018aa3f, bytearray(struct.pack('QQQ', 0xaa, 0, 0)))
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
size = 4096
sys.stdout.flush()
if libc.mmap(start, size, 3, 0x32, -1, 0) != start:
    print('unsupported', flush=True); sys.exit()
fcntl.ioctl(fault, 0xc020aa00, bytearray(struct.pack('QQQQ', start, size, 1, 0)))
print('held', flush=True)
sys.stdin.readline()
";

#[test]
#[cfg(target_arch = "x86_64")]
fn live_process_that_holds_its_arguments_back_holds_nobody_up() {
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;
    let started = Command::new("python3")
        .args(["-c", HOLDS_ITS_ARGUMENTS_BACK])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut started) = started else { return };
    let output = started.stdout.take().unwrap();
    let child = Running(started);
    let mut said = String::new();
    BufReader::new(output).read_line(&mut said).unwrap();
    if said != "held\n" {
        println!("skipped: no userfaultfd");
        return;
    }
    let mut host = Host::new(namespace(), Paths::default());
    let sighting = child.sighting(0, u64::MAX);
    let begun = std::time::Instant::now();
    let held = host.facts(&sighting);
    let once = begun.elapsed();
    for _ in 0..100 {
        host.facts(&sighting);
    }
    let all = begun.elapsed();
    assert_eq!((held.script, held.cloud.len()), (None, 0));
    assert!(held.process.exe.unwrap().contains("python3"), "what the kernel says is known");
    println!("waited {once:?} once, {all:?} for a hundred more");
    assert!(all < std::time::Duration::from_millis(1000), "{once:?}, {all:?}");
}

#[test]
fn live_cgroup_is_found_by_its_id() {
    let root = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        .map(Path::new)
        .into_iter()
        .find(|root| root.join("cgroup.controllers").is_file());
    let name = format!("weir-test-{}.service", std::process::id());
    let Some(cgroup) = root.map(|root| root.join(&name)) else { return };
    if std::fs::create_dir(&cgroup).is_err() {
        return;
    }
    let mut host = Host::new(namespace(), Paths::default());
    let child = Running::start("sleep", &["60"]);
    let moved = std::fs::write(cgroup.join("cgroup.procs"), child.0.id().to_string());
    let sighting = child.sighting(0, id_of(&cgroup));
    let alive = host.attribution(&sighting);
    drop(child);
    std::fs::remove_dir(&cgroup).unwrap();
    moved.unwrap();
    assert_eq!(alive.unit.as_deref(), Some(name.as_str()));
    assert_eq!(host.attribution(&sighting).unit.as_deref(), Some(name.as_str()), "gone by now");
}
