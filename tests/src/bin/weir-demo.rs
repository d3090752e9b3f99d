//! The demonstration behind `cargo xtask demo`: real clients make real TLS calls under several
//! identities, `weir` watches, and every call, token and identity it names is checked against what
//! the model server answered. Ends with a failure if a single one differs.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use weir_tests::harness::client::Stream;
use weir_tests::harness::compare::{compare, sums_differ};
use weir_tests::harness::who::{CAST, clean_up};
use weir_tests::harness::{Client, Daemon, Kind, Load, Scene};

/// How many calls each client makes of each API it speaks.
const CALLS: u32 = 12;

fn main() -> ExitCode {
    let outcome = demo();
    let cleaned = clean_up();
    match outcome.and(cleaned) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn demo() -> anyhow::Result<()> {
    let begin = Instant::now();
    let progress = |what: &str| eprintln!("[{:5.1} s] {what}", begin.elapsed().as_secs_f64());

    let scene = Scene::start()?;
    progress(&format!("a model server answers on https://{}/v1", scene.server.host()));
    let daemon = Daemon::start(scene.place(), &scene.directory().join("weir"))?;
    progress("the daemon watches, with a state directory of its own");

    let mut clients = Vec::new();
    for (kind, who) in Kind::ALL.into_iter().zip(CAST.into_iter().cycle()) {
        for api in kind.apis() {
            let load = Load { stream: Stream::Mixed, concurrency: 3, ..Load::new(api, CALLS) };
            clients.push(Client::start(&scene, kind, who, &load)?);
        }
        progress(&format!("{} makes calls as {}", kind.name(), identity(who.identity())));
    }
    let mut callers = Vec::new();
    for client in clients {
        callers.push(client.finish()?.0);
    }
    let truth = scene.server.journal().calls();
    progress(&format!("{} calls were answered; waiting until they are committed", truth.len()));
    let calls = daemon.settled_calls(&scene.server.host(), truth.len())?;

    println!("\n$ weir usage --by identity,model --since 1h");
    print!("{}", daemon.said(&["usage", "--by", "identity,model", "--since", "1h"])?);
    println!();

    let verdict = compare(&truth, &callers, &calls);
    let log = || format!("the daemon's log:\n{}", daemon.log().unwrap_or_default());
    verdict.into_result().with_context(log)?;
    let wrong = sums_differ(&daemon.usage("identity,model")?, &daemon.all_calls()?);
    anyhow::ensure!(wrong.is_empty(), "the table is not the sum of the calls: {wrong:#?}");
    let status = daemon.stop()?;
    anyhow::ensure!(status.success(), "the daemon stopped with {status}");
    let tokens: u64 = truth
        .iter()
        .filter_map(|call| call.usage)
        .map(|tokens| tokens.input() + tokens.output)
        .sum();
    println!(
        "checked against the server: {} calls and {tokens} tokens by {} processes under {} \
         identities; all agree",
        truth.len(),
        callers.len(),
        CAST.len()
    );
    Ok(())
}

fn identity(identity: Option<String>) -> String {
    identity.unwrap_or_default().trim_start_matches('/').to_owned()
}
