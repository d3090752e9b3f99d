//! A credential travels where others can read it.
//!
//! In the query of a URL it ends up in the logs of proxies and servers: low, as Google's own examples do it. In
//! plain HTTP that leaves the host everybody on the way can take it: high. (OWASP NHI4.)

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::watch::{Call, Report, Say, Watch, Whose, days};
use super::{Amount, Detector, Evidence, Seen, Severity, Subject};
use crate::http::CredentialPlace;
use crate::identity::IdentityId;
use crate::meter::{CallId, UsageRecord};
use crate::secret::Fingerprint;
use crate::units::Timestamp;

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
    /// On the network, without encryption.
    PlainHttp,
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
            Self::PlainHttp => Severity::High,
        }
    }

    const fn place(self) -> &'static str {
        match self {
            Self::Url => "in the query of a URL, which proxies and servers log",
            Self::PlainHttp => "by plain HTTP, which everybody on the way can read",
        }
    }

    const fn remedy(self) -> &'static str {
        match self {
            Self::Url => {
                "Send it in a header field instead (`x-goog-api-key`, `api-key`), and rotate it"
            }
            Self::PlainHttp => "Have that host reached by HTTPS, and rotate the credential",
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
        let of = Exposed {
            exposure,
            credential: print,
            identity: &record.identity,
            provider: Some(&record.provider),
            from: record.time,
            until: call.now,
            call: Some(&record.id),
        };
        of.say(|| Whose::call(record), say);
    }

    fn other(&mut self, _settings: &Settings, seen: &Seen<'_>, say: &mut Say<'_>) {
        let Seen::Blind(spot) = seen else { return };
        let Some(said) = spot.plain_http.as_ref().filter(|said| !said.loopback) else { return };
        let Some(credential) = &said.credential else { return };
        let of = Exposed {
            exposure: Exposure::PlainHttp,
            credential,
            identity: &spot.identity,
            provider: said.provider.as_deref(),
            from: spot.time,
            until: spot.until,
            call: None,
        };
        let (owner, team) = said.assigned.clone().map_or((None, None), |it| (it.owner, it.team));
        of.say(|| Whose::identity(spot.identity.clone()).asking(owner, team), say);
    }
}

/// One sight of it.
struct Exposed<'a> {
    exposure: Exposure,
    credential: &'a Fingerprint,
    identity: &'a IdentityId,
    provider: Option<&'a str>,
    from: Timestamp,
    until: Timestamp,
    /// None was metered of what travels by plain HTTP.
    call: Option<&'a CallId>,
}

impl Exposed<'_> {
    fn say(&self, whose: impl FnOnce() -> Whose, say: &mut Say<'_>) {
        let Self { exposure, credential, identity, provider, from, until, call } = self;
        let subject = Subject::Credential((*credential).clone());
        say.holds(subject, exposure.place(), exposure.severity(), whose, || {
            let provider = provider.map(|name| ("provider".to_owned(), name.to_owned()));
            Report {
                summary: format!(
                    "{identity} sends the credential {credential} {}",
                    exposure.place()
                ),
                evidence: Evidence {
                    observed: Some(Amount::Count(1)),
                    from: Some(*from),
                    until: Some(*until),
                    calls: call.iter().map(|&id| id.clone()).collect(),
                    details: [("credential".to_owned(), credential.to_string())]
                        .into_iter()
                        .chain(provider)
                        .collect(),
                    ..Evidence::default()
                },
                next_step: exposure.remedy().to_owned(),
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Line, Log, firing, resolved};
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
    #[test]
    fn a_key_in_plain_http_is_found_where_it_leaves_the_host() {
        for (loopback, key, expected) in [
            (false, Some(1), firing(&[(Log::print(1).as_str(), Severity::High)])),
            (true, Some(1), firing(&[])),
            (false, None, firing(&[])),
        ] {
            let mut watches = Watches::default();
            watches.add::<ExposedCredential>(Some(Settings::default()));
            let log = Log::new().line(|time| Line::plain(time, loopback, key));
            assert_eq!(log.firing(watches), expected, "{loopback} {key:?}");
        }
    }
}
