//! What the probes saw and could not hand over.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Why something was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Cause {
    /// The ring had no room for a segment: the reader is too slow.
    RingFull = 0,
    /// The process's buffer was not in memory at the moment of copying.
    Unreadable = 1,
    /// More threads than [`crate::limit::CALLS`] were inside probed functions. The length of what
    /// such a call carried is not known.
    CallsFull = 2,
    /// There was no room for another connection.
    ConnectionsFull = 3,
    /// One call carried more than [`crate::limit::CALL_MAX`].
    TooLarge = 4,
    /// A call was entered and never returned (`longjmp`). It may have carried nothing.
    NeverReturned = 5,
    /// The ring had no room for a record about a process or a closed connection.
    Control = 6,
    /// It isn't known which connection a record belongs to.
    Unpaired = 7,
    /// The ring or the table of flows had no room: a connection that nothing is read of may go
    /// unnoticed.
    FlowRingFull = 8,
}

impl Cause {
    /// Every cause, in the order of the counters.
    pub const ALL: [Self; 9] = [
        Self::RingFull,
        Self::Unreadable,
        Self::CallsFull,
        Self::ConnectionsFull,
        Self::TooLarge,
        Self::NeverReturned,
        Self::Control,
        Self::Unpaired,
        Self::FlowRingFull,
    ];

    /// The name in metrics and in `weir doctor`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RingFull => "ring_full",
            Self::Unreadable => "unreadable",
            Self::CallsFull => "calls_full",
            Self::ConnectionsFull => "connections_full",
            Self::TooLarge => "too_large",
            Self::NeverReturned => "never_returned",
            Self::Control => "control",
            Self::Unpaired => "unpaired",
            Self::FlowRingFull => "flow_ring_full",
        }
    }
}

/// How much was lost for one cause, on one CPU, since the start.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Lost {
    /// Records.
    pub records: u64,
    /// Bytes of payload in them, where that is known.
    pub bytes: u64,
}

const _: () = assert!(size_of::<Lost>() == 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_their_own_index() {
        for (index, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, index, "{}", cause.as_str());
        }
    }
}
