//! What is known of a connection: how far it is in each direction, and whether it is copied.

use aya_ebpf::helpers::bpf_probe_read_user_buf;
use weir_ebpf::loss::Cause;
use weir_ebpf::policy::{Handle, Steer, TESTED, halves, looks_like_http};
use weir_ebpf::record::{Closed, kind};

use super::call::{Call, Way};
use crate::maps::{CONNECTIONS, RING, STEERING, count_lost};
use crate::stamp::{self, Incarnation};
use crate::wake;

/// A connection, by [`Handle`].
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Connection {
    /// The program it belongs to; a table entry of another is not this connection.
    incarnation: Incarnation,
    /// When it was first seen.
    pub(crate) generation: u64,
    /// Bytes received.
    read: u64,
    /// Bytes sent.
    written: u64,
    /// Whether something that looks like HTTP has crossed it: 0 or 1.
    pub(crate) is_http: u64,
    /// The key that is written with, where that is known (`crate::aead`); else 0.
    pub(crate) writer: u64,
}

impl Connection {
    /// Takes over what one direction of it has been until now, and says at which position that begins.
    #[inline(always)]
    pub(crate) fn append(&mut self, before: &Self, way: Way) -> u64 {
        self.is_http |= before.is_http;
        let (total, more) = match way {
            Way::Read => (&mut self.read, before.read),
            Way::Write => (&mut self.written, before.written),
        };
        let offset = *total;
        *total = offset.wrapping_add(more);
        offset
    }
}

/// Counts `length` bytes, and says whether they are to be copied. If so, `call` knows from where
/// on, and in whose name.
#[inline(always)]
pub(crate) fn advance(call: &mut Call, way: Way, length: u64) -> bool {
    let Some(tgid) = stamp::watched_tgid() else {
        return false;
    };
    let handle = Handle { address: call.address, tgid, reserved: 0 };
    let incarnation = Incarnation::current();
    let Some(connection) = find(&handle, incarnation) else {
        count_lost(Cause::ConnectionsFull, length);
        return false;
    };
    // A TLS library lets one thread at a time use a connection in one direction, so the counters
    // need no lock.
    call.offset = match way {
        Way::Read => {
            let offset = connection.read;
            connection.read = offset.wrapping_add(length);
            offset
        }
        Way::Write => {
            let offset = connection.written;
            connection.written = offset.wrapping_add(length);
            offset
        }
    };
    if connection.is_http == 0 {
        if !starts_http(call.buffer, length) {
            return false;
        }
        connection.is_http = 1;
    }
    if is_unwanted(&handle, connection, way) {
        return false;
    }
    call.remaining = length;
    call.generation = connection.generation;
    call.start_ns = incarnation.start_ns;
    true
}

/// The connection has ended: forgets it, and says so if any of it was copied.
#[inline(always)]
pub(super) fn close(address: u64) {
    if let Some(tgid) = stamp::watched_tgid() {
        end(Handle { address, tgid, reserved: 0 });
    }
}

/// The same of any process, whoever runs.
#[inline(always)]
pub(crate) fn end(handle: Handle) {
    let Some(connection) = CONNECTIONS.get_ptr(handle) else {
        return;
    };
    // SAFETY: the entry may be reused by another CPU if it is evicted right now; then the record
    // names a connection that user space doesn't know, and is ignored.
    let connection = unsafe { *connection };
    let _present = CONNECTIONS.remove(handle);
    if connection.is_http == 0 {
        return;
    }
    let _absent = STEERING.remove(handle);
    let mut head = stamp::head(kind::CLOSED, connection.incarnation.start_ns);
    head.tgid = handle.tgid;
    match RING.reserve::<Closed>(0) {
        Some(mut entry) => {
            entry.write(Closed {
                head,
                handle: handle.address,
                generation: connection.generation,
                read_total: connection.read,
                write_total: connection.written,
            });
            entry.submit(wake::patient());
        }
        None => count_lost(Cause::Control, 0),
    }
    wake::if_armed();
}

/// The table's entry, made anew if there is none or it is of a program that has gone.
#[inline(always)]
pub(crate) fn find(handle: &Handle, incarnation: Incarnation) -> Option<&'static mut Connection> {
    if let Some(connection) = CONNECTIONS.get_ptr_mut(handle) {
        // SAFETY: see `advance`.
        let connection = unsafe { &mut *connection };
        if connection.incarnation == incarnation {
            return Some(connection);
        }
    }
    let generation = stamp::now_ns();
    let new = Connection { incarnation, generation, read: 0, written: 0, is_http: 0, writer: 0 };
    CONNECTIONS.insert(handle, new, 0).ok()?;
    // SAFETY: see `advance`.
    CONNECTIONS.get_ptr_mut(handle).map(|connection| unsafe { &mut *connection })
}

#[inline(always)]
fn starts_http(buffer: u64, length: u64) -> bool {
    let mut first = [0u8; TESTED];
    let tested = if length < TESTED as u64 { length as u32 } else { TESTED as u32 };
    // A read of constant length is simpler to verify; only a buffer that is short needs care, since
    // what follows it may not be mapped.
    // SAFETY: the helper checks the address.
    let read = unsafe {
        if tested == TESTED as u32 {
            bpf_probe_read_user_buf(buffer as *const u8, &mut first)
        } else {
            let short = first.get_unchecked_mut(..(tested & 15) as usize);
            bpf_probe_read_user_buf(buffer as *const u8, short)
        }
    };
    if read.is_err() {
        count_lost(Cause::Unreadable, length);
        return false;
    }
    let [first, next] = halves(first);
    looks_like_http(first, next, tested)
}

#[inline(always)]
fn is_unwanted(handle: &Handle, connection: &Connection, way: Way) -> bool {
    let Some(steer) = STEERING.get_ptr(handle) else {
        return false;
    };
    // SAFETY: the entry is two integers. Should user space replace it right now, we see the one or
    // the other, or a generation that doesn't match.
    let Steer { generation, skip_reads_until_write_beyond: until } = unsafe { *steer };
    if generation != connection.generation {
        return false;
    }
    until == Steer::IGNORE || (way == Way::Read && connection.written <= until)
}
