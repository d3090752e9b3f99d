//! What a detector finds. Its JSON is a public contract: fields are added, never changed.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::detector::Detector;
use crate::identity::IdentityId;
use crate::meter::CallId;
use crate::secret::Fingerprint;
use crate::units::{PicoUsd, Timestamp};

/// Most calls that a finding names as evidence.
pub const CALLS_MAX: usize = 10;

/// One thing that is wrong, from its beginning to its end: 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FindingId(pub String);

impl FindingId {
    /// The same for the same detector, subject and beginning, so that what is found again when the log is
    /// read again is known to be the same.
    #[must_use]
    pub fn new(detector: Detector, subject: &Subject, since: Timestamp) -> Self {
        let since = since.as_millisecond().to_string();
        let (kind, name) = subject.parts();
        let mut hash = Sha256::new();
        for part in [detector.as_str(), kind, name, &since] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        Self(hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }
}

impl fmt::Display for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something that is wrong, has become worse, or is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Names it from its beginning to its end.
    pub id: FindingId,
    /// The time of the record, or of the clock, that shows it.
    pub time: Timestamp,
    /// When it began.
    pub since: Timestamp,
    /// Whether it holds or is over.
    pub state: State,
    /// Who found it.
    pub detector: Detector,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about.
    pub subject: Subject,
    /// Who did it, or whom it concerns, where that is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentityId>,
    /// Whom to ask, as a rule of the configuration says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Their team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// What is the case, in one sentence with its numbers.
    pub summary: String,
    /// What shows it.
    #[serde(default)]
    pub evidence: Evidence,
    /// What to do about it, in one sentence to the reader.
    pub next_step: String,
}

/// Whether it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It holds.
    Firing,
    /// It is over.
    Resolved,
}

/// How bad it is, from the least. The words are those of OCSF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Informational,
    /// Look at it some time.
    Low,
    /// Look at it this week.
    Medium,
    /// Look at it today.
    High,
    /// Look at it now.
    Critical,
}

impl Severity {
    /// Every severity, the least first.
    pub const ALL: [Self; 5] =
        [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// An identity.
    Identity(IdentityId),
    /// A credential, by what stands for it.
    Credential(Fingerprint),
    /// A budget, by its name in the configuration, or by that and whom it is about (`name/whom`).
    Budget(String),
    /// A model, by its provider and its name (`provider/model`).
    Model(String),
    /// This host.
    Host(String),
}

impl Subject {
    /// The word for its kind, and its name.
    #[must_use]
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Identity(identity) => ("identity", &identity.0),
            Self::Credential(credential) => ("credential", credential.as_str()),
            Self::Budget(name) => ("budget", name),
            Self::Model(name) => ("model", name),
            Self::Host(name) => ("host", name),
        }
    }
}

/// What shows a finding: numbers, and the calls behind them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Amount>,
    /// What is usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usual: Option<Amount>,
    /// What it may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Amount>,
    /// Where it was seen: from here,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// to here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Calls that show it, [`CALLS_MAX`] at most, the first and the last among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<CallId>,
    /// What else: `model`, `provider`, `host`, … Names are the same as in records.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
}

/// How much of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Amount {
    /// US dollars.
    Usd(PicoUsd),
    /// Tokens.
    Tokens(u64),
    /// Calls.
    Calls(u64),
    /// Bytes.
    Bytes(u64),
    /// Seconds.
    Seconds(u64),
    /// How many of what the summary names.
    Count(u64),
    /// So many thousandths.
    Thousandths(i64),
}
