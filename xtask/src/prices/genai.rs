//! Reads what `genai-prices` says: dollars for a million tokens, names as clauses, prices that
//! begin on a date, variants that override the standard price of each kind they name.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use jiff::civil::Date;
use serde::Deserialize;
use serde_json::{Map, Value};
use weir_core::units::PicoUsd;

use super::table::{Found, Kind, Table};

#[derive(Deserialize)]
struct Model {
    id: String,
    r#match: Value,
    prices: Value,
    #[serde(default)]
    price_variants: Vec<Variant>,
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Constraint {
    start_date: Date,
}

/// Reads `{provider: [model, …]}` as of `today`. Models of which anything but text tokens is
/// billed are left out and named in `skipped`.
pub(super) fn read(models: Value, today: Date, skipped: &mut Vec<String>) -> Result<Vec<Found>> {
    let providers: BTreeMap<String, Vec<Model>> = serde_json::from_value(models)?;
    let mut found = Vec::new();
    for (provider, models) in providers {
        for model in models {
            let prices = current(&model.prices, today).with_context(|| model.id.clone())?;
            let foreign =
                |text: &str| ["audio", "image", "tts"].iter().any(|word| text.contains(word));
            let is_open_end = model.id.ends_with('-');
            let billed_otherwise = foreign(&model.id) || prices.keys().any(|key| foreign(key));
            if !prices.contains_key("input_mtok") || billed_otherwise || is_open_end {
                skipped.push(model.id);
                continue;
            }
            found.push(read_model(&provider, model, &prices, today, skipped)?);
        }
    }
    Ok(found)
}

fn read_model(
    provider: &str,
    model: Model,
    prices: &Map<String, Value>,
    today: Date,
    skipped: &mut Vec<String>,
) -> Result<Found> {
    let context = || model.id.clone();
    let standard = table(prices).with_context(context)?;
    let mut tiers = BTreeMap::new();
    for variant in &model.price_variants {
        let begun = variant.constraint.as_ref().is_none_or(|limit| limit.start_date <= today);
        let tier = match variant.when.iter().next() {
            Some((key, tier)) if key == "service_tier" && variant.when.len() == 1 => tier,
            Some((key, batch)) if key == "processing" && batch == "batch" => batch,
            _ => {
                skipped.push(format!("{} when {:?}", model.id, variant.when));
                continue;
            }
        };
        if !begun || tier == "default" {
            continue;
        }
        let prices = table(&variant.prices).with_context(context)?;
        tiers.entry(tier.clone()).or_insert(prices);
    }
    let (mut aliases, mut prefixes) = (Vec::new(), Vec::new());
    names(&model.r#match, &mut aliases, &mut prefixes);
    Ok(Found { provider: provider.to_owned(), id: model.id, aliases, prefixes, standard, tiers })
}

/// The prices that hold today: the last of those that have begun.
fn current(prices: &Value, today: Date) -> Result<Map<String, Value>> {
    match prices {
        Value::Object(prices) => Ok(prices.clone()),
        Value::Array(_) => Vec::<Conditional>::deserialize(prices)?
            .into_iter()
            .rfind(|price| price.constraint.as_ref().is_none_or(|limit| limit.start_date <= today))
            .map(|price| price.prices)
            .context("no price has begun"),
        _ => bail!("prices of an unknown shape"),
    }
}

fn table(prices: &Map<String, Value>) -> Result<Table> {
    let mut table = Table::default();
    for (key, kind) in [
        ("input_mtok", Kind::Input),
        ("cache_read_mtok", Kind::CacheRead),
        ("cache_write_mtok", Kind::CacheWrite),
        ("cache_write_1h_mtok", Kind::CacheWrite1h),
        ("output_mtok", Kind::Output),
    ] {
        let Some(price) = prices.get(key) else { continue };
        let mut steps = BTreeMap::new();
        steps.insert(0, amount(price.get("base").unwrap_or(price))?);
        for tier in price.get("tiers").and_then(Value::as_array).into_iter().flatten() {
            let start = tier["start"].as_u64().context("a tier without a start")?;
            steps.insert(start, amount(&tier["price"])?);
        }
        table.0.insert(kind, steps);
    }
    Ok(table)
}

fn amount(value: &Value) -> Result<PicoUsd> {
    let text = value.as_str().with_context(|| format!("{value} is no amount"))?;
    text.parse().with_context(|| text.to_owned())
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
