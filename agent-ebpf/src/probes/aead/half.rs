//! One direction of a connection: a key, and the socket that it belongs to once that has been shown.

use weir_ebpf::limit::HELD_MAX;
use weir_ebpf::loss::Cause;
use weir_ebpf::policy::Handle;
use weir_ebpf::record::{Joined, kind};

use crate::maps::{CONNECTIONS, HALVES, RING, count_lost};
use crate::stamp::{self, Incarnation};
use crate::tls::{Call, Way, connection, copy};
use crate::wake;

/// A key that records are sealed or opened with, by the [`Handle`] of its object.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Half {
    /// What its nonces have in common. Another key may come to be at the same address.
    key: u64,
    /// The socket; 0 if that has not been shown yet, [`REFUSED`] if more than one has been, or none for too
    /// long.
    socket: u64,
}

/// No address: what is said is not carried any more.
const REFUSED: u64 = u64::MAX;

impl Half {
    #[inline(always)]
    pub(super) fn is_joined(&self) -> bool {
        self.socket != 0
    }
}

/// The table's entry, made anew if there is none or it is of another key.
#[inline(always)]
pub(super) fn of(cipher: u64, tgid: u32, key: u64) -> Option<&'static mut Half> {
    let handle = Handle { address: cipher, tgid, reserved: 0 };
    if let Some(half) = HALVES.get_ptr_mut(handle) {
        // SAFETY: a key is used by one thread at a time. Should the entry be evicted and reused right now,
        // its key is another.
        let half = unsafe { &mut *half };
        if half.key == key {
            return Some(half);
        }
        // What was sent or received with the key before is in an entry of its own until it is joined.
        let _joined_already = CONNECTIONS.remove(handle);
    }
    HALVES.insert(handle, Half { key, socket: 0 }, 0).ok()?;
    // SAFETY: see above.
    HALVES.get_ptr_mut(handle).map(|half| unsafe { &mut *half })
}

/// The same, if it is there.
#[inline(always)]
pub(super) fn known(cipher: u64, tgid: u32, key: u64) -> Option<&'static mut Half> {
    let half = HALVES.get_ptr_mut(Handle { address: cipher, tgid, reserved: 0 })?;
    // SAFETY: see `of`.
    let half = unsafe { &mut *half };
    (half.key == key).then_some(half)
}

/// Counts a record's data and has it copied if it is wanted: as the connection's if that is known, else
/// as the key's own until it is.
#[inline(always)]
pub(super) fn carry(half: &mut Half, cipher: u64, way: Way, buffer: u64, length: u64) {
    let (address, kind) = match half.socket {
        REFUSED => {
            count_lost(Cause::Unpaired, length);
            return;
        }
        0 => (cipher, kind::HELD),
        socket => (socket, kind::SEGMENT),
    };
    let mut call = Call::of_record(address, buffer);
    if connection::advance(&mut call, way, length) {
        copy::whole(kind, &call, way);
        if half.socket == 0 && call.has_reached(HELD_MAX) {
            half.socket = REFUSED;
        }
    }
}

/// It has been shown that the key belongs to `socket`.
#[inline(always)]
pub(super) fn join(half: &mut Half, cipher: u64, tgid: u32, way: Way, socket: u64) {
    if half.socket == socket || half.socket == REFUSED {
        return;
    }
    if half.socket != 0 {
        half.socket = REFUSED;
        return;
    }
    let incarnation = Incarnation::current();
    let own = Handle { address: cipher, tgid, reserved: 0 };
    let whole = Handle { address: socket, tgid, reserved: 0 };
    let Some(connection) = connection::find(&whole, incarnation) else {
        return;
    };
    // Who writes to a socket is who has always written to it, or a thread that has sealed something and
    // not sent it was wrong about what it sends now.
    if way == Way::Write {
        if connection.writer != 0 && connection.writer != half.key {
            return;
        }
        connection.writer = half.key;
    }
    half.socket = socket;
    let Some(before) = CONNECTIONS.get_ptr(own) else {
        return;
    };
    // SAFETY: see `connection::advance`.
    let before = unsafe { *before };
    let _present = CONNECTIONS.remove(own);
    let offset = connection.append(&before, way);
    if before.is_http == 0 {
        return;
    }
    match RING.reserve::<Joined>(0) {
        Some(mut entry) => {
            entry.write(Joined {
                head: stamp::head(kind::JOINED, incarnation.start_ns),
                held: cipher,
                held_generation: before.generation,
                handle: socket,
                generation: connection.generation,
                offset,
            });
            entry.submit(wake::patient());
        }
        None => count_lost(Cause::Control, 0),
    }
    wake::if_armed();
}
