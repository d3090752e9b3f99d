//! Several JSON texts in one body: what a server streams as one array, as Gemini does unless it is
//! asked for events, or as one text after the other.

use super::{Kind, Scanner, Token};

/// Reads one JSON text, or several.
#[derive(Debug, Default)]
pub(in crate::provider) struct Texts {
    scanner: Scanner,
    /// The outermost value is an array: its elements are texts of their own.
    array: bool,
    /// What follows the latest text is none.
    over: bool,
}

/// What there is in them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::provider) enum Item<'a> {
    /// A value, and where it stands in its text.
    Value(&'a str, Token<'a>),
    /// A text has ended.
    End,
}

impl Texts {
    /// Reads texts of whose outermost objects only the values of `keys` are wanted.
    pub(in crate::provider) fn only(keys: &'static [&'static str]) -> Self {
        Self { scanner: Scanner::only(keys), ..Self::default() }
    }

    /// Takes part of the body and hands what it completes to `visit`. Texts that are elements of
    /// an array have the paths that they would have on their own. After the first error nothing
    /// more is read: what was handed out stands.
    pub(in crate::provider) fn feed(&mut self, bytes: &[u8], mut visit: impl FnMut(Item<'_>)) {
        let mut rest = bytes;
        if !self.scanner.cut.is_empty() {
            rest = self.scanner.go_on(rest, &mut |path, token| value(path, token, &mut visit));
        }
        while !rest.is_empty() && !self.over {
            if self.scanner.is_whole() {
                rest = rest.trim_ascii_start();
                match rest.first() {
                    // Anything but an object is no text of its own.
                    Some(b'{') => self.scanner.restart(),
                    Some(_) => self.over = true,
                    None => {}
                }
                continue;
            }
            let depth = self.scanner.place.depth();
            rest = self.scanner.step(rest, &mut |path, token| value(path, token, &mut visit));
            if depth == 0 {
                self.array = self.scanner.place.inside() == Some(Kind::Array);
            }
            let outermost = usize::from(self.array);
            if depth > outermost
                && self.scanner.place.depth() == outermost
                && !self.scanner.is_broken()
            {
                visit(Item::End);
            }
        }
    }

    /// Says that bytes are missing here: nothing more can be read.
    pub(in crate::provider) fn lose(&mut self) {
        self.scanner.lose();
        self.over = true;
    }

    /// Whether it was read to the end of a text, or of the array of them.
    pub(in crate::provider) fn is_whole(&self) -> bool {
        self.scanner.is_whole()
    }

    /// Whether they are the elements of an array.
    pub(in crate::provider) const fn is_array(&self) -> bool {
        self.array
    }

    /// Whether a string was too long to be read.
    pub(in crate::provider) fn left_out(&self) -> bool {
        self.scanner.left_out()
    }

    /// The bytes held back.
    pub(in crate::provider) fn footprint(&self) -> usize {
        self.scanner.footprint()
    }
}

/// A value of an outermost array is no part of any text but by its element.
fn value(path: &str, token: Token<'_>, visit: &mut impl FnMut(Item<'_>)) {
    let inner = path.strip_prefix("[]").map(|inner| inner.strip_prefix('.').unwrap_or(inner));
    visit(Item::Value(inner.unwrap_or(path), token));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(parts: &[&[u8]]) -> (Vec<String>, bool) {
        let mut texts = Texts::default();
        let mut seen = Vec::new();
        for part in parts {
            texts.feed(part, |item| {
                seen.push(match item {
                    Item::Value(path, token) => format!("{path} {token:?}"),
                    Item::End => "end".to_owned(),
                });
            });
        }
        (seen, texts.is_whole())
    }

    #[test]
    fn an_array_of_texts_and_texts_in_a_row_are_read_alike() {
        for (stream, whole) in [
            (r#"[{"a":1,"b":[2]},{"a":3,"b":[4]}]"#, true),
            (r#"[ {"a":1,"b":[2]} ,{"a":3,"b":[4]},"#, false),
            (r#"{"a":1,"b":[2]}{"a":3,"b":[4]}"#, true),
            (" {\"a\":1,\"b\":[2]}\r\n{\"a\":3,\"b\":[4]} trailing {}", true),
        ] {
            let (seen, is_whole) = read(&[stream.as_bytes()]);
            let seen: Vec<_> =
                seen.iter().map(String::as_str).filter(|seen| *seen != " Begin").collect();
            let one = ["a Count(1)", "b Begin", "b[] Count(2)", "end"];
            let two = ["a Count(3)", "b Begin", "b[] Count(4)", "end"];
            assert_eq!((seen, is_whole), ([one, two].concat(), whole), "{stream}");
        }
    }

    #[test]
    fn an_empty_array_has_no_text() {
        assert_eq!(read(&[b"[]"]), (vec![" Begin".to_owned()], true));
    }

    #[test]
    fn a_hole_ends_the_reading() {
        let mut texts = Texts::default();
        let mut ended = 0;
        let mut count = |item: Item<'_>| ended += u32::from(item == Item::End);
        texts.feed(br#"[{"a":1},{"b":"x"#, &mut count);
        texts.lose();
        texts.feed(br#"y"},{"c":2}]{"d":1}"#, &mut count);
        assert_eq!((ended, texts.is_whole()), (1, false));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(
            stream in "\\[?(\\{\"a\":([0-9]{1,3}|\"x\"|\\[1\\]|\\{\\})\\}[,\n]?){0,4}\\]?[{ x]?",
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let bytes = stream.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let parts: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(read(&parts), read(&[bytes]));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(br#"{}[]",:\1tn"#.to_vec())], 0..100,
        )) {
            read(&[&bytes]);
        }
    }
}
