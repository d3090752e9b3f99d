//! What detectors are shown: the lines of the log, in its order.

use crate::blind::BlindSpot;
use crate::identity::IdentityId;
use crate::meter::{EdgeRecord, UsageRecord};
use crate::units::Timestamp;

/// A line of the log.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'a> {
    /// A model call. Repeats (`duplicate_of`) and settlements are among them.
    Call(&'a UsageRecord),
    /// A step to another agent.
    Edge(&'a EdgeRecord),
    /// Connections that nothing was read of.
    Blind(&'a BlindSpot),
    /// Something was lost.
    Lost(&'a Lost),
    /// An administrator has offboarded this identity.
    Offboarded(&'a IdentityId, Timestamp),
    /// An administrator lets this identity make calls again.
    Restored(&'a IdentityId, Timestamp),
    /// The first is called the second now: what is known of it belongs to that name.
    Renamed(&'a IdentityId, &'a IdentityId, Timestamp),
    /// The daemon began to watch the host.
    Started(Timestamp),
    /// The daemon stopped watching. What happened until it starts again was not seen.
    Stopped(Timestamp),
}

/// An interval in which something that may have been part of a call was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Nothing was lost before this.
    pub from: Timestamp,
    /// Nor after this.
    pub to: Timestamp,
    /// At least so many bytes.
    pub bytes: u64,
    /// At least so many kernel records.
    pub records: u64,
    /// The name of the loss counter.
    pub cause: String,
}

impl Seen<'_> {
    /// When it happened.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        match self {
            Self::Call(record) => record.time,
            Self::Edge(record) => record.time,
            Self::Blind(spot) => spot.until,
            Self::Lost(lost) => lost.to,
            Self::Offboarded(_, time)
            | Self::Restored(_, time)
            | Self::Renamed(_, _, time)
            | Self::Started(time)
            | Self::Stopped(time) => *time,
        }
    }
}
