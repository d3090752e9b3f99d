//! Budgets as the configuration says them.

use std::str::FromStr;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::series::Spent;
use super::window::Window;
use crate::detect::{Amount, Enforcement};
use crate::meter::{Added, Dimension, UsageRecord};
use crate::units::PicoUsd;

/// Most budgets.
pub const BUDGETS_MAX: usize = 256;
/// Most limits of one budget.
pub const LIMITS_MAX: usize = 16;
/// Most soft thresholds of one budget.
pub const WARNINGS_MAX: usize = 3;

/// How much some calls may use up.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Budget {
    /// What it is called. No other budget has the same name.
    pub name: String,
    /// Which calls count: of the conditions on one dimension one must hold, and so for each dimension
    /// that there are conditions on. Without any, all calls count.
    pub all: Vec<Condition>,
    /// Each value of this has a budget of its own. Calls without a value there don't count.
    pub per: Option<Dimension>,
    /// What may be used up, and in what time. They hold all at once.
    pub limits: Vec<Limit>,
    /// Parts of the limit, in thousandths, at which to warn: ascending, between 0 and 1,000, both left out.
    pub warn_at: Vec<u32>,
    /// What happens when it is used up.
    pub enforce: Enforcement,
    /// Where days, weeks and months begin.
    pub zone: Zone,
}

/// A time zone, by its name in the IANA database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Zone {
    /// Its name.
    pub name: String,
    /// Its rules.
    #[serde(skip)]
    pub rules: TimeZone,
}

/// What may be used up in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// The time.
    pub window: Window,
    /// What is counted.
    pub measure: Measure,
    /// How much of it, in its unit: more than 0.
    pub most: i128,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// Cost in pico-dollars. A call whose cost is not known counts as 0.
    Usd,
    /// Tokens of input and output.
    Tokens,
    /// Calls.
    Calls,
}

/// Something that must be the case of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Condition {
    what: What,
    /// A `*` stands for anything.
    pattern: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
enum What {
    Of(Dimension),
    Label(String),
}

/// Why a text is no [`Condition`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseConditionError {
    /// It doesn't begin with something that is known.
    #[error("no such condition; known: {}, label", Dimension::ALL.map(Dimension::as_str).join(", "))]
    Unknown,
    /// Nothing follows.
    #[error("a condition has a value, as in `team:support` or `label:tier:gold`")]
    NoValue,
}

impl Budget {
    /// Whether a call counts. `name` is what its identity is called today.
    pub(super) fn counts(&self, record: &UsageRecord, name: &str) -> bool {
        self.all.iter().all(|condition| {
            let same = |other: &&Condition| other.what == condition.what;
            self.all.iter().filter(same).any(|choice| choice.holds(record, name))
        })
    }

    /// Whose budget a call counts against: empty if there is one for all.
    pub(super) fn whom<'r>(&self, record: &'r UsageRecord, name: &'r str) -> Option<&'r str> {
        match self.per {
            None => Some(""),
            Some(Dimension::Identity) => Some(name),
            Some(dimension) => dimension.of(record),
        }
    }
}

impl Measure {
    /// What a record adds.
    pub(super) fn of(self, added: &Added) -> Spent {
        let tokens = || added.tokens.input_total().saturating_add(added.tokens.output_total());
        Spent {
            amount: match self {
                Self::Usd => added.cost.0,
                Self::Tokens => tokens().into(),
                Self::Calls => added.is_call.into(),
            },
            calls: added.is_call.into(),
            unpriced: match self {
                Self::Usd => added.is_unpriced.into(),
                Self::Tokens | Self::Calls => 0,
            },
        }
    }

    /// So much of it.
    #[must_use]
    pub fn amount(self, amount: i128) -> Amount {
        let count = || u64::try_from(amount.max(0)).unwrap_or(u64::MAX);
        match self {
            Self::Usd => Amount::Usd(PicoUsd(amount)),
            Self::Tokens => Amount::Tokens(count()),
            Self::Calls => Amount::Calls(count()),
        }
    }

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Usd => "usd",
            Self::Tokens => "tokens",
            Self::Calls => "calls",
        }
    }
}

impl Enforcement {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::DryRun => "dry-run",
            Self::Block => "block",
        }
    }
}

impl Condition {
    fn holds(&self, record: &UsageRecord, name: &str) -> bool {
        match &self.what {
            What::Of(Dimension::Identity) => {
                [name, &record.identity.0].into_iter().any(|name| self.names(name))
            }
            What::Of(dimension) => {
                dimension.of(record).is_some_and(|value| matches(&self.pattern, value))
            }
            What::Label(label) => {
                let assigned = record.workload.assigned.as_ref();
                let value = assigned.and_then(|assigned| assigned.labels.get(label));
                value.is_some_and(|value| matches(&self.pattern, value))
            }
        }
    }

    /// Whether an identity is meant: by its whole name, or by what follows the trust domain, or the host,
    /// in it.
    fn names(&self, identity: &str) -> bool {
        let path = identity.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/'));
        let path = path.map(|(_domain, path)| path);
        let on_host = path.and_then(|path| path.strip_prefix("host/")?.split_once('/'));
        let on_host = on_host.map(|(_host, path)| path);
        let mut names = [Some(identity), path, on_host].into_iter().flatten();
        names.any(|name| matches(&self.pattern, name))
    }
}

impl FromStr for Condition {
    type Err = ParseConditionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, rest) = text.split_once(':').ok_or(ParseConditionError::NoValue)?;
        let (what, value) = if kind == "label" {
            let (label, value) = rest.split_once(':').ok_or(ParseConditionError::NoValue)?;
            (What::Label(label.to_owned()), value)
        } else {
            let dimension = kind.parse().map_err(|_unknown| ParseConditionError::Unknown)?;
            (What::Of(dimension), rest)
        };
        let is_empty = value.is_empty() || matches!(&what, What::Label(label) if label.is_empty());
        if is_empty {
            return Err(ParseConditionError::NoValue);
        }
        Ok(Self { what, pattern: value.to_owned() })
    }
}

/// Whether a text is what a pattern says, in which a `*` stands for anything. Takes time in proportion to
/// the product of their lengths at most.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(place) => rest = &rest[place + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, expected) in [
            ("gpt-5", "gpt-5", true),
            ("gpt-5", "gpt-5-mini", false),
            ("gpt-5*", "gpt-5-mini", true),
            ("*", "", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("ab*ba", "aba", false),
            ("**a", "ba", true),
            ("ö*", "öß", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn identities_are_meant_by_their_short_names_too() {
        let bot = "spiffe://weir.local/host/a/unit/bot.service";
        for (pattern, expected) in [
            (bot, true),
            ("spiffe://weir.local/host/*/unit/bot.service", true),
            ("unit/bot.service", true),
            ("host/a/unit/bot.service", true),
            ("unit/*", true),
            ("bot.service", false),
            ("nit/bot.service", false),
            ("unit/bot", false),
            ("spiffe://weir.local/host/b/*", false),
        ] {
            let condition: Condition = format!("identity:{pattern}").parse().unwrap();
            assert_eq!(condition.names(bot), expected, "{pattern}");
        }
    }

    #[test]
    fn conditions_have_a_kind_and_a_value() {
        use ParseConditionError::{NoValue, Unknown};
        for (text, error) in [
            ("team:support", None),
            ("label:tier:gold", None),
            ("label:tier", Some(NoValue)),
            ("label::gold", Some(NoValue)),
            ("team:", Some(NoValue)),
            ("support", Some(NoValue)),
            ("temm:support", Some(Unknown)),
        ] {
            assert_eq!(text.parse::<Condition>().err(), error, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_matches_what_was_put_for_its_stars(
            parts in prop::collection::vec("[ab]{0,3}", 1..5),
            fill in "[ab]{0,4}",
        ) {
            prop_assert!(matches(&parts.join("*"), &parts.join(&fill)));
        }
    }
}
