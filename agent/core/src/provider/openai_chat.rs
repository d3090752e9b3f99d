//! OpenAI `POST …/chat/completions`, also spoken by most self-hosted servers and gateways.
//!
//! A stream has its usage in a chunk of its own near the end, if `stream_options.include_usage`
//! asked for it; some servers put the usage so far on every chunk.

use super::form::{Answer, Form, inside};
use super::json::Token;
use super::request::rename;
use super::usage::OpenAiUsage;
use super::{Api, Usage};

#[derive(Debug, Default)]
pub(super) struct Chat {
    answer: Answer,
    usage: OpenAiUsage,
}

impl Form for Chat {
    fn api(&self) -> Api {
        Api::ChatCompletions
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        let answer = &mut self.answer;
        match (path, token) {
            ("object", Token::Text("chat.completion" | "chat.completion.chunk")) => {
                answer.recognised = true;
            }
            ("id", Token::Text(id)) => rename(&mut answer.response_id, id),
            ("model", Token::Text(model)) => rename(&mut answer.model, model),
            // OpenAI's, and Mistral's.
            ("service_tier" | "usage.service_tier", Token::Text(tier)) => {
                rename(&mut answer.context.service_tier, tier)
            }
            ("choices[].finish_reason", Token::Text(_)) => answer.finished = true,
            (
                "choices[].delta.content"
                | "choices[].delta.refusal"
                | "choices[].delta.reasoning_content"
                | "choices[].delta.tool_calls[].function.name"
                | "choices[].delta.tool_calls[].function.arguments"
                | "choices[].message.content"
                | "choices[].message.refusal"
                | "choices[].message.reasoning_content"
                | "choices[].message.tool_calls[].function.name"
                | "choices[].message.tool_calls[].function.arguments",
                Token::Text(text),
            ) => answer.push_text(text),
            _ => {
                if let Some(key) = inside(path, "usage") {
                    self.usage.read(key, token);
                } else if let Some(key) = inside(path, "error") {
                    answer.read_error(key, token);
                }
            }
        }
    }

    fn usage(&self) -> Option<Usage> {
        self.usage.normal()
    }

    fn answer(&self) -> &Answer {
        &self.answer
    }
}
