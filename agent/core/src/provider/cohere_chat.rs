//! Cohere `POST /v2/chat`, and the older `POST /v1/chat`.
//!
//! A stream of v2 has its usage in the event `message-end`. One of v1 is one JSON text after the
//! other; the last, `stream-end`, has the whole answer in it.

use super::cohere_units::BilledUnits;
use super::form::{Answer, Form, inside};
use super::json::Token;
use super::request::rename;
use super::{Api, Usage};
use crate::secret::Payload;

#[derive(Debug, Default)]
pub(super) struct Chat {
    answer: Answer,
    units: BilledUnits,
}

impl Form for Chat {
    fn api(&self) -> Api {
        Api::CohereChat
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        let answer = &mut self.answer;
        match (path, token) {
            ("type", Token::Text("message-end")) | ("event_type", Token::Text("stream-end")) => {
                answer.finished = true;
            }
            ("id" | "generation_id" | "response.generation_id", Token::Text(id)) => {
                rename(&mut answer.response_id, id);
            }
            ("finish_reason" | "delta.finish_reason", Token::Text(reason)) => {
                answer.finished = true;
                answer.failed |= matches!(reason, "ERROR" | "TIMEOUT");
            }
            ("delta.error", Token::Text(_)) => answer.failed = true,
            (
                "message.content[].thinking" | "delta.message.content.thinking",
                Token::Text(text),
            ) => answer.push_thought(text),
            (
                "message.content[].text"
                | "message.tool_plan"
                | "message.tool_calls[].function.name"
                | "message.tool_calls[].function.arguments"
                | "delta.message.content.text"
                | "delta.message.tool_plan"
                | "delta.message.tool_calls.function.name"
                | "delta.message.tool_calls.function.arguments"
                | "text",
                Token::Text(text),
            ) => answer.push_text(text),
            _ => {
                let usage = ["delta.usage", "usage", "meta", "response.meta"];
                if let Some(key) = usage.iter().find_map(|outer| inside(path, outer)) {
                    self.units.read(key, token);
                }
            }
        }
    }

    fn usage(&self) -> Option<Usage> {
        self.units.normal()
    }

    fn answer(&self) -> &Answer {
        &self.answer
    }

    fn take_text(&mut self) -> Payload {
        std::mem::take(&mut self.answer.text)
    }
}
