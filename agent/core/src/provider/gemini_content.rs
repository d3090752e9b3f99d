//! Gemini `POST …:generateContent` and `:streamGenerateContent`, on Gemini's own endpoint and on
//! Vertex. A stream is server-sent events (`?alt=sse`) or one array; each of its texts is an answer
//! with what is new of the output and the usage so far. Code Assist, which Google's own command line
//! talks to, has the same in a `response`.

use super::choices::{Choice, Choices};
use super::form::{Answer, Form, inside};
use super::google_usage::GoogleUsage;
use super::json::Token;
use super::request::rename;
use super::{Api, Usage};
use crate::http::Side;
use crate::secret::Payload;
use crate::units::{Counts, Unit};

#[derive(Debug, Default)]
pub(super) struct GenerateContent {
    answer: Answer,
    candidates: Choices,
    /// A prompt that is blocked has no candidates.
    blocked: bool,
    usage: GoogleUsage,
    searches: Mentions,
    pages: Mentions,
}

/// How often something is mentioned. A stream may repeat its mentions.
#[derive(Debug, Default)]
struct Mentions {
    /// In the current text.
    here: u64,
    /// Most in any text before.
    before: u64,
}

impl Form for GenerateContent {
    fn api(&self) -> Api {
        Api::GenerateContent
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        let path = inside(path, "response").unwrap_or(path);
        let answer = &mut self.answer;
        match (path, token) {
            ("usageMetadata" | "candidates[].content" | "promptFeedback", Token::Begin) => {
                answer.recognised = true;
            }
            ("responseId", Token::Text(id)) => rename(&mut answer.response_id, id),
            ("modelVersion", Token::Text(model)) => rename(&mut answer.model, model),
            ("usageMetadata.trafficType", Token::Text(kind)) => {
                rename(&mut answer.context.traffic_type, kind);
            }
            ("usageMetadata.serviceTier", Token::Text(tier)) => {
                rename(&mut answer.context.service_tier, tier);
            }
            ("promptFeedback.blockReason", Token::Text(_)) => self.blocked = true,
            ("candidates[]", Token::Begin) => _ = self.candidates.settle(Some(Choice::default())),
            ("candidates[].index", Token::Count(index)) => self.candidates.index(index),
            ("candidates[].finishReason", Token::Text(_)) => self.candidates.end(),
            (
                "candidates[].content.parts[].text"
                | "candidates[].content.parts[].functionCall.name"
                | "candidates[].content.parts[].executableCode.code",
                Token::Text(text),
            ) => answer.push_text(text),
            // Of arguments only the values are text.
            ("candidates[].content.parts[].thought", Token::Flag(true))
            | ("candidates[].content.parts[].functionCall.args", Token::Begin) => {
                answer.mixed = true;
            }
            ("candidates[].groundingMetadata.webSearchQueries[]", Token::Text(_)) => {
                self.searches.add();
            }
            ("candidates[].urlContextMetadata.urlMetadata[]", Token::Begin) => self.pages.add(),
            _ => {
                if let Some(key) = inside(path, "usageMetadata") {
                    self.usage.read(key, token);
                } else if let Some(key) = inside(path, "error") {
                    answer.read_error(key, token);
                } else if let Token::Text(text) = token
                    && inside(path, "candidates[].content.parts[].functionCall.args").is_some()
                {
                    answer.push_text(text);
                }
            }
        }
    }

    fn end_text(&mut self, _side: Side) {
        self.answer.finished = self.candidates.settle(None) || self.blocked;
        self.searches.end_text();
        self.pages.end_text();
    }

    fn usage(&self) -> Option<Usage> {
        let mut counts = Counts::default();
        counts.set(Unit::WebSearch, self.searches.count());
        counts.set(Unit::WebFetch, self.pages.count());
        Some(Usage { counts, ..self.usage.normal()? })
    }

    fn answer(&self) -> &Answer {
        &self.answer
    }

    fn take_text(&mut self) -> Payload {
        std::mem::take(&mut self.answer.text)
    }
}

impl Mentions {
    fn add(&mut self) {
        self.here = self.here.saturating_add(1);
    }

    fn end_text(&mut self) {
        self.before = self.count();
        self.here = 0;
    }

    fn count(&self) -> u64 {
        self.before.max(self.here)
    }
}
