//! What Alertmanager sends to its webhooks, version 4, so that what understands that understands this.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weir_core::alert::{Notification, Reason};
use weir_core::detect::{Finding, State};
use weir_core::units::Timestamp;

use super::{Message, Telling, state, whom};

pub(super) fn message(telling: &Telling<'_>) -> Message {
    let Notification { webhook, time, reason, group, labels, findings, more, .. } =
        telling.notification;
    let mut alerts: Vec<Value> = findings.iter().map(|finding| alert(telling, finding)).collect();
    if alerts.is_empty() {
        // As the alert that is always there is called in Prometheus's own rules.
        let name = match reason {
            Reason::Heartbeat => "Watchdog",
            Reason::News | Reason::Repeat | Reason::Test => "WeirTest",
        };
        alerts.push(json!({
            "status": "firing",
            "labels": { "alertname": name, "severity": "informational", "host": telling.host },
            "annotations": { "summary": telling.title() },
            "startsAt": time,
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "",
            "fingerprint": group.0,
        }));
    }
    let body = json!({
        "version": "4",
        "groupKey": format!("weir/{}/{}", telling.host, group.0),
        "truncatedAlerts": more,
        "status": state(telling.notification.state()),
        "receiver": webhook,
        "groupLabels": labels,
        "commonLabels": common(&alerts, "labels"),
        "commonAnnotations": common(&alerts, "annotations"),
        "externalURL": "",
        "alerts": alerts,
    });
    Message::json(&body, telling.bearer())
}

fn alert(telling: &Telling<'_>, finding: &Finding) -> Value {
    let (kind, name) = finding.subject.parts();
    let labels = json!({
        "alertname": finding.detector,
        "severity": finding.severity,
        "host": telling.host,
        "identity": whom(finding),
        "subject": format!("{kind}:{name}"),
        "owner": finding.owner.as_deref().unwrap_or_default(),
        "team": finding.team.as_deref().unwrap_or_default(),
        "finding": finding.id,
    });
    let ends: Value = match finding.state {
        State::Firing => "0001-01-01T00:00:00Z".into(),
        State::Resolved => json!(Timestamp::max(finding.time, finding.since)),
    };
    json!({
        "status": state(finding.state),
        "labels": labels,
        "annotations": { "summary": finding.summary, "next_step": finding.next_step },
        "startsAt": finding.since,
        "endsAt": ends,
        "generatorURL": "",
        "fingerprint": finding.id.0.get(..16).unwrap_or(&finding.id.0),
    })
}

/// What all alerts say alike.
fn common(alerts: &[Value], of: &str) -> BTreeMap<String, Value> {
    let mut all = alerts.iter().filter_map(|alert| alert.get(of)?.as_object());
    let Some(first) = all.next() else { return BTreeMap::new() };
    let mut common: BTreeMap<_, _> = first.clone().into_iter().collect();
    for other in all {
        common.retain(|name, value| other.get(name) == Some(value));
    }
    common
}
