//! OpenAI `POST …/chat/completions`, also spoken by most self-hosted servers and gateways, and the
//! older `POST …/completions`, which differs by where its text stands.
//!
//! A stream has its usage in a chunk of its own near the end, if `stream_options.include_usage`
//! asked for it; some servers put the usage so far on every chunk. Groq has it in `x_groq.usage`
//! of the last chunk, and where several models worked on one answer, in a breakdown by model.

use super::choices::{Choice, Choices};
use super::form::{Answer, Asked, Form, inside};
use super::json::Token;
use super::llama_completion::Timings;
use super::quirks::{Quirks, quirks};
use super::request::{name_of, rename};
use super::usage::{OpenAiUsage, Parts};
use super::{Api, Usage};
use crate::http::Side;
use crate::secret::Payload;

#[derive(Debug)]
pub(super) struct Chat {
    api: Api,
    quirks: Quirks,
    answer: Answer,
    usage: OpenAiUsage,
    /// What each model used, where the answer tells.
    parts: Parts,
    choices: Choices,
    /// The output comes in pieces. Perplexity repeats all of it so far beside each of them.
    in_pieces: bool,
    timings: Timings,
}

impl Chat {
    pub(super) fn new(api: Api, asked: &Asked) -> Self {
        let quirks = quirks(asked.provider, api);
        Self {
            api,
            quirks,
            answer: Answer::default(),
            usage: OpenAiUsage::new(quirks),
            parts: Parts::default(),
            choices: Choices::default(),
            in_pieces: false,
            timings: Timings::default(),
        }
    }

    fn choice(&mut self, key: &str, token: Token<'_>) {
        let answer = &mut self.answer;
        match (key, token) {
            ("", Token::Begin) => answer.finished = self.choices.settle(Some(Choice::default())),
            ("index", Token::Count(index)) => self.choices.index(index),
            // Some servers have an empty one where there is none yet.
            ("finish_reason", Token::Text(reason)) if !reason.is_empty() => {
                self.choices.end();
                // OpenRouter's word for a model that broke off.
                answer.failed |= reason == "error";
            }
            ("delta", Token::Begin) => self.in_pieces = true,
            ("message.audio" | "delta.audio", Token::Begin) => answer.text_cut = true,
            ("text", Token::Text(text)) => answer.push_text(text),
            _ => {
                if let Some(key) = inside(key, "delta") {
                    self.message(key, token);
                } else if let Some(key) = inside(key, "message").filter(|_| !self.in_pieces) {
                    self.message(key, token);
                } else if let Some(key) = inside(key, "error") {
                    answer.read_error(key, token);
                }
            }
        }
    }

    fn message(&mut self, key: &str, token: Token<'_>) {
        match (key, token) {
            (
                "content"
                | "refusal"
                | "audio.transcript"
                | "function_call.name"
                | "function_call.arguments"
                | "tool_calls[].function.name"
                | "tool_calls[].function.arguments",
                Token::Text(text),
            ) => self.answer.push_text(text),
            ("tool_calls[].custom", Token::Begin) => self.answer.mixed = true,
            ("reasoning" | "reasoning_content", Token::Text(text)) => {
                self.answer.push_thought(text);
            }
            _ => {}
        }
    }

    /// Takes what `usage_breakdown` says.
    fn breakdown(&mut self, key: &str, token: Token<'_>) {
        match (key, token) {
            ("models", Token::Begin) => self.parts.restart(),
            ("models[]", Token::Begin) => self.parts.begin(self.quirks),
            ("models[].model", Token::Text(model)) => self.parts.model(model),
            _ => {
                if let Some(key) = inside(key, "models[].usage") {
                    self.parts.read(key, token);
                }
            }
        }
    }

    fn groq(&mut self, key: &str, token: Token<'_>) {
        // It says in words why a stream ends early.
        if let ("error", Token::Text(_)) = (key, token) {
            self.answer.failed = true;
        } else if let Some(key) = inside(key, "usage") {
            self.usage.read(key, token);
        } else if let Some(key) = inside(key, "usage_breakdown") {
            self.breakdown(key, token);
        } else if let Some(key) = inside(key, "error") {
            self.answer.read_error(key, token);
        }
    }
}

impl Form for Chat {
    fn api(&self) -> Api {
        self.api
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        let answer = &mut self.answer;
        match (path, token) {
            ("object", Token::Text(object)) => {
                let own = match self.api {
                    Api::Completions => "text_completion",
                    _ => "chat.completion",
                };
                let rest = object.strip_prefix(own);
                answer.recognised |= matches!(rest, Some("" | ".chunk" | ".done"));
                self.in_pieces |= matches!(rest, Some(".chunk" | ".done"));
            }
            ("id", Token::Text(id)) => rename(&mut answer.response_id, id),
            ("model", Token::Text(model)) => rename(&mut answer.model, model),
            // OpenAI's, and Mistral's.
            ("service_tier" | "usage.service_tier", Token::Text(tier)) => {
                rename(&mut answer.context.service_tier, tier);
            }
            // Vertex has it here.
            ("usage.extra_properties.google.traffic_type", Token::Text(kind)) => {
                rename(&mut answer.context.traffic_type, kind);
            }
            // MiniMax's word for what went wrong at HTTP 200.
            ("base_resp.status_code", Token::Count(code @ 1..)) => {
                answer.failed = true;
                answer.error_type = Some(code.to_string());
            }
            // Databricks' word for what went wrong.
            ("error_code", Token::Text(code)) => answer.error_type = name_of(code),
            _ => {
                if let Some(key) = inside(path, "choices[]") {
                    self.choice(key, token);
                } else if let Some(key) = inside(path, "usage") {
                    self.usage.read(key, token);
                } else if let Some(key) = inside(path, "error") {
                    answer.read_error(key, token);
                } else if let Some(key) = inside(path, "timings") {
                    self.timings.read(key, token);
                } else if let Some(key) = inside(path, "x_groq") {
                    self.groq(key, token);
                } else if let Some(key) = inside(path, "usage_breakdown") {
                    self.breakdown(key, token);
                }
            }
        }
    }

    fn end_text(&mut self, _side: Side) {
        self.answer.finished = self.choices.settle(None);
    }

    fn usage(&self) -> Option<Usage> {
        self.parts.split(self.timings.complete(self.usage).normal())
    }

    fn answer(&self) -> &Answer {
        &self.answer
    }

    fn take_text(&mut self) -> Payload {
        std::mem::take(&mut self.answer.text)
    }
}
