//! What programs do with their TLS libraries that the clients of the matrix don't.

use std::env;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use weir_tests::harness::client::Stream;
use weir_tests::harness::{Client, Daemon, Kind, Load, Scene, Who, wait_until};
use weir_tests::play::Play as Directions;
use weir_tests::truth::State;

use crate::{Case, Play, case};

/// How many calls are made.
const CALLS: u32 = 6;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("what_a_library_holds_back_is_counted_once", held_back),
        case("what_nspr_carries_is_read_once_and_only_with_tls", nspr),
        case("grpc_is_told_of_though_it_is_not_read", grpc),
        case("daemons_that_come_and_go_harm_nobody", come_and_go),
        case("many_goroutines_on_few_threads", goroutines),
    ]
}

fn held_back() -> anyhow::Result<()> {
    let mut play = Play::begin()?;
    play.run(Kind::GnuTlsCorked, Who::Myself, &Load::new("chat", CALLS))?;
    play.check(CALLS as usize)
}

fn nspr() -> anyhow::Result<()> {
    let mut play = Play::begin()?;
    play.run(Kind::NssPeeking, Who::Myself, &Load::new("chat", CALLS))?;
    play.check(CALLS as usize)?;
    // "to be lost"
    let report: Value = serde_json::from_str(&play.daemon.said(&["doctor", "--format", "json"])?)?;
    anyhow::ensure!(report["losses"]["unreadable"].as_u64() >= Some(1), "{}", report["losses"]);
    Ok(())
}

fn grpc() -> anyhow::Result<()> {
    let play = Play::begin()?;
    let place = play.scene.place();
    let mut client = Command::new(&place.python);
    client.arg(place.clients.join("grpc_channel.py"));
    client.env("SSL_CERT_FILE", play.scene.directory().join("authority.pem"));
    client.env("OPENAI_BASE_URL", format!("https://{}/v1", play.scene.server.host()));
    let status = client.status().context("can't run Python")?;
    anyhow::ensure!(status.success(), "the client failed: {status}");
    // Three calls on one connection.
    wait_until("doctor to tell of gRPC", Duration::from_secs(10), || {
        let report: Value =
            serde_json::from_str(&play.daemon.said(&["doctor", "--format", "json"])?)?;
        Ok(report["unsupported"]["grpc"] == 1)
    })?;
    play.check(0)
}

/// More goroutines than there are threads, each of which waits in a read on whatever thread there is.
fn goroutines() -> anyhow::Result<()> {
    const CALLS: u32 = 300;
    let mut play = Play::begin()?;
    let kinds = [Kind::Go, Kind::GoStripped, Kind::GoTlsHttp2];
    for kind in kinds {
        let slow = Directions { hold_ms: 20, output_bytes: 20_000, ..Directions::default() };
        let load = Load {
            stream: Stream::Mixed,
            play: slow,
            prompt_bytes: 20_000,
            concurrency: 50,
            ..Load::new("chat", CALLS)
        };
        play.run(kind, Who::Myself, &load)?;
    }
    play.check(kinds.len() * CALLS as usize)?;
    let place = play.scene.place();
    let report: Value = serde_json::from_str(&play.daemon.said(&["doctor", "--format", "json"])?)?;
    let targets = report["capture"].as_array().context("no targets")?;
    for program in [&place.go_static, &place.go_stripped] {
        let target = targets.iter().find(|it| it["path"] == program.to_string_lossy().as_ref());
        let outcome = target.and_then(|it| it["outcome"].as_str()).unwrap_or_default();
        anyhow::ensure!(outcome.starts_with("attached (Go 1."), "{program:?}: {outcome}");
    }
    Ok(())
}

/// One program of each way to have TLS inside makes calls for a quarter of a minute, while daemons attach to
/// them and are killed or told to go. `WEIR_E2E_DAEMONS` says how many daemons there are to be at least: the
/// programs begin anew until there were so many.
fn come_and_go() -> anyhow::Result<()> {
    let wanted = match env::var("WEIR_E2E_DAEMONS") {
        Ok(number) => number.parse().context("WEIR_E2E_DAEMONS is not a number")?,
        Err(_unset) => 2,
    };
    let mut daemons = 0;
    while daemons < wanted {
        daemons = come_and_go_once(daemons)?;
    }
    println!("{daemons} daemons came and went");
    Ok(())
}

/// The same for as long as the programs take. Returns how many daemons there have been, `before` included.
fn come_and_go_once(before: u32) -> anyhow::Result<u32> {
    const KINDS: [Kind; 8] = [
        Kind::OpenAiSync,
        Kind::OpenAiAsync,
        Kind::Node,
        Kind::GnuTls,
        Kind::Nss,
        Kind::Bun,
        Kind::Go,
        Kind::Reqwest,
    ];
    const CALLS: u32 = 400;
    let scene = Scene::start()?;
    let slow = Directions { hold_ms: 40, ..Directions::default() };
    let load = Load { stream: Stream::Mixed, play: slow, ..Load::new("chat", CALLS) };
    let mut clients = Vec::new();
    for kind in KINDS {
        clients.push(Client::start(&scene, kind, Who::Myself, &load)?);
    }
    let mut daemons = before;
    while clients.iter_mut().all(|client| client.is_running().unwrap_or(false)) {
        let home = scene.directory().join(format!("weir-{daemons}"));
        let daemon = Daemon::start(scene.place(), &home)?;
        if daemons.is_multiple_of(2) {
            daemon.kill()?;
        } else {
            daemon.stop()?;
        }
        daemons += 1;
    }
    for client in clients {
        let (caller, reports) = client.finish()?;
        let failed = reports.iter().find(|report| report.get("error").is_some());
        anyhow::ensure!(failed.is_none(), "{}: {failed:?}", caller.label);
    }
    let calls = scene.server.journal().calls();
    let whole = calls.iter().filter(|call| call.state == State::Complete).count();
    let made = KINDS.len() * CALLS as usize;
    anyhow::ensure!(whole == made && calls.len() == made, "{whole} of {made} calls came through");
    Ok(daemons)
}
