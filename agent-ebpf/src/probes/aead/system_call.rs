//! The system call that a thread is in, and the numbers of those that matter (`asm/unistd.h`).

use aya_ebpf::bindings::pt_regs;
use aya_ebpf::helpers::bpf_probe_read_kernel;
use aya_ebpf::helpers::generated::{bpf_get_current_task_btf, bpf_task_pt_regs};

/// Two that have a buffer and its length for arguments, one that has an array of such, and one that
/// has a message.
#[derive(Clone, Copy)]
pub(super) struct Numbers {
    pub(super) plain: u64,
    pub(super) addressed: u64,
    pub(super) vectored: u64,
    pub(super) message: u64,
}

#[cfg(bpf_target_arch = "x86_64")]
pub(super) const RECEIVES: Numbers = Numbers { plain: 0, addressed: 45, vectored: 19, message: 47 };
#[cfg(bpf_target_arch = "x86_64")]
pub(super) const SENDS: Numbers = Numbers { plain: 1, addressed: 44, vectored: 20, message: 46 };
#[cfg(bpf_target_arch = "aarch64")]
pub(super) const RECEIVES: Numbers =
    Numbers { plain: 63, addressed: 207, vectored: 65, message: 212 };
#[cfg(bpf_target_arch = "aarch64")]
pub(super) const SENDS: Numbers = Numbers { plain: 64, addressed: 206, vectored: 66, message: 211 };

/// Its number, and its second and third argument.
#[inline(always)]
pub(super) fn current() -> Option<[u64; 3]> {
    // SAFETY: the helpers take what they give; the registers are read by one that checks the address.
    let registers = unsafe {
        let task = bpf_get_current_task_btf();
        bpf_probe_read_kernel(bpf_task_pt_regs(task) as *const pt_regs)
    };
    registers.ok().map(|registers| arguments(&registers))
}

#[cfg(bpf_target_arch = "x86_64")]
#[inline(always)]
fn arguments(registers: &pt_regs) -> [u64; 3] {
    [registers.orig_rax, registers.rsi, registers.rdx]
}

#[cfg(bpf_target_arch = "aarch64")]
#[inline(always)]
fn arguments(registers: &pt_regs) -> [u64; 3] {
    [registers.regs[8], registers.regs[1], registers.regs[2]]
}
