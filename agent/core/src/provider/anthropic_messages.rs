//! Anthropic `POST …/messages`.
//!
//! A stream reports input when it starts (`message_start`) and output as it goes
//! (`message_delta`, cumulative). Cached input is not part of `input_tokens`. Where `iterations`
//! are there, they and not the top-level numbers are what is billed: they include the compaction
//! runs that the top level leaves out.

use super::form::{Answer, Form, inside};
use super::json::Token;
use super::request::name_of;
use super::{Api, Usage};
use crate::units::Tokens;

#[derive(Debug)]
pub(super) struct Messages {
    answer: Answer,
    top: Counts,
    /// The sum over the iterations of the latest report.
    iterations: Counts,
    /// The lifetime of cache writes that the report doesn't split.
    cache_ttl_1h: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    input: Option<u64>,
    output: u64,
    cache_read: u64,
    cache_write: u64,
    cache_write_5m: u64,
    cache_write_1h: u64,
    thinking: u64,
}

impl Messages {
    pub(super) fn new(cache_ttl_1h: bool) -> Self {
        Self {
            answer: Answer::default(),
            top: Counts::default(),
            iterations: Counts::default(),
            cache_ttl_1h,
        }
    }

    fn usage_value(&mut self, key: &str, token: Token<'_>) {
        match (key, token) {
            ("service_tier", Token::Text(tier)) => self.answer.context.service_tier = name_of(tier),
            // Each report has all iterations so far.
            ("iterations", Token::Begin) => self.iterations = Counts::default(),
            (key, Token::Count(count)) => match inside(key, "iterations[]") {
                Some(key) => self.iterations.add(key, count),
                None => self.top.set(key, count),
            },
            _ => {}
        }
    }
}

impl Form for Messages {
    fn api(&self) -> Api {
        Api::Messages
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        let answer = &mut self.answer;
        match (path, token) {
            ("type", Token::Text("message" | "message_start")) => answer.recognised = true,
            ("type", Token::Text("message_stop")) => answer.finished = true,
            ("type", Token::Text("error")) => answer.failed = true,
            ("id" | "message.id", Token::Text(id)) => answer.response_id = name_of(id),
            ("model" | "message.model", Token::Text(model)) => answer.model = name_of(model),
            ("stop_reason" | "delta.stop_reason", Token::Text(_)) => answer.finished = true,
            (
                "content[].text" | "content[].thinking" | "content_block.text" | "delta.text"
                | "delta.thinking" | "delta.partial_json",
                Token::Text(text),
            ) => answer.push_text(text),
            _ => {
                if let Some(key) = inside(path, "usage").or_else(|| inside(path, "message.usage")) {
                    self.usage_value(key, token);
                } else if let Some(key) = inside(path, "error") {
                    answer.read_error(key, token);
                }
            }
        }
    }

    fn usage(&self) -> Option<Usage> {
        let billed = if self.iterations.input.is_some() { &self.iterations } else { &self.top };
        billed.tokens(self.cache_ttl_1h).map(Usage::from)
    }

    fn answer(&self) -> &Answer {
        &self.answer
    }
}

impl Counts {
    fn slot(&mut self, key: &str) -> Option<&mut u64> {
        Some(match key {
            "input_tokens" => self.input.get_or_insert(0),
            "output_tokens" => &mut self.output,
            "cache_read_input_tokens" => &mut self.cache_read,
            "cache_creation_input_tokens" => &mut self.cache_write,
            "cache_creation.ephemeral_5m_input_tokens" => &mut self.cache_write_5m,
            "cache_creation.ephemeral_1h_input_tokens" => &mut self.cache_write_1h,
            "output_tokens_details.thinking_tokens" => &mut self.thinking,
            _ => return None,
        })
    }

    fn set(&mut self, key: &str, count: u64) {
        if let Some(slot) = self.slot(key) {
            *slot = count;
        }
    }

    fn add(&mut self, key: &str, count: u64) {
        if let Some(slot) = self.slot(key) {
            *slot = slot.saturating_add(count);
        }
    }

    fn tokens(&self, cache_ttl_1h: bool) -> Option<Tokens> {
        let split = self.cache_write_5m.saturating_add(self.cache_write_1h);
        let rest = self.cache_write.saturating_sub(split);
        let (rest_5m, rest_1h) = if cache_ttl_1h { (0, rest) } else { (rest, 0) };
        Some(Tokens {
            input_uncached: self.input?,
            cache_read: self.cache_read,
            cache_write_5m: self.cache_write_5m.saturating_add(rest_5m),
            cache_write_1h: self.cache_write_1h.saturating_add(rest_1h),
            output_visible: self.output.saturating_sub(self.thinking),
            reasoning: self.thinking.min(self.output),
            ..Tokens::default()
        })
    }
}
