//! Reads one table of a TOML document key by key. What is wrong is noted, never thrown, so that one
//! look at the file finds everything; a key that nobody asked for is itself wrong.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::problem::Found;

/// Most strings of a list and keys of a table that may have any.
const LIST_MAX: usize = 64;

/// A table whose keys are being read.
pub(super) struct Section<'i, 'p> {
    /// Its path from the top, empty at the top.
    path: String,
    /// Where it begins in the file.
    span: Range<usize>,
    rest: DeTable<'i>,
    known: Vec<&'static str>,
    /// Where the values are that were there.
    spans: Vec<(&'static str, Range<usize>)>,
    found: &'p mut Vec<Found>,
}

impl<'i, 'p> Section<'i, 'p> {
    /// The top of a document.
    pub(super) fn top(table: DeTable<'i>, found: &'p mut Vec<Found>) -> Self {
        Self {
            path: String::new(),
            span: 0..0,
            rest: table,
            known: Vec::new(),
            spans: Vec::new(),
            found,
        }
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

    /// The same for a value that is not to be shown, whatever is wrong with it.
    pub(super) fn take_unshown<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&DeValue<'i>) -> Result<T, String>,
    ) -> Option<T> {
        self.known.push(key);
        let value = self.rest.remove(key)?;
        self.spans.push((key, value.span()));
        read(value.get_ref())
            .map_err(|expected| self.note(value.span(), key, format!("expected {expected}")))
            .ok()
    }

    /// Whether `key` was there and was read, whatever came of it.
    pub(super) fn has(&self, key: &str) -> bool {
        self.spans.iter().any(|(known, _)| *known == key)
    }

    /// Notes that `key`, which was there, can't be with or without others.
    pub(super) fn refuse_key(&mut self, key: &'static str, message: &str) {
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
            DeValue::Table(table) => self.below(self.path_of(key), span, table, read),
            other => {
                let message = format!("expected a table, found {}", describe(&other));
                self.note(span, key, message);
                T::default()
            }
        }
    }

    /// Reads each table of the list `key` with `read`: at most `most`. In paths they count from 1.
    pub(super) fn tables<T>(
        &mut self,
        key: &'static str,
        most: usize,
        mut read: impl FnMut(&mut Section<'i, '_>) -> T,
    ) -> Vec<T> {
        self.known.push(key);
        let Some(value) = self.rest.remove(key) else { return Vec::new() };
        let span = value.span();
        let tables = match value.into_inner() {
            DeValue::Array(tables) if tables.len() <= most => tables,
            DeValue::Array(tables) => {
                let message = format!("at most {most} tables, found {}", tables.len());
                self.note(span, key, message);
                return Vec::new();
            }
            other => {
                let found = describe(&other);
                self.note(span, key, format!("expected tables under [[{key}]], found {found}"));
                return Vec::new();
            }
        };
        let mut all = Vec::new();
        for (number, value) in (1..).zip(tables) {
            let (span, path) = (value.span(), format!("{}[{number}]", self.path_of(key)));
            match value.into_inner() {
                DeValue::Table(table) => all.push(self.below(path, span, table, &mut read)),
                other => {
                    let message = format!("expected a table, found {}", describe(&other));
                    self.found.push(Found { span, key: Some(path), message });
                }
            }
        }
        all
    }

    /// What `read` makes of each string of the list `key`, of which there are at most [`LIST_MAX`].
    /// `read` answers with what is wrong.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        self.known.push(key);
        let Some(value) = self.rest.remove(key) else { return Vec::new() };
        let items = match value.get_ref() {
            DeValue::Array(items) if items.len() <= LIST_MAX => items,
            DeValue::Array(_) => {
                self.note(value.span(), key, format!("at most {LIST_MAX} strings"));
                return Vec::new();
            }
            other => {
                let message = format!("expected a list of strings, found {}", describe(other));
                self.note(value.span(), key, message);
                return Vec::new();
            }
        };
        let mut all = Vec::new();
        for item in items {
            let read = match item.get_ref() {
                DeValue::String(text) => read(text),
                other => Err(format!("expected a string, found {}", describe(other))),
            };
            match read {
                Ok(read) => all.push(read),
                Err(message) => self.note(item.span(), key, message),
            }
        }
        all
    }

    /// What `read` makes of each key and value of the table `key`, of which there are at most
    /// [`LIST_MAX`]. `read` answers with what it expected instead.
    pub(super) fn map<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&str, &DeValue<'i>) -> Result<T, String>,
    ) -> Vec<T> {
        self.known.push(key);
        let Some(value) = self.rest.remove(key) else { return Vec::new() };
        let entries = match value.get_ref() {
            DeValue::Table(entries) if entries.len() <= LIST_MAX => entries,
            DeValue::Table(_) => {
                self.note(value.span(), key, format!("at most {LIST_MAX} keys"));
                return Vec::new();
            }
            other => {
                let message = format!("expected a table, found {}", describe(other));
                self.note(value.span(), key, message);
                return Vec::new();
            }
        };
        let mut all = Vec::new();
        for (name, value) in entries {
            match read(name.get_ref(), value.get_ref()) {
                Ok(read) => all.push(read),
                Err(expected) => {
                    let found = describe(value.get_ref());
                    let message = format!("expected {expected}, found {found}");
                    self.note(value.span(), &format!("{key}.{}", shorten(name.get_ref())), message);
                }
            }
        }
        all
    }

    /// Notes that the table as a whole is wrong.
    pub(super) fn refuse(&mut self, message: String) {
        self.found.push(Found { span: self.span.clone(), key: Some(self.path.clone()), message });
    }

    /// How much is wrong so far, in all of the file.
    pub(super) const fn faults(&self) -> usize {
        self.found.len()
    }

    fn below<T>(
        &mut self,
        path: String,
        span: Range<usize>,
        table: DeTable<'i>,
        read: impl FnOnce(&mut Section<'i, '_>) -> T,
    ) -> T {
        let mut section = Section {
            path,
            span,
            rest: table,
            known: Vec::new(),
            spans: Vec::new(),
            found: &mut *self.found,
        };
        let read = read(&mut section);
        section.finish();
        read
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
