//! Which Go a program was built with: what `debug/buildinfo` in Go's library reads.

use super::file::Segments;

/// What it begins with, and how it is aligned, in bytes.
const MAGIC: &[u8] = b"\xff Go buildinf:";
const ALIGNMENT: u64 = 16;
/// The version is behind it, its length first, since Go 1.18; before that, the address of a Go string.
const INLINE: u8 = 2;
const FLAGS: u64 = 15;
const STRING_ADDRESS: u64 = 16;
const INLINE_STRING: u64 = 32;
/// The longest version that is read, in bytes.
const VERSION_MAX: u64 = 256;

/// A version, as far as it is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    /// Such as `1.27.3`; empty if it isn't known.
    pub(super) text: String,
    /// The second number.
    pub(super) minor: Option<u32>,
}

impl Version {
    /// That of the Go that built a program; `None` if no Go has.
    pub(super) fn of(segments: &Segments<'_>) -> Option<Self> {
        let mut found = None;
        for segment in segments.iter().filter(|segment| segment.writable) {
            segments.find(&segment.addresses, MAGIC, |at| {
                let is_aligned = at.is_multiple_of(ALIGNMENT);
                found = is_aligned.then_some(at);
                !is_aligned
            });
            if let Some(at) = found {
                return Some(Self::parse(&text(segments, at).unwrap_or_default()));
            }
        }
        None
    }

    /// From `go1.27.3`, `devel go1.28-0123abcd` or `go1.19.8 X:boringcrypto`. Whoever built the program
    /// has written it, and people will read it.
    fn parse(text: &[u8]) -> Self {
        let words = text.split(|byte| *byte == b' ');
        let number = words.filter_map(|word| word.strip_prefix(b"go")).next().unwrap_or_default();
        let is_harmless =
            number.iter().all(|byte| byte.is_ascii_alphanumeric() || b".-+_".contains(byte));
        let text = if is_harmless { String::from_utf8_lossy(number).into() } else { String::new() };
        let minor = text.strip_prefix("1.").and_then(|rest| {
            let digits = rest.split(|other: char| !other.is_ascii_digit()).next()?;
            digits.parse().ok()
        });
        Self { text, minor }
    }
}

fn text(segments: &Segments<'_>, at: u64) -> Option<Vec<u8>> {
    let [flags] = segments.bytes(at.checked_add(FLAGS)?)?;
    let (address, length) = if flags & INLINE == 0 {
        let string = segments.word(at.checked_add(STRING_ADDRESS)?)?;
        (segments.word(string)?, segments.word(string.checked_add(8)?)?)
    } else {
        let start = at.checked_add(INLINE_STRING)?;
        // The length has as many bytes as it needs: none that we read needs a second one.
        let [length] = segments.bytes(start)?;
        (start.checked_add(1)?, u64::from(length))
    };
    let end = address.checked_add(length.min(VERSION_MAX))?;
    segments.range(address..end, VERSION_MAX as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_understood() {
        for (text, number, minor) in [
            ("go1.27.3", "1.27.3", Some(27)),
            ("go1.17", "1.17", Some(17)),
            ("go1.18beta2", "1.18beta2", Some(18)),
            ("go1.19.8 X:boringcrypto", "1.19.8", Some(19)),
            ("devel go1.28-0123abcd Mon Feb 1", "1.28-0123abcd", Some(28)),
            ("devel +0123abcd Mon Feb 1", "", None),
            ("go2.1", "2.1", None),
            ("go1.\x1b[31m", "", None),
            ("", "", None),
        ] {
            let expected = Version { text: number.to_owned(), minor };
            assert_eq!(Version::parse(text.as_bytes()), expected, "{text}");
        }
    }
}
