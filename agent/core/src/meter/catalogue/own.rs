//! A host's own prices: negotiated discounts, subscriptions, models that it runs itself, and prices
//! of whatever the catalogue lacks. They are files of `prices.d`, JSON or TOML of the same shape:
//!
//! ```toml
//! [[price]]
//! provider = "openai"
//! model = "gpt-5*"
//! discount_percent = "12.5"
//!
//! [[price]]
//! host = "gpu-1.example:8000"
//! gpu_hour_usd = "2.50"
//! tokens_per_hour = 4_000_000
//! ```
//!
//! A file with the key `schema` is a price file such as `weir prices import` writes instead, whose rows
//! come after all entries.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::{CatalogueError, CatalogueErrors};
use super::format::{Factor, ModelRow, PriceFile, Rates};
use super::{Sale, checked, faults};
use crate::units::PicoUsd;

/// So many entries or rows a file may have.
const MOST: usize = 20_000;

/// What one file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnFile {
    /// `[[price]]`, in the order of the file.
    Entries(Vec<Own>),
    /// The rows of a price file.
    Rows(Vec<ModelRow>),
}

/// One entry: for which calls it holds, and what they cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Own {
    /// The provider, or any.
    pub provider: Option<String>,
    /// What the request's `Host` must be, in lower case, or anything. A `*` at the end stands for any
    /// end.
    pub host: Option<String>,
    /// Names of models, written likewise, or any model if there are none.
    pub models: Vec<String>,
    /// What they cost.
    pub terms: Terms,
}

/// What an entry says of the cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Terms {
    /// These prices.
    Row(Box<ModelRow>),
    /// So much of what the catalogue says: 1 less the discount.
    Discount(Factor),
    /// Nothing: a subscription covers it.
    Included,
}

impl Own {
    /// Whether it holds for a call of a model with these names.
    pub(super) fn covers(&self, sale: &Sale<'_>, names: &[String]) -> bool {
        let fits = |pattern: &str, text: &str| match pattern.strip_suffix('*') {
            Some(start) => text.starts_with(start),
            None => text == pattern,
        };
        let host = |pattern: &String| {
            sale.host.is_some_and(|host| fits(pattern, &host.to_ascii_lowercase()))
        };
        let named = |pattern: &String| names.iter().any(|name| fits(pattern, name));
        self.provider.as_ref().is_none_or(|provider| provider == sale.provider)
            && self.host.as_ref().is_none_or(host)
            && (self.models.is_empty() || self.models.iter().any(named))
    }
}

/// An entry as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    provider: Option<String>,
    host: Option<String>,
    model: Option<String>,
    standard: Option<Vec<Rates>>,
    #[serde(default)]
    tiers: BTreeMap<String, Vec<Rates>>,
    #[serde(default)]
    regions: BTreeMap<String, Factor>,
    discount_percent: Option<Factor>,
    included: Option<bool>,
    gpu_hour_usd: Option<PicoUsd>,
    tokens_per_hour: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entries {
    price: Vec<serde_json::Value>,
}

/// Reads one file.
///
/// # Errors
/// With everything that is wrong with it.
pub fn read(value: serde_json::Value) -> Result<OwnFile, CatalogueErrors> {
    let one = |error| CatalogueErrors(vec![CatalogueError::File(error)]);
    if value.get("schema").is_some() {
        let file: PriceFile<serde_json::Value> = serde_json::from_value(value).map_err(one)?;
        let (rows, _index) = checked(file, serde_json::from_value).map_err(CatalogueErrors)?;
        return Ok(OwnFile::Rows(rows));
    }
    let Entries { price } = serde_json::from_value(value).map_err(one)?;
    let mut errors = Vec::new();
    if price.len() > MOST {
        errors.push(CatalogueError::Meaning { entry: MOST, reason: "no more than these" });
    }
    let mut entries = Vec::new();
    for (entry, value) in (1..).zip(price.into_iter().take(MOST)) {
        match serde_json::from_value::<Entry>(value) {
            Ok(written) => match written.meaning() {
                Ok(own) => {
                    if let Terms::Row(row) = &own.terms {
                        errors.extend(faults(row));
                    }
                    entries.push(own);
                }
                Err(reason) => errors.push(CatalogueError::Meaning { entry, reason }),
            },
            Err(source) => errors.push(CatalogueError::Entry { entry, source }),
        }
    }
    if errors.is_empty() { Ok(OwnFile::Entries(entries)) } else { Err(CatalogueErrors(errors)) }
}

impl Entry {
    fn meaning(self) -> Result<Own, &'static str> {
        let said = [
            self.standard.is_some(),
            self.discount_percent.is_some(),
            self.included.is_some(),
            self.gpu_hour_usd.is_some(),
        ];
        if said.into_iter().filter(|said| *said).count() != 1 {
            return Err("one of standard, discount_percent, included and gpu_hour_usd is needed");
        }
        if self.tokens_per_hour.is_some() != self.gpu_hour_usd.is_some() {
            return Err("gpu_hour_usd and tokens_per_hour belong together");
        }
        if self.standard.is_none() && !(self.tiers.is_empty() && self.regions.is_empty()) {
            return Err("tiers and regions belong to standard");
        }
        if self.provider.is_none() && self.host.is_none() && self.model.is_none() {
            return Err("at least one of provider, host and model is needed");
        }
        let models: Vec<String> =
            self.model.iter().map(|model| model.to_ascii_lowercase()).collect();
        let row = |standard, tiers, regions| {
            Terms::Row(Box::new(ModelRow {
                provider: self.provider.clone().unwrap_or_default(),
                id: self.model.clone().unwrap_or_default(),
                aliases: Vec::new(),
                source: "own".to_owned(),
                supplement: None,
                taken: jiff::civil::Date::ZERO,
                standard,
                tiers,
                off_peak: None,
                regions,
            }))
        };
        // Whoever has prices of their own and names no region means every region.
        let anywhere = || BTreeMap::from([("*".to_owned(), Factor::ONE)]);
        let terms = if let Some(standard) = self.standard {
            let regions = if self.regions.is_empty() { anywhere() } else { self.regions };
            row(standard, self.tiers, regions)
        } else if let Some(percent) = self.discount_percent {
            Terms::Discount(percent.rest_of_percent().ok_or("a discount is 0 to 100 percent")?)
        } else if let Some(hour) = self.gpu_hour_usd {
            let tokens = self.tokens_per_hour.filter(|count| *count > 0);
            let tokens = tokens.ok_or("tokens_per_hour must be more than 0")?;
            let million = PicoUsd(hour.0.saturating_mul(1_000_000) / i128::from(tokens));
            row(vec![Rates::every_token(million)], BTreeMap::new(), anywhere())
        } else if self.included == Some(true) {
            Terms::Included
        } else {
            return Err("included can only be true");
        };
        Ok(Own {
            provider: self.provider,
            host: self.host.map(|host| host.to_ascii_lowercase()),
            models,
            terms,
        })
    }
}
