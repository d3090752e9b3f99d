//! Registers that aya has no name for.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::helpers::generated::bpf_get_attach_cookie;
use aya_ebpf::programs::{ProbeContext, RetProbeContext};

use crate::maps::HAS_COOKIES;

/// What the stack pointer was at the first instruction of the function that runs.
#[inline(always)]
pub(crate) fn entry_stack(ctx: &ProbeContext) -> u64 {
    // SAFETY: the kernel passes the registers of the traced thread.
    stack(unsafe { &*ctx.regs }).wrapping_add(displacement(ctx))
}

/// By how many bytes it is lower now. A kernel without cookies has no site where it is; the global
/// is constant, so such a kernel's verifier doesn't look at the call of a helper that it lacks.
#[inline(always)]
fn displacement(ctx: &ProbeContext) -> u64 {
    if HAS_COOKIES.load() == 0 {
        return 0;
    }
    // SAFETY: the helper takes the context that the program was given.
    unsafe { bpf_get_attach_cookie(ctx.as_ptr()) }
}

/// What the stack pointer was at the first instruction of the function that has just returned.
#[inline(always)]
pub(crate) fn entry_stack_of_returned(ctx: &RetProbeContext) -> u64 {
    // SAFETY: the kernel passes the registers of the traced thread.
    stack(unsafe { &*ctx.regs }).wrapping_sub(RETURN_ADDRESS)
}

/// The first four arguments of a function of Go's, or its first four results (`abi-internal.md` in the
/// source of Go's compiler).
#[inline(always)]
pub(super) fn go(ctx: &ProbeContext) -> [u64; 4] {
    // SAFETY: the kernel passes the registers of the traced thread.
    go_registers(unsafe { &*ctx.regs })
}

/// Where the words above the return address are, at the instruction that returns.
#[inline(always)]
pub(super) fn above_return_address(ctx: &ProbeContext) -> u64 {
    // SAFETY: the kernel passes the registers of the traced thread.
    stack(unsafe { &*ctx.regs }).wrapping_add(GO_RETURN_ADDRESS)
}

/// Bytes that a return address takes in a frame of Go's, on every machine.
const GO_RETURN_ADDRESS: u64 = 8;

#[cfg(bpf_target_arch = "x86_64")]
fn go_registers(regs: &aya_ebpf::bindings::pt_regs) -> [u64; 4] {
    [regs.rax, regs.rbx, regs.rcx, regs.rdi]
}

#[cfg(bpf_target_arch = "aarch64")]
fn go_registers(regs: &aya_ebpf::bindings::pt_regs) -> [u64; 4] {
    let [first, second, third, fourth, ..] = regs.regs;
    [first, second, third, fourth]
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
