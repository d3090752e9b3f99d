//! The index over the log. Whatever it holds follows from the log up to its position, which is
//! written together with the counters that it covers: one batch of the store, all or nothing.

mod answers;
mod inventory;
mod keys;
pub(super) mod open;
pub(super) mod probe;
mod seal;
mod update;

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use weir_core::blind::BlindSpot;
use weir_core::meter::BatchKey;
use weir_core::units::Timestamp;

use super::day::Day;
use super::dimension::Traits;
use super::entry::Loss;
use super::error::IndexError;
use super::files;
use super::line::Hash;
use super::position::Position;

use inventory::Kept;
pub(super) use keys::Hour;

/// Changes with the form of keys or values; another format's index is made anew.
const FORMAT: u32 = 5;
/// The store's default is 1 GiB, and it would not see that a cgroup grants less.
const CACHE_BYTES: u64 = 32 << 20;
/// Most sets of traits that are held in memory; they take some hundred bytes each.
const TRAITS_MAX: usize = 1 << 15;

/// A time in which the host was not watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The last sign of the run before.
    pub from: Timestamp,
    /// The next start.
    pub to: Timestamp,
}

/// Where the calls and edges of one hour are in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) day: Day,
    pub(super) hour: Hour,
    /// Bytes from the first of them to the end of the last.
    pub(super) bytes: Range<u64>,
}

/// What the index covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    format: u32,
    pub(super) position: Position,
    /// Of the last line covered.
    hash: Hash,
    /// How many sets of traits have a number.
    traits: u32,
    /// The last moment at which the log shows that the host was watched.
    pub(super) alive: Option<Timestamp>,
    /// The first.
    pub(super) first: Option<Timestamp>,
    /// How many lines can't be read.
    pub(super) damaged: u64,
    /// The sums of files before this day are there by the day, too.
    sealed: Day,
}

/// The open index. Each method fails with [`IndexError::Panicked`] where the store panics.
#[derive(Debug)]
pub(super) struct Index {
    db: sled::Db,
    dir: PathBuf,
    state: State,
    kept: Kept,
    /// Sets of traits that were asked for, by their numbers: they never change.
    traits_read: Mutex<HashMap<u32, Arc<Traits>>>,
}

impl Index {
    /// Opens or creates it. `background` says whether it writes to the disk on its own, every 500 ms.
    fn open(dir: &Path, background: bool) -> Result<Self, IndexError> {
        guarded(|| {
            let db = sled::Config::new()
                .path(dir)
                .mode(sled::Mode::LowSpace)
                .cache_capacity(CACHE_BYTES)
                .use_compression(false)
                .flush_every_ms(background.then_some(500))
                .open()?;
            let state = match db.get(keys::STATE)? {
                Some(bytes) => decode(&bytes, "state")?,
                None => State {
                    format: FORMAT,
                    position: Position::START,
                    hash: Hash::ZERO,
                    traits: 0,
                    alive: None,
                    first: None,
                    damaged: 0,
                    sealed: Day::FIRST,
                },
            };
            if state.format != FORMAT {
                return Err(IndexError::Foreign("another version made it"));
            }
            let traits_read = Mutex::default();
            Ok(Self { db, dir: dir.to_owned(), state, kept: Kept::default(), traits_read })
        })
    }

    pub(super) const fn state(&self) -> &State {
        &self.state
    }

    /// Where the calls and edges of each hour are, in the order of files.
    pub(super) fn extents(&self) -> Result<Vec<Extent>, IndexError> {
        guarded(|| {
            let mut extents = Vec::new();
            for row in self.db.scan_prefix([keys::EXTENT]) {
                let (key, value) = row?;
                let damaged = IndexError::Unreadable("file range");
                let bytes = decode_range(&value);
                let (Some(day), Some(hour), Some(bytes)) =
                    (keys::day_of(&key), keys::hour_of(&key), bytes)
                else {
                    return Err(damaged);
                };
                extents.push(Extent { day, hour, bytes });
            }
            Ok(extents)
        })
    }

    /// The traits of a number that [`Self::sum`] gave.
    pub(super) fn traits(&self, number: u32) -> Result<Arc<Traits>, IndexError> {
        if let Some(traits) = self.traits_read().get(&number) {
            return Ok(Arc::clone(traits));
        }
        let traits: Arc<Traits> = guarded(|| {
            let bytes = self.db.get(keys::traits(number))?;
            decode(&bytes.ok_or(IndexError::Unreadable("set of traits"))?, "set of traits")
        })
        .map(Arc::new)?;
        let mut read = self.traits_read();
        if read.len() < TRAITS_MAX {
            read.insert(number, Arc::clone(&traits));
        }
        Ok(traits)
    }

    // A panic leaves it whole: there is nothing but insertions.
    fn traits_read(&self) -> MutexGuard<'_, HashMap<u32, Arc<Traits>>> {
        self.traits_read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where in the file of `day` the first record is that says whose a batch or a file is.
    pub(super) fn batch(&self, day: Day, batch: BatchKey) -> Result<Option<u64>, IndexError> {
        guarded(|| {
            let Some(bytes) = self.db.get(keys::batch(day, batch))? else { return Ok(None) };
            let offset = bytes.as_ref().try_into().map(u64::from_be_bytes);
            offset.map(Some).map_err(|_length| IndexError::Unreadable("place"))
        })
    }

    /// The losses that touch the interval.
    pub(super) fn losses(&self, within: &Range<Timestamp>) -> Result<Vec<Loss>, IndexError> {
        self.intervals(keys::LOSS, |loss: &Loss| touches(loss.from, loss.to, within))
    }

    /// The gaps in coverage that touch the interval.
    pub(super) fn gaps(&self, within: &Range<Timestamp>) -> Result<Vec<Gap>, IndexError> {
        self.intervals(keys::GAP, |gap: &Gap| touches(gap.from, gap.to, within))
    }

    /// The blind spots that touch the interval.
    pub(super) fn blind(&self, within: &Range<Timestamp>) -> Result<Vec<BlindSpot>, IndexError> {
        self.intervals(keys::BLIND, |spot: &BlindSpot| touches(spot.time, spot.until, within))
    }

    /// Makes everything it holds last through a power cut. The store's own flush doesn't: on Linux
    /// it stops at `sync_file_range`, which leaves data in the disk's cache and the file's length
    /// unwritten.
    pub(super) fn checkpoint(&self) -> Result<(), IndexError> {
        guarded(|| {
            self.db.flush()?;
            File::open(self.dir.join("db"))?.sync_all()?;
            Ok(files::sync_dir(&self.dir)?)
        })
    }

    fn intervals<T: DeserializeOwned>(
        &self,
        kind: u8,
        wanted: impl Fn(&T) -> bool,
    ) -> Result<Vec<T>, IndexError> {
        guarded(|| {
            let mut found = Vec::new();
            for row in self.db.scan_prefix([kind]) {
                let interval = decode(&row?.1, "interval")?;
                if wanted(&interval) {
                    found.push(interval);
                }
            }
            Ok(found)
        })
    }
}

/// Drops an index that has failed, whose store may panic once more.
pub(super) fn discard(index: Option<Index>) {
    let _failed_already = guarded(|| {
        drop(index);
        Ok(())
    });
}

/// Whether an interval and a half-open one have a moment in common.
pub(super) fn touches(from: Timestamp, to: Timestamp, within: &Range<Timestamp>) -> bool {
    from < within.end && to >= within.start
}

/// Runs what may panic inside the store.
fn guarded<T>(work: impl FnOnce() -> Result<T, IndexError>) -> Result<T, IndexError> {
    // Whoever gets `Panicked` drops the index and opens it anew, so nobody sees a broken invariant.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Err(IndexError::Panicked(text.unwrap_or_else(|| "no message".to_owned())))
    })
}

fn decode<T: DeserializeOwned>(bytes: &[u8], what: &'static str) -> Result<T, IndexError> {
    serde_json::from_slice(bytes).map_err(|_error| IndexError::Unreadable(what))
}

fn encode<T: Serialize>(value: &T, what: &'static str) -> Result<Vec<u8>, IndexError> {
    serde_json::to_vec(value).map_err(|_error| IndexError::Unreadable(what))
}

fn decode_range(bytes: &[u8]) -> Option<Range<u64>> {
    let (start, rest) = bytes.split_first_chunk()?;
    Some(u64::from_be_bytes(*start)..u64::from_be_bytes(rest.try_into().ok()?))
}

fn encode_range(range: &Range<u64>) -> Vec<u8> {
    [range.start.to_be_bytes(), range.end.to_be_bytes()].concat()
}
