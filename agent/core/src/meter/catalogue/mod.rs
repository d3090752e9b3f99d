//! What models cost. The catalogue that is built in comes from `packaging/prices.json`.
//!
//! A model is looked up by its exact name, then by the name without its maker's prefix, then also
//! without the date of its release; `name.rs` has the rules. What isn't found has no price, and a
//! model bought from somebody else than its maker isn't looked up at all: resellers have prices of
//! their own.

mod cost;
pub mod format;
mod name;
mod terms;

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use sha2::{Digest, Sha256};

use crate::provider::PriceContext;
use crate::units::{PicoUsd, Tokens};
use format::{ModelRow, PriceFile, Rates, SCHEMA};
pub use name::without_date;
use terms::Terms;

const BUILTIN: &str = include_str!("../../../../../packaging/prices.json");

/// The prices of all models that we know prices of.
#[derive(Debug)]
pub struct Catalogue {
    version: String,
    providers: BTreeSet<String>,
    rows: Vec<ModelRow>,
    /// Every id and alias; values are indexes of `rows`.
    names: HashMap<String, usize>,
}

impl Catalogue {
    /// The catalogue that this program was built with.
    ///
    /// # Errors
    /// If it is wrong, which a test rules out.
    pub fn builtin() -> Result<Self, CatalogueErrors> {
        Self::parse(BUILTIN)
    }

    /// Reads a price file.
    ///
    /// # Errors
    /// With everything that is wrong with it, not only the first.
    pub fn parse(text: &str) -> Result<Self, CatalogueErrors> {
        let file: PriceFile<serde_json::Value> = serde_json::from_str(text)
            .map_err(|error| CatalogueErrors(vec![CatalogueError::File(error)]))?;
        if file.schema != SCHEMA {
            return Err(CatalogueErrors(vec![CatalogueError::Schema(file.schema)]));
        }
        let mut errors = Vec::new();
        let mut rows = Vec::new();
        let mut names = HashMap::new();
        for (index, value) in file.models.into_iter().enumerate() {
            let row: ModelRow = match serde_json::from_value(value) {
                Ok(row) => row,
                Err(source) => {
                    errors.push(CatalogueError::Row { row: index + 1, source });
                    continue;
                }
            };
            for source in [Some(&row.source), row.supplement.as_ref()].into_iter().flatten() {
                if !file.sources.contains_key(source) {
                    let (model, name) = (row.id.clone(), source.clone());
                    errors.push(CatalogueError::Source { model, name });
                }
            }
            let tiers = row.tiers.iter().map(|(tier, rates)| (tier.as_str(), rates));
            for (tier, rates) in tiers.chain([("standard", &row.standard)]) {
                if !are_well_formed(rates) {
                    let (model, tier) = (row.id.clone(), tier.to_owned());
                    errors.push(CatalogueError::Rates { model, tier });
                }
            }
            for name in row.aliases.iter().chain([&row.id]) {
                if names.insert(name.to_ascii_lowercase(), rows.len()).is_some() {
                    errors.push(CatalogueError::Twice(name.clone()));
                }
            }
            rows.push(row);
        }
        if !errors.is_empty() {
            return Err(CatalogueErrors(errors));
        }
        let digest = Sha256::digest(text.as_bytes());
        let hash: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let providers = rows.iter().map(|row| row.provider.clone()).collect();
        Ok(Self { version: format!("{}-{hash}", file.date), providers, rows, names })
    }

    /// The file's date and the first 32 bits of the SHA-256 of its text: `2026-11-23-1a2b3c4d`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Every model, in the file's order.
    #[must_use]
    pub fn rows(&self) -> &[ModelRow] {
        &self.rows
    }

    /// Finds what `provider` calls `model`. A provider of whom no price is known sells nothing here.
    /// The others may relay each other's models (a gateway's provider is known only by the form it
    /// speaks), and names are unique among them.
    #[must_use]
    pub fn find(&self, provider: &str, model: &str) -> Option<&ModelRow> {
        if !self.providers.contains(provider) {
            return None;
        }
        name::candidates(model, self.providers.iter().map(String::as_str))
            .iter()
            .find_map(|name| self.names.get(name))
            .and_then(|&index| self.rows.get(index))
    }

    /// What `tokens` of `model` cost under these conditions; `None` if that isn't known.
    #[must_use]
    pub fn cost(
        &self,
        provider: &str,
        model: &str,
        context: &PriceContext,
        tokens: &Tokens,
    ) -> Option<PicoUsd> {
        let row = self.find(provider, model)?;
        let rates = match terms::of(context) {
            Terms::Standard => &row.standard,
            Terms::Tier(tier) => row.tiers.get(tier)?,
            Terms::Unknown => return None,
        };
        cost::cost(rates, tokens)
    }
}

/// Whether there is a rate for every length of input, in order, and all are amounts in bounds.
fn are_well_formed(rates: &[Rates]) -> bool {
    let ordered = rates.is_sorted_by(|a, b| a.above < b.above);
    let complete = rates.first().is_some_and(|first| first.above == 0);
    let bounded = rates.iter().all(|rates| {
        let mut prices = rates.prices().into_iter().flatten();
        prices.all(|price| (PicoUsd::ZERO..=cost::LARGEST_RATE).contains(&price))
    });
    ordered && complete && bounded
}

/// Something wrong with a price file.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// It isn't JSON, or not of the right shape.
    #[error("not a price file: {0}")]
    File(#[source] serde_json::Error),
    /// It is of another version of the format.
    #[error("schema {0} is not the one this program reads, {SCHEMA}")]
    Schema(u32),
    /// A row isn't of the right shape.
    #[error("model number {row}: {source}")]
    Row {
        /// Counted from 1.
        row: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A row refers to a source that the file doesn't name.
    #[error("{model}: no source is called {name:?}")]
    Source {
        /// The row's id.
        model: String,
        /// What it refers to.
        name: String,
    },
    /// Prices are missing, out of order or out of bounds.
    #[error("{model}: prices {tier:?} must begin at 0 tokens, rise in `above` and be 0 to 100000")]
    Rates {
        /// The row's id.
        model: String,
        /// The service tier, or `standard`.
        tier: String,
    },
    /// A name stands for two models.
    #[error("{0} is listed twice")]
    Twice(String),
}

/// Everything that is wrong with a price file. Never empty.
#[derive(Debug, thiserror::Error)]
pub struct CatalogueErrors(pub Vec<CatalogueError>);

impl fmt::Display for CatalogueErrors {
    /// One error a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
