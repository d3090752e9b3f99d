//! What an answer will say, before it is put into a provider's form: the random choices.

use bytes::Bytes;

use crate::play::{Failure, Play};
use crate::truth::Tokens;

/// With a space before it, each of these is one token of `o200k_base`.
const WORDS: [&str; 24] = [
    "the", "of", "and", "to", "in", "is", "that", "for", "it", "as", "was", "with", "be", "by",
    "on", "not", "he", "this", "are", "or", "his", "from", "at", "which",
];

/// How many words an event of a short stream carries at most, and one of a long stream.
const WORDS_AN_EVENT: usize = 4;
const WORDS_AN_EVENT_OF_A_LONG_STREAM: usize = 400;

/// A piece of text and how many tokens it has.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) words: u64,
}

/// Everything random about an answer.
#[derive(Clone, Debug)]
pub(super) struct Script {
    /// Unique, 24 characters.
    pub(super) id: String,
    /// The model that the answer names.
    pub(super) model: String,
    /// The text, as it is streamed.
    pub(super) pieces: Vec<Piece>,
    /// The numbers. `output` is the words of the text and `reasoning`.
    pub(super) tokens: Tokens,
    /// An error instead of, or amid, the answer.
    pub(super) fail: Option<Failure>,
}

impl Script {
    pub(super) fn draw(requested: &str, play: &Play, rng: &mut fastrand::Rng) -> Self {
        let pieces = pieces(play, rng);
        let words = pieces.iter().map(|piece| piece.words).sum::<u64>();
        let mut sometimes = |limit: u64| if rng.bool() { rng.u64(1..limit) } else { 0 };
        let (cache_read, reasoning) = (sometimes(60_000), sometimes(4_000));
        let (short, long) = (sometimes(9_000), sometimes(9_000));
        let tokens = Tokens {
            input_uncached: rng.u64(1..5_000),
            cache_read,
            cache_write_5m: short,
            cache_write_1h: long,
            output: words + reasoning,
            reasoning,
            ..Tokens::default()
        };
        let id = std::iter::repeat_with(|| rng.alphanumeric()).take(24).collect();
        let model = play.model.clone().unwrap_or_else(|| dated(requested));
        Self { id, model, pieces, tokens, fail: play.fail }
    }

    pub(super) fn text(&self) -> String {
        self.pieces.iter().map(|piece| piece.text.as_str()).collect()
    }
}

/// The name that providers give to the model they serve for a family's name.
fn dated(requested: &str) -> String {
    match requested {
        "gpt-4o" => "gpt-4o-2024-08-06".to_owned(),
        "claude-sonnet-4-5" => "claude-sonnet-4-5-20250929".to_owned(),
        other => other.to_owned(),
    }
}

fn pieces(play: &Play, rng: &mut fastrand::Rng) -> Vec<Piece> {
    let long = play.output_bytes > 1 << 16;
    let an_event = if long { WORDS_AN_EVENT_OF_A_LONG_STREAM } else { WORDS_AN_EVENT };
    let least_pieces = rng.usize(2..12);
    let mut pieces = Vec::new();
    let mut bytes = 0;
    if let Some(text) = &play.say {
        pieces.push(Piece { text: text.clone(), words: 1 });
    }
    while pieces.len() < least_pieces || bytes < play.output_bytes {
        let words = if long { an_event } else { rng.usize(1..=an_event) };
        let text: String =
            (0..words).flat_map(|_| [" ", WORDS[rng.usize(..WORDS.len())]]).collect();
        bytes += text.len() as u64;
        pieces.push(Piece { text, words: words as u64 });
    }
    pieces
}

/// One event of a stream, or a whole body.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) bytes: Bytes,
    /// Tokens of output text in it.
    pub(super) words: u64,
    /// Whether the usage is known in full to whoever has read this far.
    pub(super) tells_usage: bool,
}

/// An answer in a provider's form.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) status: u16,
    pub(super) parts: Vec<Part>,
    /// Whether the parts are events of a stream.
    pub(super) streamed: bool,
    /// The model that it names.
    pub(super) model: Option<String>,
    /// The id in its body.
    pub(super) response_id: Option<String>,
    /// What it says of its usage.
    pub(super) usage: Option<Tokens>,
    /// The `type` and `code` of its error, if it is one.
    pub(super) errors: Vec<String>,
}

impl Scene {
    /// A whole JSON body.
    pub(super) fn body(script: &Script, id: Option<String>, tokens: Tokens, json: String) -> Self {
        let words = script.pieces.iter().map(|piece| piece.words).sum();
        Self {
            status: 200,
            parts: vec![Part { bytes: json.into(), words, tells_usage: true }],
            streamed: false,
            model: Some(script.model.clone()),
            response_id: id,
            usage: Some(tokens),
            errors: Vec::new(),
        }
    }

    /// An answer that is an error from the start.
    pub(super) fn error(status: u16, errors: &[&str], json: String) -> Self {
        Self {
            status,
            parts: vec![Part { bytes: json.into(), words: 0, tells_usage: false }],
            streamed: false,
            model: None,
            response_id: None,
            usage: None,
            errors: errors.iter().map(|&error| error.to_owned()).collect(),
        }
    }

    /// A stream of events.
    pub(super) fn stream(script: &Script, id: String, tokens: Tokens, events: Events) -> Self {
        Self {
            status: 200,
            parts: events.parts,
            streamed: true,
            model: Some(script.model.clone()),
            response_id: Some(id),
            usage: Some(tokens),
            errors: events.errors,
        }
    }
}

/// Collects the events of a stream.
#[derive(Debug, Default)]
pub(super) struct Events {
    parts: Vec<Part>,
    errors: Vec<String>,
}

impl Events {
    /// An event that is only `data`.
    pub(super) fn data(&mut self, data: &impl ToString) -> &mut Part {
        self.push(format!("data: {}\n\n", data.to_string()))
    }

    /// An event with a name.
    pub(super) fn named(&mut self, name: &str, data: &serde_json::Value) -> &mut Part {
        self.push(format!("event: {name}\ndata: {data}\n\n"))
    }

    /// Notes that the stream tells of an error.
    pub(super) fn failed(&mut self, errors: &[&str]) {
        self.errors.extend(errors.iter().map(|&error| error.to_owned()));
    }

    fn push(&mut self, text: String) -> &mut Part {
        let part = Part { bytes: text.into(), words: 0, tells_usage: false };
        let place = self.parts.len();
        self.parts.push(part);
        &mut self.parts[place]
    }
}
