//! Passes over a value that nobody asked for.

use super::lexeme::{Found, Search};

/// Where in the value the input is. Which brackets close which isn't looked at: in a text that is
/// no damage they pair up, whichever they are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Skip {
    /// How many brackets are open.
    depth: u64,
    /// How far the string was searched that the input breaks off in.
    string: Option<Search>,
}

impl Skip {
    /// Begins after the first byte of a string, an object or an array.
    pub(super) fn after(first: u8) -> Option<Self> {
        match first {
            b'"' => Some(Self { depth: 0, string: Some(Search::default()) }),
            b'{' | b'[' => Some(Self { depth: 1, string: None }),
            _ => None,
        }
    }

    /// Looks for the end of the value in the bytes that follow those already looked at. It is after
    /// the byte that is found.
    pub(super) fn go_on(&mut self, bytes: &[u8]) -> Found {
        let mut at = 0;
        loop {
            if let Some(search) = &mut self.string {
                match search.go_on(&bytes[at..]) {
                    Found::End(length) => at += length,
                    other => return other,
                }
                self.string = None;
            } else {
                let mut rest = bytes[at..].iter();
                match rest.position(|byte| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']')) {
                    Some(length) => at += length,
                    None => return Found::More,
                }
                match bytes[at] {
                    b'"' => self.string = Some(Search::default()),
                    b'{' | b'[' => self.depth += 1,
                    _ => self.depth -= 1,
                }
            }
            if self.depth == 0 && self.string.is_none() {
                return Found::End(at);
            }
            at += 1;
        }
    }
}
