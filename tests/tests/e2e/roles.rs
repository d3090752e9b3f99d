//! Programs that answer, and those that pass on what others answer: each answer is billed once.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use weir_tests::harness::client::Stream;
use weir_tests::harness::{Client, Daemon, Kind, Load, Scene, Who, wait_until};
use weir_tests::truth::Truth;

use crate::{Case, case};

const CALLS: u32 = 6;
/// A trace, of which a client's calls are.
const TRACE_PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// What a gateway does, by the name that `gateway.py` has for it; whom it and its caller run as, each of them
/// nobody else; and how many records that makes.
#[derive(Clone, Copy)]
struct Mode {
    name: &'static str,
    app: Who,
    gateway: Who,
    records: usize,
}

const ANSWER: Mode = Mode {
    name: "answer",
    app: Who::User("www-data"),
    gateway: Who::User("nobody"),
    records: CALLS as usize,
};
const PASS: Mode = Mode { name: "pass", records: 2 * CALLS as usize, ..ANSWER };
const TRACE: Mode = Mode {
    name: "trace",
    app: Who::User("backup"),
    gateway: Who::User("games"),
    records: 2 * CALLS as usize,
};
const WORK: Mode = Mode {
    name: "work",
    app: Who::User("proxy"),
    gateway: Who::User("man"),
    records: 2 * CALLS as usize,
};
const RENAME: Mode = Mode {
    name: "rename",
    app: Who::User("mail"),
    gateway: Who::User("news"),
    records: 2 * CALLS as usize,
};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for before in [false, true] {
        let when = if before { "before" } else { "after" };
        let mut add = |name: &str, run: fn(bool) -> anyhow::Result<()>| {
            cases.push(case(format!("{name}_{when}_the_daemon"), move || run(before)));
        };
        add("one_bill_for_a_server_and_its_caller_and_one_for_what_it_asks", server);
        add("one_bill_for_what_gateways_pass_on_and_two_for_what_they_rename", gateways);
    }
    cases
}

fn server(before: bool) -> anyhow::Result<()> {
    let stage = Stage::play(&[ANSWER, WORK], before)?;
    stage.check(ANSWER, answers)?;
    stage.check(WORK, works_for_others)
}

fn gateways(before: bool) -> anyhow::Result<()> {
    let stage = Stage::play(&[PASS, TRACE, RENAME], before)?;
    stage.check(PASS, passes_on)?;
    stage.check(TRACE, goes_on)?;
    stage.check(RENAME, renames)
}

/// A program that answers calls, until it is dropped.
struct Gateway {
    child: Child,
    host: String,
}

impl Gateway {
    fn start(scene: &Scene, mode: Mode) -> anyhow::Result<Self> {
        let certificate = scene.directory().join("server.pem");
        std::fs::write(&certificate, scene.server.credentials())?;
        let place = scene.place();
        let mut command = mode.gateway.command(&place.python)?;
        command.arg(place.clients.join("gateway.py")).arg(mode.name).arg(certificate);
        command.env("OPENAI_BASE_URL", format!("https://{}/v1", scene.server.host()));
        command.env("OPENAI_API_KEY", format!("sk-weir-{}", Self::label(mode)));
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("SSL_CERT_FILE", scene.directory().join("authority.pem"));
        let mut child = command.stdout(Stdio::piped()).spawn().context("can't run Python")?;
        let stdout = child.stdout.take().context("no standard output")?;
        let mut gateway = Self { child, host: String::new() };
        let mut port = String::new();
        BufReader::new(stdout).read_line(&mut port)?;
        gateway.host = format!("localhost:{}", port.trim());
        Ok(gateway)
    }

    /// What its own calls are called in the truth.
    fn label(mode: Mode) -> String {
        format!("gateway-{}", mode.name)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Apps and gateways that have run under one daemon.
struct Stage {
    daemon: Daemon,
    played: Vec<Played>,
    _scene: Scene,
}

/// What an app and a gateway did, and what `weir` says of it.
struct Played {
    mode: Mode,
    app: u32,
    gateway: u32,
    /// The host that the app asked.
    host: String,
    /// What the model server answered the gateway while the daemon was there.
    truth: Vec<Truth>,
    calls: Vec<Value>,
}

impl Stage {
    /// Has the app of each mode make calls, half of them streams.
    fn play(modes: &[Mode], before: bool) -> anyhow::Result<Self> {
        let scene = Scene::start()?;
        let gateways: Vec<(Mode, Gateway)> = modes
            .iter()
            .map(|&mode| Ok((mode, Gateway::start(&scene, mode)?)))
            .collect::<anyhow::Result<_>>()?;
        let home = scene.directory().join("weir");
        let start = || -> anyhow::Result<Vec<Client>> {
            gateways.iter().map(|(mode, gateway)| app(&scene, *mode, gateway, before)).collect()
        };
        let daemon = || Daemon::start(scene.place(), &home);
        let (mut apps, daemon) = if before {
            let apps = start()?;
            (apps, daemon()?)
        } else {
            let daemon = daemon()?;
            (start()?, daemon)
        };
        let unseen = if before { scene.server.journal().calls().len() } else { 0 };
        if before {
            apps.iter_mut().try_for_each(|app| app.go(&scene))?;
        }
        let mut pids = Vec::new();
        for app in apps {
            let (caller, reports) = app.finish()?;
            let failed = reports.iter().find(|report| report.get("error").is_some());
            anyhow::ensure!(failed.is_none(), "{failed:?}");
            pids.push(caller.pid);
        }
        // One too many has to have the time to come.
        std::thread::sleep(Duration::from_secs(3));
        let truth = scene.server.journal().calls().split_off(unseen);
        let mut played = Vec::new();
        for ((mode, gateway), app) in gateways.iter().zip(pids) {
            let label = Gateway::label(*mode);
            played.push(Played {
                mode: *mode,
                app,
                gateway: gateway.child.id(),
                host: gateway.host.clone(),
                truth: truth.iter().filter(|call| call.label == label).cloned().collect(),
                calls: calls_of(&daemon, [app, gateway.child.id()], mode.records)?,
            });
        }
        Ok(Self { daemon, played, _scene: scene })
    }

    /// Has what came of a mode checked.
    fn check(
        &self,
        mode: Mode,
        check: impl FnOnce(&Played, &Daemon) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let played = self.played.iter().find(|played| played.mode.name == mode.name);
        let played = played.with_context(|| format!("{} was not played", mode.name))?;
        check(played, &self.daemon).with_context(|| format!("a gateway that does {}", mode.name))
    }
}

fn app(scene: &Scene, mode: Mode, gateway: &Gateway, wait: bool) -> anyhow::Result<Client> {
    let answers_itself = [ANSWER.name, WORK.name].contains(&mode.name);
    let passes_trace_on = [TRACE.name, WORK.name].contains(&mode.name);
    let load = Load {
        stream: if answers_itself { Stream::Yes } else { Stream::Mixed },
        wait,
        host: Some(gateway.host.clone()),
        trace: passes_trace_on.then_some(TRACE_PARENT),
        ..Load::new("chat", CALLS)
    };
    Client::start(scene, Kind::OpenAiSync, mode.app, &load)
}

/// The calls of these processes, as many as are expected.
fn calls_of(daemon: &Daemon, by: [u32; 2], records: usize) -> anyhow::Result<Vec<Value>> {
    let ours = |call: &Value| by.iter().any(|pid| call["process"]["pid"] == *pid);
    let mut calls = Vec::new();
    wait_until("the calls to be committed", Duration::from_secs(15), || {
        calls = daemon.all_calls()?.into_iter().filter(ours).collect();
        Ok(calls.len() >= records)
    })
    .with_context(|| format!("of {records} there are: {calls:#?}"))?;
    anyhow::ensure!(calls.len() == records, "not {records}: {calls:#?}");
    Ok(calls)
}

impl Played {
    /// The record of `pid` with this id.
    fn record(&self, pid: u32, id: &str) -> anyhow::Result<&Value> {
        let mut found = self
            .calls
            .iter()
            .filter(|call| call["process"]["pid"] == pid && call["response_id"] == id);
        let one = found.next().with_context(|| format!("{pid} has no {id}: {:#?}", self.calls))?;
        anyhow::ensure!(found.next().is_none(), "{pid} has {id} twice: {:#?}", self.calls);
        Ok(one)
    }

    /// Fails unless the identity of each is billed so many calls, and nobody else any.
    fn check_bills(&self, daemon: &Daemon, app: u64, gateway: u64) -> anyhow::Result<()> {
        let usage = daemon.usage("identity")?;
        let rows = usage["rows"].as_array().context("no rows")?;
        for (who, expected) in [(self.mode.app, app), (self.mode.gateway, gateway)] {
            let suffix = who.identity().context("nobody in particular")?;
            let paid: Vec<_> = rows
                .iter()
                .filter(|row| row["identity"].as_str().is_some_and(|id| id.ends_with(&suffix)))
                .filter(|row| row["cost_usd"] != "0.00")
                .map(|row| row["calls"].as_u64())
                .collect();
            let bills: Vec<_> = (expected > 0).then_some(Some(expected)).into_iter().collect();
            anyhow::ensure!(paid == bills, "{suffix} is billed {paid:?} calls: {usage:#}");
        }
        Ok(())
    }
}

fn check(record: &Value, fields: &[(&str, Value)]) -> anyhow::Result<()> {
    for (field, expected) in fields {
        let found = record.pointer(field).unwrap_or(&Value::Null);
        anyhow::ensure!(found == expected, "{field} is {found}, not {expected}: {record:#}");
    }
    Ok(())
}

/// The numbers of a call that bills them.
fn bill(input: u64, output: u64) -> [(&'static str, Value); 5] {
    [
        ("/role", json!("client")),
        ("/tokens/input_total", json!(input)),
        ("/tokens/output_total", json!(output)),
        ("/usage_source", json!("reported")),
        ("/duplicate_of", Value::Null),
    ]
}

fn answers(played: &Played, daemon: &Daemon) -> anyhow::Result<()> {
    for call in &played.calls {
        check(call, &bill(11, 5))?;
        check(call, &[("/process/pid", json!(played.app)), ("/host", json!(played.host))])?;
    }
    let report: Value = serde_json::from_str(&daemon.said(&["doctor", "--format", "json"])?)?;
    anyhow::ensure!(report["served_connections"].as_u64() > Some(0), "nothing served: {report:#}");
    played.check_bills(daemon, CALLS.into(), 0)
}

fn passes_on(played: &Played, daemon: &Daemon) -> anyhow::Result<()> {
    anyhow::ensure!(played.truth.len() == CALLS as usize, "{:#?}", played.truth);
    for truth in &played.truth {
        let id = truth.response_id.as_deref().context("an answer without an id")?;
        let usage = truth.usage.context("an answer without usage")?;
        let paid = played.record(played.app, id)?;
        check(paid, &bill(usage.input(), usage.output))?;
        check(paid, &[("/host", json!(played.host)), ("/cost_source", json!("table"))])?;
        let repeat = [
            ("/role", json!("client")),
            ("/host", json!(truth.host)),
            ("/duplicate_of", paid["id"].clone()),
            ("/cost_source", json!("repeat")),
            ("/cost_usd", json!("0.00")),
        ];
        check(played.record(played.gateway, id)?, &repeat)?;
    }
    played.check_bills(daemon, CALLS.into(), 0)
}

/// Their ids are not the same, but their trace is.
fn goes_on(played: &Played, daemon: &Daemon) -> anyhow::Result<()> {
    let of = |pid: u32| played.calls.iter().filter(move |call| call["process"]["pid"] == pid);
    let paid: Vec<&Value> = of(played.app).map(|call| &call["id"]).collect();
    let mut repeated = Vec::new();
    for call in of(played.gateway) {
        check(call, &[("/cost_source", json!("repeat")), ("/on_behalf_of/by", json!("gateway"))])?;
        let caller = call["on_behalf_of"]["identity"].as_str().unwrap_or_default();
        let app = played.mode.app.identity().context("nobody in particular")?;
        anyhow::ensure!(caller.ends_with(&app), "{caller} isn't {app}");
        repeated.push(&call["duplicate_of"]);
    }
    anyhow::ensure!(paid.iter().all(|id| repeated.contains(id)), "{paid:?}, {repeated:?}");
    played.check_bills(daemon, CALLS.into(), 0)
}

/// What it asks on the way is its own, and of a call that has not ended yet.
fn works_for_others(played: &Played, daemon: &Daemon) -> anyhow::Result<()> {
    let app = played.mode.app.identity().context("nobody in particular")?;
    for call in &played.calls {
        check(call, &[("/duplicate_of", Value::Null)])?;
        if call["process"]["pid"] == played.app {
            check(call, &[("/on_behalf_of", Value::Null)])?;
        } else {
            check(call, &[("/on_behalf_of/by", json!("trace")), ("/gateway", json!(true))])?;
            let caller = call["on_behalf_of"]["identity"].as_str().unwrap_or_default();
            anyhow::ensure!(caller.ends_with(&app), "{caller} isn't {app}");
        }
    }
    played.check_bills(daemon, CALLS.into(), CALLS.into())
}

/// Nothing shows that the two are one, and too much can be seen where too little can't.
fn renames(played: &Played, daemon: &Daemon) -> anyhow::Result<()> {
    for call in &played.calls {
        check(call, &[("/duplicate_of", Value::Null), ("/cost_source", json!("table"))])?;
    }
    played.check_bills(daemon, CALLS.into(), CALLS.into())
}
