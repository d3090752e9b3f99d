//! A ledger with a few calls in it, and a control socket that answers from it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use tokio::sync::oneshot;
use weir::alert::Alerts;
use weir::control::{Blocks, Busy, ChangeError, Check, Control, DoctorReport, Socket, serve};
use weir::ledger::{Entry, Ledger, Options};
use weir_core::alert::{Route, Settings};
use weir_core::detect::budget::BudgetReport;
use weir_core::detect::{Detector, Evidence, Finding, FindingId, Severity, State, Subject};
use weir_core::identity::{
    Assigned, Explanation, IdentityId, Namespace, Pod, Process, ProcessFacts, Rule, RuleSpec,
    Rules, Workload,
};
use weir_core::meter::{CallId, CostSource, UsageRecord, UsageSource};
use weir_core::provider::{Api, CallState};
use weir_core::units::{Counts, PicoUsd, Role, Timestamp, Tokens};

/// What answers as the daemon would. Stops when dropped.
pub(crate) struct Daemon {
    pub(crate) directory: tempfile::TempDir,
    ledger: Arc<Mutex<Ledger>>,
    alerts: Alerts,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Daemon {
    pub(crate) fn start() -> Self {
        Self::shared_with("no-such-group")
    }

    /// One whose socket members of `group` may use.
    pub(crate) fn shared_with(group: &str) -> Self {
        Self::with_auditors(group, None)
    }

    /// One whose auditors are in a group.
    pub(crate) fn with_auditors(group: &str, auditors: Option<u32>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let state_dir = directory.path().join("state");
        let options = Options { retain_days: None, probe: None };
        let (ledger, _report) = Ledger::open(&state_dir, Timestamp::now(), options).unwrap();
        let reader = ledger.reader();
        let ledger = Arc::new(Mutex::new(ledger));
        let alerts = alerts();
        let control = Control {
            reader,
            state_dir,
            rules: rules(),
            namespace: namespace(),
            explain: Box::new(explain),
            host: "host-1".to_owned(),
            trust_domain: "weir.local".to_owned(),
            started: Timestamp::now(),
            auditors,
            say: Box::new({
                let (ledger, alerts) = (Arc::clone(&ledger), alerts.clone());
                move |entry| {
                    alerts.take(&entry);
                    let appended = ledger.lock().unwrap().append(Timestamp::now(), &[entry]);
                    appended.map(drop).map_err(|_error| ChangeError::Busy)
                }
            }),
            budgets: Box::new(budgets),
            alerts: alerts.clone(),
            blocks: Box::new(Blocks::default),
            doctor: Box::new(|| DoctorReport {
                checks: vec![Check::fail("ring", "the reader has stopped", "restart the daemon")],
                ..DoctorReport::default()
            }),
        };
        let socket = Socket::bind(&socket_in(directory.path()), group).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let stopped = async { drop(stopped.await) };
            runtime.block_on(serve(socket, control, stopped)).unwrap();
        });
        Self { directory, ledger, alerts, stop: Some(stop), thread: Some(thread) }
    }

    /// Its ledger, to be written to.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    /// Knows of a finding, as if the log had it.
    pub(crate) fn find(&self, finding: Finding) {
        self.alerts.take(&Entry::Finding(Box::new(finding)));
    }

    pub(crate) fn socket(&self) -> PathBuf {
        socket_in(self.directory.path())
    }

    pub(crate) fn store(&mut self, calls: &[UsageRecord]) {
        let entries: Vec<_> =
            calls.iter().cloned().map(|call| Entry::Call(Box::new(call))).collect();
        self.ledger().append(Timestamp::now(), &entries).unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn namespace() -> Namespace {
    Namespace::new("weir.local", "host-1").unwrap()
}

fn rules() -> Rules {
    let rule = |name: &str, all: &[&str]| {
        let all = all.iter().map(|selector| selector.parse().unwrap()).collect();
        let owner = Some("ann@example.org".to_owned());
        Rule::new(RuleSpec {
            name: Some(name.to_owned()),
            all,
            assigned: Assigned { owner, team: Some("support".to_owned()), ..Assigned::default() },
            approved_models: vec!["gpt-5*".to_owned()],
            ..RuleSpec::default()
        })
        .unwrap()
    };
    Rules::new(vec![
        rule("crawler", &["container:name:crawler"]),
        rule("bot", &["systemd:id:bot.service", "process:script:bot.py"]),
    ])
}

/// Two budgets, one of them with an account for each team.
fn budgets() -> BudgetReport {
    let report = include_str!("../data/budgets.json");
    serde_json::from_str(report).unwrap()
}

/// A daemon that knows one process, 812 of uid 1000, and is too busy for 813.
fn explain(pid: u32) -> Result<Option<Explanation>, Busy> {
    match pid {
        812 => {
            let process = Process { pid, exe: Some("/usr/bin/python3".to_owned()), uid: 1000 };
            let pod = Pod {
                uid: "2c48913c-b29f-11e7-9350-020968147796".to_owned(),
                name: None,
                namespace: Some("prod".to_owned()),
                service_account: Some("pay".to_owned()),
            };
            let facts = ProcessFacts {
                user: Some("bot".to_owned()),
                cgroup: Some("/system.slice/bot.service".to_owned()),
                script: Some("bot.py".to_owned()),
                token: Some(pod),
                ..ProcessFacts::new(process)
            };
            Ok(Some(rules().explain(&facts, &namespace())))
        }
        813 => Err(Busy),
        _ => Ok(None),
    }
}

/// A call a minute ago.
pub(crate) fn call(number: u32, user: &str, model: &str) -> UsageRecord {
    UsageRecord {
        id: CallId(format!("{number:032x}")),
        time: Timestamp::now() - jiff::SignedDuration::from_secs(60),
        identity: IdentityId(format!("spiffe://weir.local/host/host-1/user/{user}")),
        process: Process { pid: 100, exe: Some("/usr/bin/python3".to_owned()), uid: 1000 },
        container: None,
        unit: None,
        workload: Workload::default(),
        role: Role::Client,
        provider: "openai".to_owned(),
        api: Api::ChatCompletions,
        host: Some("api.openai.com".to_owned()),
        model_requested: Some(model.to_owned()),
        model: Some(model.to_owned()),
        status: Some(200),
        streamed: false,
        state: CallState::Complete,
        tokens: Tokens {
            input_uncached: 1_000,
            cache_read: 200,
            output_visible: 50,
            ..Tokens::default()
        },
        usage_source: UsageSource::Reported,
        bounds: None,
        cost_usd: Some(PicoUsd(1_250_000_000)),
        cost_source: CostSource::Table,
        credential: None,
        credential_kind: None,
        credential_in: None,
        credential_ids: BTreeMap::new(),
        latency_ms: 800,
        ttft_ms: None,
        lost_bytes: 0,
        response_id: None,
        error_type: None,
        service_tier: None,
        batch: false,
        speed: None,
        region: None,
        traffic_type: None,
        spilled_over: false,
        counts: Counts::default(),
        parts: Vec::new(),
        inconsistent: false,
        retrieved: false,
        retrieved_by: None,
        retrieved_with: None,
        result_of: None,
        duplicate_of: None,
        settles: None,
        retry: None,
        request_fp: None,
        step_fp: None,
        trace_id: None,
        parent_id: None,
        user_agent: None,
        gateway: false,
        on_behalf_of: None,
        price_version: None,
    }
}

fn socket_in(directory: &Path) -> PathBuf {
    directory.join("weir.sock")
}

/// Alerts with one webhook, that nobody tells anything.
fn alerts() -> Alerts {
    let route = Route {
        webhook: "security".to_owned(),
        min_severity: Severity::Low,
        send_resolved: true,
        per_minute: 30,
        heartbeat: None,
    };
    Alerts::new(Settings { routes: vec![route], ..Settings::default() })
}

/// A budget that is used up. The first digits of its id are those of `number`.
pub(crate) fn finding(number: u8, severity: Severity) -> Finding {
    let time: Timestamp = "2026-11-26T08:00:00Z".parse().unwrap();
    Finding {
        id: FindingId(format!("{number:02x}").repeat(16)),
        time,
        since: time,
        state: State::Firing,
        detector: Detector::Budget,
        severity,
        subject: Subject::Budget(format!("budget-{number}")),
        identity: Some(IdentityId("spiffe://weir.local/host/host-1/user/ann".to_owned())),
        owner: None,
        team: None,
        summary: "$26.00 of $25.00 an hour are used".to_owned(),
        evidence: Evidence::default(),
        next_step: "Look at what user/ann does.".to_owned(),
    }
}
