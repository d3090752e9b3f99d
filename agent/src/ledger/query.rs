//! What can be asked of the ledger, and the answers.

use serde::Serialize;
use weir_core::blind::BlindSpot;
use weir_core::meter::{EdgeRecord, UsageRecord};
use weir_core::units::Timestamp;

use super::Dimension;
use super::dimension::RowKey;
use super::entry::Loss;
use super::index::Gap;
use super::position::Position;
use super::usage::Usage;

/// Asks for sums over the calls that were made from this host in an interval.
///
/// Only calls seen from the caller's end count ([`weir_core::units::Role::Client`]): one that both
/// ends of were seen on this host would count twice, and who answers is not who is billed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageQuery {
    /// One row for each combination of these. None gives one row.
    pub by: Vec<Dimension>,
    /// Calls that began then or later.
    pub since: Timestamp,
    /// Calls that began before.
    pub until: Timestamp,
    /// Only those of this user, and only blind spots of this user.
    pub uid: Option<u32>,
}

/// Sums over calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UsageReport {
    /// As asked.
    pub by: Vec<Dimension>,
    /// As asked.
    pub since: Timestamp,
    /// As asked.
    pub until: Timestamp,
    /// Whether everything that happened on this host in the interval is known to be in the sums.
    /// If not, `lost_bytes`, `losses`, `gaps`, `blind_spots`, `damaged_lines` and `begins` say why.
    pub complete: bool,
    /// The dearest first, then those with the most calls.
    pub rows: Vec<UsageRow>,
    /// All rows together.
    pub totals: Usage,
    /// What was lost in the interval: at most [`INTERVALS_MAX`] of them.
    pub losses: Vec<Loss>,
    /// When the host was not watched, between two runs: at most [`INTERVALS_MAX`] of them.
    pub gaps: Vec<Gap>,
    /// Connections to model endpoints that nothing was read of: at most [`INTERVALS_MAX`] rows.
    pub blind_spots: Vec<BlindSpot>,
    /// Intervals that there was no room for.
    pub omitted: u64,
    /// Lines of the whole log that can't be read. `weir ledger verify` names them.
    pub damaged_lines: u64,
    /// Where what the ledger holds begins: the first run, or where retention has cut. An interval
    /// that begins before the cut is not complete; one that begins before the first run may be,
    /// since nobody had asked for that to be watched. Absent if there was no run yet.
    pub begins: Option<Timestamp>,
}

/// How many losses, gaps or blind spots a report lists.
pub const INTERVALS_MAX: usize = 100;

/// One row of a report. Serialises flat: the dimensions, then the sums.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UsageRow {
    /// What this row is about.
    #[serde(flatten)]
    pub key: RowKey,
    /// The sums.
    #[serde(flatten)]
    pub usage: Usage,
}

/// Asks for calls, in the order in which they were stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallsQuery {
    /// Only what was stored after this place.
    pub from: Option<Position>,
    /// Only calls that began then or later.
    pub since: Option<Timestamp>,
    /// Only calls that began before.
    pub until: Option<Timestamp>,
    /// Only those of this identity, under whatever name they were stored.
    pub identity: Option<String>,
    /// Only those of this user.
    pub uid: Option<u32>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// A call as it is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCall {
    /// The place after it: a query from there goes on with the next.
    pub next: Position,
    /// The call.
    pub record: UsageRecord,
}

/// Asks for steps to other agents, in the order in which they were stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EdgesQuery {
    /// Only what was stored after this place.
    pub from: Option<Position>,
    /// Only steps that were made then or later.
    pub since: Option<Timestamp>,
    /// Only steps that were made before.
    pub until: Option<Timestamp>,
    /// Only those of this user.
    pub uid: Option<u32>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// A step as it is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEdge {
    /// The place after it: a query from there goes on with the next.
    pub next: Position,
    /// The step.
    pub record: EdgeRecord,
}

impl EdgesQuery {
    /// Whether a step is among what is asked for, its place and the limit aside.
    pub(super) fn wants(&self, record: &EdgeRecord) -> bool {
        self.since.is_none_or(|since| record.time >= since)
            && self.until.is_none_or(|until| record.time < until)
            && self.uid.is_none_or(|uid| record.process.uid == uid)
    }
}

impl CallsQuery {
    /// Whether a call is among what is asked for, its place, its identity and the limit aside.
    pub(super) fn wants(&self, record: &UsageRecord) -> bool {
        self.since.is_none_or(|since| record.time >= since)
            && self.until.is_none_or(|until| record.time < until)
            && self.uid.is_none_or(|uid| record.process.uid == uid)
    }
}
