//! Mistral `POST /v1/ocr`, billed by the page.

use super::form::{Answer, Form};
use super::json::Token;
use super::request::name_of;
use super::{Api, Usage};
use crate::secret::Payload;
use crate::units::{Counts, Unit};

#[derive(Debug, Default)]
pub(super) struct Ocr {
    answer: Answer,
    pages: Option<u64>,
}

impl Form for Ocr {
    fn api(&self) -> Api {
        Api::Ocr
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        match (path, token) {
            ("model", Token::Text(model)) => self.answer.model = name_of(model),
            ("usage_info.pages_processed", Token::Count(pages)) => self.pages = Some(pages),
            _ => {}
        }
    }

    fn usage(&self) -> Option<Usage> {
        let mut counts = Counts::default();
        counts.set(Unit::Page, self.pages?);
        Some(Usage { counts, ..Usage::default() })
    }

    fn answer(&self) -> &Answer {
        &self.answer
    }

    fn take_text(&mut self) -> Payload {
        std::mem::take(&mut self.answer.text)
    }
}
