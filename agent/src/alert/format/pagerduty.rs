//! PagerDuty's Events API v2: one incident for each group of findings. The secret is the routing key.

use serde_json::json;
use weir_core::alert::{Notification, Reason};
use weir_core::detect::{Severity, State};

use super::{Message, SecretError, Telling, short};

/// Most characters of a summary.
const SUMMARY_MAX: usize = 1024;

pub(super) fn message(telling: &Telling<'_>) -> Result<Message, SecretError> {
    let Notification { id, time, reason, group, labels, findings, more, firing, .. } =
        telling.notification;
    let key = telling.secrets.token().ok_or(SecretError::Malformed)?;
    let action = match telling.notification.state() {
        State::Firing => "trigger",
        State::Resolved => "resolve",
    };
    // A test is an incident of its own.
    let about = match reason {
        Reason::News | Reason::Repeat => &group.0,
        Reason::Test | Reason::Heartbeat => &id.0,
    };
    let severity = match telling.notification.severity() {
        Severity::Informational | Severity::Low => "info",
        Severity::Medium => "warning",
        Severity::High => "error",
        Severity::Critical => "critical",
    };
    let class = findings.first().map_or(reason.as_str(), |finding| finding.detector.as_str());
    Ok(Message::json(
        &json!({
            "routing_key": key,
            "event_action": action,
            "dedup_key": format!("weir-{}-{about}", telling.host),
            "client": "weir",
            "payload": {
                "summary": short(&telling.title(), SUMMARY_MAX),
                "source": telling.host,
                "severity": severity,
                "timestamp": time,
                "component": "weir",
                "class": class,
                "custom_details": {
                    "labels": labels, "findings": findings, "more": more, "firing": firing,
                },
            },
        }),
        Vec::new(),
    ))
}
