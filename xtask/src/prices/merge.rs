//! Makes catalogue rows of two data sets.
//!
//! `genai-prices` is followed where it has a model: its prices carry dates and were checked by its
//! keepers. LiteLLM adds the kinds of token and the tiers that the first has no words for, if the
//! two agree on everything that both name; and the models that only it knows.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use jiff::civil::Date;
use weir_core::meter::catalogue::format::ModelRow;
use weir_core::meter::catalogue::import::Found;
use weir_core::meter::catalogue::without_date;

pub(super) const GENAI: &str = "genai-prices";
pub(super) const LITELLM: &str = "litellm";

/// A model on its way into the catalogue.
struct Taken {
    model: Found,
    source: &'static str,
    supplemented: bool,
}

/// The rows, sorted, and what the two sets disagree on, a line each.
pub(super) fn merge(
    genai: Vec<Found>,
    litellm: Vec<Found>,
    today: Date,
) -> Result<(Vec<ModelRow>, Vec<String>)> {
    let mut disagreements = Vec::new();
    let (genai, litellm) = (by_provider(genai), by_provider(litellm));
    let providers: BTreeSet<&String> = genai.keys().chain(litellm.keys()).collect();
    let mut rows = Vec::new();
    for provider in providers {
        let of =
            |set: &BTreeMap<String, Vec<Found>>| set.get(provider).cloned().unwrap_or_default();
        rows.extend(merge_provider(of(&genai), of(&litellm), &mut disagreements));
    }
    let mut rows = rows
        .into_iter()
        .map(|Taken { model, source, supplemented }| {
            let id = model.id.clone();
            let row = model.into_row(source, supplemented.then_some(LITELLM), today);
            row.with_context(|| format!("{id}: no complete prices"))
        })
        .collect::<Result<Vec<_>>>()?;
    rows.sort_by(|a, b| (&a.provider, &a.id).cmp(&(&b.provider, &b.id)));
    Ok((rows, disagreements))
}

fn by_provider(models: Vec<Found>) -> BTreeMap<String, Vec<Found>> {
    let mut all: BTreeMap<String, Vec<Found>> = BTreeMap::new();
    for model in models {
        all.entry(model.provider.clone()).or_default().push(model);
    }
    all
}

fn merge_provider(
    genai: Vec<Found>,
    litellm: Vec<Found>,
    disagreements: &mut Vec<String>,
) -> Vec<Taken> {
    let mut taken = BTreeSet::new();
    let mut rows: Vec<Taken> = Vec::new();
    let ids: BTreeSet<String> = genai.iter().map(|model| model.id.clone()).collect();
    for mut model in genai {
        if !taken.insert(model.id.clone()) {
            continue;
        }
        model.aliases.retain(|alias| *alias != model.id && !ids.contains(alias));
        let names: Vec<&String> = model.aliases.iter().chain([&model.id]).collect();
        let twin = names
            .iter()
            .rev()
            .find_map(|name| litellm.iter().find(|other| other.id == **name))
            .cloned();
        let supplemented = twin.is_some_and(|twin| supplement(&mut model, &twin, disagreements));
        model.aliases.retain(|alias| taken.insert(alias.clone()));
        rows.push(Taken { model, source: GENAI, supplemented });
    }
    for Taken { model, .. } in &mut rows {
        let names = model.prefixes.iter().filter(|prefix| is_name(prefix));
        let names: Vec<String> =
            names.filter(|name| taken.insert((*name).clone())).cloned().collect();
        model.aliases.extend(names);
    }
    for model in litellm {
        if taken.contains(&model.id) {
            continue;
        }
        let undated = without_date(&model.id);
        let release_of = rows.iter().map(|taken| &taken.model).find(|other| {
            undated != model.id
                && other.aliases.iter().chain([&other.id]).any(|name| name == undated)
        });
        if let Some(other) = release_of {
            let differ = other.standard.disagreements(&model.standard);
            let claimed = other.prefixes.iter().any(|prefix| model.id.starts_with(prefix));
            if !differ.is_empty() {
                let (ours, theirs) = (&other.id, &model.id);
                disagreements.push(format!("{ours} / {theirs}: {}", differ.join("; ")));
            }
            // Lookup finds the other row by itself.
            if claimed || differ.is_empty() && other.regions == model.regions {
                continue;
            }
        }
        taken.insert(model.id.clone());
        rows.push(Taken { model, source: LITELLM, supplemented: false });
    }
    rows
}

/// Whether the beginning of a name is itself one: not an open end, nor half a date, nor that of
/// any fine-tuned model.
fn is_name(prefix: &str) -> bool {
    !prefix.starts_with("ft:")
        && !prefix.ends_with(['-', '.', '@', ':'])
        && !prefix.rsplit('-').next().is_some_and(|part| part.starts_with("20") && part.len() == 4)
}

/// Completes `model` from what the other set says of it, unless the two contradict each other.
fn supplement(model: &mut Found, twin: &Found, disagreements: &mut Vec<String>) -> bool {
    let mut differ = model.standard.disagreements(&twin.standard);
    for (tier, table) in &model.tiers {
        if let Some(other) = twin.tiers.get(tier) {
            differ.extend(
                table.disagreements(other).into_iter().map(|line| format!("{tier} {line}")),
            );
        }
    }
    if !differ.is_empty() {
        let provider = &model.provider;
        disagreements.push(format!("{provider} {} / {}: {}", model.id, twin.id, differ.join("; ")));
        return false;
    }
    let mut filled = model.standard.fill_from(&twin.standard);
    for (tier, other) in &twin.tiers {
        match model.tiers.get_mut(tier) {
            Some(table) => filled |= table.fill_from(other),
            None => {
                model.tiers.insert(tier.clone(), other.clone());
                filled = true;
            }
        }
    }
    filled |= !twin.regions.is_empty();
    model.regions.clone_from(&twin.regions);
    filled
}

#[cfg(test)]
mod tests {
    use weir_core::meter::catalogue::import::{Kind, Table};

    use super::*;

    fn found(id: &str, prices: &[(Kind, &str)]) -> Found {
        let standard = prices
            .iter()
            .map(|(kind, price)| (*kind, BTreeMap::from([(0, price.parse().unwrap())])))
            .collect();
        Found {
            provider: "openai".to_owned(),
            id: id.to_owned(),
            aliases: Vec::new(),
            prefixes: Vec::new(),
            standard: Table(standard),
            tiers: BTreeMap::new(),
            off_peak: None,
            regions: BTreeMap::new(),
        }
    }

    fn merged(genai: Found, litellm: Vec<Found>) -> (Vec<ModelRow>, Vec<String>) {
        merge(vec![genai], litellm, jiff::civil::date(2026, 11, 23)).unwrap()
    }

    #[test]
    fn a_source_that_agrees_adds_what_the_other_lacks() {
        let more = found("m", &[(Kind::Input, "2"), (Kind::CacheWrite12h, "5")]);
        let (rows, disagreements) = merged(found("m", &[(Kind::Input, "2")]), vec![more]);
        assert_eq!(rows[0].standard[0].cache_write_12h.unwrap().to_string(), "5.00");
        assert_eq!((rows[0].supplement.as_deref(), disagreements.len()), (Some(LITELLM), 0));
    }

    #[test]
    fn a_source_that_disagrees_adds_nothing() {
        let more = found("m", &[(Kind::Input, "3"), (Kind::CacheWrite12h, "5")]);
        let (rows, disagreements) = merged(found("m", &[(Kind::Input, "2")]), vec![more]);
        assert_eq!(rows[0].standard[0].cache_write_12h, None);
        assert_eq!(disagreements, ["openai m / m: Input 2.00 / 3.00"]);
    }

    #[test]
    fn a_release_has_a_row_only_if_its_price_differs() {
        let same = found("m-2026-01-02", &[(Kind::Input, "2")]);
        let dearer = found("m-2025-01-02", &[(Kind::Input, "4")]);
        let (rows, _) = merged(found("m", &[(Kind::Input, "2")]), vec![same, dearer]);
        let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids, ["m", "m-2025-01-02"]);
    }

    #[test]
    fn one_name_may_be_sold_by_two() {
        let other = Found { provider: "groq".to_owned(), ..found("m", &[(Kind::Input, "9")]) };
        let (rows, disagreements) = merged(found("m", &[(Kind::Input, "2")]), vec![other]);
        assert_eq!((rows.len(), disagreements.len()), (2, 0));
    }
}
