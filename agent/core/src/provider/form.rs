//! What the readers of the wire forms have in common.

use super::json::Token;
use super::request::{MAX_TEXT, name_of};
use super::{Api, anthropic_messages, openai_chat, openai_embeddings, openai_responses};
use crate::secret::Payload;
use crate::units::Tokens;

/// Reads an answer of one wire form, value by value: a whole body, or the events of a stream.
pub(super) trait Form: std::fmt::Debug + Send {
    /// Which form.
    fn api(&self) -> Api;
    /// Takes a value and where it stands.
    fn read(&mut self, path: &str, token: Token<'_>);
    /// The provider's numbers, as far as they were said.
    fn usage(&self) -> Option<Tokens>;
    /// Everything else that was said.
    fn answer(&self) -> &Answer;
}

/// What an answer says, whatever its form.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// It has the shape that only answers of this form have.
    pub(super) recognised: bool,
    pub(super) model: Option<String>,
    pub(super) response_id: Option<String>,
    pub(super) service_tier: Option<String>,
    /// The provider said that there is no more to come.
    pub(super) finished: bool,
    /// The provider said that the call failed.
    pub(super) failed: bool,
    pub(super) error_type: Option<String>,
    /// The output.
    pub(super) text: Payload,
    /// Not all of the output is in `text`.
    pub(super) text_cut: bool,
}

impl Answer {
    pub(super) fn push_text(&mut self, text: &str) {
        self.text_cut |= !self.text.push_within(text, MAX_TEXT);
    }

    /// Takes what an `error` object says at `key`. A code says more than a type.
    pub(super) fn read_error(&mut self, key: &str, token: Token<'_>) {
        match (key, token) {
            ("", Token::Begin) => self.failed = true,
            ("code", Token::Text(code)) => self.error_type = name_of(code),
            ("type", Token::Text(kind)) => {
                self.error_type = self.error_type.take().or_else(|| name_of(kind));
            }
            _ => {}
        }
    }
}

/// A reader for answers of the form `api`. `cache_ttl_1h` is what the request asked for.
pub(super) fn reader(api: Api, cache_ttl_1h: bool) -> Box<dyn Form> {
    match api {
        Api::ChatCompletions => Box::new(openai_chat::Chat::default()),
        Api::Responses => Box::new(openai_responses::Responses::default()),
        Api::Embeddings => Box::new(openai_embeddings::Embeddings::default()),
        Api::Messages => Box::new(anthropic_messages::Messages::new(cache_ttl_1h)),
    }
}

/// What stands at `path` inside `outer`: `Some("")` for `outer` itself, `Some("key")` for
/// `outer.key`.
pub(super) fn inside<'a>(path: &'a str, outer: &str) -> Option<&'a str> {
    match path.strip_prefix(outer)? {
        "" => Some(""),
        rest => rest.strip_prefix('.'),
    }
}
