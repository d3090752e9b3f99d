//! One library call, from entry to return.

use aya_ebpf::helpers::bpf_probe_read_user;
use aya_ebpf::maps::HashMap;
use aya_ebpf::programs::{ProbeContext, RetProbeContext};
use aya_log_ebpf::debug;
use weir_ebpf::loss::Cause;
use weir_ebpf::record::direction;

use super::{connection, copy, register};
use crate::maps::{READS, WRITES, count_lost};
use crate::stamp;

/// What a thread was asked to read or write, and how far we are with copying it.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Call {
    /// The stack pointer at entry. The stack grows down: a call made inside this one has less.
    pub(super) stack: u64,
    /// Address of the connection object.
    pub(super) address: u64,
    /// Where the rest of the data is.
    pub(super) buffer: u64,
    /// Where an `_ex` function leaves the number of bytes; 0 for those that return it, and
    /// [`NOT_COUNTED`].
    pub(super) size: u64,
    /// Bytes still to be copied, once it has returned.
    pub(super) remaining: u64,
    /// Position of the next byte to be copied.
    pub(super) offset: u64,
    /// Of the connection.
    pub(super) generation: u64,
    /// Of the process.
    pub(super) start_ns: u64,
}

impl Call {
    /// One that has moved nothing yet.
    #[inline(always)]
    pub(super) fn new(stack: u64, address: u64, buffer: u64, size: u64) -> Self {
        Self { stack, address, buffer, size, remaining: 0, offset: 0, generation: 0, start_ns: 0 }
    }

    /// One that carries a record of the connection at `address`.
    #[inline(always)]
    pub(crate) fn of_record(address: u64, buffer: u64) -> Self {
        Self::new(0, address, buffer, 0)
    }

    /// Whether what it carries begins at this position of its connection, or beyond.
    #[inline(always)]
    pub(crate) fn has_reached(&self, offset: u64) -> bool {
        self.offset >= offset
    }
}

/// In place of a size: the bytes that go out were counted before.
const NOT_COUNTED: u64 = u64::MAX;

/// How a function says how many bytes it has moved.
#[derive(Clone, Copy)]
pub(super) enum Says {
    /// It returns the number, or something negative.
    Returned,
    /// It leaves it where its fourth argument points to, and returns 1.
    Left,
    /// The same, but that its fifth argument points there.
    LeftFifth,
    /// It returns the number, and the bytes are in more than one place, or in a file: they are counted
    /// and not read, which leaves a hole of known size.
    Scattered,
    /// It moves what an earlier call was given, by other calls.
    Nothing,
}

/// Which way a call moves data. Reads and writes are kept apart: a handshake inside one may do the
/// other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Read,
    Write,
}

impl Way {
    #[inline(always)]
    pub(super) fn calls(self) -> &'static HashMap<u64, Call> {
        match self {
            Self::Read => &READS,
            Self::Write => &WRITES,
        }
    }

    /// As records have it; also the index in the program array.
    #[inline(always)]
    pub(super) const fn number(self) -> u32 {
        match self {
            Self::Read => direction::READ,
            Self::Write => direction::WRITE,
        }
    }
}

/// Keeps the arguments. A call inside a call is not kept: the outermost one carries all its bytes.
#[inline(always)]
pub(super) fn enter(ctx: &ProbeContext, way: Way, says: Says) {
    if stamp::watched_tgid().is_none() {
        return;
    }
    let Some(address) = ctx.arg(0) else {
        return;
    };
    // Only these arguments are sure to be in their registers still: user space knows of them
    // (`agent/src/capture/functions.rs`).
    let (buffer, size) = match says {
        Says::Returned => (ctx.arg(1), Some(0)),
        Says::Left => (ctx.arg(1), ctx.arg(3)),
        Says::LeftFifth => (ctx.arg(1), ctx.arg(4)),
        Says::Scattered => (Some(0), Some(0)),
        Says::Nothing => (Some(0), Some(NOT_COUNTED)),
    };
    let (Some(buffer), Some(size)) = (buffer, size) else {
        return;
    };
    let stack = register::entry_stack(ctx);
    let thread = stamp::pid_tgid();
    if let Some(outer) = way.calls().get_ptr(thread) {
        // SAFETY: only this thread writes its entry, and it is here.
        let outer = unsafe { (*outer).stack };
        if stack < outer {
            return;
        }
        // The same stack pointer is the same call, seen through two probes on one function.
        if stack > outer {
            never_returned(ctx, thread);
        }
    }
    let call = Call::new(stack, address, buffer, size);
    if way.calls().insert(thread, call, 0).is_err() {
        count_lost(Cause::CallsFull, 0);
    }
}

/// Finds out how many bytes there were, and has them copied if they are wanted. `stack` is what the
/// stack pointer was at entry.
#[inline(always)]
pub(super) fn leave(ctx: &RetProbeContext, way: Way, stack: u64) {
    let thread = stamp::pid_tgid();
    let Some(call) = way.calls().get_ptr_mut(thread) else {
        return;
    };
    // SAFETY: only this thread writes its entry, and nothing removes it before we do.
    let call = unsafe { &mut *call };
    if stack < call.stack {
        return;
    }
    if stack > call.stack {
        never_returned(ctx, thread);
    } else if let Some(length) = length(ctx, call)
        && connection::advance(call, way, length)
    {
        copy::run(ctx, way, call);
        return;
    }
    let _present = way.calls().remove(thread);
}

/// The number of bytes that the call moved; `None` if it moved none.
#[inline(always)]
fn length(ctx: &RetProbeContext, call: &Call) -> Option<u64> {
    // The result is a C `int`: the upper half of the register means nothing.
    let result = ctx.ret::<u64>() as i32;
    let length = if call.size == NOT_COUNTED {
        0
    } else if call.size == 0 {
        u64::from(result.max(0).unsigned_abs())
    } else if result == 1 {
        // SAFETY: the helper checks the address.
        match unsafe { bpf_probe_read_user(call.size as *const u64) } {
            Ok(length) => length,
            Err(_fault) => {
                count_lost(Cause::Unreadable, 0);
                0
            }
        }
    } else {
        0
    };
    (length > 0).then_some(length)
}

#[inline(always)]
pub(super) fn never_returned<C: aya_ebpf::EbpfContext>(ctx: &C, thread: u64) {
    count_lost(Cause::NeverReturned, 0);
    debug!(
        ctx,
        "process {} thread {}: a call never returned",
        (thread >> 32) as u32,
        thread as u32
    );
}
