//! OpenAI `POST …/responses`. A stream repeats the whole response, usage included, in its last
//! event: `response.completed`, `.incomplete` or `.failed`.

use super::form::{Answer, Form, inside};
use super::json::Token;
use super::request::{name_of, rename};
use super::usage::OpenAiUsage;
use super::{Api, Usage};

#[derive(Debug, Default)]
pub(super) struct Responses {
    answer: Answer,
    usage: OpenAiUsage,
}

impl Form for Responses {
    fn api(&self) -> Api {
        Api::Responses
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        match (path, token) {
            ("type", Token::Text(kind)) => self.event(kind),
            ("delta", Token::Text(text)) => self.answer.push_text(text),
            (
                "output[].content[].text" | "output[].content[].refusal" | "output[].arguments",
                Token::Text(text),
            ) => self.answer.push_text(text),
            ("status", Token::Text("completed" | "incomplete")) => self.answer.finished = true,
            ("status", Token::Text("failed")) => self.answer.failed = true,
            // The `error` event has its code beside its type.
            ("code", Token::Text(code)) => self.answer.error_type = name_of(code),
            _ => self.response(inside(path, "response").unwrap_or(path), token),
        }
    }

    fn usage(&self) -> Option<Usage> {
        self.usage.normal()
    }

    fn answer(&self) -> &Answer {
        &self.answer
    }
}

impl Responses {
    /// What was said beside the usage.
    pub(super) fn into_answer(self) -> Answer {
        self.answer
    }

    fn event(&mut self, kind: &str) {
        self.answer.recognised |= kind.starts_with("response.");
        match kind {
            "response.completed" | "response.incomplete" => self.answer.finished = true,
            "response.failed" | "error" => self.answer.failed = true,
            _ => {}
        }
    }

    /// Takes what the response object says, be it the body or a part of an event.
    fn response(&mut self, path: &str, token: Token<'_>) {
        let answer = &mut self.answer;
        match (path, token) {
            ("object", Token::Text("response")) => answer.recognised = true,
            ("id", Token::Text(id)) => rename(&mut answer.response_id, id),
            ("model", Token::Text(model)) => rename(&mut answer.model, model),
            ("service_tier", Token::Text(tier)) => rename(&mut answer.context.service_tier, tier),
            _ => {
                if let Some(key) = inside(path, "usage") {
                    self.usage.read(key, token);
                } else if let Some(key) = inside(path, "error") {
                    answer.read_error(key, token);
                }
            }
        }
    }
}
