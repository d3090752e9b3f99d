//! Loads the object into the kernel.

use std::collections::HashMap as Names;

use aya::maps::{Array, HashMap, Map, MapData, PerCpuArray, ProgramArray, RingBuf};
use aya::programs::{RawTracePoint, UProbe};
use aya::{Ebpf, EbpfError, EbpfLoader, include_bytes_aligned};
use aya_log::EbpfLogger;
use weir_ebpf::{limit, name};

use super::block::{self, Gate};
use super::error::CaptureError;
use super::flows::{self, Flows, WatchError};
use super::log_ring::ToTracing;
use super::multi;
use super::probes::Prober;
use super::{Options, host, layout};

static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/weir-probes"));

const UPROBES: [&str; 36] = [
    name::READ_ENTER,
    name::READ_EX_ENTER,
    name::LAYER_READ_ENTER,
    name::LAYER_RECV_ENTER,
    name::READ_RETURN,
    name::READ_EXIT,
    name::READ_MORE,
    name::WRITE_ENTER,
    name::WRITE_EX_ENTER,
    name::WRITE_EX2_ENTER,
    name::WRITE_FILE_ENTER,
    name::WRITE_HELD_ENTER,
    name::LAYER_WRITE_ENTER,
    name::LAYER_WRITEV_ENTER,
    name::WRITE_RETURN,
    name::WRITE_EXIT,
    name::WRITE_MORE,
    name::OPEN_RETURN,
    name::OPEN_EXIT,
    name::CLOSE_ENTER,
    name::GO_READ_EXIT,
    name::GO_WRITE_ENTER,
    name::GO_CLOSE_ENTER,
    name::LOADER_ENTER,
    name::SEAL_RECORD_ENTER,
    name::SCATTER_RECORD_ENTER,
    name::OPEN_RECORD_ENTER,
    name::GATHER_RECORD_ENTER,
    name::RECORD_RETURN,
    name::RECORD_EXIT,
    name::RING_SEAL_ENTER,
    name::RING_COPY_SEAL_ENTER,
    name::RING_COPY_SEAL_RETURN,
    name::RING_COPY_SEAL_EXIT,
    name::RING_OPEN_ENTER,
    name::RING_COPY_OPEN_ENTER,
];

/// Programs that others go on in, and where those look for them.
const CONTINUED: [(u32, &str); 2] = [(0, name::READ_MORE), (1, name::WRITE_MORE)];

const TRACEPOINTS: [(&str, &str); 3] = [
    (name::EXECUTED, "sched_process_exec"),
    (name::FORKED, "sched_process_fork"),
    (name::EXITED, "sched_process_exit"),
];

/// Connections to what is wanted of them: [`weir_ebpf::policy::Handle`] to
/// [`weir_ebpf::policy::Steer`], as bytes.
pub(super) type SteeringMap = HashMap<MapData, [u8; 16], [u8; 16]>;

/// The loaded object, taken apart.
pub(super) struct Probes {
    pub(super) prober: Prober,
    pub(super) ring: RingBuf<MapData>,
    pub(super) armed: Array<MapData, u32>,
    pub(super) losses: PerCpuArray<MapData, [u64; 2]>,
    pub(super) steering: SteeringMap,
    /// To be kept open: the kernel empties a program array when the last descriptor is closed.
    pub(super) continued: Map,
    pub(super) log: EbpfLogger<ToTracing>,
    /// What watches connections, and the ring that it tells of them in.
    pub(super) flows: Result<(Flows, RingBuf<MapData>), WatchError>,
    /// What keeps processes from model endpoints; absent if nobody wants that.
    pub(super) gate: Option<Result<Gate, WatchError>>,
}

/// Loads everything and follows processes. No library is probed yet.
pub(super) fn load(options: &Options) -> Result<Probes, CaptureError> {
    host::check_kernel()?;
    let offsets = layout::read()?;
    host::check_capabilities()?;
    host::raise_limits();

    let ring_bytes = options.ring_bytes.clamp(64 << 10, 1 << 30).next_power_of_two();
    let watermark = u64::from(ring_bytes) / limit::WATERMARK_DIVISOR;
    let own = std::process::id();
    let kernel = host::abilities();
    let has_cookies = u32::from(kernel.cookies);
    let has_excluded = u32::from(!options.excluded.is_empty());
    let mut loader = EbpfLoader::new();
    loader
        // The probes have no relocations against the kernel's types, and reading all of those would
        // be most of the time and the memory that a start takes.
        .btf(None)
        .map_max_entries(name::RING, ring_bytes)
        .override_global(name::SELF_TGID, &own, true)
        .override_global(name::HAS_EXCLUDED, &has_excluded, true)
        .override_global(name::HAS_COOKIES, &has_cookies, true)
        .override_global(name::WATERMARK, &watermark, true);
    if !options.block {
        for name in block::TABLES {
            loader.map_max_entries(name, 1);
        }
    }
    for (global, offset) in &offsets {
        loader.override_global(global, offset, true);
    }
    let mut ebpf = loader.load(OBJECT).map_err(classify)?;
    let prepared = (options.multi && host::has_multi_links())
        .then(|| multi::Prepared::new(OBJECT, &ebpf))
        .transpose()
        .map_err(|error| CaptureError::Prepare(Box::new(error)))?;
    // Programs refer to the maps, so the log's reader has to be there before they are loaded.
    let log = EbpfLogger::init_with_logger(&mut ebpf, ToTracing).map_err(CaptureError::Log)?;
    let multi = prepared.as_ref().map(load_multi).transpose()?;
    if multi.is_none() {
        load_single(&mut ebpf)?;
    }
    follow_processes(&mut ebpf)?;
    // As the others, these refer to maps that are let go of below.
    let flows =
        if options.watch_connections { flows::start(&mut ebpf) } else { Err(WatchError::Off) };
    let gate = options.block.then(|| block::start(&mut ebpf));
    exclude(&mut ebpf, &options.excluded)?;
    let continued = match &multi {
        Some(multi) => continue_multi(&mut ebpf, multi)?,
        None => continue_single(&mut ebpf)?,
    };
    Ok(Probes {
        ring: take(&mut ebpf, name::RING)?,
        armed: take(&mut ebpf, name::ARMED)?,
        losses: take(&mut ebpf, name::LOSSES)?,
        steering: take(&mut ebpf, name::STEERING)?,
        continued,
        log,
        flows,
        gate,
        prober: Prober::new(ebpf, multi, kernel),
    })
}

fn load_multi(prepared: &multi::Prepared) -> Result<multi::Programs, CaptureError> {
    let load = |name| {
        let refused = |source| CaptureError::Program { name, source: Box::new(source) };
        Ok((name, prepared.load(name).map_err(refused)?))
    };
    let loaded: Result<Names<_, _>, CaptureError> = UPROBES.into_iter().map(load).collect();
    Ok(multi::Programs::new(loaded?))
}

fn load_single(ebpf: &mut Ebpf) -> Result<(), CaptureError> {
    for name in UPROBES {
        let refused = |source| CaptureError::Program { name, source: Box::new(source) };
        let program = ebpf.program_mut(name).ok_or(CaptureError::Incomplete { name })?;
        let program: &mut UProbe = program.try_into().map_err(refused)?;
        program.load().map_err(refused)?;
    }
    Ok(())
}

fn follow_processes(ebpf: &mut Ebpf) -> Result<(), CaptureError> {
    for (name, tracepoint) in TRACEPOINTS {
        let refused = |source| CaptureError::Program { name, source: Box::new(source) };
        let program = ebpf.program_mut(name).ok_or(CaptureError::Incomplete { name })?;
        let program: &mut RawTracePoint = program.try_into().map_err(refused)?;
        program.load().map_err(refused)?;
        program.attach(tracepoint).map_err(refused)?;
    }
    Ok(())
}

fn exclude(ebpf: &mut Ebpf, excluded: &[u32]) -> Result<(), CaptureError> {
    let mut map: HashMap<MapData, u32, u8> = take(ebpf, name::EXCLUDED)?;
    for tgid in excluded {
        map.insert(tgid, 1, 0).map_err(CaptureError::Map)?;
    }
    Ok(())
}

fn continue_multi(ebpf: &mut Ebpf, multi: &multi::Programs) -> Result<Map, CaptureError> {
    let name = name::CONTINUE;
    let map = ebpf.take_map(name).ok_or(CaptureError::Incomplete { name })?;
    for (index, name) in CONTINUED {
        let program = multi.get(name).ok_or(CaptureError::Incomplete { name })?;
        multi::set_program(&map, index, program).map_err(CaptureError::Io)?;
    }
    Ok(map)
}

fn continue_single(ebpf: &mut Ebpf) -> Result<Map, CaptureError> {
    let name = name::CONTINUE;
    let mut map = ebpf.take_map(name).ok_or(CaptureError::Incomplete { name })?;
    let mut array = ProgramArray::try_from(&mut map).map_err(CaptureError::Map)?;
    for (index, name) in CONTINUED {
        let refused = |source| CaptureError::Program { name, source: Box::new(source) };
        let program = ebpf.program(name).ok_or(CaptureError::Incomplete { name })?;
        let program: &UProbe = program.try_into().map_err(refused)?;
        let fd = program.fd().map_err(refused)?;
        array.set(index, fd, 0).map_err(CaptureError::Map)?;
    }
    Ok(map)
}

pub(super) fn take<M: TryFrom<Map, Error = aya::maps::MapError>>(
    ebpf: &mut Ebpf,
    name: &'static str,
) -> Result<M, CaptureError> {
    let map = ebpf.take_map(name).ok_or(CaptureError::Incomplete { name })?;
    M::try_from(map).map_err(CaptureError::Map)
}

/// Before 5.11 maps count against `RLIMIT_MEMLOCK`, and the kernel says `EPERM` when it is reached.
/// That we may load at all has been checked before.
fn classify(error: EbpfError) -> CaptureError {
    let EbpfError::MapError(aya::maps::MapError::CreateError { io_error, .. }) = &error else {
        return CaptureError::Load(Box::new(error));
    };
    match io_error.kind() {
        std::io::ErrorKind::PermissionDenied => CaptureError::MemoryLimit(Box::new(error)),
        _other => CaptureError::Load(Box::new(error)),
    }
}
