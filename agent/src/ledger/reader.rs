//! Answers questions from any thread while the writer appends.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{
    Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
};
use std::time::Duration;

use weir_core::blind::BlindSpot;
use weir_core::meter::{BatchKey, BatchRecord, UsageRecord};
use weir_core::units::{Role, Timestamp};

use super::Dimension;
use super::anchor::Anchor;
use super::change::Registry;
use super::day::Day;
use super::dimension::{RowKey, Traits};
use super::entry::{Entry, Loss};
use super::error::{IndexError, LedgerError};
use super::index::{Extent, Gap, Hour, Index, touches};
use super::inventory::known;
use super::log::days;
use super::position::Position;
use super::query::{
    CallsQuery, EdgesQuery, INTERVALS_MAX, StoredCall, StoredEdge, UsageQuery, UsageReport,
    UsageRow,
};
use super::usage::Usage;
use super::walk::Walk;
use super::{Health, index_error};

/// What writer and readers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) state_dir: PathBuf,
    pub(super) log_dir: PathBuf,
    status: Mutex<Status>,
    /// Somebody may wait for [`Status::stirred`] to change.
    stirred: Condvar,
    /// Absent while it can't be used; then readers take everything from the log.
    index: RwLock<Option<Index>>,
}

/// The state of the ledger.
#[derive(Clone, Debug)]
pub(super) struct Status {
    /// The end of what is acknowledged. Never before the index's position.
    pub(super) committed: Position,
    pub(super) anchor: Anchor,
    pub(super) health: Health,
    /// How often there was something for those who follow the log.
    pub(super) stirred: u64,
}

impl Shared {
    pub(super) const fn new(state_dir: PathBuf, log_dir: PathBuf, status: Status) -> Self {
        Self {
            state_dir,
            log_dir,
            status: Mutex::new(status),
            stirred: Condvar::new(),
            index: RwLock::new(None),
        }
    }

    // A panic elsewhere leaves these whole: each is replaced in one assignment.

    pub(super) fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and wakes those who wait for that.
    pub(super) fn stir(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.status());
        self.stirred.notify_all();
    }

    /// Waits while `idle` says so, but not longer than `patience`.
    pub(super) fn wait(&self, patience: Duration, idle: impl Fn(&Status) -> bool) {
        let waited =
            self.stirred.wait_timeout_while(self.status(), patience, |status| idle(status));
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn index(&self) -> RwLockReadGuard<'_, Option<Index>> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn index_mut(&self) -> RwLockWriteGuard<'_, Option<Index>> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the ledger. Cheap to clone, and usable from any thread; each answer is exact for a moment
/// between the call and the return.
#[derive(Clone, Debug)]
pub struct Reader(pub(super) Arc<Shared>);

impl Reader {
    /// The end of what is acknowledged: nothing before it changes any more.
    #[must_use]
    pub fn committed(&self) -> Position {
        self.0.status().committed
    }

    /// What doesn't work at the moment.
    #[must_use]
    pub fn health(&self) -> Health {
        self.0.status().health.clone()
    }

    /// Sums over the calls of an interval. Exact for any interval: whole hours come from the index,
    /// the parts of hours at its ends, and what the index doesn't cover yet, from the log.
    ///
    /// # Errors
    /// If the log or the index can't be read.
    pub fn usage(&self, query: &UsageQuery) -> Result<UsageReport, LedgerError> {
        let index = self.0.index();
        let status = self.0.status().clone();
        let mut sums = Sums::new(query);
        let mut found = Found { alive: status.anchor.alive(), ..Found::default() };
        let mut covered = status.anchor.position();
        let mut walks = Vec::new();
        let mut registry;
        if let Some(index) = index.as_ref() {
            let failed = |source| index_error(&self.0.state_dir, source);
            let part = from_index(index, query, &mut sums).map_err(failed)?;
            for bytes in part {
                walks.push(Walk::new(&self.0.log_dir, bytes.start, bytes.end)?);
            }
            found.losses = index.losses(&sums.within).map_err(failed)?;
            found.blind = index.blind(&sums.within).map_err(failed)?;
            found.gaps = index.gaps(&sums.within).map_err(failed)?;
            found.damaged = index.state().damaged;
            found.first = index.state().first;
            found.alive = found.alive.max(index.state().alive);
            covered = covered.max(index.state().position);
            registry = Arc::clone(&index.inventory().registry);
        } else {
            registry = known::at(&self.0.log_dir, &status.anchor)?.registry;
        }
        let mut rest = Walk::new(&self.0.log_dir, covered, status.committed)?;
        // The files are open: from here on neither the writer nor retention has to wait for us.
        drop(index);
        for walk in &mut walks {
            while let Some(item) = walk.step()? {
                if let Some(Entry::Call(record)) = item.entry
                    && !sums.whole_hours.contains(&Hour::of(record.time))
                {
                    sums.add(&record);
                }
            }
        }
        while let Some(item) = rest.step()? {
            if let Some(Entry::Change(change)) = &item.entry {
                Arc::make_mut(&mut registry).take(item.span.seq, change);
            }
            found.take(item.entry, &mut sums);
        }
        if let Some(uid) = query.uid {
            found.blind.retain(|spot| spot.process.uid == uid);
        }
        sums.rename(&registry);
        Ok(report(query, sums, found, &status.anchor))
    }

    /// The latest record that bills the answer of this id, the provider's `response_id`. `None` if
    /// there is none, or the index can't be used for now.
    ///
    /// # Errors
    /// If the log or the index can't be read.
    pub fn answered(&self, response_id: &str) -> Result<Option<UsageRecord>, LedgerError> {
        self.indexed(
            |days| days.reverse(),
            |index, day| index.answers(day, response_id),
            |entry| match entry {
                // Another answer's id may have the same hash.
                Entry::Call(record) if record.response_id.as_deref() == Some(response_id) => {
                    Some(*record)
                }
                Entry::Call(_)
                | Entry::Edge(_)
                | Entry::Batch(_)
                | Entry::Blind(_)
                | Entry::Change(_)
                | Entry::Finding(_)
                | Entry::Alert(_)
                | Entry::Block(_)
                | Entry::Loss(_)
                | Entry::Start(_)
                | Entry::Stop(_) => None,
            },
        )
    }

    /// The first record that says whose a batch or a file of its results is, of those that were stored
    /// on the day of `oldest` or later. `None` if there is none, or the index can't be used for now.
    ///
    /// # Errors
    /// If the log or the index can't be read.
    pub fn batch(
        &self,
        key: BatchKey,
        oldest: Timestamp,
    ) -> Result<Option<BatchRecord>, LedgerError> {
        let oldest = Day::of(oldest);
        self.indexed(
            |days| days.retain(|day| *day >= oldest),
            |index, day| Ok(index.batch(day, key)?.into_iter().collect()),
            |entry| if let Entry::Batch(record) = entry { Some(*record) } else { None },
        )
    }

    /// The first entry that the index knows the place of and that is wanted, of the days that `choose`
    /// leaves, in the order in which it leaves them.
    fn indexed<T>(
        &self,
        choose: impl FnOnce(&mut Vec<Day>),
        places: impl Fn(&Index, Day) -> Result<Vec<u64>, IndexError>,
        wanted: impl Fn(Entry) -> Option<T>,
    ) -> Result<Option<T>, LedgerError> {
        let index = self.0.index();
        let committed = self.0.status().committed;
        let Some(index) = index.as_ref() else { return Ok(None) };
        let mut days = days(&self.0.log_dir)?;
        choose(&mut days);
        for day in days {
            let at = places(index, day).map_err(|source| index_error(&self.0.state_dir, source))?;
            for offset in at {
                if let Some(found) = self.entry_at(day, offset, committed)?.and_then(&wanted) {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    /// The entry that begins there, if it can be read and is before `committed`.
    fn entry_at(
        &self,
        day: Day,
        offset: u64,
        committed: Position,
    ) -> Result<Option<Entry>, LedgerError> {
        let from = Position { day, offset, seq: Position::START.seq };
        let item = Walk::new(&self.0.log_dir, from, committed)?.step()?;
        Ok(item.and_then(|item| item.entry))
    }

    /// Calls in the order in which they were stored, up to what is acknowledged now. Reads the log
    /// line by line as the iterator is advanced, from near the first that can be of interest.
    ///
    /// # Errors
    /// If the log or the index can't be read.
    pub fn calls(&self, query: CallsQuery) -> Result<Calls, LedgerError> {
        let walk = self.walk(query.from, query.since)?;
        let left = query.limit.unwrap_or(usize::MAX);
        let names = match &query.identity {
            Some(identity) => Some(self.registry()?.names(identity)),
            None => None,
        };
        Ok(Calls { walk, query, names, left, damaged: 0 })
    }

    /// Steps to other agents, as [`Self::calls`] gives calls.
    ///
    /// # Errors
    /// If the log or the index can't be read.
    pub fn edges(&self, query: EdgesQuery) -> Result<Edges, LedgerError> {
        let walk = self.walk(query.from, query.since)?;
        let left = query.limit.unwrap_or(usize::MAX);
        Ok(Edges { walk, query, left, damaged: 0 })
    }

    /// Through the log from `from` on, or from near the first that is of `since` or later.
    fn walk(&self, from: Option<Position>, since: Option<Timestamp>) -> Result<Walk, LedgerError> {
        let index = self.0.index();
        let status = self.0.status().clone();
        let mut from = status.anchor.position().max(from.unwrap_or(Position::START));
        if let (Some(index), Some(since)) = (index.as_ref(), since) {
            let extents =
                index.extents().map_err(|source| index_error(&self.0.state_dir, source))?;
            let relevant = extents.into_iter().filter(|extent| extent.hour >= Hour::of(since));
            let first = relevant.map(|extent| starts(&extent)).min();
            let skip = first.unwrap_or(index.state().position).min(index.state().position);
            from = if skip > from { skip } else { from };
        }
        Walk::new(&self.0.log_dir, from, status.committed)
    }
}

/// The answer to a [`CallsQuery`].
#[derive(Debug)]
pub struct Calls {
    walk: Walk,
    query: CallsQuery,
    /// Those that stand for the identity that is asked for.
    names: Option<HashSet<String>>,
    left: usize,
    damaged: u64,
}

impl Calls {
    /// How many lines were passed over because they can't be read.
    #[must_use]
    pub const fn damaged(&self) -> u64 {
        self.damaged
    }
}

impl Iterator for Calls {
    type Item = Result<StoredCall, LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Self { walk, query, names, left, damaged } = self;
        let is_meant = |record: &UsageRecord| {
            names.as_ref().is_none_or(|names| names.contains(&record.identity.0))
        };
        let found = next_of(walk, left, damaged, |entry| match entry {
            Entry::Call(record) if query.wants(&record) && is_meant(&record) => Some(*record),
            Entry::Call(_)
            | Entry::Edge(_)
            | Entry::Batch(_)
            | Entry::Blind(_)
            | Entry::Change(_)
            | Entry::Finding(_)
            | Entry::Alert(_)
            | Entry::Block(_)
            | Entry::Loss(_)
            | Entry::Start(_)
            | Entry::Stop(_) => None,
        });
        found.map(|found| found.map(|(next, record)| StoredCall { next, record }))
    }
}

/// The answer to an [`EdgesQuery`].
#[derive(Debug)]
pub struct Edges {
    walk: Walk,
    query: EdgesQuery,
    left: usize,
    damaged: u64,
}

impl Edges {
    /// How many lines were passed over because they can't be read.
    #[must_use]
    pub const fn damaged(&self) -> u64 {
        self.damaged
    }
}

impl Iterator for Edges {
    type Item = Result<StoredEdge, LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Self { walk, query, left, damaged } = self;
        let found = next_of(walk, left, damaged, |entry| match entry {
            Entry::Edge(record) if query.wants(&record) => Some(*record),
            Entry::Call(_)
            | Entry::Edge(_)
            | Entry::Batch(_)
            | Entry::Blind(_)
            | Entry::Change(_)
            | Entry::Finding(_)
            | Entry::Alert(_)
            | Entry::Block(_)
            | Entry::Loss(_)
            | Entry::Start(_)
            | Entry::Stop(_) => None,
        });
        found.map(|found| found.map(|(next, record)| StoredEdge { next, record }))
    }
}

/// Goes on to the next entry that is wanted. Also says the place after it.
fn next_of<T>(
    walk: &mut Walk,
    left: &mut usize,
    damaged: &mut u64,
    wanted: impl Fn(Entry) -> Option<T>,
) -> Option<Result<(Position, T), LedgerError>> {
    while *left > 0 {
        let item = match walk.step() {
            Ok(item) => item?,
            Err(error) => {
                *left = 0;
                return Some(Err(error));
            }
        };
        let next = item.after();
        match item.entry.map(&wanted) {
            Some(Some(record)) => {
                *left -= 1;
                return Some(Ok((next, record)));
            }
            Some(None) => {}
            None => *damaged += 1,
        }
    }
    None
}

/// Sums in the making.
struct Sums<'a> {
    query: &'a UsageQuery,
    within: Range<Timestamp>,
    /// Those that the index answers for.
    whole_hours: Range<Hour>,
    rows: HashMap<RowKey, Usage>,
}

impl<'a> Sums<'a> {
    fn new(query: &'a UsageQuery) -> Self {
        let within = query.since..query.until.max(query.since);
        let first = Hour::of(within.start);
        let whole = if Hour::begins_at(within.start) { first } else { first.next() };
        let whole_hours = whole..Hour::of(within.end).max(whole);
        Self { query, within, whole_hours, rows: HashMap::new() }
    }

    fn add(&mut self, record: &UsageRecord) {
        if self.within.contains(&record.time)
            && let Some(usage) = Usage::of(record)
        {
            self.add_sum(&Traits::of(record), &usage);
        }
    }

    /// Puts the rows of each identity under its name of today.
    fn rename(&mut self, registry: &Registry) {
        if registry.changes().is_empty() || !self.query.by.contains(&Dimension::Identity) {
            return;
        }
        for (mut key, usage) in std::mem::take(&mut self.rows) {
            for (dimension, value) in &mut key.0 {
                if let (Dimension::Identity, Some(name)) = (dimension, value) {
                    *name = registry.current(name).to_owned();
                }
            }
            self.rows.entry(key).or_default().add(&usage);
        }
    }

    fn add_sum(&mut self, traits: &Traits, usage: &Usage) {
        let counts = match traits.role {
            Role::Client => self.query.uid.is_none_or(|uid| uid == traits.uid),
            Role::Server => false,
        };
        if counts {
            self.rows.entry(traits.key(&self.query.by)).or_default().add(usage);
        }
    }
}

/// What else is found on the way.
#[derive(Default)]
struct Found {
    losses: Vec<Loss>,
    gaps: Vec<Gap>,
    blind: Vec<BlindSpot>,
    damaged: u64,
    first: Option<Timestamp>,
    alive: Option<Timestamp>,
}

impl Found {
    /// Takes a line that the index doesn't cover.
    fn take(&mut self, entry: Option<Entry>, sums: &mut Sums<'_>) {
        let Some(entry) = entry else {
            self.damaged = self.damaged.saturating_add(1);
            return;
        };
        let alive = entry.alive_at();
        match entry {
            Entry::Call(record) => sums.add(&record),
            Entry::Loss(loss) if touches(loss.from, loss.to, &sums.within) => {
                self.losses.push(loss);
            }
            Entry::Blind(spot) if touches(spot.time, spot.until, &sums.within) => {
                self.blind.push(*spot);
            }
            Entry::Start(mark) => {
                let last = self.alive.unwrap_or(mark.time);
                let gap = Gap { from: last.min(mark.time), to: last.max(mark.time) };
                if self.alive.is_some() && touches(gap.from, gap.to, &sums.within) {
                    self.gaps.push(gap);
                }
                self.alive = Some(mark.time);
            }
            Entry::Batch(_)
            | Entry::Blind(_)
            | Entry::Change(_)
            | Entry::Finding(_)
            | Entry::Alert(_)
            | Entry::Block(_)
            | Entry::Edge(_)
            | Entry::Loss(_)
            | Entry::Stop(_) => {}
        }
        self.first = self.first.or(Some(alive));
        self.alive = self.alive.max(Some(alive));
    }
}

/// Adds the whole hours, and returns where in the log the parts of hours at the ends are.
fn from_index(
    index: &Index,
    query: &UsageQuery,
    sums: &mut Sums<'_>,
) -> Result<Vec<Range<Position>>, IndexError> {
    let extents = index.extents()?;
    let mut days: Vec<_> = extents.iter().map(|extent| extent.day).collect();
    days.dedup();
    let mut by_number = HashMap::new();
    for day in days {
        index.sum(day, sums.whole_hours.clone(), &mut by_number)?;
    }
    for (number, usage) in by_number {
        sums.add_sum(&*index.traits(number)?, &usage);
    }
    let last = Hour::of(query.until);
    let end = if Hour::begins_at(query.until) { last } else { last.next() };
    let touched = Hour::of(query.since)..end;
    let partial = |hour: &Hour| touched.contains(hour) && !sums.whole_hours.contains(hour);
    let mut parts = Vec::new();
    for extent in extents.into_iter().filter(|extent| partial(&extent.hour)) {
        // Extents of neighbouring hours overlap where calls of both ended in turn: join them, so
        // that no line is read twice.
        let start = starts(&extent);
        let end = Position { offset: extent.bytes.end, ..start };
        parts.push(start..end);
    }
    Ok(joined(parts))
}

fn starts(extent: &Extent) -> Position {
    Position { day: extent.day, offset: extent.bytes.start, seq: Position::START.seq }
}

/// Joins ranges that overlap.
fn joined(mut parts: Vec<Range<Position>>) -> Vec<Range<Position>> {
    parts.sort_unstable_by_key(|part| part.start);
    let mut joined: Vec<Range<Position>> = Vec::new();
    for part in parts {
        match joined.last_mut() {
            Some(last) if part.start < last.end => last.end = last.end.max(part.end),
            Some(_) | None => joined.push(part),
        }
    }
    joined
}

fn report(query: &UsageQuery, sums: Sums<'_>, found: Found, anchor: &Anchor) -> UsageReport {
    let mut totals = Usage::default();
    let mut rows: Vec<UsageRow> =
        sums.rows.into_iter().map(|(key, usage)| UsageRow { key, usage }).collect();
    rows.sort_unstable_by(|a, b| {
        let dearest = b.usage.cost.cmp(&a.usage.cost);
        dearest.then(b.usage.calls.cmp(&a.usage.calls)).then_with(|| a.key.cmp(&b.key))
    });
    rows.iter().for_each(|row| totals.add(&row.usage));
    let cut = (*anchor != Anchor::WHOLE).then(|| anchor.day.start());
    let whole = cut.is_none_or(|cut| query.since >= cut)
        && found.losses.is_empty()
        && found.gaps.is_empty()
        && found.blind.is_empty()
        && found.damaged == 0;
    let Found { mut losses, mut gaps, mut blind, damaged, first, alive: _ } = found;
    let lengths = [losses.len(), gaps.len(), blind.len()];
    let omitted: usize = lengths.iter().map(|length| length.saturating_sub(INTERVALS_MAX)).sum();
    losses.truncate(INTERVALS_MAX);
    gaps.truncate(INTERVALS_MAX);
    blind.truncate(INTERVALS_MAX);
    UsageReport {
        by: query.by.clone(),
        since: query.since,
        until: query.until,
        complete: whole && totals.lost_bytes == 0,
        rows,
        totals,
        losses,
        gaps,
        blind_spots: blind,
        omitted: omitted as u64,
        damaged_lines: damaged,
        begins: cut.or(first),
    }
}

/// Where the log of a state directory is.
pub(super) fn log_dir(state_dir: &Path) -> PathBuf {
    state_dir.join("log")
}
