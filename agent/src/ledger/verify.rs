//! Checks the log, line by line, without writing anything. Works beside a running daemon.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use super::anchor::Anchor;
use super::day::Day;
use super::error::{At, LedgerError};
use super::line::{self, Damage, Hash};
use super::lines::{Lines, Step};
use super::log::days;
use super::reader::log_dir;

/// How many problems are named.
const PROBLEMS_MAX: usize = 100;
/// How often an unfinished last line is looked at again, 50 ms apart: a running daemon is writing.
const PATIENCE: u32 = 20;
/// How often to begin again when retention removes the file that is next.
const RESTARTS: u32 = 5;

/// What a check of the log found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// How many files were read.
    pub files: u64,
    /// How many lines, damaged ones included.
    pub lines: u64,
    /// Sequence number of the first line that can be read.
    pub first_seq: Option<u64>,
    /// Of the last.
    pub last_seq: Option<u64>,
    /// The first hundred of the things that are wrong.
    pub problems: Vec<Problem>,
    /// How many things are wrong.
    pub problem_count: u64,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}: {kind}", .file.display())]
pub struct Problem {
    /// In which file.
    pub file: PathBuf,
    /// In which line, the first being 1.
    pub line: u64,
    /// What.
    pub kind: ProblemKind,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProblemKind {
    /// It is not what was written.
    #[error("{0}")]
    Damaged(#[from] Damage),
    /// It is longer than any line of ours.
    #[error("it is longer than any line that is written here")]
    TooLong,
    /// The hash it carries is not that of the line before it.
    #[error(
        "the chain is broken: the line before this one was changed, or lines were removed or put in"
    )]
    ChainBroken,
    /// Its sequence number does not follow that of the line before it.
    #[error("it has sequence number {found} where {expected} should follow")]
    Gap {
        /// What should follow.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// The file ends in the middle of it. It was never acknowledged; the next start removes it.
    #[error("it is unfinished: {bytes} bytes without an end")]
    Torn {
        /// How many bytes there are.
        bytes: u64,
    },
}

/// Checks that the log in `state_dir` is what was written: every checksum, the chain of hashes and
/// the sequence numbers. Can't see that whole lines are missing at the very end.
///
/// # Errors
/// If the log can't be read. What is wrong with its lines is in the report.
pub fn verify(state_dir: &Path) -> Result<VerifyReport, LedgerError> {
    let dir = log_dir(state_dir);
    let mut restarts = 0;
    loop {
        match verify_once(&dir) {
            Err(LedgerError::File { source, .. })
                if source.kind() == io::ErrorKind::NotFound && restarts < RESTARTS =>
            {
                restarts += 1;
            }
            result => return result,
        }
    }
}

fn verify_once(dir: &Path) -> Result<VerifyReport, LedgerError> {
    let anchor = Anchor::read(dir)?;
    let days: Vec<Day> = days(dir)?.into_iter().filter(|day| *day >= anchor.day).collect();
    let mut check = Check {
        report: VerifyReport::default(),
        seq: anchor.seq,
        prev: Some(anchor.prev),
        text: Vec::new(),
    };
    for day in &days {
        let path = dir.join(day.file_name());
        check.file(path, Some(day) == days.last())?;
    }
    Ok(check.report)
}

struct Check {
    report: VerifyReport,
    /// What the next line should have.
    seq: u64,
    /// What it should carry; unknown after a line that can't be held against its own hash.
    prev: Option<Hash>,
    text: Vec<u8>,
}

impl Check {
    fn file(&mut self, path: PathBuf, newest: bool) -> Result<(), LedgerError> {
        self.report.files += 1;
        let mut number = 0;
        let mut from = 0;
        let mut patience = if newest { PATIENCE } else { 0 };
        loop {
            let file = File::open(&path).at("open", &path)?;
            let len = file.metadata().at("read", &path)?.len();
            let mut lines = Lines::new(file, from, len).at("read", &path)?;
            loop {
                let step = lines.step(&mut self.text).at("read", &path)?;
                let end = match step {
                    Step::End => return Ok(()),
                    Step::Torn { bytes, .. } if patience == 0 => {
                        self.problem(&path, number + 1, ProblemKind::Torn { bytes });
                        return Ok(());
                    }
                    Step::Torn { .. } => break,
                    Step::Line { end, .. } => end,
                    Step::TooLong { end, .. } => end,
                };
                from = end;
                number += 1;
                self.report.lines += 1;
                match step {
                    Step::Line { .. } => self.line(&path, number),
                    Step::TooLong { .. } | Step::Torn { .. } | Step::End => {
                        self.problem(&path, number, ProblemKind::TooLong);
                        (self.seq, self.prev) = (self.seq.saturating_add(1), None);
                    }
                }
            }
            patience -= 1;
            sleep(Duration::from_millis(50));
        }
    }

    fn line(&mut self, path: &Path, number: u64) {
        let expected = self.seq;
        match line::read(&self.text) {
            Err(damage) => {
                self.problem(path, number, damage.into());
                (self.seq, self.prev) = (expected.saturating_add(1), None);
            }
            Ok(line) => {
                if self.prev.is_some_and(|prev| prev != line.prev) {
                    self.problem(path, number, ProblemKind::ChainBroken);
                }
                if line.seq != expected {
                    let kind = ProblemKind::Gap { expected, found: line.seq };
                    self.problem(path, number, kind);
                }
                self.report.first_seq.get_or_insert(line.seq);
                self.report.last_seq = Some(line.seq);
                self.seq = line.seq.saturating_add(1);
                self.prev = Some(Hash::of(&self.text));
            }
        }
    }

    fn problem(&mut self, file: &Path, line: u64, kind: ProblemKind) {
        self.report.problem_count += 1;
        if self.report.problems.len() < PROBLEMS_MAX {
            self.report.problems.push(Problem { file: file.to_owned(), line, kind });
        }
    }
}
