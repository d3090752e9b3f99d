//! The maps, and what is set before loading.

use aya_ebpf::Global;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LruHashMap, PerCpuArray, ProgramArray, RingBuf};
use weir_ebpf::block::{self, Endpoint, Owned, Place, Refused, Verdict};
use weir_ebpf::flow::{self, Watched};
use weir_ebpf::limit;
use weir_ebpf::loss::{Cause, Lost};
use weir_ebpf::policy::{Handle, Steer};

use crate::aead::{Half, Opening, Received, Sealed};
use crate::tls::{Call, Connection};

#[map]
pub(crate) static RING: RingBuf = RingBuf::with_byte_size(limit::RING_BYTES, 0);

#[map]
pub(crate) static ARMED: Array<u32> = Array::with_max_entries(1, 0);

#[map]
static LOSSES: PerCpuArray<Lost> = PerCpuArray::with_max_entries(Cause::ALL.len() as u32, 0);

#[map]
pub(crate) static STEERING: LruHashMap<Handle, Steer> =
    LruHashMap::with_max_entries(limit::CONNECTIONS, 0);

#[map]
pub(crate) static EXCLUDED: HashMap<u32, u8> = HashMap::with_max_entries(limit::EXCLUDED, 0);

#[map]
pub(crate) static FLOW_RING: RingBuf = RingBuf::with_byte_size(flow::FLOW_RING_BYTES, 0);

#[map]
pub(crate) static FLOWS: LruHashMap<u64, Watched> = LruHashMap::with_max_entries(flow::FLOWS, 0);

#[map]
pub(crate) static GATE: Array<u64> = Array::with_max_entries(1, 0);

#[map]
pub(crate) static GATED: LruHashMap<u64, Owned> = LruHashMap::with_max_entries(block::SOCKETS, 0);

#[map]
pub(crate) static VERDICTS: LruHashMap<u32, Verdict> =
    LruHashMap::with_max_entries(block::PROCESSES, 0);

#[map]
pub(crate) static PLACES: LruHashMap<Place, u8> = LruHashMap::with_max_entries(block::PLACES, 0);

#[map]
pub(crate) static ENDPOINTS: LruHashMap<Endpoint, u32> =
    LruHashMap::with_max_entries(block::ENDPOINTS, 0);

#[map]
pub(crate) static REFUSED: Array<Refused> = Array::with_max_entries(block::SLOTS, 0);

#[map]
pub(crate) static CONTINUE: ProgramArray = ProgramArray::with_max_entries(2, 0);

/// What each thread is reading, by `pid_tgid`.
#[map]
pub(crate) static READS: HashMap<u64, Call> = HashMap::with_max_entries(limit::CALLS, 0);

/// What each thread is writing, by `pid_tgid`.
#[map]
pub(crate) static WRITES: HashMap<u64, Call> = HashMap::with_max_entries(limit::CALLS, 0);

#[map]
pub(crate) static CONNECTIONS: LruHashMap<Handle, Connection> =
    LruHashMap::with_max_entries(limit::CONNECTIONS, 0);

/// Keys that records are sealed or opened with, by the handles of their objects.
#[map]
pub(crate) static HALVES: LruHashMap<Handle, Half> =
    LruHashMap::with_max_entries(limit::CONNECTIONS, 0);

/// The record that each thread is opening, by `pid_tgid`.
#[map]
pub(crate) static OPENS: LruHashMap<u64, Opening> = LruHashMap::with_max_entries(limit::SEALERS, 0);

/// What each thread has received last, by `pid_tgid`.
#[map]
pub(crate) static RECEIVED: LruHashMap<u64, Received> =
    LruHashMap::with_max_entries(limit::SEALERS, 0);

/// What each thread has sealed and not sent yet, by `pid_tgid`.
#[map]
pub(crate) static SEALED: LruHashMap<u64, Sealed> = LruHashMap::with_max_entries(limit::SEALERS, 0);

/// Processes that seal and open records, by thread group id.
#[map]
pub(crate) static SEALERS: LruHashMap<u32, u8> = LruHashMap::with_max_entries(limit::SEALERS, 0);

/// The processes, by thread group id, that have the sockets which keys belong to.
#[map]
pub(crate) static SOCKETS: LruHashMap<u64, u32> = LruHashMap::with_max_entries(limit::SOCKETS, 0);

#[unsafe(no_mangle)]
pub(crate) static SELF_TGID: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub(crate) static HAS_EXCLUDED: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub(crate) static HAS_COOKIES: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub(crate) static WATERMARK: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
pub(crate) static TASK_GROUP_LEADER: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub(crate) static TASK_START: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub(crate) static TASK_EXEC_ID: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub(crate) static TASK_PID: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub(crate) static TASK_TGID: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub(crate) static TASK_SIGNAL: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub(crate) static SIGNAL_LIVE: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub(crate) static BINPRM_FILENAME: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub(crate) static SOCKET_FAMILY: Global<u32> = Global::new(0);

/// Counts what could not be handed over.
#[inline(always)]
pub(crate) fn count_lost(cause: Cause, bytes: u64) {
    if let Some(lost) = LOSSES.get_ptr_mut(cause as u32) {
        // SAFETY: the pointer is to this CPU's own counter. A task that is preempted in between may
        // lose one increment; no more than that can go wrong.
        unsafe {
            (*lost).records += 1;
            (*lost).bytes += bytes;
        }
    }
}
