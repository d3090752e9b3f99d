//! The API's answer as a client reads it: only what the contract promises, and what is shown.

use std::collections::BTreeMap;

use serde::Deserialize;
use weir_core::blind::BlindSpot;
use weir_core::units::{Timestamp, Tokens};

use crate::ledger::{Gap, Loss};

#[derive(Debug, Deserialize)]
pub(super) struct Report {
    pub(super) by: Vec<String>,
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
    pub(super) complete: bool,
    pub(super) rows: Vec<Row>,
    pub(super) totals: Sums,
    #[serde(default)]
    pub(super) losses: Vec<Loss>,
    #[serde(default)]
    pub(super) gaps: Vec<Gap>,
    #[serde(default)]
    pub(super) blind_spots: Vec<BlindSpot>,
    #[serde(default)]
    pub(super) omitted: u64,
    #[serde(default)]
    pub(super) damaged_lines: u64,
    pub(super) begins: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Row {
    #[serde(flatten)]
    pub(super) sums: Sums,
    /// The `by` keys; whatever else is in a row is here too.
    #[serde(flatten)]
    pub(super) keys: BTreeMap<String, serde_json::Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Sums {
    pub(super) calls: u64,
    pub(super) errors: u64,
    #[serde(flatten)]
    pub(super) tokens: Tokens,
    pub(super) cost_usd: String,
    pub(super) unpriced_calls: u64,
    pub(super) lost_bytes: u64,
}

impl Row {
    /// The value of one of the `by` keys.
    pub(super) fn key(&self, name: &str) -> Option<&str> {
        self.keys.get(name)?.as_str()
    }
}
