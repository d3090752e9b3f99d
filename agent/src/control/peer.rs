//! Who is at the other end of the socket, by what the kernel says (SO_PEERCRED, SO_PEERGROUPS).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use tokio::net::UnixStream;

/// Most supplementary groups that a process can have (NGROUPS_MAX, linux/limits.h).
const GROUPS_MAX: usize = 65_536;

/// The process that connected, at the time it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) uid: u32,
    pub(super) pid: Option<i32>,
    pub(super) role: Role,
}

/// What somebody may do. The socket's mode has already kept out those who may do nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Read what concerns the own user.
    Viewer,
    /// Read everything. What it reads is logged.
    Auditor,
    /// And change things.
    Admin,
}

impl Peer {
    /// Whoever is in the group `auditors` is one. That group's id is looked for among those that the
    /// process had when it connected: what it has since become doesn't matter.
    pub(super) fn of(stream: &UnixStream, auditors: Option<u32>) -> io::Result<Self> {
        let credentials = stream.peer_cred()?;
        let uid = credentials.uid();
        let audits = match auditors {
            Some(group) if credentials.gid() == group => true,
            Some(group) => groups(stream)?.contains(&group),
            None => false,
        };
        let role = role(uid, rustix::process::geteuid().as_raw(), audits);
        Ok(Self { uid, pid: credentials.pid(), role })
    }

    /// The user whose calls it may see; `None` if that is everybody.
    pub(super) const fn sees(&self) -> Option<u32> {
        match self.role {
            Role::Viewer => Some(self.uid),
            Role::Auditor | Role::Admin => None,
        }
    }
}

const fn role(uid: u32, own: u32, audits: bool) -> Role {
    if uid == 0 || uid == own {
        Role::Admin
    } else if audits {
        Role::Auditor
    } else {
        Role::Viewer
    }
}

/// The supplementary groups of the peer. Neither the standard library nor rustix asks for them.
fn groups(stream: &UnixStream) -> io::Result<Vec<u32>> {
    let socket: BorrowedFd<'_> = std::os::fd::AsFd::as_fd(stream);
    let mut groups = vec![0u32; 64];
    loop {
        let mut bytes =
            libc::socklen_t::try_from(size_of_val(groups.as_slice())).map_err(io::Error::other)?;
        // SAFETY: the kernel writes at most `bytes` bytes to `groups`, which has so many, and sets
        // `bytes` to how many it has written, or would have (net/core/sock.c, SO_PEERGROUPS). Any bits
        // are a `u32`.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut bytes,
            )
        };
        let count = usize::try_from(bytes).unwrap_or(usize::MAX) / size_of::<u32>();
        if result == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::ERANGE)
            || !(groups.len() + 1..=GROUPS_MAX).contains(&count)
        {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_and_the_daemon_itself_may_change_things() {
        for (uid, audits, expected) in [
            (0, false, Role::Admin),
            (990, true, Role::Admin),
            (1000, true, Role::Auditor),
            (1000, false, Role::Viewer),
        ] {
            assert_eq!(role(uid, 990, audits), expected, "{uid}");
        }
    }

    #[tokio::test]
    async fn the_groups_of_the_other_end_are_its_own() {
        let (one, _other) = UnixStream::pair().unwrap();
        let mut found = groups(&one).unwrap();
        let mut own: Vec<u32> =
            rustix::process::getgroups().unwrap().into_iter().map(|group| group.as_raw()).collect();
        found.sort_unstable();
        own.sort_unstable();
        assert_eq!(found, own);
    }
}
