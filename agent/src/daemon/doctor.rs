//! What the daemon tells `weir doctor` about itself.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use weir_core::alert::WebhookView;
use weir_core::blind::Reason;
use weir_core::units::Timestamp;

use super::vitals::Vitals;
use super::watch::losses;
use crate::alert::Alerts;
use crate::capture::{Capture, Exits, Outcome, Probed, Site, Target};
use crate::control::{CaptureFunction, CaptureSite, CaptureTarget, Check, DoctorReport};
use crate::enforce::{Enforcer, Standing};
use crate::host::KubeletHealth;
use crate::ledger::{Health, Reader};
use crate::preflight;

/// The report as of now.
pub(super) fn report(
    capture: &Capture,
    reader: &Reader,
    vitals: &Vitals,
    kubelet: Option<&KubeletHealth>,
    alerts: &Alerts,
    enforcer: &Enforcer,
) -> DoctorReport {
    let status = capture.status();
    let stats = vitals.pipeline();
    let unpriced = vitals.unpriced_models();
    let (blind_spots, blind_connections) = vitals.blind_spots();
    let mut checks: Vec<Check> =
        preflight::checks().into_iter().map(|(_exit, check)| check).collect();
    checks.extend([
        probes(&status.targets),
        ledger(&reader.health()),
        lost(losses(capture, vitals).map(|(_cause, records, _bytes)| records).sum()),
        room(stats.evicted),
        prices(unpriced.values().sum()),
        watched(status.unwatched.as_deref(), blind_connections.values().sum()),
    ]);
    checks.extend(kubelet.map(pods));
    checks.extend(alerts.webhooks().iter().map(told));
    let standing = enforcer.standing(Timestamp::now());
    checks.extend(enforcement(
        status.unblocked.as_deref(),
        status.unwatched.as_deref(),
        standing.as_ref(),
    ));
    let mut lost_by_cause: Vec<(String, u64)> = losses(capture, vitals)
        .map(|(cause, records, _bytes)| (cause.to_owned(), records))
        .collect();
    lost_by_cause.extend([
        ("evicted".to_owned(), stats.evicted),
        (
            "edges_dropped".to_owned(),
            stats.edges_dropped + vitals.edges_dropped.load(Ordering::Relaxed),
        ),
        (
            "batches_dropped".to_owned(),
            stats.batches_dropped + vitals.batches_dropped.load(Ordering::Relaxed),
        ),
        ("ledger_failed".to_owned(), vitals.entries_dropped.load(Ordering::Relaxed)),
        ("hint_dropped".to_owned(), status.hints_dropped),
    ]);
    DoctorReport {
        checks,
        attach: counts(status.tally.iter().map(|(tried, count)| (tried.as_str(), *count))),
        calls: stats.calls,
        blind_spots,
        blind_connections: counts(Reason::ALL.into_iter().map(|reason| {
            (reason.as_str(), blind_connections.get(&reason).copied().unwrap_or_default())
        })),
        capture: status.targets.iter().map(shown).collect(),
        losses: lost_by_cause.into_iter().collect(),
        served_connections: stats.served,
        token_bindings_refused: stats.bindings_refused,
        batch_claims_refused: vitals.batch_claims_refused.load(Ordering::Relaxed),
        unsupported: counts([
            ("grpc", stats.grpc),
            ("upgraded", stats.upgraded),
            ("tunnel", stats.tunnels),
        ]),
        unpriced,
        unknown: Vec::new(),
    }
}

fn pods(kubelet: &KubeletHealth) -> Check {
    match kubelet.latest() {
        Some(Ok(pods)) => Check::ok("kubelet", format!("it has told of {pods} pods")),
        None => Check::ok("kubelet", "it has not answered yet"),
        Some(Err(error)) => Check::warn(
            "kubelet",
            error,
            "see [kubernetes] in the configuration; service accounts are known from tokens meanwhile",
        ),
    }
}

fn told(webhook: &WebhookView) -> Check {
    let name = format!("webhook {}", webhook.webhook);
    let (waiting, dead) = (webhook.waiting, webhook.dead.len() as u64 + webhook.dead_forgotten);
    let lost = match (dead, webhook.dropped) {
        (0, 0) => String::new(),
        (dead, dropped) => format!("; {dead} could not be told and {dropped} gave way"),
    };
    let why = webhook.problem.map_or_else(String::new, |problem| format!(": {problem}"));
    let test = "mend it, then `weir alerts test` has it told at once what waits";
    if let Some(since) = webhook.gone {
        let detail = format!("it has wanted nothing (410) since {since}; {waiting} wait{lost}");
        return Check::warn(&name, detail, test);
    }
    if let Some(since) = webhook.failing_since {
        let detail = format!("it has failed since {since}{why}; {waiting} wait{lost}");
        return Check::warn(&name, detail, test);
    }
    if !lost.is_empty() {
        return Check::warn(
            &name,
            format!("{waiting} wait{lost}"),
            "`weir alerts replay` has what could not be told told again",
        );
    }
    match webhook.last_success {
        Some(last) => Check::ok(&name, format!("it has last taken something at {last}")),
        None => Check::ok(&name, "it was not told anything yet"),
    }
}

fn probes(targets: &[Target]) -> Check {
    let count = |wanted: fn(&Outcome) -> bool| {
        targets.iter().filter(|target| wanted(&target.outcome)).count()
    };
    let attached = count(|outcome| matches!(outcome, Outcome::Attached { .. }));
    let refused = count(|outcome| matches!(outcome, Outcome::Refused { .. }));
    if refused > 0 {
        return Check::fail(
            "probes",
            format!("attached to {attached} files, refused on {refused}"),
            "see the reasons below; calls made through those files are not seen",
        );
    }
    match attached {
        0 => Check::warn(
            "probes",
            "no TLS library that can be probed is installed or in use",
            "nothing to do if nothing here uses OpenSSL; it will be found when something does",
        ),
        1 => Check::ok("probes", "attached to 1 file with TLS code"),
        _ => Check::ok("probes", format!("attached to {attached} files with TLS code")),
    }
}

fn ledger(health: &Health) -> Check {
    match health {
        Health { log: Some(error), .. } => Check::fail(
            "ledger",
            format!("the usage log can't be written: {error}"),
            "make room or mend the disk; what waits is written as soon as that works",
        ),
        Health { index: Some(error), .. } => Check::warn(
            "ledger",
            format!("the index can't be used: {error}"),
            "answers stay exact but are slower; the index is opened or made anew by itself",
        ),
        Health { retention: Some(error), .. } => Check::warn(
            "ledger",
            format!("days that are due can't be removed: {error}"),
            "remove the cause, or the disk fills up",
        ),
        Health { log: None, index: None, retention: None } => {
            Check::ok("ledger", "the usage log and its index can be written")
        }
    }
}

fn lost(records: u64) -> Check {
    match records {
        0 => Check::ok("losses", "nothing was lost"),
        _ => Check::warn(
            "losses",
            format!("{records} records were lost since the start"),
            "see the causes below; for ring_full, raise capture.ring_bytes",
        ),
    }
}

fn room(evicted: u64) -> Check {
    match evicted {
        0 => Check::ok("memory", "no connection had to be forgotten for want of room"),
        _ => Check::warn(
            "memory",
            format!("{evicted} connections were forgotten for want of room"),
            "their open calls are marked truncated",
        ),
    }
}

fn prices(calls: u64) -> Check {
    match calls {
        0 => Check::ok("prices", "every model called since the start has a price"),
        _ => Check::warn(
            "prices",
            format!("{calls} calls to models without a price since the start"),
            "their tokens are counted and their cost is left out of every sum; see the models below",
        ),
    }
}

fn watched(unwatched: Option<&str>, connections: u64) -> Check {
    const NAME: &str = "blind spots";
    match (unwatched, connections) {
        (Some(reason), _) => Check::warn(
            NAME,
            format!("connections aren't watched: {reason}"),
            "what nothing is read of goes unnoticed",
        ),
        (None, 0) => {
            Check::ok(NAME, "no connection to a model endpoint is known that was not read")
        }
        (None, _) => Check::warn(
            NAME,
            format!("{connections} connections to model endpoints were not read since the start"),
            "see below whose they are, and docs/blind-spots.md for what each reason means",
        ),
    }
}

/// Absent where the configuration blocks nobody.
fn enforcement(
    unblocked: Option<&str>,
    unwatched: Option<&str>,
    standing: Option<&Standing>,
) -> Option<Check> {
    const NAME: &str = "enforcement";
    if let Some(reason) = unblocked {
        let detail = format!("nobody can be kept from model endpoints: {reason}");
        return Some(Check::fail(NAME, detail, "see docs/enforcement.md for what it takes"));
    }
    let Standing { blocks, crowded, failed, trouble, refused, .. } = standing?;
    if unwatched.is_some() {
        return Some(Check::fail(
            NAME,
            "connections aren't watched, so only addresses in blind_spots.hosts can be closed",
            "see blind spots above",
        ));
    }
    if *crowded > 0 || *refused > 0 {
        let detail = format!(
            "{crowded} identities too many to block, and {refused} times the kernel would not be told"
        );
        return Some(Check::fail(NAME, detail, "see the daemon's log"));
    }
    if let Some(trouble) = trouble {
        return Some(Check::warn(
            NAME,
            format!("{failed} connections could not be reset: {trouble}"),
            "they carry nothing any more, and end when their programs give up; see docs/enforcement.md",
        ));
    }
    let dry = blocks.iter().filter(|record| record.block.dry_run).count();
    Some(Check::ok(
        NAME,
        format!("{} blocks hold, and {dry} would", blocks.len().saturating_sub(dry)),
    ))
}

fn counts(counts: impl IntoIterator<Item = (&'static str, u64)>) -> BTreeMap<String, u64> {
    counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}

fn shown(target: &Target) -> CaptureTarget {
    let (outcome, functions) = match &target.outcome {
        Outcome::Attached { functions, runtime } => {
            let what = runtime.iter().map(|runtime| format!(" ({runtime})")).collect::<String>();
            (format!("attached{what}"), functions.iter().map(shown_function).collect())
        }
        Outcome::Loader => ("attached (dynamic loader)".to_owned(), Vec::new()),
        Outcome::NoSymbols { library } => {
            (format!("{library} is inside, but its functions could not be found"), Vec::new())
        }
        Outcome::Unsupported { reason } => (format!("not supported: {reason}"), Vec::new()),
        Outcome::Unreadable { reason } => (format!("unreadable: {reason}"), Vec::new()),
        Outcome::Refused { reason } => (format!("refused: {reason}"), Vec::new()),
    };
    CaptureTarget { path: target.path.clone(), outcome, functions }
}

fn shown_function(Probed { symbol, distance, sites }: &Probed) -> CaptureFunction {
    let shown = |site: &Site| {
        let offset = distance.saturating_add(i64::from(site.offset));
        let sign = if offset < 0 { '-' } else { '+' };
        let at = format!("{symbol}{sign}{:#x}", offset.unsigned_abs());
        CaptureSite { at, kind: site.kind.to_string() }
    };
    let (return_probe, exits) = match &sites.exits {
        Exits::Unwatched => (false, Vec::new()),
        Exits::Returned => (true, Vec::new()),
        Exits::At(exits) => (false, exits.iter().map(shown).collect()),
    };
    let entry = shown(&sites.entry);
    CaptureFunction { symbol: (*symbol).to_owned(), entry, return_probe, exits }
}
