//! Bedrock `POST /model/{id}/invoke` and `/invoke-with-response-stream`: the body is the model's own,
//! which Bedrock only passes on. Whose it is is told by its shape, since a model's name (an inference
//! profile's, for one) needn't say it.
//!
//! To the last chunk of a stream Bedrock adds its own numbers. They and those of the answer's head
//! count only where the body has none: they don't tell lifetimes in the cache.

use super::anthropic_messages::Messages;
use super::bedrock_converse::Converse;
use super::bedrock_sonic::Sonic;
use super::form::{Answer, Asked, Form, inside};
use super::json::Token;
use super::openai_chat::Chat;
use super::request::rename;
use super::{Api, Usage};
use crate::http::Side;
use crate::secret::Payload;
use crate::units::{Counts, Tokens, Unit};

/// What a stream of Nova's wraps its events in.
const NOVA_EVENTS: &[&str] =
    &["messageStart", "contentBlockStart", "contentBlockDelta", "messageStop", "metadata"];

#[derive(Debug)]
pub(super) struct Invoke {
    /// The reader whose shape the body has; until that is known, the one for the plain shapes.
    body: Box<dyn Form>,
    /// Readers of the other shapes that it could have.
    others: Vec<Box<dyn Form>>,
    metrics: Metrics,
}

impl Invoke {
    pub(super) fn new(asked: &Asked) -> Self {
        Self {
            body: Box::new(Plain::default()),
            others: vec![
                Box::new(Messages::new(asked.cache_ttl)),
                Box::new(Chat::new(Api::ChatCompletions, asked)),
                Box::new(Nova(Converse::new(asked.cache_ttl))),
                Box::new(Sonic::default()),
            ],
            metrics: Metrics::default(),
        }
    }
}

impl Form for Invoke {
    fn api(&self) -> Api {
        Api::Invoke
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        if let Some(key) = inside(path, "amazon-bedrock-invocationMetrics") {
            self.metrics.read(key, token);
            return;
        }
        self.body.read(path, token);
        self.others.iter_mut().for_each(|other| other.read(path, token));
        if self.others.is_empty() {
            return;
        }
        if let Some(place) = self.others.iter().position(|other| has_its_shape(&**other)) {
            self.body = self.others.swap_remove(place);
            self.others.clear();
        } else if has_its_shape(&*self.body) {
            self.others.clear();
        }
    }

    fn end_text(&mut self, side: Side) {
        self.body.end_text(side);
        self.others.iter_mut().for_each(|other| other.end_text(side));
    }

    fn usage(&self) -> Option<Usage> {
        let others = || self.others.iter().find_map(|other| other.usage());
        self.body.usage().or_else(others).or_else(|| self.metrics.usage())
    }

    fn answer(&self) -> &Answer {
        self.body.answer()
    }

    fn take_text(&mut self) -> Payload {
        self.body.take_text()
    }
}

fn has_its_shape(form: &dyn Form) -> bool {
    form.answer().recognised || !form.answer().text.expose().is_empty()
}

/// Bedrock's own numbers. What is read from the cache or written to it is not part of the input.
#[derive(Clone, Copy, Debug, Default)]
struct Metrics {
    input: Option<u64>,
    output: u64,
    cache_read: u64,
    cache_write: u64,
}

impl Metrics {
    fn read(&mut self, key: &str, token: Token<'_>) {
        let Token::Count(count) = token else { return };
        match key {
            "inputTokenCount" => self.input = Some(count),
            "outputTokenCount" => self.output = count,
            "cacheReadInputTokenCount" => self.cache_read = count,
            "cacheWriteInputTokenCount" => self.cache_write = count,
            _ => {}
        }
    }

    fn usage(&self) -> Option<Usage> {
        let tokens = Tokens {
            input_uncached: self.input?,
            cache_read: self.cache_read,
            cache_write_other: self.cache_write,
            output_visible: self.output,
            ..Tokens::default()
        };
        Some(tokens.into())
    }
}

/// Nova's body: that of a converse call, the events of a stream each in an object that names it.
#[derive(Debug)]
struct Nova(Converse);

impl Form for Nova {
    fn api(&self) -> Api {
        Api::Invoke
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        if (path, token) == ("messageStart", Token::Begin) {
            self.0.begin_text(path);
        }
        let event = NOVA_EVENTS.iter().find_map(|event| inside(path, event));
        self.0.read(event.unwrap_or(path), token);
    }

    fn usage(&self) -> Option<Usage> {
        self.0.usage()
    }

    fn answer(&self) -> &Answer {
        self.0.answer()
    }

    fn take_text(&mut self) -> Payload {
        self.0.take_text()
    }
}

/// The bodies of models that speak no other form's: Llama, Titan, Mistral's and Cohere's older
/// ones, and of those that make images.
#[derive(Debug, Default)]
struct Plain {
    answer: Answer,
    input: Option<u64>,
    output: Option<u64>,
    /// Of the results of an answer that is no stream.
    results: u64,
    images: u64,
}

impl Form for Plain {
    fn api(&self) -> Api {
        Api::Invoke
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        let answer = &mut self.answer;
        match (path, token) {
            // Llama's, then Titan's. A stream's are cumulative.
            ("prompt_token_count" | "inputTextTokenCount", Token::Count(count)) => {
                self.input = Some(count);
            }
            ("generation_token_count" | "totalOutputTextTokenCount", Token::Count(count)) => {
                self.output = Some(count);
            }
            ("results[].tokenCount", Token::Count(count)) => {
                self.results = self.results.saturating_add(count);
            }
            ("images[]", Token::Text(_)) => self.images = self.images.saturating_add(1),
            ("generation_id" | "id", Token::Text(id)) => rename(&mut answer.response_id, id),
            (
                "stop_reason"
                | "completionReason"
                | "results[].completionReason"
                | "finish_reason"
                | "generations[].finish_reason"
                | "outputs[].stop_reason",
                Token::Text(_),
            ) => answer.finished = true,
            (
                "generation"
                | "outputText"
                | "results[].outputText"
                | "outputs[].text"
                | "text"
                | "generations[].text"
                | "completion"
                | "choices[].text",
                Token::Text(text),
            ) => answer.push_text(text),
            _ => {}
        }
    }

    fn usage(&self) -> Option<Usage> {
        let mut counts = Counts::default();
        counts.set(Unit::Image, self.images);
        if self.input.is_none() && counts.is_empty() {
            return None;
        }
        let tokens = Tokens {
            input_uncached: self.input.unwrap_or(0),
            output_visible: self.output.unwrap_or(self.results),
            ..Tokens::default()
        };
        Some(Usage { tokens, counts, ..Usage::default() })
    }

    fn answer(&self) -> &Answer {
        &self.answer
    }

    fn take_text(&mut self) -> Payload {
        std::mem::take(&mut self.answer.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usage(values: &[(&str, Token<'_>)]) -> Option<(u64, u64)> {
        let mut form = Invoke::new(&Asked::default());
        for &(path, token) in values {
            form.read(path, token);
        }
        form.usage().map(|usage| (usage.tokens.input_total(), usage.tokens.output_total()))
    }

    #[test]
    fn every_shape_is_read() {
        let count = Token::Count;
        for values in [
            // Llama's.
            vec![
                ("generation", Token::Text("Hi")),
                ("prompt_token_count", count(7)),
                ("generation_token_count", count(5)),
            ],
            // Titan's, whole and streamed.
            vec![("inputTextTokenCount", count(7)), ("results[].tokenCount", count(5))],
            vec![("inputTextTokenCount", count(7)), ("totalOutputTextTokenCount", count(5))],
            // Anthropic's.
            vec![
                ("type", Token::Text("message")),
                ("usage.input_tokens", count(7)),
                ("usage.output_tokens", count(5)),
            ],
            // Of those who follow OpenAI.
            vec![
                ("choices[].message.content", Token::Text("Hi")),
                ("usage.prompt_tokens", count(7)),
                ("usage.completion_tokens", count(5)),
            ],
            // Nova's, whole and streamed.
            vec![
                ("output.message.content[].text", Token::Text("Hi")),
                ("usage.inputTokens", count(3)),
                ("usage.cacheReadInputTokenCount", count(4)),
                ("usage.outputTokens", count(5)),
            ],
            vec![
                ("contentBlockDelta.delta.text", Token::Text("Hi")),
                ("metadata.usage.inputTokens", count(7)),
                ("metadata.usage.outputTokens", count(5)),
            ],
            // Without numbers in the body.
            vec![
                ("outputs[].text", Token::Text("Hi")),
                ("amazon-bedrock-invocationMetrics.inputTokenCount", count(3)),
                ("amazon-bedrock-invocationMetrics.cacheWriteInputTokenCount", count(4)),
                ("amazon-bedrock-invocationMetrics.outputTokenCount", count(5)),
            ],
        ] {
            assert_eq!(usage(&values), Some((7, 5)), "{values:?}");
        }
        assert_eq!(usage(&[("outputs[].text", Token::Text("Hi"))]), None);
    }

    #[test]
    fn the_body_says_more_than_bedrock() {
        let metrics = ("amazon-bedrock-invocationMetrics.inputTokenCount", Token::Count(9));
        let body = ("usage.input_tokens", Token::Count(7));
        assert_eq!(usage(&[metrics, body]), Some((7, 0)));
    }

    proptest! {
        #[test]
        fn no_numbers_overflow(values in prop::collection::vec((0usize..12, any::<u64>()), 0..30)) {
            let paths = [
                "prompt_token_count", "generation_token_count", "results[].tokenCount",
                "usage.input_tokens", "usage.cache_read_input_tokens", "usage.prompt_tokens",
                "usage.completion_tokens", "usage.inputTokens", "usage.cacheWriteInputTokens",
                "amazon-bedrock-invocationMetrics.inputTokenCount",
                "amazon-bedrock-invocationMetrics.cacheReadInputTokenCount", "images[]",
            ];
            let values: Vec<_> =
                values.iter().map(|&(path, count)| (paths[path], Token::Count(count))).collect();
            usage(&values);
        }
    }
}
