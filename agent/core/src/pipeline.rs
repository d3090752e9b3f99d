//! The only file that knows the order of the rooms: feed input, drain output, repeat.

use crate::identity::Attribution;
use crate::provider::ModelCall;
use crate::units::{ConnectionId, Direction, ProcessKey, Timestamp};

/// Something that happened on the host.
#[derive(Debug)]
pub enum Input<'a> {
    /// A process sent or received bytes.
    Segment {
        /// Where.
        connection: ConnectionId,
        /// Which way.
        direction: Direction,
        /// Position of the first byte in that direction of that connection, from where the probes
        /// first saw it. A jump says how many bytes were lost.
        offset: u64,
        /// When.
        time: Timestamp,
        /// What.
        data: &'a [u8],
    },
    /// A connection object was freed or made ready for reuse.
    Closed {
        /// Which.
        connection: ConnectionId,
        /// When.
        time: Timestamp,
        /// How many bytes it had received in all, those that were never handed over included.
        read_total: u64,
        /// How many bytes it had sent in all.
        write_total: u64,
    },
    /// A process ended, and its connections with it.
    Exited {
        /// Which.
        process: ProcessKey,
        /// When.
        time: Timestamp,
    },
    /// The answer to [`Output::NeedFacts`].
    Facts {
        /// Of which process.
        process: ProcessKey,
        /// Who it is.
        attribution: Attribution,
    },
    /// Time passed. To be given every few seconds while any connection is open.
    Tick {
        /// The time now.
        time: Timestamp,
    },
}

/// What is to be done about it.
#[derive(Debug)]
pub enum Output {
    /// A process was seen for the first time: answer with [`Input::Facts`]. Its calls wait.
    NeedFacts(ProcessKey),
    /// A model call has ended.
    Call {
        /// The call.
        call: Box<ModelCall>,
        /// Who made it.
        attribution: Attribution,
    },
    /// The kernel can spare itself the copying of some of a connection's bytes.
    Steer {
        /// Which.
        connection: ConnectionId,
        /// How.
        steering: Steering,
    },
}

/// What the kernel should do with a connection's bytes from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steering {
    /// Nothing on this connection will ever be of use: copy no more.
    Ignore,
    /// The rest of the answer to the current request is of no use: copy nothing that is read until
    /// the process has written beyond this offset, that is, until its next request. Does nothing if
    /// it already has.
    SkipReadsUntilWriteBeyond(u64),
}
