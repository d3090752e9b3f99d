//! Who is kept from model endpoints, and who isn't.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::Value;
use weir_tests::harness::{Client, Daemon, Kind, Load, Scene, Who, wait_until};
use weir_tests::play::Play as Directions;

use crate::{Case, Play, case};

/// From the word that somebody is blocked until nothing gets through any more.
const WITHIN: Duration = Duration::from_millis(100);
/// How long nothing more must get through then.
const QUIET: Duration = Duration::from_millis(500);
/// More calls than are made in the meantime.
const MANY: u32 = 5000;

const STOPPED: Who = Who::Unit("weir-stopped.service", "nobody");
/// Another identity of the same user.
const OTHER: Who = Who::Unit("weir-other.service", "nobody");

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("who_is_offboarded_is_stopped_and_nobody_else", || stopped("block")),
        case("a_dry_run_stops_nobody", || stopped("dry-run")),
        case("a_loop_that_uses_its_budget_up_is_stopped_within_one_call", used_up),
    ]
}

/// How many calls of a client have reached the server.
fn calls_of(play: &Play, client: &Client) -> usize {
    let label = &client.caller().label;
    play.scene.server.journal().calls().iter().filter(|call| call.label == *label).count()
}

fn blocks(daemon: &Daemon) -> anyhow::Result<Vec<Value>> {
    let report: Value = serde_json::from_str(&daemon.said(&["blocks", "--format", "json"])?)?;
    anyhow::ensure!(report["enforced"] == true, "{report}");
    Ok(report["blocks"].as_array().context("no blocks")?.clone())
}

/// Two identities call in a loop, and one of them has a budget. Each call takes as long as it may take to stop
/// it, so the one that is under way then may come through, and no other.
fn used_up() -> anyhow::Result<()> {
    const LIMIT: usize = 5;
    let scene = Scene::start()?;
    let home = scene.directory().join("weir");
    let config = format!(
        "[blind_spots]\nhosts = [\"localhost\"]\n[[budget]]\nname = \"loop\"\nwindow = \"24h\"\n\
         match = [\"identity:unit/weir-stopped.service\"]\nlimit_calls = {LIMIT}\nenforce = \"block\"\n"
    );
    let daemon = Daemon::start_with(scene.place(), &home, &config)?;
    let mut play = Play { scene, daemon, callers: Vec::new(), unseen: 0 };
    let hold_ms = u64::try_from(WITHIN.as_millis())?;
    let load = || Load {
        play: Directions { hold_ms, ..Directions::default() },
        ..Load::new("chat", MANY)
    };
    let mut other = play.start(Kind::OpenAiSync, OTHER, &load())?;
    let mut stopped = play.start(Kind::OpenAiSync, STOPPED, &load())?;
    let mut held = Vec::new();
    wait_until("the budget to be used up", Duration::from_secs(20), || {
        held = blocks(&play.daemon)?;
        Ok(!held.is_empty())
    })?;
    sleep(QUIET);
    let (made, others) = (calls_of(&play, &stopped), calls_of(&play, &other));
    anyhow::ensure!((LIMIT..=LIMIT + 1).contains(&made), "{made} of {LIMIT}: {held:?}");
    anyhow::ensure!(held[0]["cause"]["budget"] == "loop", "{held:?}");
    sleep(QUIET);
    anyhow::ensure!(calls_of(&play, &stopped) == made, "it goes on: {:?}", blocks(&play.daemon)?);
    anyhow::ensure!(calls_of(&play, &other) > others && other.is_running()?, "others are stopped");

    play.daemon.said(&["identity", "unblock", "unit/weir-stopped.service"])?;
    play.run(Kind::OpenAiSync, STOPPED, &Load::new("chat", 1))?;
    stopped.kill();
    other.kill();
    Ok(())
}

/// Two identities call in a loop, and one of them is offboarded.
fn stopped(offboarded: &str) -> anyhow::Result<()> {
    let scene = Scene::start()?;
    let home = scene.directory().join("weir");
    let config = format!(
        "[blind_spots]\nhosts = [\"localhost\"]\n[enforce]\noffboarded = \"{offboarded}\"\n"
    );
    let daemon = Daemon::start_with(scene.place(), &home, &config)?;
    let mut play = Play { scene, daemon, callers: Vec::new(), unseen: 0 };
    let mut stopped = play.start(Kind::OpenAiSync, STOPPED, &Load::new("chat", MANY))?;
    let mut other = play.start(Kind::OpenAiSync, OTHER, &Load::new("chat", MANY))?;
    let identity = "unit/weir-stopped.service";
    wait_until("both to be known", Duration::from_secs(20), || {
        let known = play.daemon.said(&["identities"])?;
        Ok(known.contains(identity) && known.contains("unit/weir-other.service"))
    })?;
    play.daemon.said(&["identity", "offboard", identity])?;
    let said = Instant::now();
    sleep(WITHIN);
    let then = (calls_of(&play, &stopped), calls_of(&play, &other));
    sleep(QUIET);
    let now = (calls_of(&play, &stopped), calls_of(&play, &other));
    let context = || format!("{then:?} calls, then {now:?}, {:?} after", said.elapsed());
    let held = blocks(&play.daemon)?;
    let [block] = held.as_slice() else { anyhow::bail!("{held:?}") };
    let is_dry = offboarded == "dry-run";
    anyhow::ensure!(block["dry_run"] == true || !is_dry, "{block}");
    anyhow::ensure!(block["kept"]["connections_reset"].as_u64() >= Some(1), "{block}");
    anyhow::ensure!((now.0 > then.0) == is_dry, "{}", context());
    anyhow::ensure!(now.1 > then.1 && other.is_running()?, "{}", context());
    // It goes on trying.
    anyhow::ensure!(block["kept"]["connections_refused"].as_u64() >= Some(1) || is_dry, "{block}");

    // It is over, and whoever comes back is let in.
    play.daemon.said(&["identity", "restore", identity])?;
    wait_until("nobody to be blocked", Duration::from_secs(2), || {
        Ok(blocks(&play.daemon)?.is_empty())
    })?;
    play.run(Kind::OpenAiSync, STOPPED, &Load::new("chat", 2))?;
    stopped.kill();
    other.kill();
    let said = play.daemon.log()?;
    anyhow::ensure!(said.contains("Closed") && said.contains("Released"), "{said}");
    Ok(())
}
