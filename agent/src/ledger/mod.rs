//! The ledger: what was used, kept so that nothing acknowledged is lost and nothing counts twice.
//!
//! Two things lie in the state directory. The usage log in `log/` is the record of truth: one file
//! a day, one JSON object a line, each line carrying the hash of the line before. The index in
//! `index/` follows from the log and can be made anew from it at any time; it exists so that sums
//! over a month don't have to read a month of lines. What the index doesn't cover, because it
//! is behind or broken, queries read from the log, so that they are exact in any case.
//!
//! ```text
//! append ──▶ log (fdatasync) ──▶ acknowledged ──▶ index (one batch, position and counters)
//!             ▲                                     ▲
//!             └──────── Reader::usage, calls ───────┘
//! ```
//!
//! This is the only room that names sled, the store under the index.

mod anchor;
mod block;
mod change;
mod checkpoint;
mod day;
mod dimension;
mod entry;
mod error;
mod files;
mod follow;
mod index;
mod inventory;
mod line;
mod lines;
mod lock;
mod log;
mod position;
mod query;
mod reader;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod usage;
mod verify;
mod walk;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use weir_core::meter::{Dimension, ParseDimensionError};
use weir_core::units::Timestamp;

use index::open::{Opening, mark_closed};
use lock::Lock;
use log::{Log, Span};
use reader::{Shared, Status};

pub use block::{BlockDeed, BlockRecord, Kept};
pub use change::{CHANGES_MAX, Change, Deed};
pub use checkpoint::{Checkpoint, Checkpoints};
pub use day::Day;
pub use dimension::RowKey;
pub use entry::{Entry, Loss, Mark};
pub use error::{IndexError, LedgerError};
pub use follow::{Follow, Followed};
pub use index::Gap;
pub use index::open::{IndexReport, Rebuilt};
pub use index::probe::{Probe, answer_probe};
pub use inventory::{
    DORMANT_AFTER_DAYS, IdentitiesReport, IdentityDetail, IdentityKind, IdentityQuery,
    KnownCredential, KnownCredentials, KnownIdentity, Offboarding, PlainHttp, Sightings, Standing,
    Values,
};
pub use line::Damage;
pub use log::Cut;
pub use position::Position;
pub use query::{
    CallsQuery, EdgesQuery, INTERVALS_MAX, StoredCall, StoredEdge, UsageQuery, UsageReport,
    UsageRow,
};
pub use reader::{Calls, Edges, Reader};
pub use usage::Usage;
pub use verify::{Problem, ProblemKind, VerifyReport, verify};

/// How often the index is made to last through a power cut. It is made anew after one anyway; this
/// bounds what the kernel holds back, and keeps the store's files in a state it can recover from.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(60);
/// How long a broken index is left alone before it is opened again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// How to keep the ledger.
#[derive(Clone, Debug)]
pub struct Options {
    /// For how many whole days lines are kept, today not counted; `None` keeps them for ever.
    pub retain_days: Option<u32>,
    /// How to try the index before it is opened; `None` opens it right away, and a store that hangs
    /// or aborts on damage then takes the process with it.
    pub probe: Option<Probe>,
}

/// What was found when the ledger was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// An unfinished last line that was removed.
    pub cut: Option<Cut>,
    /// How the index was opened; absent if it can't be used for now ([`Health::index`] says why).
    pub index: Option<IndexReport>,
}

/// What doesn't work at the moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Why the last append failed. Nothing is acknowledged until one succeeds.
    pub log: Option<String>,
    /// Why the index can't be used. Answers stay exact, but are read from the log.
    pub index: Option<String>,
    /// Why days that are due could not be removed.
    pub retention: Option<String>,
}

/// The acknowledgement of a batch: it is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Sequence number of its first entry. The others have the numbers that follow.
    pub first_seq: u64,
    /// The place after it.
    pub committed: Position,
}

/// Writes the ledger of one state directory. There is one at a time, on the whole machine.
#[derive(Debug)]
pub struct Ledger {
    log: Log,
    shared: Arc<Shared>,
    options: Options,
    checkpointed: Instant,
    /// When the index may be opened again.
    retry: Instant,
    _lock: Lock,
}

impl Ledger {
    /// Opens the ledger in `state_dir`, creating what is not there and mending what a crash has left:
    /// cuts an unfinished last line, and brings the index to the end of the log or makes it anew.
    ///
    /// # Errors
    /// [`LedgerError::AlreadyRunning`] if another process has it open; [`LedgerError::Index`] if no
    /// index can be made, unless that is because the disk is full; else if the log can't be opened.
    pub fn open(
        state_dir: &Path,
        now: Timestamp,
        options: Options,
    ) -> Result<(Self, OpenReport), LedgerError> {
        let (mut ledger, cut) = Self::open_log(state_dir, options)?;
        let index = match ledger.opening(now).open() {
            Ok((index, report)) => {
                *ledger.shared.index_mut() = Some(index);
                Some(report)
            }
            Err(error) if error.is_disk_full() => {
                ledger.index_failed(&error);
                None
            }
            Err(error) => return Err(index_error(state_dir, error)),
        };
        ledger.expire(now);
        Ok((ledger, OpenReport { cut, index }))
    }

    /// Appends entries in this order. When it returns they are on the disk, and readers see them.
    /// Meant for batches: each costs one write to the disk.
    ///
    /// # Errors
    /// If they can't be written; then none of them is in the log, [`Health::log`] says why, and the
    /// same batch can be given again, for instance when the disk has space.
    pub fn append(&mut self, now: Timestamp, entries: &[Entry]) -> Result<Ack, LedgerError> {
        let before = self.log.tail().position;
        let ack = |committed| Ack { first_seq: before.seq, committed };
        if entries.is_empty() {
            return Ok(ack(before));
        }
        let entries: Vec<Entry> = entries.iter().map(Entry::bounded).collect();
        let spans = self.log.append(now, &entries).inspect_err(|error| {
            self.shared.status().health.log = Some(describe(error));
        })?;
        let committed = self.log.tail().position;
        self.shared.stir(|status| {
            status.committed = committed;
            status.health.log = None;
            status.stirred += 1;
        });
        self.update_index(now, &entries, &spans);
        if committed.day != before.day {
            self.expire(now);
        }
        if self.checkpointed.elapsed() >= CHECKPOINT_EVERY {
            self.checkpoint();
        }
        Ok(ack(committed))
    }

    /// Reads what this writes.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader(Arc::clone(&self.shared))
    }

    /// Removes the days that are due, which opening and the first append of a day do by themselves.
    /// [`Health::retention`] says if that doesn't work.
    pub fn expire(&mut self, now: Timestamp) {
        let Some(retain_days) = self.options.retain_days else { return };
        let keep_from = Day::of(now).back(retain_days);
        let due = match self.log.due(keep_from) {
            Ok(Some(due)) => due,
            Ok(None) => {
                self.shared.status().health.retention = None;
                return;
            }
            Err(error) => {
                self.shared.status().health.retention = Some(describe(&error));
                return;
            }
        };
        // Readers wait, so that none adds up what the index has of a day whose file is gone.
        let index = self.shared.index_mut();
        let expired = self.log.expire(due);
        self.shared.status().anchor = self.log.anchor();
        let failure = match (expired, index.as_ref()) {
            (Ok(days), Some(index)) => {
                let forgotten = days.into_iter().try_for_each(|day| index.forget(day));
                forgotten.err().map(|error| describe(&error))
            }
            (Ok(_), None) => None,
            (Err(error), _) => Some(describe(&error)),
        };
        drop(index);
        self.shared.status().health.retention = failure;
    }

    /// Makes what the index holds last through a power cut. Appending does it by itself about once
    /// a minute.
    pub fn checkpoint(&mut self) {
        let result = self.shared.index().as_ref().map_or(Ok(()), index::Index::checkpoint);
        self.checkpointed = Instant::now();
        if let Err(error) = result {
            self.index_failed(&error);
        }
    }

    /// Closes in good order, so that the next open need not doubt the index. Readers still work, by
    /// the log alone.
    ///
    /// # Errors
    /// If the index can't be brought to the disk; the log is complete anyway.
    pub fn close(self) -> Result<(), LedgerError> {
        let state_dir = &self.shared.state_dir;
        if let Some(mut index) = self.shared.index_mut().take() {
            let closed = index.save_inventory().and_then(|()| index.checkpoint()).and_then(|()| {
                drop(index);
                Ok(mark_closed(state_dir)?)
            });
            closed.map_err(|source| index_error(state_dir, source))?;
        }
        Ok(())
    }

    fn open_log(state_dir: &Path, options: Options) -> Result<(Self, Option<Cut>), LedgerError> {
        use error::At;
        files::private_dir(state_dir).at("create", state_dir)?;
        let lock = Lock::take(state_dir)?;
        let log_dir = reader::log_dir(state_dir);
        let (log, cut) = Log::open(&log_dir)?;
        files::sync_dir(state_dir).at("sync", state_dir)?;
        let status = Status {
            committed: log.tail().position,
            anchor: log.anchor(),
            health: Health::default(),
            stirred: 0,
        };
        let shared = Arc::new(Shared::new(state_dir.to_owned(), log_dir, status));
        let now = Instant::now();
        Ok((Self { log, shared, options, checkpointed: now, retry: now, _lock: lock }, cut))
    }

    fn opening(&self, now: Timestamp) -> Opening<'_> {
        Opening {
            state_dir: &self.shared.state_dir,
            log_dir: &self.shared.log_dir,
            now,
            probe: self.options.probe.as_ref(),
            anchor: self.log.anchor(),
            tail: self.log.tail(),
        }
    }

    /// Brings the index forward, or opens it again if it was broken and it is time.
    fn update_index(&mut self, now: Timestamp, entries: &[Entry], spans: &[Span]) {
        let mut index = self.shared.index_mut();
        let result = match index.as_mut() {
            Some(index) => {
                let lines: Vec<_> = spans.iter().copied().zip(entries.iter().map(Some)).collect();
                index.apply(&lines, self.log.tail())
            }
            None if Instant::now() < self.retry => return,
            None => {
                // Readers go on by the log meanwhile.
                drop(index);
                let opened = self.opening(now).open();
                index = self.shared.index_mut();
                opened.map(|(opened, _report)| *index = Some(opened))
            }
        };
        drop(index);
        match result {
            Ok(()) => self.shared.status().health.index = None,
            Err(error) => self.index_failed(&error),
        }
    }

    /// Goes on without the index for a while.
    fn index_failed(&mut self, error: &IndexError) {
        let broken = self.shared.index_mut().take();
        index::discard(broken);
        self.retry = Instant::now() + RETRY_AFTER;
        self.shared.status().health.index = Some(describe(error));
    }
}

/// Makes the index in `state_dir` anew from the log. Returns how many lines it was made from.
///
/// # Errors
/// [`LedgerError::AlreadyRunning`] if a process has the ledger open; else if the log can't be read
/// or the index can't be written.
pub fn rebuild(state_dir: &Path, now: Timestamp) -> Result<u64, LedgerError> {
    let (ledger, _cut) = Ledger::open_log(state_dir, Options { retain_days: None, probe: None })?;
    let rebuilt = ledger.opening(now).rebuild();
    let (index, report) = rebuilt.map_err(|source| index_error(state_dir, source))?;
    *ledger.shared.index_mut() = Some(index);
    ledger.close()?;
    Ok(report.replayed)
}

fn index_error(state_dir: &Path, source: IndexError) -> LedgerError {
    LedgerError::Index { dir: PathBuf::from(state_dir), source }
}

/// An error and what it came from, in one line.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
