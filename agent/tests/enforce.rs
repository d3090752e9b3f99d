//! What blocks, on a real kernel: processes with connections, and what becomes of them.
//!
//! Needs the privilege to load probes, and a v2 hierarchy of cgroups. Without it each test says so and
//! passes, unless the environment has `WEIR_E2E=require`.

#![expect(clippy::panic, clippy::unwrap_used, reason = "the helpers of tests may fail as tests do")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use weir::capture::{
    Capture, CaptureError, Drain, End, Event, FlowEvent, Options as CaptureOptions, Place,
};
use weir::enforce::Enforcer;
use weir::ledger::{BlockDeed, Entry, Ledger, Options};
use weir_core::blind::Flow;
use weir_core::detect::{Block, Cause};
use weir_core::identity::IdentityId;
use weir_core::units::{ProcessKey, Timestamp};

/// Addresses of this host: a model endpoint, something else, and one that only a greeting shows.
const MODEL: &str = "127.0.0.2";
const OTHER: &str = "127.0.0.3";
const UNKNOWN: &str = "127.0.0.4";

/// One test at a time: all see the whole host.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// What runs, and is dropped in this order.
struct Room {
    enforcer: Enforcer,
    entries: Receiver<Entry>,
    drain: Drain,
    capture: Capture,
    _ledger: Ledger,
    _directory: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Room {
    fn start() -> Option<Self> {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let options = CaptureOptions { block: true, ..CaptureOptions::default() };
        let (capture, drain) = match Capture::start(&options) {
            Ok(started) => started,
            Err(error @ CaptureError::NoPrivilege { .. }) if !is_required() => {
                println!("skipped: {error}");
                return None;
            }
            Err(error) => panic!("{error:?}"),
        };
        let Some(gate) = capture.gate() else {
            assert!(!is_required(), "{:?}", capture.status().unblocked);
            println!("skipped: {:?}", capture.status().unblocked);
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let options = Options { retain_days: None, probe: None };
        let (ledger, _report) =
            Ledger::open(&directory.path().join("state"), Timestamp::now(), options).unwrap();
        let (sender, entries) = sync_channel(64);
        let model: IpAddr = MODEL.parse().unwrap();
        let enforcer = Enforcer::start(gate, [model], ledger.reader(), sender).unwrap();
        Some(Self {
            enforcer,
            entries,
            drain,
            capture,
            _ledger: ledger,
            _directory: directory,
            _alone: alone,
        })
    }

    /// Waits until the kernel has told that this process runs Python, and as what.
    fn executed(&mut self, pid: u32) -> (ProcessKey, Place) {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut found = None;
        while found.is_none() {
            assert!(Instant::now() < deadline, "nobody has told of {pid}");
            self.drain.wait(Some(Duration::from_millis(20))).unwrap();
            self.drain.drain(|event| {
                if let Event::Executed { process, path, stamp, .. } = event
                    && process.pid == pid
                    && String::from_utf8_lossy(path).contains("python")
                {
                    let place = Place { cgroup_id: stamp.cgroup_id, uid: stamp.uid, reserved: 0 };
                    found = Some((process, place));
                }
            });
        }
        found.unwrap()
    }

    /// Waits for the greeting of a process.
    fn greeted(&mut self, process: ProcessKey) -> Flow {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut found = None;
        while found.is_none() {
            assert!(Instant::now() < deadline, "nobody has told of a greeting");
            self.drain.wait(Some(Duration::from_millis(20))).unwrap();
            self.drain.drain_flows(|event| {
                if let FlowEvent::Greeted { flow, .. } = event
                    && flow.process == process
                {
                    found = Some(flow);
                }
            });
        }
        found.unwrap()
    }

    fn hold(&self, blocked: &[&str]) {
        let block = |name: &&str| Block {
            identity: IdentityId((*name).to_owned()),
            cause: Cause::Offboarded,
            since: Timestamp::UNIX_EPOCH,
            until: None,
            dry_run: false,
        };
        self.enforcer.hold(blocked.iter().map(block).collect(), Timestamp::now());
    }

    fn records(&self) -> Vec<(BlockDeed, String, u64, u64)> {
        let records = self.entries.try_iter().map(|entry| match entry {
            Entry::Block(record) => {
                let kept = record.kept;
                let identity = record.block.identity.0;
                (record.deed, identity, kept.connections_reset, kept.connections_refused)
            }
            other => panic!("{other:?}"),
        });
        records.collect()
    }
}

fn is_required() -> bool {
    std::env::var("WEIR_E2E").as_deref() == Ok("require")
}

/// Answers each byte with itself, at an address of this host.
fn echo(address: &str) -> SocketAddr {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let bound = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            thread::spawn(move || {
                let mut bytes = [0; 1024];
                while let Ok(length @ 1..) = stream.read(&mut bytes) {
                    if stream.write_all(&bytes[..length]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    bound
}

/// A process in a cgroup of its own, that does what it is told.
struct Client {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    cgroup: PathBuf,
}

/// `open NAME HOST PORT`, `ping NAME`, `greet NAME` and `hear NAME`: each is answered by `ok`, or by the
/// name of what went wrong.
const SCRIPT: &str = r#"
import socket, sys
sockets = {}
hello = bytes([22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3] + [7] * 32 + [0, 0, 2, 19, 1, 1, 0])
for line in sys.stdin:
    word, name, *where = line.split()
    try:
        if word == "open":
            sockets[name] = socket.create_connection((where[0], int(where[1])), timeout=5)
        elif word == "ping":
            sockets[name].sendall(b"x")
            if sockets[name].recv(1) != b"x":
                raise EOFError()
        elif word == "greet":
            sockets[name].sendall(hello)
        elif word == "hear":
            if not sockets[name].recv(1):
                raise EOFError()
        print("ok", flush=True)
    except Exception as error:
        print(type(error).__name__, flush=True)
"#;

impl Client {
    fn start(name: &str) -> Self {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mount = mounts.lines().find(|line| line.contains(" - cgroup2 ")).unwrap();
        let root = mount.split(' ').nth(4).unwrap();
        let own = format!("weir-test-{}-{name}", std::process::id());
        let cgroup = Path::new(root).join(own);
        std::fs::create_dir_all(&cgroup).unwrap();
        let procs = cgroup.join("cgroup.procs");
        let mut child = Command::new("sh")
            .args(["-c", "echo $$ > \"$0\" && exec python3 -c \"$1\""])
            .arg(&procs)
            .arg(SCRIPT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output, cgroup }
    }

    fn told(&mut self, command: &str) -> String {
        self.tell(command);
        self.answer()
    }

    fn tell(&mut self, command: &str) {
        writeln!(self.input, "{command}").unwrap();
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    #[track_caller]
    fn check(&mut self, command: &str, expected: &str) {
        assert_eq!(self.told(command), expected, "{command}");
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
        let _busy = std::fs::remove_dir(&self.cgroup);
    }
}

#[test]
fn one_identity_is_kept_from_model_endpoints_and_from_nothing_else() {
    let Some(mut room) = Room::start() else { return };
    let (model, other) = (echo(MODEL), echo(OTHER));
    let (mut blocked, mut free) = (Client::start("blocked"), Client::start("free"));
    for (client, name) in [(&mut blocked, "a"), (&mut free, "b")] {
        let (process, place) = room.executed(client.child.id());
        room.enforcer.seen(process, place, &IdentityId(name.to_owned()));
        client.check(&format!("open model {MODEL} {}", model.port()), "ok");
        client.check(&format!("open other {OTHER} {}", other.port()), "ok");
        client.check("ping model", "ok");
        client.check("ping other", "ok");
    }

    // It waits for an answer when its way is closed.
    blocked.tell("hear model");
    thread::sleep(Duration::from_millis(50));
    let began = Instant::now();
    room.hold(&["a"]);
    assert_eq!(blocked.answer(), "ConnectionAbortedError");
    let took = began.elapsed();
    println!("an open connection ended {took:?} after the word");
    assert!(took < Duration::from_millis(100), "{took:?}");
    blocked.check(&format!("open again {MODEL} {}", model.port()), "PermissionError");
    blocked.check("ping other", "ok");
    blocked.check(&format!("open more {OTHER} {}", other.port()), "ok");
    blocked.check("ping more", "ok");
    free.check("ping model", "ok");
    free.check(&format!("open again {MODEL} {}", model.port()), "ok");
    free.check("ping again", "ok");

    room.hold(&[]);
    blocked.check(&format!("open again {MODEL} {}", model.port()), "ok");
    blocked.check("ping again", "ok");
    let a = "a".to_owned();
    let expected = [(BlockDeed::Closed, a.clone(), 0, 0), (BlockDeed::Released, a, 1, 1)];
    assert_eq!(room.records(), expected);

    // Whoever blocks is gone.
    room.hold(&["a"]);
    blocked.check(&format!("open again {MODEL} {}", model.port()), "PermissionError");
    drop(room);
    blocked.check(&format!("open again {MODEL} {}", model.port()), "ok");
    blocked.check("ping again", "ok");
}

#[test]
fn who_is_not_judged_yet_waits_and_goes_on() {
    let Some(mut room) = Room::start() else { return };
    let unknown = echo(UNKNOWN);
    let mut client = Client::start("waits");
    let (process, place) = room.executed(client.child.id());
    // Another process was seen where this one is.
    let another = ProcessKey { pid: u32::MAX - 1, start_ns: 1 };
    room.enforcer.seen(another, place, &IdentityId("a".to_owned()));
    room.hold(&["a"]);
    client.check(&format!("open it {UNKNOWN} {}", unknown.port()), "ok");
    client.check("greet it", "ok");
    let flow = room.greeted(process);
    client.tell("hear it");
    thread::sleep(Duration::from_millis(100));
    assert!(room.enforcer.wonders(process, place));
    let began = Instant::now();
    room.enforcer.met(flow, End::Other);
    assert_eq!(client.answer(), "ok");
    println!("a greeting went on {:?} after the word", began.elapsed());

    // It is the one that is meant, and greets a model endpoint at an address that had other hosts.
    room.enforcer.seen(process, place, &IdentityId("a".to_owned()));
    client.check(&format!("open that {UNKNOWN} {}", unknown.port()), "ok");
    client.check("greet that", "ok");
    let flow = room.greeted(process);
    client.tell("hear that");
    let began = Instant::now();
    room.enforcer.met(flow, End::Model);
    let ended = client.answer();
    println!("a connection ended {:?} after the word", began.elapsed());
    assert!(matches!(ended.as_str(), "ConnectionAbortedError" | "ok"), "{ended}");
    assert_ne!(client.told("ping that"), "ok");
}

/// What isn't renewed ends by itself.
#[test]
fn nobody_is_blocked_by_one_who_hangs() {
    let Some(mut room) = Room::start() else { return };
    let model = echo(MODEL);
    let mut client = Client::start("lease");
    let (process, place) = room.executed(client.child.id());
    room.enforcer.seen(process, place, &IdentityId("a".to_owned()));
    room.hold(&["a"]);
    client.check(&format!("open it {MODEL} {}", model.port()), "PermissionError");
    let gate = room.capture.gate().unwrap();
    gate.lock().unwrap().close(Duration::from_millis(50)).unwrap();
    thread::sleep(Duration::from_millis(100));
    client.check(&format!("open it {MODEL} {}", model.port()), "ok");
}
