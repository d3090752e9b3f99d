//! The demonstration behind `cargo xtask demo`: real clients make real TLS calls under several
//! identities, `weir` watches, and every call, token and identity it names is checked against what
//! the model server answered; and that a budget which they use up is told to a webhook, whose library
//! verifies it. Ends with a failure if anything differs.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use weir_tests::harness::client::Stream;
use weir_tests::harness::compare::{compare, sums_differ};
use weir_tests::harness::who::{CAST, clean_up};
use weir_tests::harness::{Client, Daemon, Kind, Load, Receiver, Scene, keep_secrets};

/// What the calls use up.
const BUDGET: &str = r#"
[alerts]
group_wait_seconds = 0

[[budget]]
name = "everything"
window = "24h"
limit_usd = 5.0
"#;
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
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
    let secret = scene.directory().join("webhook.secret");
    keep_secrets(&secret, &[SECRET])?;
    let mut webhook = Receiver::start(scene.place(), &[SECRET])?;
    let config = format!(
        "{BUDGET}\n[[webhook]]\nname = 'security'\nurl = '{}'\nformat = 'standard'\nsecret_file = '{}'\n",
        webhook.url,
        secret.display()
    );
    let home = scene.directory().join("weir");
    let daemon = Daemon::start_searched(scene.place(), &home, &config)?;
    progress("the daemon watches, with a state directory of its own, a budget and a webhook");

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

    println!("$ weir budget");
    println!("{}", daemon.said(&["budget"])?);
    let told = webhook.told()?;
    anyhow::ensure!(told["type"] == "finding.firing", "the webhook was told {told}");
    println!("the webhook was told, and its library has verified:\n{told:#}\n");

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
