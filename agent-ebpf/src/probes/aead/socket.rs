//! What threads receive and send: where it lies in their memory, and which socket that is. Only threads of
//! programs that seal and open records are of interest.
//!
//! The tracepoints `sock_recv_length(sk, ret, flags)` and `sock_send_length` (Linux 6.3) are where that is
//! known; the buffers are arguments of the system call that the thread is in.

use aya_ebpf::helpers::bpf_probe_read_user;
use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use weir_ebpf::policy::Handle;
use weir_ebpf::sealed::{HEADER, TAG};

use super::{Arguments, half, ring, system_call};
use crate::maps::{RECEIVED, SEALED, SEALERS, SOCKET_FAMILY, SOCKETS};
use crate::stamp::{self, field};
use crate::tls::{Way, connection};

/// What a thread has received last.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Received {
    socket: u64,
    buffer: u64,
    length: u64,
}

/// The record that a thread has sealed first of those that it has not been seen to send.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Sealed {
    cipher: u64,
    key: u64,
    /// 0 where a copy of it is sent.
    at: u64,
    length: u64,
    /// Where its tag will be; 0 if nobody looks for it, or it is known.
    result: u64,
    /// Its tag; zeros if that isn't known.
    tag: [u64; 2],
}

impl Sealed {
    /// One that is sent from where it is sealed.
    #[inline(always)]
    pub(super) fn in_place(given: &Arguments) -> Self {
        let length = given.length.wrapping_add(TAG);
        Self { cipher: given.cipher, key: 0, at: given.out, length, result: 0, tag: [0; 2] }
    }

    /// One that is copied before it is sent, whose tag will be in `result`. No buffer begins at 0.
    #[inline(always)]
    pub(super) fn to_be_copied(given: &Arguments, result: u64) -> Self {
        Self { at: 0, result, ..Self::in_place(given) }
    }
}

/// Address families (`sys/socket.h`).
const INTERNET: u16 = 2;
const INTERNET_6: u16 = 10;
/// States of sockets (`net/tcp_states.h`).
const SYN_SENT: u32 = 2;
const SYN_RECEIVED: u32 = 3;
const CLOSED: u32 = 7;
/// Parts of one call that are looked at.
const PARTS: u64 = 8;
/// Records in what was received that are looked at.
const RECORDS: u64 = 8;

/// Looks at what threads of this process receive and send from now on.
#[inline(always)]
pub(super) fn watch(tgid: u32) {
    if SEALERS.get_ptr(tgid).is_none() {
        let _full = SEALERS.insert(tgid, 1, 0);
    }
}

#[inline(always)]
pub(super) fn keep_sealed(record: Sealed, key: u64) {
    let thread = stamp::pid_tgid();
    if let Some(sealed) = SEALED.get_ptr(thread) {
        // SAFETY: only this thread writes its entry, and it is here.
        let sealed = unsafe { *sealed };
        if sealed.cipher == record.cipher && sealed.key == key {
            return;
        }
    }
    let _full = SEALED.insert(thread, Sealed { key, ..record }, 0);
}

/// Adds its tag to the record that this thread has sealed first, if that is the one with this result.
#[inline(always)]
pub(super) fn keep_tag(result: u64) {
    let Some(sealed) = SEALED.get_ptr_mut(stamp::pid_tgid()) else {
        return;
    };
    // SAFETY: only this thread writes its entry, and it is here.
    let sealed = unsafe { &mut *sealed };
    if result == 0 || sealed.result != result {
        return;
    }
    // Whatever is left there next is of another record.
    sealed.result = 0;
    if let Some(tag) = ring::tag(result) {
        sealed.tag = tag;
    }
}

#[inline(always)]
pub(super) fn forget_sealed() {
    let _absent = SEALED.remove(stamp::pid_tgid());
}

/// The socket from which this thread has last received, if that reached into these bytes; else 0.
#[inline(always)]
pub(super) fn of_received(at: u64, length: u64) -> u64 {
    let Some(received) = RECEIVED.get_ptr(stamp::pid_tgid()) else {
        return 0;
    };
    // SAFETY: only this thread writes its entry, and it is here.
    let received = unsafe { *received };
    let end = received.buffer.wrapping_add(received.length);
    if at < end && received.buffer < at.wrapping_add(length) { received.socket } else { 0 }
}

/// The same, if one of the first records in what it has received has this tag, or if it ends with that.
#[inline(always)]
pub(super) fn of_received_copy(tag: [u64; 2]) -> u64 {
    let Some(received) = RECEIVED.get_ptr(stamp::pid_tgid()) else {
        return 0;
    };
    // SAFETY: only this thread writes its entry, and it is here.
    let received = unsafe { *received };
    let is_before = |into: u64| {
        let last = received.buffer.wrapping_add(into).wrapping_sub(TAG);
        ring::words(last) == Some(tag)
    };
    if received.length < TAG {
        return 0;
    }
    if is_before(received.length) {
        return received.socket;
    }
    let mut end = 0;
    for _ in 0..RECORDS {
        let length = received.buffer.wrapping_add(end + HEADER - 2) as *const [u8; 2];
        // SAFETY: the helper checks the address.
        let Ok(length) = (unsafe { bpf_probe_read_user(length) }) else {
            return 0;
        };
        end += HEADER + u64::from(u16::from_be_bytes(length));
        if end > received.length {
            return 0;
        }
        if end >= TAG && is_before(end) {
            return received.socket;
        }
    }
    0
}

#[raw_tracepoint(tracepoint = "sock_recv_length")]
fn received(ctx: RawTracePointContext) -> i32 {
    let (socket, length) = (ctx.arg::<u64>(0), ctx.arg::<u64>(1) as i32);
    let thread = stamp::pid_tgid();
    if length <= 0 || SEALERS.get_ptr((thread >> 32) as u32).is_none() || !is_internet(socket) {
        return 0;
    }
    match Parts::of(system_call::RECEIVES).and_then(|parts| parts.at(0)) {
        Some([buffer, _room]) => {
            let length = u64::from(length.unsigned_abs());
            let _full = RECEIVED.insert(thread, Received { socket, buffer, length }, 0);
            remember(socket);
        }
        None => {
            let _absent = RECEIVED.remove(thread);
        }
    }
    0
}

#[raw_tracepoint(tracepoint = "sock_send_length")]
fn sent(ctx: RawTracePointContext) -> i32 {
    let (socket, length) = (ctx.arg::<u64>(0), ctx.arg::<u64>(1) as i32);
    if length <= 0 {
        return 0;
    }
    let thread = stamp::pid_tgid();
    let Some(sealed) = SEALED.get_ptr(thread) else {
        return 0;
    };
    // SAFETY: only this thread writes its entry, and it is here.
    let sealed = unsafe { *sealed };
    let _present = SEALED.remove(thread);
    if !is_internet(socket) {
        return 0;
    }
    let Some(parts) = Parts::of(system_call::SENDS) else {
        return 0;
    };
    let tgid = (thread >> 32) as u32;
    if (parts.hold(sealed.at, sealed.length) || parts.end_in(sealed.tag))
        && let Some(half) = half::known(sealed.cipher, tgid, sealed.key)
    {
        remember(socket);
        half::join(half, sealed.cipher, tgid, Way::Write, socket);
    }
    0
}

/// `inet_sock_set_state(sk, oldstate, newstate)`: whatever was at a socket's address has ended when it
/// closes, and when another begins there.
#[raw_tracepoint(tracepoint = "inet_sock_set_state")]
fn socket_state(ctx: RawTracePointContext) -> i32 {
    let (socket, state) = (ctx.arg::<u64>(0), ctx.arg::<u64>(2) as u32);
    if state != CLOSED && state != SYN_SENT && state != SYN_RECEIVED {
        return 0;
    }
    let Some(tgid) = SOCKETS.get_ptr(socket) else {
        return 0;
    };
    // SAFETY: an integer; should the entry be reused right now, there is no such connection.
    let tgid = unsafe { *tgid };
    let _present = SOCKETS.remove(socket);
    connection::end(Handle { address: socket, tgid, reserved: 0 });
    0
}

/// Notes who has it, for when it ends. If that was not known, nobody has told of the end of another that
/// was at its address.
#[inline(always)]
fn remember(socket: u64) {
    if SOCKETS.get_ptr(socket).is_none() {
        let tgid = (stamp::pid_tgid() >> 32) as u32;
        connection::end(Handle { address: socket, tgid, reserved: 0 });
        let _full = SOCKETS.insert(socket, tgid, 0);
    }
}

#[inline(always)]
fn is_internet(socket: u64) -> bool {
    let family: u16 = field(socket, SOCKET_FAMILY.load());
    family == INTERNET || family == INTERNET_6
}

/// The buffers of a system call.
enum Parts {
    /// One: its address and length.
    One([u64; 2]),
    /// The address of an array of such, and how many there are.
    Many(u64, u64),
}

impl Parts {
    /// Those of the call that this thread is in, if it is one of `calls`.
    #[inline(always)]
    fn of(calls: system_call::Numbers) -> Option<Self> {
        let [number, buffer, count] = system_call::current()?;
        if number == calls.plain || number == calls.addressed {
            Some(Self::One([buffer, count]))
        } else if number == calls.vectored {
            Some(Self::Many(buffer, count))
        } else if number == calls.message {
            // `msg_iov` and `msg_iovlen` of a `struct msghdr`.
            let vector = buffer.wrapping_add(16) as *const [u64; 2];
            // SAFETY: the helper checks the address.
            let [parts, count] = unsafe { bpf_probe_read_user(vector) }.ok()?;
            Some(Self::Many(parts, count))
        } else {
            None
        }
    }

    /// The buffer of this number.
    #[inline(always)]
    fn at(&self, number: u64) -> Option<[u64; 2]> {
        match *self {
            Self::One(part) => (number == 0).then_some(part),
            Self::Many(parts, count) => {
                (number < count).then_some(())?;
                let part = parts.wrapping_add(number * 16) as *const [u64; 2];
                // SAFETY: the helper checks the address.
                unsafe { bpf_probe_read_user(part) }.ok()
            }
        }
    }

    /// Whether one of the first of them ends in a tag, if there is one.
    #[inline(always)]
    fn end_in(&self, tag: [u64; 2]) -> bool {
        if tag == [0; 2] {
            return false;
        }
        for number in 0..PARTS {
            let Some([buffer, room]) = self.at(number) else {
                return false;
            };
            if room >= TAG && ring::words(buffer.wrapping_add(room - TAG)) == Some(tag) {
                return true;
            }
        }
        false
    }

    /// Whether these bytes are all in one of the first of them.
    #[inline(always)]
    fn hold(&self, at: u64, length: u64) -> bool {
        for number in 0..PARTS {
            let Some([buffer, room]) = self.at(number) else {
                return false;
            };
            let into = at.wrapping_sub(buffer);
            if at >= buffer && into.wrapping_add(length) <= room {
                return true;
            }
        }
        false
    }
}
