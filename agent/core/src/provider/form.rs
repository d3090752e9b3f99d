//! What the readers of the wire forms have in common.

use super::json::Token;
use super::request::{MAX_TEXT, name_of};
use super::session::Turn;
use super::{
    Api, PriceContext, Usage, anthropic_batch, anthropic_messages, bedrock_converse,
    bedrock_invoke, cohere_chat, cohere_units, count_tokens, gemini_content, gemini_embed,
    gemini_interactions, gemini_live, llama_completion, mistral_ocr, ollama, openai_audio,
    openai_chat, openai_embeddings, openai_images, openai_realtime, openai_responses,
    openai_results, responses_session, tgi_generate,
};
use crate::http::Side;
use crate::secret::Payload;
use crate::units::{Timestamp, Tokens};

/// Reads the answers of one wire form, value by value: a whole body, the events of a stream, the
/// lines of a file or the messages of a session.
pub(super) trait Form: std::fmt::Debug + Send {
    /// Which form.
    fn api(&self) -> Api;

    /// The keys of a body that isn't a stream whose values are read, where others are so long that
    /// they are better passed over. All if absent.
    fn keys(&self) -> Option<&'static [&'static str]> {
        None
    }

    /// A JSON text of the provider begins, whose framing names what it is about. Only Amazon's
    /// framing does: the name is its `:event-type`.
    fn begin_text(&mut self, _name: &str) {}

    /// Takes a value of what the provider says, and where it stands.
    fn read(&mut self, path: &str, token: Token<'_>);

    /// Takes a value of what the caller says in a session, and where it stands.
    fn hear(&mut self, _path: &str, _token: Token<'_>) {}

    /// A JSON text has ended: the body, an event, a line or a message.
    fn end_text(&mut self, _side: Side) {}

    /// It is `now`: what is read next came then. Answers of a session begin and end at times of
    /// their own.
    fn set_time(&mut self, _now: Timestamp) {}

    /// A message of a session could not be read.
    fn miss(&mut self, _side: Side) {}

    /// Nothing more will come of a session: what has begun is over.
    fn end(&mut self) {}

    /// Bytes held back, about.
    fn footprint(&self) -> usize {
        self.answer().text.expose().len()
    }

    /// The provider's numbers of the current answer, as far as they were said.
    fn usage(&self) -> Option<Usage>;

    /// Everything else that was said in the current answer.
    fn answer(&self) -> &Answer;

    /// The text of the current answer, which is over: nothing is left of it here.
    fn take_text(&mut self) -> Payload;

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
    /// The call goes on in the background: what it comes to is asked for later.
    pub(super) pending: bool,
    /// The provider said that the call failed.
    pub(super) failed: bool,
    /// The HTTP status that a call of a batch came to.
    pub(super) status: Option<u16>,
    pub(super) error_type: Option<String>,
    /// The output.
    pub(super) text: Payload,
    /// Not all of the output is in `text`.
    pub(super) text_cut: bool,
    /// The model has reasoned, which `text` needn't show.
    pub(super) reasoned: bool,
    /// `text` is not what the visible output is counted by: there is reasoning in it, or arguments
    /// of tools are missing.
    pub(super) mixed: bool,
    /// What else is known of an answer of a session.
    pub(super) turn: Option<Box<Turn>>,
}

impl Answer {
    pub(super) fn push_text(&mut self, text: &str) {
        self.text_cut |= !self.text.push_within(text, MAX_TEXT);
    }

    /// Takes text of the model's reasoning.
    pub(super) fn push_thought(&mut self, text: &str) {
        self.mixed |= !text.is_empty();
        self.push_text(text);
    }

    /// Whether at most a number is known of what went wrong.
    fn knows_no_error(&self) -> bool {
        let known = self.error_type.as_deref();
        known.is_none_or(|known| known.bytes().all(|byte| byte.is_ascii_digit()))
    }

    /// Takes what an `error` object says at `key`. A code says more than a type, which Google calls
    /// a status, unless it only repeats the HTTP status.
    pub(super) fn read_error(&mut self, key: &str, token: Token<'_>) {
        match (key, token) {
            ("", Token::Begin) => self.failed = true,
            ("code", Token::Text(code)) => self.error_type = name_of(code),
            ("code", Token::Count(code)) => {
                self.error_type = self.error_type.take().or_else(|| Some(code.to_string()));
            }
            ("type" | "status", Token::Text(kind)) if self.knows_no_error() => {
                self.error_type = name_of(kind).or_else(|| self.error_type.take());
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
    /// Whom, as far as the host tells; else empty.
    pub(super) provider: &'static str,
    /// The model.
    pub(super) model: Option<String>,
    /// The results of a batch are fetched.
    pub(super) results: bool,
    /// It was not seen, nor what came between it and what is seen now.
    pub(super) unseen: bool,
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
        Api::ChatCompletions if asked.results => Box::new(openai_results::Results::new(asked)),
        Api::ChatCompletions | Api::Completions => Box::new(openai_chat::Chat::new(api, asked)),
        Api::Responses => Box::new(openai_responses::Responses::new(asked)),
        Api::Embeddings => Box::new(openai_embeddings::Embeddings::new(asked)),
        Api::Images => Box::new(openai_images::Images::new(asked)),
        Api::Transcriptions => Box::new(openai_audio::Transcription::new(asked)),
        Api::Speech => Box::new(openai_audio::Speech::new(asked)),
        Api::Messages if asked.results => Box::new(anthropic_batch::Results::default()),
        Api::Messages => Box::new(anthropic_messages::Messages::new(asked.cache_ttl)),
        Api::CountTokens => Box::new(count_tokens::CountTokens::default()),
        Api::Converse => Box::new(bedrock_converse::Converse::new(asked.cache_ttl)),
        Api::Invoke => Box::new(bedrock_invoke::Invoke::new(asked)),
        Api::CohereChat => Box::new(cohere_chat::Chat::default()),
        Api::CohereEmbed | Api::Rerank => Box::new(cohere_units::Units::new(api)),
        Api::Ocr => Box::new(mistral_ocr::Ocr::default()),
        Api::GenerateContent => Box::new(gemini_content::GenerateContent::default()),
        Api::EmbedContent => Box::new(gemini_embed::EmbedContent::default()),
        Api::Interactions => Box::new(gemini_interactions::Interactions::default()),
        Api::OllamaChat | Api::OllamaGenerate | Api::OllamaEmbed => {
            Box::new(ollama::Ollama::new(api))
        }
        Api::LlamaCompletion => Box::new(llama_completion::LlamaCompletion::default()),
        Api::TgiGenerate => Box::new(tgi_generate::TgiGenerate::default()),
        _ => return None,
    })
}

/// A reader for a session of the form `api`, if there are any.
pub(super) fn session(api: Api, asked: &Asked) -> Option<Box<dyn Form>> {
    Some(match api {
        Api::Responses => Box::new(responses_session::Session::new(asked)),
        Api::Realtime => Box::new(openai_realtime::Realtime::new(asked)),
        Api::Live => Box::new(gemini_live::Live::default()),
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
