//! Records of TLS where they are sealed and opened: what programs that bring their own TLS give to the ciphers
//! of AWS-LC or ring. rustls does.
//!
//! A cipher's key is one direction of one connection. Which connection that is, is shown by the buffers:
//! what a thread has received from a socket is where the record lies that it then opens ([`socket`]), and
//! the record that it has sealed is in what it then sends. Where these are copies, the tag shows that they are
//! of the same record ([`ring`]). What can't be shown is not guessed.
//!
//! A record is at once all that its call says, so a sealed one is copied before it is sealed, in place, and
//! never split. One whose sealing fails would be one too many; but that ends the connection.

mod arguments;
mod half;
mod ring;
mod socket;
mod system_call;

pub(crate) use half::Half;
pub(crate) use socket::{Received, Sealed};

use aya_ebpf::EbpfContext as _;
use aya_ebpf::helpers::{bpf_probe_read_user, bpf_probe_read_user_buf};
use aya_ebpf::macros::{uprobe, uretprobe};
use aya_ebpf::programs::{ProbeContext, RetProbeContext};
use weir_ebpf::loss::Cause;
use weir_ebpf::sealed::{APPLICATION_DATA, NONCE, TAG, Version, inner, key, version};

use crate::maps::{OPENS, count_lost};
use crate::stamp;
use crate::tls::{Way, register};

/// What a cipher was given.
struct Arguments {
    /// The key's object.
    cipher: u64,
    /// Where it leaves what it makes.
    out: u64,
    nonce: u64,
    nonce_length: u64,
    input: u64,
    /// In bytes; a tag at the end is not counted.
    length: u64,
    additional: u64,
    additional_length: u64,
}

/// A record that is being opened.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Opening {
    /// The stack pointer at entry.
    stack: u64,
    cipher: u64,
    key: u64,
    /// Where the text will be.
    out: u64,
    /// The socket that it was received from; 0 if that isn't known.
    socket: u64,
    /// Bytes of the text, with its type where that is in it.
    length: u32,
    /// 1 if it is.
    is_typed: u32,
    opens_if: OpensIf,
}

/// How it is known that a record was opened and is whole.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct OpensIf {
    /// Where the tag will be that was found to be right; 0 if the function returns 1 instead.
    result: u64,
    /// The one that the record has.
    tag: [u64; 2],
}

impl OpensIf {
    const RETURNED: Self = Self { result: 0, tag: [0; 2] };
}

#[uprobe]
fn seal_enter(ctx: ProbeContext) -> u32 {
    if let Some(given) = arguments::of_seal(&ctx) {
        seal(&given, Sealed::in_place(&given));
    }
    0
}

#[uprobe]
fn scatter_enter(ctx: ProbeContext) -> u32 {
    if let Some(given) = arguments::of_seal_scatter(&ctx) {
        seal(&given, Sealed::in_place(&given));
    }
    0
}

#[uprobe]
fn unseal_enter(ctx: ProbeContext) -> u32 {
    if let Some(given) = arguments::of_open(&ctx) {
        let socket = socket::of_received(given.input, given.length.wrapping_add(TAG));
        open(&given, register::entry_stack(&ctx), socket, OpensIf::RETURNED);
    }
    0
}

#[uprobe]
fn gather_enter(ctx: ProbeContext) -> u32 {
    if let Some(given) = arguments::of_open_gather(&ctx) {
        let socket = socket::of_received(given.input, given.length.wrapping_add(TAG));
        open(&given, register::entry_stack(&ctx), socket, OpensIf::RETURNED);
    }
    0
}

#[uretprobe]
fn unseal_return(ctx: RetProbeContext) -> u32 {
    opened(&ctx, register::entry_stack_of_returned(&ctx));
    0
}

#[uprobe]
fn unseal_exit(ctx: ProbeContext) -> u32 {
    opened(&RetProbeContext::new(ctx.as_ptr()), register::entry_stack(&ctx));
    0
}

/// `sealed` says how the record will be known when it is sent.
#[inline(always)]
fn seal(given: &Arguments, sealed: Sealed) {
    let Some(tgid) = stamp::watched_tgid() else {
        return;
    };
    let Some((version, key)) = record(given) else {
        return;
    };
    socket::watch(tgid);
    let Some(length) = data(given.input, given.length, version) else {
        return;
    };
    let Some(half) = half::of(given.cipher, tgid, key) else {
        count_lost(Cause::ConnectionsFull, length);
        return;
    };
    if half.is_joined() {
        socket::forget_sealed();
    } else {
        socket::keep_sealed(sealed, key);
    }
    half::carry(half, given.cipher, Way::Write, given.input, length);
}

/// Keeps what is known at the entry: the record was received from `socket`, unless that is 0. `open` may call
/// `open_gather`; that is one record.
#[inline(always)]
fn open(given: &Arguments, stack: u64, socket: u64, opens_if: OpensIf) {
    let Some(tgid) = stamp::watched_tgid() else {
        return;
    };
    let Some((version, key)) = record(given) else {
        return;
    };
    socket::watch(tgid);
    let thread = stamp::pid_tgid();
    if let Some(outer) = OPENS.get_ptr(thread) {
        // SAFETY: only this thread writes its entry, and it is here.
        if stack < unsafe { (*outer).stack } {
            return;
        }
    }
    let opening = Opening {
        stack,
        cipher: given.cipher,
        key,
        out: given.out,
        socket,
        length: given.length as u32,
        is_typed: u32::from(version == Version::Tls13),
        opens_if,
    };
    if OPENS.insert(thread, opening, 0).is_err() {
        count_lost(Cause::CallsFull, 0);
    }
}

#[inline(always)]
fn opened(ctx: &RetProbeContext, stack: u64) {
    let thread = stamp::pid_tgid();
    let Some(opening) = OPENS.get_ptr(thread) else {
        return;
    };
    // SAFETY: only this thread writes its entry, and it is here.
    let opening = unsafe { *opening };
    if stack < opening.stack {
        return;
    }
    let _present = OPENS.remove(thread);
    if stack > opening.stack || !is_opened(ctx, &opening.opens_if) {
        return;
    }
    let Some(tgid) = stamp::watched_tgid() else {
        return;
    };
    let version = if opening.is_typed == 1 { Version::Tls13 } else { Version::Tls12 };
    let Some(length) = data(opening.out, u64::from(opening.length), version) else {
        return;
    };
    let Some(half) = half::of(opening.cipher, tgid, opening.key) else {
        count_lost(Cause::ConnectionsFull, length);
        return;
    };
    if opening.socket != 0 {
        half::join(half, opening.cipher, tgid, Way::Read, opening.socket);
    }
    half::carry(half, opening.cipher, Way::Read, opening.out, length);
}

#[inline(always)]
fn is_opened(ctx: &RetProbeContext, opens_if: &OpensIf) -> bool {
    match opens_if.result {
        // A C `int`: the upper half of the register means nothing.
        0 => ctx.ret::<u64>() as i32 == 1,
        result => ring::tag(result) == Some(opens_if.tag),
    }
}

/// The version and the key, if what the cipher was given is a record that may carry data.
#[inline(always)]
fn record(given: &Arguments) -> Option<(Version, u64)> {
    if given.nonce_length != NONCE {
        return None;
    }
    let mut additional = [0u8; 16];
    // Reads of constant length are simple to verify.
    // SAFETY: the helper checks the address.
    let read = unsafe {
        match given.additional_length {
            weir_ebpf::sealed::ADDITIONAL_13 => bpf_probe_read_user_buf(
                given.additional as *const u8,
                additional.first_chunk_mut::<5>()?,
            ),
            weir_ebpf::sealed::ADDITIONAL_12 => bpf_probe_read_user_buf(
                given.additional as *const u8,
                additional.first_chunk_mut::<13>()?,
            ),
            _ => return None,
        }
    };
    read.ok()?;
    let version = version(additional, given.additional_length, given.length)?;
    // SAFETY: the helper checks the address.
    let nonce = unsafe { bpf_probe_read_user(given.nonce as *const [u8; 8]) }.ok()?;
    Some((version, key(nonce, version)))
}

/// How many bytes of data are in the text of a record, if it is of that type.
#[inline(always)]
fn data(text: u64, length: u64, version: Version) -> Option<u64> {
    match version {
        Version::Tls12 => Some(length),
        Version::Tls13 => {
            let (kind, length) = typed(text, length)?;
            (kind == APPLICATION_DATA && length > 0).then_some(length)
        }
    }
}

/// The longest text is of so many words.
const WORDS: u32 = (weir_ebpf::sealed::PLAIN_MAX / 8) as u32 + 1;

/// The type at the end of a text, and how much is before it.
#[inline(always)]
fn typed(text: u64, mut length: u64) -> Option<(u8, u64)> {
    for _ in 0..WORDS {
        if length < 8 {
            break;
        }
        let last = text.wrapping_add(length - 8);
        // SAFETY: the helper checks the address.
        let last = unsafe { bpf_probe_read_user(last as *const u64) }.ok()?;
        if let Some(found) = inner(last, length) {
            return Some(found);
        }
        length -= 8;
    }
    for _ in 0..8 {
        if length == 0 {
            break;
        }
        let last = text.wrapping_add(length - 1);
        // SAFETY: the helper checks the address.
        let last = unsafe { bpf_probe_read_user(last as *const u8) }.ok()?;
        length -= 1;
        if last != 0 {
            return Some((last, length));
        }
    }
    None
}
