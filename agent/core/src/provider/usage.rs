//! Usage as OpenAI and everybody who speaks its forms reports it, made disjoint.

mod parts;
#[cfg(test)]
mod tests;

pub(super) use self::parts::Parts;

use super::Usage;
use super::decimal::scaled;
use super::json::Token;
use super::quirks::{Quirks, Reasoning};
use crate::units::{Counts, PicoUsd, Tokens, Unit};

/// The numbers as they came. Of repeated reports the last one counts, number by number.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OpenAiUsage {
    quirks: Quirks,
    input: Option<u64>,
    output: u64,
    total: Option<u64>,
    /// Input read from the cache: in the details, and what some providers have beside the totals.
    cached: [u64; 2],
    cached_audio: u64,
    cached_image: u64,
    /// Input that was not in the cache, as `DeepSeek` says it.
    missed: Option<u64>,
    /// As with `cached`.
    cache_write: [u64; 2],
    cache_write_30m: u64,
    cache_write_12h: u64,
    input_audio: u64,
    input_image: u64,
    output_text: Option<u64>,
    output_audio: Option<u64>,
    output_image: Option<u64>,
    reasoning: u64,
    web_searches: u64,
    citations: u64,
    /// Sound that Mistral counts beside the tokens, in milliseconds.
    audio_ms: u64,
    cost: Option<u128>,
    /// What the call costs elsewhere, and whether that is beside `cost`.
    cost_elsewhere: Option<u128>,
    elsewhere_too: bool,
}

impl OpenAiUsage {
    pub(super) fn new(quirks: Quirks) -> Self {
        Self { quirks, ..Self::default() }
    }

    /// Takes a value that stands at `key` inside `usage`.
    pub(super) fn read(&mut self, key: &str, token: Token<'_>) {
        if let Token::Count(count) = token {
            self.count(key, count);
        }
        if key == "prompt_audio_seconds" {
            let milliseconds = scaled(token, 3).and_then(|number| u64::try_from(number).ok());
            self.audio_ms = milliseconds.unwrap_or(self.audio_ms);
        }
        let Some(cost) = self.quirks.cost else { return };
        if key == cost.key {
            self.cost = scaled(token, cost.shift).or(self.cost);
        }
        match (cost.own_key, token) {
            (Some((flag, _)), Token::Flag(set)) if key == flag => self.elsewhere_too = set,
            (Some((_, elsewhere)), _) if key == elsewhere => {
                self.cost_elsewhere = scaled(token, cost.shift).or(self.cost_elsewhere);
            }
            _ => {}
        }
    }

    fn count(&mut self, key: &str, count: u64) {
        match key {
            "prompt_tokens" | "input_tokens" => self.input = Some(count),
            "completion_tokens" | "output_tokens" => self.output = count,
            "total_tokens" => self.total = Some(count),
            "reasoning_tokens" => self.reasoning = count,
            "cached_tokens" | "prompt_cache_hit_tokens" | "cache_read_input_tokens" => {
                self.cached[1] = count;
            }
            "prompt_cache_miss_tokens" => self.missed = Some(count),
            "cache_creation_input_tokens" => self.cache_write[1] = count,
            "cached_tokens_details.cached_image_tokens" => self.cached_image = count,
            "num_search_queries" | "server_tool_use.web_search_requests" => {
                self.web_searches = count;
            }
            "citation_tokens" => self.citations = count,
            _ => {
                let Some((details, key)) = key.split_once('.') else { return };
                match details {
                    "prompt_tokens_details" | "input_tokens_details" | "input_token_details" => {
                        self.input_detail(key, count);
                    }
                    "completion_tokens_details"
                    | "output_tokens_details"
                    | "output_token_details" => self.output_detail(key, count),
                    _ => {}
                }
            }
        }
    }

    fn input_detail(&mut self, key: &str, count: u64) {
        match key {
            "cached_tokens" => self.cached[0] = count,
            "cached_tokens_details.audio_tokens" => self.cached_audio = count,
            "cached_tokens_details.image_tokens" => self.cached_image = count,
            "cache_write_tokens" => self.cache_write[0] = count,
            "cache_write_tokens_details.ttl_30m_tokens" => self.cache_write_30m = count,
            "cache_write_tokens_details.ttl_12h_tokens" => self.cache_write_12h = count,
            "audio_tokens" => self.input_audio = count,
            "image_tokens" => self.input_image = count,
            _ => {}
        }
    }

    /// Rejected predictions are billed as the visible output that they are counted as.
    const fn output_detail(&mut self, key: &str, count: u64) {
        match key.as_bytes() {
            b"reasoning_tokens" => self.reasoning = count,
            b"text_tokens" => self.output_text = Some(count),
            b"audio_tokens" => self.output_audio = Some(count),
            b"image_tokens" => self.output_image = Some(count),
            _ => {}
        }
    }

    /// Whether it is said of what kind the output is.
    pub(super) const fn tells_output(&self) -> bool {
        self.output_text.is_some() || self.output_audio.is_some() || self.output_image.is_some()
    }

    /// The numbers in disjoint buckets, if there were any.
    ///
    /// Cached input is part of the input, unless it is more than that. What is of a kind is never
    /// more than all there is. Wherever numbers can't all be right, that is said.
    pub(super) fn normal(&self) -> Option<Usage> {
        let input = self.input?;
        let mut fits = self.total_fits(input);
        let beside = self.reasoning_beside(input, &mut fits);

        let [cached, cached_too] = self.cached;
        let cached = cached.max(cached_too);
        let split = self.cache_write_30m.saturating_add(self.cache_write_12h);
        let [written, written_too] = self.cache_write;
        let written = written.max(written_too).max(split);
        fits &= self.missed.is_none_or(|missed| missed.checked_add(cached) == Some(input));

        let uncached = input.checked_sub(cached.saturating_add(written));
        fits &= uncached.is_some();
        let mut read = Rest(cached);
        let cache_read_audio = read.take(self.cached_audio, &mut fits);
        let cache_read_image = read.take(self.cached_image, &mut fits);
        let mut new = Rest(uncached.unwrap_or(input));
        let input_audio = new.take(self.input_audio.saturating_sub(cache_read_audio), &mut fits);
        let input_image = new.take(self.input_image.saturating_sub(cache_read_image), &mut fits);

        let mut shown = Rest(self.output);
        let reasoning = if beside { self.reasoning } else { shown.take(self.reasoning, &mut fits) };
        let output_audio = shown.take(self.output_audio.unwrap_or(0), &mut fits);
        let output_image = shown.take(self.output_image.unwrap_or(0), &mut fits);

        let tokens = Tokens {
            input_uncached: new.0,
            input_audio,
            input_image,
            cache_read: read.0,
            cache_read_audio,
            cache_read_image,
            cache_write_30m: self.cache_write_30m,
            cache_write_12h: self.cache_write_12h,
            cache_write_other: written.saturating_sub(split),
            output_visible: shown.0,
            output_audio,
            output_image,
            reasoning,
            ..Tokens::default()
        };
        let mut counts = Counts::default();
        counts.set(Unit::WebSearch, self.web_searches);
        counts.set(Unit::CitationToken, self.citations);
        counts.set(Unit::AudioMs, self.audio_ms);
        Some(Usage { tokens, counts, parts: Vec::new(), cost: self.cost(), inconsistent: !fits })
    }

    /// Whether the total is that of input and output, reasoning being part of it or not.
    fn total_fits(&self, input: u64) -> bool {
        let Some(total) = self.total else { return true };
        let both = input.checked_add(self.output);
        let with_reasoning = both.and_then(|both| both.checked_add(self.reasoning));
        [both, with_reasoning].contains(&Some(total))
    }

    /// Whether reasoning is counted beside the output. The total decides where it can, else the
    /// provider's usual rule holds; and what is more than the output can't be part of it.
    fn reasoning_beside(&self, input: u64, fits: &mut bool) -> bool {
        let too_much = self.reasoning > self.output;
        let inside = input.checked_add(self.output);
        let beside = inside.and_then(|inside| inside.checked_add(self.reasoning));
        match (self.quirks.reasoning, self.total) {
            (Reasoning::Apart, _) => true,
            (_, Some(total)) if Some(total) == inside && !too_much => false,
            (_, Some(total)) if Some(total) == beside => true,
            (Reasoning::Beside, _) => {
                *fits &= self.total.is_none();
                true
            }
            (Reasoning::Inside, _) => {
                *fits &= self.total.is_none() && !too_much;
                too_much
            }
        }
    }

    fn cost(&self) -> Option<PicoUsd> {
        let elsewhere = if self.elsewhere_too { self.cost_elsewhere? } else { 0 };
        i128::try_from(self.cost?.checked_add(elsewhere)?).ok().map(PicoUsd)
    }
}

/// What of a number is not accounted for yet.
struct Rest(u64);

impl Rest {
    /// Takes `part` of it away, or all if that is less, which doesn't fit.
    fn take(&mut self, part: u64, fits: &mut bool) -> u64 {
        let taken = part.min(self.0);
        *fits &= taken == part;
        self.0 -= taken;
        taken
    }
}
