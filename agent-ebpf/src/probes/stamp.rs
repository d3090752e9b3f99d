//! Who is running: the identity of a process as the kernel itself has it.

use aya_ebpf::helpers::{
    bpf_get_current_cgroup_id, bpf_get_current_pid_tgid, bpf_get_current_task,
    bpf_get_current_uid_gid, bpf_ktime_get_boot_ns, bpf_probe_read_kernel,
};
use weir_ebpf::record::Head;

use crate::maps::{EXCLUDED, HAS_EXCLUDED, SELF_TGID, TASK_EXEC_ID, TASK_GROUP_LEADER, TASK_START};

/// One program that runs in one process. Neither an exec nor a reuse of the pid keeps it.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Incarnation {
    pub(crate) start_ns: u64,
    pub(crate) exec_id: u64,
}

impl Incarnation {
    #[inline(always)]
    pub(crate) fn current() -> Self {
        let task = current_task();
        Self { start_ns: start_ns(task), exec_id: field(task, TASK_EXEC_ID.load()) }
    }
}

/// Thread group id in the upper half, thread id in the lower.
#[inline(always)]
pub(crate) fn pid_tgid() -> u64 {
    bpf_get_current_pid_tgid()
}

/// The thread group id, unless the process is one that must not be looked at.
#[inline(always)]
pub(crate) fn watched_tgid() -> Option<u32> {
    let tgid = (pid_tgid() >> 32) as u32;
    if tgid == SELF_TGID.load() {
        return None;
    }
    if HAS_EXCLUDED.load() != 0 && EXCLUDED.get_ptr(tgid).is_some() {
        return None;
    }
    Some(tgid)
}

/// A record's head in the name of the current thread.
#[inline(always)]
pub(crate) fn head(kind: u32, start_ns: u64) -> Head {
    let pid_tgid = pid_tgid();
    let uid_gid = bpf_get_current_uid_gid();
    Head {
        kind,
        tgid: (pid_tgid >> 32) as u32,
        time_ns: now_ns(),
        start_ns,
        // SAFETY: the helper takes no argument.
        cgroup_id: unsafe { bpf_get_current_cgroup_id() },
        tid: pid_tgid as u32,
        uid: uid_gid as u32,
        gid: (uid_gid >> 32) as u32,
        reserved: 0,
    }
}

#[inline(always)]
pub(crate) fn now_ns() -> u64 {
    // SAFETY: the helper takes no argument.
    unsafe { bpf_ktime_get_boot_ns() }
}

#[inline(always)]
pub(crate) fn current_task() -> u64 {
    // SAFETY: the helper takes no argument.
    unsafe { bpf_get_current_task() }
}

/// When the leader of the task's thread group started.
#[inline(always)]
pub(crate) fn start_ns(task: u64) -> u64 {
    field(field(task, TASK_GROUP_LEADER.load()), TASK_START.load())
}

/// A field of a kernel structure; 0 if it can't be read.
#[inline(always)]
pub(crate) fn field<T: Default>(structure: u64, offset: u32) -> T {
    let address = structure.wrapping_add(u64::from(offset));
    // SAFETY: the helper checks the address; every `T` here is an integer, valid for all bytes.
    unsafe { bpf_probe_read_kernel(address as *const T) }.unwrap_or_default()
}
