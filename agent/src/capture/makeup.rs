//! What a process runs: the files that it has mapped as code.

use std::fs::File;
use std::io::{self, Read as _};
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use lru::LruCache;
use rustix::time::{ClockId, clock_gettime};
use weir_core::units::ProcessKey;

use super::mapping::{FileId, executable};

/// The longest `maps` file that is read: some 100,000 mappings.
const MAPS_MAX: u64 = 16 << 20;
/// Most processes that are remembered.
const PROCESSES_MAX: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// Most files of one process that are remembered.
const FILES_MAX: usize = 128;
/// The library that the Java virtual machine is.
const JVM: &str = "/libjvm.so";

/// What a process ran when it was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Makeup {
    /// The files that it had mapped as code: at most 128, the first in its memory.
    pub files: Vec<FileId>,
    /// It was a Java virtual machine.
    pub is_jvm: bool,
    /// When, in nanoseconds since boot.
    pub seen_ns: u64,
}

impl Makeup {
    /// What the text of a `maps` file says.
    pub(super) fn of(maps: &str) -> Self {
        let mut files: Vec<FileId> = Vec::new();
        let mut is_jvm = false;
        for mapping in executable(maps) {
            is_jvm |= mapping.path.trim_end_matches(" (deleted)").ends_with(JVM);
            if files.len() < FILES_MAX && !files.contains(&mapping.file) {
                files.push(mapping.file);
            }
        }
        Self { files, is_jvm, seen_ns: now_ns() }
    }
}

/// What processes ran that were looked at lately.
pub(super) struct Makeups(Mutex<LruCache<u32, Makeup>>);

impl Makeups {
    pub(super) fn new() -> Self {
        Self(Mutex::new(LruCache::new(PROCESSES_MAX)))
    }

    pub(super) fn remember(&self, pid: u32, makeup: Makeup) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(pid, makeup);
    }

    /// What a process runs, or ran when it was last looked at.
    pub(super) fn of(&self, process: ProcessKey) -> Option<Makeup> {
        if let Ok(maps) = read_maps(process.pid) {
            return Some(Makeup::of(&maps));
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What was seen before this process began is of another with its pid.
        known.get(&process.pid).filter(|makeup| makeup.seen_ns >= process.start_ns).cloned()
    }
}

/// The text of a process's `maps` file. One that has none any more is gone, though its name may still
/// be there.
pub(super) fn read_maps(pid: u32) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(format!("/proc/{pid}/maps"))?.take(MAPS_MAX).read_to_end(&mut bytes)?;
    if bytes.is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn now_ns() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let [seconds, nanoseconds] = [time.tv_sec, time.tv_nsec].map(|n| u64::try_from(n).unwrap_or(0));
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_java_virtual_machine_is_known_by_its_library() {
        let line = |path: &str| format!("7f0000000000-7f0000001000 r-xp 00000000 fe:01 5 {path}\n");
        for (path, is_jvm) in [
            ("/usr/lib/jvm/java-17/lib/server/libjvm.so", true),
            ("/opt/jre/libjvm.so (deleted)", true),
            ("/usr/lib/libjvm.so.1", false),
            ("/usr/bin/java", false),
        ] {
            assert_eq!(Makeup::of(&line(path)).is_jvm, is_jvm, "{path}");
        }
    }

    #[test]
    fn who_is_gone_is_remembered_but_not_for_another() {
        let makeups = Makeups::new();
        // Above all pids (`PID_MAX_LIMIT` in include/linux/threads.h).
        let pid = 1 << 23;
        let makeup = Makeup::of("7f0000000000-7f0000001000 r-xp 00000000 fe:01 5 /a\n");
        makeups.remember(pid, makeup.clone());
        assert_eq!(makeups.of(ProcessKey { pid, start_ns: 1 }), Some(makeup));
        assert_eq!(makeups.of(ProcessKey { pid, start_ns: u64::MAX }), None);
        let own = ProcessKey { pid: std::process::id(), start_ns: 1 };
        assert!(!makeups.of(own).unwrap().files.is_empty());
    }
}
