//! The threads behind the queue of calls: `weir-meter` makes records of them, `weir-ledger` brings
//! those to the disk.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::thread::sleep;
use std::time::{Duration, Instant};

use weir_core::meter::{CostSource, EdgeRecord, Habits, Meter, Once, UsageRecord};
use weir_core::units::Timestamp;

use super::vitals::Vitals;
use super::watch::Attributed;
use crate::ledger::{Entry, Ledger, LedgerError, Mark, Reader};

/// Longest time from a record to its acknowledgement, while the disk is well.
const BATCH_TIME: Duration = Duration::from_millis(500);
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
        let (mut habits, mut once) = (Habits::default(), Once::default());
        for made in &self.made {
            let entry = self.entry(made, &mut habits, &mut once);
            // The ledger's thread outlives this one; if it has not, there is nobody to tell.
            if self.entries.send(entry).is_err() {
                self.vitals.entries_dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn entry(&self, made: Attributed, habits: &mut Habits, once: &mut Once) -> Entry {
        match made {
            Attributed::Call(call, attribution) => {
                let record = self.meter.measure(*call, &attribution, &self.boot, habits);
                let record = once.settle(record, |id| self.stored(id));
                if record.cost_source == CostSource::Unpriced {
                    self.vitals.unpriced(record.model.as_deref().unwrap_or("(unknown)"));
                }
                Entry::Call(Box::new(record))
            }
            Attributed::Edge(edge, attribution) => {
                Entry::Edge(Box::new(EdgeRecord::new(*edge, &attribution, &self.boot)))
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

/// The state of `weir-ledger`.
pub(super) struct Keeper {
    pub(super) ledger: Ledger,
    pub(super) entries: Receiver<Entry>,
    pub(super) vitals: Arc<Vitals>,
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
        let mut batch = vec![self.entries.recv().ok()?];
        let deadline = Instant::now() + BATCH_TIME;
        while batch.len() < BATCH_MAX {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.entries.recv_timeout(left) {
                Ok(entry) => batch.push(entry),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        Some(batch)
    }

    /// Writes a batch, however long it takes: what it can't hold waits in the queue. Only a daemon
    /// that has to stop gives up.
    fn write(&mut self, batch: &[Entry]) {
        let mut failed = false;
        loop {
            match self.ledger.append(Timestamp::now(), batch) {
                Ok(_acknowledged) if failed => {
                    tracing::info!(entries = batch.len(), "the ledger can be written again");
                    return;
                }
                Ok(_acknowledged) => return,
                Err(error) if self.vitals.is_stopping() => {
                    tracing::error!(%error, entries = batch.len(), "stopped before they were written");
                    self.vitals.entries_dropped.fetch_add(batch.len() as u64, Ordering::Relaxed);
                    return;
                }
                Err(error) => {
                    if !std::mem::replace(&mut failed, true) {
                        tracing::error!(%error, "the ledger can't be written; trying again until it can");
                    }
                    sleep(RETRY_EVERY);
                }
            }
        }
    }
}
