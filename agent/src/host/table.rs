//! What is known of processes that ran lately, for when their records are read after they ended.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use weir_core::units::ProcessKey;

use super::process::{Snapshot, ticks};

/// Most processes that are remembered. A process that lives needs no memory of ours: `/proc` has it.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(8192).unwrap();
/// Most ended processes that are remembered, the latest.
const DEPARTED: usize = 4096;

/// A bounded memory of processes.
#[derive(Debug)]
pub(super) struct Table {
    known: LruCache<ProcessKey, Arc<Snapshot>>,
    /// Ended processes, oldest first. `len <= DEPARTED`
    departed: VecDeque<ProcessKey>,
}

impl Table {
    pub(super) fn new() -> Self {
        Self { known: LruCache::new(CAPACITY), departed: VecDeque::new() }
    }

    /// What was last seen of a process.
    pub(super) fn of(&mut self, key: ProcessKey) -> Option<Arc<Snapshot>> {
        self.known.get(&key).cloned()
    }

    /// The key by which a process is known, of which this one may be right to a clock tick only.
    pub(super) fn precise(&self, key: ProcessKey) -> ProcessKey {
        let is_it = |known: &ProcessKey| {
            known.pid == key.pid && ticks(known.start_ns) == ticks(key.start_ns)
        };
        self.known.iter().map(|(known, _)| *known).find(is_it).unwrap_or(key)
    }

    /// Notes what was seen. Forked processes share it.
    pub(super) fn note(&mut self, key: ProcessKey, snapshot: Arc<Snapshot>) {
        self.known.put(key, snapshot);
    }

    /// Notes that a process ended: it is kept for a while.
    pub(super) fn ended(&mut self, key: ProcessKey) {
        if !self.known.contains(&key) {
            return;
        }
        if self.departed.len() == DEPARTED
            && let Some(oldest) = self.departed.pop_front()
        {
            self.known.pop(&oldest);
        }
        self.departed.push_back(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_keeps_the_latest() {
        let mut table = Table::new();
        let key = |pid| ProcessKey { pid, start_ns: 1 };
        let snapshot = Arc::new(Snapshot::default());
        let ended = u32::try_from(DEPARTED).unwrap() + 10;
        for pid in 0..ended {
            table.note(key(pid), Arc::clone(&snapshot));
            table.ended(key(pid));
            table.ended(key(1_000_000 + pid));
        }
        assert!(table.of(key(9)).is_none() && table.of(key(10)).is_some());
        assert_eq!((table.known.len(), table.departed.len()), (DEPARTED, DEPARTED));
        for pid in ended..ended + 10_000 {
            table.note(key(pid), Arc::clone(&snapshot));
        }
        assert_eq!(table.known.len(), CAPACITY.get());
    }
}
