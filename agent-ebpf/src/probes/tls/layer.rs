//! NSPR's descriptors, which are files, sockets, or layers over those. NSS is such a layer.

use aya_ebpf::helpers::bpf_probe_read_user;
use aya_ebpf::programs::ProbeContext;
use weir_ebpf::loss::Cause;

use super::call::{self, Says, Way};
use crate::maps::count_lost;

/// Of `PRDescType`, the first field of `PRIOMethods`, to which the first of `PRFileDesc` points
/// (`prio.h` of NSPR 4.35): `PR_DESC_LAYERED`. Files, sockets and pipes have other numbers.
const LAYERED: u32 = 4;

/// Of the flags of `PR_Recv`: `PR_MSG_PEEK`.
const PEEK: u64 = 2;

/// Like [`call::enter`], for a call whose first argument is a descriptor.
#[inline(always)]
pub(super) fn enter(ctx: &ProbeContext, way: Way, says: Says) {
    if ctx.arg(0).is_some_and(is_layered) {
        call::enter(ctx, way, says);
    }
}

/// Whether the fourth argument says that what is read will be read again.
#[inline(always)]
pub(super) fn only_peeks(ctx: &ProbeContext) -> bool {
    ctx.arg::<u64>(3).is_some_and(|flags| flags & PEEK != 0)
}

#[inline(always)]
fn is_layered(descriptor: u64) -> bool {
    // SAFETY: the helper checks the addresses.
    let kind = unsafe {
        bpf_probe_read_user(descriptor as *const u64)
            .and_then(|methods| bpf_probe_read_user(methods as *const u32))
    };
    match kind {
        Ok(kind) => kind == LAYERED,
        Err(_fault) => {
            count_lost(Cause::Unreadable, 0);
            false
        }
    }
}
