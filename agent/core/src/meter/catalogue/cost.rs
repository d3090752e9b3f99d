//! Tokens times prices.

use super::format::Rates;
use crate::units::{PicoUsd, Tokens};

/// The largest price of a million tokens that a catalogue may hold: $100,000. 17 buckets of
/// `u64::MAX` tokens at that price still fit an `i128`.
pub(super) const LARGEST_RATE: PicoUsd = PicoUsd(100_000_000_000_000_000);

const MILLION: i128 = 1_000_000;

/// The cost of `tokens`, or `None` if they are of a kind that has no price.
///
/// Prices are pico-dollars for a million tokens, so the sum over all buckets is exact. It is divided
/// by a million once, and a half is rounded up: for a price with at most six decimals of a dollar
/// nothing is ever rounded.
pub(super) fn cost(rates: &[Rates], tokens: &Tokens) -> Option<PicoUsd> {
    let input_total = tokens.input_total();
    let rates = rates.iter().rev().find(|rates| rates.above == 0 || input_total > rates.above)?;
    let write = Some(rates.cache_write.unwrap_or(rates.input));
    let read = Some(rates.cache_read.unwrap_or(rates.input));
    let other = |own: Option<PicoUsd>| Some(own.unwrap_or(rates.input));
    let buckets = [
        (tokens.input_uncached, Some(rates.input)),
        (tokens.cache_read, read),
        (tokens.cache_write_5m, write),
        (tokens.cache_write_30m, write),
        (tokens.cache_write_other, write),
        (tokens.cache_write_1h, rates.cache_write_1h),
        (tokens.cache_write_12h, rates.cache_write_12h),
        (tokens.output_visible, rates.output),
        (tokens.reasoning, rates.output),
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
            sum += i128::from(count) * rate?.0;
        }
    }
    Some(PicoUsd((sum + MILLION / 2) / MILLION))
}
