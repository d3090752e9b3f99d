//! The records of the ring. Each begins with a [`Head`], whose `kind` says which it is.
//!
//! All numbers are in the host's byte order. All times are nanoseconds since boot, time asleep
//! included (`CLOCK_BOOTTIME`). No record has padding, so none can carry stray kernel memory.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::limit::PATH_MAX;

/// Values of [`Head::kind`].
pub mod kind {
    /// A [`super::Segment`].
    pub const SEGMENT: u32 = 1;
    /// A [`super::Closed`].
    pub const CLOSED: u32 = 2;
    /// An [`super::Executed`].
    pub const EXECUTED: u32 = 3;
    /// A [`super::Forked`].
    pub const FORKED: u32 = 4;
    /// A [`super::Head`] alone: the process ended.
    pub const EXITED: u32 = 5;
    /// A [`super::Head`] alone: the dynamic loader changed the process's mappings.
    pub const LOADED: u32 = 6;
    /// A [`super::Segment`] of one direction of a connection that isn't known yet.
    pub const HELD: u32 = 7;
    /// A [`super::Joined`].
    pub const JOINED: u32 = 8;
}

/// Values of [`Segment::direction`].
pub mod direction {
    /// The process received the bytes.
    pub const READ: u32 = 0;
    /// The process sent the bytes.
    pub const WRITE: u32 = 1;
}

/// What every record begins with: when, and in the name of whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Head {
    /// One of [`kind`].
    pub kind: u32,
    /// Thread group id.
    pub tgid: u32,
    /// When it happened.
    pub time_ns: u64,
    /// When the thread group leader started.
    pub start_ns: u64,
    /// Id of the cgroup in the v2 hierarchy.
    pub cgroup_id: u64,
    /// Thread id.
    pub tid: u32,
    /// Real user id.
    pub uid: u32,
    /// Real group id.
    pub gid: u32,
    /// Always 0.
    pub reserved: u32,
}

/// Bytes that crossed a connection. The data follows, in a space of one of the
/// sizes in [`crate::limit`]; what is beyond `length` means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Segment {
    /// `kind` is [`kind::SEGMENT`].
    pub head: Head,
    /// Address of the TLS library's connection object.
    pub handle: u64,
    /// When the connection was first seen.
    pub generation: u64,
    /// Position of the first byte in its direction, counted from where the connection was first
    /// seen.
    pub offset: u64,
    /// Bytes of data.
    pub length: u32,
    /// One of [`direction`].
    pub direction: u32,
}

/// A connection was freed, or made ready for reuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Closed {
    /// `kind` is [`kind::CLOSED`].
    pub head: Head,
    /// Address of the TLS library's connection object.
    pub handle: u64,
    /// When the connection was first seen.
    pub generation: u64,
    /// Bytes it had received, copied or not.
    pub read_total: u64,
    /// Bytes it had sent, copied or not.
    pub write_total: u64,
}

/// It is known now to which connection one direction belongs that was on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Joined {
    /// `kind` is [`kind::JOINED`].
    pub head: Head,
    /// What the held segments have for a handle.
    pub held: u64,
    /// And for a generation.
    pub held_generation: u64,
    /// The connection's handle.
    pub handle: u64,
    /// When the connection was first seen.
    pub generation: u64,
    /// Where in the connection's direction the held one's first byte is.
    pub offset: u64,
}

/// A process replaced its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Executed {
    /// `kind` is [`kind::EXECUTED`].
    pub head: Head,
    /// The path it was started by, as the caller wrote it; ends at the first 0 or is cut.
    pub path: [u8; PATH_MAX],
}

/// A process (not a thread) was made. The head is of its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Forked {
    /// `kind` is [`kind::FORKED`].
    pub head: Head,
    /// When the child started.
    pub child_start_ns: u64,
    /// The child's thread group id.
    pub child_tgid: u32,
    /// Always 0.
    pub reserved: u32,
}

const _: () = {
    assert!(size_of::<Head>() == 48);
    assert!(size_of::<Segment>() == 80);
    assert!(size_of::<Closed>() == 80);
    assert!(size_of::<Joined>() == 88);
    assert!(size_of::<Executed>() == 48 + PATH_MAX);
    assert!(size_of::<Forked>() == 64);
    assert!(align_of::<Segment>() == 8 && align_of::<Closed>() == 8);
};
