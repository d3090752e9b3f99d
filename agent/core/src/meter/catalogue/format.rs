//! The price file, `packaging/prices.json`, as it is written: one row a model, every number an
//! exact decimal. `cargo xtask prices` writes it; [`super::Catalogue`] checks and reads it.
//!
//! What a later part needs (regions, tools billed by the call) becomes a new optional field of a row
//! or of [`Rates`]. Unknown fields are refused, so that a reader too old for a file
//! says so instead of pricing by half of it.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::units::PicoUsd;

/// The only `schema` that this version reads and writes.
pub const SCHEMA: u32 = 1;

/// The whole file. `M` is [`ModelRow`], except while rows are read one by one so that each can have
/// an error of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceFile<M = ModelRow> {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The day on which any row last changed.
    pub date: Date,
    /// Where the numbers were taken from, by the name that rows refer to.
    pub sources: BTreeMap<String, Source>,
    /// Sorted by provider, then id.
    pub models: Vec<M>,
}

/// A published data set that rows were taken from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The version of the data set.
    pub version: String,
    /// Where it lives.
    pub url: String,
    /// Its licence, with whose copyright. The notice itself is in `packaging/prices.LICENSE`.
    pub license: String,
}

/// What one model costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRow {
    /// Who sells it at this price: OpenTelemetry's `gen_ai.provider.name`.
    pub provider: String,
    /// The name it has on the wire, in lower case.
    pub id: String,
    /// Other names of the same model at the same price, in lower case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Where the prices were taken from: a key of [`PriceFile::sources`].
    pub source: String,
    /// Where prices were taken from that `source` doesn't have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supplement: Option<String>,
    /// The day on which the row was taken over in its present form.
    pub taken: Date,
    /// What a token costs, from an input of any length up. The first has `above` 0, each next a
    /// larger one.
    pub standard: Vec<Rates>,
    /// The same for each service tier that has prices of its own. They replace `standard`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tiers: BTreeMap<String, Vec<Rates>>,
}

/// Prices in US dollars for a million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// These prices hold for **all** tokens of a call whose whole input, cached or not, is more
    /// than this many tokens.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub above: u64,
    /// Input neither read from nor written to the prompt cache.
    pub input: PicoUsd,
    /// Input read from the cache. Absent: it costs what other input costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<PicoUsd>,
    /// Input written to the cache for the provider's usual time (Anthropic's 5 minutes, OpenAI's
    /// 30) or a time it didn't name. Absent: it costs what other input costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<PicoUsd>,
    /// Input written to the cache for an hour. Absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<PicoUsd>,
    /// Input written to the cache for 12 hours. Absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_12h: Option<PicoUsd>,
    /// Output, reasoning included. Absent: the model has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<PicoUsd>,
    /// Sound taken in. Absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_audio: Option<PicoUsd>,
    /// Images taken in. Absent: they cost what other input costs, as with every chat model so far;
    /// models that make images have prices of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_image: Option<PicoUsd>,
    /// Video taken in. Absent: it costs what other input costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_video: Option<PicoUsd>,
    /// Input that the provider's own tools put into the prompt. Absent: it costs what other input
    /// costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tool: Option<PicoUsd>,
    /// Sound read from the cache. Absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read_audio: Option<PicoUsd>,
    /// Images read from the cache. Absent: they cost what other input from the cache costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read_image: Option<PicoUsd>,
    /// Sound put out. Absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_audio: Option<PicoUsd>,
    /// Images put out. Absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_image: Option<PicoUsd>,
}

impl Rates {
    /// Every price that there is a word for.
    #[must_use]
    pub const fn prices(&self) -> [Option<PicoUsd>; 14] {
        [
            Some(self.input),
            self.cache_read,
            self.cache_write,
            self.cache_write_1h,
            self.cache_write_12h,
            self.output,
            self.input_audio,
            self.input_image,
            self.input_video,
            self.input_tool,
            self.cache_read_audio,
            self.cache_read_image,
            self.output_audio,
            self.output_image,
        ]
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}
