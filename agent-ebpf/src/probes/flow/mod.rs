//! Connections, whoever reads them: who opens one, and what can be seen of it from outside. A socket
//! is noted when it is connected, in the name of whoever does it, and found again by its cookie when
//! its packets leave. What is neither TLS after some segments nor began with a request in plain HTTP is
//! forgotten, so that its packets cost one look into a table and no more.

mod datagram;
pub(crate) mod packet;
mod segment;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::bpf_sock_addr;
use aya_ebpf::helpers::generated::bpf_get_socket_cookie;
use aya_ebpf::macros::{cgroup_skb, cgroup_sock, cgroup_sock_addr};
use aya_ebpf::programs::{SkBuffContext, SockAddrContext, SockContext};
use weir_ebpf::flow::{Flow, QUIC_PORT, Watched, kind, state};
use weir_ebpf::loss::Cause;

use crate::maps::{FLOW_RING, FLOWS, count_lost};
use crate::stamp;
use packet::{Network, TCP, UDP};

/// Lets what is asked about go on.
const ALLOW: i32 = 1;

/// Kinds of sockets, as socket(2) has them.
const STREAM: u32 = 1;
const DGRAM: u32 = 2;

#[cgroup_sock_addr(connect4)]
fn connect4(ctx: SockAddrContext) -> i32 {
    connected(&ctx);
    ALLOW
}

#[cgroup_sock_addr(connect6)]
fn connect6(ctx: SockAddrContext) -> i32 {
    connected(&ctx);
    ALLOW
}

#[cgroup_sock_addr(sendmsg4)]
fn sendmsg4(ctx: SockAddrContext) -> i32 {
    sent(&ctx);
    ALLOW
}

#[cgroup_sock_addr(sendmsg6)]
fn sendmsg6(ctx: SockAddrContext) -> i32 {
    sent(&ctx);
    ALLOW
}

#[cgroup_skb(egress)]
fn egress(ctx: SkBuffContext) -> i32 {
    let cookie = cookie(&ctx);
    if let Some(watched) = FLOWS.get_ptr_mut(cookie) {
        // SAFETY: the entry may be reused by another CPU if it is evicted right now. All of it are
        // integers: a record may then say something of another socket, and nothing worse.
        look(&ctx, cookie, unsafe { &mut *watched });
    }
    ALLOW
}

#[cgroup_sock(sock_release)]
fn released(ctx: SockContext) -> i32 {
    let cookie = cookie(&ctx);
    if let Some(watched) = FLOWS.get_ptr(cookie) {
        // SAFETY: as in `egress`.
        let watched = unsafe { *watched };
        let _present = FLOWS.remove(cookie);
        if watched.state != state::NEW {
            tell(flow(kind::RELEASED, cookie, &watched));
        }
    }
    ALLOW
}

#[inline(always)]
fn cookie(ctx: &impl aya_ebpf::EbpfContext) -> u64 {
    // SAFETY: the helper takes the context of each of the programs here.
    unsafe { bpf_get_socket_cookie(ctx.as_ptr()) }
}

#[inline(always)]
fn connected(ctx: &SockAddrContext) {
    // SAFETY: the kernel hands the context over; the verifier checks each of these loads.
    let bpf_sock_addr { type_, protocol, user_port, .. } = unsafe { *ctx.sock_addr };
    if type_ == STREAM && protocol == u32::from(TCP) {
        watch(ctx, state::NEW);
    } else if type_ == DGRAM && is_quic_port(user_port) {
        watch(ctx, state::DATAGRAMS);
    }
}

#[inline(always)]
fn sent(ctx: &SockAddrContext) {
    // SAFETY: as above.
    let port = unsafe { (*ctx.sock_addr).user_port };
    if is_quic_port(port) && FLOWS.get_ptr(cookie(ctx)).is_none() {
        watch(ctx, state::DATAGRAMS);
    }
}

/// Whether it is the port of HTTP/3, in the order of bytes in which the kernel has it.
#[inline(always)]
fn is_quic_port(port: u32) -> bool {
    u16::from_be(port as u16) == QUIC_PORT
}

#[inline(always)]
fn watch(ctx: &SockAddrContext, state: u32) {
    if stamp::watched_tgid().is_none() {
        return;
    }
    let watched = Watched {
        head: stamp::head(0, stamp::start_ns(stamp::current_task())),
        address: [0; 16],
        written: 0,
        read: 0,
        state,
        looked_at: 0,
        greeting: 0,
        wanted: 0,
        sent: 0,
        acknowledged: 0,
    };
    if FLOWS.insert(cookie(ctx), watched, 0).is_err() {
        count_lost(Cause::FlowRingFull, 0);
    }
}

#[inline(always)]
fn look(ctx: &SkBuffContext, cookie: u64, watched: &mut Watched) {
    let Some(network) = Network::of(ctx) else {
        return;
    };
    if watched.state == state::DATAGRAMS {
        if network.protocol == UDP {
            datagram::look(ctx, &network, cookie, watched);
        }
    } else if network.protocol == TCP {
        segment::look(ctx, &network, cookie, watched);
    }
}

/// What is to be told of a connection, without its other end and without data.
#[inline(always)]
fn flow(kind: u32, cookie: u64, watched: &Watched) -> Flow {
    let mut head = watched.head;
    head.kind = kind;
    head.time_ns = stamp::now_ns();
    Flow {
        head,
        cookie,
        written: watched.written,
        read: watched.read,
        address: [0; 16],
        port: 0,
        offset: 0,
        length: 0,
        reserved: 0,
    }
}

/// Wakes the reader only if it has seen all that came before.
#[inline(always)]
fn tell(flow: Flow) {
    match FLOW_RING.reserve::<Flow>(0) {
        Some(mut entry) => {
            entry.write(flow);
            entry.submit(0);
        }
        None => count_lost(Cause::FlowRingFull, 0),
    }
}
