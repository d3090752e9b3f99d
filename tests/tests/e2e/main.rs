//! The whole path: real clients, real TLS, the real daemon, and what `weir` says of it.
//!
//! Needs root and a kernel with BTF. Where that is missing the cases are ignored, with the reason
//! printed, unless `WEIR_E2E=require`. One case runs at a time: each has a daemon of its own, and a
//! daemon sees all of the host.

mod alerts;
mod bad_input;
mod blind_spots;
mod budget;
mod canary;
mod crash;
mod discovery;
mod endings;
mod enforcement;
mod identity;
mod load;
mod matrix;
mod rest;
mod roles;
mod runtimes;
mod rustls;
mod service;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use libtest_mimic::{Arguments, Failed, Trial};
use weir_tests::harness::client::Caller;
use weir_tests::harness::compare::compare;
use weir_tests::harness::{Client, Daemon, Kind, Load, Scene, Who, who};
use weir_tests::truth::Truth;

/// How many clients run at a time where each only has to be run: one alone leaves a processor idle.
const AT_ONCE: usize = 4;

/// A case: its name, and what it does.
type Case = (String, Box<dyn FnOnce() -> anyhow::Result<()> + Send>);

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let obstacle = obstacle();
    let required = std::env::var_os("WEIR_E2E").is_some_and(|value| value == "require");
    if let Some(reason) = &obstacle {
        println!("the end-to-end tests can't run: {reason}");
        if required {
            return ExitCode::FAILURE;
        }
    }
    let cases = [
        matrix::cases(),
        load::cases(),
        endings::cases(),
        canary::cases(),
        crash::cases(),
        bad_input::cases(),
        rest::cases(),
        runtimes::cases(),
        discovery::cases(),
        roles::cases(),
        identity::cases(),
        rustls::cases(),
        blind_spots::cases(),
        service::cases(),
        budget::cases(),
        enforcement::cases(),
        alerts::cases(),
    ];
    let trials = cases
        .into_iter()
        .flatten()
        .map(|(name, run)| {
            Trial::test(name, || run().map_err(|error| Failed::from(format!("{error:#}"))))
                .with_ignored_flag(obstacle.is_some())
        })
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if obstacle.is_none()
        && let Err(error) = who::clean_up()
    {
        println!("can't clean up: {error:#}");
    }
    conclusion.exit_code()
}

/// Why the cases can't run here, if they can't.
fn obstacle() -> Option<String> {
    if Who::Myself.uid().ok() != Some(0) {
        return Some("loading the probes needs root".to_owned());
    }
    if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        return Some("the kernel was built without BTF".to_owned());
    }
    None
}

/// A scene with a daemon, and the clients that have been started there.
struct Play {
    scene: Scene,
    daemon: Daemon,
    callers: Vec<Caller>,
    /// How many calls there had been before the daemon was there to see them.
    unseen: usize,
}

impl Play {
    /// A daemon that has never run before.
    fn begin() -> anyhow::Result<Self> {
        Self::begin_on(Scene::start()?)
    }

    /// The same, where clients have been running already.
    fn begin_on(scene: Scene) -> anyhow::Result<Self> {
        let unseen = scene.server.journal().calls().len();
        let daemon = Daemon::start(scene.place(), &scene.directory().join("weir"))?;
        Ok(Self { scene, daemon, callers: Vec::new(), unseen })
    }

    fn start(&mut self, kind: Kind, who: Who, load: &Load) -> anyhow::Result<Client> {
        let client = Client::start(&self.scene, kind, who, load)?;
        self.callers.push(client.caller().clone());
        Ok(client)
    }

    /// Runs one client to its end.
    fn run(&mut self, kind: Kind, who: Who, load: &Load) -> anyhow::Result<()> {
        self.start(kind, who, load)?.finish()?;
        Ok(())
    }

    /// Runs clients to their ends, some at a time: nothing may depend on their order.
    fn run_all(&mut self, clients: &[(Kind, Who, Load)]) -> anyhow::Result<()> {
        for together in clients.chunks(AT_ONCE) {
            let started: Vec<Client> = together
                .iter()
                .map(|(kind, who, load)| self.start(*kind, *who, load))
                .collect::<anyhow::Result<_>>()?;
            for client in started {
                client.finish()?;
            }
        }
        Ok(())
    }

    /// What the daemon should have seen.
    fn truth(&self) -> Vec<Truth> {
        self.scene.server.journal().calls().split_off(self.unseen)
    }

    /// Fails unless `weir` says of `calls` calls, neither more nor fewer, exactly what was the case.
    fn check(&self, calls: usize) -> anyhow::Result<()> {
        let truth = self.truth();
        anyhow::ensure!(truth.len() == calls, "{} calls were made, not {calls}", truth.len());
        let said = self.daemon.settled_calls(&self.scene.server.host(), truth.len())?;
        compare(&truth, &self.callers, &said).into_result().with_context(|| {
            format!("the daemon's log:\n{}", self.daemon.log().unwrap_or_default())
        })
    }
}

/// Makes a case of a function.
fn case(
    name: impl Into<String>,
    run: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
) -> Case {
    (name.into(), Box::new(run))
}
