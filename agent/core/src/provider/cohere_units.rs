//! What Cohere bills, and its forms that answer with little else: `POST /v2/embed` and
//! `POST /v2/rerank`, and their `/v1`.

use super::form::{Answer, Form, inside};
use super::json::Token;
use super::request::name_of;
use super::{Api, Usage};
use crate::secret::Payload;
use crate::units::{Counts, Tokens, Unit};

/// `billed_units`, and beside it the `tokens` that went through the model, which are more: the
/// prompt that the provider puts around the caller's is not billed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BilledUnits {
    input: Option<u64>,
    output: Option<u64>,
    text: Option<u64>,
    image_tokens: Option<u64>,
    search_units: Option<u64>,
    images: Option<u64>,
    pages: Option<u64>,
    cached: u64,
    raw_input: Option<u64>,
    raw_output: Option<u64>,
}

impl BilledUnits {
    /// Takes a value that stands at `key` inside `usage`, or inside `meta`.
    pub(super) fn read(&mut self, key: &str, token: Token<'_>) {
        let slot = match key {
            "billed_units.input_tokens" => &mut self.input,
            "billed_units.output_tokens" => &mut self.output,
            "billed_units.text_tokens" => &mut self.text,
            "billed_units.image_tokens" => &mut self.image_tokens,
            "billed_units.search_units" => &mut self.search_units,
            "billed_units.images" => &mut self.images,
            "billed_units.pages" => &mut self.pages,
            "tokens.input_tokens" => &mut self.raw_input,
            "tokens.output_tokens" => &mut self.raw_output,
            "cached_tokens" => {
                self.cached = whole(token).unwrap_or(self.cached);
                return;
            }
            _ => return,
        };
        *slot = whole(token).or(*slot);
    }

    /// What is billed, if anything was said of it; of a server that bills nothing, what it used.
    ///
    /// Input from the cache is part of the input. Where it is more, it counts tokens that aren't
    /// billed too, and how many of those that are came from the cache is not known.
    pub(super) fn normal(&self) -> Option<Usage> {
        let mut counts = Counts::default();
        for (unit, count) in [
            (Unit::SearchUnit, self.search_units),
            (Unit::Image, self.images),
            (Unit::Page, self.pages),
        ] {
            counts.set(unit, count.unwrap_or(0));
        }
        let billed = [self.input, self.output, self.text, self.image_tokens];
        let tokens_billed = billed.iter().any(Option::is_some);
        let pieces_billed =
            [self.search_units, self.images, self.pages].iter().any(Option::is_some);
        let (input, output) = if tokens_billed || pieces_billed {
            let images = self.image_tokens.unwrap_or(0);
            let input = match (self.input, self.text) {
                // All of the input, its parts beside it.
                (Some(input), Some(text)) if text.checked_add(images) == Some(input) => text,
                (Some(input), _) => input,
                (None, text) => text.unwrap_or(0),
            };
            (input, self.output.unwrap_or(0))
        } else {
            (self.raw_input?, self.raw_output.unwrap_or(0))
        };
        let uncached = input.checked_sub(self.cached);
        let tokens = Tokens {
            input_uncached: uncached.unwrap_or(input),
            input_image: self.image_tokens.unwrap_or(0),
            cache_read: uncached.map_or(0, |_| self.cached),
            output_visible: output,
            ..Tokens::default()
        };
        Some(Usage { tokens, counts, inconsistent: uncached.is_none(), ..Usage::default() })
    }
}

/// A number that is whole, however it is written: Cohere's clients take all of them for fractions.
fn whole(token: Token<'_>) -> Option<u64> {
    match token {
        Token::Count(count) => Some(count),
        Token::Number(number) => {
            let (whole, fraction) = number.split_once('.')?;
            fraction.bytes().all(|digit| digit == b'0').then(|| whole.parse().ok())?
        }
        Token::Begin | Token::Text(_) | Token::Flag(_) | Token::Other => None,
    }
}

/// Reads answers that say little but what is billed.
#[derive(Debug)]
pub(super) struct Units {
    api: Api,
    answer: Answer,
    units: BilledUnits,
}

impl Units {
    pub(super) fn new(api: Api) -> Self {
        Self { api, answer: Answer::default(), units: BilledUnits::default() }
    }
}

impl Form for Units {
    fn api(&self) -> Api {
        self.api
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        match (path, token) {
            ("id", Token::Text(id)) => self.answer.response_id = name_of(id),
            _ => {
                if let Some(key) = inside(path, "meta") {
                    self.units.read(key, token);
                }
            }
        }
    }

    fn usage(&self) -> Option<Usage> {
        self.units.normal()
    }

    fn answer(&self) -> &Answer {
        &self.answer
    }

    fn take_text(&mut self) -> Payload {
        std::mem::take(&mut self.answer.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn units(values: &[(&str, Token<'_>)]) -> Option<Usage> {
        let mut units = BilledUnits::default();
        for &(key, token) in values {
            units.read(key, token);
        }
        units.normal()
    }

    #[test]
    fn what_is_billed_is_what_counts() {
        let usage = units(&[
            ("billed_units.input_tokens", Token::Number("5.0")),
            ("billed_units.output_tokens", Token::Count(418)),
            ("tokens.input_tokens", Token::Count(71)),
            ("tokens.output_tokens", Token::Count(420)),
            ("cached_tokens", Token::Count(3)),
            ("cached_tokens", Token::Other),
        ])
        .unwrap();
        let tokens =
            Tokens { input_uncached: 2, cache_read: 3, output_visible: 418, ..Tokens::default() };
        assert_eq!(usage, Usage::from(tokens));
    }

    #[test]
    fn more_from_the_cache_than_is_billed_is_marked() {
        let usage = units(&[
            ("billed_units.input_tokens", Token::Count(5)),
            ("cached_tokens", Token::Count(60)),
        ])
        .unwrap();
        assert!(usage.inconsistent);
        assert_eq!((usage.tokens.input_uncached, usage.tokens.cache_read), (5, 0));
    }

    #[test]
    fn what_bills_nothing_says_what_it_used() {
        let raw = [("tokens.input_tokens", Token::Count(71))];
        assert_eq!(units(&raw).unwrap().tokens.input_uncached, 71);
        assert_eq!(units(&[("billed_units.input_tokens", Token::Number("0.5"))]), None);
        assert_eq!(units(&[]), None);
    }

    #[test]
    fn text_and_images_are_parts_of_the_input() {
        let parts = |input| {
            let usage = units(&[
                ("billed_units.input_tokens", Token::Count(input)),
                ("billed_units.image_tokens", Token::Count(258)),
                ("billed_units.text_tokens", Token::Count(2)),
            ]);
            usage.map(|usage| (usage.tokens.input_uncached, usage.tokens.input_image))
        };
        assert_eq!(parts(260), Some((2, 258)));
        assert_eq!(parts(7), Some((7, 258)));
    }

    proptest! {
        #[test]
        fn no_numbers_overflow(counts in prop::collection::vec(any::<u64>(), 10)) {
            let keys = [
                "billed_units.input_tokens", "billed_units.output_tokens",
                "billed_units.text_tokens", "billed_units.image_tokens",
                "billed_units.search_units", "billed_units.images", "billed_units.pages",
                "tokens.input_tokens", "tokens.output_tokens", "cached_tokens",
            ];
            let values: Vec<_> = keys.into_iter().zip(counts).collect();
            let tokens: Vec<_> =
                values.iter().map(|&(key, count)| (key, Token::Count(count))).collect();
            let usage = units(&tokens).unwrap();
            // Text that was billed is in one place only.
            prop_assert!(usage.tokens.input_uncached <= values[0].1);
            prop_assert!(
                usage.tokens.input_uncached.saturating_add(usage.tokens.cache_read) <= values[0].1
            );
        }

        #[test]
        fn no_number_makes_it_panic(text in "[-0-9.e]{0,24}") {
            whole(Token::Number(&text));
        }
    }
}
