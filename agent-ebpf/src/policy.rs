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

/// How many bytes [`looks_like_http`] can make use of.
pub const TESTED: usize = 8;

/// Whether a buffer that begins with these bytes may be the start of an HTTP message. `first` holds
/// its first `length` bytes, at most [`TESTED`], the first of them lowest; the rest is 0. A buffer
/// shorter than a method counts if the method begins with it.
#[must_use]
#[inline(always)]
pub fn looks_like_http(first: u64, length: u32) -> bool {
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
}

#[inline(always)]
fn begins(first: u64, length: u32, pattern: [u8; TESTED], pattern_length: u32) -> bool {
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
        let mut first = [0; TESTED];
        let length = buffer.len().min(TESTED);
        first[..length].copy_from_slice(&buffer[..length]);
        looks_like_http(u64::from_le_bytes(first), u32::try_from(length).unwrap())
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
    fn what_is_not_http_does_not() {
        for text in
            ["", "GETX", "post /", "HTTP/2 200", "SSH-2.0-", "\u{0}", "PRIVMSG #a", "*1\r\n"]
        {
            assert!(!check(text.as_bytes()), "{text:?}");
        }
    }
}
