//! Calls that are dearer by their kind: far more input than usual, or far more output than others get.
//!
//! Of each identity, and of its group, it is known how much input and output a call has. It is found if within an
//! hour [`Settings::calls`] calls
//! - have more than [`Settings::large_input`] tokens of input, where 99 of 100 had fewer than
//!   [`Settings::small_input`]; or
//! - have more output than 995 of 1000 calls of their like had, are a tenth of the hour's calls, and come to
//!   [`Settings::tokens`]: what it looks like when a model is copied by its answers, or made to run away.
//!
//! Medium. (OWASP LLM10.)

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::baseline::{Spread, amount, group, level};
use super::watch::{Call, Calls, Report, Say, Table, Watch, Whose, ago, minutes};
use super::{Amount, Detector, Evidence, Severity, Subject};
use crate::units::Timestamp;

/// So many calls must be known.
const KNOWN_MIN: u32 = 200;
/// An output must be above what is usual by so many steps: one and a half times as much.
const ABOVE: i32 = 26;

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// So many tokens of input are many,
    pub large_input: u64,
    /// where fewer than this are usual.
    pub small_input: u64,
    /// So many calls an hour show it.
    pub calls: u32,
    /// If they come to so many tokens.
    pub tokens: u64,
    /// So many minutes without such a call, and it is over.
    pub quiet_minutes: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            large_input: 100_000,
            small_input: 10_000,
            calls: 5,
            tokens: 50_000,
            quiet_minutes: 60,
        }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct UnsafeCost {
    identities: Table<Row>,
    groups: Table<Sizes, 1000>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Row {
    sizes: Sizes,
    /// The hour that began then.
    since: Option<Timestamp>,
    count: u32,
    input: Unusual,
    output: Unusual,
}

/// How large calls are.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Sizes {
    input: Spread,
    output: Spread,
}

/// Calls of an hour that are unusual.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Unusual {
    count: u32,
    tokens: u64,
    calls: Calls,
}

impl Unusual {
    fn add(&mut self, call: &Call<'_>, tokens: u64) {
        self.count = self.count.saturating_add(1);
        self.tokens = self.tokens.saturating_add(tokens);
        self.calls.push(&call.record.id);
    }
}

impl Watch for UnsafeCost {
    type Settings = Settings;
    const DETECTOR: Detector = Detector::UnsafeCost;

    fn quiet(settings: &Settings) -> SignedDuration {
        minutes(settings.quiet_minutes)
    }

    fn call(&mut self, settings: &Settings, call: &Call<'_>, say: &mut Say<'_>) {
        if !call.is_live || !call.succeeded() {
            return;
        }
        let record = call.record;
        let (input, output) = (record.tokens.input_total(), record.tokens.output_total());
        let group = self.groups.row(&group(record));
        let row = self.identities.row(call.identity());
        if row.since.is_none_or(|since| ago(call.now, since) >= SignedDuration::from_hours(1)) {
            row.since = Some(call.now);
            (row.count, row.input, row.output) = (0, Unusual::default(), Unusual::default());
        }
        row.count = row.count.saturating_add(1);
        let usual = if row.sizes.input.total() >= KNOWN_MIN { &row.sizes } else { &*group };
        let is_known = usual.input.total() >= KNOWN_MIN;
        let usual_input = amount(usual.input.quantile(990));
        let usual_output = usual.output.quantile(995);
        let large = is_known && input > settings.large_input && usual_input < settings.small_input;
        let long = is_known && level(output) > usual_output + ABOVE;
        if large {
            row.input.add(call, input);
        } else {
            row.sizes.input.learn(level(input));
            group.input.learn(level(input));
        }
        if long {
            row.output.add(call, output);
        } else {
            row.sizes.output.learn(level(output));
            group.output.learn(level(output));
        }
        let ways = [
            (large, true, "input", &row.input, usual_input),
            (long, row.output.count * 10 >= row.count, "output", &row.output, amount(usual_output)),
        ];
        for (is_one, is_often, kind, unusual, usual) in ways {
            let shows = unusual.count >= settings.calls && unusual.tokens >= settings.tokens;
            if !is_one || !is_often || !shows {
                continue;
            }
            let mean = unusual.tokens / u64::from(unusual.count.max(1));
            let subject = Subject::Identity(record.identity.clone());
            say.holds(subject, kind, Severity::Medium, || Whose::call(record), || Report {
                summary: format!(
                    "{} made {} calls within an hour with {mean} tokens of {kind} each, where up to \
                     {usual} are usual",
                    record.identity, unusual.count
                ),
                evidence: Evidence {
                    observed: Some(Amount::Tokens(mean)),
                    usual: Some(Amount::Tokens(usual)),
                    from: row.since,
                    until: Some(call.now),
                    calls: unusual.calls.to_vec(),
                    details: BTreeMap::from([("tokens".to_owned(), unusual.tokens.to_string())]),
                    ..Evidence::default()
                },
                next_step: "Look at what is asked for: limit `max_tokens` and what goes into a prompt, and \
                            check that the caller is who it should be"
                    .to_owned(),
            });
        }
    }

    fn rename(&mut self, from: &str, to: &str) {
        self.identities.rename(from, to);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Log, firing};
    use super::super::watch::Watches;
    use super::*;
    use crate::units::Tokens;

    fn sized(log: Log, input: u64, output: u64) -> Log {
        log.with(|like| {
            like.tokens =
                Tokens { input_uncached: input, output_visible: output, ..Tokens::default() };
        })
    }

    #[test]
    fn calls_of_an_unusual_size_are_found() {
        let known = |input| sized(Log::new(), input, 300).calls("a", 300);
        let found = [("a", Severity::Medium)];
        for (log, expected) in [
            (sized(known(2000), 150_000, 300).calls("a", 4), &[] as &[_]),
            (sized(known(2000), 150_000, 300).calls("a", 5), &found),
            (sized(known(2000), 90_000, 300).calls("a", 9), &[]),
            (sized(known(20_000), 150_000, 300).calls("a", 9), &[]),
            (sized(known(2000), 150_000, 300).calls("b", 5), &[("b", Severity::Medium)]),
            (sized(known(2000).after_hours(2), 2000, 8000).calls("a", 6), &[]),
            (sized(known(2000).after_hours(2), 2000, 8000).calls("a", 7), &found),
            (sized(known(2000), 2000, 8000).calls("a", 7), &[]),
            (sized(Log::new(), 150_000, 9000).calls("a", 50), &[]),
        ] {
            let mut watches = Watches::default();
            watches.add::<UnsafeCost>(Some(Settings::default()));
            assert_eq!(log.firing(watches), firing(expected));
        }
    }
}
