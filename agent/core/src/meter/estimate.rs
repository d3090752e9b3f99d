//! The tokens of a call: what the provider said, else what can be counted, and what that lies between.

use super::count::{self, Between, Count, Rule};
use super::habit::Habits;
use super::record::UsageSource;
use crate::provider::{CallState, Countable, ModelCall, Usage};
use crate::units::{PicoUsd, Tokens};

/// The tokens of a call.
#[derive(Debug)]
pub(super) struct Estimate {
    pub(super) usage: Usage,
    pub(super) source: UsageSource,
    /// What the numbers lie between, where they are estimates.
    pub(super) bounds: Option<Ends>,
}

/// What an estimate lies between.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) input: Between,
    pub(super) output: Between,
    /// The provider said the input, so that its buckets are known.
    input_said: bool,
    /// How text was counted was learnt from other calls of the model.
    pub(super) calibrated: bool,
}

/// What providers charge for an answer whose caller has hung up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AfterAbort {
    /// What was seen, as far as is known. No provider documents it.
    Observed,
    /// The whole answer, which nobody sees the rest of: as long as its model's answers mostly are.
    Learned,
}

/// Bedrock lets the model finish (BerriAI/litellm#13245, #36008).
const LEARNED: &[&str] = &["aws.bedrock"];

impl Estimate {
    pub(super) fn of(call: &ModelCall, model: &str, habits: &mut Habits) -> Self {
        match (&call.usage, &call.countable) {
            (Some(usage), None) => {
                habits.calibration.learn(call, model);
                if call.state == CallState::Complete && policy(call) == AfterAbort::Learned {
                    habits.learn(call.provider, model, usage.tokens.output_total());
                }
                Self { usage: usage.clone(), source: UsageSource::Reported, bounds: None }
            }
            (Some(said), Some(text)) => growing(call, model, said, text, habits),
            (None, Some(text)) if !failed_before_output(call) => counted(call, model, text, habits),
            (None, _) => Self::none(),
        }
    }

    fn none() -> Self {
        Self { usage: Usage::default(), source: UsageSource::None, bounds: None }
    }
}

/// The output was still growing when the provider last said its numbers.
fn growing(
    call: &ModelCall,
    model: &str,
    said: &Usage,
    text: &Countable,
    habits: &mut Habits,
) -> Estimate {
    let (mut count, calibrated) = count_text(call, model, text, habits);
    let other = |tokens: &Tokens| tokens.output_total().saturating_sub(tokens.output_visible);
    let beside = other(&said.tokens);
    let reasoning = said.tokens.reasoning;
    // What was said is less than what will be billed, so it is a lower end of its own.
    let seen = |visible: u64| visible.saturating_sub(reasoning).saturating_add(beside);
    let said_output = said.tokens.output_total();
    count.seen = Between {
        least: seen(count.seen.least).max(said_output),
        most: count.seen.most.map(|most| seen(most).max(said_output)),
    };
    let likely = seen(count.tokens.output_visible).max(said_output);
    let likely = after_abort(call, model, likely, habits);
    let mut usage = said.clone();
    usage.tokens.output_visible = likely.saturating_sub(beside);
    let input = said.tokens.input_total();
    let bounds = Ends {
        input: Between { least: input, most: Some(input) },
        output: output_ends(call, &count, likely, false),
        input_said: true,
        calibrated,
    };
    Estimate { usage, source: UsageSource::Estimated, bounds: Some(bounds) }
}

/// Nothing was said.
fn counted(call: &ModelCall, model: &str, text: &Countable, habits: &mut Habits) -> Estimate {
    let (count, calibrated) = count_text(call, model, text, habits);
    if count.tokens == Tokens::default() {
        return Estimate::none();
    }
    let whole = match call.state {
        CallState::Complete => call.lost_bytes == 0 && !text.cut,
        CallState::Aborted | CallState::Truncated | CallState::Error => false,
    };
    let mut tokens = count.tokens;
    if count.exact && whole {
        return Estimate { usage: tokens.into(), source: UsageSource::Counted, bounds: None };
    }
    tokens.output_visible = after_abort(call, model, tokens.output_visible, habits);
    let bounds = Ends {
        input: count.input,
        output: output_ends(call, &count, tokens.output_visible, whole),
        input_said: false,
        calibrated,
    };
    Estimate { usage: tokens.into(), source: UsageSource::Estimated, bounds: Some(bounds) }
}

/// Counts by what is known of the model. Says whether any of that was learnt from its calls.
fn count_text(
    call: &ModelCall,
    model: &str,
    text: &Countable,
    habits: &mut Habits,
) -> (Count, bool) {
    let rule = Rule::of(model);
    let (scales, calibrated) = habits.calibration.scales(call, model, &rule, text);
    (count::count(model, &rule, call.api, text, &scales), calibrated)
}

/// The output that is likely to be charged, where `seen` was seen.
fn after_abort(call: &ModelCall, model: &str, seen: u64, habits: &mut Habits) -> u64 {
    match (policy(call), call.state) {
        (AfterAbort::Learned, CallState::Aborted) => {
            let whole = habits.output(call.provider, model).unwrap_or(0);
            seen.max(whole.min(call.max_output.unwrap_or(u64::MAX)))
        }
        (AfterAbort::Learned | AfterAbort::Observed, _) => seen,
    }
}

fn policy(call: &ModelCall) -> AfterAbort {
    if LEARNED.contains(&call.provider) { AfterAbort::Learned } else { AfterAbort::Observed }
}

/// What the output lies between. Unless all of an answer was seen and its model doesn't reason, the
/// upper end is what the request allows: whether a provider goes on when its caller is gone, only it
/// knows.
fn output_ends(call: &ModelCall, count: &Count, likely: u64, whole: bool) -> Between {
    let most = if whole && !count.reasons { count.seen.most } else { call.max_output };
    let least = count.seen.least.min(likely);
    Between { least, most: most.map(|most| most.max(likely)) }
}

impl Ends {
    /// What the cost lies between, by a `price` that never falls when there are more tokens.
    ///
    /// Text doesn't say how much of the input was read from the provider's cache or written to it,
    /// which many do by themselves: the lower end is as if all had been read from it, the upper as
    /// if all had been written to it for the usual time.
    pub(super) fn costs(
        &self,
        likely: &Tokens,
        price: impl Fn(&Tokens) -> Option<PicoUsd>,
    ) -> (Option<PicoUsd>, Option<PicoUsd>) {
        let beside = likely.output_total().saturating_sub(likely.output_visible);
        let with_output = |tokens: Tokens, output: u64| Tokens {
            output_visible: output.saturating_sub(beside),
            ..tokens
        };
        let plain = |input| Tokens { input_uncached: input, ..Tokens::default() };
        let least = if self.input_said {
            price(&with_output(*likely, self.output.least))
        } else {
            let input = self.input.least;
            let cached = Tokens { cache_read: input, ..Tokens::default() };
            let ways = [plain(input), cached];
            ways.into_iter().filter_map(|way| price(&with_output(way, self.output.least))).min()
        };
        let most = match (self.input.most, self.output.most) {
            (Some(_), Some(output)) if self.input_said => price(&with_output(*likely, output)),
            (Some(input), Some(output)) => {
                let written = Tokens { cache_write_other: input, ..Tokens::default() };
                let ways = [plain(input), written];
                ways.into_iter().filter_map(|way| price(&with_output(way, output))).max()
            }
            _ => None,
        };
        (least, most)
    }
}

/// Whether the provider refused the call, or failed it before there was any output. Neither
/// provider bills that.
pub(super) fn failed_before_output(call: &ModelCall) -> bool {
    let refused = call.status.is_some_and(|status| status >= 400);
    let failed = match call.state {
        CallState::Error => {
            let text = call.countable.as_ref().map(|text| text.output.expose());
            let has_text = text.is_some_and(|text| !text.is_empty());
            // Of an answer that isn't a stream, the first output is the error itself.
            let has_begun = has_text || (call.streamed && call.first_output.is_some());
            !has_begun
        }
        CallState::Complete | CallState::Aborted | CallState::Truncated => false,
    };
    call.usage.is_none() && (refused || failed)
}
