//! Many processes that live for a moment, some of them of programs that nobody has seen before: each call is
//! metered once, and nothing of them stays.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use weir_tests::harness::client::Caller;
use weir_tests::harness::compare::compare;
use weir_tests::harness::{Client, Daemon, Kind, Load, Scene, Who, wait_until};

use crate::{Case, Play, case};

/// Processes of curl's, and how many there are at a time.
const PROCESSES: usize = 500;
const AT_ONCE: usize = 8;

/// A program that nobody has seen before is run after each so many of these.
const BETWEEN: usize = 50;

/// Calls of such a program's, after the first one.
const CALLS: usize = 3;

/// How long it takes at most until such a program has been looked at: it is 4 MiB, or 10.
const LOOKED_AT: Duration = Duration::from_secs(10);

/// How often the daemon looks for files that nobody uses, and how long it takes at most until they are let go
/// of.
const SWEEP: &str = "[capture]\nsweep_seconds = 10\n";
const LET_GO: Duration = Duration::from_secs(30);

/// By how much the daemon may grow: what it remembers of the latest calls and processes has room in
/// [`RESIDENT_KIB`].
const RESIDENT_KIB: u64 = 16 << 10;
const DESCRIPTORS: usize = 4;

pub(crate) fn cases() -> Vec<Case> {
    vec![case("five_hundred_processes_are_each_seen_and_forgotten", five_hundred)]
}

fn five_hundred() -> anyhow::Result<()> {
    let mut play = begin()?;
    // What is only made once is there after these.
    curls(&mut play, AT_ONCE)?;
    let before = taken(play.daemon.pid())?;
    anyhow::ensure!(!follows_sockets(play.daemon.pid())?, "sockets are followed for nobody");
    let mut copies = vec![run_copy(&play, &play.scene.place().rust_client_stripped, "rustls")?];
    anyhow::ensure!(follows_sockets(play.daemon.pid())?, "sockets aren't followed");
    for number in 0..PROCESSES / BETWEEN {
        curls(&mut play, BETWEEN)?;
        let name = format!("openssl-{number}");
        copies.push(run_copy(&play, &play.scene.place().openssl_client, &name)?);
    }
    let first_calls: Vec<&str> = copies.iter().map(|copy| copy.label.as_str()).collect();
    check(&play, &copies, &first_calls)?;

    wait_until("the programs to be let go of", LET_GO, || {
        let targets = targets(&play)?;
        Ok(!targets.iter().any(|path| path.starts_with(play.scene.directory())))
    })?;
    anyhow::ensure!(!follows_sockets(play.daemon.pid())?, "sockets are still followed");
    let after = taken(play.daemon.pid())?;
    let grown = (after.0.saturating_sub(before.0), after.1.saturating_sub(before.1));
    anyhow::ensure!(
        grown.0 <= DESCRIPTORS && grown.1 <= RESIDENT_KIB,
        "descriptors and KiB before: {before:?}, after: {after:?}"
    );
    Ok(())
}

/// A daemon that no program has been named to.
fn begin() -> anyhow::Result<Play> {
    let scene = Scene::start()?;
    let daemon = Daemon::start_with(scene.place(), &scene.directory().join("weir"), SWEEP)?;
    Ok(Play { scene, daemon, callers: Vec::new(), unseen: 0 })
}

/// The files that the daemon has found.
fn targets(play: &Play) -> anyhow::Result<Vec<PathBuf>> {
    let report: Value = serde_json::from_str(&play.daemon.said(&["doctor", "--format", "json"])?)?;
    let targets = report["capture"].as_array().context("doctor names no files")?;
    Ok(targets.iter().filter_map(|target| target["path"].as_str()).map(PathBuf::from).collect())
}

/// Whether a process has our probe on what sockets receive.
fn follows_sockets(pid: u32) -> anyhow::Result<bool> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fdinfo"))?.flatten();
    // One that was closed meanwhile is none of them.
    let mut said = descriptors.filter_map(|entry| fs::read_to_string(entry.path()).ok());
    Ok(said.any(|said| said.contains("sock_recv_length")))
}

/// Runs so many processes, each of which makes one call.
fn curls(play: &mut Play, count: usize) -> anyhow::Result<()> {
    let mut left = count;
    while left > 0 {
        let now = left.min(AT_ONCE);
        let clients: Vec<Client> = (0..now)
            .map(|_| play.start(Kind::Curl, Who::User("www-data"), &Load::new("chat", 1)))
            .collect::<anyhow::Result<_>>()?;
        for client in clients {
            client.finish()?;
        }
        left -= now;
    }
    Ok(())
}

/// Runs a program with TLS inside, under a name and with an inode that nobody has seen before. It makes
/// a call, which may be over before anybody has looked at it, and then more.
fn run_copy(play: &Play, original: &Path, name: &str) -> anyhow::Result<Caller> {
    let scene = &play.scene;
    let program = scene.directory().join(name);
    fs::copy(original, &program)?;
    let label = format!("copy.{name}");
    let mut command = Command::new(&program);
    command.args(["--model", "gpt-4o", "--wait", "--count", &CALLS.to_string()]);
    command.env_clear().env("SSL_CERT_FILE", scene.directory().join("authority.pem"));
    command.env("OPENAI_BASE_URL", format!("https://{}/v1", scene.server.host()));
    command.env("OPENAI_API_KEY", format!("sk-weir-{label}"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("no standard output")?).lines();
    let ready = lines.by_ref().map_while(Result::ok).any(|line| line.contains("ready"));
    wait_until("the program to be looked at", LOOKED_AT, || Ok(targets(play)?.contains(&program)))?;
    writeln!(child.stdin.take().context("no standard input")?)?;
    let status = child.wait()?;
    anyhow::ensure!(ready && status.success(), "{label}: {status}");
    let who = Who::Myself;
    let (pid, uid) = (child.id(), who.uid()?);
    Ok(Caller { label, pid, uid, exe: program, who, container: None, joined_late: false })
}

/// Fails unless every call was metered once. Those that a program of `unsure` made first may be missing, or their
/// requests may not have been seen: of one whose request was, everything was.
fn check(play: &Play, copies: &[Caller], unsure: &[&str]) -> anyhow::Result<()> {
    let mut truth = play.truth();
    let made = PROCESSES + AT_ONCE + copies.len() * (1 + CALLS);
    anyhow::ensure!(truth.len() == made, "{} calls were made, not {made}", truth.len());
    let host = play.scene.server.host();
    let mut said = play.daemon.settled_calls(&host, made - unsure.len())?;
    for label in unsure {
        let first = truth.iter().position(|call| call.label == *label).context("no first call")?;
        let id = truth[first].response_id.clone();
        let place = said.iter().position(|call| call["response_id"].as_str() == id.as_deref());
        let joined = place.filter(|&place| said[place]["host"].is_null());
        if place.is_none() || joined.is_some() {
            truth.remove(first);
        }
        joined.map(|place| said.remove(place));
    }
    let callers: Vec<Caller> = play.callers.iter().chain(copies).cloned().collect();
    compare(&truth, &callers, &said).into_result()
}

/// How many descriptors a process has open, and how much of it is in memory, in KiB.
fn taken(pid: u32) -> anyhow::Result<(usize, u64)> {
    let process = Path::new("/proc").join(pid.to_string());
    let status = fs::read_to_string(process.join("status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let resident = line.trim().trim_end_matches(" kB").parse()?;
    Ok((fs::read_dir(process.join("fd"))?.count(), resident))
}
