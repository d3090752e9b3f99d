//! What the readers of the wire forms have in common.

use super::json::Token;
use super::request::{MAX_TEXT, name_of};
use super::{
    Api, PriceContext, Usage, anthropic_batch, anthropic_messages, bedrock_converse,
    bedrock_invoke, cohere_chat, cohere_units, count_tokens, mistral_ocr, openai_chat,
    openai_embeddings, openai_responses,
};
use crate::http::Side;
use crate::secret::Payload;
use crate::units::Tokens;

/// Reads the answers of one wire form, value by value: a whole body, the events of a stream, the
/// lines of a file or the messages of a session.
pub(super) trait Form: std::fmt::Debug + Send {
    /// Which form.
    fn api(&self) -> Api;

    /// A JSON text of the provider begins, whose framing names what it is about. Only Amazon's
    /// framing does: the name is its `:event-type`.
    fn begin_text(&mut self, _name: &str) {}

    /// Takes a value of what the provider says, and where it stands.
    fn read(&mut self, path: &str, token: Token<'_>);

    /// Takes a value of what the caller says in a session, and where it stands.
    fn hear(&mut self, _path: &str, _token: Token<'_>) {}

    /// A JSON text has ended: the body, an event, a line or a message.
    fn end_text(&mut self, _side: Side) {}

    /// The provider's numbers of the current answer, as far as they were said.
    fn usage(&self) -> Option<Usage>;

    /// Everything else that was said in the current answer.
    fn answer(&self) -> &Answer;

    /// Whether there is one answer after the other: a session, or the results of a batch. What has
    /// ended is asked for with [`Form::next`] then, and the current answer is a call only if it is
    /// `begun`.
    fn several(&self) -> Option<Several> {
        None
    }

    /// An answer that has ended, of a form that has several.
    fn next(&mut self) -> Option<(Answer, Option<Usage>)> {
        None
    }
}

/// The state of a form that has several answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Several {
    /// An answer has begun and not ended.
    pub(super) begun: bool,
}

/// What an answer says, whatever its form.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// It has the shape that only answers of this form have.
    pub(super) recognised: bool,
    pub(super) model: Option<String>,
    pub(super) response_id: Option<String>,
    /// What its price depends on.
    pub(super) context: PriceContext,
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

/// What of the request an answer's reader needs to know.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// For how long input is to be kept in the prompt cache.
    pub(super) cache_ttl: CacheTtl,
    /// The results of a batch are fetched.
    pub(super) results: bool,
}

/// The lifetime of what is written to the prompt cache, as Anthropic's models have it. An answer
/// needn't repeat it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum CacheTtl {
    /// The request asks for no other.
    FiveMinutes,
    /// A breakpoint of the request asks for it.
    OneHour,
    /// The request was not seen as a whole.
    #[default]
    Unknown,
}

impl CacheTtl {
    /// Adds what was written for this lifetime.
    pub(super) const fn add(self, tokens: &mut Tokens, written: u64) {
        let bucket = match self {
            Self::FiveMinutes => &mut tokens.cache_write_5m,
            Self::OneHour => &mut tokens.cache_write_1h,
            Self::Unknown => &mut tokens.cache_write_other,
        };
        *bucket = bucket.saturating_add(written);
    }
}

/// A reader for answers of the form `api`, if there is one.
pub(super) fn reader(api: Api, asked: &Asked) -> Option<Box<dyn Form>> {
    Some(match api {
        Api::ChatCompletions => Box::new(openai_chat::Chat::default()),
        Api::Responses => Box::new(openai_responses::Responses::default()),
        Api::Embeddings => Box::new(openai_embeddings::Embeddings::default()),
        Api::Messages if asked.results => Box::new(anthropic_batch::Results::default()),
        Api::Messages => Box::new(anthropic_messages::Messages::new(asked.cache_ttl)),
        Api::CountTokens => Box::new(count_tokens::CountTokens::default()),
        Api::Converse => Box::new(bedrock_converse::Converse::new(asked.cache_ttl)),
        Api::Invoke => Box::new(bedrock_invoke::Invoke::new(asked.cache_ttl)),
        Api::CohereChat => Box::new(cohere_chat::Chat::default()),
        Api::CohereEmbed | Api::Rerank => Box::new(cohere_units::Units::new(api)),
        Api::Ocr => Box::new(mistral_ocr::Ocr::default()),
        _ => return None,
    })
}

/// What stands at `path` inside `outer`: `Some("")` for `outer` itself, `Some("key")` for
/// `outer.key`.
pub(super) fn inside<'a>(path: &'a str, outer: &str) -> Option<&'a str> {
    match path.strip_prefix(outer)? {
        "" => Some(""),
        rest => rest.strip_prefix('.'),
    }
}
