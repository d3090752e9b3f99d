//! The probes on a real kernel and a real TLS library: trigger, then the expected event.
//!
//! Needs the privilege to load probes. Without it each test says so and passes, unless the
//! environment has `WEIR_E2E=require`.

#![expect(clippy::panic, clippy::unwrap_used, reason = "the helpers of tests may fail as tests do")]

#[path = "capture/flows.rs"]
mod flows;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use weir::capture::{Capture, CaptureError, Drain, Event, Options, Outcome};
use weir_core::pipeline::Steering;
use weir_core::units::{ConnectionId, Direction};

/// One test at a time: all see the whole host.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

#[derive(Clone, Debug, Default)]
struct Seen {
    /// What was copied, each piece at its offset.
    pieces: Vec<(u64, Vec<u8>)>,
}

impl Seen {
    fn bytes(&self) -> usize {
        self.pieces.iter().map(|(_, data)| data.len()).sum()
    }

    /// All of it, if it has neither holes nor overlaps.
    fn whole(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for (offset, data) in &self.pieces {
            assert_eq!(*offset, all.len() as u64, "a hole or an overlap");
            all.extend_from_slice(data);
        }
        all
    }
}

struct Probes {
    capture: Capture,
    drain: Drain,
    streams: BTreeMap<(ConnectionId, bool), Seen>,
    closed: Vec<(ConnectionId, u64, u64)>,
    executed: Vec<Vec<u8>>,
    exited: Vec<u32>,
    _alone: MutexGuard<'static, ()>,
}

impl Probes {
    fn start() -> Option<Self> {
        Self::start_with(Options::default())
    }

    fn start_with(options: Options) -> Option<Self> {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let options = Options { ring_bytes: 64 << 20, ..options };
        match Capture::start(&options) {
            Ok((capture, drain)) => Some(Self {
                capture,
                drain,
                streams: BTreeMap::new(),
                closed: Vec::new(),
                executed: Vec::new(),
                exited: Vec::new(),
                _alone: alone,
            }),
            Err(error @ CaptureError::NoPrivilege { .. })
                if std::env::var("WEIR_E2E").as_deref() != Ok("require") =>
            {
                println!("skipped: {error}");
                None
            }
            Err(error) => panic!("{error:?}"),
        }
    }

    /// Reads what is there, until nothing has come for a moment.
    fn settle(&mut self) {
        let mut quiet_since = Instant::now();
        while quiet_since.elapsed() < Duration::from_millis(100) {
            self.drain.wait(Some(Duration::from_millis(20))).unwrap();
            let Self { drain, streams, closed, executed, exited, .. } = self;
            let mut of_interest = false;
            drain.drain(|event| match event {
                Event::Segment { connection, direction, offset, data, .. } => {
                    of_interest = true;
                    let way = direction == Direction::Write;
                    let seen = streams.entry((connection, way)).or_default();
                    seen.pieces.push((offset, data.to_vec()));
                }
                Event::Closed { connection, read_total, write_total, .. } => {
                    closed.push((connection, read_total, write_total));
                }
                Event::Executed { path, .. } => executed.push(path.to_vec()),
                Event::Exited { process, .. } => exited.push(process.pid),
                Event::Forked { .. } | Event::Loaded { .. } => {}
            });
            if of_interest {
                quiet_since = Instant::now();
            }
        }
    }

    fn of(&self, pid: u32, direction: Direction) -> Vec<(ConnectionId, Seen)> {
        let way = direction == Direction::Write;
        self.streams
            .iter()
            .filter(|((connection, written), _)| connection.process.pid == pid && *written == way)
            .map(|((connection, _), seen)| (*connection, seen.clone()))
            .collect()
    }

    fn lost_bytes(&self) -> u64 {
        self.capture.status().losses.iter().map(|loss| loss.bytes).sum()
    }

    fn lost(&self) -> u64 {
        self.capture.status().losses.iter().map(|loss| loss.records).sum()
    }
}

struct Client {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    _folder: tempfile::TempDir,
}

impl Client {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=localhost", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&cert)
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success());
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/capture/client.py");
        let mut child = Command::new(python())
            .arg(script)
            .args([&cert, &key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, input, output: BufReader::new(output), _folder: folder }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn say(&mut self, command: &str) {
        writeln!(self.input, "{command}").unwrap();
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        assert_eq!(answer, "done\n", "{command}");
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// The interpreter itself: a wrapper script would be the child whose pid we know.
fn python() -> String {
    let found = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
    String::from_utf8(found.unwrap().stdout).unwrap().trim().to_owned()
}

#[test]
fn every_length_is_carried_whole() {
    let Some(mut probes) = Probes::start() else { return };
    for length in [1, 255, 256, 257, 1023, 1024, 1025, 16383, 16384, 16385, 100_000, 16 << 20] {
        let mut client = Client::start();
        client.say("write 0");
        client.say(&format!("write {length}"));
        probes.settle();
        for direction in [Direction::Read, Direction::Write] {
            let seen = probes.of(client.pid(), direction);
            assert_eq!(seen.len(), 1, "{length} {direction:?}");
            let whole = seen[0].1.whole();
            assert_eq!(whole.len(), length, "{direction:?}");
            assert!(whole.starts_with(&b"POST "[..length.min(5)]));
        }
    }
    assert_eq!(probes.lost(), 0);
}

/// As before Linux 6.6.
#[test]
fn probes_with_a_link_each_see_the_same() {
    let Some(mut probes) = Probes::start_with(Options { multi: false, ..Options::default() })
    else {
        return;
    };
    let mut client = Client::start();
    client.say("write 0");
    client.say("write 100000");
    probes.settle();
    for direction in [Direction::Read, Direction::Write] {
        let seen = probes.of(client.pid(), direction);
        assert_eq!(seen.len(), 1, "{direction:?}");
        assert_eq!(seen[0].1.whole().len(), 100_000, "{direction:?}");
    }
    assert_eq!(probes.lost(), 0);
}

#[test]
fn a_process_that_was_there_before_is_seen() {
    let mut client = Client::start();
    client.say("open");
    let Some(mut probes) = Probes::start() else { return };
    client.say("more 3000");
    probes.settle();
    assert_eq!(probes.of(client.pid(), Direction::Write).len(), 2);
}

#[test]
fn what_is_not_http_is_not_copied() {
    let Some(mut probes) = Probes::start() else { return };
    let mut client = Client::start();
    client.say("plain 5000");
    probes.settle();
    assert!(probes.of(client.pid(), Direction::Write).is_empty());
    assert!(probes.of(client.pid(), Direction::Read).is_empty());
}

#[test]
fn a_retried_write_is_seen_once() {
    let Some(mut probes) = Probes::start() else { return };
    let mut client = Client::start();
    client.say("retry");
    probes.settle();
    let seen = probes.of(client.pid(), Direction::Write);
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].1.whole().len(), 40_000);
}

#[test]
fn a_reused_address_is_a_new_connection() {
    let Some(mut probes) = Probes::start() else { return };
    let mut client = Client::start();
    client.say("two");
    probes.settle();
    let seen = probes.of(client.pid(), Direction::Write);
    let mut handles: Vec<_> = seen.iter().map(|(connection, _)| connection.handle).collect();
    handles.sort_unstable();
    let connections = handles.len();
    handles.dedup();
    assert!(handles.len() < connections, "an address was used twice");
    assert!(seen.iter().all(|(_, stream)| stream.whole() == b"POST /one"));
    let closed = probes.closed.iter().filter(|(id, ..)| id.process.pid == client.pid());
    assert!(closed.clone().all(|(_, read, written)| (*read, *written) == (0, 9)));
    assert_eq!(closed.count(), connections);
}

#[test]
fn a_library_of_another_name_is_found_when_it_is_loaded() {
    let Some(mut probes) = Probes::start() else { return };
    let mut client = Client::start();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("innocent.so");
    std::fs::copy(LIBSSL, &copy).unwrap();
    // The first word of the loader comes before the library can be used, but attaching takes a
    // moment; so the library is used twice.
    client.say(&format!("copy {}", copy.display()));
    probes.settle();
    std::thread::sleep(Duration::from_millis(200));
    client.say(&format!("copy {}", copy.display()));
    probes.settle();
    let status = probes.capture.status();
    let target = status.targets.iter().find(|target| target.path == copy.to_string_lossy());
    assert!(matches!(target.unwrap().outcome, Outcome::Attached { .. }));
    let seen = probes.of(client.pid(), Direction::Write);
    assert!(seen.iter().any(|(_, stream)| stream.whole() == b"POST /copied"));
}

/// Where the stack was at a call's first instruction is what tells a call from one inside it: each
/// site has to say how far it has moved.
#[cfg(target_arch = "x86_64")]
#[test]
fn calls_are_seen_wherever_their_sites_are() {
    // Linux before 5.15 has no way to say so, and no such sites.
    if !aya::features().bpf_cookie() {
        return;
    }
    let Some(mut probes) = Probes::start() else { return };
    let mut client = Client::start();
    let folder = tempfile::tempdir().unwrap();
    let library = library("sites.s", folder.path(), &["-nostdlib"]);
    // As above: attaching takes a moment.
    client.say(&format!("sites {}", library.display()));
    probes.settle();
    std::thread::sleep(Duration::from_millis(200));
    client.say(&format!("sites {}", library.display()));
    probes.settle();
    let status = probes.capture.status();
    let target = status.targets.iter().find(|target| target.path == library.to_string_lossy());
    let Outcome::Attached { functions, .. } = &target.unwrap().outcome else { panic!("attached") };
    let write = functions.iter().find(|function| function.symbol == "SSL_write").unwrap();
    assert_eq!(write.sites.entry.displacement, 8);
    let weir::capture::Exits::At(exits) = &write.sites.exits else { panic!("no return probe") };
    let depths: Vec<_> = exits.iter().map(|exit| exit.displacement).collect();
    assert_eq!(depths, [16, 8]);
    for (direction, expected) in
        [(Direction::Write, b"POST /sites".repeat(3)), (Direction::Read, b"GET /sites".repeat(3))]
    {
        let seen = probes.of(client.pid(), direction);
        let stream = seen.iter().find(|(connection, _)| connection.handle == 8192);
        assert_eq!(stream.unwrap().1.whole(), expected, "{direction:?}");
    }
    assert_eq!(probes.lost(), 0);
}

/// Compiles a library out of a file beside the client.
fn library(source: &str, folder: &Path, arguments: &[&str]) -> PathBuf {
    let library = folder.join(source).with_extension("so");
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/capture").join(source);
    let mut compiler = Command::new("cc");
    compiler.arg("-shared").args(arguments).arg("-o").arg(&library).arg(source);
    assert!(compiler.status().unwrap().success());
    library
}

#[test]
fn what_the_kernel_sends_of_a_file_is_a_hole() {
    let Some(mut probes) = Probes::start() else { return };
    let mut client = Client::start();
    let folder = tempfile::tempdir().unwrap();
    let library = library("file.c", folder.path(), &["-fPIC", "-O2"]);
    client.say(&format!("file {}", library.display()));
    probes.settle();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(probes.lost_bytes(), 0);
    client.say(&format!("file {}", library.display()));
    probes.settle();
    let seen = probes.of(client.pid(), Direction::Write);
    let stream = seen.iter().find(|(connection, _)| connection.handle == 8192);
    let expected = [(0, b"POST /file".to_vec()), (5010, b"the end".to_vec())];
    assert_eq!(stream.unwrap().1.pieces, expected);
    assert_eq!(probes.lost_bytes(), 5000);
}

#[test]
fn a_file_that_is_not_sent_is_no_hole() {
    let Some(mut probes) = Probes::start() else { return };
    let mut client = Client::start();
    client.say("sendfile");
    probes.settle();
    let seen = probes.of(client.pid(), Direction::Write);
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].1.whole(), b"POST /sentthe rest");
    assert_eq!(probes.lost(), 0);
}

const LIBSSL: &str = "/lib/x86_64-linux-gnu/libssl.so.3";

#[test]
fn a_library_that_was_deleted_is_probed() {
    let mut client = Client::start();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("gone.so");
    std::fs::copy(LIBSSL, &copy).unwrap();
    client.say(&format!("copy {}", copy.display()));
    std::fs::remove_file(&copy).unwrap();
    // Another one in its place, that nobody uses.
    std::fs::write(&copy, b"not a library").unwrap();
    let Some(mut probes) = Probes::start() else { return };
    client.say(&format!("copy {}", copy.display()));
    probes.settle();
    let status = probes.capture.status();
    let deleted = format!("{} (deleted)", copy.display());
    let target = status.targets.iter().find(|target| target.path == deleted);
    assert!(matches!(target.unwrap().outcome, Outcome::Attached { .. }));
    let seen = probes.of(client.pid(), Direction::Write);
    assert_eq!(seen.iter().filter(|(_, stream)| stream.whole() == b"POST /copied").count(), 1);
}

/// A file may be written to, and an inode that is free is soon another file's.
#[test]
fn a_file_that_has_become_a_library_is_probed() {
    let Some(mut probes) = Probes::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("changed.so");
    std::fs::copy("/lib/x86_64-linux-gnu/libm.so.6", &file).unwrap();
    let mut before = Client::start();
    before.say(&format!("load {}", file.display()));
    probes.settle();
    probes.capture.sweep();
    drop(before);
    std::fs::write(&file, std::fs::read(LIBSSL).unwrap()).unwrap();
    let mut client = Client::start();
    client.say(&format!("copy {}", file.display()));
    probes.settle();
    std::thread::sleep(Duration::from_millis(200));
    client.say(&format!("copy {}", file.display()));
    probes.settle();
    let seen = probes.of(client.pid(), Direction::Write);
    assert!(seen.iter().any(|(_, stream)| stream.whole() == b"POST /copied"));
}

/// What is mounted is unmounted when this is dropped.
struct Mount(PathBuf);

impl Mount {
    fn new(at: PathBuf, arguments: &[&str]) -> Self {
        let mount = Command::new("mount").args(arguments).arg(&at).status().unwrap();
        assert!(mount.success());
        Self(at)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // A process that is just ending may still use it.
        let _gone = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn one_file_in_several_places_is_probed_once() {
    let Some(mut probes) = Probes::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| {
        let place = folder.path().join(name);
        std::fs::create_dir_all(&place).unwrap();
        place
    };
    let original = place("original");
    std::fs::copy(LIBSSL, original.join("one.so")).unwrap();
    let lower = original.to_str().unwrap();
    let mut mounts = vec![Mount::new(place("bound"), &["--bind", lower])];
    for name in ["first", "second"] {
        let (upper, work) = (place(&format!("{name}-upper")), place(&format!("{name}-work")));
        let (upper, work) = (upper.display(), work.display());
        let layers = format!("lowerdir={lower},upperdir={upper},workdir={work}");
        mounts.push(Mount::new(place(name), &["-t", "overlay", "overlay", "-o", &layers]));
    }
    let say = |client: &mut Client, folder: &Path| {
        client.say(&format!("copy {}", folder.join("one.so").display()));
    };
    let mut clients = vec![Client::start()];
    say(&mut clients[0], &original);
    probes.settle();
    std::thread::sleep(Duration::from_millis(200));
    say(&mut clients[0], &original);
    for mount in &mounts {
        let mut client = Client::start();
        say(&mut client, &mount.0);
        clients.push(client);
    }
    probes.settle();
    probes.capture.sweep();
    let targets = probes.capture.status().targets;
    let here = targets.iter().filter(|target| target.path.ends_with("/one.so"));
    assert_eq!(here.count(), 1, "{targets:?}");
    for client in &clients[1..] {
        let seen = probes.of(client.pid(), Direction::Write);
        assert_eq!(seen.len(), 1, "seen from the first call on, and once");
        assert_eq!(seen[0].1.whole(), b"POST /copied");
    }
    // It stays probed as long as anybody uses it.
    clients.drain(..3);
    probes.capture.sweep();
    say(&mut clients[0], &mounts[2].0);
    probes.settle();
    assert_eq!(probes.of(clients[0].pid(), Direction::Write).len(), 2);
    assert_eq!(probes.lost(), 0);
}

#[test]
fn forked_workers_share_an_address_but_not_a_connection() {
    let Some(mut probes) = Probes::start() else { return };
    let mut client = Client::start();
    client.say("fork");
    probes.settle();
    let written: Vec<_> = probes
        .streams
        .iter()
        .filter(|((_, written), _)| *written)
        .map(|((connection, _), seen)| (connection.process.pid, seen.whole()))
        .collect();
    for expected in [&b"POST /parent"[..], b"POST /child0", b"POST /child1"] {
        let mut found = written.iter().filter(|(_, bytes)| bytes == expected);
        assert!(found.next().is_some(), "{written:?}");
        assert!(found.next().is_none());
    }
}

#[test]
fn steering_stops_the_copying_and_nothing_else() {
    let Some(mut probes) = Probes::start() else { return };
    let mut client = Client::start();
    client.say("open");
    client.say("more 1000");
    probes.settle();
    let [(first, one), (second, two)] = &probes.of(client.pid(), Direction::Write)[..] else {
        panic!("two ends")
    };
    let (ours, theirs) =
        if one.bytes() > two.bytes() { (*first, *second) } else { (*second, *first) };
    assert_eq!(probes.of(client.pid(), Direction::Read).len(), 2);

    // Reads are skipped until the next write, which comes first: so nothing is.
    probes.capture.steer(ours, Steering::SkipReadsUntilWriteBeyond(1010)).unwrap();
    client.say("more 1000");
    probes.settle();
    assert_eq!(probes.streams[&(ours, false)].bytes(), 2000);

    // An offset that the next write doesn't reach: its answer is skipped, and leaves a hole.
    probes.capture.steer(ours, Steering::SkipReadsUntilWriteBeyond(3010)).unwrap();
    client.say("more 1000");
    client.say("more 1000");
    probes.settle();
    let read = &probes.streams[&(ours, false)];
    assert_eq!(read.bytes(), 3000);
    assert_eq!(read.pieces.last().unwrap().0, 3000);

    probes.capture.steer(theirs, Steering::Ignore).unwrap();
    client.say("more 1000");
    probes.settle();
    assert_eq!(probes.streams[&(theirs, true)].bytes(), 4000);
    assert_eq!(probes.streams[&(ours, true)].bytes(), 5010);
}

#[test]
fn processes_are_followed_from_exec_to_exit() {
    let Some(mut probes) = Probes::start() else { return };
    let mut child = Command::new("/bin/true").spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    probes.settle();
    assert!(probes.executed.iter().any(|path| path == b"/bin/true"));
    assert!(probes.exited.contains(&pid));
}

#[test]
fn nothing_is_attached_twice() {
    let Some(probes) = Probes::start() else { return };
    probes.capture.sweep();
    let targets = probes.capture.status().targets;
    let mut files: Vec<_> = targets.iter().flat_map(|target| target.files.clone()).collect();
    files.sort_unstable();
    let count = files.len();
    files.dedup();
    assert_eq!(files.len(), count, "{targets:?}");
    assert!(targets.iter().any(|target| matches!(target.outcome, Outcome::Loader)), "{targets:?}");
}
