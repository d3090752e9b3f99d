//! Walks the entries of the log from one place to another, file after file.

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::day::Day;
use super::entry::Entry;
use super::error::{At, LedgerError};
use super::files;
use super::line::{self, Hash};
use super::lines::{Lines, Step};
use super::log::{Span, days};
use super::position::Position;

/// One line on the way.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) span: Span,
    /// What it says; absent if it is damaged.
    pub(super) entry: Option<Entry>,
    /// Hash of the line.
    pub(super) hash: Hash,
    /// The hash it carries of the line before; absent if it is damaged.
    pub(super) prev: Option<Hash>,
}

impl Item {
    /// The place after it.
    pub(super) const fn after(&self) -> Position {
        Position { day: self.span.day, offset: self.span.end, seq: self.span.seq.saturating_add(1) }
    }
}

/// The walk. A file that retention removes before its turn is passed over; the first is opened at
/// once, so that it can't be.
#[derive(Debug)]
pub(super) struct Walk {
    dir: PathBuf,
    days: VecDeque<Day>,
    at: Position,
    to: Position,
    lines: Option<Lines>,
    text: Vec<u8>,
}

impl Walk {
    pub(super) fn new(dir: &Path, from: Position, to: Position) -> Result<Self, LedgerError> {
        let days = days(dir)?.into_iter().filter(|day| (from.day..=to.day).contains(day)).collect();
        let (dir, text) = (dir.to_owned(), Vec::new());
        let mut walk = Self { dir, days, at: from, to, lines: None, text };
        walk.open_next()?;
        Ok(walk)
    }

    pub(super) fn step(&mut self) -> Result<Option<Item>, LedgerError> {
        loop {
            let Some(lines) = &mut self.lines else { return Ok(None) };
            let step =
                lines.step(&mut self.text).at("read", &self.dir.join(self.at.day.file_name()))?;
            let (start, end, whole) = match step {
                Step::Line { start, end } => (start, end, true),
                Step::TooLong { start, end } => (start, end, false),
                // An unfinished line is one that is not acknowledged.
                Step::Torn { .. } | Step::End => {
                    self.open_next()?;
                    continue;
                }
            };
            let day = self.at.day;
            let line = if whole { line::read(&self.text).ok() } else { None };
            let seq = line.as_ref().map_or(self.at.seq, |line| line.seq);
            let item = Item {
                span: Span { day, seq, start, end },
                hash: Hash::of(&self.text),
                prev: line.as_ref().map(|line| line.prev),
                entry: line.map(|line| line.entry),
            };
            self.at = item.after();
            return Ok(Some(item));
        }
    }

    fn open_next(&mut self) -> Result<(), LedgerError> {
        self.lines = None;
        while let Some(day) = self.days.pop_front() {
            let path = self.dir.join(day.file_name());
            let Some(file) = files::if_found(File::open(&path)).at("open", &path)? else {
                continue;
            };
            let offset = if day == self.at.day { self.at.offset } else { 0 };
            let limit = if day == self.to.day { self.to.offset } else { u64::MAX };
            self.at = Position { day, offset, seq: self.at.seq };
            self.lines = Some(Lines::new(file, offset, limit).at("read", &path)?);
            break;
        }
        Ok(())
    }
}
