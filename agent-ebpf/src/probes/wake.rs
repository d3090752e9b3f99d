//! When the reader is woken.
//!
//! A wake-up costs an interrupt and a context switch, so most records go without. The reader says
//! by `ARMED` that it is about to sleep, and looks at the ring once more after it said so; we look
//! at `ARMED` only after a record is committed. Both sides have a full barrier in between (the
//! commit is an `xchg`, arming is a system call), so one of the two sees the other: no record is
//! left lying while the reader sleeps.

use aya_ebpf::bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};

use crate::maps::{ARMED, RING, WATERMARK};

/// Flags to commit a record by that can wait: it wakes the reader only above the watermark.
#[inline(always)]
pub(crate) fn patient() -> u64 {
    if RING.query(u64::from(BPF_RB_AVAIL_DATA)) > WATERMARK.load() {
        u64::from(BPF_RB_FORCE_WAKEUP)
    } else {
        u64::from(BPF_RB_NO_WAKEUP)
    }
}

/// Flags to commit a record by that can't wait.
pub(crate) const URGENT: u64 = BPF_RB_FORCE_WAKEUP as u64;

/// Wakes the reader if it sleeps. To be called after [`patient`] records were committed.
#[inline(always)]
pub(crate) fn if_armed() {
    let Some(armed) = ARMED.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: the pointer is to an aligned `u32` in a map that lives as long as the program.
    let is_armed = unsafe { armed.read_volatile() } != 0;
    if !is_armed {
        return;
    }
    // SAFETY: as above. Two CPUs may both get here; a second wake-up does no harm.
    unsafe { armed.write_volatile(0) };
    if let Some(nothing) = RING.reserve::<u64>(0) {
        nothing.discard(URGENT);
    }
}
