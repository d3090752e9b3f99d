//! Far more dollars than usual. How that is told is [`spike`](super::spike)'s. (OWASP LLM10, NHI2.)

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::spike::{Settings, Spikes, Words};
use super::watch::{Call, Say, Watch};
use super::{Amount, Detector};
use crate::units::PicoUsd;

/// Hundredths of a cent, in which dollars are compared.
const PICO_PER_UNIT: i128 = 100_000_000;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct CostSpike(Spikes);

impl Watch for CostSpike {
    type Settings = Settings;
    const DETECTOR: Detector = Detector::CostSpike;

    fn quiet(settings: &Settings) -> SignedDuration {
        settings.quiet()
    }

    fn call(&mut self, settings: &Settings, call: &Call<'_>, say: &mut Say<'_>) {
        // What is read back was used some time before.
        if call.record.retrieved {
            return;
        }
        let words = Words {
            amount: |units| Amount::Usd(dollars(units)),
            say: |units| format!("${}", dollars(units)),
        };
        self.0.take(settings, call, units(call.record.cost_usd), &words, say);
    }

    fn rename(&mut self, from: &str, to: &str) {
        self.0.rename(from, to);
    }
}

/// Dollars in hundredths of a cent; what has no price counts as nothing.
pub(super) fn units(cost: Option<PicoUsd>) -> u64 {
    let pico = cost.map_or(0, |cost| cost.0.max(0));
    u64::try_from(pico / PICO_PER_UNIT).unwrap_or(u64::MAX)
}

/// Hundredths of a cent in dollars.
pub(super) fn dollars(units: u64) -> PicoUsd {
    PicoUsd(i128::from(units) * PICO_PER_UNIT)
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::super::testing::{Log, firing};
    use super::super::watch::{Watches, minutes};
    use super::*;

    #[test]
    fn far_more_dollars_than_usual_are_found() {
        let dollars = |log: Log, cents: i128| {
            log.with(|like| like.cost_usd = Some(PicoUsd(cents * 10_000_000_000)))
        };
        for (cents, expected) in [
            (500, &[] as &[_]),
            (800, &[("a", Severity::Medium)]),
            (5000, &[("a", Severity::High)]),
        ] {
            let log = dollars(Log::new(), 200).each_hours("a", 1, 24 * 20);
            let log = dollars(log, cents).pause(minutes(5)).calls("a", 2);
            let mut watches = Watches::default();
            watches.add::<CostSpike>(Some(Settings::dollars()));
            assert_eq!(log.firing(watches), firing(expected), "{cents}");
        }
    }
}
