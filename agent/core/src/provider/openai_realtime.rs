//! OpenAI's `…/realtime` WebSocket.
//!
//! Answers begin when the caller asks for one or has stopped speaking, several of them at once if it
//! likes, and end with `response.done`, which has the usage. What the caller says may be transcribed
//! beside that, by another model, which the session's configuration names: each transcription has a
//! usage of its own, in tokens or in seconds, and is a call of its own.

use super::form::{Answer, Asked, inside};
use super::json::Token;
use super::request::name_of;
use super::session::{Conversation, Turn, Turns};
use super::{Api, Usage};
use crate::http::Side;
use crate::secret::Payload;
use crate::units::{Tokens, Unit};

/// Nothing names lanes here.
const LANE: &str = "";

#[derive(Debug)]
pub(super) struct Realtime {
    session: Answer,
    turns: Turns,
    /// The model that the request named.
    asked_model: Option<String>,
    /// The model that the server says the session has.
    model: Option<String>,
    /// The model that transcribes, by the server's latest word.
    transcriber: Option<String>,
    /// Something that the server said was not read: another model may transcribe.
    missed: bool,
    said: Event,
    is_create: bool,
}

/// What the current message of the server says.
#[derive(Debug, Default)]
struct Event {
    kind: Kind,
    /// It has an id of its own, which the events of a stream of responses have not.
    has_id: bool,
    /// The answer that it is about.
    key: String,
    item: Option<String>,
    delta: Payload,
    delta_cut: bool,
    answer: Answer,
    counts: Counts,
    model: Option<String>,
    transcriber: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Other,
    Session,
    Begin,
    /// Output that can be read, or what was spoken.
    Text,
    Audio,
    Done,
    Transcribed,
    Untranscribed,
    Error,
}

impl Realtime {
    pub(super) fn new(asked: &Asked) -> Self {
        Self {
            session: Answer::default(),
            turns: Turns::default(),
            asked_model: asked.model.clone(),
            model: None,
            transcriber: None,
            missed: asked.unseen,
            said: Event::default(),
            is_create: false,
        }
    }
}

impl Conversation for Realtime {
    fn api(&self) -> Api {
        Api::Realtime
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        let event = &mut self.said;
        match (path, token) {
            ("type", Token::Text(kind)) => event.kind = Kind::of(kind),
            ("event_id", Token::Text(_)) => event.has_id = true,
            ("response_id" | "response.id", Token::Text(id)) => {
                event.key = name_of(id).unwrap_or_default();
            }
            ("item_id", Token::Text(id)) => event.item = name_of(id),
            ("delta", Token::Text(text)) if event.kind != Kind::Audio => {
                event.delta_cut = !event.delta.push_within(text, super::request::MAX_TEXT);
            }
            ("response.status", Token::Text("failed")) => event.answer.failed = true,
            ("session.object", Token::Text(object)) => {
                self.session.recognised |= object.starts_with("realtime.");
            }
            ("session.model", Token::Text(model)) => event.model = name_of(model),
            (
                "session.audio.input.transcription.model"
                | "session.input_audio_transcription.model",
                Token::Text(model),
            ) => event.transcriber = name_of(model),
            _ => {
                let usage = inside(path, "response.usage").or_else(|| inside(path, "usage"));
                let error =
                    inside(path, "error").or_else(|| inside(path, "response.status_details.error"));
                if let Some(key) = usage {
                    event.counts.read(key, token);
                } else if let Some(key) = error {
                    event.answer.read_error(key, token);
                }
            }
        }
    }

    fn hear(&mut self, path: &str, token: Token<'_>) {
        if let ("type", Token::Text(kind)) = (path, token) {
            self.is_create = kind == "response.create";
        }
    }

    fn end_text(&mut self, side: Side) {
        match side {
            Side::Request if std::mem::take(&mut self.is_create) => {
                self.turns.ask(LANE, self.turn());
            }
            Side::Request => {}
            Side::Response => self.answered(),
        }
    }

    fn miss_answer(&mut self) {
        self.missed = true;
    }

    fn session(&self) -> &Answer {
        &self.session
    }

    fn turns(&self) -> &Turns {
        &self.turns
    }

    fn turns_mut(&mut self) -> &mut Turns {
        &mut self.turns
    }
}

impl Realtime {
    fn turn(&self) -> Turn {
        Turn { model: self.asked_model.clone(), ..Turn::new(self.turns.now()) }
    }

    fn answered(&mut self) {
        let event = std::mem::take(&mut self.said);
        self.session.recognised |= event.has_id && event.kind.is_of_realtime();
        match event.kind {
            Kind::Other => {}
            Kind::Session => {
                self.model = event.model.or(self.model.take());
                // The whole configuration is said each time.
                self.transcriber = event.transcriber;
                self.missed = false;
            }
            Kind::Begin | Kind::Text | Kind::Audio | Kind::Done => self.respond(event),
            Kind::Transcribed | Kind::Untranscribed => self.transcribe(event),
            Kind::Error => {
                // Most errors are about something else, and all leave the session as it is.
                if let Some(turn) = self.turns.asked(LANE) {
                    self.turns.add(Answer { failed: true, ..event.answer }, turn, None);
                }
            }
        }
    }

    fn respond(&mut self, event: Event) {
        let is_new = self.turns.find(&event.key).is_none();
        let open = match event.kind {
            Kind::Begin | Kind::Done if is_new => self.turns.begin(LANE, &event.key),
            _ => self.turns.find(&event.key),
        };
        let Some(open) = open else { return };
        if is_new {
            let turn = open.turn();
            turn.model.clone_from(&self.asked_model);
            // Nobody knows what it costs.
            turn.damaged |= self.asked_model.is_none() && self.model.is_none();
        }
        if event.kind == Kind::Audio {
            open.set_output();
        }
        open.usage = event.counts.usage().or(open.usage.take());
        let is_text = event.kind == Kind::Text;
        open.merge(Answer {
            model: self.model.clone(),
            response_id: name_of(&event.key),
            finished: event.kind == Kind::Done,
            text: if is_text { event.delta } else { Payload::default() },
            text_cut: is_text && event.delta_cut,
            ..event.answer
        });
        if event.kind == Kind::Done {
            self.turns.end(&event.key);
        }
    }

    fn transcribe(&mut self, event: Event) {
        let failed = event.kind == Kind::Untranscribed;
        let answer = Answer {
            model: self.transcriber.clone(),
            response_id: event.item,
            finished: true,
            failed,
            ..event.answer
        };
        let turn = Turn {
            model: self.transcriber.clone(),
            damaged: self.missed,
            ..Turn::new(self.turns.now())
        };
        self.turns.add(answer, turn, event.counts.usage());
    }
}

impl Kind {
    fn of(kind: &str) -> Self {
        match kind {
            "session.created"
            | "session.updated"
            | "transcription_session.created"
            | "transcription_session.updated" => Self::Session,
            "response.created" => Self::Begin,
            "response.output_text.delta"
            | "response.output_audio_transcript.delta"
            | "response.function_call_arguments.delta"
            // As they were called in the beta.
            | "response.text.delta"
            | "response.audio_transcript.delta" => Self::Text,
            "response.output_audio.delta" | "response.audio.delta" => Self::Audio,
            "response.done" => Self::Done,
            "conversation.item.input_audio_transcription.completed" => Self::Transcribed,
            "conversation.item.input_audio_transcription.failed" => Self::Untranscribed,
            "error" => Self::Error,
            _ => Self::Other,
        }
    }

    /// Whether an event of its kind, with an id of its own, belongs to no other form.
    const fn is_of_realtime(self) -> bool {
        !matches!(self, Self::Other | Self::Error)
    }
}

/// The numbers as they came. Details are subsets of the totals, and cached ones of the input's.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    input: Option<u64>,
    output: u64,
    total: Option<u64>,
    input_audio: u64,
    input_image: u64,
    cached: u64,
    cached_audio: u64,
    cached_image: u64,
    output_audio: u64,
    /// Milliseconds of sound, where that is what is billed.
    sound: Option<u64>,
}

impl Counts {
    /// Takes a value that stands at `key` inside `usage`.
    fn read(&mut self, key: &str, token: Token<'_>) {
        let count = match token {
            Token::Count(count) => count,
            Token::Number(number) if key == "seconds" => {
                self.sound = number.parse().ok().and_then(milliseconds);
                return;
            }
            _ => return,
        };
        match key {
            "input_tokens" => self.input = Some(count),
            "output_tokens" => self.output = count,
            "total_tokens" => self.total = Some(count),
            "seconds" => self.sound = Some(count.saturating_mul(1000)),
            "input_token_details.audio_tokens" => self.input_audio = count,
            "input_token_details.image_tokens" => self.input_image = count,
            "input_token_details.cached_tokens" => self.cached = count,
            "input_token_details.cached_tokens_details.audio_tokens" => self.cached_audio = count,
            "input_token_details.cached_tokens_details.image_tokens" => self.cached_image = count,
            "output_token_details.audio_tokens" => self.output_audio = count,
            _ => {}
        }
    }

    /// The numbers in disjoint buckets, if there were any. What no detail names is text.
    fn usage(&self) -> Option<Usage> {
        if let (None, Some(sound)) = (self.input, self.sound) {
            let mut usage = Usage::default();
            usage.counts.set(Unit::AudioMs, sound);
            return Some(usage);
        }
        let input = self.input?;
        let input_audio = self.input_audio.saturating_sub(self.cached_audio);
        let input_image = self.input_image.saturating_sub(self.cached_image);
        let cached_other = self.cached_audio.saturating_add(self.cached_image);
        let of_input = self.cached.saturating_add(input_audio).saturating_add(input_image);
        let tokens = Tokens {
            input_uncached: input.saturating_sub(of_input),
            input_audio,
            input_image,
            cache_read: self.cached.saturating_sub(cached_other),
            cache_read_audio: self.cached_audio,
            cache_read_image: self.cached_image,
            output_visible: self.output.saturating_sub(self.output_audio),
            output_audio: self.output_audio,
            ..Tokens::default()
        };
        let inconsistent = tokens.input_total() != input
            || tokens.output_total() != self.output
            || self.total.is_some_and(|total| total != input.saturating_add(self.output));
        Some(Usage { inconsistent, ..tokens.into() })
    }
}

/// Whole milliseconds, of seconds.
fn milliseconds(seconds: f64) -> Option<u64> {
    let duration = std::time::Duration::try_from_secs_f64(seconds).ok()?;
    u64::try_from(duration.saturating_add(HALF_A_MILLISECOND).as_millis()).ok()
}

const HALF_A_MILLISECOND: std::time::Duration = std::time::Duration::from_micros(500);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEYS: [&str; 10] = [
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "input_token_details.audio_tokens",
        "input_token_details.image_tokens",
        "input_token_details.cached_tokens",
        "input_token_details.cached_tokens_details.audio_tokens",
        "input_token_details.cached_tokens_details.image_tokens",
        "output_token_details.audio_tokens",
        "seconds",
    ];

    fn usage(counts: &[u64]) -> Option<Usage> {
        let mut all = Counts::default();
        KEYS.iter().zip(counts).for_each(|(key, count)| all.read(key, Token::Count(*count)));
        all.usage()
    }

    #[test]
    fn details_are_made_disjoint() {
        let found = usage(&[1000, 300, 1300, 600, 100, 500, 300, 40, 200]).unwrap();
        let tokens = Tokens {
            input_uncached: 140,
            input_audio: 300,
            input_image: 60,
            cache_read: 160,
            cache_read_audio: 300,
            cache_read_image: 40,
            output_visible: 100,
            output_audio: 200,
            ..Tokens::default()
        };
        assert_eq!(found, Usage::from(tokens));
        assert!(usage(&[10, 3, 14]).unwrap().inconsistent);
        assert!(usage(&[10, 3, 13, 20]).unwrap().inconsistent);
    }

    #[test]
    fn sound_is_counted_to_the_millisecond() {
        for (seconds, sound) in
            [("1.5", Some(1500)), ("0.0004", Some(0)), ("1.2345", Some(1235)), ("-1.0", None)]
        {
            let mut counts = Counts::default();
            counts.read("seconds", Token::Number(seconds));
            assert_eq!(counts.usage().map(|usage| usage.counts.get(Unit::AudioMs)), sound);
        }
    }

    proptest! {
        #[test]
        fn no_numbers_overflow(counts in prop::collection::vec(any::<u64>(), 10)) {
            usage(&counts);
        }
    }
}
