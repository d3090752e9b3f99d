//! Hugging Face's text-generation-inference: `POST /generate` and `/generate_stream`. It counts the
//! tokens of the prompt only if it is asked for details, and not in all of its versions.

use super::form::{Answer, Form, inside};
use super::json::Token;
use super::request::name_of;
use super::{Api, Usage};
use crate::secret::Payload;
use crate::units::Tokens;

#[derive(Debug, Default)]
pub(super) struct TgiGenerate {
    answer: Answer,
    input: Option<u64>,
    /// The tokens of the prompt one by one, where they were asked for. None doesn't mean that it has
    /// none.
    prefill: u64,
    output: Option<u64>,
    /// What was made and not chosen (`best_of`).
    others: u64,
}

impl Form for TgiGenerate {
    fn api(&self) -> Api {
        Api::TgiGenerate
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        let answer = &mut self.answer;
        match (path, token) {
            ("token.text", Token::Text(text)) => {
                answer.recognised = true;
                answer.push_text(text);
            }
            ("generated_text", Token::Text(text)) => {
                answer.recognised = true;
                answer.finished = true;
                // A stream repeats here what it has said token by token.
                if answer.text.expose().is_empty() {
                    answer.push_text(text);
                }
            }
            ("details.generated_tokens", Token::Count(count)) => self.output = Some(count),
            ("details.input_length" | "details.prompt_tokens", Token::Count(count)) => {
                self.input = Some(count);
            }
            ("details.prefill[]", Token::Begin) => {
                self.prefill = self.prefill.saturating_add(1);
            }
            ("details.best_of_sequences[].generated_tokens", Token::Count(count)) => {
                self.others = self.others.saturating_add(count);
            }
            ("error", Token::Text(_)) => answer.failed = true,
            ("error_type", Token::Text(kind)) => {
                answer.error_type = name_of(kind);
            }
            _ => {
                if let Some(key) = inside(path, "error") {
                    answer.read_error(key, token);
                }
            }
        }
    }

    fn usage(&self) -> Option<Usage> {
        let tokens = Tokens {
            input_uncached: self.input.or((self.prefill > 0).then_some(self.prefill))?,
            output_visible: self.output?.saturating_add(self.others),
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
