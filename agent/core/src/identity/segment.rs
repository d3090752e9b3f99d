//! Names, which others choose, as segments of an identity's path.
//!
//! A SPIFFE path segment is made of `A-Z a-z 0-9 . - _` only, and is neither `.` nor `..`; percent
//! signs are not allowed. Unit, user and container names have more freedom, so [`segment`] escapes:
//!
//! - a byte outside that alphabet becomes `_x` and its two hexadecimal digits, `@` being `_x40`;
//! - the `_` of an `_x` that was there before becomes `_x5f`, so that every `_x` of the result is
//!   ours and no name can pass for another's escaped form;
//! - the first dot of `.` and `..` becomes `_x2e`; the empty name becomes `_x-`;
//! - a result longer than [`MAX_SEGMENT`] is cut and ends in `_x-` and the first 128 bits of the
//!   whole name's SHA-256.
//!
//! Two names therefore give two segments, short of a collision of SHA-256.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// Longest segment, in bytes.
pub(super) const MAX_SEGMENT: usize = 192;

const CUT_MARK: &str = "_x-";
const DIGEST_BYTES: usize = 16;

/// The segment that stands for `name`. `1 <= len <=` [`MAX_SEGMENT`].
pub(super) fn segment(name: &str) -> String {
    if name.is_empty() {
        return CUT_MARK.to_owned();
    }
    let kept = MAX_SEGMENT - CUT_MARK.len() - 2 * DIGEST_BYTES;
    let bytes = name.as_bytes();
    let mut encoded = String::with_capacity(bytes.len().min(MAX_SEGMENT));
    let mut cut = 0;
    for (position, &byte) in bytes.iter().enumerate() {
        if must_escape(bytes, position) {
            push_escaped(&mut encoded, byte);
        } else {
            encoded.push(char::from(byte));
        }
        if encoded.len() <= kept {
            cut = encoded.len();
        }
        if encoded.len() > MAX_SEGMENT {
            encoded.truncate(cut);
            encoded.push_str(CUT_MARK);
            for byte in Sha256::digest(bytes).iter().take(DIGEST_BYTES) {
                push_hex(&mut encoded, *byte);
            }
            break;
        }
    }
    encoded
}

fn must_escape(name: &[u8], position: usize) -> bool {
    match name[position] {
        b'_' => name.get(position + 1) == Some(&b'x'),
        b'.' => position == 0 && matches!(name, b"." | b".."),
        b'-' => false,
        byte => !byte.is_ascii_alphanumeric(),
    }
}

fn push_escaped(text: &mut String, byte: u8) {
    text.push_str("_x");
    push_hex(text, byte);
}

fn push_hex(text: &mut String, byte: u8) {
    // Writing to a string can't fail.
    let _ = write!(text, "{byte:02x}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_become_segments() {
        for (name, expected) in [
            ("nginx.service", "nginx.service"),
            ("my_app-1.service", "my_app-1.service"),
            ("worker@7.service", "worker_x407.service"),
            (r"dev-disk-by\x2duuid.service", "dev-disk-by_x5cx2duuid.service"),
            ("a/b", "a_x2fb"),
            ("a_x2fb", "a_x5fx2fb"),
            ("_x", "_x5fx"),
            ("__x", "__x5fx"),
            ("_", "_"),
            (".", "_x2e"),
            ("..", "_x2e."),
            ("...", "..."),
            ("..a", "..a"),
            ("", "_x-"),
            ("\u{0}\n\u{1b}[31m", "_x00_x0a_x1b_x5b31m"),
            ("jürgen", "j_xc3_xbcrgen"),
            ("a%2Fb", "a_x252Fb"),
        ] {
            assert_eq!(segment(name), expected, "{name:?}");
        }
    }

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        let at_limit = "a".repeat(MAX_SEGMENT);
        assert_eq!(segment(&at_limit), at_limit);
        let one = segment(&format!("{at_limit}1"));
        let other = segment(&format!("{at_limit}2"));
        assert_eq!(one.len(), MAX_SEGMENT);
        assert_ne!(one, other);
        assert_ne!(segment(&one), one, "a name that looks like a cut one is escaped");
        let escapes = segment(&"@".repeat(MAX_SEGMENT));
        let prefix = &escapes[..escapes.len() - CUT_MARK.len() - 2 * DIGEST_BYTES];
        assert!(
            prefix.len().is_multiple_of(4) && prefix.ends_with("_x40"),
            "no escape is cut in half"
        );
    }

    /// The inverse of [`segment`] for names that were not cut.
    fn name_of(segment: &str) -> Option<Vec<u8>> {
        let mut name = Vec::new();
        let mut rest = segment;
        while let Some(first) = rest.bytes().next() {
            if let Some(escape) = rest.strip_prefix("_x") {
                if escape == "-" {
                    return name.is_empty().then_some(name);
                }
                name.push(u8::from_str_radix(escape.get(..2)?, 16).ok()?);
                rest = &escape[2..];
            } else {
                name.push(first);
                rest = &rest[1..];
            }
        }
        Some(name)
    }

    proptest! {
        #[test]
        fn a_segment_is_always_valid_and_bounded(name in any::<String>()) {
            let segment = segment(&name);
            prop_assert!((1..=MAX_SEGMENT).contains(&segment.len()));
            prop_assert!(segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)));
            prop_assert!(segment != "." && segment != "..");
        }

        #[test]
        fn a_segment_that_is_not_cut_gives_the_name_back(name in "[_x.@/a5f-]{0,40}") {
            prop_assert_eq!(name_of(&segment(&name)), Some(name.into_bytes()));
        }
    }
}
