//! Somebody uses what was offboarded: an identity that an administrator has offboarded makes calls, or
//! another one does with a credential that only that identity had.
//!
//! A call that is answered is critical. One that is refused shows that the key is dead and that somebody still
//! tries: informational, and medium from [`Settings::refused`] an hour on. (OWASP NHI1.)

use std::collections::{BTreeMap, VecDeque};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::watch::{Call, Report, Say, Table, Watch, Whose, ago, hours};
use super::{Amount, Detector, Evidence, Seen, Severity, Subject};
use crate::secret::Fingerprint;
use crate::units::Timestamp;

/// Most offboarded identities and credentials that are remembered, the latest of each. An administrator
/// names them one by one.
const TOMBS_MAX: usize = 10_000;
/// Most credentials that are remembered of an identity.
const HELD_MAX: usize = 8;

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// So many refused calls an hour are medium.
    pub refused: u32,
    /// So many hours without a call, and it is over.
    pub quiet_hours: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { refused: 5, quiet_hours: 24 }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct UseAfterOffboarding {
    /// When identities were offboarded.
    identities: BTreeMap<String, Timestamp>,
    /// When credentials were, with the identity that had them.
    credentials: BTreeMap<String, (Timestamp, String)>,
    /// The credentials that identities use.
    held: Table<VecDeque<Fingerprint>>,
    /// Who uses a credential: nobody if several do.
    holders: Table<Option<String>>,
    /// When calls of offboarded identities were refused in the last hour.
    refused: Table<VecDeque<Timestamp>, 1000>,
}

impl UseAfterOffboarding {
    fn hold(&mut self, call: &Call<'_>) {
        let Some(credential) = &call.record.credential else { return };
        let held = self.held.row(call.identity());
        if !held.contains(credential) {
            if held.len() >= HELD_MAX {
                held.pop_front();
            }
            held.push_back(credential.clone());
        }
        match self.holders.get_mut(credential.as_str()) {
            Some(holder) if holder.as_deref() == Some(call.identity()) => {}
            Some(holder) => *holder = None,
            None => *self.holders.row(credential.as_str()) = Some(call.identity().to_owned()),
        }
    }
}

impl Watch for UseAfterOffboarding {
    type Settings = Settings;
    const DETECTOR: Detector = Detector::UseAfterOffboarding;

    fn quiet(settings: &Settings) -> SignedDuration {
        hours(settings.quiet_hours)
    }

    fn call(&mut self, settings: &Settings, call: &Call<'_>, say: &mut Say<'_>) {
        if !call.is_live {
            return;
        }
        let record = call.record;
        let credential = record.credential.as_ref();
        let buried = credential.and_then(|print| self.credentials.get(print.as_str()));
        let (since, subject, was) = match (self.identities.get(call.identity()), buried) {
            (Some(since), _) => {
                (*since, Subject::Identity(record.identity.clone()), call.identity().to_owned())
            }
            (None, Some((since, was))) if credential.is_some() => {
                let subject = credential.map(|print| Subject::Credential(print.clone()));
                (*since, subject.unwrap_or(Subject::Identity(record.identity.clone())), was.clone())
            }
            (None, _) => return self.hold(call),
        };
        if record.time < since {
            return;
        }
        let refused = self.refused.row(subject.parts().1);
        refused.retain(|time| ago(call.now, *time) < SignedDuration::from_hours(1));
        let severity = if call.succeeded() {
            Severity::Critical
        } else {
            if refused.len() < settings.refused as usize {
                refused.push_back(call.now);
            }
            let many = refused.len() >= settings.refused as usize;
            if many { Severity::Medium } else { Severity::Informational }
        };
        let count = refused.len() as u64;
        say.holds(subject, "", severity, || Whose::call(record), || Report {
            summary: match severity {
                Severity::Critical => format!(
                    "{} made a call that was answered, though {was} was offboarded at {since}",
                    record.identity
                ),
                _ => format!(
                    "{} makes calls that are refused, though {was} was offboarded at {since}",
                    record.identity
                ),
            },
            evidence: Evidence {
                observed: Some(Amount::Calls(count.max(1))),
                limit: Some(Amount::Calls(0)),
                from: Some(since),
                until: Some(call.now),
                calls: vec![record.id.clone()],
                details: details(call),
                ..Evidence::default()
            },
            next_step: format!(
                "Revoke the credential at {}, and end what still uses it; `weir identity show {}` says \
                 where it runs",
                record.provider, record.identity
            ),
        });
    }

    fn other(&mut self, _settings: &Settings, seen: &Seen<'_>, say: &mut Say<'_>) {
        match seen {
            Seen::Offboarded(identity, time) => {
                if self.identities.len() < TOMBS_MAX {
                    self.identities.insert(identity.0.clone(), *time);
                }
                for credential in self.held.remove(&identity.0).unwrap_or_default() {
                    let holder = self.holders.peek(credential.as_str());
                    let is_its_own =
                        holder.is_some_and(|holder| holder.as_ref() == Some(&identity.0));
                    if is_its_own && self.credentials.len() < TOMBS_MAX {
                        let tomb = (*time, identity.0.clone());
                        self.credentials.insert(credential.as_str().to_owned(), tomb);
                    }
                }
            }
            Seen::Restored(identity, _) => {
                self.identities.remove(&identity.0);
                say.over(&Subject::Identity((*identity).clone()));
                let is_its = |(_, was): &(Timestamp, String)| *was == identity.0;
                for (print, _) in self.credentials.extract_if(.., |_, tomb| is_its(tomb)) {
                    if let Ok(print) = print.parse() {
                        say.over(&Subject::Credential(print));
                    }
                }
            }
            _ => {}
        }
    }

    fn rename(&mut self, from: &str, to: &str) {
        self.held.rename(from, to);
        if let Some(time) = self.identities.remove(from) {
            self.identities.insert(to.to_owned(), time);
        }
    }
}

fn details(call: &Call<'_>) -> BTreeMap<String, String> {
    let record = call.record;
    let mut details = BTreeMap::from([("provider".to_owned(), record.provider.clone())]);
    if let Some(credential) = &record.credential {
        details.insert("credential".to_owned(), credential.to_string());
    }
    if let Some(status) = record.status {
        details.insert("status".to_owned(), status.to_string());
    }
    details
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Log, firing, resolved};
    use super::super::watch::Watches;
    use super::*;

    fn check(log: Log, expected: &[(&str, Severity)]) {
        let mut watches = Watches::default();
        watches.add::<UseAfterOffboarding>(Some(Settings::default()));
        assert_eq!(log.firing(watches), firing(expected));
    }

    #[test]
    fn what_an_offboarded_identity_does_is_found() {
        let log = || Log::new().calls("a", 3).offboard("a");
        check(log(), &[]);
        check(log().calls("b", 3), &[]);
        check(log().calls("a", 3), &[("a", Severity::Critical)]);
        check(log().errors("a", 401, 4), &[("a", Severity::Informational)]);
        let five = [("a", Severity::Informational), ("a", Severity::Medium)];
        check(log().errors("a", 401, 5), &five);
        check(log().restore("a").calls("a", 3), &[]);
    }

    #[test]
    fn its_own_credential_is_offboarded_with_it() {
        let print = Log::print(7);
        let log = || Log::new().key(7).calls("a", 3).offboard("a");
        check(log().key(7).calls("b", 1), &[(print.as_str(), Severity::Critical)]);
        let shared = Log::new().key(7).calls("a", 3).calls("b", 1).offboard("a");
        check(shared.calls("b", 1), &[]);
    }

    #[test]
    fn it_is_over_after_a_day_or_a_word() {
        let log = || Log::new().calls("a", 3).offboard("a").calls("a", 1);
        for (log, is_over) in [
            (log().after_hours(23).calls("b", 1), false),
            (log().after_hours(25).calls("b", 1), true),
            (log().restore("a"), true),
        ] {
            let mut watches = Watches::default();
            watches.add::<UseAfterOffboarding>(Some(Settings::default()));
            assert_eq!(resolved(&log.found(watches)).len(), usize::from(is_over));
        }
    }
}
