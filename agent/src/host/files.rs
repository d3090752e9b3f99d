//! Reading files whose content, size and kind somebody else decides.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};
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
}
