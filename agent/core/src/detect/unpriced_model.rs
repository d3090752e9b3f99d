//! A model has no price: what it costs is in no sum and no budget.
//!
//! Low at first, medium once [`Settings::calls`] calls or [`Settings::tokens`] tokens have no price. Whatever
//! is counted by the piece and has no price for that (`cost_source` `partial`) is a lower bound, and no finding.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::watch::{Call, Calls, Report, Say, Table, Watch, Whose, hours};
use super::{Amount, Detector, Evidence, Severity, Subject};
use crate::meter::CostSource;
use crate::units::Timestamp;

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// So many calls without a price are medium.
    pub calls: u32,
    /// So many tokens without a price are medium.
    pub tokens: u64,
    /// So many hours without such a call, and it is over.
    pub quiet_hours: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { calls: 100, tokens: 1_000_000, quiet_hours: 24 }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct UnpricedModel(Table<Unpriced, 1000>);

#[derive(Debug, Default, Serialize, Deserialize)]
struct Unpriced {
    count: u64,
    tokens: u64,
    from: Option<Timestamp>,
    calls: Calls,
}

impl Watch for UnpricedModel {
    type Settings = Settings;
    const DETECTOR: Detector = Detector::UnpricedModel;

    fn quiet(settings: &Settings) -> SignedDuration {
        hours(settings.quiet_hours)
    }

    fn call(&mut self, settings: &Settings, call: &Call<'_>, say: &mut Say<'_>) {
        let record = call.record;
        if record.cost_source != CostSource::Unpriced || call.tokens() == 0 {
            return;
        }
        let model = record.model.as_deref().unwrap_or("unknown");
        let name = format!("{}/{model}", record.provider);
        let subject = Subject::Model(name.clone());
        if !say.is_open(&subject, "") {
            self.0.remove(&name);
        }
        let unpriced = self.0.row(&name);
        unpriced.count = unpriced.count.saturating_add(1);
        unpriced.tokens = unpriced.tokens.saturating_add(call.tokens());
        unpriced.from.get_or_insert(record.time);
        unpriced.calls.push(&record.id);
        let is_much =
            unpriced.count >= u64::from(settings.calls) || unpriced.tokens >= settings.tokens;
        let severity = if is_much { Severity::Medium } else { Severity::Low };
        say.holds(subject, "", severity, Whose::nobody, || Report {
            summary: format!(
                "{name} has no price: {} calls with {} tokens are in no sum of dollars",
                unpriced.count, unpriced.tokens
            ),
            evidence: Evidence {
                observed: Some(Amount::Tokens(unpriced.tokens)),
                from: unpriced.from,
                until: Some(call.now),
                calls: unpriced.calls.to_vec(),
                details: BTreeMap::from([("model".to_owned(), model.to_owned())]),
                ..Evidence::default()
            },
            next_step: format!("Give {name} a price of your own: `weir prices --help` says how"),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Log, firing};
    use super::super::watch::Watches;
    use super::*;

    #[test]
    fn models_without_a_price_are_found() {
        let subject = "openai/gpt-5";
        for (source, count, expected) in [
            (CostSource::Table, 200, &[] as &[_]),
            (CostSource::Partial, 200, &[]),
            (CostSource::Unpriced, 1, &[(subject, Severity::Low)]),
            (CostSource::Unpriced, 99, &[(subject, Severity::Low)]),
            (CostSource::Unpriced, 100, &[(subject, Severity::Low), (subject, Severity::Medium)]),
        ] {
            let log = Log::new().with(|like| like.cost_source = source).calls("a", count);
            let mut watches = Watches::default();
            watches.add::<UnpricedModel>(Some(Settings::default()));
            assert_eq!(log.firing(watches), firing(expected), "{source:?} {count}");
        }
    }
}
