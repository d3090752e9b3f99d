//! A credential travels where others can read it.
//!
//! In the query of a URL it ends up in the logs of proxies and servers: low, as Google's own examples do it.
//! (OWASP NHI4.)

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::watch::{Call, Report, Say, Watch, Whose, days};
use super::{Amount, Detector, Evidence, Severity, Subject};
use crate::http::CredentialPlace;
use crate::meter::UsageRecord;

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// So many days without such a call, and it is over.
    pub quiet_days: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { quiet_days: 7 }
    }
}

/// Nothing has to be remembered.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct ExposedCredential {}

/// Where others can read it.
#[derive(Clone, Copy)]
enum Exposure {
    /// In the query of a URL.
    Url,
}

impl Exposure {
    fn of(record: &UsageRecord) -> Option<Self> {
        match record.credential_in? {
            CredentialPlace::Url => Some(Self::Url),
            CredentialPlace::Header => None,
        }
    }

    const fn severity(self) -> Severity {
        match self {
            Self::Url => Severity::Low,
        }
    }

    const fn place(self) -> &'static str {
        match self {
            Self::Url => "in the query of a URL, which proxies and servers log",
        }
    }

    const fn remedy(self) -> &'static str {
        match self {
            Self::Url => {
                "Send it in a header field instead (`x-goog-api-key`, `api-key`), and rotate it"
            }
        }
    }
}

impl Watch for ExposedCredential {
    type Settings = Settings;
    const DETECTOR: Detector = Detector::ExposedCredential;

    fn quiet(settings: &Settings) -> SignedDuration {
        days(settings.quiet_days)
    }

    fn call(&mut self, _settings: &Settings, call: &Call<'_>, say: &mut Say<'_>) {
        let record = call.record;
        let (Some(print), Some(exposure)) = (&record.credential, Exposure::of(record)) else {
            return;
        };
        if !call.is_live {
            return;
        }
        let subject = Subject::Credential(print.clone());
        let whose = || Whose::call(record);
        say.holds(subject, exposure.place(), exposure.severity(), whose, || Report {
            summary: format!(
                "{} sends the credential {print} {}",
                record.identity,
                exposure.place()
            ),
            evidence: Evidence {
                observed: Some(Amount::Calls(1)),
                from: Some(record.time),
                until: Some(call.now),
                calls: vec![record.id.clone()],
                details: BTreeMap::from([
                    ("credential".to_owned(), print.to_string()),
                    ("provider".to_owned(), record.provider.clone()),
                ]),
                ..Evidence::default()
            },
            next_step: exposure.remedy().to_owned(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Log, firing, resolved};
    use super::super::watch::Watches;
    use super::*;

    #[test]
    fn a_key_in_a_url_is_found_until_it_isn_t_there_any_more() {
        let watches = || {
            let mut watches = Watches::default();
            watches.add::<ExposedCredential>(Some(Settings::default()));
            watches
        };
        let sent = |place| Log::new().key(1).with(|like| like.credential_in = Some(place));
        assert_eq!(sent(CredentialPlace::Header).calls("a", 3).firing(watches()), firing(&[]));
        let log = sent(CredentialPlace::Url).calls("a", 3);
        assert_eq!(log.firing(watches()), firing(&[(Log::print(1).as_str(), Severity::Low)]));
        let log = log.with(|like| like.credential_in = None).after_hours(24 * 7).calls("a", 1);
        assert_eq!(resolved(&log.found(watches())).len(), 1);
    }
}
