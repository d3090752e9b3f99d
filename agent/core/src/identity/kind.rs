//! The words for facts.
//!
//! Most are SPIRE's. It has no word for a container's name, image, runtime and id, for what an
//! interpreter runs, for packages, cloud roles and lineage: those are ours. `docs/identity.md` lists
//! all of them.

use std::fmt;

/// What a fact is about. The order is that in which facts are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The real user id, in the initial user namespace.
    Uid,
    /// Its name on the host.
    User,
    /// The real group id.
    Gid,
    /// Its name on the host.
    Group,
    /// The uid that somebody logged in with.
    LoginUid,
    /// SHA-256 of the program.
    Sha256,
    /// The program's path, in the process's own mount namespace.
    Path,
    /// The host's service that the process belongs to; a user's manager is `user@UID.service`.
    Unit,
    /// The service of a user's own manager.
    UserUnit,
    /// The container's id, in 64 digits.
    ContainerId,
    /// The container's name.
    ContainerName,
    /// The image.
    ContainerImage,
    /// `docker`, `podman`, `containerd` or `cri-o`.
    ContainerRuntime,
    /// The name of its user in its own user database.
    ContainerUser,
    /// The pod's uid.
    PodUid,
    /// The pod's namespace.
    PodNamespace,
    /// The pod's service account.
    PodServiceAccount,
    /// The pod's name.
    PodName,
    /// The package that the program belongs to.
    Package,
    /// What an interpreter runs.
    Script,
    /// `true` if it has a controlling terminal, else `false`.
    Interactive,
    /// A cloud role in its environment, `<variable>:<value>`.
    Cloud,
    /// The agent at the root of its lineage.
    Agent,
    /// That agent, if it is the process's own parent.
    Parent,
    /// The identity that it has without rules.
    Identity,
}

impl Kind {
    /// Each of them.
    pub const ALL: [Self; 25] = [
        Self::Uid,
        Self::User,
        Self::Gid,
        Self::Group,
        Self::LoginUid,
        Self::Sha256,
        Self::Path,
        Self::Unit,
        Self::UserUnit,
        Self::ContainerId,
        Self::ContainerName,
        Self::ContainerImage,
        Self::ContainerRuntime,
        Self::ContainerUser,
        Self::PodUid,
        Self::PodNamespace,
        Self::PodServiceAccount,
        Self::PodName,
        Self::Package,
        Self::Script,
        Self::Interactive,
        Self::Cloud,
        Self::Agent,
        Self::Parent,
        Self::Identity,
    ];

    /// What stands before the value, without the colon between.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Uid => "unix:uid",
            Self::User => "unix:user",
            Self::Gid => "unix:gid",
            Self::Group => "unix:group",
            Self::LoginUid => "unix:login-uid",
            Self::Sha256 => "unix:sha256",
            Self::Path => "unix:path",
            Self::Unit => "systemd:id",
            Self::UserUnit => "systemd:user-id",
            Self::ContainerId => "container:id",
            Self::ContainerName => "container:name",
            Self::ContainerImage => "container:image",
            Self::ContainerRuntime => "container:runtime",
            Self::ContainerUser => "container:user",
            Self::PodUid => "k8s:pod-uid",
            Self::PodNamespace => "k8s:ns",
            Self::PodServiceAccount => "k8s:sa",
            Self::PodName => "k8s:pod-name",
            Self::Package => "package",
            Self::Script => "process:script",
            Self::Interactive => "process:interactive",
            Self::Cloud => "cloud",
            Self::Agent => "agent",
            Self::Parent => "parent",
            Self::Identity => "weir:id",
        }
    }

    /// Whether such a fact says who it is, as far as its source is one that the workload has no say
    /// in. The others are the workload's to choose, or say only what runs: everybody may run a copy of
    /// a program, with `LD_PRELOAD` too, and at any path in a mount namespace of his own; a process
    /// that nobody logged in for may set its login uid once (`audit_set_loginuid_perm`), and any may
    /// take or leave a terminal. Which runtime it is says nothing of who is in the container, and
    /// which service account it is may be known only from a token below the process's own root.
    pub(super) const fn tells_who(self) -> bool {
        match self {
            Self::Uid
            | Self::User
            | Self::Gid
            | Self::Group
            | Self::Unit
            | Self::ContainerId
            | Self::ContainerName
            | Self::ContainerImage
            | Self::PodUid
            | Self::PodNamespace
            | Self::PodName
            | Self::Identity => true,
            Self::LoginUid
            | Self::Sha256
            | Self::Path
            | Self::UserUnit
            | Self::ContainerRuntime
            | Self::ContainerUser
            | Self::PodServiceAccount
            | Self::Package
            | Self::Script
            | Self::Interactive
            | Self::Cloud
            | Self::Agent
            | Self::Parent => false,
        }
    }

    /// Whether it is about the user or a group that a process runs as.
    pub(super) const fn is_account(self) -> bool {
        matches!(self, Self::Uid | Self::User | Self::Gid | Self::Group)
    }

    /// What a value of it has to look like.
    pub(super) const fn form(self) -> Form {
        match self {
            Self::Uid | Self::Gid | Self::LoginUid => Form::Number,
            Self::Sha256 | Self::ContainerId => Form::Digest,
            Self::Interactive => Form::Switch,
            Self::User
            | Self::Group
            | Self::Path
            | Self::Unit
            | Self::UserUnit
            | Self::ContainerName
            | Self::ContainerImage
            | Self::ContainerRuntime
            | Self::ContainerUser
            | Self::PodUid
            | Self::PodNamespace
            | Self::PodServiceAccount
            | Self::PodName
            | Self::Package
            | Self::Script
            | Self::Cloud
            | Self::Agent
            | Self::Parent
            | Self::Identity => Form::Text,
        }
    }

    pub(super) fn split(text: &str) -> Option<(Self, &str)> {
        Self::ALL
            .into_iter()
            .find_map(|kind| Some((kind, text.strip_prefix(kind.as_str())?.strip_prefix(':')?)))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The forms of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A decimal number of 32 bits. Its beginning means nothing.
    Number,
    /// 64 lowercase hexadecimal digits.
    Digest,
    /// `true` or `false`.
    Switch,
    /// Anything.
    Text,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names_of_their_own() {
        for kind in Kind::ALL {
            let text = format!("{kind}:x:y");
            let (read, value) = Kind::split(&text).unwrap();
            assert_eq!((read, value), (kind, "x:y"));
        }
    }
}
