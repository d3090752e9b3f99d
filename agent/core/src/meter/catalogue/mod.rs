//! What models cost. The catalogue that is built in comes from `packaging/prices.json`; a host may
//! have prices of its own beside it, see [`own`].
//!
//! A model is looked up in this order, and what isn't found has no price:
//!
//! 1. what the host's own files say;
//! 2. the exact name among the provider's, in the call's region where that has a row of its own;
//! 3. the name without a maker's or a region's prefix, then also without the date of its release, or
//!    `ft:` and the model that was tuned;
//! 4. a name whose end is open (`…*`), the longest first;
//! 5. the same names at the providers whose models this one relays at their own prices.
//!
//! `name.rs` has the rules. Nothing is matched by likeness.

mod cost;
mod error;
pub mod format;
pub mod import;
mod index;
mod name;
pub mod own;
mod terms;

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::provider::PriceContext;
use crate::units::{Counts, PicoUsd, Timestamp, Tokens};
pub use error::{CatalogueError, CatalogueErrors};
use format::{ModelRow, PriceFile, Rates, SCHEMA};
use index::Index;
pub use name::without_date;
use own::{Own, OwnFile};
use terms::Terms;

/// The text of the catalogue that this program was built with.
pub const BUILTIN: &str = include_str!("../../../../../packaging/prices.json");

/// The prices of all models that we know prices of.
#[derive(Debug)]
pub struct Catalogue {
    version: String,
    rows: Vec<ModelRow>,
    index: Index,
    own: Vec<Own>,
    own_rows: Vec<ModelRow>,
    own_index: Index,
}

/// A call, as far as its price depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Sale<'a> {
    /// OpenTelemetry's `gen_ai.provider.name`.
    pub provider: &'a str,
    /// What the request's `Host` said.
    pub host: Option<&'a str>,
    /// The model that served.
    pub model: &'a str,
    /// What the provider says of how it was served.
    pub context: &'a PriceContext,
    /// When it ended, which is the time that providers with off-peak prices go by.
    pub at: Timestamp,
}

/// Whose price it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The catalogue that is built in.
    Table,
    /// The host's own files.
    Own,
    /// The host's own files, which say that a subscription covers it.
    Included,
}

/// What a call costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// All that has a price.
    pub cost: PicoUsd,
    /// Everything had one. Otherwise pieces were used that have none, and `cost` is a lower bound.
    pub complete: bool,
    /// Whose price it is.
    pub origin: Origin,
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
        let file: PriceFile<&RawValue> = serde_json::from_str(text)
            .map_err(|error| CatalogueErrors(vec![CatalogueError::File(error)]))?;
        let date = file.date;
        let (rows, index) =
            checked(file, |row| serde_json::from_str(row.get())).map_err(CatalogueErrors)?;
        let version = format!("{date}-{}", short_hash(text.as_bytes()));
        let (own, own_rows, own_index) = (Vec::new(), Vec::new(), Index::default());
        Ok(Self { version, rows, index, own, own_rows, own_index })
    }

    /// Lets the host's own files win: first their entries, earlier ones over later ones, then their rows. `text` is all that they say, for
    /// the version.
    ///
    /// # Errors
    /// If two of their rows have one name.
    pub fn with_own(mut self, files: Vec<OwnFile>, text: &str) -> Result<Self, CatalogueErrors> {
        if files.is_empty() {
            return Ok(self);
        }
        for file in files {
            match file {
                OwnFile::Entries(entries) => self.own.extend(entries),
                OwnFile::Rows(rows) => self.own_rows.extend(rows),
            }
        }
        self.own_index =
            Index::of(&self.own_rows).map_err(|names| CatalogueErrors(twice(names)))?;
        self.version = format!("{}+{}", self.version, short_hash(text.as_bytes()));
        Ok(self)
    }

    /// The file's date and the first 32 bits of the SHA-256 of its text, `2026-11-23-1a2b3c4d`; with
    /// `+` and the same of the host's own files behind it, if there are any.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Every model, in the file's order.
    #[must_use]
    pub fn rows(&self) -> &[ModelRow] {
        &self.rows
    }

    /// The entries of the host's own files, in the order in which they are tried.
    #[must_use]
    pub fn own(&self) -> &[Own] {
        &self.own
    }

    /// The rows of the host's own files, which come before those of the same name and provider here.
    #[must_use]
    pub fn own_rows(&self) -> &[ModelRow] {
        &self.own_rows
    }

    /// Finds what `provider` calls `model` where it is sold in `region`.
    #[must_use]
    pub fn find(&self, provider: &str, model: &str, region: Option<&str>) -> Option<&ModelRow> {
        self.index.find(provider, model, region).and_then(|index| self.rows.get(index))
    }

    /// What `tokens` and `counts` cost; `None` if that isn't known.
    #[must_use]
    pub fn quote(&self, sale: &Sale<'_>, tokens: &Tokens, counts: &Counts) -> Option<Quote> {
        let names = name::candidates(sale.model);
        let Some(own) = self.own.iter().find(|own| own.covers(sale, &names)) else {
            return self.listed(sale, tokens, counts);
        };
        match &own.terms {
            own::Terms::Included => {
                Some(Quote { cost: PicoUsd::ZERO, complete: true, origin: Origin::Included })
            }
            own::Terms::Row(row) => price(row, sale, tokens, counts, Origin::Own),
            own::Terms::Discount(rest) => {
                let listed = self.listed(sale, tokens, counts)?;
                let cost = PicoUsd(scaled(listed.cost.0, i128::from(rest.millionths())));
                Some(Quote { cost, origin: Origin::Own, ..listed })
            }
        }
    }

    /// What the rows say, the host's own first.
    fn listed(&self, sale: &Sale<'_>, tokens: &Tokens, counts: &Counts) -> Option<Quote> {
        let region = sale.context.region.as_deref();
        let own = self.own_index.sold_by(sale.provider, sale.model, region);
        match own.and_then(|index| self.own_rows.get(index)) {
            Some(row) => price(row, sale, tokens, counts, Origin::Own),
            None => {
                let row = self.find(sale.provider, sale.model, region)?;
                price(row, sale, tokens, counts, Origin::Table)
            }
        }
    }
}

/// What a row says of a call.
fn price(
    row: &ModelRow,
    sale: &Sale<'_>,
    tokens: &Tokens,
    counts: &Counts,
    origin: Origin,
) -> Option<Quote> {
    let rates = match terms::of(sale.context) {
        Terms::Standard => match &row.off_peak {
            Some(low) if low.windows.iter().any(|window| window.holds(sale.at)) => &low.rates,
            Some(_) | None => &row.standard,
        },
        Terms::Tier(tier) => row.tiers.get(tier)?,
        Terms::Unknown => return None,
    };
    let factor = terms::factor(&row.regions, sale.context.region.as_deref())?;
    let price = cost::cost(rates, factor, tokens, counts)?;
    Some(Quote { cost: price.cost, complete: price.complete, origin })
}

/// `amount` times so many millionths, a half rounded up.
const fn scaled(amount: i128, millionths: i128) -> i128 {
    amount.saturating_mul(millionths).saturating_add(500_000) / 1_000_000
}

/// The rows of a price file, each read by `read` so that it can have an error of its own, checked, with their
/// names.
fn checked<M>(
    file: PriceFile<M>,
    read: impl Fn(M) -> serde_json::Result<ModelRow>,
) -> Result<(Vec<ModelRow>, Index), Vec<CatalogueError>> {
    if file.schema != SCHEMA {
        return Err(vec![CatalogueError::Schema(file.schema)]);
    }
    let mut errors = Vec::new();
    let mut rows = Vec::new();
    for (index, value) in file.models.into_iter().enumerate() {
        let row = match read(value) {
            Ok(row) => row.shrunk(),
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
        errors.extend(faults(&row));
        rows.push(row);
    }
    match Index::of(&rows) {
        Ok(index) if errors.is_empty() => Ok((rows, index)),
        Ok(_) => Err(errors),
        Err(names) => {
            errors.extend(twice(names));
            Err(errors)
        }
    }
}

fn twice(names: Vec<String>) -> Vec<CatalogueError> {
    names.into_iter().map(CatalogueError::Twice).collect()
}

/// Which of a row's prices are missing, out of order or out of bounds.
fn faults(row: &ModelRow) -> Vec<CatalogueError> {
    let off_peak = row.off_peak.iter().map(|low| ("off_peak", &low.rates));
    let tiers = row.tiers.iter().map(|(tier, rates)| (tier.as_str(), rates));
    let all = tiers.chain(off_peak).chain([("standard", &row.standard)]);
    all.filter(|(_, rates)| !are_well_formed(rates))
        .map(|(tier, _)| CatalogueError::Rates { model: row.id.clone(), tier: tier.to_owned() })
        .collect()
}

/// Whether there is a rate for every length of input, in order, and all are amounts in bounds.
fn are_well_formed(rates: &[Rates]) -> bool {
    let ordered = rates.is_sorted_by(|a, b| a.above < b.above);
    let complete = rates.first().is_some_and(|first| first.above == 0);
    let bounded = rates.iter().all(|rates| {
        rates.prices().all(|price| (PicoUsd::ZERO..=cost::LARGEST_RATE).contains(&price))
    });
    ordered && complete && bounded
}

/// The first 32 bits of SHA-256.
fn short_hash(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
