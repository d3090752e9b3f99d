//! What is told of connections that are watched without being read: who opened one, to where, with
//! which TLS greeting or first request in plain HTTP, and how much went each way. These records have a ring of their own, so that a
//! storm of connections can't displace what is read.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::record::Head;

/// Values of [`Head::kind`] in the ring of flows.
pub mod kind {
    /// A [`super::Flow`], and bytes of the greeting that a TLS client begins with.
    pub const GREETED: u32 = 9;
    /// A [`super::Flow`]: the first packet of a QUIC connection was sent.
    pub const QUIC: u32 = 10;
    /// A [`super::Flow`]: the socket of a connection that had greeted was closed.
    pub const RELEASED: u32 = 11;
    /// A [`super::Flow`], and bytes of the request of HTTP that a client begins with, without TLS.
    pub const PLAIN: u32 = 12;
}

/// Bytes of a greeting that are copied at most. One with a key of the new kind has about 1,700; what
/// is longer has a ticket in it, or is no greeting.
pub const GREETING_MAX: usize = 4096;

/// Data bytes of the smallest of the three sizes of a record with data.
pub const GREETING_SMALL: usize = 1024;

/// Bytes of a request that are copied at most, and data bytes of the size between. What is of interest is
/// its head, whose longest part is a token of up to some 1,500 bytes.
pub const REQUEST_MAX: usize = 2048;

/// Segments with data that are looked at for a greeting, from the first on. A proxy is asked for a
/// tunnel before.
pub const SEGMENTS_LOOKED_AT: u32 = 8;

/// Sockets that are watched at once; the least recently used is forgotten first.
pub const FLOWS: u32 = 16 * 1024;

/// Size of the ring of flows in bytes; a power of two.
pub const FLOW_RING_BYTES: u32 = 512 * 1024;

/// The port of HTTP/3.
pub const QUIC_PORT: u16 = 443;

/// One connection. `head` names who opened it, and when what is told happened. In a record of
/// [`kind::GREETED`] or [`kind::PLAIN`] the data follows, in a space of one of the three sizes; what is
/// beyond `length` means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Flow {
    /// `kind` is one of [`kind`].
    pub head: Head,
    /// The kernel's name of the socket, which no other socket of this boot has.
    pub cookie: u64,
    /// Bytes sent since the connection greeted or its first request began, these included; of QUIC, those
    /// of the datagrams that take an answer's keys.
    pub written: u64,
    /// Bytes received since then, as far as the process has acknowledged them; of QUIC always 0.
    pub read: u64,
    /// The address of the other end, an IPv4 one mapped into IPv6.
    pub address: [u8; 16],
    /// Its port.
    pub port: u32,
    /// Position of the data in the greeting; of a request always 0.
    pub offset: u32,
    /// Bytes of data.
    pub length: u32,
    /// Always 0.
    pub reserved: u32,
}

/// What the kernel keeps of a socket, by its cookie. User space reads `written` and `read` of those
/// that it wants to know of, and removes the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Watched {
    /// Who opened the connection; `time_ns` is when, and `kind` is 0.
    pub head: Head,
    /// UDP: the other end that was told of last, as in [`Flow`]; else 0.
    pub address: [u8; 16],
    /// As in [`Flow`].
    pub written: u64,
    /// As in [`Flow`].
    pub read: u64,
    /// One of [`state`].
    pub state: u32,
    /// Segments with data that were looked at.
    pub looked_at: u32,
    /// TCP: sequence number of the first byte of the greeting, or of the request.
    pub greeting: u32,
    /// TCP: bytes of it that are wanted; `wanted <= GREETING_MAX`, of a request `<= REQUEST_MAX`.
    pub wanted: u32,
    /// TCP: sequence number after the last byte sent.
    pub sent: u32,
    /// TCP: sequence number after the last byte acknowledged.
    pub acknowledged: u32,
}

/// Values of [`Watched::state`].
pub mod state {
    /// TCP: neither a greeting nor a request was seen yet.
    pub const NEW: u32 = 0;
    /// TCP: the greeting goes on in another segment.
    pub const GREETING: u32 = 1;
    /// TCP: the greeting is over, or was a request, and bytes are counted.
    pub const COUNTED: u32 = 2;
    /// UDP to the port of HTTP/3.
    pub const DATAGRAMS: u32 = 3;
}

const _: () = {
    assert!(size_of::<Flow>() == 48 + 24 + 16 + 16);
    assert!(size_of::<Watched>() == 48 + 16 + 16 + 24);
    assert!(align_of::<Flow>() == 8 && align_of::<Watched>() == 8);
    assert!(GREETING_MAX.is_power_of_two() && GREETING_SMALL < REQUEST_MAX);
    assert!(REQUEST_MAX < GREETING_MAX);
};
