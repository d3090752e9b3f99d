//! Brings the index forward with the log.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use sha2::{Digest, Sha256};
use sled::Batch;
use weir_core::units::Role;

use super::answers::Pages;
use super::keys::{self, CHUNK, Hour};
use super::{Gap, Index, State, decode, decode_range, encode, encode_range, guarded};
use crate::ledger::anchor::Anchor;
use crate::ledger::day::Day;
use crate::ledger::dimension::Traits;
use crate::ledger::entry::Entry;
use crate::ledger::error::IndexError;
use crate::ledger::log::{Span, Tail};
use crate::ledger::position::Position;
use crate::ledger::usage::Usage;

/// The sums of one row, by the lower part of the traits' number.
pub(super) type Chunk = BTreeMap<u8, Usage>;

/// What a batch of lines changes, before it is merged with what the store has.
#[derive(Default)]
struct Changes {
    sums: BTreeMap<(Day, Hour, u32), Chunk>,
    extents: BTreeMap<(Day, Hour), Range<u64>>,
    numbers: HashMap<Traits, u32>,
    pages: Pages,
    /// Keys of batches that `batch` has a place for.
    placed: HashSet<Vec<u8>>,
    batch: Batch,
}

impl Changes {
    /// Something of that hour is in that span.
    fn extend(&mut self, span: Span, hour: Hour) {
        let range = self.extents.entry((span.day, hour)).or_insert(span.start..span.end);
        range.end = range.end.max(span.end);
    }
}

impl Index {
    /// Takes in lines that directly follow its position; `None` is a damaged line. `tail` is the
    /// place after them.
    pub(in crate::ledger) fn apply(
        &mut self,
        lines: &[(Span, Option<&Entry>)],
        tail: Tail,
    ) -> Result<(), IndexError> {
        let state = guarded(|| {
            let mut state = self.state.clone();
            let mut changes = Changes::default();
            for (span, entry) in lines {
                self.take(*span, *entry, &mut state, &mut changes)?;
            }
            (state.position, state.hash) = (tail.position, tail.hash);
            self.commit(changes, &state)?;
            Ok(state)
        })?;
        self.state = state;
        self.take_into_inventory(lines);
        self.seal()
    }

    /// Begins where the log begins, if that is later than what is covered.
    pub(in crate::ledger) fn begin_at(&mut self, anchor: &Anchor) -> Result<(), IndexError> {
        if self.state.position >= anchor.position() {
            return Ok(());
        }
        let mut state = self.state.clone();
        (state.position, state.hash) = (anchor.position(), anchor.prev);
        state.alive = state.alive.max(anchor.alive());
        guarded(|| self.commit(Changes::default(), &state))?;
        self.state = state;
        Ok(())
    }

    /// Removes what came from files that are gone.
    pub(in crate::ledger) fn keep_only(&mut self, days: &[Day]) -> Result<(), IndexError> {
        guarded(|| {
            let mut gone = HashSet::new();
            for kind in keys::OF_A_DAY {
                for key in self.db.scan_prefix([kind]).keys() {
                    let day = keys::day_of(&key?).ok_or(IndexError::Unreadable("key"))?;
                    if days.binary_search(&day).is_err() {
                        gone.insert(day);
                    }
                }
            }
            gone.into_iter().try_for_each(|day| self.forget(day))
        })
    }

    /// Removes what came from the file of `day`.
    pub(in crate::ledger) fn forget(&self, day: Day) -> Result<(), IndexError> {
        guarded(|| {
            for kind in keys::OF_A_DAY {
                for key in self.db.scan_prefix(keys::of_day(kind, day)).keys() {
                    self.db.remove(key?)?;
                }
            }
            Ok(())
        })
    }

    fn take(
        &self,
        span: Span,
        entry: Option<&Entry>,
        state: &mut State,
        changes: &mut Changes,
    ) -> Result<(), IndexError> {
        let Some(entry) = entry else {
            state.damaged = state.damaged.saturating_add(1);
            return Ok(());
        };
        match entry {
            Entry::Call(record) => {
                let hour = Hour::of(record.time);
                if let Some(usage) = Usage::of(record) {
                    let number = self.number(Traits::of(record), state, changes)?;
                    let chunk = changes.sums.entry((span.day, hour, number / CHUNK)).or_default();
                    let low = u8::try_from(number % CHUNK).unwrap_or(u8::MAX);
                    chunk.entry(low).or_default().add(&usage);
                    if let (Some(id), Role::Client) = (&record.response_id, record.role) {
                        let Changes { pages, batch, .. } = changes;
                        self.note_answer(span.day, id, span.start, pages, batch)?;
                    }
                }
                changes.extend(span, hour);
            }
            // Where they are is found as calls are; there is nothing to add up.
            Entry::Edge(record) => changes.extend(span, Hour::of(record.time)),
            // The first record of a batch is the one that counts.
            Entry::Batch(record) => {
                let key = keys::batch(span.day, record.key());
                if !self.db.contains_key(&key)? && changes.placed.insert(key.clone()) {
                    changes.batch.insert(key, span.start.to_be_bytes().as_slice());
                }
            }
            Entry::Blind(spot) => {
                let key = keys::of_line(keys::BLIND, span.day, span.seq);
                changes.batch.insert(key, encode(spot, "blind spot")?);
            }
            Entry::Loss(loss) => {
                let key = keys::of_line(keys::LOSS, span.day, span.seq);
                changes.batch.insert(key, encode(loss, "interval")?);
            }
            Entry::Start(mark) => {
                if let Some(alive) = state.alive {
                    let gap = Gap { from: alive.min(mark.time), to: alive.max(mark.time) };
                    let key = keys::of_line(keys::GAP, span.day, span.seq);
                    changes.batch.insert(key, encode(&gap, "interval")?);
                }
                state.alive = Some(mark.time);
            }
            Entry::Change(_)
            | Entry::Finding(_)
            | Entry::Alert(_)
            | Entry::Block(_)
            | Entry::Stop(_) => {}
        }
        let alive = entry.alive_at();
        state.alive = state.alive.max(Some(alive));
        state.first = state.first.or(Some(alive));
        Ok(())
    }

    /// The number of a set of traits, a new one if it is new.
    fn number(
        &self,
        traits: Traits,
        state: &mut State,
        changes: &mut Changes,
    ) -> Result<u32, IndexError> {
        if let Some(number) = changes.numbers.get(&traits) {
            return Ok(*number);
        }
        let text = encode(&traits, "set of traits")?;
        let hash = Sha256::digest(&text);
        let key = keys::traits_number(hash.first_chunk::<16>().unwrap_or(&[0; 16]));
        let number = match self.db.get(&key)? {
            Some(bytes) => decode(&bytes, "number of traits")?,
            None => {
                let number = state.traits;
                let next = number.checked_add(1).ok_or(IndexError::Unreadable("set of traits"))?;
                state.traits = next;
                changes.batch.insert(key, encode(&number, "number of traits")?);
                changes.batch.insert(keys::traits(number), text);
                number
            }
        };
        changes.numbers.insert(traits, number);
        Ok(number)
    }

    fn commit(&self, changes: Changes, state: &State) -> Result<(), IndexError> {
        let Changes { sums, extents, numbers: _, pages, placed: _, mut batch } = changes;
        pages.write(&mut batch);
        for ((day, hour, number), mut chunk) in sums {
            let key = keys::sums(keys::ROLLUP, day, hour, number);
            if let Some(stored) = self.db.get(&key)? {
                for (number, usage) in decode_chunk(0, &stored)? {
                    let low = u8::try_from(number).unwrap_or(u8::MAX);
                    chunk.entry(low).or_default().add(&usage);
                }
            }
            batch.insert(key, encode_chunk(&chunk));
        }
        for ((day, hour), mut range) in extents {
            let key = keys::of_hour(keys::EXTENT, day, hour);
            if let Some(stored) = self.db.get(&key)? {
                let stored = decode_range(&stored).ok_or(IndexError::Unreadable("file range"))?;
                range = range.start.min(stored.start)..range.end.max(stored.end);
            }
            batch.insert(key, encode_range(&range));
        }
        batch.insert(keys::STATE, encode(state, "state")?);
        Ok(self.db.apply_batch(batch)?)
    }
}

impl State {
    /// Where the index stands, for comparison with the log.
    pub(super) const fn tail(&self) -> Tail {
        Tail { position: self.position, hash: self.hash }
    }

    /// Nothing was ever taken in.
    pub(super) fn is_new(&self) -> bool {
        self.position == Position::START
    }
}

/// The sums of one row, by the whole number of their traits.
pub(super) fn decode_chunk(chunk: u32, mut bytes: &[u8]) -> Result<Vec<(u32, Usage)>, IndexError> {
    let mut sums = Vec::new();
    while let Some((low, rest)) = bytes.split_first() {
        bytes = rest;
        let usage = Usage::decode(&mut bytes).ok_or(IndexError::Unreadable("sum"))?;
        sums.push((chunk.saturating_mul(CHUNK).saturating_add(u32::from(*low)), usage));
    }
    Ok(sums)
}

pub(super) fn encode_chunk(chunk: &Chunk) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (low, usage) in chunk {
        bytes.push(*low);
        usage.encode(&mut bytes);
    }
    bytes
}
