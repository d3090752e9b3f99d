//! Usage as OpenAI and everybody who speaks its forms reports it, made disjoint.

use super::Usage;
use super::json::Token;
use crate::units::{Counts, Tokens, Unit};

/// The numbers as they came. Of repeated reports the last one counts, number by number.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OpenAiUsage {
    input: Option<u64>,
    output: u64,
    total: Option<u64>,
    cached: u64,
    cache_write: u64,
    cache_write_30m: u64,
    cache_write_12h: u64,
    reasoning: u64,
    /// Mistral's `prompt_audio_seconds`, beside the tokens.
    audio_seconds: u64,
}

impl OpenAiUsage {
    /// Takes a value that stands at `key` inside `usage`.
    pub(super) fn read(&mut self, key: &str, token: Token<'_>) {
        let Token::Count(count) = token else { return };
        match key {
            "prompt_tokens" | "input_tokens" => self.input = Some(count),
            "completion_tokens" | "output_tokens" => self.output = count,
            "total_tokens" => self.total = Some(count),
            "prompt_audio_seconds" => self.audio_seconds = count,
            _ => {
                let Some((details, key)) = key.split_once('.') else { return };
                match (details, key) {
                    ("prompt_tokens_details" | "input_tokens_details", key) => match key {
                        "cached_tokens" => self.cached = count,
                        "cache_write_tokens" => self.cache_write = count,
                        "cache_write_tokens_details.ttl_30m_tokens" => self.cache_write_30m = count,
                        "cache_write_tokens_details.ttl_12h_tokens" => self.cache_write_12h = count,
                        _ => {}
                    },
                    ("completion_tokens_details" | "output_tokens_details", "reasoning_tokens") => {
                        self.reasoning = count
                    }
                    _ => {}
                }
            }
        }
    }

    /// The numbers in disjoint buckets, if there were any.
    ///
    /// Whether reasoning is part of the output differs by provider, so the total decides where it
    /// can; OpenAI's own rule, that it is, holds where it can't. Cached input is part of the input,
    /// unless it is more than that.
    pub(super) fn normal(&self) -> Option<Usage> {
        let input = self.input?;
        let both = input.saturating_add(self.output);
        let beside = self.total != Some(both)
            && self.total == Some(both.saturating_add(self.reasoning))
            || self.reasoning > self.output;
        let split = self.cache_write_30m.saturating_add(self.cache_write_12h);
        let cache_write = self.cache_write.max(split);
        let cache = self.cached.saturating_add(cache_write);
        let tokens = Tokens {
            input_uncached: input.checked_sub(cache).unwrap_or(input),
            cache_read: self.cached,
            cache_write_30m: self.cache_write_30m,
            cache_write_12h: self.cache_write_12h,
            cache_write_other: cache_write - split,
            output_visible: if beside { self.output } else { self.output - self.reasoning },
            reasoning: self.reasoning,
            ..Tokens::default()
        };
        let mut counts = Counts::default();
        counts.set(Unit::AudioMs, self.audio_seconds.saturating_mul(1000));
        Some(Usage { tokens, counts, ..Usage::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokens(counts: &[(&str, u64)]) -> Tokens {
        let mut usage = OpenAiUsage::default();
        for (key, count) in counts {
            usage.read(key, Token::Count(*count));
        }
        usage.normal().unwrap().tokens
    }

    #[test]
    fn the_total_tells_whether_reasoning_is_part_of_the_output() {
        let counts = |total| {
            [
                ("prompt_tokens", 10),
                ("completion_tokens", 50),
                ("completion_tokens_details.reasoning_tokens", 30),
                ("total_tokens", total),
            ]
        };
        let inside = tokens(&counts(60));
        assert_eq!((inside.output_visible, inside.reasoning), (20, 30));
        let beside = tokens(&counts(90));
        assert_eq!((beside.output_visible, beside.reasoning), (50, 30));
        let inconsistent = tokens(&counts(7));
        assert_eq!((inconsistent.output_visible, inconsistent.reasoning), (20, 30));
    }

    #[test]
    fn cache_tokens_are_part_of_the_input_unless_they_exceed_it() {
        let inside = tokens(&[
            ("input_tokens", 100),
            ("input_tokens_details.cached_tokens", 60),
            ("input_tokens_details.cache_write_tokens", 30),
            ("input_tokens_details.cache_write_tokens_details.ttl_12h_tokens", 20),
        ]);
        assert_eq!((inside.input_uncached, inside.cache_read), (10, 60));
        assert_eq!((inside.cache_write_12h, inside.cache_write_other), (20, 10));
        let beside = tokens(&[("prompt_tokens", 5), ("prompt_tokens_details.cached_tokens", 60)]);
        assert_eq!((beside.input_uncached, beside.cache_read), (5, 60));
    }

    proptest! {
        #[test]
        fn no_numbers_overflow(counts in prop::collection::vec(any::<u64>(), 9)) {
            let keys = [
                "prompt_tokens", "completion_tokens", "total_tokens",
                "prompt_tokens_details.cached_tokens", "input_tokens_details.cache_write_tokens",
                "input_tokens_details.cache_write_tokens_details.ttl_30m_tokens",
                "input_tokens_details.cache_write_tokens_details.ttl_12h_tokens",
                "output_tokens_details.reasoning_tokens", "prompt_audio_seconds",
            ];
            let pairs: Vec<_> = keys.into_iter().zip(counts).collect();
            tokens(&pairs);
        }
    }
}
