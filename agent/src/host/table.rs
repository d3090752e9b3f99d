//! What is known of processes that ran lately, for when their records are read after they ended.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use weir_core::units::ProcessKey;

use super::lineage::Link;
use super::process::{Resident, Snapshot, ticks};

/// Most processes that are remembered. A process that lives needs no memory of ours: `/proc` has it.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(8192).unwrap();
/// Most ended processes that are remembered, the latest.
const DEPARTED: usize = 4096;
/// Most processes that ran before us and are remembered.
pub(super) const RESIDENTS: usize = 16 * 1024;

/// A process: what was last seen of it, and who started it.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) link: Arc<Link>,
    /// Whoever has its id by now is another.
    pub(super) has_ended: bool,
}

/// A bounded memory of processes.
#[derive(Debug)]
pub(super) struct Table {
    known: LruCache<ProcessKey, Known>,
    /// Ended processes, oldest first. `len <= DEPARTED`
    departed: VecDeque<ProcessKey>,
    /// Processes that ran before us, by their ids, with the ticks at which they started. Of these no
    /// event has told. `len <= RESIDENTS`
    residents: HashMap<u32, (u64, Known)>,
}

impl Known {
    /// The process `pid`, that runs `script` if it is an interpreter, and that `parent` started.
    pub(super) fn new(
        pid: u32,
        snapshot: Arc<Snapshot>,
        script: Option<&str>,
        parent: Option<&Arc<Link>>,
    ) -> Self {
        let link = Link::new(pid, &snapshot, script, parent);
        Self { snapshot, link, has_ended: false }
    }
}

impl Table {
    pub(super) fn new() -> Self {
        let residents = HashMap::new();
        Self { known: LruCache::new(CAPACITY), departed: VecDeque::new(), residents }
    }

    /// Remembers those that run already. `script` says what an interpreter among them runs.
    pub(super) fn settle(
        &mut self,
        mut running: Vec<Resident>,
        mut script: impl FnMut(&Resident) -> Option<String>,
    ) {
        // Who starts a process is older than it.
        running.sort_by_key(|resident| resident.ticks);
        for resident in running {
            let Resident { pid, ticks, parent, .. } = resident;
            let before = self.residents.get(&pid);
            if before.is_some_and(|(start, _)| *start == ticks) || self.residents.len() >= RESIDENTS
            {
                continue;
            }
            let script = script(&resident);
            let parent = self.residents.get(&parent).map(|(_, known)| Arc::clone(&known.link));
            let snapshot = Arc::new(resident.snapshot);
            let known = Known::new(pid, snapshot, script.as_deref(), parent.as_ref());
            self.residents.insert(pid, (ticks, known));
        }
    }

    /// What is known of a process.
    pub(super) fn of(&mut self, key: ProcessKey) -> Option<Known> {
        self.known.get(&key).cloned().or_else(|| self.resident(key).cloned())
    }

    /// The key by which a process is known, of which this one may be right to a clock tick only.
    pub(super) fn precise(&self, key: ProcessKey) -> ProcessKey {
        let is_it = |known: &ProcessKey| {
            known.pid == key.pid && ticks(known.start_ns) == ticks(key.start_ns)
        };
        self.known.iter().map(|(known, _)| *known).find(is_it).unwrap_or(key)
    }

    /// Notes what was seen. Forked processes share it.
    pub(super) fn note(&mut self, key: ProcessKey, known: Known) {
        self.known.put(key, known);
    }

    /// Notes that a process ended: it is kept for a while.
    pub(super) fn ended(&mut self, key: ProcessKey) {
        if let Some(known) = self.resident(key).cloned() {
            self.residents.remove(&key.pid);
            self.known.get_or_insert(key, || known);
        }
        let Some(known) = self.known.get_mut(&key) else { return };
        known.has_ended = true;
        if self.departed.len() == DEPARTED
            && let Some(oldest) = self.departed.pop_front()
        {
            self.known.pop(&oldest);
        }
        self.departed.push_back(key);
    }

    fn resident(&self, key: ProcessKey) -> Option<&Known> {
        let (start, known) = self.residents.get(&key.pid)?;
        (*start == ticks(key.start_ns)).then_some(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(pid: u32) -> Known {
        Known::new(pid, Arc::default(), None, None)
    }

    #[test]
    fn memory_is_bounded_and_keeps_the_latest() {
        let mut table = Table::new();
        let key = |pid| ProcessKey { pid, start_ns: 1 };
        let ended = u32::try_from(DEPARTED).unwrap() + 10;
        for pid in 0..ended {
            table.note(key(pid), known(pid));
            table.ended(key(pid));
            table.ended(key(1_000_000 + pid));
        }
        assert!(table.of(key(9)).is_none() && table.of(key(10)).is_some());
        assert_eq!((table.known.len(), table.departed.len()), (DEPARTED, DEPARTED));
        for pid in ended..ended + 10_000 {
            table.note(key(pid), known(pid));
        }
        assert_eq!(table.known.len(), CAPACITY.get());
    }

    #[test]
    fn who_ran_before_us_is_known_by_its_start() {
        let resident = |pid, ticks, parent| Resident {
            pid,
            ticks,
            parent,
            snapshot: Snapshot { exe: Some(format!("/p{pid}")), ..Snapshot::default() },
        };
        let mut table = Table::new();
        table.settle(vec![resident(7, 20, 5), resident(5, 10, 4)], |_| None);
        let key = |pid, start_ns| ProcessKey { pid, start_ns };
        let found = table.of(key(7, 200_000_000)).unwrap();
        assert_eq!(found.snapshot.exe.as_deref(), Some("/p7"));
        assert_eq!(found.link.agent().name, "p5");
        assert!(table.of(key(7, 210_000_000)).is_none(), "another has its id");

        table.ended(key(7, 209_999_999));
        assert!(table.of(key(7, 209_999_999)).unwrap().has_ended, "it is kept for a while");
        assert!(!table.residents.contains_key(&7));
        table.ended(key(5, 999_999_999));
        assert!(table.residents.contains_key(&5), "that was another");
    }

    #[test]
    fn those_that_ran_before_us_are_bounded() {
        let count = u32::try_from(RESIDENTS).unwrap() + 5;
        let resident =
            |pid| Resident { pid, ticks: 1, parent: pid - 1, snapshot: Snapshot::default() };
        let mut table = Table::new();
        table.settle((1..=count).map(resident).collect(), |_| None);
        assert_eq!(table.residents.len(), RESIDENTS);
    }
}
