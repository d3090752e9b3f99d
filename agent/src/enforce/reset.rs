//! Resets connections of other processes, by the kernel's socket diagnostics (sock_diag(7)): each side is
//! told at once that it is over. It takes `CAP_NET_ADMIN`, a kernel with `CONFIG_INET_DIAG_DESTROY` and,
//! for processes with a network of their own, `CAP_SYS_ADMIN` to enter that.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use weir_core::blind::FlowId;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Kinds of messages (linux/sock_diag.h, linux/netlink.h).
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const SOCK_DESTROY: u16 = 21;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
const DUMP: u16 = 0x300;
const TCP: u8 = 6;
/// The states in which there is somebody at the other end (net/tcp_states.h): all but those of waiting,
/// listening and being closed.
const STATES: u32 = 0x0fff & !(1 << 6 | 1 << 7 | 1 << 10);
/// Messages are answered in pieces of at most so many bytes.
const PIECE: usize = 32 << 10;
/// The kernel answers at once.
const PATIENCE: Duration = Duration::from_secs(1);

/// `struct nlmsghdr`
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Head {
    length: u32,
    kind: u16,
    flags: u16,
    sequence: u32,
    port: u32,
}

/// `struct inet_diag_sockid`
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Socket {
    ports: [u16; 2],
    addresses: [u32; 8],
    interface: u32,
    /// The lower half first.
    cookie: [u32; 2],
}

/// `struct inet_diag_req_v2`, behind its head.
#[derive(Clone, Copy, IntoBytes, Immutable)]
#[repr(C)]
struct Request {
    head: Head,
    family: u8,
    protocol: u8,
    extensions: u8,
    reserved: u8,
    states: u32,
    socket: Socket,
}

/// The beginning of `struct inet_diag_msg`.
#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Answer {
    family: u8,
    rest: [u8; 3],
    socket: Socket,
}

const NO_SOCKET: Socket = Socket { ports: [0; 2], addresses: [0; 8], interface: 0, cookie: [0; 2] };

/// Resets those of these connections that are open in the network of a process. Returns how many they
/// were. What is closed already is none.
///
/// # Errors
/// If the kernel won't have it, or the network can't be entered. A process that is gone has no network, and
/// then its connections are looked for in ours.
pub(super) fn reset(pid: u32, connections: &HashSet<FlowId>) -> io::Result<usize> {
    match network_of(Path::new(&format!("/proc/{pid}/ns/net")))? {
        None => reset_here(connections),
        // A thread of its own, which ends there.
        Some(network) => thread::scope(|scope| {
            let work = thread::Builder::new().name("weir-reset".to_owned());
            let thread = work.spawn_scoped(scope, || {
                let kind = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(network.as_fd(), kind)?;
                reset_here(connections)
            })?;
            thread.join().map_err(|_panic| io::Error::other("the thread has panicked"))?
        }),
    }
}

/// The network of a process, unless that is ours.
fn network_of(path: &Path) -> io::Result<Option<File>> {
    let theirs = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let ours = std::fs::metadata("/proc/self/ns/net")?;
    Ok((theirs.metadata()?.ino() != ours.ino()).then_some(theirs))
}

fn reset_here(connections: &HashSet<FlowId>) -> io::Result<usize> {
    let mut count = 0;
    let diagnostics = open()?;
    for family in [AddressFamily::INET, AddressFamily::INET6] {
        let family = u8::try_from(family.as_raw()).unwrap_or_default();
        for socket in list(&diagnostics, family, connections)? {
            count += usize::from(destroy(&diagnostics, family, socket)?);
        }
    }
    Ok(count)
}

fn open() -> io::Result<OwnedFd> {
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )?;
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
    Ok(socket)
}

/// The sockets of this network that are meant.
fn list(
    diagnostics: &OwnedFd,
    family: u8,
    connections: &HashSet<FlowId>,
) -> io::Result<Vec<Socket>> {
    send(diagnostics, SOCK_DIAG_BY_FAMILY, REQUEST | DUMP, family, NO_SOCKET)?;
    let mut found = Vec::new();
    let mut piece = vec![0; PIECE];
    loop {
        let (length, _) = rustix::net::recv(diagnostics, &mut piece[..], RecvFlags::empty())?;
        for (kind, body) in Messages(piece.get(..length).unwrap_or_default()) {
            match kind {
                NLMSG_DONE => return Ok(found),
                NLMSG_ERROR => return Err(error_of(body).unwrap_or(io::ErrorKind::Other.into())),
                SOCK_DIAG_BY_FAMILY => found.extend(meant(body, family, connections)),
                _other => {}
            }
        }
        if length == 0 {
            return Ok(found);
        }
    }
}

/// The socket that a message tells of, if it is one of those.
fn meant(body: &[u8], family: u8, connections: &HashSet<FlowId>) -> Option<Socket> {
    let (answer, _rest) = Answer::read_from_prefix(body).ok()?;
    let [low, high] = answer.socket.cookie;
    let cookie = u64::from(high) << 32 | u64::from(low);
    (answer.family == family && connections.contains(&FlowId(cookie))).then_some(answer.socket)
}

/// Says whether the socket was there.
fn destroy(diagnostics: &OwnedFd, family: u8, socket: Socket) -> io::Result<bool> {
    send(diagnostics, SOCK_DESTROY, REQUEST | ACKNOWLEDGE, family, socket)?;
    let mut piece = [0; 4096];
    let (length, _) = rustix::net::recv(diagnostics, &mut piece[..], RecvFlags::empty())?;
    let mut messages = Messages(piece.get(..length).unwrap_or_default());
    let (_kind, body) = messages.find(|(kind, _)| *kind == NLMSG_ERROR).unwrap_or_default();
    match error_of(body) {
        None => Ok(true),
        Some(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Some(error) => Err(error),
    }
}

fn send(
    diagnostics: &OwnedFd,
    kind: u16,
    flags: u16,
    family: u8,
    socket: Socket,
) -> io::Result<()> {
    let length = u32::try_from(size_of::<Request>()).unwrap_or_default();
    let request = Request {
        head: Head { length, kind, flags, sequence: 1, port: 0 },
        family,
        protocol: TCP,
        extensions: 0,
        reserved: 0,
        states: STATES,
        socket,
    };
    let kernel = SocketAddrNetlink::new(0, 0);
    rustix::net::sendto(diagnostics, request.as_bytes(), SendFlags::empty(), &kernel)?;
    Ok(())
}

/// What the body of an answer says; `None` if all is well.
fn error_of(body: &[u8]) -> Option<io::Error> {
    let (code, _rest) = i32::read_from_prefix(body).ok()?;
    (code != 0).then(|| io::Error::from_raw_os_error(code.saturating_neg()))
}

/// The messages of a piece, each with its kind and its body.
struct Messages<'a>(&'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (head, _rest) = Head::read_from_prefix(self.0).ok()?;
        let length = usize::try_from(head.length).ok()?;
        let body = self.0.get(size_of::<Head>()..length)?;
        let next = length.checked_next_multiple_of(4)?;
        self.0 = self.0.get(next..).unwrap_or_default();
        Some((head.kind, body))
    }
}

const _: () = assert!(size_of::<Request>() == 72 && size_of::<Answer>() == 52);

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use proptest::prelude::*;

    use super::*;

    /// The kernel's name of a socket.
    fn cookie(socket: &TcpStream) -> FlowId {
        FlowId(rustix::net::sockopt::socket_cookie(socket).unwrap())
    }

    #[test]
    fn one_connection_is_reset_and_no_other() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut pairs: Vec<_> = (0..2)
            .map(|_| (TcpStream::connect(address).unwrap(), listener.accept().unwrap().0))
            .collect();
        let (mut other, mut other_end) = pairs.pop().unwrap();
        let (mut meant, mut its_end) = pairs.pop().unwrap();
        match reset(std::process::id(), &HashSet::from([cookie(&meant)])) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                println!("skipped: {error}");
                return;
            }
            result => assert_eq!(result.unwrap(), 1),
        }
        assert_eq!(meant.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        assert_eq!(its_end.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        other.write_all(&[7]).unwrap();
        let mut byte = [0];
        other_end.read_exact(&mut byte).unwrap();
        assert_eq!(byte, [7]);
        let gone = HashSet::from([cookie(&meant)]);
        assert_eq!(reset(std::process::id(), &gone).unwrap(), 0);
    }

    proptest! {
        #[test]
        fn no_answer_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let connections = HashSet::from([FlowId(1)]);
            for (_kind, body) in Messages(&bytes).take(50) {
                let _any = (meant(body, 2, &connections), error_of(body));
            }
        }

        #[test]
        fn messages_come_to_an_end(kinds in prop::collection::vec(any::<u16>(), 0..20)) {
            let mut bytes = Vec::new();
            for kind in &kinds {
                let head = Head { length: 18, kind: *kind, flags: 0, sequence: 0, port: 0 };
                bytes.extend(head.as_bytes());
                bytes.extend([1, 2, 0, 0]);
            }
            let read: Vec<_> = Messages(&bytes).map(|(kind, body)| (kind, body.len())).collect();
            prop_assert_eq!(read, kinds.into_iter().map(|kind| (kind, 2)).collect::<Vec<_>>());
        }
    }
}
