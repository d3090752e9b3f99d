//! SHA-256 of programs, each file read once.

use std::fmt::Write as _;
use std::fs::{File, Metadata};
use std::io::Read as _;
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Mutex, PoisonError};

use lru::LruCache;
use sha2::{Digest as _, Sha256};

/// Largest program that is read, in bytes.
const PROGRAM_MAX: u64 = 256 << 20;
/// Most programs that are remembered.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
/// How much is read at once, in bytes.
const PIECE: usize = 64 * 1024;

/// Digests by file.
#[derive(Debug)]
pub(super) struct Digests(Mutex<LruCache<Edition, String>>);

/// A file at one state of its content. Whoever writes to it changes its time of change, which nobody can
/// set as he likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Edition {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Edition {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Digests {
    pub(super) fn new() -> Self {
        Self(Mutex::new(LruCache::new(CAPACITY)))
    }

    /// The digest of a regular file in 64 hexadecimal digits; `None` if it is too large, can't be read
    /// or changes meanwhile.
    pub(super) fn of(&self, file: &mut File) -> Option<String> {
        let metadata = file.metadata().ok()?;
        let edition = Edition::of(&metadata);
        if !metadata.is_file() || edition.size > PROGRAM_MAX {
            return None;
        }
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(digest) = known().get(&edition) {
            return Some(digest.clone());
        }
        let digest = read(file, edition.size)?;
        if Edition::of(&file.metadata().ok()?) != edition {
            return None;
        }
        known().put(edition, digest.clone());
        Some(digest)
    }
}

/// Reads `size` bytes, which must be all that there is.
fn read(file: &mut File, size: u64) -> Option<String> {
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE];
    let mut left = size;
    loop {
        let read = file.read(&mut piece).ok()?;
        if read == 0 {
            break;
        }
        left = left.checked_sub(read as u64)?;
        hash.update(piece.get(..read)?);
    }
    let mut digits = String::with_capacity(64);
    for byte in hash.finalize() {
        // Writing to a string can't fail.
        let _ = write!(digits, "{byte:02x}");
    }
    (left == 0).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_once_until_it_changes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("program");
        std::fs::write(&path, "abc").unwrap();
        let digests = Digests::new();
        let of = || digests.of(&mut File::open(&path).unwrap());
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of().as_deref(), Some(abc));
        assert_eq!(of().as_deref(), Some(abc));
        assert_eq!(digests.0.lock().unwrap().len(), 1);
        std::fs::write(&path, "abcd").unwrap();
        assert_ne!(of().unwrap(), abc);
        std::fs::write(&path, "").unwrap();
        assert!(of().unwrap().starts_with("e3b0c442"));
    }

    #[test]
    fn what_is_large_or_no_file_is_not_read() {
        let mut large = tempfile::tempfile().unwrap();
        large.set_len(PROGRAM_MAX + 1).unwrap();
        let digests = Digests::new();
        assert_eq!(digests.of(&mut large), None);
        assert_eq!(digests.of(&mut File::open("/dev/zero").unwrap()), None);
        assert_eq!(digests.of(&mut File::open("/proc").unwrap()), None);
    }
}
