//! One credential is used in two environments, as rules name them.
//!
//! Medium, and high if one is production. Environments in which it wasn't used for [`Settings::within_days`]
//! don't count, and credentials that a rule's `shared_credentials` name are exempt. (OWASP NHI8, NHI9.)

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::watch::{Call, Report, Say, Table, Watch, Whose, ago, days, hours};
use super::{Amount, Detector, Evidence, Severity, Subject};
use crate::units::Timestamp;

/// Most environments that are remembered of a credential.
const ENVIRONMENTS_MAX: usize = 8;

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Uses so many days apart are no crossing.
    pub within_days: u32,
    /// So many hours without a further use, and it is over.
    pub quiet_hours: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { within_days: 30, quiet_hours: 24 }
    }
}

/// When credentials were last used in environments.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct EnvironmentCrossing(Table<BTreeMap<String, Timestamp>>);

impl Watch for EnvironmentCrossing {
    type Settings = Settings;
    const DETECTOR: Detector = Detector::EnvironmentCrossing;

    fn quiet(settings: &Settings) -> SignedDuration {
        hours(settings.quiet_hours)
    }

    fn call(&mut self, settings: &Settings, call: &Call<'_>, say: &mut Say<'_>) {
        let record = call.record;
        let assigned = record.workload.assigned.as_ref();
        let environment = assigned.and_then(|assigned| assigned.environment.as_ref());
        let (Some(print), Some(here)) = (&record.credential, environment) else { return };
        if !call.is_live || call.declared.is_shared(print) {
            return;
        }
        let seen = self.0.row(print.as_str());
        seen.retain(|_, last| ago(call.now, *last) < days(settings.within_days));
        if seen.len() < ENVIRONMENTS_MAX || seen.contains_key(here) {
            seen.insert(here.clone(), call.now);
        }
        if seen.len() < 2 {
            return;
        }
        let names: Vec<_> = seen.keys().map(String::as_str).collect();
        let in_production = names.iter().any(|name| name.to_ascii_lowercase().starts_with("prod"));
        let severity = if in_production { Severity::High } else { Severity::Medium };
        let names = names.join(", ");
        let subject = Subject::Credential(print.clone());
        say.holds(
            subject,
            "",
            severity,
            || Whose::call(record),
            || Report {
                summary: format!("the credential {print} is used in several environments: {names}"),
                evidence: Evidence {
                    observed: Some(Amount::Count(seen.len() as u64)),
                    limit: Some(Amount::Count(1)),
                    from: seen.values().min().copied(),
                    until: Some(call.now),
                    calls: vec![record.id.clone()],
                    details: BTreeMap::from([
                        ("credential".to_owned(), print.to_string()),
                        ("environments".to_owned(), names.clone()),
                    ]),
                    ..Evidence::default()
                },
                next_step: "Give each environment its own credential, and revoke this one"
                    .to_owned(),
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Log, firing};
    use super::super::watch::Watches;
    use super::*;

    #[test]
    fn a_credential_of_two_environments_is_found() {
        let print = Log::print(1);
        let in_both = |first: &str, second: &str, hours| {
            let log = Log::new().key(1).rule("a", Some(first)).calls("a", 1).after_hours(hours);
            log.rule("b", Some(second)).calls("b", 1)
        };
        for (log, expected) in [
            (in_both("prod", "dev", 1), Some(Severity::High)),
            (in_both("staging", "dev", 1), Some(Severity::Medium)),
            (in_both("dev", "dev", 1), None),
            (in_both("prod", "dev", 24 * 31), None),
        ] {
            let mut watches = Watches::default();
            watches.add::<EnvironmentCrossing>(Some(Settings::default()));
            let expected: Vec<_> =
                expected.into_iter().map(|severity| (print.as_str(), severity)).collect();
            assert_eq!(log.firing(watches), firing(&expected));
        }
    }
}
