//! A credential that doesn't expire by itself was seen [`Settings::days`] ago and is still used.
//!
//! Low, and medium once it is four times as old. It may be older than what was seen of it. (OWASP NHI7.)

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::watch::{Call, Report, Say, Table, Watch, Whose, ago, days};
use super::{Amount, Detector, Evidence, Severity, Subject};
use crate::http::CredentialKind;
use crate::meter::UsageRecord;
use crate::units::Timestamp;

/// How a long-term access key of AWS begins (IAM identifiers, "Understanding unique ID prefixes").
const LONG_TERM: &str = "AKIA";

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// It may become so many days old.
    pub days: u32,
    /// So many days without use, and it is over.
    pub quiet_days: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { days: 90, quiet_days: 7 }
    }
}

/// When credentials were first seen.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct LongLivedCredential(Table<Option<Timestamp>>);

impl Watch for LongLivedCredential {
    type Settings = Settings;
    const DETECTOR: Detector = Detector::LongLivedCredential;

    fn quiet(settings: &Settings) -> SignedDuration {
        days(settings.quiet_days)
    }

    fn call(&mut self, settings: &Settings, call: &Call<'_>, say: &mut Say<'_>) {
        let record = call.record;
        let Some(print) = record.credential.as_ref().filter(|_| is_static(record)) else { return };
        if !call.is_live || !call.succeeded() {
            return;
        }
        let since = *self.0.row(print.as_str()).get_or_insert(call.now);
        let age = ago(call.now, since);
        if age < days(settings.days) {
            return;
        }
        let is_old = age >= days(settings.days.saturating_mul(4));
        let severity = if is_old { Severity::Medium } else { Severity::Low };
        let subject = Subject::Credential(print.clone());
        say.holds(subject, "", severity, || Whose::call(record), || Report {
            summary: format!(
                "the credential {print} is at least {} days old and still used",
                age.as_hours() / 24
            ),
            evidence: Evidence {
                observed: Some(Amount::Seconds(age.unsigned_abs().as_secs())),
                limit: Some(Amount::Seconds(u64::from(settings.days) * 86_400)),
                from: Some(since),
                until: Some(call.now),
                calls: vec![record.id.clone()],
                details: BTreeMap::from([
                    ("credential".to_owned(), print.to_string()),
                    ("provider".to_owned(), record.provider.clone()),
                ]),
                ..Evidence::default()
            },
            next_step: format!(
                "Rotate it at {}, or use short-lived credentials; `weir credentials` shows who has it",
                record.provider
            ),
        });
    }
}

/// Whether it stays valid until somebody revokes it.
fn is_static(record: &UsageRecord) -> bool {
    let Some(kind) = record.credential_kind else { return false };
    match kind {
        CredentialKind::OpenaiKey
        | CredentialKind::AnthropicKey
        | CredentialKind::BedrockApiKey
        | CredentialKind::AzureApiKey
        | CredentialKind::GoogleApiKey
        | CredentialKind::GithubToken
        | CredentialKind::OpenrouterKey
        | CredentialKind::GroqKey
        | CredentialKind::XaiKey
        | CredentialKind::PerplexityKey
        | CredentialKind::HuggingfaceToken
        | CredentialKind::FireworksKey
        | CredentialKind::DatabricksToken
        | CredentialKind::Basic
        | CredentialKind::ApiKey => true,
        CredentialKind::AwsSigv4 => record
            .credential_ids
            .get("aws_access_key_id")
            .is_some_and(|key| key.starts_with(LONG_TERM)),
        CredentialKind::AnthropicOauth
        | CredentialKind::GoogleOauth
        | CredentialKind::GoogleEphemeral
        | CredentialKind::Jwt
        | CredentialKind::CopilotToken
        | CredentialKind::Bearer
        | CredentialKind::Other => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Log, firing};
    use super::super::watch::Watches;
    use super::*;

    #[test]
    fn old_keys_are_found() {
        let print = Log::print(1);
        let (low, medium) = ((print.as_str(), Severity::Low), (print.as_str(), Severity::Medium));
        for (kind, weeks, expected) in [
            (CredentialKind::OpenaiKey, 12, &[] as &[_]),
            (CredentialKind::OpenaiKey, 13, &[low]),
            (CredentialKind::OpenaiKey, 60, &[low, medium]),
            (CredentialKind::Jwt, 60, &[]),
            (CredentialKind::AwsSigv4, 60, &[]),
        ] {
            let log = Log::new().key(1).with(|like| like.credential_kind = Some(kind));
            let log = log.each_hours("a", 24 * 6, weeks * 7 / 6 + 1);
            let mut watches = Watches::default();
            watches.add::<LongLivedCredential>(Some(Settings::default()));
            assert_eq!(log.firing(watches), firing(expected), "{kind:?} {weeks}");
        }
    }
}
