//! Segments of TCP. How much went each way is read off the sequence numbers: a segment that is sent
//! twice counts once, and none that is received has to be looked at.

use core::arch::asm;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::helpers::generated::bpf_skb_load_bytes;
use aya_ebpf::programs::SkBuffContext;
use weir_ebpf::flow::{
    Flow, GREETING_MAX, GREETING_SMALL, REQUEST_MAX, SEGMENTS_LOOKED_AT, Watched, kind, state,
};
use weir_ebpf::loss::Cause;

use super::flow;
use super::packet::Network;
use crate::maps::{FLOW_RING, FLOWS, count_lost};

/// A record with room for `N` bytes of a greeting or a request.
#[repr(C)]
struct Slot<const N: usize> {
    flow: Flow,
    data: [u8; N],
}

/// The part of the header that every segment has.
const HEADER: usize = 20;
const SYN: u8 = 2;

/// Bytes that tell a greeting: the head of a TLS record and of the message in it. No request is shorter.
const TESTED: usize = 9;
const TLS_HANDSHAKE: u8 = 0x16;
const TLS_MAJOR: u8 = 3;
const CLIENT_HELLO: u8 = 1;
/// The head of a TLS record.
const RECORD_HEAD: u32 = 5;
/// The head of a message of the handshake.
const MESSAGE_HEAD: u32 = 4;

/// How requests begin that a model may be asked by: those of HTTP/1.1 by their method, HTTP/2 by its
/// preface (RFC 9113, section 3.4). What asks a proxy for a tunnel is not among them.
const REQUESTS: [[u8; 4]; 7] =
    [*b"POST", *b"GET ", *b"PUT ", *b"PATC", *b"DELE", *b"HEAD", *b"PRI "];

/// What a segment's header says of it.
struct Segment {
    port: u16,
    /// Of the first byte of data.
    sequence: u32,
    acknowledged: u32,
    /// Where the data begins in the packet, and how much it is, in bytes.
    data: u32,
    length: u32,
}

impl Segment {
    #[inline(always)]
    fn of(ctx: &SkBuffContext, network: &Network) -> Option<Self> {
        let header: [u8; HEADER] = ctx.load(network.end as usize).ok()?;
        let number = |at: usize| {
            u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let data = network.end + u32::from(header[12] >> 4) * 4;
        let begins = u32::from(header[13] & SYN != 0);
        Some(Self {
            port: u16::from_be_bytes([header[2], header[3]]),
            sequence: number(4).wrapping_add(begins),
            acknowledged: number(8),
            data,
            length: network.length.saturating_sub(data),
        })
    }
}

/// What a segment begins that is told of.
struct Opening {
    /// [`kind::GREETED`] or [`kind::PLAIN`].
    kind: u32,
    /// Bytes of it that are wanted, from this segment on.
    wanted: u32,
}

/// Looks for a greeting, or for a request where the first segment begins; and counts what is sent from
/// there on.
#[inline(always)]
pub(super) fn look(ctx: &SkBuffContext, network: &Network, cookie: u64, watched: &mut Watched) {
    let Some(segment) = Segment::of(ctx, network) else {
        return;
    };
    let mut kind = kind::GREETED;
    if watched.state == state::NEW {
        if segment.length == 0 {
            return;
        }
        watched.looked_at += 1;
        let Some(opening) = opening(ctx, &segment, watched.looked_at == 1) else {
            if watched.looked_at >= SEGMENTS_LOOKED_AT {
                let _present = FLOWS.remove(cookie);
            }
            return;
        };
        watched.greeting = segment.sequence;
        watched.sent = segment.sequence;
        watched.acknowledged = segment.acknowledged;
        watched.wanted = opening.wanted;
        watched.state = state::GREETING;
        kind = opening.kind;
    }
    count(&segment, watched);
    if watched.state == state::GREETING {
        copy(ctx, network, &segment, cookie, watched, kind);
    }
}

#[inline(always)]
fn count(segment: &Segment, watched: &mut Watched) {
    let end = segment.sequence.wrapping_add(segment.length);
    watched.written = watched.written.wrapping_add(advance(&mut watched.sent, end));
    let acknowledged = advance(&mut watched.acknowledged, segment.acknowledged);
    watched.read = watched.read.wrapping_add(acknowledged);
}

/// Brings a position to `to`, unless that lies before it, and says by how much.
#[inline(always)]
fn advance(position: &mut u32, to: u32) -> u64 {
    let ahead = to.wrapping_sub(*position);
    // More than half of all numbers ahead is behind.
    if ahead as i32 <= 0 {
        return 0;
    }
    *position = to;
    u64::from(ahead)
}

/// What this segment begins, if it is anything that is told of. Only the first is looked at for a
/// request, and only as much of it as is in that segment is wanted.
#[inline(always)]
fn opening(ctx: &SkBuffContext, segment: &Segment, is_first: bool) -> Option<Opening> {
    if segment.length < TESTED as u32 {
        return None;
    }
    let first: [u8; TESTED] = ctx.load(segment.data as usize).ok()?;
    if let Some(wanted) = greeting(first) {
        return Some(Opening { kind: kind::GREETED, wanted });
    }
    let word = [first[0], first[1], first[2], first[3]];
    if !is_first || !REQUESTS.contains(&word) {
        return None;
    }
    let most = REQUEST_MAX as u32;
    let wanted = if segment.length < most { segment.length } else { most };
    Some(Opening { kind: kind::PLAIN, wanted })
}

/// How many bytes of greeting there are from here on, if one begins so.
#[inline(always)]
fn greeting(first: [u8; TESTED]) -> Option<u32> {
    let [kind, major, _, high, low, message, most, middle, least] = first;
    if kind != TLS_HANDSHAKE || major != TLS_MAJOR || message != CLIENT_HELLO {
        return None;
    }
    let record = u32::from(u16::from_be_bytes([high, low]));
    let message = MESSAGE_HEAD + u32::from_be_bytes([0, most, middle, least]);
    // One that goes on in a further record has a head more, or several: the last that is copied is
    // then part of what the client says after it, which is encrypted.
    let wanted = if message > record { GREETING_MAX as u32 } else { RECORD_HEAD + record };
    Some(if wanted < GREETING_MAX as u32 { wanted } else { GREETING_MAX as u32 })
}

/// Copies as much of what is wanted as is in this segment.
#[inline(always)]
fn copy(
    ctx: &SkBuffContext,
    network: &Network,
    segment: &Segment,
    cookie: u64,
    watched: &mut Watched,
    kind: u32,
) {
    let offset = segment.sequence.wrapping_sub(watched.greeting);
    if segment.length == 0 || offset >= watched.wanted {
        return;
    }
    let left = watched.wanted - offset;
    let length = if segment.length < left { segment.length } else { left };
    watched.looked_at += 1;
    if length == left || watched.looked_at >= SEGMENTS_LOOKED_AT {
        watched.state = state::COUNTED;
    }
    let mut told = flow(kind, cookie, watched);
    told.address = network.destination;
    told.port = u32::from(segment.port);
    told.offset = offset;
    if length <= GREETING_SMALL as u32 {
        hand_over::<GREETING_SMALL>(ctx, told, segment.data, length);
    } else if length <= REQUEST_MAX as u32 {
        hand_over::<REQUEST_MAX>(ctx, told, segment.data, length);
    } else {
        hand_over::<GREETING_MAX>(ctx, told, segment.data, length);
    }
}

#[inline(always)]
fn hand_over<const N: usize>(ctx: &SkBuffContext, mut told: Flow, from: u32, length: u32) {
    let length = clamp::<N>(length);
    if length == 0 {
        return;
    }
    told.length = length;
    let Some(mut entry) = FLOW_RING.reserve::<Slot<N>>(0) else {
        count_lost(Cause::FlowRingFull, 0);
        return;
    };
    let slot = entry.as_mut_ptr();
    // SAFETY: `slot` is valid for writes of a `Slot<N>` until it is submitted, and `length <= N`.
    let fault = unsafe {
        (&raw mut (*slot).flow).write(told);
        bpf_skb_load_bytes(ctx.as_ptr(), from, (&raw mut (*slot).data).cast(), length)
    };
    if fault == 0 {
        entry.submit(0);
    } else {
        entry.discard(0);
        count_lost(Cause::FlowRingFull, 0);
    }
}

/// `length`, which is at most `N`, in a way that the kernel's verifier can see; as in the copying of
/// what is read.
#[inline(always)]
fn clamp<const N: usize>(length: u32) -> u32 {
    let mut length = u64::from(length);
    // SAFETY: no instruction at all; it only hides from the compiler where the value came from.
    unsafe { asm!("/* {0} */", inout(reg) length, options(pure, nomem, nostack, preserves_flags)) };
    (if length > N as u64 { N as u64 } else { length }) as u32
}
