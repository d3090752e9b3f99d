//! Reading files whose content, size and kind somebody else decides.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use zeroize::Zeroizing;

/// A directory to read files below. Nothing that is put there can lead out of it: no symbolic link
/// is followed, no other file system entered, and nothing but a regular file is read, so that a
/// pipe or a network mount in a shared place can't hold us up.
#[derive(Debug)]
pub(super) struct Dir(OwnedFd);

impl Dir {
    /// Opens `path`, which the host's administrator chose: symbolic links in it are followed.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(path, flags, Mode::empty())?))
    }

    /// Opens a directory below this one.
    pub(super) fn open_below(&self, path: impl AsRef<Path>) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(self.openat(path.as_ref(), flags)?))
    }

    /// Reads a whole file, if it has at most `limit` bytes. The buffer is wiped on drop, because
    /// runtimes keep their containers' environments in the same files as the names we look for.
    pub(super) fn read(
        &self,
        path: impl AsRef<Path>,
        limit: usize,
    ) -> io::Result<Zeroizing<Vec<u8>>> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = File::from(self.openat(path.as_ref(), flags)?);
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // Room for all of it from the start: a buffer that grows leaves unwiped copies behind.
        let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
        if size > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut content = Zeroizing::new(Vec::with_capacity(size.max(4096) + 1));
        file.take(limit as u64 + 1).read_to_end(&mut content)?;
        if content.len() > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(content)
    }

    /// Reads the beginning of a file of procfs, whose size nobody knows before: at most `limit` bytes.
    /// The buffer never grows, and is wiped on drop.
    pub(super) fn read_start(
        &self,
        path: impl AsRef<Path>,
        limit: usize,
    ) -> io::Result<Zeroizing<Vec<u8>>> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        start_of(File::from(self.openat(path.as_ref(), flags)?), limit)
    }

    /// Opens what is the root directory for a process, given its directory of procfs.
    pub(super) fn root(&self) -> io::Result<Root> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Root(rustix::fs::openat(&self.0, "root", flags, Mode::empty())?))
    }

    /// The directory itself, for calls that take one.
    pub(super) const fn fd(&self) -> &OwnedFd {
        &self.0
    }

    fn openat(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH
            | ResolveFlags::NO_SYMLINKS
            | ResolveFlags::NO_MAGICLINKS
            | ResolveFlags::NO_XDEV;
        Ok(rustix::fs::openat2(&self.0, path, flags, Mode::empty(), resolve)?)
    }
}

/// The root directory of a process. Symbolic links below it lead where they lead for the process, never
/// out of it. It may have any file system below it, also one that a user serves himself: whoever reads
/// here may wait for as long as that one likes.
#[derive(Debug)]
pub(super) struct Root(OwnedFd);

impl Root {
    /// Reads a whole regular file, if it has at most `limit` bytes. The buffer is wiped on drop.
    pub(super) fn read(
        &self,
        path: impl AsRef<Path>,
        limit: usize,
    ) -> io::Result<Zeroizing<Vec<u8>>> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let found = rustix::fs::openat2(&self.0, path.as_ref(), flags, Mode::empty(), resolve)?;
        // A device is not even opened: that alone can start one.
        if FileType::from_raw_mode(rustix::fs::fstat(&found)?.st_mode) != FileType::RegularFile {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let itself = format!("/proc/self/fd/{}", found.as_raw_fd());
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(itself, flags, Mode::empty())?);
        let content = start_of(file, limit + 1)?;
        if content.len() > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(content)
    }
}

/// At most `limit` bytes from a file, in a buffer that has room for them from the start.
fn start_of(file: File, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut content = Zeroizing::new(Vec::with_capacity(limit + 32));
    file.take(limit as u64).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::CWD;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_bounded_regular_files_below_the_directory_are_read() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "s").unwrap();
        let inside = tempfile::tempdir().unwrap();
        let at = |name: &str| inside.path().join(name);
        std::fs::write(at("file"), "12345").unwrap();
        symlink(outside.path().join("secret"), at("link")).unwrap();
        symlink(outside.path(), at("linked")).unwrap();
        rustix::fs::mkfifoat(CWD, at("pipe"), Mode::RUSR).unwrap();

        let dir = Dir::open(inside.path()).unwrap();
        assert_eq!(dir.read("file", 5).unwrap().as_slice(), b"12345");
        assert_eq!(dir.read("file", 4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        for name in ["link", "linked/secret", "../secret", "pipe", ".", "absent", "/etc/passwd"] {
            assert!(dir.read(name, 100).is_err(), "{name}");
        }
    }

    #[test]
    fn links_below_a_root_stay_below_it() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "outside").unwrap();
        let process = tempfile::tempdir().unwrap();
        let inside = process.path().join("root");
        std::fs::create_dir_all(inside.join("run/..2026")).unwrap();
        std::fs::write(inside.join("run/..2026/token"), "t").unwrap();
        symlink("..2026", inside.join("run/..data")).unwrap();
        symlink("..data/token", inside.join("run/token")).unwrap();
        symlink("/run/token", inside.join("absolute")).unwrap();
        symlink(outside.path().join("secret"), inside.join("out")).unwrap();
        symlink("../../../../../../etc/passwd", inside.join("up")).unwrap();
        symlink("/proc/self/exe", inside.join("magic")).unwrap();
        rustix::fs::mkfifoat(CWD, inside.join("pipe"), Mode::RUSR).unwrap();

        let root = Dir::open(process.path()).unwrap().root().unwrap();
        for name in ["run/token", "/run/token", "absolute", "../../run/token"] {
            assert_eq!(root.read(name, 1).unwrap().as_slice(), b"t", "{name}");
        }
        assert_eq!(root.read("run/token", 0).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        for name in ["out", "up", "magic", "pipe", "run", "absent"] {
            assert!(root.read(name, 4096).is_err(), "{name}");
        }
    }

    #[test]
    fn of_a_file_without_a_size_the_beginning_is_read() {
        let own = Dir::open(Path::new("/proc/self")).unwrap();
        let whole = own.read_start("cmdline", 4096).unwrap();
        assert!(!whole.is_empty());
        assert_eq!(own.read_start("cmdline", 3).unwrap().as_slice(), &whole[..3]);
    }
}
