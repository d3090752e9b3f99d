//! Why a process is who it is, for people and as JSON.

use serde::{Deserialize, Serialize};

use super::fact::Fact;
use super::facts::{Known, KnownFact};
use super::workload::Workload;
use super::{Attribution, Container, IdentityId, Process};

/// How it is known who a process is. Its JSON is a public contract: fields are added, never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Who is billed for a call of it that no rule with credentials is about.
    pub identity: IdentityId,
    /// Who it would be without rules.
    pub resolved: IdentityId,
    /// The process.
    pub process: Process,
    /// Its container.
    pub container: Option<Container>,
    /// Its systemd unit.
    pub unit: Option<String>,
    /// What records say besides.
    #[serde(flatten)]
    pub workload: Workload,
    /// Everything that is known of it, what the kernel stands for first.
    pub facts: Vec<Told>,
    /// The rules up to the one that matched, or all of them, in their order.
    pub rules: Vec<Tried>,
}

/// A fact as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The fact.
    #[serde(flatten)]
    pub fact: Fact,
    /// Whether neither the kernel nor the cgroup says so.
    pub hint: bool,
    /// Whether a rule may rest on it alone.
    pub sufficient: bool,
}

/// A rule and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// Its name, or else what it matches.
    pub rule: String,
    /// The identity that it gives, if it gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentityId>,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// It decides, and those after it don't count.
    Matched,
    /// It decides over calls with one of its credentials; over others, those after it.
    WithCredential,
    /// It is not about this process.
    Failed {
        /// The first condition that doesn't hold.
        condition: String,
        /// What is the case instead.
        because: String,
    },
}

impl Explanation {
    pub(super) fn new(
        attribution: Attribution,
        resolved: IdentityId,
        known: &Known,
        rules: Vec<Tried>,
    ) -> Self {
        let Attribution { identity, process, container, unit, workload, claims: _ } = attribution;
        let told = |known: &KnownFact| Told {
            fact: known.fact(),
            hint: known.source.is_hint(),
            sufficient: known.is_sufficient(),
        };
        let facts = known.by_trust().map(told).collect();
        Self { identity, resolved, process, container, unit, workload, facts, rules }
    }
}
