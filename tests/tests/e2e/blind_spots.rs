//! What is said of connections to model endpoints that nothing is read of, and that nothing is said of
//! those that something is read of.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread::sleep;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use weir_tests::harness::client::Stream;
use weir_tests::harness::{Daemon, Kind, Load, Scene, Who, wait_until};

use crate::canary::{KEY, PROMPT, clean, clean_files};
use crate::{Case, Play, case};

/// How long after its last byte a connection may go unmentioned.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

/// The server as the clients below call it, and as those of the matrix do.
const CONFIG: &str = "[blind_spots]\nhosts = [\"gateway.test\", \"localhost\"]\n";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("a_library_that_is_not_known_is_a_blind_spot", || unknown_library(1, 3)),
        case("a_process_that_ends_at_once_is_a_blind_spot", || unknown_library(3, 0)),
        case("rustls_on_ring_without_symbols_is_a_blind_spot", stripped_ring),
        case("java_is_a_blind_spot", java),
        case("what_is_read_is_no_blind_spot", read),
        case("what_is_read_hides_no_blind_spot", beside),
        case("quic_is_a_blind_spot", || quic("connected")),
        case("quic_from_any_socket_is_a_blind_spot", || quic("unconnected")),
        case("plain_http_is_a_blind_spot", plain_http),
        case("without_the_watch_no_blind_spot_is_told_of", off),
    ]
}

/// A daemon that knows the names of the server, and watches.
fn begin() -> anyhow::Result<Play> {
    let play = begin_with(CONFIG)?;
    let said = said_of_the_watch(&play.daemon)?;
    anyhow::ensure!(!said.contains("aren't watched"), "{said}");
    Ok(play)
}

fn said_of_the_watch(daemon: &Daemon) -> anyhow::Result<String> {
    let report = report(daemon)?;
    let checks = report["checks"].as_array().context("no checks")?;
    let check = checks.iter().find(|check| check["name"] == "blind spots");
    Ok(check.and_then(|check| check["detail"].as_str()).context("no check")?.to_owned())
}

fn begin_with(config: &str) -> anyhow::Result<Play> {
    let scene = Scene::start()?;
    let home = scene.directory().join("weir");
    let daemon = Daemon::start_searched(scene.place(), &home, config)?;
    Ok(Play { scene, daemon, callers: Vec::new(), unseen: 0 })
}

/// A client of ours that weir can't read; it is killed when this is dropped.
struct Unread(Child);

impl Unread {
    fn start(play: &Play, who: Who, program: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut command = who.command(program)?;
        command.args(arguments).env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
        command.current_dir(play.scene.directory());
        Ok(Self(command.spawn().with_context(|| format!("can't run {}", program.display()))?))
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn finish(mut self) -> anyhow::Result<()> {
        let status = self.0.wait()?;
        anyhow::ensure!(status.success(), "the client failed: {status}");
        Ok(())
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Where to, and what it is called: `count` calls, and `seconds` of silence after them.
fn target(play: &Play, count: u32, seconds: u32) -> anyhow::Result<Vec<String>> {
    let host = play.scene.server.host();
    let (_, port) = host.rsplit_once(':').context("no port")?;
    let authority = play.scene.directory().join("authority.pem");
    let authority = authority.to_str().context("a path that is no text")?;
    let count = count.to_string();
    let seconds = seconds.to_string();
    Ok(["127.0.0.1", port, "gateway.test", authority, &count, &seconds].map(str::to_owned).to_vec())
}

/// The one blind spot of a process.
fn spot_of(daemon: &Daemon, pid: u32) -> anyhow::Result<Option<Value>> {
    let mut spots = spots(daemon)?.into_iter().filter(|spot| spot["process"]["pid"] == pid);
    let spot = spots.next();
    anyhow::ensure!(spots.next().is_none(), "more than one row of process {pid}");
    Ok(spot)
}

fn report(daemon: &Daemon) -> anyhow::Result<Value> {
    Ok(serde_json::from_str(&daemon.said(&["doctor", "--format", "json"])?)?)
}

fn spots(daemon: &Daemon) -> anyhow::Result<Vec<Value>> {
    let report = report(daemon)?;
    Ok(report["blind_spots"].as_array().context("no blind spots in the report")?.clone())
}

fn wait_for(daemon: &Daemon, pid: u32) -> anyhow::Result<Value> {
    let mut found = None;
    wait_until("a blind spot", TOLD_WITHIN, || {
        found = spot_of(daemon, pid)?;
        Ok(found.is_some())
    })
    .with_context(|| format!("the daemon's log:\n{}", daemon.log().unwrap_or_default()))?;
    found.context("no blind spot")
}

/// Fails unless a row says exactly this.
fn check(spot: &Value, expected: &[(&str, Value)]) -> anyhow::Result<()> {
    for (pointer, value) in expected {
        let said = spot.pointer(pointer);
        anyhow::ensure!(said == Some(value), "{pointer} is {said:?}, not {value}: {spot}");
    }
    Ok(())
}

fn unknown_library(count: u32, seconds: u32) -> anyhow::Result<()> {
    let play = begin()?;
    let program = play.scene.place().tools.join("mbedtls/client");
    let who = Who::Unit("weir-demo-agent.service", "nobody");
    let target = target(&play, count, seconds)?;
    let arguments: Vec<&str> = target.iter().map(String::as_str).collect();
    let client = Unread::start(&play, who, &program, &arguments)?;
    let pid = client.pid();
    client.finish()?;
    let spot = wait_for(&play.daemon, pid)?;
    let remote = format!("127.0.0.1:{}", target[1]);
    check(
        &spot,
        &[
            ("/process/uid", who.uid()?.into()),
            ("/process/exe", program.to_str().into()),
            ("/unit", "weir-demo-agent.service".into()),
            ("/host", "gateway.test".into()),
            ("/known_by", "name".into()),
            ("/remote", remote.into()),
            ("/transport", "tcp".into()),
            ("/reason", "unknown_tls".into()),
            ("/connections", 1.into()),
        ],
    )?;
    let identity = spot["identity"].as_str().unwrap_or_default();
    anyhow::ensure!(identity.ends_with("/unit/weir-demo-agent.service"), "{identity}");
    let (written, read) = (spot["written"].as_u64(), spot["read"].as_u64());
    // A request has 290 bytes, an answer some 600, and a handshake of TLS 1.2 about 800.
    let least = 250 * u64::from(count);
    anyhow::ensure!(written > Some(least) && read > Some(least), "{spot}");
    anyhow::ensure!(written < Some(10_000) && read < Some(20_000), "{spot}");

    // Everybody else says it too.
    wait_until("the ledger to have it", TOLD_WITHIN, || {
        let usage = play.daemon.usage("identity")?;
        let spots = usage["blind_spots"].as_array().context("no blind spots in the report")?;
        let is_there = spots.iter().any(|spot| spot["process"]["pid"] == pid);
        Ok(is_there && usage["complete"] == false)
    })?;
    let metrics = play.daemon.said(&["metrics"])?;
    let line = "weir_blind_connections_total{reason=\"unknown_tls\"} ";
    let count = metrics.lines().find_map(|said| said.strip_prefix(line)?.parse::<u64>().ok());
    anyhow::ensure!(count >= Some(1), "{metrics}");
    let said = play.daemon.said(&["usage"])?;
    anyhow::ensure!(said.contains("not complete:\n  nothing was read of "), "{said}");
    play.check_none(pid)
}

impl Play {
    /// Fails if any call of a process was read.
    fn check_none(&self, pid: u32) -> anyhow::Result<()> {
        let mut calls = self.daemon.all_calls()?;
        calls.retain(|call| call["process"]["pid"] == pid);
        anyhow::ensure!(calls.is_empty(), "read after all: {calls:?}");
        Ok(())
    }

    /// The blind spots whose other end is the server.
    fn spots(&self) -> anyhow::Result<Vec<Value>> {
        let host = self.scene.server.host();
        let (_, port) = host.rsplit_once(':').context("no port")?;
        let remote = format!("127.0.0.1:{port}");
        let mut spots = spots(&self.daemon)?;
        spots.retain(|spot| spot["remote"] == remote);
        Ok(spots)
    }
}

fn java() -> anyhow::Result<()> {
    let play = begin()?;
    let classes = play.scene.place().tools.join("java");
    let mut arguments = vec!["-cp".to_owned(), classes.display().to_string(), "Calls".to_owned()];
    arguments.extend(target(&play, 2, 1)?);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let who = Who::User("backup");
    let client = Unread::start(&play, who, Path::new("/usr/bin/java"), &arguments)?;
    let pid = client.pid();
    client.finish()?;
    let spot = wait_for(&play.daemon, pid)?;
    check(
        &spot,
        &[
            ("/process/uid", who.uid()?.into()),
            ("/host", "gateway.test".into()),
            ("/reason", "jvm".into()),
            ("/connections", 1.into()),
        ],
    )?;
    let identity = spot["identity"].as_str().unwrap_or_default();
    anyhow::ensure!(identity.ends_with("/user/backup"), "{identity}");
    play.check_none(pid)
}

/// Symbols are all that tells where ring's functions are.
fn stripped_ring() -> anyhow::Result<()> {
    let play = begin()?;
    let program = &play.scene.place().rust_client_on_ring_stripped;
    let authority = play.scene.directory().join("authority.pem");
    let arguments = [
        format!("SSL_CERT_FILE={}", authority.display()),
        format!("OPENAI_BASE_URL=https://{}/v1", play.scene.server.host()),
        "OPENAI_API_KEY=sk-weir".to_owned(),
        program.display().to_string(),
        "--model=gpt-4o".to_owned(),
        "--count=2".to_owned(),
    ];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let who = Who::User("backup");
    let client = Unread::start(&play, who, Path::new("/usr/bin/env"), &arguments)?;
    let pid = client.pid();
    client.finish()?;
    let spot = wait_for(&play.daemon, pid)?;
    let expected = [
        ("/process/exe", program.to_str().into()),
        ("/host", "localhost".into()),
        ("/reason", "no_symbols".into()),
        ("/connections", 1.into()),
    ];
    check(&spot, &expected)?;
    play.check_none(pid)
}

/// Of each kind of client that is read: several connections, short ones and long ones.
fn read() -> anyhow::Result<()> {
    const CALLS: u32 = 6;
    let mut play = begin()?;
    let mut clients = Vec::new();
    for (number, kind) in (0..).zip(Kind::ALL) {
        for api in kind.apis() {
            let stream = if number % 2 == 0 { Stream::Mixed } else { Stream::No };
            let load = Load { stream, concurrency: 3, ..Load::new(api, CALLS) };
            clients.push((kind, Who::Myself, load));
        }
    }
    play.run_all(&clients)?;
    sleep(Duration::from_secs(8));
    let spots = play.spots()?;
    anyhow::ensure!(spots.is_empty(), "said to be unread: {spots:?}");
    play.check(CALLS as usize * clients.len())
}

/// A process that is read and one that isn't make calls to one server at one time.
fn beside() -> anyhow::Result<()> {
    const CALLS: u32 = 20;
    let mut play = begin()?;
    let program = play.scene.place().tools.join("mbedtls/client");
    let mut target = target(&play, 1, 1)?;
    target[2] = "localhost".to_owned();
    let arguments: Vec<&str> = target.iter().map(String::as_str).collect();
    let load = Load { concurrency: 2, ..Load::new("chat", CALLS) };
    let seen = play.start(Kind::OpenAiAsync, Who::Myself, &load)?;
    let client = Unread::start(&play, Who::Myself, &program, &arguments)?;
    let pid = client.pid();
    client.finish()?;
    seen.finish()?;
    check(&wait_for(&play.daemon, pid)?, &[("/host", "localhost".into())])?;
    sleep(Duration::from_secs(6));
    let all = play.spots()?;
    anyhow::ensure!(all.len() == 1, "{all:?}");
    let said = play.daemon.settled_calls(&play.scene.server.host(), CALLS as usize)?;
    anyhow::ensure!(said.len() == CALLS as usize, "{} calls were read", said.len());
    Ok(())
}

fn quic(form: &str) -> anyhow::Result<()> {
    let mut play = begin()?;
    // Whoever asks for the endpoint over TCP says where it is.
    play.run(Kind::Curl, Who::Myself, &Load::new("chat", 1))?;
    let script = play.scene.place().clients.join("quic_datagrams.py");
    let script = script.to_str().context("a path that is no text")?;
    let python: PathBuf = play.scene.place().system_python.clone();
    let client = Unread::start(&play, Who::Myself, &python, &[script, "127.0.0.1", form])?;
    let pid = client.pid();
    client.finish()?;
    check(
        &wait_for(&play.daemon, pid)?,
        &[
            ("/host", "localhost".into()),
            ("/known_by", "address".into()),
            ("/remote", "127.0.0.1:443".into()),
            ("/transport", "quic".into()),
            ("/reason", "quic".into()),
            ("/connections", 1.into()),
            ("/written", 1200.into()),
        ],
    )?;
    play.check(1)
}

/// A call in plain HTTP with a key, after a request to no model with another.
fn plain_http() -> anyhow::Result<()> {
    let play = Play::begin()?;
    let host = play.scene.server.host();
    let (_, port) = host.rsplit_once(':').context("no port")?;
    let who = Who::User("backup");
    let body = format!(
        "{{\"model\":\"gpt-4o\",\"messages\":[{{\"role\":\"user\",\"content\":\"{PROMPT}\"}}]}}"
    );
    let ask = |path: &str, key: &str| {
        let url = format!("http://127.0.0.1:{port}{path}");
        let key = format!("Authorization: Bearer {key}");
        let arguments = ["-sS", "-o", "/dev/null", "-H", &key, "-d", &body, &url];
        let client = Unread::start(&play, who, Path::new("/usr/bin/curl"), &arguments)?;
        let pid = client.pid();
        client.finish()?;
        anyhow::Ok(pid)
    };
    ask("/login", "sk-of-no-model")?;
    let pid = ask("/v1/chat/completions", KEY)?;
    let spot = wait_for(&play.daemon, pid)?;
    check(
        &spot,
        &[
            ("/process/uid", who.uid()?.into()),
            ("/host", "127.0.0.1".into()),
            ("/known_by", "request".into()),
            ("/remote", format!("127.0.0.1:{port}").into()),
            ("/transport", "http".into()),
            ("/reason", "plain_http".into()),
            ("/connections", 1.into()),
            ("/plain_http/loopback", true.into()),
            ("/plain_http/provider", "openai".into()),
            ("/plain_http/api", "chat_completions".into()),
            ("/plain_http/credential_in", "header".into()),
        ],
    )?;
    let identity = spot["identity"].as_str().unwrap_or_default();
    anyhow::ensure!(identity.ends_with("/user/backup"), "{identity}");
    let written = spot["written"].as_u64();
    anyhow::ensure!(written > Some(200) && written < Some(2_000), "{spot}");
    anyhow::ensure!(play.spots()?.len() == 1, "{:?}", play.spots());
    play.check_none(pid)?;

    let fingerprint = spot["plain_http"]["credential"].as_str().context("no credential")?;
    wait_until("the inventory to have it", TOLD_WITHIN, || {
        let said = play.daemon.said(&["credentials"])?;
        let rows: Vec<_> = said.lines().filter(|line| line.contains("user/backup")).collect();
        let is_row = |row: &&str| row.contains("header, plain HTTP on loopback");
        Ok(rows.len() == 1 && rows.iter().all(is_row) && rows[0].starts_with(fingerprint))
    })?;
    let shown = play.daemon.said(&["identity", "show", "user/backup"])?;
    anyhow::ensure!(shown.contains("1 connection on loopback, not metered"), "{shown}");
    let said = play.daemon.said(&["usage"])?;
    anyhow::ensure!(said.contains("in plain HTTP: not metered"), "{said}");
    let doctor = play.daemon.said(&["doctor"])?;
    anyhow::ensure!(doctor.contains("plain_http, on loopback, with a credential"), "{doctor}");
    let credentials = play.daemon.said(&["credentials", "--format", "json"])?;
    for said in [shown, said, doctor, credentials] {
        clean("what weir says", said.as_bytes())?;
    }
    let home = play.scene.directory().join("weir");
    play.daemon.stop()?;
    clean_files(&home)
}

fn off() -> anyhow::Result<()> {
    let play = begin_with(&format!("{CONFIG}watch = false\n"))?;
    let said = said_of_the_watch(&play.daemon)?;
    anyhow::ensure!(said.contains("switched off"), "{said}");
    Ok(())
}
