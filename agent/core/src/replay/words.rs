//! The words of a line.

use std::str::FromStr;

use super::Problem;

/// What is left of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words<'t>(&'t str);

impl<'t> Words<'t> {
    pub(super) const fn of(line: &'t str) -> Self {
        Self(line)
    }

    /// The next word, left where it is.
    pub(super) fn peek(&self) -> Option<&'t str> {
        self.0.split_whitespace().next()
    }

    /// The next word.
    pub(super) fn next(&mut self) -> Option<&'t str> {
        let word = self.peek()?;
        let rest = self.0.trim_start();
        self.0 = rest.get(word.len()..).unwrap_or_default();
        Some(word)
    }

    /// The next word, if it is this one.
    pub(super) fn take(&mut self, word: &str) -> bool {
        let found = self.peek() == Some(word);
        if found {
            self.next();
        }
        found
    }

    /// The next word, which must be there.
    pub(super) fn need(&mut self, wanted: &'static str) -> Result<&'t str, Problem> {
        self.next().ok_or(Problem::Missing(wanted))
    }

    /// All that is left.
    pub(super) fn rest(self) -> &'t str {
        self.0.trim()
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), Problem> {
        self.peek().map_or(Ok(()), |word| Err(Problem::Unknown(word.to_owned())))
    }
}

/// A value of one word.
pub(super) fn value<T: FromStr>(text: &str, wanted: &'static str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::Malformed { text: text.to_owned(), wanted })
}

/// A name of a process or a connection: up to 32 letters, digits, `-`, `_` and `.`.
pub(super) fn name(text: &str) -> Result<String, Problem> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if (1..=32).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err(Problem::Malformed { text: text.to_owned(), wanted: "name" })
    }
}
