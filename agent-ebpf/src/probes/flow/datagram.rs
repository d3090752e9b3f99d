//! Datagrams to the port of HTTP/3.

use aya_ebpf::programs::SkBuffContext;
use weir_ebpf::flow::{QUIC_PORT, Watched, kind};

use super::packet::Network;
use super::{flow, tell};

const HEADER: u32 = 8;
/// The bits that a packet with a long header begins with (RFC 9000, section 17), and one with a short.
const LONG: u8 = 0xc0;
const SHORT: u8 = 0x40;
/// A client fills the datagrams of its first packets to at least so many bytes (section 14.1).
const FIRST_MIN: u32 = 1200;

/// Counts a datagram, and tells of the first packet of a connection: once for each other end, one
/// after the other, that a socket has. Only what has a short header counts: that takes keys, and so
/// shows that somebody has answered.
#[inline(always)]
pub(super) fn look(ctx: &SkBuffContext, network: &Network, cookie: u64, watched: &mut Watched) {
    let Ok([high, low]) = ctx.load::<[u8; 2]>(network.end as usize + 2) else {
        return;
    };
    if u16::from_be_bytes([high, low]) != QUIC_PORT {
        return;
    }
    let Ok([first, version @ ..]) = ctx.load::<[u8; 5]>((network.end + HEADER) as usize) else {
        return;
    };
    let length = network.length.saturating_sub(network.end + HEADER);
    if first & LONG == SHORT {
        watched.written = watched.written.wrapping_add(u64::from(length));
    }
    // Version 0 would be the answer of a server.
    if first & LONG != LONG || version == [0; 4] || length < FIRST_MIN {
        return;
    }
    if watched.address == network.destination {
        return;
    }
    watched.address = network.destination;
    let mut told = flow(kind::QUIC, cookie, watched);
    told.address = network.destination;
    told.port = u32::from(QUIC_PORT);
    tell(told);
}
