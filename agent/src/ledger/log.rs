//! The usage log: the record of truth.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use weir_core::units::Timestamp;

use super::anchor::Anchor;
use super::day::Day;
use super::entry::Entry;
use super::error::{At, LedgerError};
use super::files;
use super::inventory::known;
use super::line::{self, Hash};
use super::lines::{Lines, Step};
use super::position::Position;

/// The end of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tail {
    pub(super) position: Position,
    /// Hash of the last line.
    pub(super) hash: Hash,
}

/// Where one entry was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) day: Day,
    pub(super) seq: u64,
    pub(super) start: u64,
    /// After its newline.
    pub(super) end: u64,
}

/// A line that a crash had left unfinished. It was never acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The file it was at the end of.
    pub file: PathBuf,
    /// How many bytes were removed.
    pub bytes: u64,
}

/// Days that retention removes.
#[derive(Debug)]
pub(super) struct Due {
    days: Vec<Day>,
    /// Where the log begins without them.
    anchor: Anchor,
}

/// Writes the log.
#[derive(Debug)]
pub(super) struct Log {
    dir: PathBuf,
    anchor: Anchor,
    tail: Tail,
    /// Of the tail's day; absent until the first append, or after a failure.
    file: Option<File>,
}

impl Log {
    /// Opens the log in `dir`, cutting an unfinished last line.
    pub(super) fn open(dir: &Path) -> Result<(Self, Option<Cut>), LedgerError> {
        files::private_dir(dir).at("create", dir)?;
        let anchor = Anchor::read(dir)?;
        for day in days(dir)?.into_iter().filter(|day| *day < anchor.day) {
            remove(dir, day)?;
        }
        known::remove_others(dir, &anchor)?;
        let days = days(dir)?;
        let (seq, hash) = end_of(dir, &days, &anchor)?;
        let mut cut = None;
        let mut position = anchor.position();
        if let Some(day) = days.last() {
            let path = dir.join(day.file_name());
            let file = OpenOptions::new().read(true).write(true).open(&path).at("open", &path)?;
            let whole = whole_lines(&file).at("read", &path)?;
            let bytes = file.metadata().at("read", &path)?.len() - whole;
            if bytes > 0 {
                file.set_len(whole).and_then(|()| file.sync_all()).at("cut the end of", &path)?;
                cut = Some(Cut { file: path, bytes });
            }
            position = Position { day: *day, offset: whole, seq };
        }
        Ok((Self { dir: dir.to_owned(), anchor, tail: Tail { position, hash }, file: None }, cut))
    }

    pub(super) const fn tail(&self) -> Tail {
        self.tail
    }

    pub(super) const fn anchor(&self) -> Anchor {
        self.anchor
    }

    /// Appends entries, which are bounded, to the file of today, or to the newest if the clock went backwards. When it
    /// returns they are on the disk; after an error none of them is in the log.
    pub(super) fn append(
        &mut self,
        now: Timestamp,
        entries: &[Entry],
    ) -> Result<Vec<Span>, LedgerError> {
        let day = Day::of(now).max(self.tail.position.day);
        let mut next = self.tail;
        if day != next.position.day {
            self.file = None;
            next.position = Position { day, offset: 0, seq: next.position.seq };
        }
        let mut bytes = Vec::new();
        let mut spans = Vec::with_capacity(entries.len());
        for entry in entries {
            let line = line::write(next.position.seq, next.hash, entry)?;
            next.hash = Hash::of(&line);
            bytes.extend_from_slice(&line);
            bytes.push(b'\n');
            let start = next.position.offset;
            let seq = next.position.seq;
            let end = start + line.len() as u64 + 1;
            next.position = Position { day, offset: end, seq: seq + 1 };
            spans.push(Span { day, seq, start, end });
        }
        let start = spans.first().map_or(next.position.offset, |span| span.start);
        let path = self.dir.join(day.file_name());
        let file = match self.file.take() {
            Some(file) => file,
            None => open_at(&self.dir, &path, start).at("open", &path)?,
        };
        match file.write_all_at(&bytes, start).and_then(|()| file.sync_data()) {
            Ok(()) => {
                self.file = Some(file);
                self.tail = next;
                Ok(spans)
            }
            Err(error) => {
                // Readers stop at the last acknowledged line, so that what this leaves behind if it
                // fails too does no harm: the next append opens the file anew and cuts it then.
                let _tried_again_later = file.set_len(start).and_then(|()| file.sync_data());
                Err(error).at("append to", &path)
            }
        }
    }

    /// The whole days before `keep_from`, but never the newest file, if there are any to remove. What is
    /// known of identities is written down for where the log will begin then.
    pub(super) fn due(&self, keep_from: Day) -> Result<Option<Due>, LedgerError> {
        let keep_from = keep_from.min(self.tail.position.day);
        let mut days = days(&self.dir)?;
        days.retain(|day| *day < keep_from);
        if days.is_empty() {
            return Ok(None);
        }
        known::move_on(&self.dir, &self.anchor, keep_from)?;
        let (seq, prev) = end_of(&self.dir, &days, &self.anchor)?;
        Ok(Some(Due { days, anchor: Anchor { day: keep_from, seq, prev } }))
    }

    /// Removes days that are due. Returns which.
    pub(super) fn expire(&mut self, due: Due) -> Result<Vec<Day>, LedgerError> {
        due.anchor.write(&self.dir)?;
        self.anchor = due.anchor;
        due.days.iter().try_for_each(|day| remove(&self.dir, *day))?;
        known::remove_others(&self.dir, &self.anchor)?;
        files::sync_dir(&self.dir).at("sync", &self.dir)?;
        Ok(due.days)
    }
}

/// The days that have a file, first to last.
pub(super) fn days(log_dir: &Path) -> Result<Vec<Day>, LedgerError> {
    let mut days = Vec::new();
    for item in std::fs::read_dir(log_dir).at("list", log_dir)? {
        let name = item.at("list", log_dir)?.file_name();
        days.extend(name.to_str().and_then(Day::from_file_name));
    }
    days.sort_unstable();
    Ok(days)
}

/// Opens a file for writing from `end` on, whatever a failed write has left beyond it.
fn open_at(dir: &Path, path: &Path, end: u64) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    let file = match files::if_found(options.open(path))? {
        Some(file) => file,
        None => {
            let file = options.create_new(true).open(path)?;
            files::sync_dir(dir)?;
            file
        }
    };
    if file.metadata()?.len() > end {
        file.set_len(end)?;
        file.sync_all()?;
    }
    Ok(file)
}

fn remove(dir: &Path, day: Day) -> Result<(), LedgerError> {
    let path = dir.join(day.file_name());
    files::if_found(std::fs::remove_file(&path)).at("remove", &path).map(drop)
}

/// How many bytes of a file are whole lines: all up to its last newline.
fn whole_lines(file: &File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut block = [0; 64 << 10];
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let len = usize::try_from(end - start).unwrap_or(block.len());
        let block = &mut block[..len];
        file.read_exact_at(block, start)?;
        if let Some(at) = block.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// The sequence number and the hash that the line after those of `days` has to carry. A damaged
/// line counts as one line, and its hash is that of what is there now: the chain goes on behind it,
/// and stays broken before it for `verify` to see.
fn end_of(dir: &Path, days: &[Day], anchor: &Anchor) -> Result<(u64, Hash), LedgerError> {
    let mut damaged = 0;
    let mut hash = None;
    for day in days.iter().rev() {
        let path = dir.join(day.file_name());
        let end = File::open(&path).and_then(end_of_file).at("read", &path)?;
        damaged += end.damaged;
        hash = hash.or(end.hash);
        if let Some(seq) = end.seq {
            return Ok((seq.saturating_add(damaged + 1), hash.unwrap_or(anchor.prev)));
        }
    }
    Ok((anchor.seq.saturating_add(damaged), hash.unwrap_or(anchor.prev)))
}

#[derive(Default)]
struct FileEnd {
    /// Of the last line that can be read.
    seq: Option<u64>,
    /// How many lines follow that one.
    damaged: u64,
    /// Of the last line, readable or not.
    hash: Option<Hash>,
}

fn end_of_file(file: File) -> io::Result<FileEnd> {
    let end = whole_lines(&file)?;
    // The last line is nearly always whole, and then nothing before it has to be read.
    let near = before_last_line(&file, end)?;
    let quick = scan(Lines::new(file.try_clone()?, near, end)?)?;
    if quick.seq.is_some() || near == 0 { Ok(quick) } else { scan(Lines::new(file, 0, end)?) }
}

fn scan(mut lines: Lines) -> io::Result<FileEnd> {
    let mut end = FileEnd::default();
    let mut text = Vec::new();
    loop {
        match lines.step(&mut text)? {
            Step::Line { .. } => {
                end.hash = Some(Hash::of(&text));
                match line::read(&text) {
                    Ok(line) => (end.seq, end.damaged) = (Some(line.seq), 0),
                    Err(_damage) => end.damaged += 1,
                }
            }
            Step::TooLong { .. } => {
                end.hash = Some(Hash::ZERO);
                end.damaged += 1;
            }
            Step::Torn { .. } | Step::End => return Ok(end),
        }
    }
}

/// Where the line that ends at `end` starts, if that is near; else 0.
fn before_last_line(file: &File, end: u64) -> io::Result<u64> {
    let mut block = [0; 64 << 10];
    let start = end.saturating_sub(block.len() as u64);
    let len = usize::try_from(end - start).unwrap_or(block.len());
    let block = &mut block[..len];
    file.read_exact_at(block, start)?;
    let text = block.strip_suffix(b"\n").unwrap_or(block);
    Ok(text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| start + at as u64 + 1))
}
