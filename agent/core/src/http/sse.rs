//! Server-sent events, cut anywhere (WHATWG HTML, section 9.2.6).

use memchr::memchr2;
use zeroize::Zeroizing;

/// Longest event that is read, in bytes of its data. OpenAI's `response.completed` repeats the
/// whole answer in one line, so this is as much as is kept of any body.
pub const MAX_EVENT: usize = 8 * 1024 * 1024;

/// Splits an event stream into the data of its events. Names, ids and comments are passed over:
/// every model API repeats in the data what it says in the name.
///
/// An event with one `data` line at its end, which is what they all send, is handed out from where
/// it lies, if the input holds all of that line.
#[derive(Debug, Default)]
pub struct Splitter {
    /// The beginning of a line that the input so far breaks off in, as far as it matters.
    line: Zeroizing<Vec<u8>>,
    /// The `data` lines of the current event, joined by newlines.
    data: Zeroizing<Vec<u8>>,
    has_data: bool,
    /// The last byte was a carriage return: a newline that follows ends no line of its own.
    after_return: bool,
    /// What is left of the current line is of no use: it began before a hole, or is too long.
    skip_line: bool,
    /// What is left of the current event is of no use.
    skip_event: bool,
    dropped: u64,
}

impl Splitter {
    /// Takes part of a stream and hands the data of each event that ends in it to `emit`.
    pub fn feed(&mut self, mut input: &[u8], mut emit: impl FnMut(&[u8])) {
        let Some(&first) = input.first() else { return };
        if std::mem::take(&mut self.after_return) && first == b'\n' {
            input = &input[1..];
        }
        while let Some(end) = memchr2(b'\n', b'\r', input) {
            let line = &input[..end];
            input = self.after_end(&input[end..]);
            if std::mem::take(&mut self.skip_line) {
                continue;
            }
            if !self.line.is_empty() {
                self.extend_line(line);
                let whole = std::mem::take(&mut self.line);
                if !std::mem::take(&mut self.skip_line) {
                    self.end_line(&whole, &mut emit);
                }
                self.line = whole;
                self.line.clear();
            } else if self.is_whole_event(line, input) {
                emit(data_of(line).unwrap_or_default());
                input = self.after_end(input);
            } else {
                self.end_line(line, &mut emit);
            }
        }
        self.extend_line(input);
    }

    /// Says that bytes are missing here: the event they belong to is dropped.
    pub fn lose(&mut self) {
        self.line.clear();
        self.after_return = false;
        self.skip_line = true;
        self.drop_event();
    }

    /// How many events were too long or damaged.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Bytes held back.
    #[must_use]
    pub fn footprint(&self) -> usize {
        self.line.capacity() + self.data.capacity()
    }

    /// What follows the line end that `input` begins with.
    fn after_end<'a>(&mut self, input: &'a [u8]) -> &'a [u8] {
        match input {
            [b'\r', b'\n', rest @ ..] => rest,
            [b'\r'] => {
                self.after_return = true;
                &[]
            }
            [_, rest @ ..] => rest,
            [] => &[],
        }
    }

    fn extend_line(&mut self, bytes: &[u8]) {
        if self.skip_line {
            return;
        }
        if self.line.len() + self.data.len() + bytes.len() > MAX_EVENT {
            self.line.clear();
            self.skip_line = true;
            self.drop_event();
            return;
        }
        self.line.extend_from_slice(bytes);
    }

    /// Whether `line` is all of an event's data, because the event ends right after it.
    fn is_whole_event(&self, line: &[u8], after: &[u8]) -> bool {
        !self.has_data
            && !self.skip_event
            && line.len() <= MAX_EVENT
            && matches!(after.first(), Some(b'\n' | b'\r'))
            && data_of(line).is_some()
    }

    fn end_line(&mut self, line: &[u8], emit: &mut impl FnMut(&[u8])) {
        if line.is_empty() {
            if self.has_data && !self.skip_event {
                emit(&self.data);
            }
            self.data.clear();
            self.has_data = false;
            self.skip_event = false;
        } else if self.data.len() + line.len() > MAX_EVENT {
            self.drop_event();
        } else if !self.skip_event
            && let Some(value) = data_of(line)
        {
            if self.has_data {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(value);
            self.has_data = true;
        }
    }

    fn drop_event(&mut self) {
        self.data.clear();
        self.has_data = false;
        if !self.skip_event {
            self.skip_event = true;
            self.dropped += 1;
        }
    }
}

/// The value of a `data` field, if the line is one.
fn data_of(line: &[u8]) -> Option<&[u8]> {
    let value = line.strip_prefix(b"data")?;
    let value = value.strip_prefix(b":").or(value.is_empty().then_some(value))?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(parts: &[&[u8]]) -> Vec<String> {
        let mut splitter = Splitter::default();
        let mut events = Vec::new();
        for part in parts {
            splitter.feed(part, |data| events.push(String::from_utf8_lossy(data).into_owned()));
        }
        events
    }

    #[test]
    fn events_of_every_form() {
        for (stream, events) in [
            ("data: a\n\ndata: b\n\n", vec!["a", "b"]),
            ("event: x\nid: 1\ndata:a\ndata: b\n: comment\n\n", vec!["a\nb"]),
            ("data: a\r\n\r\ndata: b\r\rdata: c\n\n", vec!["a", "b", "c"]),
            (": ping\n\nevent: empty\n\ndata\n\n", vec![""]),
            ("data: unfinished", vec![]),
            ("database: no\n\n", vec![]),
            ("data: a\ndata: b\n\ndata: c\nid: 1\n\ndata: d\n\n", vec!["a\nb", "c", "d"]),
        ] {
            assert_eq!(split(&[stream.as_bytes()]), events, "{stream:?}");
        }
    }

    #[test]
    fn a_hole_costs_one_event() {
        let mut splitter = Splitter::default();
        let mut events = Vec::new();
        let mut collect = |data: &[u8]| events.push(data.to_vec());
        splitter.feed(b"data: a\n\ndata: dam", &mut collect);
        splitter.lose();
        splitter.feed(b"aged\ndata: too\n\ndata: b\n\n", &mut collect);
        assert_eq!(events, [b"a".to_vec(), b"b".to_vec()]);
        assert_eq!(splitter.dropped(), 1);
    }

    #[test]
    fn an_endless_line_is_bounded() {
        let mut splitter = Splitter::default();
        let block = vec![b'x'; 1 << 20];
        for _ in 0..20 {
            splitter.feed(&block, |_| panic!("no event has ended"));
        }
        assert!(splitter.footprint() <= 2 * MAX_EVENT);
        let mut events = 0;
        splitter.feed(b"\n\ndata: next\n\n", |_| events += 1);
        assert_eq!((events, splitter.dropped()), (1, 1));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(
            stream in "(data: ?[a-c]{0,5}|event: x|:|)(\r\n|\n|\r){1,2}((data: ?[a-c]{0,5}|: c)(\r\n|\n|\r){1,3}){0,6}",
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        ) {
            let bytes = stream.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let parts: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(split(&parts), split(&[bytes]));
        }
    }
}
