//! Opens the index whatever state it is in: as it is, without its snapshots, or made anew from the
//! log.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use weir_core::units::Timestamp;

use super::Index;
use super::probe::Probe;
use crate::ledger::anchor::Anchor;
use crate::ledger::describe;
use crate::ledger::error::{IndexError, LedgerError};
use crate::ledger::files;
use crate::ledger::log::{Tail, days};
use crate::ledger::walk::{Item, Walk};

const DIR: &str = "index";
/// Holds the boot id of the machine while the index is open.
const MARKER: &str = "index.dirty";
/// Lines taken in at once when catching up.
const BATCH: usize = 1000;
/// How long the trial of a killed run may still hold the store. It is killed with its run, so this
/// is only for a machine under great load.
const LEFTOVER_PATIENCE: Duration = Duration::from_secs(10);

/// How the index was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexReport {
    /// The store opened only after its snapshots were removed. Nothing is lost by that.
    pub snapshots_removed: bool,
    /// Why it was made anew, and where the old one is.
    pub rebuilt: Option<Rebuilt>,
    /// How many lines of the log it lacked.
    pub replayed: u64,
}

/// An index that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// What was wrong with it.
    pub cause: String,
    /// Where it is now.
    pub aside: PathBuf,
}

/// Everything that opening depends on.
pub(in crate::ledger) struct Opening<'a> {
    pub(in crate::ledger) state_dir: &'a Path,
    pub(in crate::ledger) log_dir: &'a Path,
    pub(in crate::ledger) now: Timestamp,
    pub(in crate::ledger) probe: Option<&'a Probe>,
    pub(in crate::ledger) anchor: Anchor,
    pub(in crate::ledger) tail: Tail,
}

impl Opening<'_> {
    /// Opens the index and brings it to the end of the log. Fails only if a new one can't be made
    /// either, or if the disk is full, which says nothing about the index.
    pub(in crate::ledger) fn open(&self) -> Result<(Index, IndexReport), IndexError> {
        let mut report = IndexReport::default();
        let cause = match self.attempt(&mut report) {
            Ok(index) => return Ok((index, report)),
            Err(error) if error.is_disk_full() => return Err(error),
            Err(error) => error,
        };
        report = IndexReport::default();
        if let Some(aside) = self.set_aside()? {
            report.rebuilt = Some(Rebuilt { cause: describe(&cause), aside });
        }
        let index = self.attempt(&mut report)?;
        Ok((index, report))
    }

    /// Makes the index anew though nothing is known to be wrong with it, and then removes the old.
    pub(in crate::ledger) fn rebuild(&self) -> Result<(Index, IndexReport), IndexError> {
        let aside = self.set_aside()?;
        let mut report = IndexReport::default();
        let index = self.attempt(&mut report)?;
        if let Some(aside) = aside {
            fs::remove_dir_all(aside)?;
        }
        Ok((index, report))
    }

    fn attempt(&self, report: &mut IndexReport) -> Result<Index, IndexError> {
        let dir = self.state_dir.join(DIR);
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let marker = files::if_found(fs::read_to_string(self.state_dir.join(MARKER)))?;
        if marker.is_some_and(|marker| marker != boot) && dir.exists() {
            return Err(IndexError::UncleanBoot);
        }
        files::replace(self.state_dir, MARKER, boot.as_bytes())?;
        files::private_dir(&dir)?;
        remove_snapshots(&dir, |name| name.ends_with(".generating"))?;
        wait_until_free(&dir)?;
        // The trial of a killed run may have begun only after it was waited for: once more, if so.
        let opened = self.try_open(&dir).or_else(|_it_may_be_held| {
            wait_until_free(&dir)?;
            self.try_open(&dir)
        });
        let mut index = match opened {
            Ok(index) => index,
            Err(error) if error.is_disk_full() => return Err(error),
            Err(error) => {
                report.snapshots_removed = remove_snapshots(&dir, |_name| true)?;
                if !report.snapshots_removed {
                    return Err(error);
                }
                self.try_open(&dir)?
            }
        };
        self.align(&mut index)?;
        report.replayed = self.catch_up(&mut index)?;
        Ok(index)
    }

    fn try_open(&self, dir: &Path) -> Result<Index, IndexError> {
        self.probe.map_or(Ok(()), |probe| probe.run(dir))?;
        Index::open(dir, true)
    }

    /// Makes the index cover nothing but what is in the log.
    fn align(&self, index: &mut Index) -> Result<(), IndexError> {
        let state = index.state();
        if state.position > self.tail.position {
            return Err(IndexError::Foreign("it covers more than the log holds"));
        }
        let days = days(self.log_dir).map_err(in_log)?;
        let day = state.position.day;
        if !state.is_new() && day >= self.anchor.day && days.binary_search(&day).is_err() {
            return Err(IndexError::Foreign("the file it had come to is gone"));
        }
        index.keep_only(&days)?;
        index.begin_at(&self.anchor)?;
        index.load_inventory(self.log_dir, &self.anchor).map_err(in_log)
    }

    fn catch_up(&self, index: &mut Index) -> Result<u64, IndexError> {
        let tail = index.state().tail();
        let mut walk =
            Walk::new(self.log_dir, tail.position, self.tail.position).map_err(in_log)?;
        let mut replayed = 0;
        let mut last = tail.hash;
        loop {
            let mut items: Vec<Item> = Vec::new();
            while items.len() < BATCH
                && let Some(item) = walk.step().map_err(in_log)?
            {
                items.push(item);
            }
            if replayed == 0 {
                let prev = items.first().map_or(Some(self.tail.hash), |item| item.prev);
                if prev.is_some_and(|prev| prev != tail.hash) {
                    return Err(IndexError::Foreign("the log was changed where it had come to"));
                }
            }
            let Some(end) = items.last() else { break };
            let position = end.after();
            last = end.hash;
            let lines: Vec<_> = items.iter().map(|item| (item.span, item.entry.as_ref())).collect();
            index.apply(&lines, Tail { position, hash: last })?;
            replayed += items.len() as u64;
        }
        debug_assert!(replayed == 0 || last == self.tail.hash, "the walk ends at the tail");
        Ok(replayed)
    }

    /// Renames the index, whatever it is, and removes the marker that spoke of it.
    fn set_aside(&self) -> Result<Option<PathBuf>, IndexError> {
        let stamp = self.now.strftime("%Y%m%dT%H%M%SZ");
        let mut aside = self.state_dir.join(format!("index-corrupt-{stamp}"));
        for number in 1..1000 {
            if !aside.exists() {
                break;
            }
            aside = self.state_dir.join(format!("index-corrupt-{stamp}-{number}"));
        }
        let renamed = files::if_found(fs::rename(self.state_dir.join(DIR), &aside))?;
        files::if_found(fs::remove_file(self.state_dir.join(MARKER)))?;
        files::sync_dir(self.state_dir)?;
        Ok(renamed.map(|()| aside))
    }
}

/// Says that the index was closed in good order: the next open needn't doubt it.
pub(in crate::ledger) fn mark_closed(state_dir: &Path) -> io::Result<()> {
    files::if_found(fs::remove_file(state_dir.join(MARKER)))?;
    files::sync_dir(state_dir)
}

/// Waits until no process has the store open. We hold the lock of the state directory, so the only
/// one that can is the trial of a run that was killed while it waited for it.
fn wait_until_free(dir: &Path) -> io::Result<()> {
    let Some(store) = files::if_found(File::open(dir.join("db")))? else { return Ok(()) };
    let deadline = Instant::now() + LEFTOVER_PATIENCE;
    loop {
        match flock(&store, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK) if Instant::now() < deadline => {
                sleep(Duration::from_millis(5));
            }
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Removes the store's snapshots whose name is `wanted`. It makes new ones from its log.
fn remove_snapshots(dir: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<bool> {
    let mut removed = false;
    for item in fs::read_dir(dir)? {
        let item = item?;
        if item.file_name().to_str().is_some_and(|name| name.starts_with("snap.") && wanted(name)) {
            fs::remove_file(item.path())?;
            removed = true;
        }
    }
    Ok(removed)
}

fn in_log(error: LedgerError) -> IndexError {
    IndexError::Log(Box::new(error))
}
