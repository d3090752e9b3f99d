//! From facts about a process to who it is: a service account, an agent, a workload.
//!
//! The shell gathers [`ProcessFacts`]; [`resolve()`] is a pure function of them, and [`Rules`] give names
//! and owners to what it finds.

mod aliases;
mod container;
mod explain;
mod fact;
mod facts;
mod kind;
mod kubernetes;
mod membership;
mod namespace;
mod placement;
mod resolve;
mod rule;
mod rules;
mod segment;
mod selector;
mod workload;

#[cfg(test)]
mod tests;

pub use aliases::Aliases;
pub use container::{ContainerId, ContainerRef, PodUid, Runtime};
pub use explain::{Explanation, Outcome, Told, Tried};
pub use fact::{Fact, Selector, Source};
pub use facts::facts;
pub use kind::Kind;
pub use membership::Membership;
pub use namespace::{Namespace, NamespaceError};
pub use placement::{Placement, Realm};
pub use resolve::resolve;
pub use rule::{Rule, RuleError, RuleSpec};
pub use rules::{Claim, Rules};
pub use selector::{ParsePatternError, Pattern};
pub use workload::{Agent, Assigned, Pod, Workload};

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A SPIFFE-style name of a non-human identity:
/// `spiffe://<trust-domain>/host/<host>/unit/<unit>`, `…/host/<host>/container/<name>`,
/// `…/host/<host>/user/<name>` and others, as [`resolve()`] lists them, or `…/workload/<name>` where a
/// rule gives it a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IdentityId(pub String);

impl fmt::Display for IdentityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The process that made a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its id in the initial pid namespace.
    pub pid: u32,
    /// The path of its program in its own mount namespace; absent where the process was gone
    /// before anybody could look and its start was not seen.
    pub exe: Option<String>,
    /// Its real user id in the initial user namespace, as the kernel stamped it.
    pub uid: u32,
}

/// The container that a process runs in, as far as known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name, where the runtime's own state on this host told it.
    pub name: Option<String>,
    /// The image it was made from.
    pub image: Option<String>,
    /// `docker`, `podman`, `containerd` or `cri-o`.
    pub runtime: Option<String>,
}

/// What the shell could find out about a process. A field is `None` or empty where nothing was found,
/// never a guess. How far each is to be trusted is [`Source`]'s to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessFacts {
    /// Pid, exe and uid.
    pub process: Process,
    /// The name of `uid` in the host's user database.
    pub user: Option<String>,
    /// Its real group id in the initial user namespace.
    pub gid: Option<u32>,
    /// The name of `gid` in the host's group database.
    pub group: Option<String>,
    /// Path of its cgroup, in the v2 hierarchy or in that v1 hierarchy which says more, as in
    /// `/proc/PID/cgroup` ([`Membership::path`]).
    pub cgroup: Option<String>,
    /// The name of the user whose service manager made that cgroup ([`Realm::User`]).
    pub owner: Option<String>,
    /// The container's details, where the runtime's own state on this host had them.
    pub container: Option<Container>,
    /// The name of its user in the user database of its own root: a hint by the container's image.
    pub container_user: Option<String>,
    /// The uid that somebody logged in with, which the kernel keeps through `su` and `sudo`
    /// (`/proc/PID/loginuid`).
    pub login_uid: Option<u32>,
    /// Whether it has a controlling terminal.
    pub terminal: Option<bool>,
    /// SHA-256 of its program, in hexadecimal digits.
    pub exe_sha256: Option<String>,
    /// What an interpreter runs: a script's path, or a module's name.
    pub script: Option<String>,
    /// The package that its program belongs to.
    pub package: Option<String>,
    /// What the Kubernetes token below its root claims. Its signature wasn't verified.
    pub token: Option<Pod>,
    /// What the kubelet says of the pod.
    pub kubelet: Option<Pod>,
    /// Names and ids of cloud roles in its environment: `AWS_ROLE_ARN`, …; never a secret.
    pub cloud: BTreeMap<&'static str, String>,
    /// The root of its lineage.
    pub agent: Option<Agent>,
}

impl ProcessFacts {
    /// Of a process of which nothing else is known.
    #[must_use]
    pub const fn new(process: Process) -> Self {
        Self {
            process,
            user: None,
            gid: None,
            group: None,
            cgroup: None,
            owner: None,
            container: None,
            container_user: None,
            login_uid: None,
            terminal: None,
            exe_sha256: None,
            script: None,
            package: None,
            token: None,
            kubelet: None,
            cloud: BTreeMap::new(),
            agent: None,
        }
    }
}

/// Who made a call, and where it ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribution {
    /// The non-human identity that is billed.
    pub identity: IdentityId,
    /// The process.
    pub process: Process,
    /// Its container.
    pub container: Option<Container>,
    /// Its systemd unit.
    pub unit: Option<String>,
    /// What else is known of it.
    pub workload: Workload,
    /// Rules that decide over some calls, by the credential of the call, in their order.
    pub claims: Vec<Claim>,
}

impl Attribution {
    /// Of a process of which nothing is known but who it is.
    #[must_use]
    pub fn new(identity: IdentityId, process: Process) -> Self {
        Self {
            identity,
            process,
            container: None,
            unit: None,
            workload: Workload::default(),
            claims: Vec::new(),
        }
    }
}
