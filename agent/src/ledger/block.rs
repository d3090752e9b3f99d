//! What the log says of identities that are kept from model endpoints.

use serde::{Deserialize, Serialize};
use weir_core::detect::Block;
use weir_core::units::Timestamp;

/// The way of an identity to model endpoints was closed, or isn't any more. With `dry_run` it would have been.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockRecord {
    /// When.
    pub time: Timestamp,
    /// What happened.
    pub deed: BlockDeed,
    /// Whose, why, since when and until when.
    #[serde(flatten)]
    pub block: Block,
    /// What was kept from model endpoints by then.
    pub kept: Kept,
}

/// What happened to a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BlockDeed {
    /// The way was closed.
    Closed,
    /// It is closed. Only answers to questions say so, no line of the log does.
    Stands,
    /// The reason for it is gone, and it is open again.
    Released,
    /// The daemon stops, so it is open again.
    Stopped,
}

/// What was kept from model endpoints of one identity, since the first of its blocks that holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Connections that were ended; with `dry_run`, that would have been.
    pub connections_reset: u64,
    /// Connections that were not begun.
    pub connections_refused: u64,
    /// Packets that were dropped.
    pub packets_dropped: u64,
}
