//! `weir run`: threads and queues around the core, from start to an orderly stop.
//!
//! ```text
//! weir-drain ──calls──▶ weir-meter ──entries──▶ weir-ledger ──▶ Reader ──▶ control socket
//!      └───────────── losses ───────────────────────▲              │
//!                                        findings ──┼─ weir-detect ◀┤
//!                                         alerts ───┴─ weir-alert ◀─┘──▶ webhooks
//! ```
//!
//! Every queue is bounded. When the ledger can't write, the queues fill from the right; what the
//! leftmost can't take any more is counted, stands in the log as a loss once that can be written
//! again, and `weir doctor` says so at once.

mod alert;
mod asks;
mod blind;
mod changes;
mod detect;
mod doctor;
mod enforce;
mod failure;
mod notify;
mod settle;
mod vitals;
mod watch;

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use weir_core::detect::{Budgets, Detect, Rule, Watches};
use weir_core::identity::Namespace;
use weir_core::meter::{Catalogue, Meter};
use weir_core::pipeline::Pipeline;
use weir_core::units::Timestamp;

use crate::alert::Alerts;
use crate::capture::{self, Capture};
use crate::config::{Config, Kubernetes, fingerprint_key};
use crate::control::{Control, Socket, group_id, serve};
use crate::exit::Exit;
use crate::host::{self, Host, Kubelet, KubeletHealth};
use crate::ledger::{Checkpoints, Entry, Ledger, Mark, Options, Probe};
use crate::prices::OwnPrices;

use alert::Alerting;
use asks::asks;
use blind::Blind;
use changes::Changes;
use detect::Detecting;
use failure::Coded;
use notify::Manager;
use settle::{BATCH_TIME, BATCH_TIME_SHORT, Keeper, MeterQueue};
use vitals::Vitals;
use watch::{Flow, LossTeller, Watch};

/// Calls that may wait for the meter.
const CALLS_MAX: usize = 4096;
/// Entries that may wait for the ledger.
const ENTRIES_MAX: usize = 4096;

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// If it can't start, or can't stop in good order, with the [`Exit`] that says
/// what kind of remedy there is.
pub fn run(config: Config) -> anyhow::Result<()> {
    forbid_core_dumps()?;
    give_back_large_buffers();
    let started = Timestamp::now();
    let manager = Manager::of_environment();
    manager.status("reading the usage log");
    let options =
        Options { retain_days: Some(config.ledger.retention_days.0), probe: Some(Probe::itself()) };
    // The ledger's lock comes first: a second daemon must not probe anything.
    let (mut ledger, report) = Ledger::open(&config.state_dir, started, options).coded()?;
    tracing::info!(state_dir = %config.state_dir.display(), ?report, "ledger open");
    let meter = Meter::new(prices(&config)?);
    let key = fingerprint_key(&config.identity.fingerprint_key_file).coded()?;
    let namespace = Namespace::new(&config.trust_domain, &config.host)?;
    let boot = host::boot_id().context("this boot has no id")?;

    let options = capture::Options {
        ring_bytes: u32::try_from(config.capture.ring_bytes.0)?,
        programs: config.capture.programs.clone(),
        sweep: Duration::from_secs(config.capture.sweep_seconds.0.into()),
        watch_connections: config.blind_spots.watch,
        block: config.enforces(),
        ..capture::Options::default()
    };
    let (host, kubelet) = observed(namespace.clone(), config.kubernetes.clone())?;
    manager.status("attaching probes");
    let mut host = host.with_rules(config.rules.clone());
    host.look_around();
    let (capture, drain) = Capture::start(&options).coded()?;
    host.look_around();
    let waker = drain.waker();
    let (asker, asks) = asks({
        let waker = drain.waker();
        move || waker.wake()
    });
    // A daemon that answers is a daemon that sees.
    let socket = Socket::bind(&config.socket, &config.control.group).coded()?;
    ledger.append(Timestamp::now(), &[Entry::Start(Mark { time: started })]).coded()?;

    let vitals = Arc::new(Vitals::default());
    let reader = ledger.reader();
    let (made, metered) = sync_channel(CALLS_MAX);
    let (entries, kept) = sync_channel(ENTRIES_MAX);
    let enforcer = enforce::start(&capture, &config, &reader, &entries)?;
    let blind = Blind::new(
        capture.clone(),
        &config.blind_spots,
        key.clone(),
        enforcer.clone(),
        entries.clone(),
        Arc::clone(&vitals),
    );
    let (changes, changed) = (Changes::default(), entries.clone());
    let budgets = Budgets::new(config.budgets.clone());
    let detecting = Detecting::new(
        || Detect::new(rules(&config, &budgets)),
        &reader,
        Checkpoints::new(&config.state_dir, "detect"),
        entries.clone(),
        enforcer.clone(),
        Arc::clone(&vitals),
    );
    let alerts = Alerts::new(config.alerts.clone());
    let alerting = Alerting::new(
        alerts.clone(),
        config.webhooks.clone(),
        &config.host,
        reader.clone(),
        Checkpoints::new(&config.state_dir, "alert"),
        entries.clone(),
        Arc::clone(&vitals),
    )
    .context("webhooks can't be told anything")?;
    let flow = Flow {
        capture: capture.clone(),
        blind,
        pipeline: Pipeline::new(key),
        host,
        asks,
        enforcer: enforcer.clone(),
        made,
        losses: LossTeller::new(capture.clone(), entries.clone(), Arc::clone(&vitals)),
        vitals: Arc::clone(&vitals),
    };
    let watch = Watch::new(drain, flow, manager.turn());
    let meter = MeterQueue {
        meter,
        boot,
        made: metered,
        entries,
        ledger: reader.clone(),
        vitals: Arc::clone(&vitals),
    };
    let keeper = Keeper {
        ledger,
        entries: kept,
        changes: changes.clone(),
        patience: if config.enforces() { BATCH_TIME_SHORT } else { BATCH_TIME },
        vitals: Arc::clone(&vitals),
        turn: manager.turn(),
    };

    let watching = spawn("weir-drain", move || watch.run())?;
    let metering = spawn("weir-meter", move || meter.run())?;
    let keeping = spawn("weir-ledger", move || keeper.run())?;
    let detecting = spawn("weir-detect", move || detecting.run())?;
    let alerting = spawn("weir-alert", move || alerting.run())?;

    let following = reader.clone();
    let control = Control {
        reader: reader.clone(),
        state_dir: config.state_dir.clone(),
        rules: config.rules,
        namespace,
        explain: Box::new(move |pid| asker.explain(pid)),
        host: config.host.clone(),
        trust_domain: config.trust_domain.clone(),
        started,
        auditors: group_id(&config.control.auditor_group),
        say: Box::new(move |said| changes.say(said, &changed)),
        budgets: Box::new(move || budgets.report(Timestamp::now())),
        blocks: Box::new({
            let enforcer = enforcer.clone();
            move || enforce::blocks(&enforcer)
        }),
        alerts: alerts.clone(),
        doctor: Box::new({
            let vitals = Arc::clone(&vitals);
            move || doctor::report(&capture, &reader, &vitals, kubelet.as_ref(), &alerts, &enforcer)
        }),
    };
    tracing::info!(socket = %config.socket.display(), "watching");
    let served = answer(socket, control, manager, &vitals);
    manager.stopping();

    vitals.stop();
    waker.wake();
    following.wake();
    let watched = joined(watching)?;
    joined(metering)?;
    joined(detecting)?;
    joined(alerting)?;
    let closed = joined(keeping)?;
    served?;
    watched.context("the probes could not be read")?;
    closed.coded()?;
    tracing::info!("stopped");
    Ok(())
}

/// Everything that looks at what is stored, as the configuration wants it. None remembers anything yet.
fn rules(config: &Config, budgets: &Budgets) -> Vec<Box<dyn Rule>> {
    let mut settings = config.detect.clone();
    if let Some(loss) = &mut settings.loss {
        loss.host = config.host.clone();
    }
    let watches = Watches::of(settings, &config.rules);
    let mut rules: Vec<Box<dyn Rule>> = vec![Box::new(budgets.afresh()), Box::new(watches)];
    rules.extend(enforce::rules(config));
    rules
}

/// The prices that calls are priced by. Their version is kept, to price history by it again; if it
/// can't be, calls are priced all the same.
fn prices(config: &Config) -> anyhow::Result<Catalogue> {
    let own = OwnPrices::read(&config.prices.dir).context(Exit::ConfigInvalid)?;
    let catalogue = own.catalogue().context(Exit::ConfigInvalid)?;
    if let Err(error) = own.kept().keep(&config.state_dir, catalogue.version()) {
        tracing::warn!(%error, "the version of the prices can't be kept");
    }
    tracing::info!(
        version = catalogue.version(),
        own = catalogue.own().len() + catalogue.own_rows().len(),
        "prices"
    );
    Ok(catalogue)
}

/// This host, and how asking the kubelet goes where the configuration has one.
fn observed(
    namespace: Namespace,
    kubernetes: Option<Kubernetes>,
) -> anyhow::Result<(Host, Option<KubeletHealth>)> {
    let host = Host::new(namespace, host::Paths::default());
    let Some(access) = kubernetes else { return Ok((host, None)) };
    let kubelet = Kubelet::start(access).context("the kubelet can't be asked")?;
    let health = kubelet.health();
    Ok((host.asking(kubelet), Some(health)))
}

/// Answers on the socket until a signal says to stop.
fn answer(
    socket: Socket,
    control: Control,
    manager: Manager,
    vitals: &Vitals,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("weir-control")
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let stop = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        manager.ready();
        // Here and not on the runtime's own thread, which answers questions.
        tokio::select! {
            served = serve(socket, control, stop) => Ok(served?),
            never = manager.keep_told(vitals) => match never {},
        }
    })
}

/// Has what a file was read into go back to the kernel at once. glibc's allocator keeps, once such a buffer
/// was freed, up to twice its size for the next one (`mallopt(3)`, `M_MMAP_THRESHOLD`): tens of MiB at rest.
#[cfg(target_env = "gnu")]
fn give_back_large_buffers() {
    const LARGE: libc::c_int = 256 << 10;
    // SAFETY: sets a number of the allocator's. There is no other thread yet.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
}

/// Other allocators have their own ways.
#[cfg(not(target_env = "gnu"))]
const fn give_back_large_buffers() {}

/// What passes through this process must not land in a core file, nor be read by another process.
fn forbid_core_dumps() -> anyhow::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    set_dumpable_behavior(DumpableBehavior::NotDumpable).context("core dumps can't be forbidden")
}

fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<thread::JoinHandle<T>> {
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(body);
    spawned.with_context(|| format!("the thread {name} can't be started"))
}

fn joined<T>(thread: thread::JoinHandle<T>) -> anyhow::Result<T> {
    let name = thread.thread().name().unwrap_or("a thread").to_owned();
    thread.join().map_err(|_panic| anyhow::anyhow!("{name} has panicked"))
}
