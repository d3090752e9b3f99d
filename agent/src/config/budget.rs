//! `[[budget]]`: how much may be used up, by whom and in what time.

use std::collections::HashSet;

use jiff::tz::TimeZone;
use toml::de::DeValue;
use weir_core::detect::budget::{
    BUDGETS_MAX, Budget, Condition, LIMITS_MAX, Limit, Measure, WARNINGS_MAX, Window, Zone,
};
use weir_core::meter::Dimension;
use weir_core::units::PicoUsd;

use super::enforce::enforcement;
use super::rules::text;
use super::section::{Section, count, text as string};

/// The largest limit in dollars: a million million.
const USD_MAX: i128 = 1_000_000_000_000_000_000_000_000;
/// At which part of a limit to warn, in thousandths, if nothing else is said.
const WARN_AT: u32 = 800;

/// Reads the budgets. Those that are wrong are noted and left out.
pub(super) fn budgets(top: &mut Section<'_, '_>) -> Vec<Budget> {
    let mut names = HashSet::new();
    let budgets = top.tables("budget", BUDGETS_MAX, |section| {
        let budget = budget(section)?;
        if !names.insert(budget.name.clone()) {
            section.refuse(format!("another budget has the name {:?} already", budget.name));
            return None;
        }
        Some(budget)
    });
    budgets.into_iter().flatten().collect()
}

fn budget(section: &mut Section<'_, '_>) -> Option<Budget> {
    let faults = section.faults();
    let name = section.take("name", text);
    let all = section.list("match", condition);
    let per = section.take("per", dimension);
    let mut limits = limits(section);
    let windows = section.tables("windows", LIMITS_MAX, |window| {
        let faults = window.faults();
        let limits = self::limits(window);
        if limits.is_empty() && window.faults() == faults {
            window.refuse("needs `window` and a limit".to_owned());
        }
        limits
    });
    limits.extend(windows.into_iter().flatten());
    let warn_at = section.take("warn_at", warn_at);
    let enforce = section.take("enforce", enforcement);
    let zone = section.take("time_zone", zone);
    // What is missing because it was wrong is no reason to complain about.
    if section.faults() == faults {
        if name.is_none() {
            section.refuse("needs a `name`".to_owned());
        }
        if limits.is_empty() {
            section.refuse("needs `window` and a limit such as `limit_usd`".to_owned());
        }
        if limits.len() > LIMITS_MAX {
            section.refuse(format!("at most {LIMITS_MAX} limits, found {}", limits.len()));
        }
        if let Some((window, measure)) = twice(&limits) {
            section
                .refuse(format!("has two limits in {} of the window {window}", measure.as_str()));
        }
    }
    if section.faults() > faults {
        return None;
    }
    Some(Budget {
        name: name?,
        all,
        per,
        limits,
        warn_at: warn_at.unwrap_or_else(|| vec![WARN_AT]),
        enforce: enforce.unwrap_or_default(),
        zone: zone.unwrap_or_else(|| Zone { name: "UTC".to_owned(), rules: TimeZone::UTC }),
    })
}

/// The limits that stand in one table, which are all over the same window.
fn limits(section: &mut Section<'_, '_>) -> Vec<Limit> {
    const KEYS: [&str; 3] = ["limit_usd", "limit_tokens", "limit_calls"];
    let window = section.take("window", window);
    let [in_usd, in_tokens, in_calls] = KEYS;
    let most = [
        (Measure::Usd, section.take(in_usd, usd)),
        (Measure::Tokens, section.take(in_tokens, whole)),
        (Measure::Calls, section.take(in_calls, whole)),
    ];
    let has_limit = KEYS.iter().any(|key| section.has(key));
    match KEYS.into_iter().find(|key| section.has(key)) {
        Some(key) if !section.has("window") => section.refuse_key(key, "needs `window`"),
        Some(_) | None => {}
    }
    if section.has("window") && !has_limit {
        section.refuse_key("window", "needs `limit_usd`, `limit_tokens` or `limit_calls`");
    }
    let Some(window) = window else { return Vec::new() };
    let limit =
        |(measure, most): (Measure, Option<i128>)| most.map(|most| Limit { window, measure, most });
    most.into_iter().filter_map(limit).collect()
}

/// A window and a measure that two limits have in common.
fn twice(limits: &[Limit]) -> Option<(Window, Measure)> {
    let mut known = HashSet::new();
    let mut all = limits.iter().map(|limit| (limit.window, limit.measure));
    all.find(|(window, measure)| !known.insert((*window, measure.as_str())))
}

fn condition(text: &str) -> Result<Condition, String> {
    text.parse().map_err(|error: weir_core::detect::budget::ParseConditionError| error.to_string())
}

fn dimension(value: &DeValue<'_>) -> Result<Dimension, String> {
    let all = || format!("one of {}", Dimension::ALL.map(Dimension::as_str).join(", "));
    string(value).and_then(|word| word.parse().ok()).ok_or_else(all)
}

fn window(value: &DeValue<'_>) -> Result<Window, String> {
    let expected = weir_core::detect::budget::ParseWindowError;
    string(value).and_then(|text| text.parse().ok()).ok_or_else(|| expected.to_string())
}

/// Exact dollars.
fn usd(value: &DeValue<'_>) -> Result<i128, String> {
    decimal(value)
        .filter(|amount| (1..=USD_MAX).contains(amount))
        .ok_or_else(|| "an amount of dollars such as 25.0".to_owned())
}

fn whole(value: &DeValue<'_>) -> Result<i128, String> {
    let count = count(value).filter(|count| *count > 0).map(i128::from);
    count.ok_or_else(|| "a whole number from 1 on".to_owned())
}

fn warn_at(value: &DeValue<'_>) -> Result<Vec<u32>, String> {
    let expected = || {
        format!(
            "at most {WARNINGS_MAX} ascending parts of 1, such as [0.5, 0.8], to three decimals"
        )
    };
    let DeValue::Array(parts) = value else { return Err(expected()) };
    let parts: Option<Vec<_>> = parts.iter().map(|part| thousandths(part.get_ref())).collect();
    let is_good =
        |parts: &Vec<u32>| parts.len() <= WARNINGS_MAX && parts.is_sorted_by(|a, b| a < b);
    parts.filter(is_good).ok_or_else(expected)
}

fn thousandths(value: &DeValue<'_>) -> Option<u32> {
    const PART: i128 = 1_000_000_000;
    let part = decimal(value).filter(|part| part % PART == 0)? / PART;
    u32::try_from(part).ok().filter(|part| (1..1_000).contains(part))
}

/// A number with up to twelve decimals, in 10⁻¹².
fn decimal(value: &DeValue<'_>) -> Option<i128> {
    let digits = match value {
        DeValue::Float(number) => number.as_str(),
        DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
        DeValue::Integer(_)
        | DeValue::String(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => return None,
    };
    digits.parse().ok().map(|PicoUsd(amount)| amount)
}

fn zone(value: &DeValue<'_>) -> Result<Zone, String> {
    let expected =
        || "the name of a time zone that this host knows, such as \"Europe/Berlin\"".to_owned();
    let name = string(value).ok_or_else(expected)?;
    let rules = TimeZone::get(name).map_err(|_unknown| expected())?;
    Ok(Zone { name: name.to_owned(), rules })
}
