//! The ways in which calls can be told apart, and summed up.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::record::UsageRecord;
use crate::secret::Fingerprint;

/// One way to break usage down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Who is billed.
    Identity,
    /// The model that served.
    Model,
    /// The provider.
    Provider,
    /// The fingerprint of the credential.
    Credential,
    /// The wire form.
    Api,
    /// The path of the program.
    Process,
    /// What an interpreter runs.
    Script,
    /// The agent at the root of the process's lineage.
    Agent,
    /// The rule of the configuration that applied.
    Rule,
    /// Whom that rule says to ask.
    Owner,
    /// The team.
    Team,
    /// The product line.
    ProductLine,
    /// The cost centre.
    CostCenter,
    /// The environment.
    Environment,
}

impl Dimension {
    /// Each of them.
    pub const ALL: [Self; 14] = [
        Self::Identity,
        Self::Model,
        Self::Provider,
        Self::Credential,
        Self::Api,
        Self::Process,
        Self::Script,
        Self::Agent,
        Self::Rule,
        Self::Owner,
        Self::Team,
        Self::ProductLine,
        Self::CostCenter,
        Self::Environment,
    ];

    /// Its name in queries and in rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Model => "model",
            Self::Provider => "provider",
            Self::Credential => "credential",
            Self::Api => "api",
            Self::Process => "process",
            Self::Script => "script",
            Self::Agent => "agent",
            Self::Rule => "rule",
            Self::Owner => "owner",
            Self::Team => "team",
            Self::ProductLine => "product_line",
            Self::CostCenter => "cost_center",
            Self::Environment => "environment",
        }
    }

    /// What a record has there, if that is known.
    #[must_use]
    pub fn of(self, record: &UsageRecord) -> Option<&str> {
        let assigned = record.workload.assigned.as_ref();
        match self {
            Self::Identity => Some(&record.identity.0),
            Self::Model => record.model.as_deref(),
            Self::Provider => Some(&record.provider),
            Self::Credential => record.credential.as_ref().map(Fingerprint::as_str),
            Self::Api => Some(record.api.as_str()),
            Self::Process => record.process.exe.as_deref(),
            Self::Script => record.workload.script.as_deref(),
            Self::Agent => record.workload.agent.as_ref().map(|agent| agent.name.as_str()),
            Self::Rule => assigned.map(|assigned| assigned.rule.as_str()),
            Self::Owner => assigned?.owner.as_deref(),
            Self::Team => assigned?.team.as_deref(),
            Self::ProductLine => assigned?.product_line.as_deref(),
            Self::CostCenter => assigned?.cost_center.as_deref(),
            Self::Environment => assigned?.environment.as_deref(),
        }
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no [`Dimension`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("can't break usage down by {0:?}: use {all}", all = Dimension::ALL.map(Dimension::as_str).join(", "))]
pub struct ParseDimensionError(String);

impl FromStr for Dimension {
    type Err = ParseDimensionError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|dimension| dimension.as_str() == word)
            .ok_or_else(|| ParseDimensionError(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dimension_is_read_by_its_name() {
        for dimension in Dimension::ALL {
            assert_eq!(dimension.as_str().parse(), Ok(dimension));
            assert_eq!(serde_json::to_value(dimension).unwrap(), dimension.as_str());
        }
        assert!("Model".parse::<Dimension>().is_err());
    }
}
