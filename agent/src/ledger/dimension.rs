//! What usage can be broken down by.

use std::fmt;
use std::str::FromStr;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize};
use weir_core::identity::Assigned;
use weir_core::meter::UsageRecord;
use weir_core::units::Role;

/// Bytes kept of each value. Two values that are the same so far count as one.
pub(super) const VALUE_MAX: usize = 1024;

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

/// The values by which one row of a report differs from the others. Serialises as one field for
/// each dimension, a string or null.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowKey(pub Vec<(Dimension, Option<String>)>);

impl Serialize for RowKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (dimension, value) in &self.0 {
            map.serialize_entry(dimension.as_str(), value)?;
        }
        map.end()
    }
}

/// Everything that the index can tell two calls of one hour apart by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Traits {
    pub(super) role: Role,
    pub(super) uid: u32,
    identity: String,
    model: Option<String>,
    provider: String,
    credential: Option<String>,
    api: String,
    exe: Option<String>,
    script: Option<String>,
    agent: Option<String>,
    assigned: Option<Box<Assignment>>,
}

/// What a rule has assigned, labels aside.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Assignment {
    rule: String,
    owner: Option<String>,
    team: Option<String>,
    product_line: Option<String>,
    cost_center: Option<String>,
    environment: Option<String>,
}

impl Traits {
    pub(super) fn of(record: &UsageRecord) -> Self {
        Self {
            role: record.role,
            uid: record.process.uid,
            identity: kept(&record.identity.0),
            model: record.model.as_deref().map(kept),
            provider: kept(&record.provider),
            credential: record.credential.as_ref().map(|print| kept(&print.to_string())),
            api: record.api.as_str().to_owned(),
            exe: record.process.exe.as_deref().map(kept),
            script: record.workload.script.as_deref().map(kept),
            agent: record.workload.agent.as_ref().map(|agent| kept(&agent.name)),
            assigned: record.workload.assigned.as_ref().map(Assignment::of).map(Box::new),
        }
    }

    /// The row that calls with these traits belong to.
    pub(super) fn key(&self, by: &[Dimension]) -> RowKey {
        let value = |dimension| match dimension {
            Dimension::Identity => Some(self.identity.clone()),
            Dimension::Model => self.model.clone(),
            Dimension::Provider => Some(self.provider.clone()),
            Dimension::Credential => self.credential.clone(),
            Dimension::Api => Some(self.api.clone()),
            Dimension::Process => self.exe.clone(),
            Dimension::Script => self.script.clone(),
            Dimension::Agent => self.agent.clone(),
            Dimension::Rule => self.assigned.as_ref().map(|assigned| assigned.rule.clone()),
            Dimension::Owner => self.assigned.as_ref()?.owner.clone(),
            Dimension::Team => self.assigned.as_ref()?.team.clone(),
            Dimension::ProductLine => self.assigned.as_ref()?.product_line.clone(),
            Dimension::CostCenter => self.assigned.as_ref()?.cost_center.clone(),
            Dimension::Environment => self.assigned.as_ref()?.environment.clone(),
        };
        RowKey(by.iter().map(|dimension| (*dimension, value(*dimension))).collect())
    }
}

impl Assignment {
    fn of(assigned: &Assigned) -> Self {
        let kept = |text: &Option<String>| text.as_deref().map(kept);
        Self {
            rule: self::kept(&assigned.rule),
            owner: kept(&assigned.owner),
            team: kept(&assigned.team),
            product_line: kept(&assigned.product_line),
            cost_center: kept(&assigned.cost_center),
            environment: kept(&assigned.environment),
        }
    }
}

fn kept(text: &str) -> String {
    text[..text.floor_char_boundary(VALUE_MAX)].to_owned()
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
