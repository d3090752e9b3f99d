//! Much at once, and much in one piece.

use serde_json::Value;
use weir_tests::harness::client::Stream;
use weir_tests::harness::compare::{pico_dollars, sums_differ};
use weir_tests::harness::who::CAST;
use weir_tests::harness::{Kind, Load, Who};
use weir_tests::play::Play as Directions;

use crate::{Case, Play, case};

/// 4 MiB.
const LARGE: u64 = 4 << 20;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("two_thousand_calls_of_twenty_clients_at_once", two_thousand),
        case("many_calls_on_one_connection", one_connection),
        case("a_large_request_and_a_large_stream", large),
        case("an_unknown_model_is_unpriced", unpriced),
    ]
}

fn two_thousand() -> anyhow::Result<()> {
    const CLIENTS: u32 = 20;
    const CALLS: u32 = 100;
    let mut play = Play::begin()?;
    let mut clients = Vec::new();
    for number in 0..CLIENTS as usize {
        let kind = Kind::ALL[number % Kind::ALL.len()];
        let api = kind.apis()[number / Kind::ALL.len() % kind.apis().len()];
        let concurrency = 1 + number as u32 % 4;
        let load = Load { stream: Stream::Mixed, concurrency, ..Load::new(api, CALLS) };
        clients.push(play.start(kind, CAST[number % CAST.len()], &load)?);
    }
    for client in clients {
        client.finish()?;
    }
    play.check((CLIENTS * CALLS) as usize)?;
    let calls = play.daemon.all_calls()?;
    for by in ["identity", "model", "identity,model,provider,credential,api,process"] {
        let wrong = sums_differ(&play.daemon.usage(by)?, &calls);
        anyhow::ensure!(wrong.is_empty(), "usage by {by} is not the sum of the calls: {wrong:#?}");
    }
    for call in &calls {
        check_price(call)?;
    }
    Ok(())
}

/// For two models whose prices have long been settled: the cost is right to the pico-dollar.
fn check_price(call: &Value) -> anyhow::Result<()> {
    let tokens = |name: &str| u128::from(call["tokens"][name].as_u64().unwrap_or(0));
    // Dollars a million tokens are pico-dollars a token, once multiplied by a million.
    let cost = match call["model"].as_str() {
        // Nothing is published on writes to its cache, so calls with such are left out.
        Some("gpt-4o-2024-08-06") if tokens("cache_write") == 0 => {
            tokens("input_uncached") * 2_500_000
                + tokens("cache_read") * 1_250_000
                + tokens("output") * 10_000_000
        }
        Some("claude-sonnet-4-5-20250929") => {
            tokens("input_uncached") * 3_000_000
                + tokens("cache_read") * 300_000
                + tokens("cache_write_5m") * 3_750_000
                + tokens("cache_write_1h") * 6_000_000
                + tokens("output") * 15_000_000
        }
        _ => return Ok(()),
    };
    let said = call["cost_usd"].as_str().unwrap_or("none");
    anyhow::ensure!(pico_dollars(said) == cost, "cost is {said}, not {cost} pico-dollars: {call}");
    Ok(())
}

fn one_connection() -> anyhow::Result<()> {
    const CALLS: u32 = 400;
    let mut play = Play::begin()?;
    let load = Load { stream: Stream::Mixed, ..Load::new("chat", CALLS) };
    play.run(Kind::OpenAiSync, Who::User("www-data"), &load)?;
    play.check(CALLS as usize)
}

fn large() -> anyhow::Result<()> {
    let mut play = Play::begin()?;
    for (kind, api) in [(Kind::OpenAiSync, "chat"), (Kind::Node, "responses")] {
        let directions = Directions { output_bytes: LARGE, ..Directions::default() };
        for stream in [Stream::Yes, Stream::No] {
            let (play_of, who) = (directions.clone(), Who::User("www-data"));
            let load = Load { stream, play: play_of, prompt_bytes: LARGE, ..Load::new(api, 1) };
            play.run(kind, who, &load)?;
        }
    }
    play.check(4)
}

fn unpriced() -> anyhow::Result<()> {
    let mut play = Play::begin()?;
    let load = Load { model: Some("house-model-7b"), ..Load::new("chat", 2) };
    play.run(Kind::Curl, Who::User("backup"), &load)?;
    play.check(2)?;
    for call in play.daemon.calls(&play.scene.server.host())? {
        let (cost, source) = (&call["cost_usd"], &call["cost_source"]);
        anyhow::ensure!(cost.is_null() && source == "unpriced", "it costs {cost}, from {source}");
    }
    Ok(())
}
