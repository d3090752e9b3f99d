//! llama.cpp `POST /completion`, and the `timings` that its server adds to OpenAI's forms.
//!
//! `tokens_evaluated` is the whole prompt; `timings` tells how much of it was taken from the cache
//! (`cache_n`) and how much was worked on (`prompt_n`). `tokens_cached` is how full the cache is
//! afterwards, and says nothing of the call.

use super::form::{Answer, Form, inside};
use super::json::Token;
use super::request::rename;
use super::usage::OpenAiUsage;
use super::{Api, Usage};
use crate::http::Side;
use crate::secret::Payload;
use crate::units::Tokens;

#[derive(Debug, Default)]
pub(super) struct LlamaCompletion {
    answer: Answer,
    current: Counts,
    /// The current text is the last one of a prompt.
    stops: bool,
    /// The prompts of the request that are done: it may have several.
    done: Tokens,
    any_done: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    input: Option<u64>,
    output: u64,
    timings: Timings,
}

/// What llama.cpp says of how long it took, as far as it counts tokens.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timings {
    cached: Option<u64>,
    worked_on: Option<u64>,
    predicted: Option<u64>,
}

impl Form for LlamaCompletion {
    fn api(&self) -> Api {
        Api::LlamaCompletion
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        let answer = &mut self.answer;
        match (path, token) {
            ("content", Token::Text(text)) => answer.push_text(text),
            ("stop", Token::Flag(stop)) => self.stops = stop,
            ("model", Token::Text(model)) => rename(&mut answer.model, model),
            ("tokens_evaluated", Token::Count(count)) => {
                answer.recognised = true;
                self.current.input = Some(count);
            }
            ("tokens_predicted", Token::Count(count)) => self.current.output = count,
            _ => {
                if let Some(key) = inside(path, "timings") {
                    self.current.timings.read(key, token);
                } else if let Some(key) = inside(path, "error") {
                    answer.read_error(key, token);
                }
            }
        }
    }

    fn end_text(&mut self, _side: Side) {
        if std::mem::take(&mut self.stops)
            && let Some(tokens) = std::mem::take(&mut self.current).tokens()
        {
            self.done = self.done.saturating_add(&tokens);
            self.any_done = true;
            self.answer.finished = true;
        }
    }

    fn usage(&self) -> Option<Usage> {
        match self.current.tokens() {
            Some(tokens) => Some(self.done.saturating_add(&tokens).into()),
            None => self.any_done.then(|| self.done.into()),
        }
    }

    fn answer(&self) -> &Answer {
        &self.answer
    }

    fn take_text(&mut self) -> Payload {
        std::mem::take(&mut self.answer.text)
    }
}

impl Counts {
    fn tokens(&self) -> Option<Tokens> {
        let input = self.input?;
        let cached = self.timings.cached_of(input);
        Some(Tokens {
            input_uncached: input - cached,
            cache_read: cached,
            output_visible: self.output,
            ..Tokens::default()
        })
    }
}

impl Timings {
    /// Takes a value that stands at `key` inside `timings`.
    pub(super) fn read(&mut self, key: &str, token: Token<'_>) {
        match (key, token) {
            ("cache_n", Token::Count(count)) => self.cached = Some(count),
            ("prompt_n", Token::Count(count)) => self.worked_on = Some(count),
            ("predicted_n", Token::Count(count)) => self.predicted = Some(count),
            _ => {}
        }
    }

    /// How much of a prompt of that length was in the cache. Older servers only say how much wasn't.
    fn cached_of(&self, input: u64) -> u64 {
        let rest = self.worked_on.map(|count| input.saturating_sub(count));
        self.cached.or(rest).unwrap_or(0).min(input)
    }

    /// Adds to OpenAI's usage what it doesn't say: everything, or what was in the cache.
    pub(super) fn complete(&self, mut usage: OpenAiUsage) -> OpenAiUsage {
        let said = usage.normal();
        let mut add = |key, count| usage.read(key, Token::Count(count));
        match said {
            None => {
                if let (Some(worked_on), Some(predicted)) = (self.worked_on, self.predicted) {
                    let cached = self.cached.unwrap_or(0);
                    add("prompt_tokens", worked_on.saturating_add(cached));
                    add("completion_tokens", predicted);
                    add("prompt_tokens_details.cached_tokens", cached);
                }
            }
            Some(said) if said.tokens.cached() == 0 => {
                let cached = self.cached_of(said.tokens.input_total());
                add("prompt_tokens_details.cached_tokens", cached);
            }
            Some(_) => {}
        }
        usage
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::quirks::quirks;
    use proptest::prelude::*;

    const KEYS: [&str; 3] = ["cache_n", "prompt_n", "predicted_n"];

    fn completed(said: &[(&str, u64)], timings: [Option<u64>; 3]) -> Option<Tokens> {
        let (mut usage, mut added) =
            (OpenAiUsage::new(quirks("", Api::ChatCompletions)), Timings::default());
        for (key, count) in said {
            usage.read(key, Token::Count(*count));
        }
        for (key, count) in KEYS.iter().zip(timings) {
            if let Some(count) = count {
                added.read(key, Token::Count(count));
            }
        }
        added.complete(usage).normal().map(|usage| usage.tokens)
    }

    #[test]
    fn timings_say_what_usage_leaves_out() {
        let tokens = |input_uncached, cache_read, output_visible| {
            Some(Tokens { input_uncached, cache_read, output_visible, ..Tokens::default() })
        };
        let usage: &[_] = &[("prompt_tokens", 7), ("completion_tokens", 3), ("total_tokens", 10)];
        let cached = [usage, &[("prompt_tokens_details.cached_tokens", 4)]].concat();
        for (said, timings, expected) in [
            (usage, [Some(2), Some(5), Some(3)], tokens(5, 2, 3)),
            (usage, [None, Some(5), Some(3)], tokens(5, 2, 3)),
            (usage, [None, None, None], tokens(7, 0, 3)),
            (usage, [Some(9), Some(5), None], tokens(0, 7, 3)),
            (&cached, [Some(2), Some(5), Some(3)], tokens(3, 4, 3)),
            (&[], [Some(2), Some(5), Some(3)], tokens(5, 2, 3)),
            (&[], [None, Some(5), Some(3)], tokens(5, 0, 3)),
            (&[], [Some(2), None, Some(3)], None),
        ] {
            assert_eq!(completed(said, timings), expected, "{said:?} {timings:?}");
        }
    }

    #[test]
    fn several_prompts_add_up() {
        let mut form = LlamaCompletion::default();
        for (input, output, stop) in [(7, 1, false), (7, 2, true), (4, 1, true), (9, 3, false)] {
            form.read("stop", Token::Flag(stop));
            form.read("tokens_predicted", Token::Count(output));
            form.read("tokens_evaluated", Token::Count(input));
            form.end_text(Side::Response);
        }
        let tokens = form.usage().unwrap().tokens;
        assert_eq!((tokens.input_uncached, tokens.output_visible), (7 + 4 + 9, 2 + 1 + 3));
    }

    proptest! {
        #[test]
        fn no_numbers_overflow(
            said in prop::collection::vec(any::<u64>(), 0..4),
            timings in prop::array::uniform3(any::<Option<u64>>()),
        ) {
            let keys = ["prompt_tokens", "completion_tokens", "total_tokens"];
            let said: Vec<_> = keys.into_iter().zip(said).collect();
            completed(&said, timings);
            let mut form = LlamaCompletion::default();
            for _ in 0..3 {
                for (key, count) in KEYS.iter().zip(timings) {
                    form.read(&format!("timings.{key}"), count.map_or(Token::Other, Token::Count));
                }
                form.read("tokens_evaluated", Token::Count(said.first().map_or(0, |said| said.1)));
                form.read("stop", Token::Flag(true));
                form.end_text(Side::Response);
            }
            form.usage();
        }
    }
}
