//! Reads the short text fields of `multipart/form-data` as it arrives, cut anywhere. Files in it are
//! passed over without being kept.

use memchr::memmem;
use zeroize::Zeroizing;

/// Longest line of a part's head, and of the delimiter between parts, in bytes.
const MAX_LINE: usize = 4096;
/// Longest value that is read, in bytes.
const MAX_VALUE: usize = 256;

/// Reads one body.
#[derive(Default)]
pub(super) struct Parts {
    state: State,
    /// What is not read yet: less than a line, or than a delimiter.
    held: Zeroizing<Vec<u8>>,
    /// `CRLF--BOUNDARY`: RFC 2046 §5.1.1. The body begins with it, without the line break.
    delimiter: Vec<u8>,
}

#[derive(Default)]
enum State {
    #[default]
    First,
    /// The head of a part. `name` is its field's, if that is a short text.
    Head {
        name: Option<String>,
        file: bool,
    },
    /// The value of a field, or of one that is not kept.
    Value {
        name: Option<String>,
        value: Zeroizing<Vec<u8>>,
    },
    /// Behind a delimiter.
    Between,
    Over,
    Broken,
}

impl Parts {
    /// Takes part of the body and hands each field that ends in it to `visit`: its name, its value.
    pub(super) fn feed(&mut self, bytes: &[u8], mut visit: impl FnMut(&str, &str)) {
        if matches!(self.state, State::Over | State::Broken) {
            return;
        }
        self.held.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(more) = self.step(at, &mut visit) {
            at += more;
        }
        let read = at.min(self.held.len());
        self.held.drain(..read);
        if matches!(self.state, State::Over | State::Broken) {
            self.held = Zeroizing::default();
        }
    }

    /// Says that bytes are missing here: nothing more can be read.
    pub(super) fn lose(&mut self) {
        if !self.is_whole() {
            self.state = State::Broken;
            self.held = Zeroizing::default();
        }
    }

    /// Whether it was read to its end.
    pub(super) const fn is_whole(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// The bytes held back.
    pub(super) fn footprint(&self) -> usize {
        self.held.capacity()
    }

    /// Reads on at `at`. Says how many bytes that took, or nothing if there is no going on.
    fn step(&mut self, at: usize, visit: &mut impl FnMut(&str, &str)) -> Option<usize> {
        let rest = self.held.get(at..)?;
        match &mut self.state {
            State::First => {
                let Some(line) = line_of(rest) else { return self.wait(rest.len()) };
                if !line.starts_with(b"--") || line.len() > MAX_LINE {
                    self.state = State::Broken;
                    return None;
                }
                self.delimiter = [b"\r\n", line].concat();
                let read = line.len() + 2;
                self.state = State::head();
                Some(read)
            }
            State::Head { name, file } => {
                let Some(line) = line_of(rest) else { return self.wait(rest.len()) };
                if line.len() > MAX_LINE {
                    self.state = State::Broken;
                    return None;
                }
                let read = line.len() + 2;
                if line.is_empty() {
                    let name = name.take().filter(|_| !*file);
                    self.state = State::Value { name, value: Zeroizing::default() };
                    // The delimiter's line break may be the one that ends the head.
                    return Some(0);
                }
                if let Some(value) = disposition(line) {
                    *name = parameter(value, "name");
                    *file = parameter(value, "filename").is_some();
                }
                Some(read)
            }
            State::Value { name, value } => {
                // The empty line that ends the head is still there.
                let end = memmem::find(rest, &self.delimiter);
                let held_back = self.delimiter.len() - 1;
                let length = end.unwrap_or_else(|| rest.len().saturating_sub(held_back));
                if name.is_some() {
                    value.extend_from_slice(&rest[..length]);
                    if value.len() > MAX_VALUE + 2 {
                        *name = None;
                        *value = Zeroizing::default();
                    }
                }
                if end.is_none() {
                    return (length > 0).then_some(length);
                }
                let text = value.strip_prefix(b"\r\n").map(std::str::from_utf8);
                if let (Some(name), Some(Ok(text))) = (name, text) {
                    visit(name, text);
                }
                self.state = State::Between;
                Some(length + self.delimiter.len())
            }
            State::Between => match rest.get(..2)? {
                b"\r\n" => {
                    self.state = State::head();
                    Some(2)
                }
                other => {
                    self.state = if other == b"--" { State::Over } else { State::Broken };
                    None
                }
            },
            State::Over | State::Broken => None,
        }
    }

    /// Waits for the end of a line, unless that is too long already.
    fn wait(&mut self, length: usize) -> Option<usize> {
        if length > MAX_LINE + 1 {
            self.state = State::Broken;
        }
        None
    }
}

impl State {
    const fn head() -> Self {
        Self::Head { name: None, file: false }
    }
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Parts({} bytes held)", self.held.len())
    }
}

/// The first line, if it has come to its end.
fn line_of(bytes: &[u8]) -> Option<&[u8]> {
    memmem::find(bytes, b"\r\n").map(|end| &bytes[..end])
}

/// The value of a header line, if it is the one that names the field.
fn disposition(line: &[u8]) -> Option<&str> {
    let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
    name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
}

/// A parameter of a header's value, without its quotes.
fn parameter(value: &str, name: &str) -> Option<String> {
    value.split(';').skip(1).find_map(|parameter| {
        let (key, text) = parameter.trim().split_once('=')?;
        let text = text.trim().trim_matches('"');
        (key.trim().eq_ignore_ascii_case(name) && text.len() <= MAX_VALUE).then(|| text.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(parts: &[&[u8]]) -> (Vec<(String, String)>, bool) {
        let mut reader = Parts::default();
        let mut fields = Vec::new();
        for part in parts {
            reader.feed(part, |name, value| fields.push((name.to_owned(), value.to_owned())));
            assert!(reader.held.len() <= MAX_LINE + 2, "{} bytes are held", reader.held.len());
        }
        (fields, reader.is_whole())
    }

    const BODY: &str = "--b0undary\r\nContent-Disposition: form-data; name=\"file\"; \
        filename=\"a; name=.wav\"\r\nContent-Type: audio/wav\r\n\r\nRIFF\r\n--b0undar\r\n\0\r\n\
        --b0undary\r\ncontent-disposition: form-data; name=model\r\n\r\nwhisper-1\r\n\
        --b0undary\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n\
        --b0undary--\r\n";

    #[track_caller]
    fn check(body: &str, fields: &[(&str, &str)], whole: bool) {
        let (found, is_whole) = read(&[body.as_bytes()]);
        let found: Vec<_> =
            found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!((found.as_slice(), is_whole), (fields, whole), "{body:?}");
    }

    #[test]
    fn fields_are_read_and_files_passed_over() {
        check(BODY, &[("model", "whisper-1"), ("empty", "")], true);
        check(&BODY[..BODY.len() - 4], &[("model", "whisper-1"), ("empty", "")], false);
        check("{\"model\":\"whisper-1\"}\r\n", &[], false);
        check("", &[], false);
        let long = "x".repeat(MAX_VALUE + 1);
        check(&BODY.replace("whisper-1", &long), &[("empty", "")], true);
        check(&BODY.replace("whisper-1", &"x".repeat(100_000)), &[("empty", "")], true);
    }

    #[test]
    fn a_hole_ends_the_reading() {
        let mut reader = Parts::default();
        let mut fields = 0;
        reader.feed(&BODY.as_bytes()[..40], |_, _| fields += 1);
        reader.lose();
        reader.feed(&BODY.as_bytes()[50..], |_, _| fields += 1);
        assert_eq!((fields, reader.is_whole()), (0, false));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let bytes = BODY.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let parts: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(read(&parts), read(&[bytes]));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(b"--\r\n\r\n:;\"".to_vec())], 0..200,
        )) {
            read(&[&bytes]);
            read(&[b"--b\r\n", &bytes, b"\r\n--b--"]);
        }
    }
}
