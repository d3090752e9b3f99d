//! Reads what others publish of prices, to make rows of the catalogue of it: LiteLLM's
//! `model_prices_and_context_window.json` and the data of genai-prices. What has no word in the format
//! is left out and named.

mod amount;
mod genai;
mod litellm;
mod seller;
mod table;

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::format::{Factor, ModelRow, OffPeak, Window};
pub use genai::read as genai_prices;
pub use litellm::read as litellm;
pub use table::{Kind, Table, show};

/// What one data set says about one model.
#[derive(Clone, Debug)]
pub struct Found {
    /// OpenTelemetry's `gen_ai.provider.name`.
    pub provider: String,
    /// The name on the wire, in lower case.
    pub id: String,
    /// Other exact names.
    pub aliases: Vec<String>,
    /// Beginnings of names that this model also answers to.
    pub prefixes: Vec<String>,
    /// What holds where nothing else does.
    pub standard: Table,
    /// By service tier. What one doesn't name is still as in `standard`.
    pub tiers: BTreeMap<String, Table>,
    /// Hours at which other prices hold, of which likewise.
    pub off_peak: Option<(Vec<Window>, Table)>,
    /// What prices of tokens are multiplied by in a region.
    pub regions: BTreeMap<String, Factor>,
}

/// All that one data set says.
#[derive(Debug, Default)]
pub struct Imported {
    /// The models, in no particular order.
    pub models: Vec<Found>,
    /// What was left out, a line each.
    pub skipped: Vec<String>,
}

/// A file is not what it was said to be.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It isn't JSON, or not of the data set's shape.
    #[error("not of the data set's shape: {0}")]
    Shape(#[from] serde_json::Error),
    /// A price is no amount of dollars.
    #[error("{model}: {key} is no amount")]
    Amount {
        /// The model's name in the data set.
        model: String,
        /// The name of the price.
        key: String,
    },
}

impl Found {
    /// The row of the catalogue; `None` if there is no price that always holds.
    #[must_use]
    pub fn into_row(
        mut self,
        source: &str,
        supplement: Option<&str>,
        taken: Date,
    ) -> Option<ModelRow> {
        let standard = self.standard.rates()?;
        // A tier of which only the prices of long inputs are known has none.
        let tiers = self.tiers.into_iter().filter_map(|(tier, mut table)| {
            table.complete_from(&self.standard);
            Some((tier, table.rates()?))
        });
        let tiers = tiers.collect();
        let off_peak = match self.off_peak {
            Some((windows, mut table)) => {
                table.complete_from(&self.standard);
                Some(OffPeak { windows, rates: table.rates()? })
            }
            None => None,
        };
        self.aliases.sort();
        self.aliases.dedup();
        self.aliases.retain(|alias| *alias != self.id);
        Some(ModelRow {
            provider: self.provider,
            id: self.id,
            aliases: self.aliases,
            source: source.to_owned(),
            supplement: supplement.map(str::to_owned),
            taken,
            standard,
            tiers,
            off_peak,
            regions: self.regions,
        })
    }
}

#[cfg(test)]
mod tests;
