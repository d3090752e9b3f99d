//! What keeps processes from model endpoints: what user space tells the kernel of processes and of
//! connections, and what the kernel counts.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Sockets whose owner is remembered; the least recently used is forgotten first.
pub const SOCKETS: u32 = 16 * 1024;
/// Processes that are judged; the least recently used is forgotten first.
pub const PROCESSES: u32 = 16 * 1024;
/// Places in which processes of blocked identities were seen; the least recently used is forgotten first.
pub const PLACES: u32 = 1024;
/// Addresses that are known to be, or not to be, those of model endpoints; the least recently used is forgotten first.
pub const ENDPOINTS: u32 = 8 * 1024;
/// Identities that can be blocked at once.
pub const SLOTS: u32 = 256;

/// For so long what a process says first to somebody unknown waits for user space, in nanoseconds. A
/// daemon that is that late lets it through, and closes the connection once it knows.
pub const PATIENCE_NS: u64 = 1_000_000_000;

/// One end of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Endpoint {
    /// Its address, an IPv4 one mapped into IPv6.
    pub address: [u8; 16],
    /// Its port, or 0 for every port.
    pub port: u32,
}

/// Where a process runs, and as whom: what the processes of one identity have in common, mostly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Place {
    /// Its cgroup in the v2 hierarchy.
    pub cgroup_id: u64,
    /// Its user, in the initial user namespace.
    pub uid: u32,
    /// Always 0.
    pub reserved: u32,
}

/// What was decided of a process. Its thread group id is the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Verdict {
    /// When its leader started: another process with the same id is not meant.
    pub start_ns: u64,
    /// One of [`judged`].
    pub judged: u32,
    /// Where refusals are counted; below [`SLOTS`].
    pub slot: u32,
}

/// Values of [`Verdict::judged`].
pub mod judged {
    /// It may talk to anybody.
    pub const FREE: u32 = 0;
    /// It must not talk to model endpoints.
    pub const BLOCKED: u32 = 1;
}

/// A socket, by its cookie: whose it is, and what is at its other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Owned {
    /// When the leader of the process started that connected it.
    pub start_ns: u64,
    /// Since when its greeting waits; 0 if it doesn't.
    pub waits_since_ns: u64,
    /// Where that process was then.
    pub place: Place,
    /// The process.
    pub tgid: u32,
    /// One of [`end`].
    pub end: u32,
    /// Segments with data in which no greeting was found.
    pub looked_at: u32,
    /// Always 0.
    pub reserved: u32,
}

/// What is at the other end: values of [`Owned::end`], and of an [`Endpoint`].
pub mod end {
    /// Not known: what the process says first will show.
    pub const UNKNOWN: u32 = 0;
    /// A model endpoint.
    pub const MODEL: u32 = 1;
    /// Something else.
    pub const OTHER: u32 = 2;
    /// Of an address: model endpoints, and other hosts.
    pub const BOTH: u32 = 3;
}

/// What was kept from model endpoints.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Refused {
    /// Connections that were not even begun.
    pub connects: u64,
    /// Packets that were dropped.
    pub packets: u64,
}

const _: () = {
    assert!(size_of::<Endpoint>() == 20 && size_of::<Place>() == 16);
    assert!(size_of::<Verdict>() == 16 && size_of::<Refused>() == 16);
    assert!(size_of::<Owned>() == 48 && align_of::<Owned>() == 8);
};
