//! A person uses the credential of a workload: it made [`Settings::calls`] calls without a terminal on
//! [`Settings::days`] days or more, and now one comes from a terminal.
//!
//! Medium. Tokens of a login are a person's own and exempt, and so are credentials that a rule's
//! `shared_credentials` name. (OWASP NHI10.)

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::watch::{Call, Report, Say, Table, Watch, Whose, hours};
use super::{Amount, Detector, Evidence, Severity, Subject};
use crate::http::CredentialKind;

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// After so many calls without a terminal it is a workload's.
    pub calls: u32,
    /// If they were on so many days.
    pub days: u32,
    /// So many hours without a call from a terminal, and it is over.
    pub quiet_hours: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { calls: 20, days: 3, quiet_hours: 24 }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct HumanUse(Table<Use>);

/// Who uses a credential.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Use {
    /// Calls without a terminal.
    calls: u32,
    /// On so many days, the last of which is this one since 1970.
    days: u32,
    day: i64,
    /// It was a person's before.
    human: bool,
}

impl Watch for HumanUse {
    type Settings = Settings;
    const DETECTOR: Detector = Detector::HumanUse;

    fn quiet(settings: &Settings) -> SignedDuration {
        hours(settings.quiet_hours)
    }

    fn call(&mut self, settings: &Settings, call: &Call<'_>, say: &mut Say<'_>) {
        let record = call.record;
        let (Some(print), Some(interactive)) = (&record.credential, record.workload.interactive)
        else {
            return;
        };
        let exempt = record.credential_kind.is_some_and(is_of_a_login);
        if !call.is_live || exempt || call.declared.is_shared(print) {
            return;
        }
        let uses = self.0.row(print.as_str());
        if !interactive {
            uses.calls = uses.calls.saturating_add(1);
            let day = call.now.as_second().div_euclid(86_400);
            if day != uses.day {
                (uses.day, uses.days) = (day, uses.days.saturating_add(1));
            }
            return;
        }
        if uses.human || uses.calls < settings.calls || uses.days < settings.days {
            // A person had it first, or has it as well from the beginning.
            uses.human = true;
            return;
        }
        let calls = uses.calls;
        let subject = Subject::Credential(print.clone());
        let who = record.identity.0.clone();
        say.holds(subject, &who, Severity::Medium, || Whose::call(record), || Report {
            summary: format!(
                "{who} uses the credential {print} from a terminal, which made {calls} calls without one"
            ),
            evidence: Evidence {
                observed: Some(Amount::Calls(1)),
                usual: Some(Amount::Calls(0)),
                from: Some(record.time),
                until: Some(call.now),
                calls: vec![record.id.clone()],
                details: BTreeMap::from([
                    ("credential".to_owned(), print.to_string()),
                    ("uid".to_owned(), record.process.uid.to_string()),
                    ("pid".to_owned(), record.process.pid.to_string()),
                ]),
                ..Evidence::default()
            },
            next_step: "Ask who it was; give people credentials of their own, and rotate this one if \
                        it was copied"
                .to_owned(),
        });
    }
}

/// Whether it comes from somebody's login.
const fn is_of_a_login(kind: CredentialKind) -> bool {
    matches!(
        kind,
        CredentialKind::AnthropicOauth | CredentialKind::GoogleOauth | CredentialKind::CopilotToken
    )
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Log, firing};
    use super::super::watch::Watches;
    use super::*;

    fn terminal(log: Log, interactive: bool) -> Log {
        log.with(|like| like.workload.interactive = Some(interactive))
    }

    #[test]
    fn a_person_with_a_workload_s_key_is_found() {
        let print = Log::print(1);
        let found = [(print.as_str(), Severity::Medium)];
        let known = |hours, calls| terminal(Log::new().key(1), false).each_hours("a", hours, calls);
        let login = CredentialKind::AnthropicOauth;
        for (log, expected) in [
            (terminal(known(3, 24), true).calls("p", 3), &found as &[_]),
            (terminal(known(3, 19), true).calls("p", 3), &[]),
            (terminal(known(0, 50), true).calls("p", 3), &[]),
            (known(3, 24).calls("p", 3), &[]),
            (terminal(Log::new().key(1), true).calls("p", 1), &[]),
            (
                terminal(known(3, 24), true)
                    .with(|l| l.credential_kind = Some(login))
                    .calls("p", 1),
                &[],
            ),
        ] {
            let mut watches = Watches::default();
            watches.add::<HumanUse>(Some(Settings::default()));
            assert_eq!(log.firing(watches), firing(expected));
        }
    }
}
