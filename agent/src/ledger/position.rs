//! Places in the log.

use serde::{Deserialize, Serialize};

use super::day::Day;

/// A place between two lines of the log. Later places compare greater. Stays valid as long as
/// retention keeps its day; after that it stands for the start of what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The file, by its day.
    pub day: Day,
    /// Bytes of that file before this place. Always just after a newline, or 0.
    pub offset: u64,
    /// Sequence number of the line that follows. The first line ever has 1.
    pub seq: u64,
}

impl Position {
    /// Before everything.
    pub const START: Self = Self { day: Day::FIRST, offset: 0, seq: 1 };
}
