//! What a cipher's arguments tell of the TLS record that it seals or opens, if it is one.

/// Bytes of the nonce of every record.
pub const NONCE: u64 = 12;
/// Bytes that a record is longer by when it is sealed: those of the tag.
pub const TAG: u64 = 16;
/// Bytes of a record's type, version and length, which are before what is sealed (RFC 8446, section 5.1).
pub const HEADER: u64 = 5;
/// The most that a record can carry, in bytes: RFC 8446, section 5.1, and its type.
pub const PLAIN_MAX: u64 = (1 << 14) + 1;
/// Bytes of additional data (RFC 8446, section 5.2; RFC 5246, section 6.2.3.3).
pub const ADDITIONAL_13: u64 = 5;
/// The same of TLS 1.2.
pub const ADDITIONAL_12: u64 = 13;
/// The type of a record with an application's data.
pub const APPLICATION_DATA: u8 = 0x17;

/// A version of TLS, as far as records differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 1.2: the type is in the additional data, and the text is all data.
    Tls12,
    /// 1.3: the text ends in the type and zeros.
    Tls13,
}

/// What kind of a record it is whose text, with its type, has `length` bytes, or `None` if it is none that
/// carries data. `additional` begins with the `additional_length` bytes that are authenticated with it;
/// the rest is 0.
#[must_use]
#[inline(always)]
pub fn version(additional: [u8; 16], additional_length: u64, length: u64) -> Option<Version> {
    if length == 0 || length > PLAIN_MAX {
        return None;
    }
    let [first, second] = crate::policy::halves(additional);
    if additional_length == ADDITIONAL_13 {
        let says = u64::from(u16::from_be_bytes([additional[3], additional[4]]));
        let is_record = first & 0xff_ffff == 0x03_0317;
        return if is_record && says == length + TAG { Some(Version::Tls13) } else { None };
    }
    if additional_length == ADDITIONAL_12 {
        let says = u64::from(u16::from_be_bytes([additional[11], additional[12]]));
        let is_record = second & 0xff_ffff == 0x03_0317;
        return if is_record && says == length { Some(Version::Tls12) } else { None };
    }
    None
}

/// What all nonces of one key have in common: the rest of a nonce counts the records, or may do so. Keys
/// differ in it but for one pair in 2⁶⁴ or, of TLS 1.2, in 2³².
#[must_use]
#[inline(always)]
pub fn key(nonce: [u8; 8], version: Version) -> u64 {
    let nonce = u64::from_le_bytes(nonce);
    match version {
        Version::Tls12 => nonce & 0xffff_ffff,
        Version::Tls13 => nonce,
    }
}

/// The type of a record and how many bytes of data are before it, if these 8 bytes, which end `length`
/// bytes from its beginning, aren't all zeros. `length` is at least 8.
#[must_use]
#[inline(always)]
pub fn inner(last: u64, length: u64) -> Option<(u8, u64)> {
    if last == 0 {
        return None;
    }
    let zeros = u64::from(last.leading_zeros() / 8);
    let shift = 8 * (7 - zeros);
    Some(((last >> shift & 0xff) as u8, length - zeros - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn additional(bytes: &[u8]) -> ([u8; 16], u64) {
        let mut all = [0; 16];
        all[..bytes.len()].copy_from_slice(bytes);
        (all, bytes.len() as u64)
    }

    #[test]
    fn records_with_data_are_known_by_what_is_authenticated_with_them() {
        for (bytes, length, expected, why) in [
            (&b"\x17\x03\x03\x00\x15"[..], 5, Some(Version::Tls13), "TLS 1.3"),
            (b"\x17\x03\x03\x40\x11", PLAIN_MAX, Some(Version::Tls13), "the longest"),
            (b"\0\0\0\0\0\0\0\x01\x17\x03\x03\x00\x05", 5, Some(Version::Tls12), "TLS 1.2"),
            (b"\0\0\0\0\0\0\0\x01\x16\x03\x03\x00\x05", 5, None, "a handshake of TLS 1.2"),
            (b"\x17\x03\x03\x00\x15", 6, None, "another length"),
            (b"\x17\x03\x03\x00\x10", 0, None, "no type"),
            (b"\x17\x03\x03\x40\x12", PLAIN_MAX + 1, None, "too long"),
            (b"\x17\x03\x01\x00\x15", 5, None, "another version"),
            (b"\x16\x03\x03\x00\x15", 5, None, "another type"),
            (b"\x43\x00\x00\x00\x01", 5, None, "a packet of QUIC"),
            (b"", 5, None, "nothing"),
            (b"a name of a file", 5, None, "an application's own"),
        ] {
            let (all, count) = additional(bytes);
            assert_eq!(version(all, count, length), expected, "{why}");
        }
    }

    #[test]
    fn zeros_behind_the_type_are_no_data() {
        let word = u64::from_le_bytes;
        assert_eq!(inner(word(*b"abcdefg\x17"), 8), Some((0x17, 7)));
        assert_eq!(inner(word(*b"abcd\x17\0\0\0"), 108), Some((0x17, 104)));
        assert_eq!(inner(word(*b"\x15\0\0\0\0\0\0\0"), 8), Some((0x15, 0)));
        assert_eq!(inner(0, 8), None);
    }

    #[test]
    fn nonces_of_one_key_have_its_beginning() {
        let first = *b"\x01\x02\x03\x04\0\0\0\x05";
        let other = *b"\x01\x02\x03\x04\x09\x09\x09\x09";
        assert_eq!(key(first, Version::Tls12), key(other, Version::Tls12));
        assert_ne!(key(first, Version::Tls13), key(other, Version::Tls13));
    }

    proptest! {
        #[test]
        fn the_type_is_the_last_byte_that_is_not_zero(
            data in prop::collection::vec(any::<u8>(), 0..64),
            kind in 1u8..,
            zeros in 0usize..64,
        ) {
            let mut text = data.clone();
            text.push(kind);
            text.resize(text.len() + zeros, 0);
            // The text is looked at from its end on, 8 bytes at a time, as the probes do.
            let mut end = text.len();
            let found = loop {
                let Some(last) = text[..end].last_chunk() else {
                    break None;
                };
                if let Some(found) = inner(u64::from_le_bytes(*last), end as u64) {
                    break Some(found);
                }
                end -= 8;
            };
            if text.len() >= 8 && end >= 8 {
                prop_assert_eq!(found, Some((kind, data.len() as u64)));
            }
        }

        #[test]
        fn nothing_panics(bytes: [u8; 16], count in 0u64..20, length: u64) {
            let _any = version(bytes, count, length);
        }
    }
}
