//! Gemini `POST …:embedContent` and `:batchEmbedContents`. Newer models say their usage, older ones
//! don't.

use super::form::{Answer, Form, inside};
use super::google_usage::GoogleUsage;
use super::json::Token;
use super::request::rename;
use super::{Api, Usage};
use crate::secret::Payload;

#[derive(Debug, Default)]
pub(super) struct EmbedContent {
    answer: Answer,
    usage: GoogleUsage,
}

impl Form for EmbedContent {
    fn api(&self) -> Api {
        Api::EmbedContent
    }

    fn keys(&self) -> Option<&'static [&'static str]> {
        Some(&["error", "usageMetadata"])
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        match (path, token) {
            ("embedding.values" | "embeddings[].values", Token::Begin) => {
                self.answer.recognised = true;
            }
            ("usageMetadata.trafficType", Token::Text(kind)) => {
                rename(&mut self.answer.context.traffic_type, kind);
            }
            _ => {
                if let Some(key) = inside(path, "usageMetadata") {
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
