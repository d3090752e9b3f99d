//! What an administrator doesn't want to be told of for a while.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::group::Label;
use crate::detect::Finding;
use crate::units::Timestamp;

/// Most conditions of a silence.
pub const MATCHERS_MAX: usize = 16;
/// Most silences at a time.
pub const SILENCES_MAX: usize = 1000;
/// Longest value of a condition, in bytes.
const VALUE_MAX: usize = 1024;

/// Findings that nobody is told of until some time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Of those that fulfil all of these; from 1 to [`MATCHERS_MAX`].
    pub matchers: Vec<Matcher>,
    /// Until when.
    pub until: Timestamp,
    /// Whose wish it is: the user, as the kernel says.
    pub uid: u32,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// A condition: `detector=budget`, `severity!=critical`, `identity=spiffe://…/ns/test/*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Matcher {
    label: Label,
    equal: bool,
    /// A `*` at its end stands for anything.
    value: String,
}

/// Why a text is no [`Matcher`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no condition such as detector=budget, severity!=critical or identity=spiffe://…/ns/test/*; labels are \
     detector, severity, identity, subject, owner, team and finding"
)]
pub struct ParseMatcherError;

impl Silence {
    /// Whether it keeps `finding` from being told at this time.
    #[must_use]
    pub fn mutes(&self, finding: &Finding, now: Timestamp) -> bool {
        now < self.until && self.matchers.iter().all(|matcher| matcher.matches(finding))
    }
}

impl Matcher {
    /// Whether `finding` fulfils it.
    #[must_use]
    pub fn matches(&self, finding: &Finding) -> bool {
        let value = self.label.of(finding);
        let same = match self.value.strip_suffix('*') {
            Some(front) => value.starts_with(front),
            None => value == self.value,
        };
        same == self.equal
    }
}

impl FromStr for Matcher {
    type Err = ParseMatcherError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (label, value) = text.split_once('=').ok_or(ParseMatcherError)?;
        let (label, equal) = label.strip_suffix('!').map_or((label, true), |label| (label, false));
        let label = label.parse().map_err(|_unknown| ParseMatcherError)?;
        if value.len() > VALUE_MAX || value.contains(char::is_control) {
            return Err(ParseMatcherError);
        }
        Ok(Self { label, equal, value: value.to_owned() })
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { label, equal, value } = self;
        write!(f, "{label}{}{value}", if *equal { "=" } else { "!=" })
    }
}

impl From<Matcher> for String {
    fn from(matcher: Matcher) -> Self {
        matcher.to_string()
    }
}

impl TryFrom<String> for Matcher {
    type Error = ParseMatcherError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}
