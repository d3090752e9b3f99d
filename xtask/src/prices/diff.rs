//! What is different between two catalogues, a line for each fact.

use std::collections::{BTreeMap, BTreeSet};

use weir_core::meter::catalogue::format::{ModelRow, PriceFile, Rates};
use weir_core::meter::catalogue::import::{Table, show};

/// The differences, dates aside. Without an `old` catalogue every model is new.
pub(super) fn changes(old: Option<&PriceFile>, new: &PriceFile) -> Vec<String> {
    let before = by_name(old.map(|old| old.models.as_slice()).unwrap_or_default());
    let after = by_name(&new.models);
    let mut lines = Vec::new();
    for (name, source) in &new.sources {
        match old.and_then(|old| old.sources.get(name)) {
            Some(known) if known == source => {}
            Some(known) => {
                lines.push(format!("source {name} {} → {}", known.version, source.version));
            }
            None => lines.push(format!("source {name} {}", source.version)),
        }
    }
    lines.extend(
        before
            .keys()
            .filter(|name| !after.contains_key(*name))
            .map(|(provider, id)| format!("removed {provider} {id}")),
    );
    for (name, row) in after {
        match before.get(&name) {
            None => {
                let (provider, id) = name;
                lines.push(format!("added {provider} {id}: {}", prices(&row.standard)));
            }
            Some(known) => compare(known, row, &mut lines),
        }
    }
    lines
}

fn by_name(models: &[ModelRow]) -> BTreeMap<(&str, &str), &ModelRow> {
    models.iter().map(|row| ((row.provider.as_str(), row.id.as_str()), row)).collect()
}

fn compare(old: &ModelRow, new: &ModelRow, lines: &mut Vec<String>) {
    let id = format!("{} {}", new.provider, new.id);
    if old.aliases != new.aliases {
        lines.push(format!("changed {id}: names {:?} → {:?}", old.aliases, new.aliases));
    }
    if (&old.source, &old.supplement) != (&new.source, &new.supplement) {
        let (from, to) = (sources(old), sources(new));
        lines.push(format!("changed {id}: source {from} → {to}"));
    }
    if old.regions != new.regions {
        lines.push(format!("changed {id}: regions {:?} → {:?}", old.regions, new.regions));
    }
    let windows = |row: &ModelRow| row.off_peak.as_ref().map(|low| low.windows.clone());
    if windows(old) != windows(new) {
        lines.push(format!("changed {id}: off-peak hours"));
    }
    let tables = |row: &ModelRow| {
        let mut tables = row.tiers.clone();
        if let Some(low) = &row.off_peak {
            tables.insert("off_peak".to_owned(), low.rates.clone());
        }
        tables.insert("standard".to_owned(), row.standard.clone());
        tables
    };
    let (old, new) = (tables(old), tables(new));
    let nothing = Vec::new();
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        let table = |tables: &BTreeMap<String, Vec<Rates>>| {
            Table::from(tables.get(name).unwrap_or(&nothing).as_slice()).0
        };
        let (old, new) = (table(&old), table(&new));
        let kinds: BTreeSet<_> = old.keys().chain(new.keys()).collect();
        for kind in kinds.into_iter().filter(|kind| old.get(kind) != new.get(kind)) {
            let price = |table: &BTreeMap<_, _>| table.get(kind).map_or("none".to_owned(), show);
            let (from, to) = (price(&old), price(&new));
            lines.push(format!("changed {id}: {name} {kind:?} {from} → {to}"));
        }
    }
}

fn sources(row: &ModelRow) -> String {
    let supplement = row.supplement.iter().map(|name| format!(" and {name}"));
    [row.source.clone()].into_iter().chain(supplement).collect()
}

fn prices(rates: &[Rates]) -> String {
    let kinds = Table::from(rates).0;
    let kinds: Vec<String> =
        kinds.iter().map(|(kind, steps)| format!("{kind:?} {}", show(steps))).collect();
    kinds.join("; ")
}
