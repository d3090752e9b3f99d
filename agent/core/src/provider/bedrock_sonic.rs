//! Amazon Nova Sonic, the model that is spoken with: `POST
//! /model/{id}/invoke-with-bidirectional-stream`. Events go both ways at once, each an object `event`
//! with one key that names it (docs.aws.amazon.com/nova, "Output events").
//!
//! A session is one call: what `usageEvent` has as `total` grows until its end.

use super::form::{Answer, Form, inside};
use super::json::Token;
use super::request::rename;
use super::{Api, Usage};
use crate::secret::Payload;
use crate::units::Tokens;

#[derive(Debug, Default)]
pub(super) struct Sonic {
    answer: Answer,
    input: Side,
    output: Side,
}

/// What went one way.
#[derive(Clone, Copy, Debug, Default)]
struct Side {
    speech: Option<u64>,
    text: Option<u64>,
    /// Both.
    total: Option<u64>,
}

impl Form for Sonic {
    fn api(&self) -> Api {
        Api::Invoke
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        let Some(path) = inside(path, "event") else { return };
        match (path, token) {
            ("completionStart" | "usageEvent", Token::Begin) => self.answer.recognised = true,
            ("completionEnd", Token::Begin) => self.answer.finished = true,
            ("usageEvent.sessionId", Token::Text(id)) => rename(&mut self.answer.response_id, id),
            ("usageEvent.totalInputTokens", Token::Count(count)) => self.input.total = Some(count),
            ("usageEvent.totalOutputTokens", Token::Count(count)) => {
                self.output.total = Some(count);
            }
            (path, Token::Count(count)) => {
                let total = inside(path, "usageEvent.details.total");
                match total {
                    Some("input.speechTokens") => self.input.speech = Some(count),
                    Some("input.textTokens") => self.input.text = Some(count),
                    Some("output.speechTokens") => self.output.speech = Some(count),
                    Some("output.textTokens") => self.output.text = Some(count),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn usage(&self) -> Option<Usage> {
        let (input_audio, input_uncached, input_fits) = self.input.parts()?;
        let (output_audio, output_visible, output_fits) =
            self.output.parts().unwrap_or((0, 0, true));
        let tokens = Tokens {
            input_uncached,
            input_audio,
            output_visible,
            output_audio,
            ..Tokens::default()
        };
        Some(Usage { tokens, inconsistent: !(input_fits && output_fits), ..Usage::default() })
    }

    fn answer(&self) -> &Answer {
        &self.answer
    }

    fn take_text(&mut self) -> Payload {
        std::mem::take(&mut self.answer.text)
    }
}

impl Side {
    /// Speech and text, and whether they are the total; where only that is known, all of it counts
    /// as of a kind that wasn't named.
    fn parts(&self) -> Option<(u64, u64, bool)> {
        if self.speech.is_none() && self.text.is_none() {
            return Some((0, self.total?, true));
        }
        let (speech, text) = (self.speech.unwrap_or(0), self.text.unwrap_or(0));
        let fits = self.total.is_none_or(|total| speech.checked_add(text) == Some(total));
        Some((speech, text, fits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PATHS: [&str; 6] = [
        "event.usageEvent.details.total.input.speechTokens",
        "event.usageEvent.details.total.input.textTokens",
        "event.usageEvent.details.total.output.speechTokens",
        "event.usageEvent.details.total.output.textTokens",
        "event.usageEvent.totalInputTokens",
        "event.usageEvent.totalOutputTokens",
    ];

    fn usage(counts: impl IntoIterator<Item = (usize, u64)>) -> Option<Usage> {
        let mut form = Sonic::default();
        for (path, count) in counts {
            form.read(PATHS[path], Token::Count(count));
        }
        form.usage()
    }

    #[test]
    fn speech_and_text_are_told_apart() {
        for (counts, expected) in [
            (vec![(0, 30), (1, 5), (2, 40), (3, 6), (4, 35), (5, 46)], (30, 5, 40, 6, false)),
            (vec![(0, 30), (1, 5), (4, 36)], (30, 5, 0, 0, true)),
            (vec![(4, 36), (5, 7)], (0, 36, 0, 7, false)),
            // The totals of a later event.
            (vec![(0, 1), (4, 1), (0, 30), (4, 30)], (30, 0, 0, 0, false)),
        ] {
            let usage = usage(counts).unwrap();
            let tokens = usage.tokens;
            let found = (
                tokens.input_audio,
                tokens.input_uncached,
                tokens.output_audio,
                tokens.output_visible,
                usage.inconsistent,
            );
            assert_eq!(found, expected);
        }
        assert_eq!(usage([(2, 9)]), None);
    }

    proptest! {
        #[test]
        fn no_numbers_overflow(counts in prop::collection::vec((0usize..6, any::<u64>()), 0..12)) {
            usage(counts);
        }
    }
}
