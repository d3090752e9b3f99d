//! Reads JSON as it arrives, cut anywhere, and hands out its values with their paths, so that a
//! body of any size is read without being kept.
//!
//! What a server streams as one array, as Gemini does unless it is asked for events, or as one text
//! after the other, is read as many texts of their own.

use actson::feeder::JsonFeeder;
use actson::options::JsonParserOptionsBuilder;
use actson::reset::Reset;
use actson::{JsonEvent, JsonParser};

/// Deepest nesting that is read.
const MAX_DEPTH: usize = 64;
/// Longest single value that is read, in bytes.
const MAX_VALUE: usize = 8 * 1024 * 1024;
/// Longest key that is told from others, in bytes.
const MAX_KEY: usize = 64;
/// How much input the parser is given at a time.
const STEP: usize = 4096;

/// One value, or the beginning of one that has parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token<'a> {
    /// An object or an array begins.
    Begin,
    /// A string.
    Text(&'a str),
    /// A whole number that is not negative.
    Count(u64),
    /// `true` or `false`.
    Flag(bool),
    /// Any other number, as it is written.
    Number(&'a str),
    /// `null`, or text that isn't UTF-8.
    Other,
}

/// What a scanner comes across.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Item<'a> {
    /// A value, and where it stands.
    Value(&'a str, Token<'a>),
    /// A text has ended: all of it, or an element of the array that it is.
    TextEnd,
}

/// Reads one JSON text, or several.
pub(super) struct Scanner {
    parser: JsonParser<Input>,
    /// Where the current value stands: `choices[].delta.content`.
    path: String,
    /// The length of `path` outside each open object and array. At most [`MAX_DEPTH`].
    open: Vec<Level>,
    /// Input since the last value ended.
    pending: usize,
    state: State,
    /// The outermost value is an array: its elements are texts of their own.
    array: bool,
}

#[derive(Clone, Copy)]
struct Level {
    outside: usize,
    inside: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    /// The text has ended, and another may follow.
    Whole,
    /// The text has ended, and what follows is none.
    Over,
    Broken,
}

#[derive(Default)]
struct Input {
    bytes: Vec<u8>,
    position: usize,
}

impl JsonFeeder for Input {
    fn has_input(&self) -> bool {
        self.position < self.bytes.len()
    }

    fn is_done(&self) -> bool {
        false
    }

    fn next_input(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.position).copied();
        self.position += usize::from(byte.is_some());
        byte
    }
}

impl Default for Scanner {
    fn default() -> Self {
        // One mode of the parser's stack is its own.
        let options = JsonParserOptionsBuilder::default().with_max_depth(MAX_DEPTH + 1).build();
        Self {
            parser: JsonParser::new_with_options(Input::default(), options),
            path: String::new(),
            open: Vec::new(),
            pending: 0,
            state: State::Reading,
            array: false,
        }
    }
}

impl Scanner {
    /// Takes part of one text and hands each value that it completes to `visit`, with its path.
    /// The elements of an array share the path `array[]`; those of an outermost array have the
    /// paths that they would have without it. What follows the text is passed over. After the
    /// first error nothing more is read: what was handed out stands.
    pub(super) fn feed(&mut self, bytes: &[u8], mut visit: impl FnMut(&str, Token<'_>)) {
        self.feed_one(bytes, &mut |item| {
            if let Item::Value(path, token) = item {
                visit(path, token);
            }
        });
    }

    /// Takes part of one text, or of several that follow each other. Says where each of them ends.
    pub(super) fn feed_texts(&mut self, mut bytes: &[u8], mut visit: impl FnMut(Item<'_>)) {
        loop {
            if self.state == State::Whole {
                bytes = bytes.trim_ascii_start();
                // Anything but an object is no text of its own.
                match bytes.first() {
                    Some(b'{') => self.restart(),
                    Some(_) => self.state = State::Over,
                    None => return,
                }
            }
            bytes = self.feed_one(bytes, &mut visit);
            if self.state != State::Whole {
                return;
            }
        }
    }

    /// Begins another text.
    pub(super) fn restart(&mut self) {
        self.parser.reset();
        self.path.clear();
        self.open.clear();
        self.pending = 0;
        self.state = State::Reading;
        self.array = false;
    }

    /// Says that bytes are missing here: nothing more can be read.
    pub(super) fn lose(&mut self) {
        if self.state == State::Reading {
            self.state = State::Broken;
        }
    }

    /// Whether the text was read to its end.
    pub(super) const fn is_whole(&self) -> bool {
        matches!(self.state, State::Whole | State::Over)
    }

    /// Whether the text is an array of texts.
    pub(super) const fn is_array(&self) -> bool {
        self.array
    }

    /// An upper bound of the bytes held back.
    pub(super) const fn footprint(&self) -> usize {
        self.pending
    }

    /// Takes bytes up to the end of the text and returns what follows it.
    fn feed_one<'a>(&mut self, mut bytes: &'a [u8], visit: &mut impl FnMut(Item<'_>)) -> &'a [u8] {
        while self.state == State::Reading && !bytes.is_empty() {
            let (step, rest) = bytes.split_at(bytes.len().min(STEP));
            self.pending += step.len();
            self.parser.feeder.bytes.clear();
            self.parser.feeder.bytes.extend_from_slice(step);
            self.parser.feeder.position = 0;
            self.read(visit);
            bytes = match self.state {
                State::Whole => &bytes[self.parser.feeder.position..],
                State::Reading | State::Over | State::Broken => rest,
            };
            if self.pending > MAX_VALUE {
                self.state = State::Broken;
            }
        }
        bytes
    }

    fn read(&mut self, visit: &mut impl FnMut(Item<'_>)) {
        loop {
            let event = match self.parser.next_event() {
                Ok(Some(JsonEvent::NeedMoreInput)) => return,
                Ok(Some(event)) => event,
                Ok(None) | Err(_) => {
                    self.state = State::Broken;
                    return;
                }
            };
            self.pending = 0;
            match event {
                JsonEvent::StartObject => self.begin("", visit),
                JsonEvent::StartArray if self.open.is_empty() => {
                    self.array = true;
                    self.open.push(Level { outside: 0, inside: 0 });
                }
                JsonEvent::StartArray => self.begin("[]", visit),
                JsonEvent::EndObject | JsonEvent::EndArray => {
                    if let Some(level) = self.open.pop() {
                        self.path.truncate(level.outside);
                    }
                    if self.open.len() == usize::from(self.array) {
                        visit(Item::TextEnd);
                    }
                }
                JsonEvent::FieldName => self.enter_field(),
                JsonEvent::ValueString => {
                    let text = self.parser.current_str();
                    visit(Item::Value(&self.path, text.map_or(Token::Other, Token::Text)));
                }
                JsonEvent::ValueInt => match self.parser.current_int::<u64>() {
                    Ok(count) => visit(Item::Value(&self.path, Token::Count(count))),
                    Err(_negative_or_large) => self.number(visit),
                },
                JsonEvent::ValueTrue => visit(Item::Value(&self.path, Token::Flag(true))),
                JsonEvent::ValueFalse => visit(Item::Value(&self.path, Token::Flag(false))),
                JsonEvent::ValueFloat => self.number(visit),
                JsonEvent::ValueNull => visit(Item::Value(&self.path, Token::Other)),
                JsonEvent::NeedMoreInput => return,
            }
            if self.open.is_empty() {
                self.state = State::Whole;
                return;
            }
        }
    }

    fn number(&self, visit: &mut impl FnMut(Item<'_>)) {
        let number = self.parser.current_str().map_or(Token::Other, Token::Number);
        visit(Item::Value(&self.path, number));
    }

    fn begin(&mut self, suffix: &str, visit: &mut impl FnMut(Item<'_>)) {
        visit(Item::Value(&self.path, Token::Begin));
        let outside = self.path.len();
        self.path.push_str(suffix);
        self.open.push(Level { outside, inside: self.path.len() });
    }

    fn enter_field(&mut self) {
        let Some(level) = self.open.last() else { return };
        self.path.truncate(level.inside);
        if !self.path.is_empty() {
            self.path.push('.');
        }
        // A key that could be mistaken for a path is none that is looked for.
        match self.parser.current_str() {
            Ok(key) if key.len() <= MAX_KEY && !key.contains(['.', '[', ']']) => {
                self.path.push_str(key);
            }
            _ => self.path.push('?'),
        }
    }
}

impl std::fmt::Debug for Scanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Scanner(depth {}, {} bytes pending)", self.open.len(), self.pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(parts: &[&[u8]]) -> (Vec<String>, bool) {
        let mut scanner = Scanner::default();
        let mut seen = Vec::new();
        for part in parts {
            scanner.feed(part, |path, token| seen.push(format!("{path} {token:?}")));
        }
        (seen, scanner.is_whole())
    }

    #[test]
    fn values_come_with_their_paths() {
        let (seen, whole) = scan(&[
            br#"{"a":1,"b":[{"c":"x\u00e4"},{"c":null}],"d.e":true,"f":{"g":-1.5},"h":[[2]]}"#,
        ]);
        assert!(whole);
        assert_eq!(
            seen,
            [
                " Begin",
                "a Count(1)",
                "b Begin",
                "b[] Begin",
                "b[].c Text(\"xä\")",
                "b[] Begin",
                "b[].c Other",
                "? Flag(true)",
                "f Begin",
                "f.g Number(\"-1.5\")",
                "h Begin",
                "h[] Begin",
                "h[][] Count(2)",
            ]
        );
    }

    fn texts(parts: &[&[u8]]) -> Vec<String> {
        let mut scanner = Scanner::default();
        let mut seen = Vec::new();
        for part in parts {
            scanner.feed_texts(part, |item| seen.push(format!("{item:?}")));
        }
        seen
    }

    #[test]
    fn an_array_of_texts_and_texts_in_a_row_are_read_alike() {
        let one = |a: u8, b: u8| {
            vec![
                "Value(\"\", Begin)".to_owned(),
                format!("Value(\"a\", Count({a}))"),
                "Value(\"b\", Begin)".to_owned(),
                format!("Value(\"b[]\", Count({b}))"),
                "TextEnd".to_owned(),
            ]
        };
        let both = [one(1, 2), one(3, 4)].concat();
        for stream in [
            r#"[{"a":1,"b":[2]},{"a":3,"b":[4]}]"#,
            r#"{"a":1,"b":[2]}{"a":3,"b":[4]}"#,
            " {\"a\":1,\"b\":[2]}\r\n{\"a\":3,\"b\":[4]} trailing {",
        ] {
            assert_eq!(texts(&[stream.as_bytes()]), both, "{stream}");
        }
        assert_eq!(texts(&[br#"[{"a":1,"b":[2]},{"#])[..5], one(1, 2));
        assert_eq!(texts(&[b"[]{}"]), ["Value(\"\", Begin)", "TextEnd"]);
    }

    #[test]
    fn damage_keeps_what_came_before() {
        for text in [r#"{"a":1,"b"#, r#"{"a":1,}"#, r#"{"a":1 "b":2}"#, "{\"a\":1,\"\x01\":2}"] {
            let (seen, whole) = scan(&[text.as_bytes()]);
            assert_eq!(&seen[..2], [" Begin", "a Count(1)"], "{text}");
            assert!(!whole, "{text}");
        }
    }

    #[test]
    fn depth_and_length_are_bounded() {
        assert!(scan(&["[".repeat(64).as_bytes(), "]".repeat(64).as_bytes()]).1);
        assert!(!scan(&["[".repeat(65).as_bytes(), "]".repeat(65).as_bytes()]).1);
        let mut scanner = Scanner::default();
        scanner.feed(b"[\"", |_, _| {});
        let block = vec![b'x'; 1 << 20];
        for _ in 0..20 {
            scanner.feed(&block, |_, _| {});
        }
        assert!(scanner.footprint() <= MAX_VALUE + STEP);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(
            value in "\\{\"a\":(1|\"[a-zä\\\\n]{0,9}\"|\\[1,2\\]|null),\"b\":\\{\"c\":[0-9]{1,5}\\}\\}",
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let bytes = value.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let parts: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(scan(&parts), scan(&[bytes]));
        }

        #[test]
        fn any_split_of_many_gives_the_same(
            value in "\\[?(\\{\"a\":[0-9]{1,3}\\}[,\n]?){0,4}\\]?",
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let bytes = value.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let parts: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(texts(&parts), texts(&[bytes]));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(br#"{}[]",:\u0dD8e1-tfn"#.to_vec())], 0..200,
        )) {
            scan(&[&bytes]);
            texts(&[&bytes]);
        }
    }
}
