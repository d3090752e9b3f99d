//! The life of processes.

use aya_ebpf::helpers::bpf_probe_read_kernel_str_bytes;
use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use weir_ebpf::limit::PATH_MAX;
use weir_ebpf::loss::Cause;
use weir_ebpf::record::{Executed, Forked, Head, kind};

use crate::maps::{
    BINPRM_FILENAME, READS, RING, SIGNAL_LIVE, TASK_PID, TASK_SIGNAL, TASK_START, TASK_TGID,
    WRITES, count_lost,
};
use crate::stamp::{self, field};
use crate::wake;

/// `sched_process_exec(task, old_pid, binprm)`: credentials and start time are the new ones.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
fn executed(ctx: RawTracePointContext) -> i32 {
    let binprm: u64 = ctx.arg(2);
    let head = stamp::head(kind::EXECUTED, stamp::start_ns(stamp::current_task()));
    let Some(mut entry) = RING.reserve::<Executed>(0) else {
        count_lost(Cause::Control, 0);
        return 0;
    };
    let record = entry.as_mut_ptr();
    let path: u64 = field(binprm, BINPRM_FILENAME.load());
    // SAFETY: `record` is valid for writes of an `Executed` until it is submitted; all of it is
    // written before it is read as one.
    unsafe {
        (&raw mut (*record).head).write(head);
        (&raw mut (*record).path).write_bytes(0, 1);
        let space: &mut [u8; PATH_MAX] = &mut (*record).path;
        if bpf_probe_read_kernel_str_bytes(path as *const u8, space).is_err() {
            space[0] = 0;
        }
    }
    entry.submit(wake::URGENT);
    0
}

/// `sched_process_fork(parent, child)`: threads are made by it too, and are not reported.
#[raw_tracepoint(tracepoint = "sched_process_fork")]
fn forked(ctx: RawTracePointContext) -> i32 {
    let child: u64 = ctx.arg(1);
    let child_tgid: u32 = field(child, TASK_TGID.load());
    if child_tgid != field::<u32>(child, TASK_PID.load()) {
        return 0;
    }
    let head = stamp::head(kind::FORKED, stamp::start_ns(stamp::current_task()));
    let child_start_ns = field(child, TASK_START.load());
    match RING.reserve::<Forked>(0) {
        Some(mut entry) => {
            entry.write(Forked { head, child_start_ns, child_tgid, reserved: 0 });
            entry.submit(wake::patient());
        }
        None => count_lost(Cause::Control, 0),
    }
    wake::if_armed();
    0
}

/// `sched_process_exit(task)`, for every thread. The count of live threads has been lowered before
/// (`do_exit` in kernel/exit.c), so the last one sees 0.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
fn exited(_ctx: RawTracePointContext) -> i32 {
    let pid_tgid = stamp::pid_tgid();
    // A thread that ends inside a call never returns from it. Most have made none.
    let _absent = READS.remove(pid_tgid);
    let _absent = WRITES.remove(pid_tgid);

    let task = stamp::current_task();
    let live: u32 = field(field(task, TASK_SIGNAL.load()), SIGNAL_LIVE.load());
    if live != 0 {
        return 0;
    }
    let head = stamp::head(kind::EXITED, stamp::start_ns(task));
    match RING.reserve::<Head>(0) {
        Some(mut entry) => {
            entry.write(head);
            entry.submit(wake::patient());
        }
        None => count_lost(Cause::Control, 0),
    }
    wake::if_armed();
    0
}
