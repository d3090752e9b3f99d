//! A door for fuzz targets to parsers that nobody else needs outside this room. There only where
//! `cargo fuzz` builds (`cfg(fuzzing)`).

use super::json::{Item, Scanner, Texts};

/// The values that one JSON text in these parts is read as, whether it was read to its end, and the
/// bytes held back. If `picky`, only some keys are looked at.
#[must_use]
pub fn json(parts: &[&[u8]], picky: bool) -> (Vec<String>, bool) {
    let mut scanner = if picky { Scanner::only(&["a", "model"]) } else { Scanner::default() };
    let mut seen = Vec::new();
    let mut fed = 0;
    for part in parts {
        fed += part.len();
        scanner.feed(part, |path, token| seen.push(format!("{path} {token:?}")));
        assert!(scanner.footprint() <= 4 * fed + 64, "{} of {fed}", scanner.footprint());
    }
    (seen, scanner.is_whole())
}

/// The same of several texts.
#[must_use]
pub fn texts(parts: &[&[u8]]) -> (Vec<String>, bool) {
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
