//! Who is at the other end of the socket, by what the kernel says (SO_PEERCRED).

use std::io;

use tokio::net::UnixStream;

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
    /// Read everything. What it reads is logged.
    Auditor,
    /// And change things.
    Admin,
}

impl Peer {
    pub(super) fn of(stream: &UnixStream) -> io::Result<Self> {
        let credentials = stream.peer_cred()?;
        let uid = credentials.uid();
        Ok(Self {
            uid,
            pid: credentials.pid(),
            role: role(uid, rustix::process::geteuid().as_raw()),
        })
    }
}

const fn role(uid: u32, own: u32) -> Role {
    if uid == 0 || uid == own { Role::Admin } else { Role::Auditor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_and_the_daemon_itself_may_change_things() {
        assert_eq!(role(0, 990), Role::Admin);
        assert_eq!(role(990, 990), Role::Admin);
        assert_eq!(role(1000, 990), Role::Auditor);
    }
}
