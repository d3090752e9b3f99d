//! An identity uses a provider that it never used, or that its rule doesn't approve of.
//!
//! What is used in the first [`Settings::learning_days`] is what is usual. A new provider is who else gets what
//! is said, so it counts more than a new model; one that the rule's `approved_providers` don't have is found at
//! once. Only calls that are answered count. (OWASP NHI3, NHI5.)

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::novelty::{Grades, Novelty};
use super::watch::{Call, Report, Say, Watch, Whose, days, hours};
use super::{Detector, Evidence, Severity, Subject};

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// So many days everything is learnt.
    pub learning_days: u32,
    /// So many hours without a further call, and it is over.
    pub quiet_hours: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { learning_days: 7, quiet_hours: 24 }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct NewProvider(Novelty);

impl Watch for NewProvider {
    type Settings = Settings;
    const DETECTOR: Detector = Detector::NewProvider;

    fn quiet(settings: &Settings) -> SignedDuration {
        hours(settings.quiet_hours)
    }

    fn call(&mut self, settings: &Settings, call: &Call<'_>, say: &mut Say<'_>) {
        let record = call.record;
        if !call.is_live || !call.succeeded() {
            return;
        }
        let approved = call.declared.provider_approved(record);
        let name = &record.provider;
        let grades =
            Grades { unapproved: Severity::High, new: Severity::Medium, of_group: Severity::Low };
        let learning = days(settings.learning_days);
        let Some(severity) = self.0.see(call, name, approved, learning, grades) else { return };
        let subject = Subject::Identity(record.identity.clone());
        say.holds(
            subject,
            name,
            severity,
            || Whose::call(record),
            || Report {
                summary: match approved {
                    Some(_) => format!(
                        "{} uses {name}, which its rule doesn't approve of",
                        record.identity
                    ),
                    None => format!("{} uses {name} for the first time", record.identity),
                },
                evidence: Evidence {
                    from: Some(record.time),
                    until: Some(call.now),
                    calls: vec![record.id.clone()],
                    details: details(call),
                    ..Evidence::default()
                },
                next_step:
                    "Ask the owner whether this provider may have its data; if so, add it to \
                        `approved_providers` of the identity's [[rule]]"
                        .to_owned(),
            },
        );
    }

    fn rename(&mut self, from: &str, to: &str) {
        self.0.rename(from, to);
    }
}

fn details(call: &Call<'_>) -> BTreeMap<String, String> {
    let record = call.record;
    let mut details = BTreeMap::from([("provider".to_owned(), record.provider.clone())]);
    for (name, value) in [("host", &record.host), ("model", &record.model)] {
        if let Some(value) = value {
            details.insert(name.to_owned(), value.clone());
        }
    }
    details
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Log, firing};
    use super::super::watch::Watches;
    use super::*;

    #[test]
    fn a_new_provider_is_found_after_a_week() {
        for (days, status, expected) in
            [(6, 200, &[] as &[_]), (8, 200, &[("a", Severity::Medium)]), (8, 403, &[])]
        {
            let log = Log::new().calls("a", 3).after_hours(24 * days);
            let log = log.with(|like| {
                like.provider = "deepseek".to_owned();
                like.status = Some(status);
            });
            let mut watches = Watches::default();
            watches.add::<NewProvider>(Some(Settings::default()));
            assert_eq!(log.calls("a", 2).firing(watches), firing(expected), "{days} {status}");
        }
    }
}
