//! Far more tokens than usual. How that is told is [`spike`](super::spike)'s. (OWASP LLM10, NHI2.)

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::spike::{Settings, Spikes, Words};
use super::watch::{Call, Say, Watch};
use super::{Amount, Detector};

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct TokenSpike(Spikes);

impl Watch for TokenSpike {
    type Settings = Settings;
    const DETECTOR: Detector = Detector::TokenSpike;

    fn quiet(settings: &Settings) -> SignedDuration {
        settings.quiet()
    }

    fn call(&mut self, settings: &Settings, call: &Call<'_>, say: &mut Say<'_>) {
        // What is read back was used some time before.
        if call.record.retrieved {
            return;
        }
        let words = Words { amount: Amount::Tokens, say: |tokens| format!("{tokens} tokens") };
        self.0.take(settings, call, call.tokens(), &words, say);
    }

    fn rename(&mut self, from: &str, to: &str) {
        self.0.rename(from, to);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Log, firing, resolved};
    use super::super::watch::{Watches, minutes};
    use super::super::{Finding, Severity};
    use super::*;
    use crate::units::Tokens;

    fn tokens(log: Log, tokens: u64) -> Log {
        log.with(|like| like.tokens = Tokens { input_uncached: tokens, ..Tokens::default() })
    }

    fn found(log: &Log) -> Vec<Finding> {
        let mut watches = Watches::default();
        watches.add::<TokenSpike>(Some(Settings::tokens()));
        log.found(watches)
    }

    fn check(log: &Log, expected: &[(&str, Severity)]) {
        let mut watches = Watches::default();
        watches.add::<TokenSpike>(Some(Settings::tokens()));
        assert_eq!(log.firing(watches), firing(expected));
    }

    /// Days with 100,000 tokens each hour.
    fn known(who: &str, days: usize) -> Log {
        tokens(Log::new(), 100_000).each_hours(who, 1, 24 * days)
    }

    /// Two times five minutes with so many tokens each.
    fn spike(log: Log, who: &str, sum: u64) -> Log {
        tokens(log, sum).pause(minutes(5)).calls(who, 2)
    }

    #[test]
    fn far_more_than_usual_is_found() {
        check(&spike(known("a", 20), "a", 300_000), &[]);
        check(&spike(known("a", 20), "a", 340_000), &[("a", Severity::Medium)]);
        check(&spike(known("a", 20), "a", 1_250_000), &[("a", Severity::High)]);
        check(&spike(known("a", 10), "a", 1_250_000), &[]);
        check(&spike(known("a", 20), "b", 1_250_000), &[("b", Severity::High)]);
        let one = tokens(known("a", 20), 1_250_000).calls("a", 1);
        check(&tokens(one, 20_000).calls("a", 5), &[]);
    }

    #[test]
    fn it_is_over_after_half_an_hour() {
        let log = spike(known("a", 20), "a", 1_250_000);
        let log = tokens(log, 100).pause(minutes(1)).calls("a", 40);
        assert_eq!(resolved(&found(&log)).len(), 1);
    }
}
