//! The smallest parts of a JSON text (RFC 8259): strings and words, of which a buffer may hold the
//! beginning only.

use super::Token;

/// Where a string ends, or how far it was searched for its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Search {
    /// It has escapes.
    pub(super) escaped: bool,
    /// The last byte that was searched is the beginning of an escape.
    pub(super) in_escape: bool,
}

/// What a search came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The closing quote is this many bytes further.
    End(usize),
    /// There is none yet.
    More,
    /// A control character, which no string may hold.
    Damage,
}

impl Search {
    /// Goes on in the bytes that follow those already searched, the opening quote not included.
    pub(super) fn go_on(&mut self, bytes: &[u8]) -> Found {
        let mut at = usize::from(self.in_escape && !bytes.is_empty());
        self.in_escape &= bytes.is_empty();
        loop {
            at += plain_length(&bytes[at..]);
            match bytes.get(at) {
                None => return Found::More,
                Some(b'"') => return Found::End(at),
                Some(b'\\') => {
                    self.escaped = true;
                    if at + 1 == bytes.len() {
                        self.in_escape = true;
                        return Found::More;
                    }
                    at += 2;
                }
                Some(_) => return Found::Damage,
            }
        }
    }
}

/// How many bytes there are before the first quote, backslash or control character. Eight are
/// looked at together: a byte below `n` is one that borrows when `n` is subtracted from it, and
/// only bytes above the first such one can be mistaken for another.
fn plain_length(bytes: &[u8]) -> usize {
    const EACH: u64 = u64::from_le_bytes([1; 8]);
    const HIGH_BITS: u64 = EACH << 7;
    const fn below(word: u64, bound: u8) -> u64 {
        word.wrapping_sub(EACH * bound as u64) & !word
    }
    let mut at = 0;
    while let Some(eight) = bytes[at..].first_chunk() {
        let word = u64::from_le_bytes(*eight);
        let control = below(word, b' ');
        let quote = below(word ^ (EACH * b'"' as u64), 1);
        let backslash = below(word ^ (EACH * b'\\' as u64), 1);
        let special = (control | quote | backslash) & HIGH_BITS;
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let is_special = |&byte: &u8| matches!(byte, b'"' | b'\\' | 0..b' ');
    at + bytes[at..].iter().position(is_special).unwrap_or(bytes.len() - at)
}

/// Undoes the escapes of a string into `out`. Half of a surrogate pair becomes U+FFFD: a stream may
/// be cut between the two. `None` if something is no escape.
pub(super) fn unescape(text: &str, out: &mut String) -> Option<()> {
    out.reserve(text.len());
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let kind = escape.chars().next()?;
        rest = &escape[kind.len_utf8()..];
        out.push(match kind {
            '"' | '\\' | '/' => kind,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let first = code_unit(&mut rest)?;
                character(first, &mut rest)
            }
            _ => return None,
        });
    }
    out.push_str(rest);
    Some(())
}

/// Takes four hexadecimal digits from the front of `rest`.
fn code_unit(rest: &mut &str) -> Option<u16> {
    let digits = rest.get(..4).filter(|four| four.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    *rest = &rest[4..];
    u16::from_str_radix(digits, 16).ok()
}

/// The character that `first` is or begins; its other half is taken from the front of `rest`.
fn character(first: u16, rest: &mut &str) -> char {
    let mut after = rest.strip_prefix("\\u").unwrap_or_default();
    if let Some(second) = code_unit(&mut after)
        && let Some(Ok(pair)) = char::decode_utf16([first, second]).next()
        && pair > '\u{ffff}'
    {
        *rest = after;
        return pair;
    }
    char::from_u32(u32::from(first)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// How many bytes at the front belong to a number, `true`, `false` or `null`, or to something that
/// is none but stands where one should.
pub(super) fn word_length(bytes: &[u8]) -> usize {
    let in_word = |&byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    bytes.iter().position(|byte| !in_word(byte)).unwrap_or(bytes.len())
}

/// The value that a word is, if it is one.
pub(super) fn value_of(word: &[u8]) -> Option<Token<'_>> {
    match word {
        b"true" => Some(Token::Flag(true)),
        b"false" => Some(Token::Flag(false)),
        b"null" => Some(Token::Other),
        _ => number(word),
    }
}

fn number(word: &[u8]) -> Option<Token<'_>> {
    let digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let unsigned = word.strip_prefix(b"-").unwrap_or(word);
    let (whole, mut rest) = unsigned.split_at(digits(unsigned));
    if whole.is_empty() || (whole.len() > 1 && whole[0] == b'0') {
        return None;
    }
    if whole.len() == word.len() {
        let add = |sum: u64, digit: &u8| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
        if let Some(count) = whole.iter().try_fold(0, add) {
            return Some(Token::Count(count));
        }
    }
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = digits(fraction);
        rest = fraction.get(length..).filter(|_| length > 0)?;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = match exponent {
            [b'+' | b'-', exponent @ ..] => exponent,
            _ => exponent,
        };
        let length = digits(exponent);
        rest = exponent.get(length..).filter(|_| length > 0)?;
    }
    let text = std::str::from_utf8(word).ok()?;
    rest.is_empty().then_some(Token::Number(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_bytes_are_found_wherever_they_are() {
        for special in [b'"', b'\\', 0, 0x1f] {
            for at in 0..20 {
                let mut bytes = vec![b'!'; 20];
                bytes[at] = special;
                assert_eq!(plain_length(&bytes), at, "{special}");
            }
        }
        for plain in [b' ', b'!', b'#', b'[', b']', 0x7f, 0x80, 0xff] {
            assert_eq!(plain_length(&[plain; 20]), 20, "{plain}");
        }
    }

    #[test]
    fn escapes_are_undone() {
        for (text, plain) in [
            (r#"\"\\\/\b\f\n\r\t"#, Some("\"\\/\u{8}\u{c}\n\r\t")),
            (r"a\u00e4\u20AC", Some("aä€")),
            (r"\ud83d\ude00!", Some("😀!")),
            (r"\ud83d", Some("\u{fffd}")),
            (r"\ude00\ud83d\n", Some("\u{fffd}\u{fffd}\n")),
            (r"\ud83d\u0041", Some("\u{fffd}A")),
            (r"\x41", None),
            (r"\ä", None),
            (r"\u12", None),
            (r"\u+123", None),
        ] {
            let mut out = String::new();
            let done = unescape(text, &mut out);
            assert_eq!(done.map(|()| out.as_str()), plain, "{text}");
        }
    }

    #[test]
    fn words_are_values_or_none() {
        for (word, value) in [
            ("0", Some(Token::Count(0))),
            ("18446744073709551615", Some(Token::Count(u64::MAX))),
            ("18446744073709551616", Some(Token::Number("18446744073709551616"))),
            ("-1", Some(Token::Number("-1"))),
            ("1.50", Some(Token::Number("1.50"))),
            ("1e9", Some(Token::Number("1e9"))),
            ("-1.5E-9", Some(Token::Number("-1.5E-9"))),
            ("null", Some(Token::Other)),
            ("true", Some(Token::Flag(true))),
            ("01", None),
            ("-", None),
            ("1.", None),
            (".5", None),
            ("1e", None),
            ("1e+", None),
            ("1-1", None),
            ("nul", None),
            ("NaN", None),
        ] {
            assert_eq!(value_of(word.as_bytes()), value, "{word}");
        }
    }
}
