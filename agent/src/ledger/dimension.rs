//! What usage can be broken down by.

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize};
use weir_core::meter::{Dimension, UsageRecord};
use weir_core::units::Role;

/// Bytes kept of each value. Two values that are the same so far count as one.
pub(super) const VALUE_MAX: usize = 1024;

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
        let value = |dimension: Dimension| dimension.of(record).map(kept);
        let always = |dimension| value(dimension).unwrap_or_default();
        let assigned = value(Dimension::Rule).map(|rule| Assignment {
            rule,
            owner: value(Dimension::Owner),
            team: value(Dimension::Team),
            product_line: value(Dimension::ProductLine),
            cost_center: value(Dimension::CostCenter),
            environment: value(Dimension::Environment),
        });
        Self {
            role: record.role,
            uid: record.process.uid,
            identity: always(Dimension::Identity),
            model: value(Dimension::Model),
            provider: always(Dimension::Provider),
            credential: value(Dimension::Credential),
            api: always(Dimension::Api),
            exe: value(Dimension::Process),
            script: value(Dimension::Script),
            agent: value(Dimension::Agent),
            assigned: assigned.map(Box::new),
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

fn kept(text: &str) -> String {
    text[..text.floor_char_boundary(VALUE_MAX)].to_owned()
}
