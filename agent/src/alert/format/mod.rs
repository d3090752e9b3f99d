//! The forms in which webhooks are told something, one file each. They are pure: a notification goes in,
//! headers and a body come out, the same at each attempt but for what says when it is made.

mod alertmanager;
mod cef_syslog;
mod ocsf;
mod pagerduty;
mod slack;
mod splunk_hec;
mod standard;
#[cfg(test)]
mod tests;

use serde_json::Value;
use weir_core::alert::{Notification, Reason};
use weir_core::detect::{Finding, State};
use weir_core::units::Timestamp;
use zeroize::Zeroizing;

use super::secret::{SecretError, Secrets};
use crate::config::Format;

const JSON: &str = "application/json";

/// What is told, by whom and when.
pub(super) struct Telling<'a> {
    pub(super) notification: &'a Notification,
    /// This host's name.
    pub(super) host: &'a str,
    /// When this attempt is made.
    pub(super) now: Timestamp,
    pub(super) secrets: &'a Secrets,
}

/// What is sent. It may have secrets in it: wiped on drop.
pub(super) struct Message {
    pub(super) content_type: &'static str,
    pub(super) headers: Vec<(&'static str, Zeroizing<String>)>,
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Telling<'_> {
    /// What is sent in this form.
    ///
    /// # Errors
    /// If the secret file has nothing that the form asks for.
    pub(super) fn message(&self, format: Format) -> Result<Message, SecretError> {
        match format {
            Format::Standard => standard::message(self),
            Format::Slack => Ok(slack::message(self)),
            Format::Pagerduty => pagerduty::message(self),
            Format::Alertmanager => Ok(alertmanager::message(self)),
            Format::Ocsf => Ok(ocsf::message(self)),
            Format::SplunkHec => splunk_hec::message(self),
            Format::CefSyslog => Ok(cef_syslog::message(self)),
        }
    }

    /// It in one line, for people.
    fn title(&self) -> String {
        let Notification { reason, findings, more, .. } = self.notification;
        let host = self.host;
        match (reason, findings.as_slice()) {
            (Reason::Heartbeat, _) => format!("weir watches {host}"),
            (Reason::News | Reason::Repeat, [first, rest @ ..]) => {
                let others = rest.len() as u64 + more;
                let over = if first.state == State::Resolved { "Over: " } else { "" };
                match others {
                    0 => format!("{over}{} ({host})", first.summary),
                    _ => format!("{over}{} ({host}, and {others} more)", first.summary),
                }
            }
            (Reason::Test, _) | (Reason::News | Reason::Repeat, []) => {
                format!("A test of weir on {host}")
            }
        }
    }

    /// With the token as a bearer, if there is one.
    fn bearer(&self) -> Vec<(&'static str, Zeroizing<String>)> {
        let token = self.secrets.token();
        let header = token.map(|token| Zeroizing::new(format!("Bearer {token}")));
        header.map(|header| ("authorization", header)).into_iter().collect()
    }
}

impl Message {
    fn json(body: &Value, headers: Vec<(&'static str, Zeroizing<String>)>) -> Self {
        let body = Zeroizing::new(body.to_string().into_bytes());
        Self { content_type: JSON, headers, body }
    }
}

/// The name of a state.
const fn state(state: State) -> &'static str {
    match state {
        State::Firing => "firing",
        State::Resolved => "resolved",
    }
}

/// Who did it, or else what it is about.
fn whom(finding: &Finding) -> &str {
    finding.identity.as_ref().map_or_else(|| finding.subject.parts().1, |identity| &identity.0)
}

/// The start of a text, so many characters at most, and a mark where something is missing.
fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}
