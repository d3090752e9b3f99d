//! What the threads of the daemon tell `weir doctor`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use weir_core::blind::{BlindSpot, Reason, Transport};
use weir_core::identity::IdentityId;
use weir_core::pipeline::Stats;
use weir_core::secret::Fingerprint;

/// Most unpriced models that are told apart; the others are counted together.
const UNPRICED_MAX: usize = 100;

/// Most blind spots that are told apart.
const BLIND_MAX: usize = 128;

/// Who, where, how and why; and in plain HTTP, with what.
type BlindKey = (IdentityId, String, Transport, Reason, Option<Fingerprint>);

/// Counters and states, written by one thread each.
#[derive(Debug, Default)]
pub(super) struct Vitals {
    stopping: AtomicBool,
    /// Turns of the loop that reads the ring; it makes one at least every [`super::notify::Manager::turn`].
    pub(super) drained: AtomicU64,
    /// Turns of the loop that writes the ledger, likewise.
    pub(super) kept: AtomicU64,
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
    /// Connections that were forgotten before it was known whether they are read.
    pub(super) flows_evicted: AtomicU64,
    /// Blind spots that there was no row for.
    pub(super) blind_omitted: AtomicU64,
    /// Rows of blind spots that the ledger's queue had no room for.
    pub(super) blind_dropped: AtomicU64,
    /// The blind spots since the start, by what they have in common.
    blind: Mutex<BTreeMap<BlindKey, BlindSpot>>,
    /// How many connections they are, by reason.
    blind_connections: Mutex<BTreeMap<Reason, u64>>,
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

    /// Notes a row of blind spots. Of those that there is no room for only the number is kept.
    pub(super) fn blind(&self, spot: &BlindSpot) {
        *locked(&self.blind_connections).entry(spot.reason).or_default() += spot.connections;
        let mut known = locked(&self.blind);
        let credential = spot.plain_http.as_ref().and_then(|said| said.credential.clone());
        let BlindSpot { identity, host, transport, reason, .. } = spot;
        let key = (identity.clone(), host.clone(), *transport, *reason, credential);
        if let Some(sum) = known.get_mut(&key) {
            sum.until = spot.until;
            sum.connections = sum.connections.saturating_add(spot.connections);
            sum.written = sum.written.saturating_add(spot.written);
            sum.read = sum.read.zip(spot.read).map(|(sum, more)| sum.saturating_add(more));
        } else if known.len() < BLIND_MAX {
            known.insert(key, spot.clone());
        }
    }

    /// The blind spots since the start, and how many connections they are by reason.
    pub(super) fn blind_spots(&self) -> (Vec<BlindSpot>, BTreeMap<Reason, u64>) {
        let spots = locked(&self.blind).values().cloned().collect();
        (spots, locked(&self.blind_connections).clone())
    }

    /// Blind spots that no row of the log tells of.
    pub(super) fn blind_left_out(&self) -> u64 {
        let [omitted, dropped] = [&self.blind_omitted, &self.blind_dropped]
            .map(|counter| counter.load(Ordering::Relaxed));
        omitted.saturating_add(dropped)
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
