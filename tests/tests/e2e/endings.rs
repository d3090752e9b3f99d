//! Calls that end badly: refused, failing in the stream, cut by the server, left by the client; and
//! streams that never say their usage.

use serde_json::json;
use weir_tests::harness::client::Stream;
use weir_tests::harness::{Kind, Load, Who};
use weir_tests::play::{Failure, Play as Directions};

use crate::{Case, Play, case};

const WHO: Who = Who::User("www-data");

/// One client of each provider and of each way to do TLS.
const SOME: [Kind; 4] = [Kind::OpenAiSync, Kind::OpenAiAsync, Kind::AnthropicSync, Kind::Node];

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("refused_calls_are_errors_and_free", refused),
        case("errors_inside_streams_are_errors", failing_streams),
        case("streams_cut_by_the_server_are_aborted", cut_streams),
        case("streams_left_by_the_client_are_aborted", left_streams),
        case("bodies_cut_by_the_server_are_aborted", cut_bodies),
        case("streams_without_usage_are_counted", counted),
        case("latency_is_measured", latency),
    ]
}

fn refused() -> anyhow::Result<()> {
    let mut play = Play::begin()?;
    let failures =
        [Failure::BadRequest, Failure::Unauthorized, Failure::RateLimited, Failure::Overloaded];
    let mut clients = Vec::new();
    for kind in SOME {
        for fail in failures {
            let play_of = Directions { fail: Some(fail), ..Directions::default() };
            let load =
                Load { stream: Stream::Mixed, play: play_of, ..Load::new(kind.apis()[0], 2) };
            clients.push((kind, WHO, load));
        }
    }
    play.run_all(&clients)?;
    play.check(SOME.len() * failures.len() * 2)
}

fn failing_streams() -> anyhow::Result<()> {
    streams(&Directions { fail: Some(Failure::InStream), ..Directions::default() }, 0)
}

fn cut_streams() -> anyhow::Result<()> {
    streams(&Directions { cut_after: Some(4), pause_ms: 20, ..Directions::default() }, 0)
}

fn left_streams() -> anyhow::Result<()> {
    let words = 4_000;
    streams(&Directions { pause_ms: 100, output_bytes: words, ..Directions::default() }, 3)
}

fn streams(directions: &Directions, leave_after: u32) -> anyhow::Result<()> {
    let mut play = Play::begin()?;
    let mut clients = Vec::new();
    for kind in SOME {
        for api in kind.apis().iter().filter(|api| **api != "embeddings") {
            let load = Load {
                stream: Stream::Yes,
                play: directions.clone(),
                leave_after,
                ..Load::new(api, 2)
            };
            clients.push((kind, WHO, load));
        }
    }
    play.run_all(&clients)?;
    play.check(2 * clients.len())
}

fn cut_bodies() -> anyhow::Result<()> {
    let mut play = Play::begin()?;
    let mut clients = Vec::new();
    for chunked in [false, true] {
        let directions =
            Directions { cut_after: Some(0), chunked: Some(chunked), ..Directions::default() };
        for kind in SOME {
            let load = Load { play: directions.clone(), ..Load::new(kind.apis()[0], 1) };
            clients.push((kind, WHO, load));
        }
    }
    play.run_all(&clients)?;
    play.check(clients.len())
}

/// Each word of the server is one token of the model's own tokenizer, so the count has to be exact.
fn counted() -> anyhow::Result<()> {
    let mut play = Play::begin()?;
    let load = Load { stream: Stream::Yes, ask_usage: false, ..Load::new("chat", 5) };
    play.run(Kind::OpenAiSync, WHO, &load)?;
    play.check(5)?;
    let calls = play.daemon.calls(&play.scene.server.host())?;
    for truth in play.truth() {
        let call = calls.iter().find(|call| call["response_id"] == json!(truth.response_id));
        let Some(call) = call else { anyhow::bail!("{truth:?} is not there") };
        // 4 words in one message: 3 for the message, 1 for its role, 3 for what follows it.
        let expected = (json!("counted"), json!(11), json!(truth.words));
        let tokens = &call["tokens"];
        let said = (&call["usage_source"], &tokens["input_total"], &tokens["output_total"]);
        anyhow::ensure!(said == (&expected.0, &expected.1, &expected.2), "{said:?}: {expected:?}");
    }
    Ok(())
}

fn latency() -> anyhow::Result<()> {
    const HOLD: u64 = 300;
    const PAUSE: u64 = 50;
    let mut play = Play::begin()?;
    let directions = Directions { hold_ms: HOLD, pause_ms: PAUSE, ..Directions::default() };
    let load = Load { stream: Stream::Yes, play: directions, ..Load::new("chat", 3) };
    play.run(Kind::OpenAiSync, WHO, &load)?;
    play.check(3)?;
    for call in play.daemon.calls(&play.scene.server.host())? {
        let (whole, first) = (call["latency_ms"].as_u64(), call["ttft_ms"].as_u64());
        let (Some(whole), Some(first)) = (whole, first) else {
            anyhow::bail!("a latency is missing: {call}");
        };
        // An event of a role, at least two of text, and what ends it, each after a pause.
        let plausible = first >= HOLD && whole >= first + 3 * PAUSE && whole < 5_000;
        anyhow::ensure!(plausible, "{first} ms to the first output, {whole} ms in all");
    }
    Ok(())
}
