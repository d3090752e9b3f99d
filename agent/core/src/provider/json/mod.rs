//! Reads JSON as it arrives, cut anywhere, and hands out its values with their paths, so that a
//! body of any size is read without being kept.
//!
//! A whole text (an event of a stream, a line, a message) and a part of one go through the same
//! code, so that both are read alike. It works on slices: strings without escapes are handed out
//! from where they lie, and only a string, a key or a number that the input breaks off in is kept
//! until the rest of it comes.

mod lexeme;
mod place;
mod skip;
#[cfg(test)]
mod tests;
mod texts;

use zeroize::Zeroizing;

use self::lexeme::{Found, Search, unescape, value_of, word_length};
use self::place::{Kind, Place};
use self::skip::Skip;
pub(super) use self::texts::{Item, Texts};

/// Deepest nesting that is read.
const MAX_DEPTH: usize = 64;
/// Longest single value that is read, in bytes. Of a longer string only the end is looked for: it may
/// be an image, and what follows it is wanted.
const MAX_VALUE: usize = 8 * 1024 * 1024;

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
    /// `null`, or text that isn't UTF-8 or is too long.
    Other,
}

/// Reads one JSON text.
#[derive(Default)]
pub(super) struct Scanner {
    /// The keys of the outermost object whose values are read; all if absent.
    only: Option<&'static [&'static str]>,
    expected: Expected,
    place: Place,
    /// The string, with its opening quote, or the word that the input so far breaks off in. At most
    /// [`MAX_VALUE`] long.
    cut: Zeroizing<Vec<u8>>,
    /// What `cut` was is too long a string: only its opening quote is left.
    too_long: bool,
    /// A string was too long.
    left_out: bool,
    /// How far `cut` was searched, if it is a string.
    search: Search,
    /// The current value is one that nobody asked for.
    unread: bool,
    /// Where in it the input breaks off.
    skip: Skip,
    /// Where escapes are undone.
    unescaped: Option<Zeroizing<String>>,
}

/// What must come next.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Expected {
    #[default]
    Value,
    FirstValueOrEnd,
    Key,
    FirstKeyOrEnd,
    Colon,
    CommaOrEnd,
    /// The end of a value that nobody asked for.
    Skipped,
    /// Nothing: the text is whole.
    Nothing,
    /// Nothing can: the text is damaged.
    Broken,
}

impl Scanner {
    /// A scanner that passes over the values of all other keys of the outermost object. They are
    /// neither kept nor checked: all that must be right in them is where they end.
    pub(super) fn only(keys: &'static [&'static str]) -> Self {
        Self { only: Some(keys), ..Self::default() }
    }

    /// Takes part of the text and hands each value that it completes to `visit`, with its path.
    /// The elements of an array share the path `array[]`. After the first error nothing more is
    /// read: what was handed out stands.
    pub(super) fn feed(&mut self, bytes: &[u8], mut visit: impl FnMut(&str, Token<'_>)) {
        let mut rest = bytes;
        if !self.cut.is_empty() {
            rest = self.go_on(rest, &mut visit);
        }
        while !rest.is_empty() {
            rest = self.step(rest, &mut visit);
        }
    }

    /// Begins another text.
    pub(super) fn restart(&mut self) {
        self.expected = Expected::Value;
        self.unread = false;
        self.place.clear();
        self.cut.clear();
        self.too_long = false;
    }

    /// Says that bytes are missing here: nothing more can be read.
    pub(super) fn lose(&mut self) {
        if !self.is_whole() {
            self.break_off();
        }
    }

    /// Whether the text was read to its end.
    pub(super) fn is_whole(&self) -> bool {
        self.expected == Expected::Nothing
    }

    /// Whether a string was too long to be read.
    pub(super) fn left_out(&self) -> bool {
        self.left_out
    }

    /// Whether it can't be read on: it is damaged, too large, or bytes are missing.
    pub(super) fn is_broken(&self) -> bool {
        self.expected == Expected::Broken
    }

    /// The bytes held back.
    pub(super) fn footprint(&self) -> usize {
        self.cut.capacity() + self.unescaped.as_ref().map_or(0, |text| text.capacity())
    }

    /// Takes what comes next from the front of `rest`, which is not empty. Returns what is left.
    fn step<'a>(&mut self, rest: &'a [u8], visit: &mut impl FnMut(&str, Token<'_>)) -> &'a [u8] {
        use Expected::{
            Broken, Colon, CommaOrEnd, FirstKeyOrEnd, FirstValueOrEnd, Key, Nothing, Skipped, Value,
        };
        if self.expected == Skipped {
            return match self.skip.go_on(rest) {
                Found::End(at) => {
                    self.value_ends();
                    &rest[at + 1..]
                }
                Found::More => &[],
                Found::Damage => self.break_off(),
            };
        }
        let Some((&first, after)) = rest.split_first() else { return rest };
        if matches!(first, b' ' | b'\n' | b'\r' | b'\t') {
            return after;
        }
        match (self.expected, first) {
            (Key | FirstKeyOrEnd, b'"') => return self.string(rest, visit),
            (Colon, b':') => self.expected = Value,
            (CommaOrEnd, b',') => {
                let is_object = self.place.inside() == Some(Kind::Object);
                self.expected = if is_object { Key } else { Value };
            }
            (FirstKeyOrEnd | CommaOrEnd, b'}') => return self.end(Kind::Object, after),
            (FirstValueOrEnd | CommaOrEnd, b']') => return self.end(Kind::Array, after),
            (Value, _)
                if self.unread
                    && let Some(skip) = Skip::after(first) =>
            {
                self.skip = skip;
                self.expected = Skipped;
            }
            (Value | FirstValueOrEnd, b'"') => return self.string(rest, visit),
            (Value | FirstValueOrEnd, b'{') => return self.begin(Kind::Object, after, visit),
            (Value | FirstValueOrEnd, b'[') => return self.begin(Kind::Array, after, visit),
            (Value | FirstValueOrEnd, _) => return self.word(rest, visit),
            (Nothing, _) => return &[],
            (Key | FirstKeyOrEnd | Colon | CommaOrEnd | Skipped | Broken, _) => {
                return self.break_off();
            }
        }
        after
    }

    /// Reads the string, be it a key or a value, that `rest` begins with.
    fn string<'a>(&mut self, rest: &'a [u8], visit: &mut impl FnMut(&str, Token<'_>)) -> &'a [u8] {
        let mut search = Search::default();
        match search.go_on(&rest[1..]) {
            Found::End(length) => {
                self.string_ends(&rest[1..=length], search.escaped, visit);
                &rest[length + 2..]
            }
            Found::More => {
                self.search = search;
                self.hold(rest)
            }
            Found::Damage => self.break_off(),
        }
    }

    /// Reads the number, `true`, `false` or `null` that `rest` begins with.
    fn word<'a>(&mut self, rest: &'a [u8], visit: &mut impl FnMut(&str, Token<'_>)) -> &'a [u8] {
        let length = word_length(rest);
        if length == rest.len() {
            return self.hold(rest);
        }
        self.word_ends(&rest[..length], visit);
        &rest[length..]
    }

    /// Keeps what the input breaks off in.
    fn hold<'a>(&mut self, part: &[u8]) -> &'a [u8] {
        if self.cut.len() + part.len() > MAX_VALUE {
            let first = self.cut.first().or(part.first()).copied();
            if first != Some(b'"') {
                return self.break_off();
            }
            self.cut = Zeroizing::new(vec![b'"']);
            self.too_long = true;
        } else if !self.too_long {
            self.cut.extend_from_slice(part);
        }
        &[]
    }

    /// Goes on with what the input before `rest` broke off in.
    fn go_on<'a>(&mut self, rest: &'a [u8], visit: &mut impl FnMut(&str, Token<'_>)) -> &'a [u8] {
        let is_string = self.cut.first() == Some(&b'"');
        let length = if is_string {
            match self.search.go_on(rest) {
                Found::End(length) => length,
                Found::More => return self.hold(rest),
                Found::Damage => return self.break_off(),
            }
        } else {
            word_length(rest)
        };
        self.hold(&rest[..length]);
        if length == rest.len() || self.expected == Expected::Broken {
            return &[];
        }
        let whole = std::mem::take(&mut self.cut);
        if std::mem::take(&mut self.too_long) {
            self.left_out = true;
            self.text_ends(None, visit);
            return &rest[length + 1..];
        }
        if is_string {
            self.string_ends(&whole[1..], self.search.escaped, visit);
            &rest[length + 1..]
        } else {
            self.word_ends(&whole, visit);
            &rest[length..]
        }
    }

    /// Takes what stands between the quotes.
    fn string_ends(&mut self, raw: &[u8], escaped: bool, visit: &mut impl FnMut(&str, Token<'_>)) {
        if raw.len() >= MAX_VALUE {
            self.left_out = true;
            self.text_ends(None, visit);
            return;
        }
        let text = std::str::from_utf8(raw).ok();
        if let Some(text) = text.filter(|_| escaped) {
            let mut unescaped = self.unescaped.take().unwrap_or_default();
            unescaped.clear();
            match unescape(text, &mut unescaped) {
                Some(()) => self.text_ends(Some(&unescaped), visit),
                None => _ = self.break_off(),
            }
            self.unescaped = Some(unescaped);
        } else {
            self.text_ends(text, visit);
        }
    }

    /// Takes a key or a value. `text` is missing if it isn't UTF-8, or is too long.
    fn text_ends(&mut self, text: Option<&str>, visit: &mut impl FnMut(&str, Token<'_>)) {
        if matches!(self.expected, Expected::Key | Expected::FirstKeyOrEnd) {
            let key = self.place.enter(text);
            self.unread =
                self.only.is_some_and(|keys| !keys.contains(&key)) && self.place.depth() == 1;
            self.expected = Expected::Colon;
        } else {
            visit(self.place.path(), text.map_or(Token::Other, Token::Text));
            self.value_ends();
        }
    }

    fn word_ends(&mut self, word: &[u8], visit: &mut impl FnMut(&str, Token<'_>)) {
        let Some(value) = value_of(word).filter(|_| word.len() <= MAX_VALUE) else {
            self.break_off();
            return;
        };
        if !self.unread {
            visit(self.place.path(), value);
        }
        self.value_ends();
    }

    fn begin<'a>(
        &mut self,
        kind: Kind,
        after: &'a [u8],
        visit: &mut impl FnMut(&str, Token<'_>),
    ) -> &'a [u8] {
        if self.place.depth() == MAX_DEPTH {
            return self.break_off();
        }
        visit(self.place.path(), Token::Begin);
        self.place.open(kind);
        self.expected = match kind {
            Kind::Object => Expected::FirstKeyOrEnd,
            Kind::Array => Expected::FirstValueOrEnd,
        };
        after
    }

    fn end<'a>(&mut self, kind: Kind, after: &'a [u8]) -> &'a [u8] {
        if !self.place.close(kind) {
            return self.break_off();
        }
        self.value_ends();
        after
    }

    fn value_ends(&mut self) {
        self.unread = false;
        self.expected =
            if self.place.depth() == 0 { Expected::Nothing } else { Expected::CommaOrEnd };
    }

    /// Gives the text up. Nothing is left of the input.
    fn break_off<'a>(&mut self) -> &'a [u8] {
        self.expected = Expected::Broken;
        self.cut = Zeroizing::default();
        self.too_long = false;
        &[]
    }
}

impl std::fmt::Debug for Scanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Scanner(depth {}, {} bytes held)", self.place.depth(), self.cut.len())
    }
}
