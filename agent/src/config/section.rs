//! Reads one table of a TOML document key by key. What is wrong is noted, never thrown, so that one
//! look at the file finds everything; a key that nobody asked for is itself wrong.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::problem::Found;

/// A table whose keys are being read.
pub(super) struct Section<'i, 'p> {
    /// Its path from the top, empty at the top.
    path: String,
    rest: DeTable<'i>,
    known: Vec<&'static str>,
    /// Where the values are that were there.
    spans: Vec<(&'static str, Range<usize>)>,
    found: &'p mut Vec<Found>,
}

impl<'i, 'p> Section<'i, 'p> {
    /// The top of a document.
    pub(super) fn top(table: DeTable<'i>, found: &'p mut Vec<Found>) -> Self {
        Self { path: String::new(), rest: table, known: Vec::new(), spans: Vec::new(), found }
    }

    /// The value of `key` as `read` makes of it. `read` answers with what it expected instead.
    pub(super) fn take<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&DeValue<'i>) -> Result<T, String>,
    ) -> Option<T> {
        self.known.push(key);
        let value = self.rest.remove(key)?;
        self.spans.push((key, value.span()));
        match read(value.get_ref()) {
            Ok(read) => Some(read),
            Err(expected) => {
                let message = format!("expected {expected}, found {}", describe(value.get_ref()));
                self.note(value.span(), key, message);
                None
            }
        }
    }

    /// Whether `key` was there and was read, whatever came of it.
    pub(super) fn has(&self, key: &str) -> bool {
        self.spans.iter().any(|(known, _)| *known == key)
    }

    /// Notes that `key`, which was there, can't be with or without others.
    pub(super) fn refuse(&mut self, key: &'static str, message: &str) {
        let span = self.spans.iter().find(|(known, _)| *known == key).map(|(_, span)| span.clone());
        self.note(span.unwrap_or(0..0), key, message.to_owned());
    }

    /// Reads the table `key` with `read`, if it is there.
    pub(super) fn table<T: Default>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section<'i, '_>) -> T,
    ) -> T {
        self.known.push(key);
        let Some(value) = self.rest.remove(key) else { return T::default() };
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(table) => {
                let mut section = Section {
                    path: self.path_of(key),
                    rest: table,
                    known: Vec::new(),
                    spans: Vec::new(),
                    found: &mut *self.found,
                };
                let read = read(&mut section);
                section.finish();
                read
            }
            other => {
                let message = format!("expected a table, found {}", describe(&other));
                self.note(span, key, message);
                T::default()
            }
        }
    }

    /// Notes the keys that are left.
    pub(super) fn finish(mut self) {
        for (key, _value) in std::mem::take(&mut self.rest) {
            let message = match nearest(key.get_ref(), &self.known) {
                Some(near) => format!("no such key; did you mean `{near}`?"),
                None => format!("no such key; known here: {}", self.known.join(", ")),
            };
            self.note(key.span(), key.get_ref(), message);
        }
    }

    fn note(&mut self, span: Range<usize>, key: &str, message: String) {
        let key = Some(self.path_of(&shorten(key)));
        self.found.push(Found { span, key, message });
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// The text of a value.
pub(super) fn text<'v>(value: &'v DeValue<'_>) -> Option<&'v str> {
    value.as_str()
}

/// The number in a value that is a whole number and not negative.
pub(super) fn count(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// The known key that `key` was probably meant to be.
fn nearest(key: &str, known: &[&'static str]) -> Option<&'static str> {
    let distance = |candidate: &str| strsim::damerau_levenshtein(key, candidate);
    let best = known.iter().copied().min_by_key(|candidate| distance(candidate))?;
    let likely = distance(best) <= best.len() / 3 + 1 || best.starts_with(&format!("{key}_"));
    likely.then_some(best)
}

fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the string {:?}", shorten(text)),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {number}"),
        DeValue::Boolean(value) => format!("{value}"),
        DeValue::Datetime(time) => format!("the date {time}"),
        DeValue::Array(_) => "an array".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

fn shorten(text: &str) -> String {
    const KEPT: usize = 60;
    match text.char_indices().nth(KEPT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Whether a problem at `span` lies on a line that a syntax error is on, and so may be its echo.
pub(super) fn shares_line(source: &str, span: &Range<usize>, errors: &[Range<usize>]) -> bool {
    let line = |offset: usize| super::problem::position(source, offset).0;
    errors.iter().any(|error| line(error.start) == line(span.start))
}
