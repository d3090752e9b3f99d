//! Ids and units that every room shares. Each is a type of its own, so that a process id can't be
//! passed for a user id, nor dollars for tokens.

use std::fmt;
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
    /// Input neither read from nor written to the provider's prompt cache.
    pub input_uncached: u64,
    /// Input read from the prompt cache.
    pub cache_read: u64,
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
    /// Output the caller can see.
    pub output_visible: u64,
    /// Output spent on reasoning.
    pub reasoning: u64,
}

impl Tokens {
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
        self.input_uncached.saturating_add(self.cache_read).saturating_add(self.cache_write())
    }

    /// All output, reasoning included.
    #[must_use]
    pub const fn output_total(&self) -> u64 {
        self.output_visible.saturating_add(self.reasoning)
    }

    /// The sum, bucket by bucket.
    #[must_use]
    pub const fn saturating_add(&self, other: &Self) -> Self {
        Self {
            input_uncached: self.input_uncached.saturating_add(other.input_uncached),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write_5m: self.cache_write_5m.saturating_add(other.cache_write_5m),
            cache_write_30m: self.cache_write_30m.saturating_add(other.cache_write_30m),
            cache_write_1h: self.cache_write_1h.saturating_add(other.cache_write_1h),
            cache_write_12h: self.cache_write_12h.saturating_add(other.cache_write_12h),
            cache_write_other: self.cache_write_other.saturating_add(other.cache_write_other),
            output_visible: self.output_visible.saturating_add(other.output_visible),
            reasoning: self.reasoning.saturating_add(other.reasoning),
        }
    }
}

/// How [`Tokens`] look in JSON: the contract that the log, the API and the command line share.
/// `output` includes `reasoning`, `cache_write` is the sum of its lifetimes.
#[derive(Serialize, Deserialize)]
struct TokensJson {
    input_uncached: u64,
    cache_read: u64,
    cache_write: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    cache_write_5m: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    cache_write_30m: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    cache_write_1h: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    cache_write_12h: u64,
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
            input_uncached: tokens.input_uncached,
            cache_read: tokens.cache_read,
            cache_write: tokens.cache_write(),
            cache_write_5m: tokens.cache_write_5m,
            cache_write_30m: tokens.cache_write_30m,
            cache_write_1h: tokens.cache_write_1h,
            cache_write_12h: tokens.cache_write_12h,
            output: tokens.output_total(),
            reasoning: tokens.reasoning,
            input_total: tokens.input_total(),
            output_total: tokens.output_total(),
        }
    }
}

impl From<TokensJson> for Tokens {
    fn from(json: TokensJson) -> Self {
        let known = json
            .cache_write_5m
            .saturating_add(json.cache_write_30m)
            .saturating_add(json.cache_write_1h)
            .saturating_add(json.cache_write_12h);
        Self {
            input_uncached: json.input_uncached,
            cache_read: json.cache_read,
            cache_write_5m: json.cache_write_5m,
            cache_write_30m: json.cache_write_30m,
            cache_write_1h: json.cache_write_1h,
            cache_write_12h: json.cache_write_12h,
            cache_write_other: json.cache_write.saturating_sub(known),
            output_visible: json.output.saturating_sub(json.reasoning),
            reasoning: json.reasoning,
        }
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
        fn tokens_survive_their_json(counts in prop::array::uniform9(0u64..1 << 50)) {
            let tokens = Tokens {
                input_uncached: counts[0],
                cache_read: counts[1],
                cache_write_5m: counts[2],
                cache_write_30m: counts[3],
                cache_write_1h: counts[4],
                cache_write_12h: counts[5],
                cache_write_other: counts[6],
                output_visible: counts[7],
                reasoning: counts[8],
            };
            let json = serde_json::to_string(&tokens).unwrap();
            prop_assert_eq!(serde_json::from_str::<Tokens>(&json).unwrap(), tokens);
        }
    }
}
