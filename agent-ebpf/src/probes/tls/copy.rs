//! Copies a call's bytes into the ring: one copy, straight from the process's buffer.

use core::arch::asm;

use aya_ebpf::helpers::generated::bpf_probe_read_user;
use aya_ebpf::programs::RetProbeContext;
use weir_ebpf::limit::{
    SEGMENT_LARGE, SEGMENT_MAX, SEGMENT_MEDIUM, SEGMENT_SMALL, SEGMENTS_PER_RUN,
};
use weir_ebpf::loss::Cause;
use weir_ebpf::record::{Head, Segment, kind};

use super::call::{Call, Way};
use crate::maps::{CONTINUE, RING, count_lost};
use crate::{stamp, wake};

/// A segment record with room for `N` bytes.
#[repr(C)]
struct Slot<const N: usize> {
    segment: Segment,
    data: [u8; N],
}

/// Goes on where the run before stopped.
#[inline(always)]
pub(super) fn resume(ctx: &RetProbeContext, way: Way) {
    let Some(call) = way.calls().get_ptr_mut(stamp::pid_tgid()) else {
        return;
    };
    // SAFETY: only this thread writes its entry, and nothing removes it before `run` does.
    run(ctx, way, unsafe { &mut *call });
}

/// Copies as much as one run may, and continues by a tail call if that wasn't all. Forgets the call
/// in the end.
#[inline(always)]
pub(super) fn run(ctx: &RetProbeContext, way: Way, call: &mut Call) {
    let head = stamp::head(kind::SEGMENT, call.start_ns);
    for _ in 0..SEGMENTS_PER_RUN {
        if call.remaining == 0 {
            break;
        }
        let length =
            if call.remaining < SEGMENT_MAX as u64 { call.remaining } else { SEGMENT_MAX as u64 };
        if let Err(cause) = segment(&head, call, way, length) {
            count_lost(cause, length);
        }
        call.remaining -= length;
        call.offset = call.offset.wrapping_add(length);
        call.buffer = call.buffer.wrapping_add(length);
    }
    if call.remaining > 0 {
        // SAFETY: nothing here needs to be dropped; the program continued in has the same type.
        unsafe { CONTINUE.tail_call(ctx, way.number()) };
        count_lost(Cause::TooLarge, call.remaining);
    }
    let _present = way.calls().remove(stamp::pid_tgid());
    wake::if_armed();
}

/// Copies a record, which is never longer than one segment. It is said to be of this kind.
#[inline(always)]
pub(crate) fn whole(kind: u32, call: &Call, way: Way) {
    let head = stamp::head(kind, call.start_ns);
    if let Err(cause) = segment(&head, call, way, call.remaining) {
        count_lost(cause, call.remaining);
    }
    wake::if_armed();
}

#[inline(always)]
fn segment(head: &Head, call: &Call, way: Way, length: u64) -> Result<(), Cause> {
    if length <= SEGMENT_SMALL as u64 {
        copy::<SEGMENT_SMALL>(head, call, way, length)
    } else if length <= SEGMENT_MEDIUM as u64 {
        copy::<SEGMENT_MEDIUM>(head, call, way, length)
    } else if length <= SEGMENT_LARGE as u64 {
        copy::<SEGMENT_LARGE>(head, call, way, length)
    } else {
        copy::<SEGMENT_MAX>(head, call, way, length)
    }
}

#[inline(always)]
fn copy<const N: usize>(head: &Head, call: &Call, way: Way, length: u64) -> Result<(), Cause> {
    let length = clamp::<N>(length);
    let Some(mut entry) = RING.reserve::<Slot<N>>(0) else {
        return Err(Cause::RingFull);
    };
    let slot = entry.as_mut_ptr();
    // SAFETY: `slot` is valid for writes of a `Slot<N>` until it is submitted, and `length <= N`.
    let fault = unsafe {
        (&raw mut (*slot).segment).write(Segment {
            head: *head,
            handle: call.address,
            generation: call.generation,
            offset: call.offset,
            length: length as u32,
            direction: way.number(),
        });
        bpf_probe_read_user((&raw mut (*slot).data).cast(), length as u32, call.buffer as *const _)
    };
    if fault != 0 {
        entry.discard(wake::patient());
        return Err(Cause::Unreadable);
    }
    entry.submit(wake::patient());
    Ok(())
}

/// `length`, which is at most `N`, in a way that the kernel's verifier can see. The compiler knows
/// it already and would leave the comparison out, or make it on another register.
#[inline(always)]
fn clamp<const N: usize>(mut length: u64) -> u64 {
    // SAFETY: no instruction at all; it only hides from the compiler where the value came from.
    unsafe { asm!("/* {0} */", inout(reg) length, options(pure, nomem, nostack, preserves_flags)) };
    if length > N as u64 { N as u64 } else { length }
}
