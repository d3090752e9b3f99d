//! `[[rule]]`: who is meant, what he is called and who pays.

use std::collections::{BTreeMap, HashSet};

use toml::de::DeValue;
use weir_core::identity::{Assigned, Kind, ParsePatternError, Pattern, Rule, RuleSpec, Rules};
use weir_core::secret::Fingerprint;

use super::section::{Section, text as string};

/// Most rules.
const RULES_MAX: usize = 1024;
/// Longest name, owner, label, …, in bytes.
const TEXT_MAX: usize = 200;

/// Reads the rules. Those that are wrong are noted and left out.
pub(super) fn rules(top: &mut Section<'_, '_>) -> Rules {
    let mut names = HashSet::new();
    let rules = top.tables("rule", RULES_MAX, |section| {
        let faults = section.faults();
        let spec = spec(section);
        if let Some(name) = &spec.name
            && !names.insert(name.clone())
        {
            section.refuse(format!("another rule gives the name {name:?} already"));
        }
        // What is missing because it was wrong is no reason to complain about.
        if section.faults() > faults {
            return None;
        }
        match Rule::new(spec) {
            Ok(rule) => Some(rule),
            Err(error) => {
                section.refuse(error.to_string());
                None
            }
        }
    });
    Rules::new(rules.into_iter().flatten().collect())
}

fn spec(section: &mut Section<'_, '_>) -> RuleSpec {
    RuleSpec {
        name: section.take("name", text),
        all: section.list("match", pattern),
        exe_sha256: section.list("exe_sha256", |digits| {
            RuleSpec::program(digits).map_err(|error| error.to_string())
        }),
        parents: section
            .list("parent", |name| RuleSpec::parent(name).map_err(|error| error.to_string())),
        credentials: section.list("credential", fingerprint),
        assigned: Assigned {
            rule: String::new(),
            owner: section.take("owner", text),
            team: section.take("team", text),
            product_line: section.take("product_line", text),
            cost_center: section.take("cost_center", text),
            environment: section.take("environment", text),
            labels: labels(section),
        },
        approved_models: section.list("approved_models", approved),
        approved_providers: section.list("approved_providers", approved),
        shared_credentials: section.list("shared_credentials", fingerprint),
    }
}

fn labels(section: &mut Section<'_, '_>) -> BTreeMap<String, String> {
    let label = |name: &str, value: &DeValue<'_>| {
        if !is_text(name) {
            return Err(format!("a label with a name of 1 to {TEXT_MAX} bytes"));
        }
        Ok((name.to_owned(), text(value)?))
    };
    section.map("labels", label).into_iter().collect()
}

/// A line that isn't empty.
pub(super) fn text(value: &DeValue<'_>) -> Result<String, String> {
    string(value)
        .filter(|text| is_text(text))
        .map(str::to_owned)
        .ok_or_else(|| format!("a line of 1 to {TEXT_MAX} bytes"))
}

fn is_text(text: &str) -> bool {
    (1..=TEXT_MAX).contains(&text.len()) && !text.contains(char::is_control)
}

fn approved(text: &str) -> Result<String, String> {
    let is_good = is_text(text);
    is_good.then(|| text.to_owned()).ok_or_else(|| format!("expected 1 to {TEXT_MAX} bytes"))
}

fn fingerprint(text: &str) -> Result<Fingerprint, String> {
    text.parse().map_err(|_not_one| {
        "expected 32 hexadecimal digits, as `weir usage --by credential` shows them".to_owned()
    })
}

fn pattern(text: &str) -> Result<Pattern, String> {
    text.parse().map_err(|error| match error {
        ParsePatternError::UnknownKind => match nearest(text) {
            Some(kind) => format!("no such selector; did you mean `{kind}:`?"),
            None => {
                let known: Vec<_> = Kind::ALL.iter().map(ToString::to_string).collect();
                format!("no such selector; known: {}", known.join(", "))
            }
        },
        ParsePatternError::Value | ParsePatternError::Form(..) => error.to_string(),
    })
}

/// The kind of selector that `text` was probably meant to begin with.
fn nearest(text: &str) -> Option<Kind> {
    let distance = |kind: Kind| {
        let parts = kind.as_str().split(':').count();
        let front: Vec<_> = text.split(':').take(parts).collect();
        strsim::damerau_levenshtein(&front.join(":"), kind.as_str())
    };
    let best = Kind::ALL.into_iter().min_by_key(|kind| distance(*kind))?;
    (distance(best) <= best.as_str().len() / 3).then_some(best)
}
