//! Results of Anthropic's message batches: `GET …/messages/batches/{id}/results`, a line for each
//! message that was asked for. Only those that succeeded are billed.

use std::collections::VecDeque;

use super::anthropic_messages::Messages;
use super::form::{Answer, Form, Several, inside};
use super::json::Token;
use super::{Api, Usage};
use crate::http::Side;
use crate::secret::Payload;

/// Most results that wait to be taken. What a few compressed bytes can become is more than is ever
/// meant to wait: further ones are added to the last, which is marked.
const MAX_WAITING: usize = 4096;

#[derive(Debug)]
pub(super) struct Results {
    /// The message of the current line.
    message: Messages,
    succeeded: bool,
    ended: VecDeque<(Answer, Option<Usage>)>,
}

impl Default for Results {
    fn default() -> Self {
        Self { message: Messages::of_batch(), succeeded: false, ended: VecDeque::new() }
    }
}

impl Form for Results {
    fn api(&self) -> Api {
        Api::Messages
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        match (path, token) {
            // The line before may not have ended.
            ("", Token::Begin) => {
                *self = Self { ended: std::mem::take(&mut self.ended), ..Self::default() }
            }
            ("result.type", Token::Text(kind)) => self.succeeded = kind == "succeeded",
            _ => {
                if let Some(path) = inside(path, "result.message") {
                    self.message.read(path, token);
                }
            }
        }
    }

    fn end_text(&mut self, _side: Side) {
        let message = std::mem::replace(&mut self.message, Messages::of_batch());
        if !std::mem::take(&mut self.succeeded) {
            return;
        }
        let (mut answer, usage) = message.into_answer();
        // What waits holds no payload.
        answer.text = Payload::default();
        let is_full = self.ended.len() >= MAX_WAITING;
        match self.ended.back_mut() {
            Some((_, last)) if is_full => add(last, usage),
            _ => self.ended.push_back((answer, usage)),
        }
    }

    fn usage(&self) -> Option<Usage> {
        self.message.usage()
    }

    fn answer(&self) -> &Answer {
        self.message.answer()
    }

    fn take_text(&mut self) -> Payload {
        self.message.take_text()
    }

    fn several(&self) -> Option<Several> {
        Some(Several { begun: self.succeeded })
    }

    fn next(&mut self) -> Option<(Answer, Option<Usage>)> {
        self.ended.pop_front()
    }
}

/// Adds what there was no room to tell apart.
fn add(sum: &mut Option<Usage>, more: Option<Usage>) {
    let Some(more) = more else { return };
    let sum = sum.get_or_insert_default();
    sum.tokens = sum.tokens.saturating_add(&more.tokens);
    for (unit, count) in more.counts.0 {
        sum.counts.add(unit, count);
    }
    sum.parts.clear();
    sum.inconsistent = true;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_that_wait_are_bounded_and_none_is_lost() {
        let mut results = Results::default();
        for _ in 0..MAX_WAITING + 5 {
            results.read("result.type", Token::Text("succeeded"));
            results.read("result.message.usage.input_tokens", Token::Count(1));
            results.end_text(Side::Response);
        }
        let usages: Vec<Usage> =
            std::iter::from_fn(|| results.next()).map(|(_, usage)| usage.unwrap()).collect();
        assert_eq!(usages.len(), MAX_WAITING);
        assert_eq!(usages.iter().map(|usage| usage.tokens.input_uncached).sum::<u64>(), 4101);
        assert!(usages.last().unwrap().inconsistent);
    }

    #[test]
    fn only_what_succeeded_is_a_call() {
        for (kind, calls) in [("succeeded", 1), ("errored", 0), ("canceled", 0), ("expired", 0)] {
            let mut results = Results::default();
            results.read("result.type", Token::Text(kind));
            results.read("result.message.usage.input_tokens", Token::Count(1));
            results.end_text(Side::Response);
            assert_eq!(std::iter::from_fn(|| results.next()).count(), calls, "{kind}");
        }
    }
}
