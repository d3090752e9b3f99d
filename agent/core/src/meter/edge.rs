//! The record of one step of an agent to the next, as the ledger stores it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::behalf::Behalf;
use super::sighting_id;
use crate::identity::{Attribution, IdentityId, Process};
use crate::provider::{Edge, Protocol};
use crate::units::Timestamp;

/// One step's id: 32 hexadecimal digits, the same whenever the same sighting is recorded again, and
/// none that a call has.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EdgeId(pub String);

impl fmt::Display for EdgeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A tool that was called or a message that was sent to another agent. Nothing of what was said in it
/// is here but the name of the tool. Its JSON is a public contract: fields are added, never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeRecord {
    /// Names this step.
    pub id: EdgeId,
    /// When the request's first byte was seen.
    pub time: Timestamp,
    /// Who made it.
    pub identity: IdentityId,
    /// The process that made it.
    pub process: Process,
    /// By which protocol.
    pub protocol: Protocol,
    /// What the request's `Host` says. A claim of the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// What was asked: a method of the protocol, or `agent-card`.
    pub method: String,
    /// The tool that was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// The W3C trace that the caller says it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The caller's place in that trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    /// For whom else it was made: who began its trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<Behalf>,
    /// HTTP status; absent if no answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

impl EdgeRecord {
    /// The record of a step. `boot_id` is the kernel's id of this boot.
    #[must_use]
    pub fn new(edge: Edge, attribution: &Attribution, boot_id: &str) -> Self {
        // What no call's id is made of comes first.
        let scope = format!("edge\0{boot_id}");
        Self {
            id: EdgeId(sighting_id(&scope, edge.connection, edge.ordinal, edge.index)),
            time: edge.time,
            identity: attribution.identity.clone(),
            process: attribution.process.clone(),
            protocol: edge.protocol,
            host: edge.host,
            method: edge.method.to_owned(),
            tool: edge.tool,
            trace_id: edge.trace_id,
            parent_id: edge.parent_id,
            on_behalf_of: None,
            status: edge.status,
        }
    }
}
