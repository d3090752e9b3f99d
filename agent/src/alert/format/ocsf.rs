//! Detection Findings of OCSF (schema.ocsf.io, class 2004, version 1.5): a list with one event for each
//! finding. A test or a heartbeat is one, too, of the least severity.

use serde_json::{Value, json};
use weir_core::alert::{Notification, Reason};
use weir_core::detect::{Finding, Severity, State, Subject};

use super::{Message, Telling, state, whom};

/// "Detection Finding", in the category "Findings".
const CLASS: u64 = 2004;

pub(super) fn message(telling: &Telling<'_>) -> Message {
    let findings = &telling.notification.findings;
    let mut events: Vec<Value> = findings.iter().map(|finding| event(telling, finding)).collect();
    if events.is_empty() {
        events.push(alone(telling));
    }
    Message::json(&Value::Array(events), telling.bearer())
}

fn event(telling: &Telling<'_>, finding: &Finding) -> Value {
    let Notification { id, reason, .. } = telling.notification;
    let (activity, status) = match (finding.state, reason) {
        (State::Resolved, _) => (3, 4),
        (State::Firing, Reason::Repeat) => (2, 1),
        (State::Firing, Reason::News | Reason::Test | Reason::Heartbeat) => (1, 1),
    };
    let (kind, name) = finding.subject.parts();
    let detector = finding.detector;
    let mut event = base(telling, activity, severity_id(finding.severity));
    let parts = json!({
        "time": finding.time.as_millisecond(),
        "status_id": status,
        "message": finding.summary,
        "finding_info": {
            "uid": finding.id,
            "title": detector.as_str().replace('_', " "),
            "desc": finding.summary,
            "types": detector.owasp().iter().chain(detector.nist_csf()).collect::<Vec<_>>(),
            "first_seen_time": finding.since.as_millisecond(),
            "last_seen_time": finding.time.as_millisecond(),
            "analytic": { "type_id": 1, "type": "Rule", "name": detector, "uid": detector },
        },
        "resources": [{ "type": kind, "name": name, "uid": name, "owner": owner(finding) }],
        "remediation": { "desc": finding.next_step },
        "unmapped": {
            "notification": id,
            "identity": whom(finding),
            "evidence": finding.evidence,
            "state": state(finding.state),
        },
    });
    merge(&mut event, parts);
    if let Subject::Credential(credential) = &finding.subject {
        merge(
            &mut event,
            json!({ "observables": [
            { "type_id": 99, "type": "Credential Fingerprint", "name": "resources.uid",
              "value": credential.as_str() },
        ] }),
        );
    }
    event
}

/// What there is of a test or a heartbeat.
fn alone(telling: &Telling<'_>) -> Value {
    let Notification { id, time, reason, .. } = telling.notification;
    let mut event = base(telling, 1, severity_id(Severity::Informational));
    merge(
        &mut event,
        json!({
            "time": time.as_millisecond(),
            "status_id": 1,
            "message": telling.title(),
            "finding_info": { "uid": id, "title": format!("weir {}", reason.as_str()) },
        }),
    );
    event
}

fn base(telling: &Telling<'_>, activity: u64, severity: u64) -> Value {
    let is_alert = telling.notification.reason == Reason::News;
    json!({
        "class_uid": CLASS,
        "class_name": "Detection Finding",
        "category_uid": 2,
        "category_name": "Findings",
        "activity_id": activity,
        "type_uid": CLASS * 100 + activity,
        "severity_id": severity,
        "is_alert": is_alert,
        "device": { "hostname": telling.host, "type_id": 0 },
        "metadata": {
            "version": "1.5.0",
            "uid": telling.notification.id,
            "product": { "name": "weir", "vendor_name": "weir", "version": env!("CARGO_PKG_VERSION") },
        },
    })
}

fn merge(event: &mut Value, parts: Value) {
    if let (Value::Object(event), Value::Object(parts)) = (event, parts) {
        event.extend(parts);
    }
}

fn owner(finding: &Finding) -> Value {
    json!({ "name": finding.owner.as_deref().or(finding.team.as_deref()).unwrap_or("unknown") })
}

/// As OCSF counts.
const fn severity_id(severity: Severity) -> u64 {
    match severity {
        Severity::Informational => 1,
        Severity::Low => 2,
        Severity::Medium => 3,
        Severity::High => 4,
        Severity::Critical => 5,
    }
}
