//! What else than a name is known of who made a call, as records keep it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The facts beside the identity. Absent is not known, never "no".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// The Kubernetes pod of the process, if it runs in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Pod>,
    /// What an interpreter runs: the script or module behind `python`, `node`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// It has a controlling terminal, as what somebody runs in a shell has and a service or a job
    /// has not. Whoever wants none can leave it (`setsid`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interactive: Option<bool>,
    /// What the configuration's rule says of this identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned: Option<Assigned>,
    /// The agent that the process works for, at the root of its lineage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Agent>,
    /// Evidence that was refused because better evidence contradicts it, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disputed: Vec<String>,
}

/// A Kubernetes pod. The uid is the cgroup's; the rest is known from the kubelet, from the container
/// runtime, or from a token whose pod uid is that one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// As the API server writes it.
    pub uid: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its service account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
}

/// Who answers for an identity and who pays, as a rule of the configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assigned {
    /// The name that the rule gives, or else what it matches.
    pub rule: String,
    /// A person or a team to ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// The product line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_line: Option<String>,
    /// The cost centre.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_center: Option<String>,
    /// `production`, `staging`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Anything else.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// The agent at the root of a process's lineage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// What it runs: the name of its script or else of its program.
    pub name: String,
    /// Its process id.
    pub pid: u32,
    /// How many processes are between it and the one that made the call, that one included: 0 if
    /// it made the call itself.
    pub depth: u32,
    /// The programs from the agent down to the one that made the call, both left out, that make such
    /// calls too: agents that run agents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub through: Vec<String>,
    /// The program that made the call is the agent's, or one of those between: agents that run
    /// themselves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recursive: bool,
}
