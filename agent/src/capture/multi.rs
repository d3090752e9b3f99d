//! Links of many probes each (`uprobe_multi`), which Linux has from 6.6 on and aya 0.14 doesn't make.
//!
//! What a link has for one probe alone is taken away under a lock of the kernel's, after a wait until
//! nobody can be in the program any more: a sixth of a second for each of some forty probes, before
//! the process that had them is gone. The probes of one link here wait together, and links don't wait
//! for each other. A hit costs less too, as no record of the registers is made for it.

use std::collections::HashMap;
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use aya::Ebpf;
use aya::maps::{Map, MapData};
use aya_obj::Object;
use aya_obj::generated::{
    BPF_F_UPROBE_MULTI_RETURN, bpf_attach_type, bpf_attr, bpf_cmd, bpf_insn, bpf_prog_type,
};

/// Room for what the kernel says of a program that it refuses, in bytes.
const LOG_BYTES: usize = 64 << 10;

/// The programs of an object, ready to be loaded: they name the maps that [`Ebpf`] has made.
pub(super) struct Prepared {
    object: Object,
}

/// Loaded programs.
pub(super) struct Programs {
    loaded: HashMap<&'static str, OwnedFd>,
}

/// Why programs of an object couldn't be loaded.
#[derive(Debug, thiserror::Error)]
pub(super) enum MultiError {
    /// The object and its maps don't fit together.
    #[error("the object can't be prepared: {0}")]
    Object(String),
    /// The kernel refused a program, and said why.
    #[error("{log}")]
    Refused {
        /// The end of what the kernel said.
        log: String,
        /// What the system call said.
        source: io::Error,
    },
}

/// One of the probes of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    /// From the beginning of the file, in bytes.
    pub(super) offset: u64,
    /// What the program is told there.
    pub(super) cookie: u64,
}

/// When the probes of a link run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Before the instruction.
    Before,
    /// When the function that begins with the instruction returns.
    Returned,
}

impl Prepared {
    /// Reads `object` a second time, for `ebpf`, whose maps must all still be in it.
    pub(super) fn new(object: &[u8], ebpf: &Ebpf) -> Result<Self, MultiError> {
        let unfit = |error: &dyn std::error::Error| MultiError::Object(error.to_string());
        let mut object = Object::parse(object).map_err(|error| unfit(&error))?;
        let sections = object.functions.keys().map(|(section, _)| *section).collect();
        let made: HashMap<&str, RawFd> =
            ebpf.maps().filter_map(|(name, map)| Some((name, descriptor(map)?))).collect();
        let known = std::mem::take(&mut object.maps);
        let maps = known.iter().filter_map(|(name, map)| {
            let name = name.as_str();
            Some((name, *made.get(name)?, map))
        });
        object.relocate_maps(maps, &sections).map_err(|error| unfit(&error))?;
        object.relocate_calls(&sections).map_err(|error| unfit(&error))?;
        Ok(Self { object })
    }

    /// Loads the program `name`. The maps must still be open.
    pub(super) fn load(&self, name: &str) -> Result<OwnedFd, MultiError> {
        let absent = || MultiError::Object(format!("it has no program {name}"));
        let program = self.object.programs.get(name).ok_or_else(absent)?;
        let function = self.object.functions.get(&program.function_key()).ok_or_else(absent)?;
        let (code, license) = (&function.instructions, &program.license);
        match load(name, code, license, &mut []) {
            Ok(program) => Ok(program),
            Err(source) => {
                let mut log = vec![0; LOG_BYTES];
                let _refused_again = load(name, code, license, &mut log);
                let log = CStr::from_bytes_until_nul(&log).unwrap_or_default();
                let log =
                    log.to_string_lossy().lines().rev().take(3).collect::<Vec<_>>().join("; ");
                Err(MultiError::Refused { log, source })
            }
        }
    }
}

impl Programs {
    pub(super) fn new(loaded: HashMap<&'static str, OwnedFd>) -> Self {
        Self { loaded }
    }

    /// The descriptor of a program.
    pub(super) fn get(&self, name: &str) -> Option<BorrowedFd<'_>> {
        self.loaded.get(name).map(OwnedFd::as_fd)
    }

    /// Has a program run at `points` of `file`, in every process, until the link is closed.
    pub(super) fn attach(
        &self,
        name: &str,
        file: &File,
        when: When,
        points: &[Point],
    ) -> io::Result<OwnedFd> {
        let program = self.get(name).ok_or(io::ErrorKind::NotFound)?;
        // The descriptor is open for the length of this call, so the file that was searched is the
        // one that is probed.
        let path = format!("/proc/self/fd/{}\0", file.as_raw_fd());
        let offsets: Vec<u64> = points.iter().map(|point| point.offset).collect();
        let cookies: Vec<u64> = points.iter().map(|point| point.cookie).collect();
        let count = u32::try_from(points.len()).map_err(|_many| io::ErrorKind::InvalidInput)?;
        let mut attributes = zeroed();
        // SAFETY: all fields of the union are integers, for which zeroes are valid.
        let create = unsafe { &mut attributes.link_create };
        create.__bindgen_anon_1.prog_fd = program.as_raw_fd().cast_unsigned();
        create.attach_type = bpf_attach_type::BPF_TRACE_UPROBE_MULTI as u32;
        // SAFETY: as above.
        let many = unsafe { &mut create.__bindgen_anon_3.uprobe_multi };
        many.path = address(path.as_bytes());
        many.offsets = address(&offsets);
        many.cookies = address(&cookies);
        many.cnt = count;
        many.flags = match when {
            When::Before => 0,
            When::Returned => BPF_F_UPROBE_MULTI_RETURN,
        };
        // SAFETY: `path`, `offsets` and `cookies` outlive the call; the first ends in a zero byte,
        // and the two others have `count` elements.
        let descriptor = unsafe { bpf(bpf_cmd::BPF_LINK_CREATE, &mut attributes) }?;
        // SAFETY: the kernel has just made it for us.
        Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
    }
}

/// Puts a program into a program array, whose elements aya takes only from programs that it loaded.
pub(super) fn set_program(array: &Map, index: u32, program: BorrowedFd<'_>) -> io::Result<()> {
    let array = descriptor(array).ok_or(io::ErrorKind::InvalidInput)?;
    let (index, value) = ([index], [program.as_raw_fd().cast_unsigned()]);
    let mut attributes = zeroed();
    // SAFETY: all fields of the union are integers, for which zeroes are valid.
    let update = unsafe { &mut attributes.__bindgen_anon_2 };
    update.map_fd = array.cast_unsigned();
    update.key = address(&index);
    update.__bindgen_anon_1.value = address(&value);
    // SAFETY: `index` and `value` outlive the call, and are as long as the map's keys and values.
    unsafe { bpf(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attributes) }?;
    Ok(())
}

fn load(name: &str, code: &[bpf_insn], license: &CStr, log: &mut [u8]) -> io::Result<OwnedFd> {
    let mut attributes = zeroed();
    // SAFETY: all fields of the union are integers, for which zeroes are valid.
    let load = unsafe { &mut attributes.__bindgen_anon_3 };
    load.prog_type = bpf_prog_type::BPF_PROG_TYPE_KPROBE as u32;
    load.expected_attach_type = bpf_attach_type::BPF_TRACE_UPROBE_MULTI as u32;
    load.insns = address(code);
    load.insn_cnt = u32::try_from(code.len()).map_err(|_many| io::ErrorKind::InvalidInput)?;
    load.license = address(license.to_bytes_with_nul());
    let room = load.prog_name.len() - 1;
    for (to, from) in load.prog_name.iter_mut().zip(name.bytes().take(room)) {
        *to = from.cast_signed();
    }
    if !log.is_empty() {
        load.log_level = 1;
        load.log_buf = log.as_mut_ptr().expose_provenance() as u64;
        load.log_size = u32::try_from(log.len()).unwrap_or(u32::MAX);
    }
    // SAFETY: code and license outlive the call, the second ends in a zero byte, and the log is ours
    // alone.
    let descriptor = unsafe { bpf(bpf_cmd::BPF_PROG_LOAD, &mut attributes) }?;
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// The kinds of maps that our object has.
fn descriptor(map: &Map) -> Option<RawFd> {
    let data: &MapData = match map {
        Map::Array(data)
        | Map::HashMap(data)
        | Map::LruHashMap(data)
        | Map::PerCpuArray(data)
        | Map::ProgramArray(data)
        | Map::RingBuf(data) => data,
        _other => return None,
    };
    Some(data.fd().as_fd().as_raw_fd())
}

fn zeroed() -> bpf_attr {
    // SAFETY: a union of structures of integers, for which zeroes are valid.
    unsafe { std::mem::zeroed() }
}

fn address<T>(slice: &[T]) -> u64 {
    slice.as_ptr().expose_provenance() as u64
}

/// `bpf(2)`.
///
/// # Safety
///
/// Whatever the attributes point to is as the command wants it, for the length of the call.
unsafe fn bpf(command: bpf_cmd, attributes: &mut bpf_attr) -> io::Result<RawFd> {
    let size = size_of::<bpf_attr>();
    // SAFETY: the caller's promise; the kernel reads and writes `size` bytes at most.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command as i64, attributes, size) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    i32::try_from(result).map_err(|_out_of_range| io::ErrorKind::Other.into())
}
