//! Bedrock `POST /model/{id}/converse` and `/converse-stream` (botocore's `bedrock-runtime` model).
//!
//! The path names the model; only a prompt router says which one has served. A stream reports its
//! usage in the event `metadata`, after the end of the message.

use super::form::{Answer, CacheTtl, Form, inside};
use super::json::Token;
use super::request::rename;
use super::{Api, Usage};
use crate::secret::Payload;
use crate::units::Tokens;

#[derive(Debug)]
pub(super) struct Converse {
    answer: Answer,
    usage: ConverseUsage,
    cache_ttl: CacheTtl,
}

/// `usage` as it came. What is read from the cache or written to it is not part of `inputTokens`.
#[derive(Clone, Copy, Debug, Default)]
struct ConverseUsage {
    input: Option<u64>,
    output: u64,
    total: Option<u64>,
    cache_read: u64,
    cache_write: u64,
    written: Written,
    /// The current element of `cacheDetails`, whose keys may come in any order.
    detail: Detail,
}

/// What was written to the cache, by its lifetime.
#[derive(Clone, Copy, Debug, Default)]
struct Written {
    for_5m: u64,
    for_1h: u64,
    other: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Detail {
    ttl: Ttl,
    tokens: u64,
}

#[derive(Clone, Copy, Debug, Default)]
enum Ttl {
    FiveMinutes,
    OneHour,
    #[default]
    Other,
}

impl Converse {
    pub(super) fn new(cache_ttl: CacheTtl) -> Self {
        Self { answer: Answer::default(), usage: ConverseUsage::default(), cache_ttl }
    }
}

impl Form for Converse {
    fn api(&self) -> Api {
        Api::Converse
    }

    fn begin_text(&mut self, name: &str) {
        self.answer.recognised |= matches!(name, "messageStart" | "metadata");
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        let answer = &mut self.answer;
        match (path, token) {
            ("stopReason", Token::Text(_)) => answer.finished = true,
            ("serviceTier.type", Token::Text(tier)) => {
                rename(&mut answer.context.service_tier, tier);
            }
            ("performanceConfig.latency", Token::Text(latency)) => {
                rename(&mut answer.context.speed, latency);
            }
            ("trace.promptRouter.invokedModelId", Token::Text(model)) => {
                rename(&mut answer.model, model);
            }
            (
                "output.message.content[].reasoningContent" | "delta.reasoningContent",
                Token::Begin,
            ) => answer.reasoned = true,
            // A stream has it as text.
            ("output.message.content[].toolUse.input", Token::Begin) => answer.mixed = true,
            (
                "output.message.content[].reasoningContent.reasoningText.text"
                | "delta.reasoningContent.text",
                Token::Text(text),
            ) => answer.push_thought(text),
            (
                "output.message.content[].text"
                | "output.message.content[].toolUse.name"
                | "delta.text"
                | "delta.toolUse.input"
                | "start.toolUse.name",
                Token::Text(text),
            ) => answer.push_text(text),
            _ => {
                if let Some(key) = inside(path, "usage") {
                    self.usage.read(key, token);
                }
            }
        }
    }

    fn usage(&self) -> Option<Usage> {
        self.usage.normal(self.cache_ttl)
    }

    fn answer(&self) -> &Answer {
        &self.answer
    }

    fn take_text(&mut self) -> Payload {
        std::mem::take(&mut self.answer.text)
    }
}

impl ConverseUsage {
    fn read(&mut self, key: &str, token: Token<'_>) {
        match (key, token) {
            ("inputTokens", Token::Count(count)) => self.input = Some(count),
            ("outputTokens", Token::Count(count)) => self.output = count,
            ("totalTokens", Token::Count(count)) => self.total = Some(count),
            // Nova's own bodies have the second name.
            ("cacheReadInputTokens" | "cacheReadInputTokenCount", Token::Count(count)) => {
                self.cache_read = count;
            }
            ("cacheWriteInputTokens" | "cacheWriteInputTokenCount", Token::Count(count)) => {
                self.cache_write = count;
            }
            ("cacheDetails", Token::Begin) => {
                self.written = Written::default();
                self.detail = Detail::default();
            }
            ("cacheDetails[]", Token::Begin) => {
                self.written = self.written.with(self.detail);
                self.detail = Detail::default();
            }
            ("cacheDetails[].ttl", Token::Text(ttl)) => {
                self.detail.ttl = match ttl {
                    "5m" => Ttl::FiveMinutes,
                    "1h" => Ttl::OneHour,
                    _ => Ttl::Other,
                };
            }
            ("cacheDetails[].inputTokens", Token::Count(count)) => self.detail.tokens = count,
            _ => {}
        }
    }

    /// The numbers in disjoint buckets, if there were any. What the details leave out of what was
    /// written has the lifetime that the request asked for.
    fn normal(&self, cache_ttl: CacheTtl) -> Option<Usage> {
        let input = self.input?;
        let written = self.written.with(self.detail);
        let mut tokens = Tokens {
            input_uncached: input,
            cache_read: self.cache_read,
            cache_write_5m: written.for_5m,
            cache_write_1h: written.for_1h,
            cache_write_other: written.other,
            output_visible: self.output,
            ..Tokens::default()
        };
        cache_ttl.add(&mut tokens, self.cache_write.saturating_sub(written.sum()));
        let sum = tokens.input_total().saturating_add(tokens.output_total());
        let inconsistent = self.total.is_some_and(|total| total != sum);
        Some(Usage { tokens, inconsistent, ..Usage::default() })
    }
}

impl Written {
    const fn with(mut self, detail: Detail) -> Self {
        let bucket = match detail.ttl {
            Ttl::FiveMinutes => &mut self.for_5m,
            Ttl::OneHour => &mut self.for_1h,
            Ttl::Other => &mut self.other,
        };
        *bucket = bucket.saturating_add(detail.tokens);
        self
    }

    const fn sum(&self) -> u64 {
        self.for_5m.saturating_add(self.for_1h).saturating_add(self.other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usage(cache_ttl: CacheTtl, values: &[(&str, Token<'_>)]) -> Usage {
        let mut usage = ConverseUsage::default();
        for &(key, token) in values {
            usage.read(key, token);
        }
        usage.normal(cache_ttl).unwrap()
    }

    #[test]
    fn the_total_holds_the_cache_beside_the_input() {
        // tensorzero#5688
        let mut values = vec![
            ("inputTokens", Token::Count(18)),
            ("outputTokens", Token::Count(386)),
            ("cacheWriteInputTokens", Token::Count(7502)),
        ];
        for (total, inconsistent) in [(7906, false), (404, true)] {
            values.push(("totalTokens", Token::Count(total)));
            let usage = usage(CacheTtl::FiveMinutes, &values);
            assert_eq!((usage.tokens.cache_write_5m, usage.inconsistent), (7502, inconsistent));
            assert_eq!(usage.tokens.input_total() + usage.tokens.output_total(), 7906);
        }
    }

    #[test]
    fn what_is_written_is_split_by_its_lifetime() {
        for (cache_ttl, for_5m, for_1h, other) in [
            (CacheTtl::FiveMinutes, 40, 60, 5),
            (CacheTtl::OneHour, 10, 90, 5),
            (CacheTtl::Unknown, 10, 60, 35),
        ] {
            let usage = usage(
                cache_ttl,
                &[
                    ("inputTokens", Token::Count(1)),
                    ("cacheWriteInputTokens", Token::Count(105)),
                    ("cacheDetails", Token::Begin),
                    ("cacheDetails[]", Token::Begin),
                    ("cacheDetails[].inputTokens", Token::Count(60)),
                    ("cacheDetails[].ttl", Token::Text("1h")),
                    ("cacheDetails[]", Token::Begin),
                    ("cacheDetails[].ttl", Token::Text("5m")),
                    ("cacheDetails[].inputTokens", Token::Count(10)),
                    ("cacheDetails[]", Token::Begin),
                    ("cacheDetails[].ttl", Token::Text("1w")),
                    ("cacheDetails[].inputTokens", Token::Count(5)),
                ],
            );
            let tokens = usage.tokens;
            let written = (tokens.cache_write_5m, tokens.cache_write_1h, tokens.cache_write_other);
            assert_eq!(written, (for_5m, for_1h, other));
        }
    }

    proptest! {
        #[test]
        fn no_numbers_overflow(
            counts in prop::collection::vec(any::<u64>(), 5),
            details in prop::collection::vec((any::<u64>(), "5m|1h|x"), 0..6),
            ttl in prop::sample::select(vec![CacheTtl::OneHour, CacheTtl::Unknown]),
        ) {
            let keys = [
                "inputTokens", "outputTokens", "totalTokens", "cacheReadInputTokens",
                "cacheWriteInputTokens",
            ];
            let mut values: Vec<_> =
                keys.into_iter().zip(&counts).map(|(key, count)| (key, Token::Count(*count))).collect();
            for (count, ttl) in &details {
                values.push(("cacheDetails[]", Token::Begin));
                values.push(("cacheDetails[].ttl", Token::Text(ttl)));
                values.push(("cacheDetails[].inputTokens", Token::Count(*count)));
            }
            let usage = usage(ttl, &values);
            prop_assert_eq!(usage.tokens.input_uncached, counts[0]);
            prop_assert!(usage.tokens.cache_write() >= counts[4]);
        }
    }
}
