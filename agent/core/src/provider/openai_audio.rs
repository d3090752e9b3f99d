//! OpenAI `POST …/audio/{transcriptions,translations}`, whose usage is in tokens or in seconds, and
//! `POST …/audio/speech`, which says it only in a stream of events.

use super::decimal::scaled;
use super::form::{Answer, Asked, Form, inside};
use super::json::Token;
use super::quirks::quirks;
use super::usage::OpenAiUsage;
use super::{Api, Usage};
use crate::secret::Payload;
use crate::units::{Tokens, Unit};

/// From seconds to milliseconds.
const MILLI: i64 = 3;

#[derive(Debug)]
pub(super) struct Transcription {
    answer: Answer,
    usage: OpenAiUsage,
    /// How long the sound is, in milliseconds: what is billed, else what was heard.
    billed_ms: Option<u64>,
    heard_ms: Option<u64>,
}

impl Transcription {
    pub(super) fn new(asked: &Asked) -> Self {
        let usage = OpenAiUsage::new(quirks(asked.provider, Api::Transcriptions));
        Self { answer: Answer::default(), usage, billed_ms: None, heard_ms: None }
    }
}

impl Form for Transcription {
    fn api(&self) -> Api {
        Api::Transcriptions
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        let answer = &mut self.answer;
        match (path, token) {
            ("type", Token::Text(kind)) => {
                answer.recognised |= kind.starts_with("transcript.text.");
                answer.finished |= kind == "transcript.text.done";
                answer.failed |= kind == "error";
            }
            ("usage.type", Token::Text("tokens" | "duration"))
            | ("task", Token::Text("transcribe" | "translate")) => answer.recognised = true,
            ("delta", Token::Text(text)) => answer.push_text(text),
            ("usage.seconds", _) => self.billed_ms = milliseconds(token).or(self.billed_ms),
            ("duration", _) => self.heard_ms = milliseconds(token).or(self.heard_ms),
            _ => {
                if let Some(key) = inside(path, "usage") {
                    self.usage.read(key, token);
                } else if let Some(key) = inside(path, "error") {
                    answer.read_error(key, token);
                }
            }
        }
    }

    fn usage(&self) -> Option<Usage> {
        let usage = self.usage.normal();
        let Some(milliseconds) = self.billed_ms.or(self.heard_ms.filter(|_| usage.is_none()))
        else {
            return usage;
        };
        let mut usage = usage.unwrap_or_default();
        usage.counts.set(Unit::AudioMs, milliseconds);
        Some(usage)
    }

    fn answer(&self) -> &Answer {
        &self.answer
    }

    fn take_text(&mut self) -> Payload {
        std::mem::take(&mut self.answer.text)
    }
}

fn milliseconds(seconds: Token<'_>) -> Option<u64> {
    u64::try_from(scaled(seconds, MILLI)?).ok()
}

#[derive(Debug)]
pub(super) struct Speech {
    answer: Answer,
    usage: OpenAiUsage,
}

impl Speech {
    pub(super) fn new(asked: &Asked) -> Self {
        let usage = OpenAiUsage::new(quirks(asked.provider, Api::Speech));
        Self { answer: Answer::default(), usage }
    }
}

impl Form for Speech {
    fn api(&self) -> Api {
        Api::Speech
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        let answer = &mut self.answer;
        match (path, token) {
            ("type", Token::Text(kind)) => {
                answer.recognised |= kind.starts_with("speech.audio.");
                answer.finished |= kind == "speech.audio.done";
                answer.failed |= kind == "error";
            }
            _ => {
                if let Some(key) = inside(path, "usage") {
                    self.usage.read(key, token);
                } else if let Some(key) = inside(path, "error") {
                    answer.read_error(key, token);
                }
            }
        }
    }

    /// The output is sound.
    fn usage(&self) -> Option<Usage> {
        let mut usage = self.usage.normal()?;
        let Tokens { output_visible, output_audio, .. } = usage.tokens;
        usage.tokens.output_audio = output_audio.saturating_add(output_visible);
        usage.tokens.output_visible = 0;
        Some(usage)
    }

    fn answer(&self) -> &Answer {
        &self.answer
    }

    fn take_text(&mut self) -> Payload {
        std::mem::take(&mut self.answer.text)
    }
}
