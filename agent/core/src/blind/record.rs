//! What the ledger keeps of blind spots.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::http::{CredentialKind, CredentialPlace};
use crate::identity::{Assigned, Container, IdentityId, Process};
use crate::provider::Api;
use crate::secret::Fingerprint;
use crate::units::Timestamp;

/// Connections of one identity to one model endpoint of which nothing was read, for one reason. The
/// first has a row at once, and what comes after it has one every five minutes. Its JSON is a public contract: fields are added, never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlindSpot {
    /// When the first of them was opened, or the first byte beyond what another row says was sent.
    pub time: Timestamp,
    /// The latest moment at which one of them was there.
    pub until: Timestamp,
    /// Who opened them.
    pub identity: IdentityId,
    /// The process that opened the first of them.
    pub process: Process,
    /// Its systemd unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Its container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// The endpoint's name as the connection asked for it, or as others did that went to the same
    /// address. A claim of the caller.
    pub host: String,
    /// How the endpoint is known.
    pub known_by: KnownBy,
    /// The other end of the first of them.
    pub remote: SocketAddr,
    /// How it is reached.
    pub transport: Transport,
    /// Why nothing was read.
    pub reason: Reason,
    /// How many connections; 0 if this only says how much more others have carried.
    pub connections: u64,
    /// Bytes that were sent, encryption included.
    pub written: u64,
    /// Bytes that were received, encryption included; absent if that was not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<u64>,
    /// What their first requests said, if they are plain HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plain_http: Option<Box<PlainRequest>>,
}

/// What the first request of a connection said in plain HTTP: its credential is that of each connection
/// of the row, the rest is of the first. All of it are claims of the caller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainRequest {
    /// The other end is a loopback address, so that none of it has left the host.
    pub loopback: bool,
    /// Whose endpoint its host is, or who made the form that it speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The form; absent if it is no model call, though it goes to a model endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<Api>,
    /// Stands for the credential that it carried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Fingerprint>,
    /// What kind of credential it is, by its form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_kind: Option<CredentialKind>,
    /// Where the request carried it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_in: Option<CredentialPlace>,
    /// Ids beside or inside the credential that are no secrets, as in records of calls.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub credential_ids: BTreeMap<String, String>,
    /// What the configuration's rule says of the identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned: Option<Assigned>,
}

/// Why nothing was read of a connection. Derived from what could be found out, the first that fits:
/// it says where to look, and proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It is QUIC, whose TLS has no function that could be probed.
    Quic,
    /// It isn't encrypted, so no TLS library sees it.
    PlainHttp,
    /// The process is a Java virtual machine, whose TLS is made of Java.
    Jvm,
    /// The kernel refused a probe on a file that the process runs.
    Refused,
    /// A file that the process runs has a TLS library inside whose functions could not be found.
    NoSymbols,
    /// A file that the process runs has a TLS library inside that isn't probed: one that is too old, or
    /// that differs from all that are known.
    UnsupportedVersion,
    /// A file that the process runs could not be searched.
    Unreadable,
    /// The probes were set on a file that the process runs after the connection had begun.
    JoinedLate,
    /// Something that the probes saw could not be handed over meanwhile.
    Lost,
    /// The process was gone before it could be looked at.
    TooShort,
    /// No TLS library that is known was found, or the one that was found is not the one it used.
    UnknownTls,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 11] = [
        Self::Quic,
        Self::PlainHttp,
        Self::Jvm,
        Self::Refused,
        Self::NoSymbols,
        Self::UnsupportedVersion,
        Self::Unreadable,
        Self::JoinedLate,
        Self::Lost,
        Self::TooShort,
        Self::UnknownTls,
    ];

    /// Its name in the log, in metrics and in `weir doctor`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quic => "quic",
            Self::PlainHttp => "plain_http",
            Self::Jvm => "jvm",
            Self::Refused => "refused",
            Self::NoSymbols => "no_symbols",
            Self::UnsupportedVersion => "unsupported_version",
            Self::Unreadable => "unreadable",
            Self::JoinedLate => "joined_late",
            Self::Lost => "lost",
            Self::TooShort => "too_short",
            Self::UnknownTls => "unknown_tls",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How it is known that a connection goes to a model endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KnownBy {
    /// Its greeting, or its request in plain HTTP, names it.
    Name,
    /// Its address was configured, or is one at which another connection asked for that name. Many
    /// hosts may share an address.
    Address,
    /// What is asked for in plain HTTP is a model call, whoever's host it is.
    Request,
}

/// What a connection is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TLS over TCP.
    Tcp,
    /// QUIC, over UDP.
    Quic,
    /// HTTP over TCP, without TLS.
    Http,
}
