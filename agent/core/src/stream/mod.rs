//! One ordered byte stream per direction of a connection, with explicit holes.
//!
//! The kernel stamps each record with the absolute offset of its first byte and hands records over
//! in the order of their offsets, so nothing is ever reordered here: a jump forward is a hole of
//! known size, a step back is a repetition and is cut off.

/// Follows the offsets of one direction of one connection.
#[derive(Debug, Default)]
pub struct Assembler {
    /// The offset that comes next; `None` until anything was seen. Never decreases.
    next: Option<u64>,
}

/// What a record adds to the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival<'a> {
    /// Bytes lost between the last arrival and this one.
    pub hole: u64,
    /// The bytes that are new.
    pub data: &'a [u8],
}

impl Assembler {
    /// Takes the bytes at `offset`. The first arrival starts the stream wherever it is: what came
    /// before the probes looked is not lost, it was never there to be seen.
    pub fn accept<'a>(&mut self, offset: u64, data: &'a [u8]) -> Arrival<'a> {
        let next = self.next.unwrap_or(offset);
        let repeated = usize::try_from(next.saturating_sub(offset)).unwrap_or(usize::MAX);
        let data = data.get(repeated..).unwrap_or_default();
        let start = offset.max(next);
        self.next = Some(start.saturating_add(data.len() as u64));
        Arrival { hole: start - next, data }
    }

    /// Takes the stream's final length. Returns how many bytes at its end were lost.
    pub fn finish(&mut self, total: u64) -> u64 {
        let hole = self.next.map_or(0, |next| total.saturating_sub(next));
        self.next = self.next.map(|next| next.max(total));
        hole
    }

    /// The offset after the last byte seen, 0 if none was.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next.unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn holes_and_repetitions_are_told_apart() {
        let mut stream = Assembler::default();
        assert_eq!(stream.accept(7, b"abc"), Arrival { hole: 0, data: b"abc" });
        assert_eq!(stream.accept(12, b"de"), Arrival { hole: 2, data: b"de" });
        assert_eq!(stream.accept(11, b"xdef"), Arrival { hole: 0, data: b"f" });
        assert_eq!(stream.accept(3, b"old"), Arrival { hole: 0, data: b"" });
        assert_eq!(stream.position(), 15);
        assert_eq!(stream.finish(20), 5);
        assert_eq!(stream.finish(20), 0);
    }

    proptest! {
        /// Whatever offsets arrive, each position is handed out at most once, and bytes and holes
        /// together cover the stream without a gap.
        #[test]
        fn positions_only_grow(records in prop::collection::vec((any::<u64>(), 0usize..50), 1..50)) {
            let mut stream = Assembler::default();
            let mut covered = None;
            for (offset, length) in records {
                let data = vec![0; length];
                let before = covered.unwrap_or(offset);
                let arrival = stream.accept(offset, &data);
                let after = before
                    .saturating_add(arrival.hole)
                    .saturating_add(arrival.data.len() as u64);
                prop_assert_eq!(stream.position(), after);
                covered = Some(after);
            }
        }
    }
}
