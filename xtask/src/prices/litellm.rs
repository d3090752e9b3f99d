//! Reads what LiteLLM's model map says: dollars for one token, exact names, variants as suffixes.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;
use weir_core::units::PicoUsd;

use super::table::{Found, Kind, Table};

const KINDS: &[(&str, Kind)] = &[
    ("cache_creation_input_token_cost_above_12hr", Kind::CacheWrite12h),
    ("cache_creation_input_token_cost_above_1hr", Kind::CacheWrite1h),
    ("cache_creation_input_token_cost", Kind::CacheWrite),
    ("cache_read_input_token_cost", Kind::CacheRead),
    ("input_cost_per_token", Kind::Input),
    ("output_cost_per_token", Kind::Output),
];

/// Suffix → the tier's name on the wire.
const TIERS: &[(&str, &str)] = &[
    ("_batches", "batch"),
    ("_flex", "flex"),
    ("_priority", "priority"),
    ("_ultrafast", "ultrafast"),
];

/// Reads `{name: row}`. Models of which anything but text tokens is billed are left out and named
/// in `skipped`, as are prices whose meaning isn't known.
pub(super) fn read(models: Value, skipped: &mut Vec<String>) -> Result<Vec<Found>> {
    let models: BTreeMap<String, BTreeMap<String, Value>> = serde_json::from_value(models)?;
    let mut found = Vec::new();
    for (id, row) in models {
        let text = |key: &str| row.get(key).and_then(Value::as_str);
        let mode = text("mode").unwrap_or_default();
        let foreign =
            row.keys().any(|key| key.contains("audio_token") || key.contains("image_token"));
        if !matches!(mode, "chat" | "responses" | "embedding" | "completion")
            || !row.contains_key("input_cost_per_token")
            || foreign
        {
            skipped.push(id);
            continue;
        }
        let provider = text("provider").context("no provider")?.to_owned();
        let (mut standard, mut tiers) = (Table::default(), BTreeMap::<_, Table>::new());
        for (key, value) in row.iter().filter(|(key, _)| key.contains("_cost")) {
            let Some((kind, above, tier)) = meaning(key) else {
                skipped.push(format!("{id} {key}"));
                continue;
            };
            let price = per_million(value).with_context(|| format!("{id}: {key}"))?;
            let table =
                tier.map_or(&mut standard, |tier| tiers.entry(tier.to_owned()).or_default());
            table.0.entry(kind).or_default().insert(above, price);
        }
        if mode == "embedding" {
            for table in tiers.values_mut().chain([&mut standard]) {
                table.0.remove(&Kind::Output);
            }
        }
        let id = id.to_lowercase();
        found.push(Found {
            provider,
            id,
            aliases: Vec::new(),
            prefixes: Vec::new(),
            standard,
            tiers,
        });
    }
    Ok(found)
}

/// Takes a key apart: which kind of token, above which input, at which tier.
fn meaning(key: &str) -> Option<(Kind, u64, Option<&'static str>)> {
    let (rest, kind) =
        KINDS.iter().find_map(|(name, kind)| Some((key.strip_prefix(name)?, *kind)))?;
    let (rest, tier) = TIERS
        .iter()
        .find_map(|(suffix, tier)| Some((rest.strip_suffix(suffix)?, Some(*tier))))
        .unwrap_or((rest, None));
    if rest.is_empty() {
        return Some((kind, 0, tier));
    }
    let thousands = rest.strip_prefix("_above_")?.strip_suffix("k_tokens")?;
    Some((kind, thousands.parse::<u64>().ok()?.checked_mul(1000)?, tier))
}

/// Dollars for a token, as an exact decimal, to dollars for a million.
fn per_million(value: &Value) -> Result<PicoUsd> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
    let decimals = format!("{decimals:0<6}");
    let (millionths, rest) = decimals.split_at_checked(6).context("not a decimal")?;
    let rest = rest.trim_end_matches('0');
    format!("{whole}{millionths}.{rest}").parse().with_context(|| text.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_taken_apart() {
        for (key, expected) in [
            ("input_cost_per_token", Some((Kind::Input, 0, None))),
            (
                "cache_creation_input_token_cost_above_12hr_above_272k_tokens_flex",
                Some((Kind::CacheWrite12h, 272_000, Some("flex"))),
            ),
            ("output_cost_per_token_batches", Some((Kind::Output, 0, Some("batch")))),
            ("input_cost_per_token_decisions", None),
        ] {
            assert_eq!(meaning(key), expected, "{key}");
        }
    }

    #[test]
    fn a_price_keeps_every_digit() {
        for (token, million) in [("0.00000015", "0.15"), ("0.0006", "600.00"), ("0", "0.00")] {
            let value = Value::String(token.to_owned());
            assert_eq!(per_million(&value).unwrap().to_string(), million);
        }
    }
}
