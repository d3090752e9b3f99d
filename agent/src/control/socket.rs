//! The daemon's socket file: made so that nobody but its owner and its group can ever connect, and
//! replaced only if it was left behind.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, fchmod};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 64;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Somebody answers on it.
    #[error("a weir daemon already answers on {path}")]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// What is there is not a socket. It is left alone.
    #[error("{path} is there and is not a socket: move it away, or set another `socket`")]
    NotASocket {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("can't {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A socket that listens. Its file is removed when this is dropped.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    shared_with: Option<u32>,
}

impl Socket {
    /// Listens on `path`, as 0660 for members of `group`; if the host has no such group, as 0600
    /// for the own user alone.
    ///
    /// # Errors
    /// See [`SocketError`].
    pub fn bind(path: &Path, group: &str) -> Result<Self, SocketError> {
        let failed =
            |action| move |source| SocketError::Io { action, path: path.to_owned(), source };
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(failed("make the directory of"))?;
        }
        remove_stale(path)?;
        // On Linux a socket's file takes the mode of the unbound socket, so there is no moment in
        // which others could connect (net/unix/af_unix.c, unix_bind_bsd).
        let listener = listen(path).map_err(failed("listen on"))?;
        let shared_with = group_id(group);
        if let Some(group) = shared_with {
            chown(path, None, Some(group)).map_err(failed("give the group"))?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o660))
                .map_err(failed("set the mode of"))?;
        } else {
            tracing::warn!(group, "no such group: only the daemon's own user can ask it");
        }
        Ok(Self { listener, path: path.to_owned(), shared_with })
    }

    /// The group whose members can connect, if it exists.
    #[must_use]
    pub const fn shared_with(&self) -> Option<u32> {
        self.shared_with
    }

    pub(super) fn listener(&self) -> io::Result<tokio::net::UnixListener> {
        let listener = self.listener.try_clone()?;
        listener.set_nonblocking(true)?;
        tokio::net::UnixListener::from_std(listener)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "socket file was not removed");
        }
    }
}

fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let failed = |action| move |source| SocketError::Io { action, path: path.to_owned(), source };
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at")(error)),
    };
    if !metadata.file_type().is_socket() {
        return Err(SocketError::NotASocket { path: path.to_owned() });
    }
    match UnixStream::connect(path) {
        Ok(_answered) => Err(SocketError::InUse { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed("remove the left-over"))
        }
        Err(error) => Err(failed("connect to")(error)),
    }
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    let socket: OwnedFd = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(UnixListener::from(socket))
}

/// The id of a group of this host's own group file, which is where package installers and
/// systemd-sysusers put a service's group.
#[must_use]
pub fn group_id(name: &str) -> Option<u32> {
    let groups = fs::read_to_string("/etc/group").ok()?;
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_socket_is_kept_and_a_stale_one_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/weir.sock");
        let first = Socket::bind(&path, "no-such-group").unwrap();
        let second = Socket::bind(&path, "no-such-group");
        assert!(matches!(second, Err(SocketError::InUse { .. })));
        drop(first);
        assert!(!path.exists());
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "a killed daemon leaves its socket file");
        Socket::bind(&path, "no-such-group").unwrap();
    }

    #[test]
    fn a_file_in_its_place_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("weir.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(Socket::bind(&path, "root"), Err(SocketError::NotASocket { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn without_the_group_nobody_else_can_connect() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("weir.sock");
        let socket = Socket::bind(&path, "no-such-group").unwrap();
        assert_eq!(socket.shared_with(), None);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn groups_are_found_by_name() {
        assert_eq!(group_id("root"), Some(0));
        assert_eq!(group_id("no-such-group"), None);
    }
}
