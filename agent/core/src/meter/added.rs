//! What one record adds to sums: the one place that says what counts.

use super::record::{CostSource, UsageRecord};
use crate::units::{PicoUsd, Tokens};

/// What a record adds to sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// It is a call that no other record has counted.
    pub is_call: bool,
    /// That call has no known cost, or only a part of it.
    pub is_unpriced: bool,
    /// Tokens.
    pub tokens: Tokens,
    /// The cost, as far as it is known.
    pub cost: PicoUsd,
}

impl Added {
    /// Of a repeat there is nothing to add, and a record that settles another one adds to what that
    /// used, but is no further call.
    #[must_use]
    pub fn by(record: &UsageRecord) -> Option<Self> {
        if record.duplicate_of.is_some() {
            return None;
        }
        let is_partial = record.cost_usd.is_none() || record.cost_source == CostSource::Partial;
        let is_call = record.settles.is_none();
        Some(Self {
            is_call,
            is_unpriced: is_call && is_partial,
            tokens: record.tokens,
            cost: record.cost_usd.unwrap_or(PicoUsd::ZERO),
        })
    }
}
