//! Prices on their way from a data set to the catalogue: one series of steps for each kind of token
//! or piece.

use std::collections::{BTreeMap, BTreeSet};

use super::super::format::{Factor, Rates};
use super::super::scaled;
use crate::units::{PicoUsd, Unit};

/// What has a price of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// [`Rates::input`], and so on.
    Input,
    /// Read from the cache.
    CacheRead,
    /// Written to the cache.
    CacheWrite,
    /// Written for an hour.
    CacheWrite1h,
    /// Written for 12 hours.
    CacheWrite12h,
    /// Output.
    Output,
    /// Output spent on reasoning.
    Reasoning,
    /// Sound taken in.
    InputAudio,
    /// Images taken in.
    InputImage,
    /// Video taken in.
    InputVideo,
    /// What the provider's tools put in.
    InputTool,
    /// Sound read from the cache.
    CacheReadAudio,
    /// Images read from the cache.
    CacheReadImage,
    /// Sound put out.
    OutputAudio,
    /// Images put out.
    OutputImage,
    /// A thousand calls.
    Request,
    /// A lot of pieces.
    Piece(Unit),
}

/// For each kind: the length of input above which a price holds, and that price. Steps begin at 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table(pub BTreeMap<Kind, BTreeMap<u64, PicoUsd>>);

impl Kind {
    /// Whether it is charged for a token.
    const fn is_of_tokens(self) -> bool {
        !matches!(self, Self::Request | Self::Piece(_))
    }
}

impl Table {
    /// Sets the price of a kind from an input of this length on.
    pub fn set(&mut self, kind: Kind, above: u64, price: PicoUsd) {
        self.0.entry(kind).or_default().insert(above, price);
    }

    /// Takes from `other` the kinds that are missing here. Says whether there were any.
    pub fn fill_from(&mut self, other: &Self) -> bool {
        let before = self.0.len();
        for (kind, steps) in &other.0 {
            self.0.entry(*kind).or_insert_with(|| steps.clone());
        }
        self.0.len() > before
    }

    /// Takes from the `standard` prices what a tier leaves as it is: tokens of text, and the tools of
    /// the provider. That it has nothing to say of writes of a long life, or of sound, doesn't mean
    /// that: those stay unknown.
    pub fn complete_from(&mut self, standard: &Self) {
        for kind in [
            Kind::Input,
            Kind::CacheRead,
            Kind::CacheWrite,
            Kind::Output,
            Kind::Request,
            Kind::Piece(Unit::WebSearch),
            Kind::Piece(Unit::FileSearch),
            Kind::Piece(Unit::Maps),
        ] {
            if let Some(steps) = standard.0.get(&kind) {
                self.0.entry(kind).or_insert_with(|| steps.clone());
            }
        }
    }

    /// The kinds that both name at different prices, with the two.
    #[must_use]
    pub fn disagreements(&self, other: &Self) -> Vec<String> {
        self.0
            .iter()
            .filter_map(|(kind, ours)| {
                let theirs = other.0.get(kind).filter(|theirs| *theirs != ours)?;
                Some(format!("{kind:?} {} / {}", show(ours), show(theirs)))
            })
            .collect()
    }

    /// Whether every price is 0, which as often means that nobody knows one.
    pub(super) fn is_nothing(&self) -> bool {
        self.0.values().flat_map(BTreeMap::values).all(|price| *price == PicoUsd::ZERO)
    }

    /// Leaves out tokens at no price beside something that has one: the model isn't sold by them.
    pub(super) fn drop_free_tokens(&mut self) {
        let free = self.0.iter().filter(|(kind, _)| kind.is_of_tokens());
        let mut prices = free.flat_map(|(_, steps)| steps.values());
        if prices.all(|price| *price == PicoUsd::ZERO) {
            self.0.retain(|kind, _| !kind.is_of_tokens());
        }
    }

    /// All prices of tokens times `factor`.
    pub(super) fn times(&self, factor: Factor) -> Self {
        let mut table = self.clone();
        for (_, steps) in table.0.iter_mut().filter(|(kind, _)| kind.is_of_tokens()) {
            for price in steps.values_mut() {
                *price = PicoUsd(scaled(price.0, i128::from(factor.millionths())));
            }
        }
        table
    }

    /// As the catalogue writes it; `None` if there is nothing that holds for a short input, or not
    /// all of what does for a long one.
    #[must_use]
    pub fn rates(&self) -> Option<Vec<Rates>> {
        let starts: BTreeSet<u64> =
            self.0.values().flat_map(|steps| steps.keys().copied()).collect();
        let is_sold_by_token = self.0.keys().any(|kind| kind.is_of_tokens());
        let plain = [Kind::Input, Kind::Output];
        let complete = (!is_sold_by_token || self.0.contains_key(&Kind::Input))
            && plain.iter().filter_map(|kind| self.0.get(kind)).all(|s| s.contains_key(&0));
        if starts.first() != Some(&0) || !complete {
            return None;
        }
        let at = |kind, start| {
            let (_, price) = self.0.get(&kind)?.range(..=start).next_back()?;
            Some(*price)
        };
        let rates = starts.into_iter().map(|above| Rates {
            above,
            input: at(Kind::Input, above),
            cache_read: at(Kind::CacheRead, above),
            cache_write: at(Kind::CacheWrite, above),
            cache_write_1h: at(Kind::CacheWrite1h, above),
            cache_write_12h: at(Kind::CacheWrite12h, above),
            output: at(Kind::Output, above),
            reasoning: at(Kind::Reasoning, above),
            input_audio: at(Kind::InputAudio, above),
            input_image: at(Kind::InputImage, above),
            input_video: at(Kind::InputVideo, above),
            input_tool: at(Kind::InputTool, above),
            cache_read_audio: at(Kind::CacheReadAudio, above),
            cache_read_image: at(Kind::CacheReadImage, above),
            output_audio: at(Kind::OutputAudio, above),
            output_image: at(Kind::OutputImage, above),
            request: at(Kind::Request, above),
            pieces: Unit::ALL
                .into_iter()
                .filter_map(|unit| Some((unit, at(Kind::Piece(unit), above)?)))
                .collect(),
        });
        Some(rates.collect())
    }
}

impl From<&[Rates]> for Table {
    fn from(rates: &[Rates]) -> Self {
        let mut table = Self::default();
        for rates in rates {
            let words = [
                (Kind::Input, rates.input),
                (Kind::CacheRead, rates.cache_read),
                (Kind::CacheWrite, rates.cache_write),
                (Kind::CacheWrite1h, rates.cache_write_1h),
                (Kind::CacheWrite12h, rates.cache_write_12h),
                (Kind::Output, rates.output),
                (Kind::Reasoning, rates.reasoning),
                (Kind::InputAudio, rates.input_audio),
                (Kind::InputImage, rates.input_image),
                (Kind::InputVideo, rates.input_video),
                (Kind::InputTool, rates.input_tool),
                (Kind::CacheReadAudio, rates.cache_read_audio),
                (Kind::CacheReadImage, rates.cache_read_image),
                (Kind::OutputAudio, rates.output_audio),
                (Kind::OutputImage, rates.output_image),
                (Kind::Request, rates.request),
            ];
            let pieces =
                rates.pieces.iter().map(|(unit, price)| (Kind::Piece(*unit), Some(*price)));
            for (kind, price) in words.into_iter().chain(pieces) {
                if let Some(price) = price {
                    table.set(kind, rates.above, price);
                }
            }
        }
        table
    }
}

/// `2.50, 5.00 above 272000`
#[must_use]
pub fn show(steps: &BTreeMap<u64, PicoUsd>) -> String {
    let steps: Vec<String> = steps
        .iter()
        .map(|(start, price)| match start {
            0 => price.to_string(),
            _ => format!("{price} above {start}"),
        })
        .collect();
    steps.join(", ")
}
