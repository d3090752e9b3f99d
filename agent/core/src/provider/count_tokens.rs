//! Counting of tokens ahead of a call: Anthropic `POST …/messages/count_tokens` and Bedrock
//! `POST /model/{id}/count-tokens`. No model runs, so what is counted is no usage.

use super::form::{Answer, Form, inside};
use super::json::Token;
use super::{Api, Usage};
use crate::secret::Payload;

#[derive(Debug, Default)]
pub(super) struct CountTokens {
    answer: Answer,
}

impl Form for CountTokens {
    fn api(&self) -> Api {
        Api::CountTokens
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        match (path, token) {
            ("input_tokens" | "inputTokens", Token::Count(_)) => self.answer.finished = true,
            _ => {
                if let Some(key) = inside(path, "error") {
                    self.answer.read_error(key, token);
                }
            }
        }
    }

    fn usage(&self) -> Option<Usage> {
        None
    }

    fn answer(&self) -> &Answer {
        &self.answer
    }

    fn take_text(&mut self) -> Payload {
        std::mem::take(&mut self.answer.text)
    }
}
