//! ring's functions, as rustls calls them. Each leaves a `Result<Tag, Unspecified>` where it is told to, and the
//! one that opens doesn't compare the tag with that of the record: its caller does, and so do the probes.
//!
//! rustls before 0.23 copies a record before it sends it, and before it opens it. A copy is known by its
//! tag: 16 bytes that no other record has.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::helpers::bpf_probe_read_user;
use aya_ebpf::macros::{uprobe, uretprobe};
use aya_ebpf::programs::{ProbeContext, RetProbeContext};
use weir_ebpf::sealed::TAG;

use super::{Arguments, OpensIf, Sealed, arguments, open, seal, socket};
use crate::tls::register;

#[uprobe]
fn ring_seal_enter(ctx: ProbeContext) -> u32 {
    if let Some(given) = arguments::of_ring_seal(&ctx) {
        seal(&given, Sealed::in_place(&given));
    }
    0
}

#[uprobe]
fn ring_copy_seal_enter(ctx: ProbeContext) -> u32 {
    if let (Some(given), Some(result)) = (arguments::of_ring_seal(&ctx), ctx.arg(0)) {
        seal(&given, Sealed::to_be_copied(&given, result));
    }
    0
}

#[uretprobe]
fn ring_copy_seal_return(ctx: RetProbeContext) -> u32 {
    sealed(&ctx);
    0
}

#[uprobe]
fn ring_copy_seal_exit(ctx: ProbeContext) -> u32 {
    sealed(&RetProbeContext::new(ctx.as_ptr()));
    0
}

#[uprobe]
fn ring_open_enter(ctx: ProbeContext) -> u32 {
    if let Some((given, opens_if)) = opening(&ctx) {
        let socket = socket::of_received(given.input, given.length.wrapping_add(TAG));
        open(&given, register::entry_stack(&ctx), socket, opens_if);
    }
    0
}

#[uprobe]
fn ring_copy_open_enter(ctx: ProbeContext) -> u32 {
    if let Some((given, opens_if)) = opening(&ctx) {
        let socket = socket::of_received_copy(opens_if.tag);
        open(&given, register::entry_stack(&ctx), socket, opens_if);
    }
    0
}

#[inline(always)]
fn opening(ctx: &ProbeContext) -> Option<(Arguments, OpensIf)> {
    let (given, tag) = arguments::of_ring_open(ctx)?;
    Some((given, OpensIf { result: ctx.arg(0)?, tag: words(tag)? }))
}

/// Who is told where to leave a result returns that address.
#[inline(always)]
fn sealed(ctx: &RetProbeContext) {
    let result: u64 = ctx.ret();
    socket::keep_tag(result);
}

/// The tag in a result: the discriminant is before it, and 0.
#[inline(always)]
pub(super) fn tag(result: u64) -> Option<[u64; 2]> {
    // SAFETY: the helper checks the address.
    let is_error = unsafe { bpf_probe_read_user(result as *const u8) }.ok()?;
    if is_error != 0 {
        return None;
    }
    words(result.wrapping_add(1))
}

/// The 16 bytes at an address.
#[inline(always)]
pub(super) fn words(at: u64) -> Option<[u64; 2]> {
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_user(at as *const [u64; 2]) }.ok()
}
