//! Ollama `POST /api/chat`, `/api/generate` and `/api/embed`. A stream is a text on each line, the
//! last one with `done: true` and the counts, which are left out where they are 0.

use super::form::{Answer, Form};
use super::json::Token;
use super::request::rename;
use super::{Api, Usage};
use crate::secret::Payload;
use crate::units::Tokens;

#[derive(Debug)]
pub(super) struct Ollama {
    api: Api,
    answer: Answer,
    /// Another host has served the call: what is read of the model is its name there.
    remote: bool,
    input: Option<u64>,
    output: Option<u64>,
}

impl Ollama {
    pub(super) fn new(api: Api) -> Self {
        Self { api, answer: Answer::default(), remote: false, input: None, output: None }
    }
}

impl Form for Ollama {
    fn api(&self) -> Api {
        self.api
    }

    fn keys(&self) -> Option<&'static [&'static str]> {
        let of_embed: &[_] =
            &["error", "model", "prompt_eval_count", "remote_model", "total_duration"];
        (self.api == Api::OllamaEmbed).then_some(of_embed)
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        let answer = &mut self.answer;
        match (path, token) {
            ("model", Token::Text(model)) if !self.remote => rename(&mut answer.model, model),
            ("remote_model", Token::Text(model)) if !model.is_empty() => {
                self.remote = true;
                rename(&mut answer.model, model);
            }
            ("created_at" | "total_duration", _) if answer.model.is_some() => {
                answer.recognised = true;
            }
            ("done", Token::Flag(true)) => answer.finished = true,
            ("prompt_eval_count", Token::Count(count)) => self.input = Some(count),
            ("eval_count", Token::Count(count)) => self.output = Some(count),
            (
                "message.content" | "response" | "message.tool_calls[].function.name",
                Token::Text(text),
            ) => answer.push_text(text),
            ("message.thinking" | "thinking", Token::Text(text)) => answer.push_thought(text),
            // Only their values are text.
            ("message.tool_calls[].function.arguments", Token::Begin) => answer.mixed = true,
            ("error", Token::Text(_)) => answer.failed = true,
            _ => {
                if let Token::Text(text) = token
                    && path.starts_with("message.tool_calls[].function.arguments.")
                {
                    answer.push_text(text);
                }
            }
        }
    }

    fn usage(&self) -> Option<Usage> {
        if !self.answer.finished && self.input.is_none() {
            return None;
        }
        let tokens = Tokens {
            input_uncached: self.input.unwrap_or(0),
            output_visible: self.output.unwrap_or(0),
            ..Tokens::default()
        };
        Some(tokens.into())
    }

    fn answer(&self) -> &Answer {
        &self.answer
    }

    fn take_text(&mut self) -> Payload {
        std::mem::take(&mut self.answer.text)
    }
}
