//! Registers that aya has no name for.

use aya_ebpf::programs::{ProbeContext, RetProbeContext};

/// The stack pointer at a function's first instruction.
#[inline(always)]
pub(super) fn entry_stack(ctx: &ProbeContext) -> u64 {
    // SAFETY: the kernel passes the registers of the traced thread.
    stack(unsafe { &*ctx.regs })
}

/// What the stack pointer was at the first instruction of the function that has just returned.
#[inline(always)]
pub(super) fn entry_stack_of_returned(ctx: &RetProbeContext) -> u64 {
    // SAFETY: the kernel passes the registers of the traced thread.
    stack(unsafe { &*ctx.regs }).wrapping_sub(RETURN_ADDRESS)
}

#[cfg(bpf_target_arch = "x86_64")]
fn stack(regs: &aya_ebpf::bindings::pt_regs) -> u64 {
    regs.rsp
}

/// Bytes that a return takes off the stack.
#[cfg(bpf_target_arch = "x86_64")]
const RETURN_ADDRESS: u64 = 8;

#[cfg(bpf_target_arch = "aarch64")]
fn stack(regs: &aya_ebpf::bindings::pt_regs) -> u64 {
    regs.sp
}

#[cfg(bpf_target_arch = "aarch64")]
const RETURN_ADDRESS: u64 = 0;
