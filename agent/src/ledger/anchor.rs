//! Where the chain of the log begins once retention has removed its first days.

use std::path::Path;

use serde::{Deserialize, Serialize};
use weir_core::units::Timestamp;

use super::day::Day;
use super::error::{At, LedgerError};
use super::files;
use super::line::Hash;
use super::position::Position;

const NAME: &str = "anchor.json";

/// What the first line that is left has to carry. Files of earlier days are no part of the log:
/// they are there only if removing them was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Anchor {
    /// The first day that is kept.
    pub(super) day: Day,
    /// Sequence number of the first line that is kept.
    pub(super) seq: u64,
    /// Hash of the line before it.
    pub(super) prev: Hash,
}

impl Anchor {
    /// Of a log that is whole.
    pub(super) const WHOLE: Self =
        Self { day: Day::FIRST, seq: Position::START.seq, prev: Hash::ZERO };

    /// Reads the anchor of a log directory. A log without one is whole.
    pub(super) fn read(log_dir: &Path) -> Result<Self, LedgerError> {
        let path = log_dir.join(NAME);
        match files::if_found(std::fs::read(&path)).at("read", &path)? {
            None => Ok(Self::WHOLE),
            Some(bytes) => Ok(serde_json::from_slice(&bytes)
                .map_err(std::io::Error::from)
                .at("make sense of", &path)?),
        }
    }

    pub(super) fn write(&self, log_dir: &Path) -> Result<(), LedgerError> {
        files::replace(log_dir, NAME, &serde_json::to_vec(self)?).at("write", &log_dir.join(NAME))
    }

    /// The last moment before what is left at which the host may have been watched.
    pub(super) fn alive(&self) -> Option<Timestamp> {
        (*self != Self::WHOLE).then(|| self.day.start())
    }

    /// Where what is left begins.
    pub(super) const fn position(&self) -> Position {
        Position { day: self.day, offset: 0, seq: self.seq }
    }
}
