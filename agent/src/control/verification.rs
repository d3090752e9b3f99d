//! What a check of the usage log found, in the form that leaves the process.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::ledger::{self, LedgerError};

/// What a check of the usage log found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// Whether nothing is wrong.
    pub whole: bool,
    /// How many files were read.
    pub files: u64,
    /// How many lines.
    pub lines: u64,
    /// Sequence number of the first line.
    pub first_seq: Option<u64>,
    /// Of the last.
    pub last_seq: Option<u64>,
    /// The first of the things that are wrong, each with its file and line.
    pub problems: Vec<String>,
    /// How many things are wrong.
    pub problem_count: u64,
}

/// Checks the usage log in `state_dir`. Works beside a running daemon; reads all of it.
///
/// # Errors
/// If it can't be read.
pub fn verify(state_dir: &Path) -> Result<Verification, LedgerError> {
    let report = ledger::verify(state_dir)?;
    Ok(Verification {
        whole: report.problem_count == 0,
        files: report.files,
        lines: report.lines,
        first_seq: report.first_seq,
        last_seq: report.last_seq,
        problems: report.problems.iter().map(ToString::to_string).collect(),
        problem_count: report.problem_count,
    })
}
