//! How many of a model's tokens one token of ours comes to, as far as its own calls tell.
//!
//! Most models have a tokenizer that nobody else has, and a table can only say what others have
//! measured. But most calls say how many tokens they used, and their text was seen. So once a call of
//! a model had to be estimated, and not before, the tokens of its other calls are counted too, and
//! the ratio of what was reported to what was counted is kept, by kind of text. A host whose calls all
//! say their usage never loads a tokenizer.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use lru::LruCache;

use super::count::{Class, Rule, Scale, Scales, tokens_in, tokens_in_input};
use super::habit::MODELS;
use super::mean::Mean;
use crate::provider::{Api, Countable, Message, ModelCall};

/// Fewer ratios say nothing.
const ENOUGH: u32 = 8;
/// How many of the latest ratios are kept, to tell how they spread.
const LATEST: usize = 64;
/// Once there are so many, one in so many calls is counted.
const EVERY: u32 = 8;
/// Texts of fewer tokens teach nothing: what is around them weighs more than they do.
const SHORTEST: u64 = 50;
/// The ratios that are believed, in thousandths. Whoever makes a call can make it report anything,
/// but no tokenizer is known to differ from ours by as much.
const BELIEVED: (u64, u64) = (250, 4_000);

/// What is known of the models of which a call had to be estimated. Ratios are in thousandths.
#[derive(Debug)]
pub(super) struct Calibration(LruCache<(&'static str, String), Model>);

/// Ratios by [`Class`], of input and of output: the provider's own prompt is part of the one only.
#[derive(Debug, Default)]
struct Model {
    input: [Ratios; Class::ALL.len()],
    output: [Ratios; Class::ALL.len()],
}

#[derive(Debug, Default)]
struct Ratios {
    mean: Mean,
    /// Oldest first, at most [`LATEST`].
    latest: VecDeque<u16>,
    /// Calls that were not counted since the last one that was.
    passed: u32,
}

impl Default for Calibration {
    fn default() -> Self {
        Self(LruCache::new(MODELS))
    }
}

impl Calibration {
    /// By what the text of a call that has to be estimated is to be scaled, and whether any of that was
    /// learnt. From now on its model's calls are learnt from.
    pub(super) fn scales(
        &mut self,
        call: &ModelCall,
        model: &str,
        rule: &Rule,
        text: &Countable,
    ) -> (Scales, bool) {
        let table = Scales { input: rule.scale, output: rule.scale };
        if rule.own {
            return (table, false);
        }
        let key = (call.provider, model.to_owned());
        let known = self.0.get_or_insert_mut(key, Model::default);
        let input = known.input[class_of(&text.input)].scale();
        let output = known.output[Class::of(text.output.expose()) as usize].scale();
        let learnt = input.is_some() && !text.input.is_empty()
            || output.is_some() && !text.output.expose().is_empty();
        let or_table = |scale: Option<Scale>| scale.unwrap_or(rule.scale);
        (Scales { input: or_table(input), output: or_table(output) }, learnt)
    }

    /// Learns from a call that has reported its usage, if its text is there and its model is one whose
    /// calls had to be estimated.
    pub(super) fn learn(&mut self, call: &ModelCall, model: &str) {
        let (Some(usage), Some(sample)) = (&call.usage, &call.sample) else { return };
        if self.0.is_empty() {
            return;
        }
        let Some(known) = self.0.get_mut(&(call.provider, model.to_owned())) else { return };
        let rule = Rule::of(model);
        known.learn_input(&rule, call.api, &sample.input, usage.tokens.input_total());
        known.learn_output(&rule, sample.output.expose(), usage.tokens.output_visible);
    }
}

impl Model {
    fn learn_input(&mut self, rule: &Rule, api: Api, input: &[Message], reported: u64) {
        let bytes: usize = input.iter().map(|message| message.text.expose().len()).sum();
        if may_teach(bytes, reported) {
            let count = || tokens_in_input(rule, api, input).count;
            self.input[class_of(input)].learn(reported, count);
        }
    }

    fn learn_output(&mut self, rule: &Rule, output: &str, reported: u64) {
        if may_teach(output.len(), reported) {
            let count = || tokens_in(rule, output).count;
            self.output[Class::of(output) as usize].learn(reported, count);
        }
    }
}

/// Whether it may have [`SHORTEST`] tokens, none of which is shorter than a byte, and anything was
/// reported.
const fn may_teach(bytes: usize, reported: u64) -> bool {
    bytes as u64 >= SHORTEST && reported > 0
}

/// The kind of the longest message, which most of the tokens are of.
fn class_of(input: &[Message]) -> usize {
    let texts = input.iter().map(|message| message.text.expose());
    Class::of(texts.max_by_key(|text| text.len()).unwrap_or_default()) as usize
}

impl Ratios {
    /// Learns from every call at first, then from one in [`EVERY`]. Only then is its text counted.
    fn learn(&mut self, reported: u64, count: impl FnOnce() -> u64) {
        let is_warm = self.latest.len() == LATEST;
        self.passed = if is_warm { (self.passed + 1) % EVERY } else { 0 };
        if self.passed > 0 {
            return;
        }
        let counted = count();
        if counted >= SHORTEST {
            self.add(reported.saturating_mul(1_000) / counted);
        }
    }

    fn add(&mut self, ratio: u64) {
        let (least, most) = BELIEVED;
        let ratio = ratio.clamp(least, most);
        self.mean.learn(ratio);
        if self.latest.len() == LATEST {
            self.latest.pop_front();
        }
        self.latest.push_back(u16::try_from(ratio).unwrap_or(u16::MAX));
    }

    /// The mean, and what nearly all ratios lie between: twice as far from it as the percentiles are,
    /// which of what is normally distributed leaves out one in a hundred. A tenth at each end would be
    /// too many: the least that a call can have cost decides whether it may be another's repeat. Where
    /// all that was seen is alike, what comes needn't be, so neither end is nearer than a twentieth.
    fn scale(&self) -> Option<Scale> {
        let likely = self.mean.of_at_least(ENOUGH)?;
        let (low, high) = self.percentiles()?;
        let below = (2 * likely.saturating_sub(low)).max(likely / 20);
        let above = (2 * high.saturating_sub(likely)).max(likely / 20);
        Some(Scale { least: likely.saturating_sub(below), likely, most: likely + above })
    }

    /// The 10th and the 90th percentile of the latest ratios.
    ///
    /// Of `n` ratios, the next lies between the k-th smallest and the k-th largest with a probability
    /// of 1 − 2k/(n + 1), whatever their distribution (Wilks 1941, "Determination of sample sizes for
    /// setting tolerance limits"); so k is the tenth part of n + 1. Sorting 64 numbers for an estimate
    /// is nothing beside counting its tokens, and unlike an estimator that only keeps its last guess
    /// this needs no time to settle and forgets.
    fn percentiles(&self) -> Option<(u64, u64)> {
        let mut sorted: Vec<u16> = self.latest.iter().copied().collect();
        sorted.sort_unstable();
        let skip = ((sorted.len() + 1) / 10).saturating_sub(1);
        let mut inner = sorted.into_iter().map(u64::from).skip(skip);
        let low = inner.next()?;
        let high = inner.rev().nth(skip).unwrap_or(low);
        Some((low, high))
    }
}
