//! What can be wrong with prices.

use std::fmt;

use super::format::SCHEMA;

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
        /// The service tier, `off_peak` or `standard`.
        tier: String,
    },
    /// A name stands for two models of one provider.
    #[error("{0} is listed twice")]
    Twice(String),
    /// An entry of the host's own isn't of the right shape.
    #[error("price number {entry}: {source}")]
    Entry {
        /// Counted from 1.
        entry: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// An entry of the host's own can't be meant.
    #[error("price number {entry}: {reason}")]
    Meaning {
        /// Counted from 1.
        entry: usize,
        /// Why not.
        reason: &'static str,
    },
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
