//! The steps of somebody who has stolen a cloud credential to use models with it.
//!
//! He doesn't know what the credential may do, so he tries: [`Settings::tries`] models or regions that refuse
//! him within [`Settings::window_minutes`], and then one that answers which the credential never used. Or he
//! goes where nobody looks: a credential that is [`Settings::history_days`] old is used in a new region, with a
//! new model, at the same time. High. Who lists models before that isn't seen here: it is no model call.
//! (OWASP NHI2, NHI5, NHI7.)

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::baseline::family;
use super::watch::{Call, Calls, Report, Say, Table, Watch, Whose, ago, days, hours, minutes};
use super::{Amount, Detector, Evidence, Severity, Subject};
use crate::http::CredentialKind;
use crate::meter::UsageRecord;
use crate::units::Timestamp;

/// Most models and regions that are remembered of a credential, and most tries.
const NAMES_MAX: usize = 64;

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// So many that refuse are tries.
    pub tries: u32,
    /// In so many minutes before one answers.
    pub window_minutes: u32,
    /// So many days a credential must have been used for a new region to mean anything.
    pub history_days: u32,
    /// So many hours without a further sign, and it is over.
    pub quiet_hours: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { tries: 3, window_minutes: 15, history_days: 7, quiet_hours: 24 }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Llmjacking(Table<Known>);

/// What a credential is used for.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Known {
    since: Option<Timestamp>,
    models: BTreeSet<String>,
    regions: BTreeSet<String>,
    /// Models and regions that refused of late.
    refused: BTreeMap<String, Timestamp>,
    calls: Calls,
}

impl Watch for Llmjacking {
    type Settings = Settings;
    const DETECTOR: Detector = Detector::Llmjacking;

    fn quiet(settings: &Settings) -> SignedDuration {
        hours(settings.quiet_hours)
    }

    fn call(&mut self, settings: &Settings, call: &Call<'_>, say: &mut Say<'_>) {
        let record = call.record;
        let Some(print) = record.credential.as_ref().filter(|_| is_of_a_cloud(record)) else {
            return;
        };
        if !call.is_live {
            return;
        }
        let model = family(record.model.as_deref().unwrap_or_default());
        let region = record.region.as_deref().unwrap_or_default();
        let known = self.0.row(print.as_str());
        let window = minutes(settings.window_minutes);
        known.refused.retain(|_, time| ago(call.now, *time) <= window);
        if known.refused.is_empty() {
            known.calls.clear();
        }
        if !call.succeeded() {
            let name = format!("{region}/{model}");
            let is_refusal = matches!(record.status, Some(400 | 401 | 403 | 404 | 424));
            if is_refusal && (known.refused.len() < NAMES_MAX || known.refused.contains_key(&name))
            {
                known.refused.insert(name, call.now);
                known.calls.push(&record.id);
            }
            return;
        }
        let since = *known.since.get_or_insert(call.now);
        let new_model = add(&mut known.models, model);
        let new_region = add(&mut known.regions, region);
        let is_old = ago(call.now, since) >= days(settings.history_days);
        let has_tried = known.refused.len() >= settings.tries as usize;
        let what = match (has_tried && (new_model || new_region), new_model && new_region && is_old)
        {
            (true, _) => format!("after {} models or regions that refused", known.refused.len()),
            (false, true) => "a model and a region that it never used".to_owned(),
            (false, false) => return,
        };
        known.calls.push(&record.id);
        let subject = Subject::Credential(print.clone());
        say.holds(subject, "", Severity::High, || Whose::call(record), || Report {
            summary: format!(
                "{} uses {model} in {region} with the credential {print}: {what}",
                record.identity
            ),
            evidence: Evidence {
                observed: Some(Amount::Count(known.refused.len() as u64)),
                limit: Some(Amount::Count(u64::from(settings.tries))),
                from: known.refused.values().min().copied().or(Some(record.time)),
                until: Some(call.now),
                calls: known.calls.to_vec(),
                details: BTreeMap::from([
                    ("credential".to_owned(), print.to_string()),
                    ("model".to_owned(), model.to_owned()),
                    ("region".to_owned(), region.to_owned()),
                ]),
                ..Evidence::default()
            },
            next_step: "Ask the owner at once; if nobody meant it, disable the credential, and look in the \
                        cloud's audit log for what else it did"
                .to_owned(),
        });
    }
}

/// Whether it is a credential of a cloud's account, or of the models in one.
const fn is_of_a_cloud(record: &UsageRecord) -> bool {
    matches!(
        record.credential_kind,
        Some(
            CredentialKind::AwsSigv4
                | CredentialKind::BedrockApiKey
                | CredentialKind::AzureApiKey
                | CredentialKind::GoogleApiKey
                | CredentialKind::GoogleOauth
        )
    )
}

/// Whether it is new, as long as there is room to know.
fn add(names: &mut BTreeSet<String>, name: &str) -> bool {
    names.len() < NAMES_MAX && names.insert(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Log, firing};
    use super::super::watch::Watches;
    use super::*;

    fn asks(log: Log, model: &str, region: &str) -> Log {
        log.with(|like| {
            like.credential_kind = Some(CredentialKind::AwsSigv4);
            like.model = Some(model.to_owned());
            like.region = Some(region.to_owned());
        })
    }

    #[test]
    fn tries_and_new_places_are_found() {
        let print = Log::print(1);
        let found = [(print.as_str(), Severity::High)];
        let known = || asks(Log::new().key(1), "haiku", "us-east-1").calls("a", 3).after_hours(200);
        let tries = |count: usize, pause| {
            let mut log = known();
            for number in 0..count {
                log = asks(log, &format!("m{number}"), "us-east-1").errors("a", 403, 1);
            }
            asks(log.after(SignedDuration::from_mins(pause)), "opus", "us-east-1").calls("a", 1)
        };
        for (log, expected) in [
            (tries(2, 1), &[] as &[_]),
            (tries(3, 1), &found),
            (tries(3, 16), &[]),
            (asks(known(), "opus", "us-east-1").calls("a", 1), &[]),
            (asks(known(), "opus", "ap-south-1").calls("a", 1), &found),
            (asks(known(), "haiku", "ap-south-1").calls("a", 1), &[]),
        ] {
            let mut watches = Watches::default();
            watches.add::<Llmjacking>(Some(Settings::default()));
            assert_eq!(log.firing(watches), firing(expected));
        }
    }
}
