//! Server-sent events, cut anywhere (WHATWG HTML, section 9.2.6).

use memchr::memchr2;
use zeroize::Zeroizing;

/// Longest data of an event that is handed out as a whole, in bytes. Longer data comes in parts: an
/// image may be tens of megabytes, and its event ends with the usage.
pub const MAX_WHOLE: usize = 8 * 1024 * 1024;

/// How the lines begin that matter.
const NAME: &[u8] = b"data:";

/// The data of an event, or part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// All the data of an event.
    Whole(&'a [u8]),
    /// An event begins whose data comes in parts. If one was begun before, that has no end.
    Begin,
    /// The next part of it.
    Part(&'a [u8]),
    /// The event ends.
    End,
}

/// Splits an event stream into the data of its events. Names, ids and comments are passed over:
/// every model API repeats in the data what it says in the name.
///
/// An event with one `data` line at its end, which is what they all send, is handed out from where
/// it lies, if the input holds all of that line.
#[derive(Debug, Default)]
pub struct Splitter {
    line: Line,
    /// The `data` lines of the current event, joined by newlines. At most [`MAX_WHOLE`] bytes; none
    /// where they are handed out in parts.
    data: Zeroizing<Vec<u8>>,
    has_data: bool,
    /// The data of the current event is handed out in parts.
    in_parts: bool,
    /// The last byte was a carriage return: a newline that follows ends no line of its own.
    after_return: bool,
    /// What is left of the current event is of no use.
    skip_event: bool,
    dropped: u64,
}

/// How far the current line was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// So many of its bytes have come, and they are the first ones of [`NAME`].
    Name(usize),
    /// After [`NAME`]; a space may come that isn't part of the value.
    Space,
    /// In the value.
    Value,
    /// It is of no use: it has another name, or began before a hole.
    Other,
}

impl Default for Line {
    fn default() -> Self {
        Self::Name(0)
    }
}

impl Line {
    /// Takes part of the line. Says what of it is part of the value.
    fn value_of<'a>(&mut self, mut part: &'a [u8]) -> &'a [u8] {
        if let Self::Name(known) = self {
            let expected = &NAME[*known..];
            let shared = expected.len().min(part.len());
            if part[..shared] != expected[..shared] {
                *self = Self::Other;
                return &[];
            }
            *known += shared;
            if *known < NAME.len() {
                return &[];
            }
            part = &part[shared..];
            *self = Self::Space;
        }
        match (*self, part) {
            (Self::Space, [first, rest @ ..]) => {
                *self = Self::Value;
                if *first == b' ' { rest } else { part }
            }
            (Self::Value, part) => part,
            (Self::Name(_) | Self::Space | Self::Other, _) => &[],
        }
    }
}

impl Splitter {
    /// Takes part of a stream and hands the data of each event in it to `emit`, as a whole once the
    /// event has ended, or in parts if it is too long for that.
    pub fn feed(&mut self, mut input: &[u8], mut emit: impl FnMut(Piece<'_>)) {
        let Some(&first) = input.first() else { return };
        if std::mem::take(&mut self.after_return) && first == b'\n' {
            input = &input[1..];
        }
        while let Some(end) = memchr2(b'\n', b'\r', input) {
            let line = &input[..end];
            input = self.after_end(&input[end..]);
            if self.is_whole_event(line, input) {
                let value = Line::default().value_of(line);
                emit(Piece::Whole(value));
                input = self.after_end(input);
            } else {
                self.extend_line(line, &mut emit);
                self.end_line(&mut emit);
            }
        }
        self.extend_line(input, &mut emit);
    }

    /// Says that bytes are missing here: the event they belong to is dropped.
    pub fn lose(&mut self) {
        self.line = Line::Other;
        self.after_return = false;
        self.clear();
        if !std::mem::replace(&mut self.skip_event, true) {
            self.dropped += 1;
        }
    }

    /// How many events were damaged.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether an event that comes in parts has not ended yet.
    #[must_use]
    pub const fn is_within_event(&self) -> bool {
        self.in_parts
    }

    /// Bytes held back.
    #[must_use]
    pub fn footprint(&self) -> usize {
        self.data.capacity()
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

    /// Whether `line` is all of an event's data, because the event ends right after it.
    fn is_whole_event(&self, line: &[u8], after: &[u8]) -> bool {
        self.line == Line::default()
            && !self.has_data
            && !self.skip_event
            && line.len() <= MAX_WHOLE
            && matches!(after.first(), Some(b'\n' | b'\r'))
            && line.starts_with(NAME)
    }

    /// Takes part of a line.
    fn extend_line(&mut self, part: &[u8], emit: &mut impl FnMut(Piece<'_>)) {
        let begins = matches!(self.line, Line::Name(_));
        let value = self.line.value_of(part);
        if begins && matches!(self.line, Line::Space | Line::Value) {
            self.begin_data(emit);
        }
        self.push(value, emit);
    }

    fn end_line(&mut self, emit: &mut impl FnMut(Piece<'_>)) {
        match std::mem::take(&mut self.line) {
            Line::Name(0) => self.end_event(emit),
            // A name alone has an empty value.
            Line::Name(known) if known + 1 == NAME.len() => self.begin_data(emit),
            Line::Name(_) | Line::Space | Line::Value | Line::Other => {}
        }
    }

    /// A `data` line begins.
    fn begin_data(&mut self, emit: &mut impl FnMut(Piece<'_>)) {
        if std::mem::replace(&mut self.has_data, true) {
            self.push(b"\n", emit);
        }
    }

    fn push(&mut self, value: &[u8], emit: &mut impl FnMut(Piece<'_>)) {
        if self.skip_event || value.is_empty() {
            return;
        }
        if !self.in_parts && self.data.len() + value.len() > MAX_WHOLE {
            self.in_parts = true;
            emit(Piece::Begin);
            emit(Piece::Part(&std::mem::take(&mut self.data)));
        }
        if self.in_parts {
            emit(Piece::Part(value));
        } else {
            self.data.extend_from_slice(value);
        }
    }

    fn end_event(&mut self, emit: &mut impl FnMut(Piece<'_>)) {
        match (self.has_data && !self.skip_event, self.in_parts) {
            (true, true) => emit(Piece::End),
            (true, false) => emit(Piece::Whole(&self.data)),
            (false, _) => {}
        }
        self.clear();
        self.skip_event = false;
    }

    fn clear(&mut self) {
        self.data.clear();
        self.has_data = false;
        self.in_parts = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(parts: &[&[u8]]) -> Vec<String> {
        let mut splitter = Splitter::default();
        let mut events = Vec::new();
        for part in parts {
            splitter.feed(part, |piece| match piece {
                Piece::Whole(data) => events.push(String::from_utf8_lossy(data).into_owned()),
                other => panic!("{other:?}"),
            });
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
            ("dat\ndat: a\ndata\ndata:\ndata:  b\n\n", vec!["\n\n b"]),
            (" data: no\n\n", vec![]),
            ("data: a\ndata: b\n\ndata: c\nid: 1\n\ndata: d\n\n", vec!["a\nb", "c", "d"]),
        ] {
            assert_eq!(split(&[stream.as_bytes()]), events, "{stream:?}");
        }
    }

    #[test]
    fn a_hole_costs_one_event() {
        let mut splitter = Splitter::default();
        let mut events = Vec::new();
        let mut collect = |piece: Piece<'_>| match piece {
            Piece::Whole(data) => events.push(data.to_vec()),
            other => panic!("{other:?}"),
        };
        splitter.feed(b"data: a\n\ndata: dam", &mut collect);
        splitter.lose();
        splitter.feed(b"aged\ndata: too\n\ndata: b\n\n", &mut collect);
        assert_eq!(events, [b"a".to_vec(), b"b".to_vec()]);
        assert_eq!(splitter.dropped(), 1);
    }

    #[test]
    fn an_endless_line_is_bounded() {
        let block = vec![b'x'; 1 << 20];
        for (begin, parts) in [(&b""[..], 0), (b": ", 0), (b"data: ", 20)] {
            let mut splitter = Splitter::default();
            let (mut bytes, mut last) = (0, Vec::new());
            let mut take = |piece: Piece<'_>| match piece {
                Piece::Part(part) => bytes += part.len(),
                Piece::Whole(data) => last = data.to_vec(),
                Piece::Begin | Piece::End => {}
            };
            splitter.feed(begin, &mut take);
            for _ in 0..20 {
                splitter.feed(&block, &mut take);
                assert!(splitter.footprint() <= 2 * MAX_WHOLE);
            }
            splitter.feed(b"\n\ndata: next\n\n", &mut take);
            assert_eq!((bytes, last.as_slice()), (parts * block.len(), &b"next"[..]));
            assert_eq!(splitter.dropped(), 0);
        }
    }

    /// The pieces of a stream, the parts of an event joined.
    fn pieces<'a>(parts: impl IntoIterator<Item = Option<&'a [u8]>>) -> Vec<(char, Vec<u8>)> {
        let mut splitter = Splitter::default();
        let mut pieces = Vec::new();
        for part in parts {
            let Some(part) = part else {
                splitter.lose();
                continue;
            };
            splitter.feed(part, |piece| match piece {
                Piece::Whole(data) => pieces.push(('w', data.to_vec())),
                Piece::Begin => pieces.push(('b', Vec::new())),
                Piece::Part(part) => pieces.last_mut().unwrap().1.extend(part),
                Piece::End => pieces.push(('e', Vec::new())),
            });
        }
        pieces
    }

    #[test]
    fn a_long_event_comes_in_parts() {
        let half = "x".repeat(MAX_WHOLE / 2);
        for (data, in_parts) in [
            (half.clone() + &half, false),
            (half.clone() + &half + "y", true),
            (half.clone() + "\n" + &half, true),
            (half.clone() + &half + "\n", true),
        ] {
            let lines: String = data.split('\n').map(|line| format!("data: {line}\r\n")).collect();
            let stream = format!("data: a\n\nevent: e\n{lines}: c\n\ndata: b\n\n");
            let long = if in_parts {
                vec![('b', data.clone().into_bytes()), ('e', vec![])]
            } else {
                vec![('w', data.clone().into_bytes())]
            };
            let expected = [vec![('w', b"a".to_vec())], long, vec![('w', b"b".to_vec())]].concat();
            let bytes = stream.as_bytes();
            assert_eq!(pieces([Some(bytes)]), expected);
            assert_eq!(pieces(bytes.chunks(4099).map(Some)), expected);
            let after = MAX_WHOLE + 30;
            if in_parts {
                let holed = [Some(&bytes[..after]), None, Some(&bytes[after..])];
                assert!(pieces(holed).iter().all(|(kind, _)| *kind != 'e'));
            }
        }
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
