//! The price file, `packaging/prices.json`, as it is written: one row a model, every number an
//! exact decimal. `cargo xtask prices` writes it; [`super::Catalogue`] checks and reads it.
//!
//! What a later part needs becomes a new optional field of a row or of [`Rates`]. Unknown fields are
//! refused, so that a reader too old for a file says so instead of pricing by half of it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Time};
use jiff::tz::Offset;
use serde::{Deserialize, Serialize};

use crate::units::{PicoUsd, Timestamp, Unit};

/// The only `schema` that this version reads and writes.
pub const SCHEMA: u32 = 2;

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

impl PriceFile {
    /// The file as text, one row a line, so that a difference between two reads as one of models.
    ///
    /// # Errors
    /// If a value has no form in JSON, which none of these has.
    pub fn render(&self) -> serde_json::Result<String> {
        let (date, sources) = (self.date, self.sources.clone());
        let head = PriceFile::<()> { schema: self.schema, date, sources, models: Vec::new() };
        let head = serde_json::to_string_pretty(&head)?;
        let head = head.strip_suffix("[]\n}").unwrap_or(&head);
        let rows = self.models.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
        Ok(format!("{head}[\n    {}\n  ]\n}}\n", rows.join(",\n    ")))
    }
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
    /// The name it has on the wire, in lower case. `REGION/NAME` is the price of NAME in that region
    /// alone. A `*` at the end stands for any end.
    pub id: String,
    /// Other names of the same model at the same price, written like `id`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Where the prices were taken from: a key of [`PriceFile::sources`].
    pub source: String,
    /// Where prices were taken from that `source` doesn't have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supplement: Option<String>,
    /// The day on which the row was taken over in its present form.
    pub taken: Date,
    /// What a call costs, from an input of any length up. The first has `above` 0, each next a
    /// larger one.
    pub standard: Vec<Rates>,
    /// The same for each service tier, speed or way (`batch`, `flex`, `priority`, `fast`, …) that has
    /// prices of its own. They replace `standard`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tiers: BTreeMap<String, Vec<Rates>>,
    /// Hours at which other prices replace `standard`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off_peak: Option<OffPeak>,
    /// By region: what all prices of tokens are multiplied by there. A `*` at the end of a region
    /// stands for any end; the longest that fits counts. A region that none fits has no known price.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub regions: BTreeMap<String, Factor>,
}

impl ModelRow {
    /// The same in as little memory as it takes: there are thousands.
    pub(super) fn shrunk(mut self) -> Self {
        let off_peak = self.off_peak.iter_mut().map(|off_peak| &mut off_peak.rates);
        let all = self.tiers.values_mut().chain([&mut self.standard]).chain(off_peak);
        all.for_each(Vec::shrink_to_fit);
        self.aliases.shrink_to_fit();
        self
    }
}

/// Prices that replace the standard ones at some hours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OffPeak {
    /// When they hold.
    pub windows: Vec<Window>,
    /// What they are.
    pub rates: Vec<Rates>,
}

/// A part of some days of the week, in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The days, from 1 for Monday to 7 for Sunday.
    pub days: Vec<i8>,
    /// From this time on.
    pub from: Time,
    /// Before this time. `00:00:00` is the end of the day.
    pub to: Time,
}

impl Window {
    /// Whether `time` lies in it.
    #[must_use]
    pub fn holds(&self, time: Timestamp) -> bool {
        let time = Offset::UTC.to_datetime(time);
        self.days.contains(&time.date().weekday().to_monday_one_offset())
            && self.from <= time.time()
            && (self.to == Time::midnight() || time.time() < self.to)
    }
}

/// What prices are multiplied by, in millionths. At most 100. Written as a decimal string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Factor(u32);

impl Factor {
    /// Leaves prices as they are.
    pub const ONE: Self = Self(1_000_000);

    /// How many millionths.
    #[must_use]
    pub const fn millionths(self) -> u32 {
        self.0
    }

    /// Taken as a percentage: what is left of 1 without it.
    #[must_use]
    pub const fn rest_of_percent(self) -> Option<Self> {
        match (Self::ONE.0 * 100).checked_sub(self.0) {
            Some(rest) => Some(Self(rest / 100)),
            None => None,
        }
    }
}

/// Why a string is not a [`Factor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a decimal number from 0 to 100 with at most 6 decimals")]
pub struct ParseFactorError;

impl FromStr for Factor {
    type Err = ParseFactorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let amount: PicoUsd = text.parse().map_err(|_not_an_amount| ParseFactorError)?;
        let millionths = (amount.0 % 1_000_000 == 0).then_some(amount.0 / 1_000_000);
        millionths
            .and_then(|count| u32::try_from(count).ok())
            .filter(|count| *count <= 100_000_000)
            .map(Self)
            .ok_or(ParseFactorError)
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        PicoUsd(i128::from(self.0) * 1_000_000).fmt(f)
    }
}

impl Serialize for Factor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Factor {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Prices in US dollars for a million tokens, and for what is billed by the piece.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// These prices hold for **all** tokens of a call whose whole input, cached or not, is more
    /// than this many tokens.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub above: u64,
    /// Input neither read from nor written to the prompt cache. Absent: the model isn't sold by the
    /// token, only by `pieces` or `request`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<PicoUsd>,
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
    /// Output spent on reasoning. Absent: it costs what other output costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<PicoUsd>,
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
    /// A thousand calls, whatever else they use. Absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<PicoUsd>,
    /// What is billed by the piece, for as many as [`Unit::lot`] says. Absent: not known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pieces: BTreeMap<Unit, PicoUsd>,
}

impl Rates {
    /// The same price for every token, whatever it is of.
    #[must_use]
    pub fn every_token(million: PicoUsd) -> Self {
        Self {
            input: Some(million),
            cache_write_1h: Some(million),
            cache_write_12h: Some(million),
            output: Some(million),
            input_audio: Some(million),
            cache_read_audio: Some(million),
            output_audio: Some(million),
            output_image: Some(million),
            ..Self::default()
        }
    }

    /// Every price that there is a word for.
    pub fn prices(&self) -> impl Iterator<Item = PicoUsd> {
        let words = [
            self.input,
            self.cache_read,
            self.cache_write,
            self.cache_write_1h,
            self.cache_write_12h,
            self.output,
            self.reasoning,
            self.input_audio,
            self.input_image,
            self.input_video,
            self.input_tool,
            self.cache_read_audio,
            self.cache_read_image,
            self.output_audio,
            self.output_image,
            self.request,
        ];
        words.into_iter().flatten().chain(self.pieces.values().copied())
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}
