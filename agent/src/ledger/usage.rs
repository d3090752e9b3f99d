//! Sums over calls, and their compact form in the index.

use serde::{Deserialize, Serialize};
use weir_core::meter::{CostSource, UsageRecord};
use weir_core::provider::CallState;
use weir_core::units::{PicoUsd, Tokens};

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
    /// One call. Of a repeat there is nothing to add, and a record that settles another one adds to
    /// what that used, but is no further call.
    #[must_use]
    pub fn of(record: &UsageRecord) -> Option<Self> {
        if record.duplicate_of.is_some() {
            return None;
        }
        let is_partial = record.cost_usd.is_none() || record.cost_source == CostSource::Partial;
        let is_new = record.settles.is_none();
        Some(Self {
            calls: u64::from(is_new),
            errors: u64::from(is_new && record.state == CallState::Error),
            tokens: record.tokens,
            cost: record.cost_usd.unwrap_or(PicoUsd::ZERO),
            unpriced_calls: u64::from(is_new && is_partial),
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

    /// Appends 22 variable-length integers.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let counts = [self.calls, self.errors, self.unpriced_calls, self.lost_bytes];
        for count in counts.into_iter().chain(self.tokens.to_array()) {
            put(out, u128::from(count));
        }
        // Zigzag: the sign goes to the lowest bit, so that small amounts are short.
        put(out, ((self.cost.0 << 1) ^ (self.cost.0 >> 127)).cast_unsigned());
    }

    /// Takes what [`Self::encode`] wrote off the front of `bytes`.
    pub(super) fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let mut count = || u64::try_from(take(bytes)?).ok();
        let [calls, errors, unpriced_calls, lost_bytes] = [count()?, count()?, count()?, count()?];
        let mut buckets = [0; 17];
        for bucket in &mut buckets {
            *bucket = count()?;
        }
        let zigzag = take(bytes)?;
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
