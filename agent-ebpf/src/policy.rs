//! Which bytes of a connection are copied at all.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Names a connection among those that exist now: the key of the kernel's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Handle {
    /// Address of the TLS library's connection object.
    pub address: u64,
    /// The process that holds it.
    pub tgid: u32,
    /// Always 0.
    pub reserved: u32,
}

/// What user space wants to see of a connection from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Steer {
    /// The connection's generation; an entry for another generation has no effect.
    pub generation: u64,
    /// While the connection has not written beyond this offset, what it reads is not copied.
    /// [`Steer::IGNORE`] means that nothing is copied any more, in either direction.
    pub skip_reads_until_write_beyond: u64,
}

impl Steer {
    /// An offset that no connection reaches.
    pub const IGNORE: u64 = u64::MAX;
}

const _: () = assert!(size_of::<Handle>() == 16 && size_of::<Steer>() == 16);

/// How many bytes [`looks_like_http`] can make use of: those of a WebSocket frame's longest header,
/// and two of what it carries.
pub const TESTED: usize = 16;

/// Whether a buffer that begins with these bytes may be the start of an HTTP message, of an HTTP/2
/// frame or of a WebSocket message: a connection that was there before the probes has said its
/// preface. `first` and `next` hold the buffer's first `length` bytes, at most [`TESTED`], the first
/// of them lowest in `first`; the rest is 0. A buffer shorter than a method counts if the method
/// begins with it.
#[must_use]
#[inline(always)]
pub fn looks_like_http(first: u64, next: u64, length: u32) -> bool {
    begins(first, length, *b"POST \0\0\0", 5)
        || begins(first, length, *b"HTTP/1.\0", 7)
        || begins(first, length, *b"GET \0\0\0\0", 4)
        || begins(first, length, *b"PRI * HT", 8)
        || begins(first, length, *b"HEAD \0\0\0", 5)
        || begins(first, length, *b"PUT \0\0\0\0", 4)
        || begins(first, length, *b"DELETE \0", 7)
        || begins(first, length, *b"OPTIONS ", 8)
        || begins(first, length, *b"PATCH \0\0", 6)
        || begins(first, length, *b"CONNECT ", 8)
        || begins(first, length, *b"TRACE \0\0", 6)
        || looks_like_frame(first, length)
        || looks_like_message(first, next, length)
}

/// The flags that frames of HTTP/2 may have, a byte for each type from 0 on (RFC 9113, section 6).
/// The last type, `WINDOW_UPDATE`, has none, and CONTINUATION is no place to begin.
const FLAGS: u64 = u64::from_le_bytes([0x09, 0x2d, 0, 0, 0x01, 0x0c, 0x01, 0]);
/// Their lengths, where these are fixed, else 0.
const LENGTHS: u64 = u64::from_le_bytes([0, 0, 5, 4, 0, 0, 8, 0]);
/// Types by number.
const DATA: u64 = 0;
const SETTINGS: u64 = 4;
const PING: u64 = 6;
const GOAWAY: u64 = 7;
const WINDOW_UPDATE: u64 = 8;
/// DATA: the last of its stream. SETTINGS: an answer, which says nothing.
const LAST_OR_ACK: u64 = 1;
/// Longest frame that every peer takes, in bytes; and the longest SETTINGS and GOAWAY that are
/// believed.
const USUAL_LENGTH: u64 = 1 << 14;
const USUAL_CONTROL: u64 = 256;

/// Whether these may be the first 8 of the 9 bytes of an HTTP/2 frame's head: length in 3 bytes,
/// type, flags, stream in 4. The core asks the same of all nine, and more of what follows.
#[inline(always)]
fn looks_like_frame(first: u64, available: u32) -> bool {
    let length = (first & 0xff) << 16 | (first >> 8 & 0xff) << 8 | first >> 16 & 0xff;
    let kind = first >> 24 & 0xff;
    let flags = first >> 32 & 0xff;
    // All but the last byte. The highest bit is reserved and 0, and nobody gets near 2^24 streams.
    let stream = first >> 40;
    if available < 8 || length > USUAL_LENGTH || kind > WINDOW_UPDATE || stream & 0xff != 0 {
        return false;
    }
    let (allowed, fixed) = if kind == WINDOW_UPDATE {
        (0, 4)
    } else {
        let shift = 8 * (kind & 7);
        (FLAGS >> shift & 0xff, LENGTHS >> shift & 0xff)
    };
    if flags & !allowed != 0 || fixed != 0 && length != fixed {
        return false;
    }
    match kind {
        DATA => length > 0 || flags & LAST_OR_ACK != 0,
        SETTINGS => {
            let fits = length <= USUAL_CONTROL && length.is_multiple_of(6);
            fits && stream == 0 && (length == 0 || flags == 0)
        }
        PING => stream == 0,
        GOAWAY => stream == 0 && (8..=USUAL_CONTROL).contains(&length),
        _ => length > 0,
    }
}

/// What the first frame of a WebSocket message begins with that is neither compressed nor one of
/// several (RFC 6455, section 5.2): of text, or of bytes, which some servers call their JSON.
const WHOLE_TEXT: u64 = 0x81;
const WHOLE_BYTES: u64 = 0x82;
/// The bit that says that a frame is masked, as all of a client are.
const MASKED: u64 = 0x80;

/// Whether these may be the first bytes of a WebSocket message that is a JSON object. The core asks
/// the same, and more of what follows.
#[inline(always)]
fn looks_like_message(first: u64, next: u64, available: u32) -> bool {
    let flags = first & 0xff;
    let length = first >> 8 & 0xff;
    if flags != WHOLE_TEXT && flags != WHOLE_BYTES {
        return false;
    }
    let header = match length & !MASKED {
        // The rest is a length of 16 bits, or of 64 of which nobody uses the upper 32.
        126 => 4,
        127 if first >> 16 & 0xffff_ffff == 0 => 10,
        127 => return false,
        _ => 2,
    };
    let masked = length & MASKED != 0;
    let text = if masked { header + 4 } else { header };
    let plain = |place: u32| {
        let mask = if masked { byte(first, next, header + place) } else { 0 };
        byte(first, next, text + place) ^ mask
    };
    let after = plain(1);
    available >= text + 2
        && plain(0) == b'{' as u64
        && (after == b'"' as u64 || after == b'\n' as u64 || after == b' ' as u64)
}

/// The byte at `place`, which is below [`TESTED`].
#[inline(always)]
fn byte(first: u64, next: u64, place: u32) -> u64 {
    let half = if place < 8 { first } else { next };
    half >> (8 * (place & 7)) & 0xff
}

/// The first and the next 8 of these bytes, as [`looks_like_http`] takes them.
#[must_use]
#[inline(always)]
pub fn halves(bytes: [u8; TESTED]) -> [u64; 2] {
    let both = u128::from_le_bytes(bytes);
    [both as u64, (both >> 64) as u64]
}

#[inline(always)]
fn begins(first: u64, length: u32, pattern: [u8; 8], pattern_length: u32) -> bool {
    let compared = if length < pattern_length { length } else { pattern_length };
    if compared == 0 {
        return false;
    }
    let mask = u64::MAX >> (64 - 8 * (compared & 15));
    first & mask == u64::from_le_bytes(pattern) & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(buffer: &[u8]) -> bool {
        let mut bytes = [0; TESTED];
        let length = buffer.len().min(TESTED);
        bytes[..length].copy_from_slice(&buffer[..length]);
        let [first, next] = halves(bytes);
        looks_like_http(first, next, u32::try_from(length).unwrap())
    }

    #[test]
    fn requests_and_responses_pass() {
        for text in [
            "GET / HTTP/1.1",
            "POST /v1/chat/completions HTTP/1.1",
            "HTTP/1.1 200 OK",
            "HTTP/1.0 200 OK",
            "PRI * HTTP/2.0",
            "OPTIONS * HTTP/1.1",
            "P",
            "HTT",
            "DELETE /",
        ] {
            assert!(check(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn frames_pass() {
        for frame in [
            &b"\0\0\x12\x04\0\0\0\0\0"[..],
            b"\0\0\0\x04\x01\0\0\0\0",
            b"\0\0\x04\x08\0\0\0\0\x01",
            b"\0\0\x2a\x01\x25\0\0\0\x01",
            b"\0\x40\0\0\0\0\x12\x34\x07",
            b"\0\0\0\0\x01\0\0\0\x07",
            b"\0\0\x64\0\x08\0\0\0\x07",
            b"\0\0\x05\x02\0\0\0\0\x07",
            b"\0\0\x04\x03\0\0\0\0\x07",
            b"\0\0\x20\x05\x04\0\0\0\x07",
            b"\0\0\x08\x06\x01\0\0\0\0",
            b"\0\0\x08\x07\0\0\0\0\0",
        ] {
            assert!(check(frame), "{frame:?}");
        }
    }

    #[test]
    fn what_is_no_frame_does_not() {
        for (bytes, why) in [
            (&b"\0\0\x12\x04\0\0\0"[..], "cut"),
            (b"\0\0\0\0\0\0\0\0\0", "zeros"),
            (b"\0\x40\x01\0\0\0\0\0\x07", "too long"),
            (b"\x01\0\0\0\0\0\0\0\x07", "much too long"),
            (b"\0\0\x05\0\x02\0\0\0\x07", "a flag that DATA has not"),
            (b"\0\0\0\x01\x04\0\0\0\x07", "a header block of nothing"),
            (b"\0\0\x05\x01\x04\x80\0\0\x07", "the reserved bit"),
            (b"\0\0\x05\x01\x04\x01\0\0\x07", "a stream beyond all"),
            (b"\0\0\x04\x02\0\0\0\0\x07", "a priority of four bytes"),
            (b"\0\0\x05\x03\0\0\0\0\x07", "a reset of five bytes"),
            (b"\0\0\x11\x04\0\0\0\0\0", "settings of 17 bytes"),
            (b"\0\0\x06\x04\x01\0\0\0\0", "an answer to settings that says something"),
            (b"\0\0\x06\x04\0\0\0\x01\0", "settings of a stream"),
            (b"\0\0\x07\x06\0\0\0\0\0", "a ping of seven bytes"),
            (b"\0\0\x08\x06\0\0\0\x01\0", "a ping of a stream"),
            (b"\0\x08\x08\x07\0\0\0\0\0", "a farewell that is too long"),
            (b"\0\0\x05\x08\0\0\0\0\0", "a window of five bytes"),
            (b"\0\0\x05\x09\x04\0\0\0\x07", "a continuation"),
            (b"\0\0\x05\x0a\0\0\0\0\0", "an extension"),
            (b"\0\0\0\x54\0\x03\0\0u", "PostgreSQL"),
            (b"\0\0\0\x2f\0\x12\0\x03", "Kafka"),
            (b"\0\0\0\x1a\x80\x01\0\x01", "Thrift"),
            (b"\x4a\0\0\0\x0a8.0", "MySQL"),
        ] {
            assert!(!check(bytes), "{why}");
        }
    }

    /// Of bytes from anywhere, less than one in a million looks like a frame.
    #[test]
    fn arbitrary_bytes_hardly_ever_pass() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            // xorshift64
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let passed = (0..10_000_000u32).filter(|_| {
            let (first, next) = (next(), next());
            looks_like_frame(first, 8) || looks_like_message(first, next, 16)
        });
        assert!(passed.count() < 20);
    }

    #[test]
    fn messages_pass() {
        for message in [
            &b"\x81\x0f{\"type\":\"error\"}"[..],
            b"\x82\x04{\n  \"",
            b"\x81\x7e\x01\0{\"type\"",
            b"\x81\x7f\0\0\0\0\0\x01\0\0{ \"type\"",
            b"\x81\x8f\x01\x02\x03\x04z v}",
            b"\x81\xfe\x01\0\x10\x20\x30\x40k\x02",
            b"\x82\xff\0\0\0\0\0\x01\0\0\x10\x20\x30\x40k\x02",
        ] {
            assert!(check(message), "{message:x?}");
        }
    }

    #[test]
    fn what_is_no_message_does_not() {
        for (bytes, why) in [
            (&b"\x81\x0f{"[..], "cut"),
            (b"\x81\xfe\x01\0\x10\x20\x30\x40k", "cut, and masked"),
            (b"\x81\x0fhello", "no object"),
            (b"\x81\x0f{x", "no JSON"),
            (b"\x81\x8f\x01\x02\x03\x04{\"", "not masked as it says"),
            (b"\xc1\x0f{\"", "compressed"),
            (b"\x01\x0f{\"", "one of several"),
            (b"\x89\x0f{\"", "a ping"),
            (b"\x81\x7f\0\0\0\x01\0\0\0\0{\"", "too long"),
        ] {
            assert!(!check(bytes), "{why}");
        }
    }

    #[test]
    fn what_is_not_http_does_not() {
        for text in
            ["", "GETX", "post /", "HTTP/2 200", "SSH-2.0-", "\u{0}", "PRIVMSG #a", "*1\r\n"]
        {
            assert!(!check(text.as_bytes()), "{text:?}");
        }
    }
}
