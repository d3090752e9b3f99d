//! A credential is used by somebody new, after it was others' for [`Settings::history_days`].
//!
//! Who uses a new credential in its first days are its users. Credentials that a rule's `shared_credentials`
//! name are exempt. If both use it at the same time, [`credential_leaked`](super::credential_leaked) is the
//! finding. (OWASP NHI9.)

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::sharers::Sharers;
use super::watch::{Call, Report, Say, Watch, Whose, days, hours};
use super::{Amount, Detector, Evidence, Severity, Subject};

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// So many days a credential must have been others'.
    pub history_days: u32,
    /// So many hours without a call of who is new, and it is over.
    pub quiet_hours: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { history_days: 7, quiet_hours: 24 }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct CredentialShared(Sharers);

impl Watch for CredentialShared {
    type Settings = Settings;
    const DETECTOR: Detector = Detector::CredentialShared;

    fn quiet(settings: &Settings) -> SignedDuration {
        hours(settings.quiet_hours)
    }

    fn call(&mut self, settings: &Settings, call: &Call<'_>, say: &mut Say<'_>) {
        let news = hours(settings.quiet_hours);
        let joined = self.0.see(call, days(settings.history_days), news);
        let Some(joined) = joined.filter(|joined| joined.by_newcomer) else { return };
        let record = call.record;
        let Some(print) = record.credential.clone() else { return };
        let subject = Subject::Credential(print.clone());
        say.holds(
            subject,
            &joined.newcomer,
            Severity::Medium,
            || Whose::call(record),
            || Report {
                summary: format!(
                    "{} uses the credential {print}, which was {}'s",
                    joined.newcomer, joined.holder
                ),
                evidence: Evidence {
                    observed: Some(Amount::Count(2)),
                    usual: Some(Amount::Count(1)),
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
                next_step: "Give each its own credential; if sharing is meant, add this one to \
                        `shared_credentials` of a [[rule]]"
                    .to_owned(),
            },
        );
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
    fn a_newcomer_to_an_old_credential_is_found() {
        let print = Log::print(1);
        let found = [(print.as_str(), Severity::Medium)];
        for (log, expected) in [
            (Log::new().key(1).calls("a", 9), &[] as &[_]),
            (Log::new().key(1).calls("a", 9).calls("b", 9), &[]),
            (Log::new().key(1).calls("a", 9).after_hours(24 * 8).calls("b", 9), &found),
            (Log::new().key(1).calls("a", 9).after_hours(24 * 8).key(2).calls("b", 9), &[]),
            (Log::new().key(1).calls("a", 9).after_hours(24 * 6).calls("b", 9), &[]),
            (Log::new().key(1).calls("a", 1).calls("b", 1).after_hours(24 * 8).calls("b", 9), &[]),
        ] {
            let mut watches = Watches::default();
            watches.add::<CredentialShared>(Some(Settings::default()));
            assert_eq!(log.firing(watches), firing(expected));
        }
    }
}
