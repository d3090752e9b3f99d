//! Anthropic `POST …/messages`.
//!
//! A stream reports input when it starts (`message_start`) and output as it goes
//! (`message_delta`, cumulative). Cached input is not part of `input_tokens`. Where `iterations`
//! are there, they and not the top-level numbers are what is billed, each at its own model: they
//! include the compaction runs that the top level leaves out.

use super::form::{Answer, CacheTtl, Form, inside};
use super::json::Token;
use super::request::{name_of, rename};
use super::{Api, Part, Usage};
use crate::http::Side;
use crate::secret::Payload;
use crate::units::{Counts, Tokens, Unit};

/// Most iterations that are told apart; further ones are added to the last, and the usage is marked.
const MAX_ITERATIONS: usize = 256;

#[derive(Debug)]
pub(super) struct Messages {
    answer: Answer,
    top: Numbers,
    /// Those of the latest report.
    iterations: Vec<Iteration>,
    /// There were more than [`MAX_ITERATIONS`].
    too_many: bool,
    /// It is a result of a batch: it ends with its line, not with what it says.
    of_batch: bool,
    searches: u64,
    fetches: u64,
    /// The lifetime of cache writes that the report doesn't split.
    cache_ttl: CacheTtl,
    /// The current text has changed what `input_tokens` is.
    input_is_new: bool,
    /// The cached input that was known at the end of the text that said `input_tokens`.
    cache_beside_input: Option<u64>,
}

/// One run of a model for the call.
#[derive(Debug, Default)]
struct Iteration {
    /// Which model, if not the one that the answer names.
    model: Option<String>,
    numbers: Numbers,
}

#[derive(Clone, Copy, Debug, Default)]
struct Numbers {
    input: Option<u64>,
    output: u64,
    cache_read: u64,
    cache_write: u64,
    cache_write_5m: u64,
    cache_write_1h: u64,
    thinking: u64,
}

impl Messages {
    pub(super) fn new(cache_ttl: CacheTtl) -> Self {
        Self {
            answer: Answer::default(),
            top: Numbers::default(),
            iterations: Vec::new(),
            too_many: false,
            of_batch: false,
            searches: 0,
            fetches: 0,
            cache_ttl,
            input_is_new: false,
            cache_beside_input: None,
        }
    }

    /// A reader for a message that was asked for in a batch.
    pub(super) fn of_batch() -> Self {
        let mut message = Self::new(CacheTtl::Unknown);
        message.of_batch = true;
        message.answer.context.batch = true;
        message
    }

    /// Everything that was said, for whoever reads one answer after the other.
    pub(super) fn into_answer(self) -> (Answer, Option<Usage>) {
        let usage = self.usage();
        (self.answer, usage)
    }

    fn usage_value(&mut self, key: &str, token: Token<'_>) {
        let context = &mut self.answer.context;
        match (key, token) {
            ("service_tier", Token::Text(tier)) => {
                context.batch |= tier == "batch";
                rename(&mut context.service_tier, tier);
            }
            ("speed", Token::Text(speed)) => rename(&mut context.speed, speed),
            // What older models say instead of a region.
            ("inference_geo", Token::Text("not_available")) => {}
            ("inference_geo", Token::Text(region)) => rename(&mut context.region, region),
            ("server_tool_use.web_search_requests", Token::Count(count)) => self.searches = count,
            ("server_tool_use.web_fetch_requests", Token::Count(count)) => self.fetches = count,
            // Each report has all iterations so far.
            ("iterations", Token::Begin) => self.iterations.clear(),
            ("iterations[]", Token::Begin) => self.begin_iteration(),
            ("input_tokens", Token::Count(count)) => {
                self.input_is_new |= self.top.input != Some(count);
                self.top.input = Some(count);
            }
            _ => match inside(key, "iterations[]") {
                Some(key) => self.iteration_value(key, token),
                None => self.top.read(key, token),
            },
        }
    }

    fn begin_iteration(&mut self) {
        if self.iterations.len() < MAX_ITERATIONS {
            self.iterations.push(Iteration::default());
        } else {
            self.too_many = true;
        }
    }

    fn iteration_value(&mut self, key: &str, token: Token<'_>) {
        let Some(iteration) = self.iterations.last_mut() else { return };
        match (key, token) {
            ("model", Token::Text(model)) => iteration.model = name_of(model),
            (key, Token::Count(count)) => iteration.numbers.add(key, count),
            _ => {}
        }
    }

    /// The input beside the cache. Some servers that speak this form count what they read from the
    /// cache as input when the stream starts, and say only at its end that it was cached
    /// (rust-genai#258): then a report of cached input comes without one of input.
    fn top_tokens(&self) -> Option<(Tokens, bool)> {
        let mut top = self.top;
        let cached = top.cached();
        let overlaps = !self.input_is_new && self.cache_beside_input == Some(0) && cached > 0;
        if overlaps {
            top.input = top.input.map(|input| input.saturating_sub(cached));
        }
        Some((top.tokens(self.cache_ttl)?, overlaps || top.thinking > top.output))
    }

    /// What the iterations add up to, and which model each part of it is of.
    fn iteration_tokens(&self) -> Option<(Tokens, Vec<Part>)> {
        let served = self.answer.model.as_deref().unwrap_or_default();
        let mut sum: Option<Tokens> = None;
        let mut parts: Vec<Part> = Vec::new();
        for iteration in &self.iterations {
            let Some(tokens) = iteration.numbers.tokens(self.cache_ttl) else { continue };
            sum = Some(sum.unwrap_or_default().saturating_add(&tokens));
            let model = iteration.model.as_deref().unwrap_or(served);
            match parts.iter_mut().find(|part| part.model == model) {
                Some(part) => part.tokens = part.tokens.saturating_add(&tokens),
                None => parts.push(Part { model: model.to_owned(), tokens }),
            }
        }
        if parts.iter().all(|part| part.model == served) {
            parts.clear();
        }
        Some((sum?, parts))
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
            ("stop_reason" | "delta.stop_reason", Token::Text(_)) => {
                answer.finished = !self.of_batch;
            }
            // Says what `type` doesn't: that a limit of the caller's own was reached.
            ("error.details.error_code", Token::Text(code)) => answer.error_type = name_of(code),
            (
                "content[].type" | "content_block.type",
                Token::Text("thinking" | "redacted_thinking"),
            ) => answer.reasoned = true,
            // A stream has it as text.
            ("content[].input", Token::Begin) => answer.mixed = true,
            (
                "content[].text" | "content_block.text" | "delta.text" | "delta.partial_json",
                Token::Text(text),
            ) => answer.push_text(text),
            ("content[].thinking" | "delta.thinking", Token::Text(text)) => {
                answer.push_thought(text);
            }
            _ => {
                if let Some(key) = inside(path, "usage").or_else(|| inside(path, "message.usage")) {
                    self.usage_value(key, token);
                } else if let Some(key) = inside(path, "error") {
                    answer.read_error(key, token);
                }
            }
        }
    }

    fn end_text(&mut self, _side: Side) {
        if self.input_is_new {
            self.cache_beside_input = Some(self.top.cached());
            self.input_is_new = false;
        }
    }

    fn usage(&self) -> Option<Usage> {
        let mut counts = Counts::default();
        counts.set(Unit::WebSearch, self.searches);
        counts.set(Unit::WebFetch, self.fetches);
        let top = self.top_tokens();
        let Some((tokens, parts)) = self.iteration_tokens() else {
            let (tokens, inconsistent) = top?;
            return Some(Usage { tokens, counts, inconsistent, ..Usage::default() });
        };
        // The top level has at most what the iterations have.
        match top {
            Some((top, _)) if top.output_total() > tokens.output_total() => {
                Some(Usage { tokens: top, counts, inconsistent: true, ..Usage::default() })
            }
            _ => {
                let inconsistent = self.too_many;
                Some(Usage { tokens, counts, parts, inconsistent, ..Usage::default() })
            }
        }
    }

    fn answer(&self) -> &Answer {
        &self.answer
    }

    fn take_text(&mut self) -> Payload {
        std::mem::take(&mut self.answer.text)
    }
}

impl Numbers {
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

    /// Takes a number in place of the one before. `null` takes nothing away.
    fn read(&mut self, key: &str, token: Token<'_>) {
        if let (Token::Count(count), Some(slot)) = (token, self.slot(key)) {
            *slot = count;
        }
    }

    fn add(&mut self, key: &str, count: u64) {
        if let Some(slot) = self.slot(key) {
            *slot = slot.saturating_add(count);
        }
    }

    /// Written to the cache, as the total or its parts have it.
    fn written(&self) -> u64 {
        self.cache_write.max(self.cache_write_5m.saturating_add(self.cache_write_1h))
    }

    /// Input that is said beside `input_tokens`.
    fn cached(&self) -> u64 {
        self.cache_read.saturating_add(self.written())
    }

    fn tokens(&self, cache_ttl: CacheTtl) -> Option<Tokens> {
        let split = self.cache_write_5m.saturating_add(self.cache_write_1h);
        let mut tokens = Tokens {
            input_uncached: self.input?,
            cache_read: self.cache_read,
            cache_write_5m: self.cache_write_5m,
            cache_write_1h: self.cache_write_1h,
            output_visible: self.output.saturating_sub(self.thinking),
            reasoning: self.thinking.min(self.output),
            ..Tokens::default()
        };
        cache_ttl.add(&mut tokens, self.written() - split);
        Some(tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads texts of pairs of keys and numbers.
    fn usage(cache_ttl: CacheTtl, texts: &[&[(&str, u64)]]) -> Usage {
        let mut form = Messages::new(cache_ttl);
        for text in texts {
            for (key, count) in *text {
                form.usage_value(key, Token::Count(*count));
            }
            form.end_text(Side::Response);
        }
        form.usage().unwrap()
    }

    #[test]
    fn a_delta_overwrites_only_what_it_names() {
        let start = [
            ("input_tokens", 25),
            ("cache_creation_input_tokens", 600),
            ("cache_creation.ephemeral_1h_input_tokens", 500),
            ("cache_read_input_tokens", 2000),
            ("output_tokens", 1),
        ];
        let delta = [("output_tokens", 89), ("cache_read_input_tokens", 2000)];
        for (ttl, write_5m, write_1h, write_other) in [
            (CacheTtl::FiveMinutes, 100, 500, 0),
            (CacheTtl::OneHour, 0, 600, 0),
            (CacheTtl::Unknown, 0, 500, 100),
        ] {
            let usage = usage(ttl, &[&start, &delta]);
            let tokens = Tokens {
                input_uncached: 25,
                cache_read: 2000,
                cache_write_5m: write_5m,
                cache_write_1h: write_1h,
                cache_write_other: write_other,
                output_visible: 89,
                ..Tokens::default()
            };
            assert_eq!(usage, Usage::from(tokens));
        }
    }

    #[test]
    fn cached_input_that_comes_late_was_part_of_the_input() {
        let start = [("input_tokens", 3602), ("output_tokens", 1)];
        for (delta, uncached, inconsistent) in [
            (vec![("cache_read_input_tokens", 3604)], 0, true),
            (vec![("cache_read_input_tokens", 3604), ("input_tokens", 3602)], 0, true),
            (vec![("cache_read_input_tokens", 3600)], 2, true),
            // A loop of the provider's own tools: both have grown.
            (vec![("cache_read_input_tokens", 3604), ("input_tokens", 4000)], 4000, false),
            (vec![("cache_read_input_tokens", 0)], 3602, false),
        ] {
            let usage = usage(CacheTtl::FiveMinutes, &[&start, &delta]);
            assert_eq!((usage.tokens.input_uncached, usage.inconsistent), (uncached, inconsistent));
        }
    }

    #[test]
    fn each_iteration_is_billed_at_its_model() {
        let mut form = Messages::new(CacheTtl::FiveMinutes);
        form.read("model", Token::Text("big"));
        form.read("usage.input_tokens", Token::Count(10));
        form.read("usage.output_tokens", Token::Count(5));
        for (model, input, output) in [(None, 10, 5), (Some("small"), 100, 7), (None, 1, 2)] {
            form.read("usage.iterations[]", Token::Begin);
            if let Some(model) = model {
                form.read("usage.iterations[].model", Token::Text(model));
            }
            form.read("usage.iterations[].input_tokens", Token::Count(input));
            form.read("usage.iterations[].output_tokens", Token::Count(output));
        }
        let usage = form.usage().unwrap();
        let parts: Vec<_> = usage
            .parts
            .iter()
            .map(|part| (&*part.model, part.tokens.input_uncached, part.tokens.output_visible))
            .collect();
        assert_eq!(parts, [("big", 11, 7), ("small", 100, 7)]);
        assert_eq!((usage.tokens.input_uncached, usage.tokens.output_visible), (111, 14));
    }

    #[test]
    fn iterations_are_bounded() {
        let mut form = Messages::new(CacheTtl::FiveMinutes);
        for _ in 0..=MAX_ITERATIONS {
            form.read("usage.iterations[]", Token::Begin);
            form.read("usage.iterations[].input_tokens", Token::Count(1));
        }
        let usage = form.usage().unwrap();
        assert_eq!(usage.tokens.input_uncached, MAX_ITERATIONS as u64 + 1);
        assert!(usage.inconsistent);
    }

    proptest! {
        #[test]
        fn no_numbers_overflow(
            values in prop::collection::vec((0usize..18, any::<u64>(), any::<bool>()), 0..40),
            ttl in prop::sample::select(vec![CacheTtl::FiveMinutes, CacheTtl::Unknown]),
        ) {
            let keys = [
                "input_tokens", "output_tokens", "cache_read_input_tokens",
                "cache_creation_input_tokens", "cache_creation.ephemeral_5m_input_tokens",
                "cache_creation.ephemeral_1h_input_tokens", "output_tokens_details.thinking_tokens",
                "server_tool_use.web_search_requests", "iterations",
            ];
            let mut form = Messages::new(ttl);
            for (which, count, ends) in values {
                let key = keys[which % 9];
                if which < 9 {
                    form.usage_value(key, Token::Count(count));
                } else {
                    form.usage_value("iterations[]", Token::Begin);
                    form.usage_value(&format!("iterations[].{key}"), Token::Count(count));
                }
                if ends {
                    form.end_text(Side::Response);
                }
            }
            if let Some(usage) = form.usage() {
                let parts = usage.parts.iter().fold(Tokens::default(), |sum, part| {
                    sum.saturating_add(&part.tokens)
                });
                prop_assert!(usage.parts.is_empty() || parts == usage.tokens);
                prop_assert!(usage.tokens.input_total() >= usage.tokens.input_uncached);
            }
        }
    }
}
