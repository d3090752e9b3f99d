//! Halves of connections: what was sent or received with a key of which it isn't known yet which connection
//! it belongs to. The probes tell as soon as that has been shown (`agent-ebpf/src/probes/aead`); until then
//! it waits here. What waits too long, or is too much, is counted as lost.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use weir_core::units::ConnectionId;

use super::event::{Event, Held, HeldJoined};

/// Halves that wait at a time.
const HALVES_MAX: usize = 1024;
/// What one of them may hold, in bytes: what a program seals before it sends it, and more. The probes carry
/// no more than that and a record.
const HALF_MAX: usize = weir_ebpf::limit::HELD_MAX as usize + weir_ebpf::limit::SEGMENT_MAX;
/// What all of them may hold, in bytes.
const TOTAL_MAX: usize = 16 << 20;

/// What could not be paired since the start.
#[derive(Debug, Default)]
pub(super) struct Unpaired {
    /// Segments.
    pub(super) records: AtomicU64,
    /// Bytes in them.
    pub(super) bytes: AtomicU64,
}

/// Those that wait.
#[derive(Debug)]
pub(super) struct Pairing {
    /// The one that has waited longest is the first.
    halves: VecDeque<Half>,
    /// Bytes held by all of them; `<= TOTAL_MAX`.
    total: usize,
    unpaired: Arc<Unpaired>,
}

#[derive(Debug)]
struct Half {
    id: ConnectionId,
    segments: Vec<Held>,
    /// Bytes in them; `<= HALF_MAX`.
    bytes: usize,
}

impl Pairing {
    pub(super) fn new(unpaired: Arc<Unpaired>) -> Self {
        Self { halves: VecDeque::new(), total: 0, unpaired }
    }

    /// Lets a segment wait.
    pub(super) fn hold(&mut self, segment: Held) {
        let length = segment.data.len();
        let known = self.halves.iter().rposition(|half| half.id == segment.connection);
        if known.is_none() {
            let id = segment.connection;
            self.halves.push_back(Half { id, segments: Vec::new(), bytes: 0 });
        }
        let index = known.unwrap_or(self.halves.len() - 1);
        let Some(half) = self.halves.get_mut(index) else { return };
        if half.bytes + length > HALF_MAX {
            self.unpaired.count(1, length);
            return;
        }
        half.bytes += length;
        half.segments.push(segment);
        self.total += length;
        while self.halves.len() > HALVES_MAX || self.total > TOTAL_MAX {
            let Some(half) = self.halves.pop_front() else { return };
            self.give_up(half);
        }
    }

    /// Hands on what waited for this, as part of its connection.
    pub(super) fn join(&mut self, joined: &HeldJoined, mut sink: impl FnMut(Event<'_>)) {
        let Some(index) = self.halves.iter().rposition(|half| half.id == joined.held) else {
            return;
        };
        let Some(half) = self.halves.remove(index) else { return };
        self.total -= half.bytes;
        for segment in &half.segments {
            sink(segment.event(joined.connection, joined.offset));
        }
    }

    /// Forgets what a process has had.
    pub(super) fn exited(&mut self, process: weir_core::units::ProcessKey) {
        let (gone, kept) = std::mem::take(&mut self.halves)
            .into_iter()
            .partition(|half| half.id.process == process);
        self.halves = kept;
        let gone: VecDeque<Half> = gone;
        gone.into_iter().for_each(|half| self.give_up(half));
    }

    fn give_up(&mut self, half: Half) {
        self.total -= half.bytes;
        self.unpaired.count(half.segments.len(), half.bytes);
    }
}

impl Unpaired {
    fn count(&self, records: usize, bytes: usize) {
        self.records.fetch_add(records as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Stamp;
    use weir_core::units::{Direction, ProcessKey, Timestamp};

    const PROCESS: ProcessKey = ProcessKey { pid: 7, start_ns: 3 };

    fn id(handle: u64) -> ConnectionId {
        ConnectionId { process: PROCESS, handle, generation: 1 }
    }

    fn held(handle: u64, offset: u64, length: usize) -> Held {
        Held {
            connection: id(handle),
            direction: Direction::Write,
            offset,
            time: Timestamp::UNIX_EPOCH,
            data: vec![b'x'; length].into(),
            stamp: Stamp { tid: 8, uid: 0, gid: 0, cgroup_id: 1 },
        }
    }

    fn pairing() -> (Pairing, Arc<Unpaired>) {
        let unpaired = Arc::new(Unpaired::default());
        (Pairing::new(Arc::clone(&unpaired)), unpaired)
    }

    fn joined(pairing: &mut Pairing, handle: u64, offset: u64) -> Vec<(u64, u64, usize)> {
        let mut said = Vec::new();
        let joined = HeldJoined { held: id(handle), connection: id(0xabc), offset };
        pairing.join(&joined, |event| {
            if let Event::Segment { connection, offset, data, .. } = event {
                said.push((connection.handle, offset, data.len()));
            }
        });
        said
    }

    #[test]
    fn what_waited_comes_out_in_order_and_in_its_place() {
        let (mut pairing, _) = pairing();
        pairing.hold(held(1, 0, 3));
        pairing.hold(held(2, 0, 9));
        pairing.hold(held(1, 3, 4));
        assert_eq!(joined(&mut pairing, 1, 100), [(0xabc, 100, 3), (0xabc, 103, 4)]);
        assert_eq!(joined(&mut pairing, 1, 100), [], "only once");
        assert_eq!(pairing.total, 9);
    }

    #[test]
    fn the_end_of_a_process_is_that_of_what_waited() {
        let (mut pairing, unpaired) = pairing();
        pairing.hold(held(1, 0, 3));
        pairing.exited(ProcessKey { pid: 8, ..PROCESS });
        assert_eq!(pairing.total, 3);
        pairing.exited(PROCESS);
        assert_eq!((pairing.total, joined(&mut pairing, 1, 0)), (0, vec![]));
        assert_eq!(unpaired.bytes.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn what_is_too_much_is_counted() {
        let (mut pairing, unpaired) = pairing();
        let mut given = 0;
        for number in 0..10_000u64 {
            let length = (number as usize * 37) % 16_384;
            pairing.hold(held(number % 3_000, number, length));
            given += length;
            assert!(pairing.total <= TOTAL_MAX && pairing.halves.len() <= HALVES_MAX);
            let sum: usize = pairing.halves.iter().map(|half| half.bytes).sum();
            assert_eq!(sum, pairing.total);
        }
        assert_eq!(unpaired.bytes.load(Ordering::Relaxed) as usize + pairing.total, given);
        for _ in 0..100 {
            pairing.hold(held(5_000, 0, 16_384));
        }
        assert!(pairing.halves.iter().all(|half| half.bytes <= HALF_MAX));
    }
}
