//! Go's crypto/tls.
//!
//! A goroutine waits in a read on whatever thread, and its stack may move meanwhile: neither the thread
//! nor the stack pointer tells one call from another, and a return probe would put an address on the
//! stack that Go's runtime doesn't know. So nothing is kept between two probes:
//!
//! - A read is seen where it returns. Go's callers leave room next to the return address for what they
//!   pass in registers, and `Read` keeps its arguments there to its end, of which user space has made
//!   sure (`agent/src/capture/site/x86/go.rs`). So a read is seen too that began before the probes.
//! - A write is seen where its bytes are about to be encrypted, and so before anybody can answer them.
//!   It is all or nothing: where it fails, Go uses the connection no more. The lock that is held there
//!   keeps writes in order.

use aya_ebpf::helpers::bpf_probe_read_user;
use aya_ebpf::macros::uprobe;
use aya_ebpf::programs::ProbeContext;
use weir_ebpf::loss::Cause;

use super::call::{Call, Way, never_returned};
use super::{connection, copy, register, returning};
use crate::maps::count_lost;
use crate::stamp;

/// What a record carries (RFC 8446, section 5.1): no handshake, no alert.
const APPLICATION_DATA: u8 = 23;

/// At a return of `(*Conn).Read`: the number of bytes is in the register of the first result, the
/// connection and the buffer are in the words above the return address.
#[uprobe]
fn go_read_exit(ctx: ProbeContext) -> u32 {
    let [length, ..] = register::go(&ctx);
    if length as i64 <= 0 {
        return 0;
    }
    let kept = register::above_return_address(&ctx) as *const [u64; 2];
    // SAFETY: the helper checks the address.
    match unsafe { bpf_probe_read_user(kept) } {
        Ok([address, buffer]) => moved(&ctx, Way::Read, address, buffer, length),
        Err(_fault) => count_lost(Cause::Unreadable, length),
    }
    0
}

/// On `(*Conn).writeRecordLocked(type, data)`.
#[uprobe]
fn go_write_enter(ctx: ProbeContext) -> u32 {
    let [address, kind, buffer, length] = register::go(&ctx);
    if kind as u8 == APPLICATION_DATA && length as i64 > 0 {
        moved(&ctx, Way::Write, address, buffer, length);
    }
    0
}

/// On `(*Conn).Close()`, and where a connection begins: one that was at its address before has been
/// dropped without a word.
#[uprobe]
fn go_close_enter(ctx: ProbeContext) -> u32 {
    let [address, ..] = register::go(&ctx);
    connection::close(address);
    0
}

#[inline(always)]
fn moved(ctx: &ProbeContext, way: Way, address: u64, buffer: u64, length: u64) {
    let mut call = Call::new(0, address, buffer, 0);
    if !connection::advance(&mut call, way, length) {
        return;
    }
    let (calls, thread) = (way.calls(), stamp::pid_tgid());
    // A C library's call that has called back into Go.
    if calls.get_ptr(thread).is_some() {
        never_returned(ctx, thread);
    }
    // It is there only as long as this program runs, for the one that continues it.
    match calls.insert(thread, call, 0) {
        Ok(()) => copy::resume(&returning(ctx), way),
        Err(_full) => count_lost(Cause::CallsFull, length),
    }
}
