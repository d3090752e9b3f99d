//! Prices on their way from a data set to the catalogue: one series of steps for each kind of token.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use weir_core::meter::catalogue::format::Rates;
use weir_core::units::PicoUsd;

/// A kind of token that has a price of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Input,
    CacheRead,
    CacheWrite,
    CacheWrite1h,
    CacheWrite12h,
    Output,
    InputAudio,
    InputImage,
    InputVideo,
    InputTool,
    CacheReadAudio,
    CacheReadImage,
    OutputAudio,
    OutputImage,
}

/// For each kind: the length of input above which a price holds, and that price for a million
/// tokens. Steps begin at 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table(pub(super) BTreeMap<Kind, BTreeMap<u64, PicoUsd>>);

/// What one data set says about one model.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) provider: String,
    pub(super) id: String,
    /// Other exact names.
    pub(super) aliases: Vec<String>,
    /// Beginnings of names that this model also answers to.
    pub(super) prefixes: Vec<String>,
    pub(super) standard: Table,
    /// By service tier. What one doesn't name is still as in `standard`.
    pub(super) tiers: BTreeMap<String, Table>,
}

impl Table {
    /// Takes from `other` the kinds that are missing here. Says whether there were any.
    pub(super) fn fill_from(&mut self, other: &Self) -> bool {
        let before = self.0.len();
        for (kind, steps) in &other.0 {
            self.0.entry(*kind).or_insert_with(|| steps.clone());
        }
        self.0.len() > before
    }

    /// Takes from the `standard` prices what a tier leaves as it is. That it has nothing to say of
    /// writes of a long life doesn't mean that: those stay unknown.
    pub(super) fn complete_from(&mut self, standard: &Self) {
        for kind in [Kind::Input, Kind::CacheRead, Kind::CacheWrite, Kind::Output] {
            if let Some(steps) = standard.0.get(&kind) {
                self.0.entry(kind).or_insert_with(|| steps.clone());
            }
        }
    }

    /// The kinds that both name at different prices, with the two.
    pub(super) fn disagreements(&self, other: &Self) -> Vec<String> {
        self.0
            .iter()
            .filter_map(|(kind, ours)| {
                let theirs = other.0.get(kind).filter(|theirs| *theirs != ours)?;
                Some(format!("{kind:?} {} / {}", show(ours), show(theirs)))
            })
            .collect()
    }

    /// As the catalogue writes it.
    pub(super) fn rates(&self) -> Result<Vec<Rates>> {
        let starts: BTreeSet<u64> =
            self.0.values().flat_map(|steps| steps.keys().copied()).collect();
        let at = |kind, start| {
            let (_, price) = self.0.get(&kind)?.range(..=start).next_back()?;
            Some(*price)
        };
        starts
            .into_iter()
            .map(|start| {
                Ok(Rates {
                    above: start,
                    input: at(Kind::Input, start).context("no price of input")?,
                    cache_read: at(Kind::CacheRead, start),
                    cache_write: at(Kind::CacheWrite, start),
                    cache_write_1h: at(Kind::CacheWrite1h, start),
                    cache_write_12h: at(Kind::CacheWrite12h, start),
                    output: at(Kind::Output, start),
                    input_audio: at(Kind::InputAudio, start),
                    input_image: at(Kind::InputImage, start),
                    input_video: at(Kind::InputVideo, start),
                    input_tool: at(Kind::InputTool, start),
                    cache_read_audio: at(Kind::CacheReadAudio, start),
                    cache_read_image: at(Kind::CacheReadImage, start),
                    output_audio: at(Kind::OutputAudio, start),
                    output_image: at(Kind::OutputImage, start),
                })
            })
            .collect()
    }
}

impl From<&[Rates]> for Table {
    fn from(rates: &[Rates]) -> Self {
        let mut table = Self::default();
        for rates in rates {
            for (kind, price) in [
                (Kind::Input, Some(rates.input)),
                (Kind::CacheRead, rates.cache_read),
                (Kind::CacheWrite, rates.cache_write),
                (Kind::CacheWrite1h, rates.cache_write_1h),
                (Kind::CacheWrite12h, rates.cache_write_12h),
                (Kind::Output, rates.output),
                (Kind::InputAudio, rates.input_audio),
                (Kind::InputImage, rates.input_image),
                (Kind::InputVideo, rates.input_video),
                (Kind::InputTool, rates.input_tool),
                (Kind::CacheReadAudio, rates.cache_read_audio),
                (Kind::CacheReadImage, rates.cache_read_image),
                (Kind::OutputAudio, rates.output_audio),
                (Kind::OutputImage, rates.output_image),
            ] {
                if let Some(price) = price {
                    table.0.entry(kind).or_default().insert(rates.above, price);
                }
            }
        }
        table
    }
}

/// `2.50, 5.00 above 272000`
pub(super) fn show(steps: &BTreeMap<u64, PicoUsd>) -> String {
    let steps: Vec<String> = steps
        .iter()
        .map(|(start, price)| match start {
            0 => price.to_string(),
            _ => format!("{price} above {start}"),
        })
        .collect();
    steps.join(", ")
}
