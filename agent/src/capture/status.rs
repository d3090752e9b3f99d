//! What `weir doctor` asks of this room.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aya::maps::{MapData, PerCpuArray};
use weir_core::units::Timestamp;
use weir_ebpf::loss::Cause;

use super::error::chain;
use super::flows::WatchError;
use super::makeup::Makeups;
use super::mapping::FileId;
use super::pairing::Unpaired;
use super::site::Sites;
use super::tally::{Tally, Tried};

/// A snapshot.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Files with TLS code, by path. Files without any are not listed.
    pub targets: Vec<Target>,
    /// What was lost, by cause; causes with no loss are listed too.
    pub losses: Vec<Loss>,
    /// Records that were not what the probes write.
    pub malformed: u64,
    /// Hints about processes that came faster than they could be followed; a sweep made up for
    /// each.
    pub hints_dropped: u64,
    /// What came of all that was looked at, since the start.
    pub tally: Vec<(Tried, u64)>,
    /// Why connections aren't watched; absent if they are.
    pub unwatched: Option<String>,
    /// Why nobody can be kept from model endpoints; absent if they can, or nobody wants that.
    pub unblocked: Option<String>,
    /// The most bytes that were found in the ring in one go.
    pub ring_peak_bytes: u64,
    /// Records read from the ring.
    pub records: u64,
}

/// A file that probes are on, or should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Which file: one, but in each container that has it another.
    pub files: Vec<FileId>,
    /// Its path in the mount namespace of the process it was first seen in.
    pub path: String,
    /// The linker's build id, in hexadecimal.
    pub build_id: Option<String>,
    /// What came of it.
    pub outcome: Outcome,
    /// Since when that is so.
    pub since: Timestamp,
}

/// What came of attaching to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Probes are on these functions.
    Attached {
        /// All that are probed.
        functions: Vec<Probed>,
        /// What has made the file, where that is known: a language and its version.
        runtime: Option<String>,
    },
    /// It is a dynamic loader, watched for libraries that are loaded late.
    Loader,
    /// It has a TLS library inside, whose functions could not be found.
    NoSymbols {
        /// Which.
        library: &'static str,
    },
    /// It has a TLS library inside that isn't probed.
    Unsupported {
        /// Which, and why.
        reason: String,
    },
    /// It could not be searched.
    Unreadable {
        /// Why.
        reason: String,
    },
    /// The kernel refused a probe.
    Refused {
        /// Why.
        reason: String,
    },
}

/// A function with probes on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// Its symbol.
    pub symbol: &'static str,
    /// By how many bytes the function that they are in begins behind the first instruction of this one: 0,
    /// unless it only calls another one.
    pub distance: i64,
    /// Where they are in that.
    pub sites: Sites,
}

/// What was lost for one cause, since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Why.
    pub cause: Cause,
    /// How many records.
    pub records: u64,
    /// How many bytes of payload, where that is known.
    pub bytes: u64,
}

/// What the threads of this room tell each other.
pub(super) struct Shared {
    losses: PerCpuArray<MapData, [u64; 2]>,
    targets: Mutex<Vec<Target>>,
    /// Why connections aren't watched; absent if they are.
    unwatched: Option<WatchError>,
    /// Why nobody can be blocked; absent if they can, or nobody wants that.
    unblocked: Option<WatchError>,
    pub(super) makeups: Makeups,
    pub(super) tally: Tally,
    pub(super) malformed: AtomicU64,
    pub(super) hints_dropped: AtomicU64,
    pub(super) ring_peak_bytes: AtomicU64,
    pub(super) records: AtomicU64,
    pub(super) unpaired: Arc<Unpaired>,
}

impl Shared {
    pub(super) fn new(
        losses: PerCpuArray<MapData, [u64; 2]>,
        unwatched: Option<WatchError>,
        unblocked: Option<WatchError>,
    ) -> Self {
        Self {
            losses,
            targets: Mutex::default(),
            unwatched,
            unblocked,
            makeups: Makeups::new(),
            tally: Tally::default(),
            malformed: AtomicU64::new(0),
            hints_dropped: AtomicU64::new(0),
            ring_peak_bytes: AtomicU64::new(0),
            records: AtomicU64::new(0),
            unpaired: Arc::default(),
        }
    }

    pub(super) fn set_targets(&self, mut targets: Vec<Target>) {
        targets.sort_by(|a, b| a.path.cmp(&b.path).then(a.files.cmp(&b.files)));
        *self.targets.lock().unwrap_or_else(PoisonError::into_inner) = targets;
    }

    pub(super) fn status(&self) -> Status {
        Status {
            targets: self.targets.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            losses: Cause::ALL.into_iter().map(|cause| self.loss(cause)).collect(),
            malformed: self.malformed.load(Ordering::Relaxed),
            hints_dropped: self.hints_dropped.load(Ordering::Relaxed),
            tally: self.tally.counts(),
            unwatched: self.unwatched.as_ref().map(|error| chain(error)),
            unblocked: self.unblocked.as_ref().map(|error| chain(error)),
            ring_peak_bytes: self.ring_peak_bytes.load(Ordering::Relaxed),
            records: self.records.load(Ordering::Relaxed),
        }
    }

    /// Records of which the flows' are none: those say nothing of what was read.
    pub(super) fn lost(&self) -> u64 {
        let causes = Cause::ALL.into_iter().filter(|cause| *cause != Cause::FlowRingFull);
        causes.map(|cause| self.loss(cause).records).fold(0, u64::saturating_add)
    }

    fn loss(&self, cause: Cause) -> Loss {
        let mut loss = Loss { cause, records: 0, bytes: 0 };
        if cause == Cause::Unpaired {
            loss.records = self.unpaired.records.load(Ordering::Relaxed);
            loss.bytes = self.unpaired.bytes.load(Ordering::Relaxed);
        }
        if let Ok(counters) = self.losses.get(&(cause as u32), 0) {
            for [records, bytes] in counters.iter() {
                loss.records = loss.records.saturating_add(*records);
                loss.bytes = loss.bytes.saturating_add(*bytes);
            }
        }
        loss
    }
}
