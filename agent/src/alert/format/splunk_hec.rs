//! Splunk's HTTP Event Collector (`/services/collector/event`): one event for each finding, one after the
//! other. The secret is the token.

use serde_json::{Value, json};
use weir_core::alert::Notification;
use zeroize::Zeroizing;

use super::{Message, SecretError, Telling, state};

pub(super) fn message(telling: &Telling<'_>) -> Result<Message, SecretError> {
    let token = telling.secrets.token().ok_or(SecretError::Malformed)?;
    let Notification { id, time, reason, findings, .. } = telling.notification;
    let event = |time: weir_core::units::Timestamp, event: Value| {
        // Seconds with thousandths, as text so that no digit is lost.
        let (seconds, rest) = (time.as_second(), time.subsec_millisecond().max(0));
        json!({
            "time": format!("{seconds}.{rest:03}"),
            "host": telling.host,
            "source": "weir",
            "sourcetype": "weir:finding",
            "event": event,
        })
        .to_string()
    };
    let mut events: Vec<_> = findings
        .iter()
        .map(|finding| {
            let state = state(finding.state);
            let about = json!({
                "notification": id, "reason": reason.as_str(), "state": state, "finding": finding,
            });
            event(finding.time, about)
        })
        .collect();
    if events.is_empty() {
        let about =
            json!({ "notification": id, "reason": reason.as_str(), "title": telling.title() });
        events.push(event(*time, about));
    }
    Ok(Message {
        content_type: "application/json",
        headers: vec![("authorization", Zeroizing::new(format!("Splunk {token}")))],
        body: Zeroizing::new(events.join("\n").into_bytes()),
    })
}
