//! Programs that bring their own TLS: rustls, whose records are seen where AWS-LC or ring seals and opens
//! them.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rcgen::KeyPair;
use serde_json::Value;
use weir_tests::harness::client::Stream;
use weir_tests::harness::{Kind, Load, Who, wait_until};
use weir_tests::play::Play as Directions;

use crate::{Case, Play, case};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("fifty_connections_at_once_of_one_program_on_rustls", fifty),
        case("many_connections_of_one_program_on_ring", many_on_ring),
        case("rustls_on_ring_is_told_of", on_ring),
        case("a_server_on_rustls_is_not_billed", server),
    ]
}

/// Many connections whose records are sealed and opened by the same threads, each of which has its own
/// answers; and many exchanges of one connection, which are all of it.
fn fifty() -> anyhow::Result<()> {
    const CALLS: u32 = 200;
    let mut play = Play::begin()?;
    let directions = Directions { hold_ms: 20, output_bytes: 40 << 10, ..Directions::default() };
    let load = Load {
        stream: Stream::Mixed,
        concurrency: 50,
        play: directions,
        prompt_bytes: 100 << 10,
        ..Load::new("chat", CALLS)
    };
    let kinds = [Kind::Reqwest, Kind::ReqwestTls12, Kind::ReqwestHttp2];
    for kind in kinds {
        play.run(kind, Who::User("www-data"), &load)?;
    }
    play.check(kinds.len() * CALLS as usize)?;
    no_losses(&play)
}

/// The same over ring, the records of old versions known by their tags.
fn many_on_ring() -> anyhow::Result<()> {
    const CALLS: u32 = 60;
    let mut play = Play::begin()?;
    let directions = Directions { hold_ms: 20, output_bytes: 40 << 10, ..Directions::default() };
    let load = Load {
        stream: Stream::Mixed,
        concurrency: 20,
        play: directions,
        prompt_bytes: 100 << 10,
        ..Load::new("chat", CALLS)
    };
    for kind in Kind::ON_RING {
        play.run(kind, Who::User("www-data"), &load)?;
    }
    play.check(Kind::ON_RING.len() * CALLS as usize)?;
    no_losses(&play)
}

/// Fails if the daemon tells of losses.
fn no_losses(play: &Play) -> anyhow::Result<()> {
    let report: Value = serde_json::from_str(&play.daemon.said(&["doctor", "--format", "json"])?)?;
    let losses = report["checks"].as_array().into_iter().flatten();
    let losses: Vec<_> = losses.filter(|check| check["name"] == "losses").collect();
    anyhow::ensure!(losses.iter().all(|check| check["status"] == "ok"), "{losses:?}");
    Ok(())
}

/// This program is one, and has no symbols.
fn on_ring() -> anyhow::Result<()> {
    let play = Play::begin()?;
    let own = std::env::current_exe()?;
    wait_until("doctor to tell of rustls on ring", Duration::from_secs(10), || {
        let report: Value =
            serde_json::from_str(&play.daemon.said(&["doctor", "--format", "json"])?)?;
        let mut targets = report["capture"].as_array().into_iter().flatten();
        Ok(targets.any(|target| {
            let outcome = target["outcome"].as_str().unwrap_or_default();
            own == Path::new(target["path"].as_str().unwrap_or_default())
                && outcome.starts_with("rustls on ring is inside")
        }))
    })
}

/// Killed when it is dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Both ends of a connection are on this host and are seen: the one that asks is billed.
fn server() -> anyhow::Result<()> {
    const CALLS: usize = 3;
    let play = Play::begin()?;
    let folder = play.scene.directory().join("server");
    fs::create_dir_all(&folder)?;
    let key = KeyPair::generate()?;
    let certificate = rcgen::CertificateParams::new(["localhost".to_owned()])?.self_signed(&key)?;
    fs::write(folder.join("certificate.pem"), certificate.pem())?;
    fs::write(folder.join("key.pem"), key.serialize_pem())?;
    let mut server = Command::new(&play.scene.place().rust_client);
    server.arg("--answer").arg(&folder).stdout(Stdio::piped());
    let mut server = Server(server.spawn().context("can't run the client written in Rust")?);
    let mut ready = String::new();
    let said = server.0.stdout.take().context("no standard output")?;
    BufReader::new(said).read_line(&mut ready)?;
    let port = serde_json::from_str::<Value>(&ready)?["ready"].as_u64().context("no port")?;

    let host = format!("localhost:{port}");
    let url = format!("https://{host}/v1/chat/completions");
    let body = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"well?"}]}"#;
    let mut client = Command::new("/usr/bin/curl");
    client.args(["--silent", "--show-error", "--fail", "--http1.1", "--cacert"]);
    client.arg(folder.join("certificate.pem"));
    client.args(["--header", "content-type: application/json", "--data", body]);
    client.args([url.as_str(); CALLS]).stdout(Stdio::null());
    let status = client.status().context("can't run curl")?;
    anyhow::ensure!(status.success(), "curl failed: {status}");

    let calls = play.daemon.settled_calls(&host, CALLS)?;
    anyhow::ensure!(calls.len() == CALLS, "{} calls, not {CALLS}: {calls:#?}", calls.len());
    for call in &calls {
        let (exe, role) = (&call["process"]["exe"], &call["role"]);
        anyhow::ensure!(exe == "/usr/bin/curl" && role == "client", "{exe} as {role} made {call}");
    }
    // The server was read, and was found to be one.
    let report: Value = serde_json::from_str(&play.daemon.said(&["doctor", "--format", "json"])?)?;
    anyhow::ensure!(report["served_connections"] == 1, "{report}");
    Ok(())
}
