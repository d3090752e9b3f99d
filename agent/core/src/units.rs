//! Ids and units that every room shares. Each is a type of its own, so that a process id can't be
//! passed for a user id, nor dollars for tokens.

use std::collections::BTreeMap;
use std::fmt;
use std::iter::Sum;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A point in time, in UTC. The core never asks what time it is: it is told.
pub use jiff::Timestamp;

/// A process for as long as it lives. A pid alone is reused; a pid with its start time is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessKey {
    /// Thread group id in the initial pid namespace, what user space calls the pid.
    pub pid: u32,
    /// Nanoseconds since boot at which the thread group leader started
    /// (`task_struct.start_boottime`; `/proc/PID/stat` field 22 is the same in clock ticks).
    pub start_ns: u64,
}

/// One TLS connection of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId {
    /// The process that holds this end of the connection.
    pub process: ProcessKey,
    /// Address of the TLS library's connection object (`SSL*`) in that process.
    pub handle: u64,
    /// Tells apart the connections that use one address one after the other: nanoseconds since
    /// boot at which the probes first saw this one.
    pub generation: u64,
}

/// Which way bytes went, seen from the process whose library was probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The process received them (`SSL_read`).
    Read,
    /// The process sent them (`SSL_write`).
    Write,
}

impl Direction {
    /// The other way.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Read => Self::Write,
            Self::Write => Self::Read,
        }
    }
}

/// Which end of the connection the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It sent the request: the caller, who is billed.
    Client,
    /// It answered the request.
    Server,
}

/// An amount of money: 10⁻¹² US dollars, so that the price of one token of any model on the market
/// is a whole number. Written as a decimal string of dollars wherever it leaves the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PicoUsd(pub i128);

impl PicoUsd {
    /// Nothing was charged. Not to be confused with "the price is unknown", which is no amount.
    pub const ZERO: Self = Self(0);
    const PER_DOLLAR: u128 = 1_000_000_000_000;

    /// The sum, or the largest amount there is if it doesn't fit.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for PicoUsd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::saturating_add)
    }
}

impl fmt::Display for PicoUsd {
    /// Exact dollars: at least two decimals, at most twelve, no trailing zeros beyond the second.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let magnitude = self.0.unsigned_abs();
        let decimals = format!("{:012}", magnitude % Self::PER_DOLLAR);
        let kept = decimals.trim_end_matches('0').len().max(2);
        write!(f, "{sign}{}.{}", magnitude / Self::PER_DOLLAR, &decimals[..kept])
    }
}

/// Why a string is not an amount of dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a decimal amount of dollars with at most 12 decimals")]
pub struct ParseUsdError;

impl FromStr for PicoUsd {
    type Err = ParseUsdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || decimals.len() > 12 || !all_digits(whole) || !all_digits(decimals) {
            return Err(ParseUsdError);
        }
        let magnitude: i128 =
            format!("{whole}{decimals:0<12}").parse().map_err(|_overflow| ParseUsdError)?;
        Ok(Self(if negative { -magnitude } else { magnitude }))
    }
}

impl Serialize for PicoUsd {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PicoUsd {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Token counts of one call, or of many, in disjoint buckets: every token is in exactly one, and
/// totals are derived. Providers' own totals overlap in ways that differ by API, which is the
/// commonest source of wrong bills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "TokensJson", from = "TokensJson")]
pub struct Tokens {
    /// Text input, and input of a kind that the provider didn't name, neither read from nor written
    /// to its prompt cache.
    pub input_uncached: u64,
    /// Uncached audio input.
    pub input_audio: u64,
    /// Uncached image input.
    pub input_image: u64,
    /// Uncached video input.
    pub input_video: u64,
    /// Input that the provider's own tools put into the prompt.
    pub input_tool: u64,
    /// Text input, and input of an unnamed kind, read from the prompt cache.
    pub cache_read: u64,
    /// Audio input read from the prompt cache.
    pub cache_read_audio: u64,
    /// Image input read from the prompt cache.
    pub cache_read_image: u64,
    /// Input written to the prompt cache, kept for 5 minutes.
    pub cache_write_5m: u64,
    /// Input written to the prompt cache, kept for 30 minutes.
    pub cache_write_30m: u64,
    /// Input written to the prompt cache, kept for 1 hour.
    pub cache_write_1h: u64,
    /// Input written to the prompt cache, kept for 12 hours.
    pub cache_write_12h: u64,
    /// Input written to the prompt cache for a lifetime the provider didn't name.
    pub cache_write_other: u64,
    /// Output the caller can see, neither audio nor image.
    pub output_visible: u64,
    /// Audio output.
    pub output_audio: u64,
    /// Image output.
    pub output_image: u64,
    /// Output spent on reasoning.
    pub reasoning: u64,
}

impl Tokens {
    /// How many of the buckets, the first ones, are of input.
    pub const INPUTS: usize = 13;

    /// Input neither read from nor written to the prompt cache, of whatever kind.
    #[must_use]
    pub const fn uncached(&self) -> u64 {
        self.input_uncached
            .saturating_add(self.input_audio)
            .saturating_add(self.input_image)
            .saturating_add(self.input_video)
            .saturating_add(self.input_tool)
    }

    /// Everything that was read from the prompt cache, of whatever kind.
    #[must_use]
    pub const fn cached(&self) -> u64 {
        self.cache_read.saturating_add(self.cache_read_audio).saturating_add(self.cache_read_image)
    }

    /// Everything that was written to the prompt cache, of whatever lifetime.
    #[must_use]
    pub const fn cache_write(&self) -> u64 {
        self.cache_write_5m
            .saturating_add(self.cache_write_30m)
            .saturating_add(self.cache_write_1h)
            .saturating_add(self.cache_write_12h)
            .saturating_add(self.cache_write_other)
    }

    /// All input.
    #[must_use]
    pub const fn input_total(&self) -> u64 {
        self.uncached().saturating_add(self.cached()).saturating_add(self.cache_write())
    }

    /// All output, reasoning included.
    #[must_use]
    pub const fn output_total(&self) -> u64 {
        self.output_visible
            .saturating_add(self.output_audio)
            .saturating_add(self.output_image)
            .saturating_add(self.reasoning)
    }

    /// The buckets in the order of their declaration.
    #[must_use]
    pub const fn to_array(self) -> [u64; 17] {
        [
            self.input_uncached,
            self.input_audio,
            self.input_image,
            self.input_video,
            self.input_tool,
            self.cache_read,
            self.cache_read_audio,
            self.cache_read_image,
            self.cache_write_5m,
            self.cache_write_30m,
            self.cache_write_1h,
            self.cache_write_12h,
            self.cache_write_other,
            self.output_visible,
            self.output_audio,
            self.output_image,
            self.reasoning,
        ]
    }

    /// What [`Self::to_array`] was made of.
    #[must_use]
    pub const fn from_array(buckets: [u64; 17]) -> Self {
        let [
            input_uncached,
            input_audio,
            input_image,
            input_video,
            input_tool,
            cache_read,
            cache_read_audio,
            cache_read_image,
            cache_write_5m,
            cache_write_30m,
            cache_write_1h,
            cache_write_12h,
            cache_write_other,
            output_visible,
            output_audio,
            output_image,
            reasoning,
        ] = buckets;
        Self {
            input_uncached,
            input_audio,
            input_image,
            input_video,
            input_tool,
            cache_read,
            cache_read_audio,
            cache_read_image,
            cache_write_5m,
            cache_write_30m,
            cache_write_1h,
            cache_write_12h,
            cache_write_other,
            output_visible,
            output_audio,
            output_image,
            reasoning,
        }
    }

    /// The sum, bucket by bucket.
    #[must_use]
    pub fn saturating_add(&self, other: &Self) -> Self {
        let mut sum = self.to_array();
        for (bucket, more) in sum.iter_mut().zip(other.to_array()) {
            *bucket = bucket.saturating_add(more);
        }
        Self::from_array(sum)
    }
}

/// How [`Tokens`] look in JSON: the contract that the log, the API and the command line share.
/// `input_uncached`, `cache_read`, `cache_write` and `output` are sums over all kinds and
/// lifetimes; what stands beside them (`input_audio`, `reasoning`, ...) says how much of them is of
/// a kind.
#[derive(Serialize, Deserialize)]
struct TokensJson {
    input_uncached: u64,
    cache_read: u64,
    cache_write: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    input_audio: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    input_image: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    input_video: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    input_tool: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    cache_read_audio: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    cache_read_image: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    cache_write_5m: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    cache_write_30m: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    cache_write_1h: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    cache_write_12h: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    output_audio: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    output_image: u64,
    output: u64,
    reasoning: u64,
    input_total: u64,
    output_total: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl From<Tokens> for TokensJson {
    fn from(tokens: Tokens) -> Self {
        Self {
            input_uncached: tokens.uncached(),
            cache_read: tokens.cached(),
            cache_write: tokens.cache_write(),
            input_audio: tokens.input_audio,
            input_image: tokens.input_image,
            input_video: tokens.input_video,
            input_tool: tokens.input_tool,
            cache_read_audio: tokens.cache_read_audio,
            cache_read_image: tokens.cache_read_image,
            cache_write_5m: tokens.cache_write_5m,
            cache_write_30m: tokens.cache_write_30m,
            cache_write_1h: tokens.cache_write_1h,
            cache_write_12h: tokens.cache_write_12h,
            output_audio: tokens.output_audio,
            output_image: tokens.output_image,
            output: tokens.output_total(),
            reasoning: tokens.reasoning,
            input_total: tokens.input_total(),
            output_total: tokens.output_total(),
        }
    }
}

impl From<TokensJson> for Tokens {
    fn from(json: TokensJson) -> Self {
        let less = |sum: u64, parts: &[u64]| {
            sum.saturating_sub(parts.iter().fold(0, |known, part| part.saturating_add(known)))
        };
        let written =
            [json.cache_write_5m, json.cache_write_30m, json.cache_write_1h, json.cache_write_12h];
        Self {
            input_uncached: less(
                json.input_uncached,
                &[json.input_audio, json.input_image, json.input_video, json.input_tool],
            ),
            cache_read: less(json.cache_read, &[json.cache_read_audio, json.cache_read_image]),
            cache_write_other: less(json.cache_write, &written),
            input_audio: json.input_audio,
            input_image: json.input_image,
            input_video: json.input_video,
            input_tool: json.input_tool,
            cache_read_audio: json.cache_read_audio,
            cache_read_image: json.cache_read_image,
            cache_write_5m: json.cache_write_5m,
            cache_write_30m: json.cache_write_30m,
            cache_write_1h: json.cache_write_1h,
            cache_write_12h: json.cache_write_12h,
            output_audio: json.output_audio,
            output_image: json.output_image,
            output_visible: less(
                json.output,
                &[json.output_audio, json.output_image, json.reasoning],
            ),
            reasoning: json.reasoning,
        }
    }
}

/// What a provider bills by the piece beside tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Web searches.
    WebSearch,
    /// Web pages fetched by the provider.
    WebFetch,
    /// Searches in files that the provider holds.
    FileSearch,
    /// Runs of code in the provider's sandbox.
    CodeExecution,
    /// Look-ups on a map.
    Maps,
    /// Images made, or taken in where those are billed by the piece.
    Image,
    /// Pages read (OCR, documents).
    Page,
    /// Milliseconds of sound taken in.
    AudioMs,
    /// Characters spoken.
    Character,
    /// Cohere's search units.
    SearchUnit,
    /// Citations, as tokens that a provider counts apart.
    CitationToken,
}

impl Unit {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::WebSearch,
        Self::WebFetch,
        Self::FileSearch,
        Self::CodeExecution,
        Self::Maps,
        Self::Image,
        Self::Page,
        Self::AudioMs,
        Self::Character,
        Self::SearchUnit,
        Self::CitationToken,
    ];

    /// For how many pieces a price is said: an hour of sound, a million characters or tokens, a
    /// thousand of anything else.
    #[must_use]
    pub const fn lot(self) -> u64 {
        match self {
            Self::AudioMs => 3_600_000,
            Self::Character | Self::CitationToken => 1_000_000,
            Self::WebSearch
            | Self::WebFetch
            | Self::FileSearch
            | Self::CodeExecution
            | Self::Maps
            | Self::Image
            | Self::Page
            | Self::SearchUnit => 1_000,
        }
    }
}

/// How many of each [`Unit`] a call used. A unit that isn't there was not mentioned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counts(pub BTreeMap<Unit, u64>);

impl Counts {
    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets how many of `unit` there were; 0 is the same as none.
    pub fn set(&mut self, unit: Unit, count: u64) {
        if count == 0 {
            self.0.remove(&unit);
        } else {
            self.0.insert(unit, count);
        }
    }

    /// Adds to how many of `unit` there were.
    pub fn add(&mut self, unit: Unit, count: u64) {
        self.set(unit, self.get(unit).saturating_add(count));
    }

    /// How many of `unit` there were.
    #[must_use]
    pub fn get(&self, unit: Unit) -> u64 {
        self.0.get(&unit).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dollars_are_exact_and_short() {
        for (pico, text) in [
            (0, "0.00"),
            (1, "0.000000000001"),
            (54_400_000_000, "0.0544"),
            (1_500_000_000_000, "1.50"),
            (-2_000_000_000_000, "-2.00"),
        ] {
            assert_eq!(PicoUsd(pico).to_string(), text);
        }
    }

    #[test]
    fn what_is_not_an_amount_is_refused() {
        for text in ["", ".", "-", ".5", "1e3", "+1", "0.0000000000001", "1.2.3", "١"] {
            assert_eq!(text.parse::<PicoUsd>(), Err(ParseUsdError), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn dollars_survive_their_text(pico in -(1i128 << 90)..(1i128 << 90)) {
            prop_assert_eq!(PicoUsd(pico).to_string().parse(), Ok(PicoUsd(pico)));
        }

        #[test]
        fn tokens_survive_their_json(counts in prop::array::uniform17(0u64..1 << 50)) {
            let tokens = Tokens::from_array(counts);
            let json = serde_json::to_string(&tokens).unwrap();
            prop_assert_eq!(serde_json::from_str::<Tokens>(&json).unwrap(), tokens);
        }
    }
}
