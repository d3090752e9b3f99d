//! The threads behind the queue of calls: `weir-meter` makes records of them, `weir-ledger` brings
//! those to the disk.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::thread::sleep;
use std::time::{Duration, Instant};

use weir_core::identity::Attribution;
use weir_core::meter::{
    BatchKey, BatchRecord, Batches, CostSource, EdgeRecord, Habits, Meter, Once, Relays, Traces,
    UsageRecord,
};
use weir_core::provider::{BatchNews, ModelCall};
use weir_core::units::Timestamp;

use super::changes::Changes;
use super::vitals::Vitals;
use super::watch::Attributed;
use crate::ledger::{Entry, Ledger, LedgerError, Mark, Reader};

/// Longest time from a record to its acknowledgement, while the disk is well.
pub(super) const BATCH_TIME: Duration = Duration::from_millis(500);
/// The same where somebody is to be blocked as soon as a record says so.
pub(super) const BATCH_TIME_SHORT: Duration = Duration::from_millis(20);
/// Most entries in a batch.
const BATCH_MAX: usize = 1000;
/// How long to wait before a batch that could not be written is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// The state of `weir-meter`.
pub(super) struct MeterQueue {
    pub(super) meter: Meter,
    pub(super) boot: String,
    pub(super) made: Receiver<Attributed>,
    pub(super) entries: SyncSender<Entry>,
    /// Knows what was billed before this run. What of this run isn't stored yet, at most what the
    /// queue and a batch hold, is remembered here.
    pub(super) ledger: Reader,
    pub(super) vitals: Arc<Vitals>,
}

impl MeterQueue {
    /// Runs until nobody can send calls any more.
    pub(super) fn run(self) {
        let mut memory = Memory::default();
        while let Some(made) = self.next(&mut memory) {
            match made {
                Attributed::Call(call, attribution, serves) => {
                    self.call(*call, &attribution, serves, &mut memory);
                }
                Attributed::Edge(edge, attribution) => {
                    let trace = edge.trace_id.clone();
                    let on_behalf_of = memory.traces.follow(trace.as_deref(), &attribution);
                    let record = EdgeRecord::new(*edge, &attribution, &self.boot);
                    let record = EdgeRecord { on_behalf_of, ..record };
                    self.send(Entry::Edge(Box::new(record)));
                }
                Attributed::Asked { trace_id, caller, callee } => {
                    memory.traces.asked(&trace_id, &caller, &callee);
                }
                Attributed::Batch(news, attribution) => {
                    self.batch(&news, &attribution, &mut memory.batches);
                }
            }
        }
    }

    /// Waits for what comes next. Records that have waited for their callers are settled meanwhile, and
    /// all of them once nobody can send calls any more.
    fn next(&self, memory: &mut Memory) -> Option<Attributed> {
        loop {
            let received = match memory.relays.next() {
                None => self.made.recv().map_err(|_closed| RecvTimeoutError::Disconnected),
                Some(until) => {
                    let patience = until.duration_since(Timestamp::now());
                    self.made.recv_timeout(patience.try_into().unwrap_or(Duration::ZERO))
                }
            };
            let due = match received {
                Err(RecvTimeoutError::Disconnected) => memory.relays.finish(),
                Ok(_) | Err(RecvTimeoutError::Timeout) => memory.relays.due(Timestamp::now()),
            };
            self.settle(due, &mut memory.once);
            match received {
                Ok(made) => return Some(made),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn send(&self, entry: Entry) {
        // The ledger's thread outlives this one; if it has not, there is nobody to tell.
        if self.entries.send(entry).is_err() {
            self.vitals.entries_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn call(&self, call: ModelCall, maker: &Attribution, serves: bool, memory: &mut Memory) {
        let Memory { habits, once, batches, relays, traces } = memory;
        let on_behalf_of = traces.follow(call.hints.trace_id.as_deref(), maker);
        let record = self.meter.measure(call, maker, &self.boot, habits);
        let record = UsageRecord { on_behalf_of, gateway: serves, ..record };
        let record = batches.charge(record, |key, oldest| self.creator(key, oldest));
        self.settle(relays.take(record, Timestamp::now()), once);
    }

    fn settle(&self, records: Vec<UsageRecord>, once: &mut Once) {
        for record in records {
            let record = once.settle(record, |id| self.stored(id));
            if record.cost_source == CostSource::Unpriced {
                self.vitals.unpriced(record.model.as_deref().unwrap_or("(unknown)"));
            }
            self.send(Entry::Call(Box::new(record)));
        }
    }

    fn batch(&self, news: &BatchNews, teller: &Attribution, batches: &mut Batches) {
        let learnt = batches.learn(news, teller, |key, oldest| self.creator(key, oldest));
        learnt.into_iter().for_each(|record| self.send(Entry::Batch(Box::new(record))));
        self.vitals.batch_claims_refused.store(batches.refused(), Ordering::Relaxed);
    }

    /// Whose a batch is, by what was seen before. Where the ledger can't be read that is not known,
    /// and who fetches the results is billed: the record says that the creator was not seen.
    fn creator(&self, key: BatchKey, oldest: Timestamp) -> Option<BatchRecord> {
        match self.ledger.batch(key, oldest) {
            Ok(record) => record,
            Err(error) => {
                tracing::warn!(%error, "who created a batch can't be looked up");
                None
            }
        }
    }

    /// The record that bills an answer already. Where the ledger can't be read that is not known,
    /// and the answer is billed: too much can be seen, too little can't.
    fn stored(&self, response_id: &str) -> Option<UsageRecord> {
        match self.ledger.answered(response_id) {
            Ok(record) => record,
            Err(error) => {
                tracing::warn!(%error, "an answer that was read back may be billed twice");
                None
            }
        }
    }
}

/// What the meter remembers from one call to the next.
#[derive(Default)]
struct Memory {
    habits: Habits,
    once: Once,
    batches: Batches,
    relays: Relays,
    traces: Traces,
}

/// The state of `weir-ledger`.
pub(super) struct Keeper {
    pub(super) ledger: Ledger,
    pub(super) entries: Receiver<Entry>,
    pub(super) changes: Changes,
    /// How long a record may wait for others.
    pub(super) patience: Duration,
    pub(super) vitals: Arc<Vitals>,
    /// How long to wait for an entry at most, before waiting on.
    pub(super) turn: Option<Duration>,
}

impl Keeper {
    /// Runs until nobody can send entries any more, then closes the ledger.
    ///
    /// # Errors
    /// If the ledger can't be closed in good order.
    pub(super) fn run(mut self) -> Result<(), LedgerError> {
        while let Some(batch) = self.batch() {
            self.write(&batch);
        }
        let now = Timestamp::now();
        self.write(&[Entry::Stop(Mark { time: now })]);
        self.ledger.close()
    }

    /// Waits for an entry and gathers what comes soon after.
    fn batch(&self) -> Option<Vec<Entry>> {
        let mut batch = vec![self.first()?];
        let deadline = Instant::now() + self.patience;
        while batch.len() < BATCH_MAX {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.entries.recv_timeout(left) {
                Ok(entry) => batch.push(entry),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        Some(batch)
    }

    fn first(&self) -> Option<Entry> {
        loop {
            let received = match self.turn {
                None => self.entries.recv().map_err(|_closed| RecvTimeoutError::Disconnected),
                Some(turn) => self.entries.recv_timeout(turn),
            };
            self.vitals.kept.fetch_add(1, Ordering::Relaxed);
            match received {
                Ok(entry) => return Some(entry),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Writes a batch, however long it takes: what it can't hold waits in the queue. Only a daemon
    /// that has to stop gives up.
    fn write(&mut self, batch: &[Entry]) {
        let mut failed = false;
        loop {
            match self.ledger.append(Timestamp::now(), batch) {
                Ok(_acknowledged) => {
                    if failed {
                        tracing::info!(entries = batch.len(), "the ledger can be written again");
                    }
                    self.changes.written(batch);
                    return;
                }
                Err(error) if self.vitals.is_stopping() => {
                    tracing::error!(%error, entries = batch.len(), "stopped before they were written");
                    self.vitals.entries_dropped.fetch_add(batch.len() as u64, Ordering::Relaxed);
                    return;
                }
                Err(error) => {
                    if !std::mem::replace(&mut failed, true) {
                        tracing::error!(%error, "the ledger can't be written; trying again until it can");
                    }
                    // A full disk isn't made better by starting anew.
                    self.vitals.kept.fetch_add(1, Ordering::Relaxed);
                    sleep(RETRY_EVERY);
                }
            }
        }
    }
}
