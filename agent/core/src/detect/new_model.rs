//! An identity uses a model that it never used, or that its rule doesn't approve of.
//!
//! What is used in the first [`Settings::learning_days`] is what is usual. Versions of a model that differ by
//! their date are one. A model that its like use is good to know; one that the rule's `approved_models` don't
//! have is found at once. Only calls that are answered count. (OWASP NHI3, NHI5.)

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::baseline::family;
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
pub(super) struct NewModel(Novelty);

impl Watch for NewModel {
    type Settings = Settings;
    const DETECTOR: Detector = Detector::NewModel;

    fn quiet(settings: &Settings) -> SignedDuration {
        hours(settings.quiet_hours)
    }

    fn call(&mut self, settings: &Settings, call: &Call<'_>, say: &mut Say<'_>) {
        let record = call.record;
        let Some(model) = &record.model else { return };
        if !call.is_live || !call.succeeded() {
            return;
        }
        let approved = call.declared.model_approved(record);
        let name = format!("{}/{}", record.provider, family(model));
        let grades = Grades {
            unapproved: Severity::Medium,
            new: Severity::Low,
            of_group: Severity::Informational,
        };
        let learning = days(settings.learning_days);
        let Some(severity) = self.0.see(call, &name, approved, learning, grades) else { return };
        let subject = Subject::Identity(record.identity.clone());
        say.holds(subject, &name, severity, || Whose::call(record), || Report {
            summary: match approved {
                Some(_) => format!("{} uses {name}, which its rule doesn't approve of", record.identity),
                None => format!("{} uses {name} for the first time", record.identity),
            },
            evidence: Evidence {
                from: Some(record.time),
                until: Some(call.now),
                calls: vec![record.id.clone()],
                details: BTreeMap::from([
                    ("model".to_owned(), model.clone()),
                    ("provider".to_owned(), record.provider.clone()),
                ]),
                ..Evidence::default()
            },
            next_step: "Ask the owner; if it is meant, add the model to `approved_models` of the identity's \
                        [[rule]]"
                .to_owned(),
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

    fn check(log: Log, expected: &[(&str, Severity)]) {
        let mut watches = Watches::default();
        watches.add::<NewModel>(Some(Settings::default()));
        assert_eq!(log.firing(watches), firing(expected));
    }

    fn model(log: Log, model: &str) -> Log {
        log.with(|like| like.model = Some(model.to_owned()))
    }

    #[test]
    fn what_is_new_after_a_week_is_found_once() {
        let known = |days: i64| Log::new().calls("a", 3).after_hours(24 * days);
        check(model(known(6), "o9").calls("a", 3), &[]);
        check(model(known(8), "o9").calls("a", 3), &[("a", Severity::Low)]);
        check(model(known(8), "gpt-5-2026-01-01").calls("a", 3), &[]);
        check(model(known(8), "o9").errors("a", 404, 3), &[]);
        let again = model(known(8), "o9").calls("a", 1).after_hours(100).calls("a", 1);
        check(again, &[("a", Severity::Low)]);
    }

    #[test]
    fn what_its_like_use_is_good_to_know() {
        let log = Log::new().rule("bots", None);
        let log = model(log.calls("a", 1).calls("b", 1), "o9").calls("b", 1).after_hours(24 * 8);
        check(log.calls("a", 1), &[("a", Severity::Informational)]);
    }
}
