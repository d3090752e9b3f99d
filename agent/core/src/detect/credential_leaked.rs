//! A credential is used by two identities within [`Settings::concurrent_minutes`] that never shared it, though
//! it is [`Settings::history_days`] old: who is new has it from somebody.
//!
//! Critical. Credentials that a rule's `shared_credentials` name are exempt. (OWASP NHI2, NHI9.)

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::sharers::Sharers;
use super::watch::{Call, Report, Say, Watch, Whose, days, hours, minutes};
use super::{Amount, Detector, Evidence, Severity, Subject};

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// So many days a credential must have been others'.
    pub history_days: u32,
    /// Uses so many minutes apart are at the same time.
    pub concurrent_minutes: u32,
    /// So many hours without such uses, and it is over.
    pub quiet_hours: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { history_days: 7, concurrent_minutes: 10, quiet_hours: 24 }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct CredentialLeaked(Sharers);

impl Watch for CredentialLeaked {
    type Settings = Settings;
    const DETECTOR: Detector = Detector::CredentialLeaked;

    fn quiet(settings: &Settings) -> SignedDuration {
        hours(settings.quiet_hours)
    }

    fn call(&mut self, settings: &Settings, call: &Call<'_>, say: &mut Say<'_>) {
        let news = hours(settings.quiet_hours);
        let Some(joined) = self.0.see(call, days(settings.history_days), news) else { return };
        if joined.apart > minutes(settings.concurrent_minutes) {
            return;
        }
        let record = call.record;
        let Some(print) = record.credential.clone() else { return };
        let subject = Subject::Credential(print.clone());
        let newcomer = crate::identity::IdentityId(joined.newcomer.clone());
        let whose = || {
            if joined.by_newcomer { Whose::call(record) } else { Whose::identity(newcomer) }
        };
        say.holds(subject, &joined.newcomer, Severity::Critical, whose, || Report {
            summary: format!(
                "{} and {} use the credential {print} at the same time, and never did",
                joined.newcomer, joined.holder
            ),
            evidence: Evidence {
                observed: Some(Amount::Seconds(joined.apart.unsigned_abs().as_secs())),
                limit: Some(Amount::Seconds(u64::from(settings.concurrent_minutes) * 60)),
                from: Some(record.time),
                until: Some(call.now),
                calls: vec![record.id.clone()],
                details: BTreeMap::from([
                    ("credential".to_owned(), print.to_string()),
                    ("holder".to_owned(), joined.holder.clone()),
                    ("provider".to_owned(), record.provider.clone()),
                ]),
                ..Evidence::default()
            },
            next_step: format!(
                "Revoke the credential at {} and give {} a new one, unless {} is meant to have it",
                record.provider, joined.holder, joined.newcomer
            ),
        });
    }

    fn rename(&mut self, from: &str, to: &str) {
        self.0.rename(from, to);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Log, firing};
    use super::super::watch::Watches;
    use super::*;

    #[test]
    fn use_at_the_same_time_is_found() {
        let print = Log::print(1);
        let found = [(print.as_str(), Severity::Critical)];
        let known = || Log::new().key(1).calls("a", 9).after_hours(24 * 8);
        let apart = SignedDuration::from_mins;
        for (log, expected) in [
            (known().calls("b", 9), &[] as &[_]),
            (known().calls("a", 1).after(apart(9)).calls("b", 9), &found),
            (known().calls("a", 1).after(apart(11)).calls("b", 1), &[]),
            (known().calls("b", 1).after(apart(9)).calls("a", 1), &found),
            (known().calls("b", 1).after(apart(11)).calls("a", 1), &[]),
            (Log::new().key(1).calls("a", 9).calls("b", 9).calls("a", 9), &[]),
        ] {
            let mut watches = Watches::default();
            watches.add::<CredentialLeaked>(Some(Settings::default()));
            assert_eq!(log.firing(watches), firing(expected));
        }
    }
}
