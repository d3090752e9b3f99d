//! From facts about a process to who it is: a service account, an agent, a workload.
//!
//! The shell gathers [`ProcessFacts`]; [`resolve()`] is a pure function of them.

mod container;
mod membership;
mod namespace;
mod placement;
mod resolve;
mod segment;

#[cfg(test)]
mod tests;

pub use container::{ContainerId, ContainerRef, PodUid, Runtime};
pub use membership::Membership;
pub use namespace::{Namespace, NamespaceError};
pub use placement::{Placement, Realm};
pub use resolve::resolve;

use std::fmt;

use serde::{Deserialize, Serialize};

/// A SPIFFE-style name of a non-human identity:
/// `spiffe://<trust-domain>/host/<host>/unit/<unit>`, `…/host/<host>/container/<name>` or
/// `…/host/<host>/user/<name>`; what a user's own service manager runs is named below that user.
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

/// What the shell could find out about a process. A field is `None` where nothing was found, never
/// a guess.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessFacts {
    /// Pid, exe and uid.
    pub process: Process,
    /// The name of `uid` in the host's user database.
    pub user: Option<String>,
    /// Path of its cgroup, in the v2 hierarchy or in that v1 hierarchy which says more, as in
    /// `/proc/PID/cgroup` ([`Membership::path`]).
    pub cgroup: Option<String>,
    /// The name of the user whose service manager made that cgroup ([`Realm::User`]).
    pub owner: Option<String>,
    /// The container's details, where the runtime's own state on this host had them.
    pub container: Option<Container>,
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
}
