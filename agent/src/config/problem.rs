//! What can be wrong with a configuration file, said so that one edit mends it.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{path} can't be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file was read and is wrong.
    #[error("{}", list(path, problems))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Everything that is wrong with it, in the order of the file.
        problems: Vec<Problem>,
    },
}

/// One thing that is wrong with a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Counts from 1.
    pub line: usize,
    /// In characters, counts from 1.
    pub column: usize,
    /// The key's full path, such as `ledger.retention_days`; absent if the file is not even TOML.
    pub key: Option<String>,
    /// What was expected and what was found.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// Line and column of byte `offset` of `text`, both counted from 1.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// A problem and the bytes of the file that it is about.
pub(super) struct Found {
    pub(super) span: Range<usize>,
    pub(super) key: Option<String>,
    pub(super) message: String,
}

impl Found {
    pub(super) fn locate(self, text: &str) -> Problem {
        let (line, column) = position(text, self.span.start);
        Problem { line, column, key: self.key, message: self.message }
    }
}

fn list(path: &std::path::Path, problems: &[Problem]) -> String {
    let path = path.display();
    let count = match problems.len() {
        1 => "1 error".to_owned(),
        several => format!("{several} errors"),
    };
    let mut text = format!("{path} has {count}");
    for problem in problems {
        text.push_str(&format!("\n  {path}:{problem}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_from_one() {
        let text = "a\nöb\n";
        assert_eq!(position(text, 0), (1, 1));
        assert_eq!(position(text, 2), (2, 1));
        assert_eq!(position(text, 4), (2, 2));
        assert_eq!(position(text, 999), (3, 1));
    }
}
