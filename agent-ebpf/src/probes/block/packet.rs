//! What a packet carries, as far as it matters to whoever may hold it back.

use aya_ebpf::programs::SkBuffContext;
use weir_ebpf::block::Endpoint;

use crate::flow::packet::{Network, TCP, UDP};

/// Bytes of a segment's header that every one has, and those of its flags.
const HEADER: usize = 14;
const RST: u8 = 4;
/// Bytes that tell a TLS greeting: the head of a record and the kind of the message in it.
const TESTED: usize = 6;
const TLS_HANDSHAKE: u8 = 0x16;
const TLS_MAJOR: u8 = 3;
const CLIENT_HELLO: u8 = 1;

/// What a packet carries.
pub(super) enum Payload {
    /// The beginning of a TLS connection.
    Greeting,
    /// Other bytes of a TCP connection.
    Data,
    /// A segment without data.
    Nothing,
    /// The abrupt end of a TCP connection.
    Reset,
    /// A datagram of UDP, to there.
    Datagram(Endpoint),
    /// What is neither TCP nor UDP.
    Foreign,
}

/// What a packet that leaves carries.
#[inline(always)]
pub(super) fn payload(ctx: &SkBuffContext) -> Payload {
    let Some(network) = Network::of(ctx) else {
        return Payload::Foreign;
    };
    if network.protocol == UDP {
        let Ok([high, low]) = ctx.load::<[u8; 2]>(network.end as usize + 2) else {
            return Payload::Foreign;
        };
        let port = u32::from(u16::from_be_bytes([high, low]));
        return Payload::Datagram(Endpoint { address: network.destination, port });
    }
    let Some(header) = header(ctx, &network) else {
        return Payload::Foreign;
    };
    if header[13] & RST != 0 {
        return Payload::Reset;
    }
    let data = network.end + u32::from(header[12] >> 4) * 4;
    if network.length <= data {
        return Payload::Nothing;
    }
    match ctx.load::<[u8; TESTED]>(data as usize) {
        Ok([TLS_HANDSHAKE, TLS_MAJOR, _, _, _, CLIENT_HELLO]) => Payload::Greeting,
        Ok(_) | Err(_) => Payload::Data,
    }
}

/// Whether a packet ends a TCP connection abruptly.
#[inline(always)]
pub(super) fn is_reset(ctx: &SkBuffContext) -> bool {
    let Some(network) = Network::of(ctx) else {
        return false;
    };
    header(ctx, &network).is_some_and(|header| header[13] & RST != 0)
}

#[inline(always)]
fn header(ctx: &SkBuffContext, network: &Network) -> Option<[u8; HEADER]> {
    if network.protocol != TCP {
        return None;
    }
    ctx.load(network.end as usize).ok()
}
