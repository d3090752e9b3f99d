//! Reads what `genai-prices` says: dollars for a million tokens, names as clauses, prices that
//! begin on a date, variants that override the standard price of each kind they name.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::amount::amount;
use super::seller;
use super::table::{Kind, Table};
use super::{Found, ImportError, Imported};
use crate::units::Unit;

const KINDS: &[(&str, Kind)] = &[
    ("input_mtok", Kind::Input),
    ("cache_read_mtok", Kind::CacheRead),
    ("cache_write_mtok", Kind::CacheWrite),
    ("cache_write_1h_mtok", Kind::CacheWrite1h),
    ("output_mtok", Kind::Output),
    ("output_reasoning_mtok", Kind::Reasoning),
    ("input_audio_mtok", Kind::InputAudio),
    ("input_image_mtok", Kind::InputImage),
    ("input_video_mtok", Kind::InputVideo),
    ("cache_audio_read_mtok", Kind::CacheReadAudio),
    ("cache_image_read_mtok", Kind::CacheReadImage),
    ("output_audio_mtok", Kind::OutputAudio),
    ("output_image_mtok", Kind::OutputImage),
    ("output_citation_mtok", Kind::Piece(Unit::CitationToken)),
    ("web_searches_kcount", Kind::Piece(Unit::WebSearch)),
    ("storage_searches_kcount", Kind::Piece(Unit::FileSearch)),
    ("audio_hours", Kind::Piece(Unit::AudioMs)),
    ("input_audio_hours", Kind::Piece(Unit::AudioMs)),
    ("input_mchars", Kind::Piece(Unit::Character)),
    ("input_document_kpages", Kind::Piece(Unit::Page)),
    ("requests_kcount", Kind::Request),
];

#[derive(Deserialize)]
struct Provider {
    id: String,
    models: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
    r#match: Value,
    prices: Value,
    #[serde(default)]
    price_variants: Option<Vec<Variant>>,
}

#[derive(Deserialize)]
struct Variant {
    when: BTreeMap<String, String>,
    prices: Map<String, Value>,
    constraint: Option<Constraint>,
}

#[derive(Deserialize)]
struct Conditional {
    prices: Map<String, Value>,
    constraint: Option<Constraint>,
}

/// When prices hold. Those of some hours have no date.
#[derive(Deserialize)]
struct Constraint {
    start_date: Option<Date>,
}

impl Constraint {
    fn has_begun(&self, today: Date) -> bool {
        self.start_date.is_some_and(|start| start <= today)
    }
}

/// Reads the list of providers, as of `today`.
///
/// # Errors
/// If it isn't one, or a price is no amount.
pub fn read(providers: Value, today: Date) -> Result<Imported, ImportError> {
    let providers: Vec<Provider> = serde_json::from_value(providers)?;
    let mut imported = Imported::default();
    for provider in providers {
        let Some((ours, suffix)) = seller::of_genai(&provider.id) else {
            imported.skipped.push(format!("provider {}", provider.id));
            continue;
        };
        for model in provider.models {
            // What Google sells of others' is sold on Vertex, of which LiteLLM says more.
            let elsewhere = ours == "gcp.gemini" && !model.id.starts_with("gem");
            let is_open_end = model.id.ends_with('-');
            let found = if elsewhere || is_open_end {
                None
            } else {
                of_model(ours, &suffix, &model, today, &mut imported.skipped)?
            };
            match found {
                Some(found) => imported.models.push(found),
                None => imported.skipped.push(format!("{ours} {}", model.id)),
            }
        }
    }
    Ok(imported)
}

fn of_model(
    provider: &str,
    suffix: &str,
    model: &Model,
    today: Date,
    skipped: &mut Vec<String>,
) -> Result<Option<Found>, ImportError> {
    let Some(prices) = current(&model.prices, today)? else { return Ok(None) };
    let standard = table(&model.id, &prices, skipped)?;
    let is_free = model.id.ends_with(":free");
    if standard.0.is_empty() || standard.is_nothing() && !is_free {
        return Ok(None);
    }
    let mut tiers = BTreeMap::new();
    for variant in model.price_variants.iter().flatten() {
        let begun = variant.constraint.as_ref().is_none_or(|limit| limit.has_begun(today));
        let tier = match variant.when.iter().next() {
            Some((key, tier)) if variant.when.len() == 1 && is_tier(key) => tier,
            _ => {
                skipped.push(format!("{} when {:?}", model.id, variant.when));
                continue;
            }
        };
        if begun && tier != "default" {
            let prices = table(&model.id, &variant.prices, skipped)?;
            // The first that holds counts.
            tiers.entry(tier.clone()).or_insert(prices);
        }
    }
    let (mut aliases, mut prefixes) = (Vec::new(), Vec::new());
    names(&model.r#match, &mut aliases, &mut prefixes);
    let name = |name: &String| format!("{}{suffix}", name.to_lowercase());
    Ok(Some(Found {
        provider: provider.to_owned(),
        id: name(&model.id),
        aliases: aliases.iter().map(name).collect(),
        prefixes: if suffix.is_empty() { prefixes } else { Vec::new() },
        standard,
        tiers,
        off_peak: None,
        regions: BTreeMap::new(),
    }))
}

fn is_tier(key: &str) -> bool {
    matches!(key, "service_tier" | "processing" | "speed")
}

/// The prices that hold today: the last of those that have begun. Those of some hours of the day are
/// left to whoever knows of weekdays, too.
fn current(prices: &Value, today: Date) -> Result<Option<Map<String, Value>>, ImportError> {
    let Value::Array(_) = prices else {
        return Ok(Some(Map::deserialize(prices)?));
    };
    let all = Vec::<Conditional>::deserialize(prices)?;
    let begun = |price: &Conditional| price.constraint.as_ref().is_none_or(|l| l.has_begun(today));
    Ok(all.into_iter().rfind(begun).map(|price| price.prices))
}

fn table(
    model: &str,
    prices: &Map<String, Value>,
    skipped: &mut Vec<String>,
) -> Result<Table, ImportError> {
    let mut table = Table::default();
    for (key, price) in prices.iter().filter(|(_, price)| !price.is_null()) {
        let Some((_, kind)) = KINDS.iter().find(|(name, _)| name == key) else {
            skipped.push(format!("{model} {key}"));
            continue;
        };
        let wrong = || ImportError::Amount { model: model.to_owned(), key: key.clone() };
        let base = price.get("base").unwrap_or(price);
        table.set(*kind, 0, amount(base, 0).ok_or_else(wrong)?);
        for tier in price.get("tiers").and_then(Value::as_array).into_iter().flatten() {
            let start = tier.get("start").and_then(Value::as_u64).ok_or_else(wrong)?;
            let price = tier.get("price").and_then(|price| amount(price, 0)).ok_or_else(wrong)?;
            table.set(*kind, start, price);
        }
    }
    Ok(table)
}

/// Collects names and beginnings of names. What else a clause may say (a pattern, a part of a
/// name) is either a release date, which lookup takes off by itself, or a guess.
fn names(clause: &Value, exact: &mut Vec<String>, prefixes: &mut Vec<String>) {
    if let Some(name) = clause.get("equals").and_then(Value::as_str) {
        exact.push(name.to_lowercase());
    }
    if let Some(prefix) = clause.get("starts_with").and_then(Value::as_str) {
        prefixes.push(prefix.to_lowercase());
    }
    for clause in clause.get("or").and_then(Value::as_array).into_iter().flatten() {
        names(clause, exact, prefixes);
    }
}
