//! What findings of one notification have in common.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::event::digest;
use crate::detect::Finding;

/// Something that is said of every finding, and that findings can be grouped and silenced by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// Who found it.
    Detector,
    /// How bad it is.
    Severity,
    /// Who did it, or else what it is about.
    Identity,
    /// What it is about: `budget:everything`, `credential:…`.
    Subject,
    /// Whom to ask.
    Owner,
    /// Their team.
    Team,
    /// The finding itself.
    Finding,
}

/// Names a group: 32 hexadecimal digits, or a word for what is in no group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupId(pub String);

/// Why a text is no [`Label`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no label such as detector, severity, identity, subject, owner, team or finding")]
pub struct ParseLabelError;

impl Label {
    /// Every label.
    pub const ALL: [Self; 7] = [
        Self::Detector,
        Self::Severity,
        Self::Identity,
        Self::Subject,
        Self::Owner,
        Self::Team,
        Self::Finding,
    ];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Detector => "detector",
            Self::Severity => "severity",
            Self::Identity => "identity",
            Self::Subject => "subject",
            Self::Owner => "owner",
            Self::Team => "team",
            Self::Finding => "finding",
        }
    }

    /// What it is of a finding. Empty where nobody knows.
    #[must_use]
    pub fn of(self, finding: &Finding) -> String {
        match self {
            Self::Detector => finding.detector.as_str().to_owned(),
            Self::Severity => finding.severity.as_str().to_owned(),
            Self::Identity => match &finding.identity {
                Some(identity) => identity.0.clone(),
                None => finding.subject.parts().1.to_owned(),
            },
            Self::Subject => {
                let (kind, name) = finding.subject.parts();
                format!("{kind}:{name}")
            }
            Self::Owner => finding.owner.clone().unwrap_or_default(),
            Self::Team => finding.team.clone().unwrap_or_default(),
            Self::Finding => finding.id.0.clone(),
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Label {
    type Err = ParseLabelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|label| label.as_str() == text).ok_or(ParseLabelError)
    }
}

/// What `finding` has in common with others of its group.
pub(super) fn labels(by: &[Label], finding: &Finding) -> BTreeMap<String, String> {
    by.iter().map(|label| (label.as_str().to_owned(), label.of(finding))).collect()
}

impl GroupId {
    /// The group that a finding belongs to.
    pub(super) fn of(by: &[Label], finding: &Finding) -> Self {
        let labels = labels(by, finding);
        Self(digest(labels.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()])))
    }
}
