//! Whether our probes are on a file already, under another name.
//!
//! Each container has its files from a mount of its own, so what is one file beneath has another device in
//! each. The kernel probes the file beneath. A second set of probes would count nothing twice and cost as
//! much again for every call, in all containers.
//!
//! That two files look alike is only a reason to ask: a file system that a user makes can claim whatever it
//! likes. The answer is in the memory of the process that maps the file, where the kernel has put a
//! breakpoint if it has one for it.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

use super::mapping::Mapping;

/// What a file has in common with itself, through whatever mount it is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Likeness {
    inode: u64,
    size: u64,
    /// In seconds and nanoseconds.
    changed: (i64, i64),
}

impl Likeness {
    pub(super) fn of(file: &File) -> io::Result<Self> {
        Ok(Self::from(&file.metadata()?))
    }

    pub(super) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::from(&fs::metadata(path)?))
    }
}

impl From<&Metadata> for Likeness {
    fn from(stat: &Metadata) -> Self {
        let changed = (stat.ctime(), stat.ctime_nsec());
        Self { inode: stat.ino(), size: stat.size(), changed }
    }
}

/// Whether the process has something else than `file` at each of `offsets` that `mapping` covers, and covers
/// any. The file doesn't change by being probed, only the memory.
pub(super) fn is_probed(pid: u32, mapping: &Mapping<'_>, file: &File, offsets: &[u64]) -> bool {
    let Ok(memory) = File::open(format!("/proc/{pid}/mem")) else { return false };
    let length = mapping.addresses.end.saturating_sub(mapping.addresses.start);
    let covered = offsets.iter().filter_map(|&offset| {
        let into = offset.checked_sub(mapping.offset).filter(|into| *into < length)?;
        Some((offset, mapping.addresses.start.checked_add(into)?))
    });
    let mut differing = covered.map(|(offset, address)| {
        let (mut on_disk, mut in_memory) = ([0], [0]);
        file.read_exact_at(&mut on_disk, offset).is_ok()
            && memory.read_exact_at(&mut in_memory, address).is_ok()
            && on_disk != in_memory
    });
    differing.next().is_some_and(|first| first && differing.all(|differs| differs))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::capture::mapping::FileId;

    static HERE: [u8; 64] = [7; 64];

    #[track_caller]
    fn check(in_file: &[u8], offsets: &[u64], expected: bool) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[0; 100]).unwrap();
        file.write_all(in_file).unwrap();
        let start = HERE.as_ptr() as u64;
        let mapping = Mapping {
            addresses: start..start + HERE.len() as u64,
            offset: 100,
            file: FileId { device: (0, 0), inode: 1 },
            path: "",
        };
        assert_eq!(is_probed(std::process::id(), &mapping, &file, offsets), expected);
    }

    #[test]
    fn a_breakpoint_is_what_is_not_in_the_file() {
        check(&HERE, &[100, 110], false);
        let mut changed = HERE;
        changed[10] ^= 1;
        check(&changed, &[110], true);
        check(&changed, &[110, 111], false);
        changed[11] ^= 1;
        check(&changed, &[110, 111], true);
    }

    #[test]
    fn what_is_elsewhere_says_nothing() {
        let changed = HERE.map(|byte| byte ^ 1);
        check(&changed, &[], false);
        check(&changed, &[99, 164, u64::MAX], false);
        check(&changed, &[99, 100], true);
        check(&changed[..1], &[100, 101], false);
    }

    #[test]
    fn a_process_that_has_gone_has_none() {
        let file = tempfile::tempfile().unwrap();
        let mapping = Mapping {
            addresses: 0..1,
            offset: 0,
            file: FileId { device: (0, 0), inode: 1 },
            path: "",
        };
        assert!(!is_probed(0, &mapping, &file, &[0]));
    }
}
