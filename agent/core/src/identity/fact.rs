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
    /// Whoever a part of the cgroup tree was left to: a user's manager, or a service. What is below
    /// it has the names that it likes, so they may be those of others.
    Delegate,
    /// Files below the process's own root, and the names that files have there.
    Root,
    /// The process's arguments or environment.
    Process,
}

impl Source {
    /// Whether it is neither the kernel nor the cgroup that says so.
    #[must_use]
    pub const fn is_hint(self) -> bool {
        match self {
            Self::Kernel | Self::Cgroup => false,
            Self::Kubelet
            | Self::Runtime
            | Self::Host
            | Self::Delegate
            | Self::Root
            | Self::Process => true,
        }
    }

    /// Whether the workload has no say in it.
    pub(super) const fn vouches(self) -> bool {
        match self {
            Self::Kernel | Self::Cgroup | Self::Kubelet | Self::Runtime | Self::Host => true,
            Self::Delegate | Self::Root | Self::Process => false,
        }
    }

    /// The name in records and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Cgroup => "cgroup",
            Self::Kubelet => "kubelet",
            Self::Runtime => "runtime",
            Self::Host => "host",
            Self::Delegate => "delegate",
            Self::Root => "root",
            Self::Process => "process",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A fact in SPIRE's form, `type:value`: `unix:uid:1000`, `systemd:id:bot.service`, `k8s:ns:prod`.
/// The value has at most 1 KiB and a mark if it was cut. Shown with control characters escaped.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Selector(pub String);

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escaped(&self.0))
    }
}

/// `text` with its control characters escaped, so that a terminal obeys none of them.
pub(super) fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// One fact about a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What is the case.
    pub selector: Selector,
    /// Who says so.
    pub source: Source,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_can_not_drive_the_terminal() {
        let selector = Selector("process:script:a\u{1b}[2J\n\u{9b}b".to_owned());
        assert_eq!(selector.to_string(), r"process:script:a\u{1b}[2J\n\u{9b}b");
    }

    #[test]
    fn sources_have_one_name() {
        for source in [
            Source::Kernel,
            Source::Cgroup,
            Source::Kubelet,
            Source::Runtime,
            Source::Host,
            Source::Delegate,
            Source::Root,
            Source::Process,
        ] {
            assert_eq!(serde_json::to_value(source).unwrap(), source.as_str());
        }
        assert!(Source::Cgroup < Source::Kubelet && Source::Host < Source::Delegate);
    }
}
