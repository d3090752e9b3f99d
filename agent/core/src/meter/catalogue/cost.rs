//! Tokens and pieces times prices.

use super::format::{Factor, Rates};
use crate::units::{Counts, PicoUsd, Tokens, Unit};

/// The largest price that a catalogue may hold: $100,000 for a million tokens or a lot of pieces.
pub(super) const LARGEST_RATE: PicoUsd = PicoUsd(100_000_000_000_000_000);

const MILLION: i128 = 1_000_000;

/// What every [`Unit::lot`] and a million divide, so that sums of prices times counts stay whole.
const LOTS: i128 = 18_000_000;

/// What a call costs, as far as there are prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Price {
    /// All that has a price.
    pub(super) cost: PicoUsd,
    /// Everything had one. Otherwise pieces were used that have none, and `cost` is a lower bound.
    pub(super) complete: bool,
}

/// The cost of `tokens` and `counts`, or `None` if there are tokens of a kind that has no price, or
/// nothing that has one. `factor` is for tokens alone.
///
/// Sums are exact and divided once, a half rounded up: for a price with at most six decimals of a
/// dollar tokens are never rounded. What is beyond an `i128` becomes the largest amount.
pub(super) fn cost(
    rates: &[Rates],
    factor: Factor,
    tokens: &Tokens,
    counts: &Counts,
) -> Option<Price> {
    let input_total = tokens.input_total();
    let rates = rates.iter().rev().find(|rates| rates.above == 0 || input_total > rates.above)?;
    let (pieces, complete) = pieces(rates, counts);
    let by_token = match rates.input {
        Some(input) => by_token(rates, input, tokens)?,
        // It isn't sold by the token, so there must be something that it is sold by.
        None if pieces > 0 || rates.request.is_some() => 0,
        None => return None,
    };
    let requests = rates.request.map_or(0, |price| price.0.saturating_mul(LOTS / 1_000));
    let by_token =
        by_token.saturating_mul(LOTS / MILLION).saturating_mul(i128::from(factor.millionths()));
    let sum = pieces.saturating_add(requests).saturating_mul(MILLION).saturating_add(by_token);
    let divisor = LOTS * MILLION;
    Some(Price { cost: PicoUsd(sum.saturating_add(divisor / 2) / divisor), complete })
}

/// Pico-dollars for a million, summed over all tokens.
fn by_token(rates: &Rates, input: PicoUsd, tokens: &Tokens) -> Option<i128> {
    let write = Some(rates.cache_write.unwrap_or(input));
    let read = Some(rates.cache_read.unwrap_or(input));
    let other = |own: Option<PicoUsd>| Some(own.unwrap_or(input));
    let buckets = [
        (tokens.input_uncached, Some(input)),
        (tokens.cache_read, read),
        (tokens.cache_write_5m, write),
        (tokens.cache_write_30m, write),
        (tokens.cache_write_other, write),
        (tokens.cache_write_1h, rates.cache_write_1h),
        (tokens.cache_write_12h, rates.cache_write_12h),
        (tokens.output_visible, rates.output),
        (tokens.reasoning, rates.reasoning.or(rates.output)),
        (tokens.input_image, other(rates.input_image)),
        (tokens.input_video, other(rates.input_video)),
        (tokens.input_tool, other(rates.input_tool)),
        (tokens.cache_read_image, rates.cache_read_image.or(read)),
        // Sound, and images put out, always have prices of their own: that of text would be a guess.
        (tokens.input_audio, rates.input_audio),
        (tokens.cache_read_audio, rates.cache_read_audio),
        (tokens.output_audio, rates.output_audio),
        (tokens.output_image, rates.output_image),
    ];
    let mut sum = 0_i128;
    for (count, rate) in buckets {
        if count > 0 {
            sum = sum.saturating_add(rate?.0.saturating_mul(i128::from(count)));
        }
    }
    Some(sum)
}

/// Pico-dollars for [`LOTS`], summed over all pieces that have a price, and whether all do.
fn pieces(rates: &Rates, counts: &Counts) -> (i128, bool) {
    let (mut sum, mut complete) = (0_i128, true);
    for (&unit, &count) in &counts.0 {
        match rates.pieces.get(&unit) {
            Some(price) => {
                let share = LOTS / i128::from(unit.lot());
                let cost = price.0.saturating_mul(share).saturating_mul(i128::from(count));
                sum = sum.saturating_add(cost);
            }
            // Anthropic, the only one that counts fetched pages, charges nothing for them.
            None => complete &= unit == Unit::WebFetch,
        }
    }
    (sum, complete)
}
