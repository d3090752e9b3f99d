//! The daemon is killed in mid-traffic: what it had acknowledged is there afterwards, once.

use std::collections::{HashMap, HashSet};
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;
use weir_tests::harness::client::Stream;
use weir_tests::harness::{Daemon, Kind, Load, Who};
use weir_tests::play::Play as Directions;

use crate::{Case, Play, case};

pub(crate) fn cases() -> Vec<Case> {
    vec![case("kill_loses_nothing_acknowledged_and_doubles_nothing", kill)]
}

fn kill() -> anyhow::Result<()> {
    const ROUNDS: u64 = 6;
    let mut play = Play::begin()?;
    let host = play.scene.server.host();
    let mut clients = Vec::new();
    for kind in [Kind::OpenAiAsync, Kind::AnthropicSync, Kind::Node] {
        let directions = Directions { hold_ms: 15, ..Directions::default() };
        let (stream, concurrency) = (Stream::Mixed, 2);
        let load =
            Load { stream, concurrency, play: directions, ..Load::new(kind.apis()[0], 100_000) };
        clients.push(play.start(kind, Who::User("www-data"), &load)?);
    }
    let mut acknowledged: HashSet<String> = HashSet::new();
    for round in 0..ROUNDS {
        sleep(Duration::from_millis(900 + 137 * round));
        acknowledged.extend(ids(&play.daemon.calls(&host)?).into_keys());
        let place = play.scene.place().clone();
        let home = play.scene.directory().join("weir");
        play.daemon.kill()?;
        play.daemon = Daemon::start(&place, &home)?;
        let kept = ids(&play.daemon.calls(&host)?);
        let lost: Vec<_> = acknowledged.iter().filter(|id| !kept.contains_key(*id)).collect();
        anyhow::ensure!(lost.is_empty(), "round {round}: {} are lost: {lost:?}", lost.len());
        let doubled: Vec<_> = kept.iter().filter(|(_, count)| **count > 1).collect();
        anyhow::ensure!(doubled.is_empty(), "round {round}: doubled: {doubled:?}");
    }
    for client in &mut clients {
        client.kill();
    }
    anyhow::ensure!(acknowledged.len() > 50, "only {} calls were metered", acknowledged.len());
    let state = play.scene.directory().join("weir/state").display().to_string();
    play.daemon.said(&["ledger", "verify", "--state-dir", &state])?;
    Ok(())
}

/// The ids of the answers, and how often each is there.
fn ids(calls: &[Value]) -> HashMap<String, u32> {
    let mut counts = HashMap::new();
    for id in calls.iter().filter_map(|call| call["response_id"].as_str()) {
        *counts.entry(id.to_owned()).or_default() += 1;
    }
    counts
}
