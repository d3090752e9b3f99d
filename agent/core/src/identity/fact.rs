//! Facts about a process in the words of SPIRE's selectors, each with where it comes from.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a fact comes from. What the workload can't touch comes first: between two that contradict
/// each other, the earlier is believed, and what is below [`Self::Cgroup`] is a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The kernel stamped it on the call, or says it of the process.
    Kernel,
    /// The path of its cgroup.
    Cgroup,
    /// The kubelet, over TLS that was verified.
    Kubelet,
    /// The container runtime's own files.
    Runtime,
    /// Databases of the host: users, groups, packages.
    Host,
    /// Files below the process's own root.
    Root,
    /// The process's arguments or environment.
    Process,
}

/// A fact in SPIRE's form, `type:value`: `unix:uid:1000`, `systemd:id:bot.service`, `k8s:ns:prod`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Selector(pub String);

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One fact about a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What is the case.
    pub selector: Selector,
    /// Who says so.
    pub source: Source,
}
