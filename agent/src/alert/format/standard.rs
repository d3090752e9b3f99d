//! Standard Webhooks (standardwebhooks.com): `{type, timestamp, data}`, signed with every key in use.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;
use weir_core::alert::{Notification, Reason};
use weir_core::detect::State;
use zeroize::Zeroizing;

use super::{Message, SecretError, Telling};

pub(super) fn message(telling: &Telling<'_>) -> Result<Message, SecretError> {
    let Notification { id, time, reason, labels, findings, more, firing, .. } =
        telling.notification;
    let kind = match reason {
        Reason::News | Reason::Repeat => match telling.notification.state() {
            State::Firing => "finding.firing",
            State::Resolved => "finding.resolved",
        },
        Reason::Test => "weir.test",
        Reason::Heartbeat => "weir.heartbeat",
    };
    let data = json!({
        "host": telling.host,
        "reason": reason.as_str(),
        "title": telling.title(),
        "severity": telling.notification.severity(),
        "labels": labels,
        "findings": findings,
        "more": more,
        "firing": firing,
    });
    let body = json!({ "type": kind, "timestamp": time, "data": data });
    let mut message = Message::json(&body, Vec::new());
    let timestamp = telling.now.as_second().to_string();
    let signed = [id.0.as_bytes(), b".", timestamp.as_bytes(), b".", &message.body].concat();
    let keys = telling.secrets.keys()?;
    let signatures: Vec<_> = keys.iter().map(|key| sign(key, &signed)).collect();
    message.headers = vec![
        ("webhook-id", Zeroizing::new(id.0.clone())),
        ("webhook-timestamp", Zeroizing::new(timestamp)),
        ("webhook-signature", Zeroizing::new(signatures.join(" "))),
    ];
    Ok(message)
}

pub(super) fn sign(key: &[u8], signed: &[u8]) -> String {
    let mut mac = match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mac) => mac,
        Err(_impossible) => unreachable!("HMAC takes a key of any length"),
    };
    mac.update(signed);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}
