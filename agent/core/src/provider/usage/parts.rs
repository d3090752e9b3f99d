//! One call on which several models worked, each with a usage of its own.

use super::OpenAiUsage;
use crate::provider::json::Token;
use crate::provider::quirks::Quirks;
use crate::provider::request::name_of;
use crate::provider::{Part, Usage};
use crate::units::Tokens;

/// Most models that are told apart.
const MAX_PARTS: usize = 64;

/// What each of them used, as it came.
#[derive(Debug, Default)]
pub(in crate::provider) struct Parts {
    parts: Vec<(Option<String>, OpenAiUsage)>,
    /// There were more than are kept.
    more: bool,
}

impl Parts {
    /// The list begins anew.
    pub(in crate::provider) fn restart(&mut self) {
        *self = Self::default();
    }

    /// The next one begins.
    pub(in crate::provider) fn begin(&mut self, quirks: Quirks) {
        if self.parts.len() < MAX_PARTS {
            self.parts.push((None, OpenAiUsage::new(quirks)));
        } else {
            self.more = true;
        }
    }

    /// Takes the model of the current one.
    pub(in crate::provider) fn model(&mut self, model: &str) {
        if let Some((name, _)) = self.parts.last_mut().filter(|_| !self.more) {
            *name = name_of(model);
        }
    }

    /// Takes a value of the usage of the current one.
    pub(in crate::provider) fn read(&mut self, key: &str, token: Token<'_>) {
        if let Some((_, usage)) = self.parts.last_mut().filter(|_| !self.more) {
            usage.read(key, token);
        }
    }

    /// Whether there are any.
    pub(in crate::provider) const fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// `whole` in parts: they are what it is made of.
    pub(in crate::provider) fn split(&self, whole: Option<Usage>) -> Option<Usage> {
        let Some(parts) = self.list().filter(|_| !self.is_empty()) else {
            let broken = !self.is_empty();
            return whole
                .map(|whole| Usage { inconsistent: whole.inconsistent || broken, ..whole });
        };
        let tokens = sum(&parts);
        let fits = whole.as_ref().is_none_or(|whole| {
            whole.tokens.input_total() == tokens.input_total()
                && whole.tokens.output_total() == tokens.output_total()
        });
        let whole = whole.unwrap_or_default();
        let inconsistent = whole.inconsistent || !fits || self.is_inconsistent();
        Some(Usage { tokens, parts, inconsistent, ..whole })
    }

    /// `first`, which `model` used, and the parts beside it.
    pub(in crate::provider) fn beside(&self, first: Usage, model: Option<&str>) -> Usage {
        if self.is_empty() {
            return first;
        }
        let Some(others) = self.list() else {
            return Usage { inconsistent: true, ..first };
        };
        let model = model.unwrap_or_default().to_owned();
        let mut parts = vec![Part { model, tokens: first.tokens }];
        parts.extend(others);
        let inconsistent = first.inconsistent || self.is_inconsistent();
        Usage { tokens: sum(&parts), parts, inconsistent, ..first }
    }

    /// All of them, if they are all known.
    fn list(&self) -> Option<Vec<Part>> {
        let part = |(model, usage): &(Option<String>, OpenAiUsage)| {
            Some(Part { model: model.clone()?, tokens: usage.normal()?.tokens })
        };
        self.parts.iter().map(part).collect::<Option<Vec<Part>>>().filter(|_| !self.more)
    }

    fn is_inconsistent(&self) -> bool {
        self.parts.iter().filter_map(|(_, usage)| usage.normal()).any(|usage| usage.inconsistent)
    }
}

fn sum(parts: &[Part]) -> Tokens {
    parts.iter().fold(Tokens::default(), |sum, part| sum.saturating_add(&part.tokens))
}
