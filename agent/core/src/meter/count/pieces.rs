//! Cuts text where a tokenizer would cut it anyway, so that counting stays linear in its length.
//!
//! The tokenizers first split text into words by a pattern, then merge bytes within each word, and
//! both get slower than linear on a word without end. Nearly all text has a place every few
//! thousand bytes where a word surely ends; where there is none it is cut all the same, and the
//! count is no longer exact.

/// No piece is longer, in bytes.
const LONGEST: usize = 8 * 1024;

/// Pieces of a text that together are the text.
pub(super) struct Pieces<'a> {
    rest: &'a str,
    /// Every cut so far was at a place where a word ends.
    pub(super) exact: bool,
}

impl<'a> Pieces<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { rest: text, exact: true }
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let end = if self.rest.len() <= LONGEST {
            self.rest.len()
        } else {
            let window = &self.rest[..self.rest.floor_char_boundary(LONGEST)];
            last_word_end(window).unwrap_or_else(|| {
                self.exact = false;
                window.len()
            })
        };
        let (piece, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(piece)
    }
}

/// The last position in `window` after a letter and before something that can't continue a word.
///
/// In the patterns of `cl100k_base` and `o200k_base` a word of letters goes on only with letters,
/// marks or an apostrophe, and none of them looks behind: what follows is split as if it stood alone.
fn last_word_end(window: &str) -> Option<usize> {
    let mut after = None;
    for (position, character) in window.char_indices().rev() {
        if let Some((next_position, next)) = after
            && is_letter(character)
            && ends_word(next)
        {
            return Some(next_position);
        }
        after = Some((position, character));
    }
    None
}

/// Whether it is surely a letter by Unicode's general category; scripts left out only mean fewer
/// places to cut.
fn is_letter(character: char) -> bool {
    matches!(character, 'A'..='Z' | 'a'..='z' | 'А'..='я' | 'ぁ'..='ゖ' | 'ァ'..='ヺ')
        || matches!(character, '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}')
}

/// Whether it is surely neither letter, mark, digit nor apostrophe.
fn ends_word(character: char) -> bool {
    (character.is_ascii() && !character.is_ascii_alphanumeric() && character != '\'')
        || matches!(character, '。' | '、' | '，' | '：' | '；' | '！' | '？' | '「' | '」')
}

#[cfg(test)]
mod tests {
    use super::super::encoding::Encoding;
    use super::*;
    use proptest::prelude::*;

    fn count_in_pieces(encoding: Encoding, text: &str) -> (u64, bool) {
        let mut pieces = Pieces::of(text);
        let count = pieces.by_ref().map(|piece| encoding.count(piece)).sum();
        (count, pieces.exact)
    }

    /// The work is linear because every piece is bounded and each byte is in exactly one.
    #[test]
    fn a_word_without_end_is_cut() {
        let text = "a".repeat(1 << 20);
        let mut pieces = Pieces::of(&text);
        let lengths: Vec<usize> = pieces.by_ref().map(str::len).collect();
        assert!(!pieces.exact);
        assert_eq!(lengths.iter().sum::<usize>(), text.len());
        assert_eq!(lengths.len(), text.len() / LONGEST);
        // Eight letters a token: cutting between them changes nothing here.
        assert_eq!(count_in_pieces(Encoding::O200k, &text), (text.len() as u64 / 8, false));
    }

    /// Such texts exhaust the pattern's backtracking where it is given too much at once.
    #[test]
    fn no_text_is_too_hostile_to_count() {
        for unit in [" ", "\n", " \n", "\u{301}", "'", "\u{3000}", "{", "9", "\0", "A\u{301}"] {
            let text = unit.repeat(200_000 / unit.len());
            let (count, _) = count_in_pieces(Encoding::Cl100k, &text);
            assert!((1..=text.len() as u64).contains(&count), "{unit:?}: {count}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn cutting_at_word_ends_changes_no_count(
            words in prop::collection::vec("[a-zA-Zé0-9'’ \n\t.,:;(){}を漢字。，-]{1,12}", 1200..2000),
            harmony in any::<bool>(),
        ) {
            let text = words.concat();
            let encoding = if harmony { Encoding::O200kHarmony } else { Encoding::Cl100k };
            let (count, exact) = count_in_pieces(encoding, &text);
            prop_assert!(exact);
            prop_assert_eq!(count, encoding.count(&text));
        }
    }
}
