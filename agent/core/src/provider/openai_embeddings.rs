//! OpenAI `POST …/embeddings`.

use super::form::{Answer, Asked, Form, inside};
use super::json::Token;
use super::quirks::quirks;
use super::request::name_of;
use super::usage::OpenAiUsage;
use super::{Api, Usage};
use crate::secret::Payload;

#[derive(Debug)]
pub(super) struct Embeddings {
    answer: Answer,
    usage: OpenAiUsage,
}

impl Embeddings {
    pub(super) fn new(asked: &Asked) -> Self {
        let usage = OpenAiUsage::new(quirks(asked.provider, Api::Embeddings));
        Self { answer: Answer::default(), usage }
    }
}

impl Form for Embeddings {
    fn api(&self) -> Api {
        Api::Embeddings
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        match (path, token) {
            ("data[].object", Token::Text("embedding")) => self.answer.recognised = true,
            ("model", Token::Text(model)) => self.answer.model = name_of(model),
            _ => {
                if let Some(key) = inside(path, "usage") {
                    self.usage.read(key, token);
                } else if let Some(key) = inside(path, "error") {
                    self.answer.read_error(key, token);
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

    fn take_text(&mut self) -> Payload {
        std::mem::take(&mut self.answer.text)
    }
}
