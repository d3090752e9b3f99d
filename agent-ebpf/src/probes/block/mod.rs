//! Keeps the processes of blocked identities from model endpoints, and from nothing else. User space
//! says which processes these are and, of each connection that greeted, what is at its other end. Until
//! it has, the greeting of a process that may be meant is dropped: TCP sends it again.

mod packet;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::bpf_sock_addr;
use aya_ebpf::helpers::generated::bpf_get_socket_cookie;
use aya_ebpf::helpers::{bpf_get_current_cgroup_id, bpf_get_current_uid_gid};
use aya_ebpf::macros::{cgroup_skb, cgroup_sock, cgroup_sock_addr};
use aya_ebpf::programs::{SkBuffContext, SockAddrContext, SockContext};
use weir_ebpf::block::{Endpoint, Owned, PATIENCE_NS, Place, end, judged};
use weir_ebpf::flow::{QUIC_PORT, SEGMENTS_LOOKED_AT};

use crate::maps::{ENDPOINTS, GATE, GATED, PLACES, REFUSED, SELF_TGID, VERDICTS};
use crate::stamp;
use packet::Payload;

const ALLOW: i32 = 1;
const REFUSE: i32 = 0;

/// Kinds of sockets and protocols, as socket(2) has them.
const STREAM: u32 = 1;
const DGRAM: u32 = 2;
const TCP: u32 = 6;

#[cgroup_sock_addr(connect4)]
fn block_connect4(ctx: SockAddrContext) -> i32 {
    connected(&ctx, remote4(&ctx))
}

#[cgroup_sock_addr(connect6)]
fn block_connect6(ctx: SockAddrContext) -> i32 {
    connected(&ctx, remote6(&ctx))
}

#[cgroup_sock_addr(sendmsg4)]
fn block_sendmsg4(ctx: SockAddrContext) -> i32 {
    connected(&ctx, remote4(&ctx))
}

#[cgroup_sock_addr(sendmsg6)]
fn block_sendmsg6(ctx: SockAddrContext) -> i32 {
    connected(&ctx, remote6(&ctx))
}

#[cgroup_skb(egress)]
fn block_egress(ctx: SkBuffContext) -> i32 {
    if !is_closed() {
        return ALLOW;
    }
    let Some(owned) = GATED.get_ptr_mut(cookie(&ctx)) else {
        return ALLOW;
    };
    // SAFETY: the entry may be reused by another CPU if it is evicted right now. All of it are integers:
    // a packet may then be dropped that TCP sends again, and nothing worse.
    sent(&ctx, unsafe { &mut *owned })
}

/// What comes in on a connection that is closed by the time. Answers that are on their way end here
/// until the socket is reset.
#[cgroup_skb(ingress)]
fn block_ingress(ctx: SkBuffContext) -> i32 {
    if !is_closed() {
        return ALLOW;
    }
    let Some(owned) = GATED.get_ptr(cookie(&ctx)) else {
        return ALLOW;
    };
    // SAFETY: as in `block_egress`.
    let owned = unsafe { &*owned };
    if owned.end != end::MODEL {
        return ALLOW;
    }
    match verdict(owned.tgid, owned.start_ns) {
        Some((judged::BLOCKED, slot)) if !packet::is_reset(&ctx) => dropped(slot),
        Some(_) | None => ALLOW,
    }
}

#[cgroup_sock(sock_release)]
fn block_released(ctx: SockContext) -> i32 {
    let _absent = GATED.remove(cookie(&ctx));
    ALLOW
}

#[inline(always)]
fn cookie(ctx: &impl aya_ebpf::EbpfContext) -> u64 {
    // SAFETY: the helper takes the context of each of the programs here.
    unsafe { bpf_get_socket_cookie(ctx.as_ptr()) }
}

/// Whether anybody is blocked at all. That ends by itself if user space doesn't say again and again that it holds.
#[inline(always)]
fn is_closed() -> bool {
    // SAFETY: user space writes one integer.
    let until = GATE.get_ptr(0).map_or(0, |gate| unsafe { *gate });
    until != 0 && stamp::now_ns() < until
}

/// What was decided of a process, and where refusals are counted.
#[inline(always)]
fn verdict(tgid: u32, start_ns: u64) -> Option<(u32, u32)> {
    // SAFETY: all of an entry are integers, so that one which is reused right now is harmless.
    let verdict = unsafe { *VERDICTS.get_ptr(tgid)? };
    (verdict.start_ns == start_ns).then_some((verdict.judged, verdict.slot))
}

#[inline(always)]
fn remote4(ctx: &SockAddrContext) -> Endpoint {
    // SAFETY: the kernel hands the context over; the verifier checks each of these loads.
    let bpf_sock_addr { user_ip4, user_port, .. } = unsafe { *ctx.sock_addr };
    let mut address = [0; 16];
    address[10..12].copy_from_slice(&[0xff; 2]);
    address[12..].copy_from_slice(&user_ip4.to_ne_bytes());
    Endpoint { address, port: u32::from(u16::from_be(user_port as u16)) }
}

#[inline(always)]
fn remote6(ctx: &SockAddrContext) -> Endpoint {
    // SAFETY: as above.
    let bpf_sock_addr { user_ip6, user_port, .. } = unsafe { *ctx.sock_addr };
    let mut address = [0; 16];
    address[..4].copy_from_slice(&user_ip6[0].to_ne_bytes());
    address[4..8].copy_from_slice(&user_ip6[1].to_ne_bytes());
    address[8..12].copy_from_slice(&user_ip6[2].to_ne_bytes());
    address[12..].copy_from_slice(&user_ip6[3].to_ne_bytes());
    Endpoint { address, port: u32::from(u16::from_be(user_port as u16)) }
}

/// What is known to be at an address, and whether that holds for all its ports.
#[inline(always)]
fn known(endpoint: &Endpoint) -> (u32, bool) {
    // SAFETY: both are one integer.
    if let Some(known) = ENDPOINTS.get_ptr(endpoint) {
        return (unsafe { *known }, false);
    }
    let whole = Endpoint { port: 0, ..*endpoint };
    match ENDPOINTS.get_ptr(whole) {
        // SAFETY: as above.
        Some(known) => (unsafe { *known }, true),
        None => (end::UNKNOWN, false),
    }
}

/// Notes whose a socket is, or refuses to connect it.
#[inline(always)]
fn connected(ctx: &SockAddrContext, remote: Endpoint) -> i32 {
    // SAFETY: as in `remote4`.
    let bpf_sock_addr { type_, protocol, .. } = unsafe { *ctx.sock_addr };
    let is_stream = type_ == STREAM && protocol == TCP;
    let is_quic = type_ == DGRAM && remote.port == u32::from(QUIC_PORT);
    if !is_stream && !is_quic {
        return ALLOW;
    }
    let tgid = (stamp::pid_tgid() >> 32) as u32;
    if tgid == SELF_TGID.load() {
        return ALLOW;
    }
    let start_ns = stamp::start_ns(stamp::current_task());
    let (known, is_whole) = known(&remote);
    if known == end::MODEL
        && is_closed()
        && let Some((judged::BLOCKED, slot)) = verdict(tgid, start_ns)
    {
        if let Some(refused) = REFUSED.get_ptr_mut(slot) {
            // SAFETY: an integer of a map. Two CPUs at once may lose one increment.
            unsafe { (*refused).connects += 1 };
        }
        return REFUSE;
    }
    // Where only a port is known, the name may still be another's: what the process says first will show.
    let end = if known == end::MODEL && is_whole { end::MODEL } else { end::UNKNOWN };
    let owned = Owned {
        start_ns,
        waits_since_ns: 0,
        // SAFETY: the helper takes no argument.
        place: Place {
            cgroup_id: unsafe { bpf_get_current_cgroup_id() },
            uid: bpf_get_current_uid_gid() as u32,
            reserved: 0,
        },
        tgid,
        end,
        // What is known to be something else needn't wait.
        looked_at: if known == end::OTHER { SEGMENTS_LOOKED_AT } else { 0 },
        reserved: 0,
    };
    // Without room it goes unblocked until user space has read its greeting.
    let _full = GATED.insert(cookie(ctx), owned, 0);
    ALLOW
}

#[inline(always)]
fn sent(ctx: &SkBuffContext, owned: &mut Owned) -> i32 {
    if owned.end == end::OTHER {
        return ALLOW;
    }
    let blocked = match verdict(owned.tgid, owned.start_ns) {
        Some((judged::BLOCKED, slot)) => Some(slot),
        Some(_free) => return ALLOW,
        None if PLACES.get_ptr(owned.place).is_some() => None,
        None => return ALLOW,
    };
    match (packet::payload(ctx), blocked) {
        (Payload::Reset | Payload::Foreign, _) => ALLOW,
        (Payload::Datagram(remote), Some(slot)) if known(&remote).0 == end::MODEL => dropped(slot),
        (Payload::Datagram(_), _) => ALLOW,
        (_segment, Some(slot)) if owned.end == end::MODEL => dropped(slot),
        (Payload::Nothing, _) => ALLOW,
        (Payload::Data, None) if owned.end == end::MODEL => wait(owned),
        (Payload::Greeting, _) if owned.looked_at < SEGMENTS_LOOKED_AT => wait(owned),
        (Payload::Greeting | Payload::Data, _) => {
            owned.looked_at = owned.looked_at.saturating_add(1);
            ALLOW
        }
    }
}

/// Drops what will be sent again, as long as user space can be expected to say soon what to do with it.
#[inline(always)]
fn wait(owned: &mut Owned) -> i32 {
    let now = stamp::now_ns();
    if owned.waits_since_ns == 0 {
        owned.waits_since_ns = now;
    }
    if now.wrapping_sub(owned.waits_since_ns) > PATIENCE_NS { ALLOW } else { REFUSE }
}

#[inline(always)]
fn dropped(slot: u32) -> i32 {
    if let Some(refused) = REFUSED.get_ptr_mut(slot) {
        // SAFETY: an integer of a map. Two CPUs at once may lose one increment.
        unsafe { (*refused).packets += 1 };
    }
    REFUSE
}
