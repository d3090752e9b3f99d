//! Reads what LiteLLM's model map says: dollars for one token, exact names, variants as suffixes.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::amount::amount;
use super::seller;
use super::table::{Kind, Table};
use super::{Found, ImportError, Imported};
use crate::meter::catalogue::format::{Factor, Window};
use crate::units::{PicoUsd, Unit};

/// The start of a name → what it is the price of one of.
const KINDS: &[(&str, Kind)] = &[
    ("cache_creation_input_token_cost_above_12hr", Kind::CacheWrite12h),
    ("cache_creation_input_token_cost_above_1hr", Kind::CacheWrite1h),
    ("cache_creation_input_token_cost", Kind::CacheWrite),
    ("cache_read_input_audio_token_cost", Kind::CacheReadAudio),
    ("cache_read_input_image_token_cost", Kind::CacheReadImage),
    ("cache_read_input_token_cost", Kind::CacheRead),
    ("input_cost_per_audio_token", Kind::InputAudio),
    ("input_cost_per_image_token", Kind::InputImage),
    ("input_cost_per_video_token", Kind::InputVideo),
    ("input_cost_per_token", Kind::Input),
    ("output_cost_per_audio_token", Kind::OutputAudio),
    ("output_cost_per_image_token", Kind::OutputImage),
    ("output_cost_per_reasoning_token", Kind::Reasoning),
    ("output_cost_per_token", Kind::Output),
    ("citation_cost_per_token", Kind::Piece(Unit::CitationToken)),
    ("ocr_cost_per_page", Kind::Piece(Unit::Page)),
    ("google_maps_grounding_cost_per_query", Kind::Piece(Unit::Maps)),
];

/// Suffix → the tier's name on the wire.
const TIERS: &[(&str, &str)] = &[
    ("_batches", "batch"),
    ("_flex", "flex"),
    ("_priority", "priority"),
    ("_ultrafast", "ultrafast"),
];

/// Reads `{name: row}`.
///
/// # Errors
/// If it isn't that, or a price is no amount.
pub fn read(models: Value) -> Result<Imported, ImportError> {
    let models: BTreeMap<String, Map<String, Value>> = serde_json::from_value(models)?;
    let mut skipped = Vec::new();
    let mut found: BTreeMap<(&str, String), Found> = BTreeMap::new();
    // What is called by its seller's name is meant by it: that comes first and stays.
    let (named, others): (Vec<_>, Vec<_>) = models.iter().partition(|(key, _)| key.contains('/'));
    for (key, row) in named.into_iter().chain(others) {
        let seller = row.get("litellm_provider").and_then(Value::as_str).unwrap_or_default();
        let Some((provider, id)) = seller::of_litellm(seller, key) else {
            skipped.push(key.clone());
            continue;
        };
        match of_row(provider, &id, row, &mut skipped)? {
            Some(model) => {
                found.entry((provider, id)).or_insert(model);
            }
            None => skipped.push(key.clone()),
        }
    }
    price_by_endpoint(&mut found);
    Ok(Imported { models: found.into_values().collect(), skipped })
}

fn of_row(
    provider: &str,
    id: &str,
    row: &Map<String, Value>,
    skipped: &mut Vec<String>,
) -> Result<Option<Found>, ImportError> {
    let mode = row.get("mode").and_then(Value::as_str).unwrap_or_default();
    let (mut standard, mut tiers) = (Table::default(), BTreeMap::<_, Table>::new());
    for (key, value) in row.iter().filter(|(key, value)| key.contains("_cost") && !value.is_null())
    {
        let wrong = || ImportError::Amount { model: id.to_owned(), key: key.clone() };
        if let Some((kind, above, tier)) = meaning(key) {
            let table = match tier {
                Some(tier) => tiers.entry(tier.to_owned()).or_default(),
                None => &mut standard,
            };
            // xAI's steps hold from their length on, not above it.
            let above = if provider == "x_ai" { above.saturating_sub(1) } else { above };
            let price = amount(value, shift(kind)).ok_or_else(wrong)?;
            // That nothing is asked for writing means that nobody says how much was written.
            if kind != Kind::CacheWrite || price > PicoUsd::ZERO {
                table.set(kind, above, price);
            }
        } else if !read_piece(mode, key, value, row, &mut standard).ok_or_else(wrong)? {
            skipped.push(format!("{provider} {id} {key}"));
        }
    }
    read_steps(row, &mut standard);
    if mode == "embedding" || mode == "rerank" {
        for table in tiers.values_mut().chain([&mut standard]) {
            table.0.remove(&Kind::Output);
        }
    }
    if standard.is_nothing() && !id.starts_with("omni-moderation") {
        return Ok(None);
    }
    if standard.0.keys().any(|kind| matches!(kind, Kind::Piece(_))) && mode != "chat" {
        standard.drop_free_tokens();
    }
    let mut regions = regions(provider, id, row);
    for (word, factor) in specific(row) {
        match word {
            "us" => drop(regions.insert("us".to_owned(), factor)),
            "fast" => drop(tiers.insert("fast".to_owned(), standard.times(factor))),
            _ => {}
        }
    }
    // A tier of which only one way is known has no price.
    let has = |table: &Table, kind| table.0.contains_key(&kind);
    tiers.retain(|_, tier: &mut Table| {
        has(tier, Kind::Input) == (has(tier, Kind::Output) || !has(&standard, Kind::Output))
    });
    let off_peak = off_peak(row);
    let (provider, id) = (provider.to_owned(), id.to_owned());
    let (aliases, prefixes) = (Vec::new(), Vec::new());
    let found = Found { provider, id, aliases, prefixes, standard, tiers, off_peak, regions };
    // Without a price of input there is nothing to go by.
    Ok(found.standard.rates().is_some().then_some(found))
}

/// From the price of one to that of a lot, as a power of ten.
const fn shift(kind: Kind) -> u32 {
    match kind {
        Kind::Piece(Unit::Page | Unit::Maps) => 3,
        _ => 6,
    }
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

/// Reads a price of something that a model may be sold by in place of tokens. Says whether it was
/// one; `None` if it is no amount.
fn read_piece(
    mode: &str,
    key: &str,
    value: &Value,
    row: &Map<String, Value>,
    table: &mut Table,
) -> Option<bool> {
    let priced = |key: &str| {
        row.get(key).and_then(|price| amount(price, 0)).is_some_and(|price| price > PicoUsd::ZERO)
    };
    let (unit, price) = match (mode, key) {
        (_, "search_context_cost_per_query") => {
            let sizes = value.as_object()?;
            let mut prices = sizes.values().map(|price| amount(price, 3));
            let first = prices.next()??;
            // What depends on how much was searched isn't known from how often it was.
            if prices.any(|price| price != Some(first)) {
                return Some(false);
            }
            (Unit::WebSearch, first)
        }
        (_, "file_search_cost_per_1k_calls") => (Unit::FileSearch, amount(value, 0)?),
        ("rerank", "input_cost_per_query") => (Unit::SearchUnit, amount(value, 3)?),
        ("audio_transcription", "input_cost_per_second") if !priced("input_cost_per_token") => {
            (Unit::AudioMs, PicoUsd(amount(value, 0)?.0.checked_mul(3600)?))
        }
        ("audio_speech", "input_cost_per_character") => (Unit::Character, amount(value, 6)?),
        ("image_generation" | "image_edit", "output_cost_per_image")
            if !priced("output_cost_per_token") && !priced("output_cost_per_image_token") =>
        {
            (Unit::Image, amount(value, 3)?)
        }
        _ => return Some(false),
    };
    if price > PicoUsd::ZERO {
        table.set(Kind::Piece(unit), 0, price);
    }
    Some(true)
}

/// `tiered_pricing`: prices by the length of the input, as a list.
fn read_steps(row: &Map<String, Value>, table: &mut Table) {
    for step in row.get("tiered_pricing").and_then(Value::as_array).into_iter().flatten() {
        const DOLLAR: i128 = 1_000_000_000_000;
        // Not an amount of dollars, but written like one.
        let start = step.get("range").and_then(|range| range.get(0)).and_then(|n| amount(n, 0));
        let start = start.filter(|start| start.0 % DOLLAR == 0).map(|start| start.0 / DOLLAR);
        let Some(above) = start.and_then(|start| u64::try_from(start).ok()) else { continue };
        for (key, value) in step.as_object().into_iter().flatten() {
            if let (Some((kind, 0, None)), Some(price)) = (meaning(key), amount(value, 6)) {
                table.set(kind, above, price);
            }
        }
    }
}

fn specific(row: &Map<String, Value>) -> impl Iterator<Item = (&str, Factor)> {
    let words = row.get("provider_specific_entry").and_then(Value::as_object);
    words.into_iter().flatten().filter_map(|(word, value)| Some((word.as_str(), factor(value)?)))
}

fn factor(value: &Value) -> Option<Factor> {
    amount(value, 0)?.to_string().parse().ok()
}

/// What is known of prices by region. On Amazon's cloud and Google's a call is always in some.
fn regions(provider: &str, id: &str, row: &Map<String, Value>) -> BTreeMap<String, Factor> {
    let uplift = |key: &str| row.get(key).and_then(factor);
    let mut regions = BTreeMap::new();
    for region in ["us", "eu"] {
        if let Some(factor) = uplift(&format!("regional_processing_uplift_multiplier_{region}")) {
            regions.insert(region.to_owned(), factor);
        }
    }
    match (provider, id.split_once('/')) {
        ("gcp.vertex_ai", _) => {
            let factor = uplift("regional_endpoint_uplift_multiplier").unwrap_or(Factor::ONE);
            regions.insert("*".to_owned(), factor);
        }
        ("aws.bedrock" | "azure.ai.openai", Some((region, _))) => {
            regions.insert(region.to_owned(), Factor::ONE);
        }
        ("aws.bedrock", None) if is_profile(id) => {
            regions.insert("*".to_owned(), Factor::ONE);
        }
        // The list prices. Other regions have rows of their own, or aren't known.
        ("aws.bedrock", None) => {
            regions.insert("us-east-*".to_owned(), Factor::ONE);
            regions.insert("us-west-*".to_owned(), Factor::ONE);
        }
        _ => {}
    }
    regions
}

/// Whether a name on Bedrock is that of an inference profile, whose price is the same wherever it is
/// asked.
fn is_profile(id: &str) -> bool {
    const PLACES: [&str; 10] =
        ["global", "us", "eu", "apac", "jp", "au", "ca", "sa", "us-gov", "in"];
    id.split_once('.').is_some_and(|(place, _)| PLACES.contains(&place))
}

/// On Bedrock, a model that is dearer by its regional profile than by its global one is so in a single
/// region, too. LiteLLM gives the bare name the global price.
fn price_by_endpoint(found: &mut BTreeMap<(&str, String), Found>) {
    let regional: Vec<Found> = found
        .values()
        .filter(|model| model.provider == "aws.bedrock")
        .filter_map(|model| {
            let base = model.id.strip_prefix("us.")?;
            let global = found.get(&("aws.bedrock", format!("global.{base}")))?;
            let bare = found.get(&("aws.bedrock", base.to_owned()))?;
            let is_dearer = global.standard != model.standard;
            (is_dearer && bare.standard == global.standard).then(|| Found {
                id: base.to_owned(),
                regions: bare.regions.clone(),
                ..model.clone()
            })
        })
        .collect();
    for model in regional {
        found.insert(("aws.bedrock", model.id.clone()), model);
    }
}

/// Hours at which other prices hold.
fn off_peak(row: &Map<String, Value>) -> Option<(Vec<Window>, Table)> {
    let low = row.get("off_peak_pricing")?.as_object()?;
    let mut table = Table::default();
    for (key, value) in low {
        if let (Some((kind, above, None)), Some(price)) = (meaning(key), amount(value, 6)) {
            table.set(kind, above, price);
        }
    }
    let mut windows = Vec::new();
    for window in low.get("windows")?.as_array()? {
        let days = window.get("weekdays").and_then(Value::as_array)?;
        let days: Vec<i8> = days
            .iter()
            .map(|day| day.as_i64().and_then(|day| i8::try_from(day).ok()))
            .collect::<Option<_>>()?;
        let hours = window.get("hours_utc")?;
        let hours = match hours {
            Value::Array(list) => list.iter().map(Value::as_str).collect::<Option<Vec<_>>>()?,
            other => vec![other.as_str()?],
        };
        for span in hours {
            let (from, to) = span.split_once('-')?;
            let (from, to) = (from.parse().ok()?, to.parse().ok()?);
            windows.push(Window { days: days.clone(), from, to });
        }
    }
    Some((windows, table))
}
