//! Sums over calls, and their compact form in the index.

use serde::{Deserialize, Serialize};
use weir_core::meter::{Added, UsageRecord};
use weir_core::provider::CallState;
use weir_core::units::{PicoUsd, Tokens};

/// Bytes that say which numbers of a sum are not 0: one bit for each of 22.
const MASK: usize = 3;

/// What a number of calls add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// How many calls.
    pub calls: u64,
    /// How many of them the provider answered with an error.
    pub errors: u64,
    /// Their tokens.
    #[serde(flatten)]
    pub tokens: Tokens,
    /// The cost of those whose cost is known, in dollars.
    #[serde(rename = "cost_usd")]
    pub cost: PicoUsd,
    /// How many of them have no known cost, or only a part of it.
    pub unpriced_calls: u64,
    /// Bytes of these calls that the kernel saw and could not hand over.
    pub lost_bytes: u64,
}

impl Usage {
    /// What a record adds ([`Added::by`]).
    #[must_use]
    pub fn of(record: &UsageRecord) -> Option<Self> {
        let Added { is_call, is_unpriced, tokens, cost } = Added::by(record)?;
        Some(Self {
            calls: u64::from(is_call),
            errors: u64::from(is_call && record.state == CallState::Error),
            tokens,
            cost,
            unpriced_calls: u64::from(is_unpriced),
            lost_bytes: record.lost_bytes,
        })
    }

    /// Adds other calls to these.
    pub fn add(&mut self, other: &Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.errors = self.errors.saturating_add(other.errors);
        self.tokens = self.tokens.saturating_add(&other.tokens);
        self.cost = self.cost.saturating_add(other.cost);
        self.unpriced_calls = self.unpriced_calls.saturating_add(other.unpriced_calls);
        self.lost_bytes = self.lost_bytes.saturating_add(other.lost_bytes);
    }

    /// Appends which of the 22 numbers are not 0, and those as variable-length integers.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let counts = [self.calls, self.errors, self.unpriced_calls, self.lost_bytes];
        // Zigzag: the sign goes to the lowest bit, so that small amounts are short.
        let cost = ((self.cost.0 << 1) ^ (self.cost.0 >> 127)).cast_unsigned();
        let numbers = counts.into_iter().chain(self.tokens.to_array()).map(u128::from);
        let start = out.len();
        out.extend_from_slice(&[0; MASK]);
        for (place, number) in numbers.chain([cost]).enumerate() {
            if number != 0 {
                if let Some(byte) = out.get_mut(start + place / 8) {
                    *byte |= 1 << (place % 8);
                }
                put(out, number);
            }
        }
    }

    /// Takes what [`Self::encode`] wrote off the front of `bytes`.
    pub(super) fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let (mask, rest) = bytes.split_first_chunk::<MASK>()?;
        *bytes = rest;
        let mask = u32::from_le_bytes([mask[0], mask[1], mask[2], 0]);
        let mut place = 0;
        let mut number = || {
            let is_there = mask >> place & 1 == 1;
            place += 1;
            if is_there { take(bytes) } else { Some(0) }
        };
        let mut count = || u64::try_from(number()?).ok();
        let [calls, errors, unpriced_calls, lost_bytes] = [count()?, count()?, count()?, count()?];
        let mut buckets = [0; 17];
        for bucket in &mut buckets {
            *bucket = count()?;
        }
        let zigzag = number()?;
        Some(Self {
            calls,
            errors,
            tokens: Tokens::from_array(buckets),
            cost: PicoUsd((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed()),
            unpriced_calls,
            lost_bytes,
        })
    }
}

/// Sums in rows of JSON: what [`Usage::encode`] writes, in hexadecimal digits.
pub(super) mod compact {
    use std::fmt::Write;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Usage;

    pub(in crate::ledger) fn serialize<S: Serializer>(
        usage: &Usage,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::new();
        usage.encode(&mut bytes);
        let mut text = String::with_capacity(2 * bytes.len());
        for byte in bytes {
            // Writing to a string can't fail.
            let _ = write!(text, "{byte:02x}");
        }
        serializer.serialize_str(&text)
    }

    pub(in crate::ledger) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Usage, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let digits = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(digits).collect();
        let usage = bytes.and_then(|bytes| Usage::decode(&mut bytes.as_slice()));
        usage.ok_or_else(|| D::Error::custom("not a sum"))
    }
}

/// LEB128.
fn put(out: &mut Vec<u8>, mut number: u128) {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

fn take(bytes: &mut &[u8]) -> Option<u128> {
    // Most counts are small, and reading sums is what a query spends its time on.
    if let Some((byte @ 0..0x80, rest)) = bytes.split_first() {
        *bytes = rest;
        return Some(u128::from(*byte));
    }
    let mut number = 0u128;
    for shift in (0..128).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u128::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sums_survive_the_index(
            counts in prop::array::uniform4(any::<u64>()),
            buckets in prop::array::uniform17(any::<u64>()),
            cost in any::<i128>(),
        ) {
            let usage = Usage {
                calls: counts[0],
                errors: counts[1],
                unpriced_calls: counts[2],
                lost_bytes: counts[3],
                tokens: Tokens::from_array(buckets),
                cost: PicoUsd(cost),
            };
            let mut bytes = Vec::new();
            usage.encode(&mut bytes);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(Usage::decode(&mut rest), Some(usage));
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut rest = bytes.as_slice();
            while Usage::decode(&mut rest).is_some() {}
        }
    }
}
