//! What the threads of the daemon tell `weir doctor`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use weir_core::pipeline::Stats;

/// Most unpriced models that are told apart; the others are counted together.
const UNPRICED_MAX: usize = 100;

/// Counters and states, written by one thread each.
#[derive(Debug, Default)]
pub(super) struct Vitals {
    stopping: AtomicBool,
    pipeline: Mutex<Stats>,
    unpriced: Mutex<BTreeMap<String, u64>>,
    /// Calls that the meter's queue had no room for.
    pub(super) calls_dropped: AtomicU64,
    /// Steps to other agents that it had no room for.
    pub(super) edges_dropped: AtomicU64,
    /// News of batches that it had no room for.
    pub(super) batches_dropped: AtomicU64,
    /// What was said of batches and not believed.
    pub(super) batch_claims_refused: AtomicU64,
    /// Entries that could not be written before the daemon had to stop.
    pub(super) entries_dropped: AtomicU64,
}

impl Vitals {
    /// Asks every thread to finish what it has and end.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    pub(super) fn set_pipeline(&self, stats: Stats) {
        *locked(&self.pipeline) = stats;
    }

    pub(super) fn pipeline(&self) -> Stats {
        *locked(&self.pipeline)
    }

    /// Notes a call to a model without a price.
    pub(super) fn unpriced(&self, model: &str) {
        let mut models = locked(&self.unpriced);
        let known = models.contains_key(model) || models.len() < UNPRICED_MAX;
        let name = if known { model } else { "(others)" };
        *models.entry(name.to_owned()).or_default() += 1;
    }

    pub(super) fn unpriced_models(&self) -> BTreeMap<String, u64> {
        locked(&self.unpriced).clone()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
