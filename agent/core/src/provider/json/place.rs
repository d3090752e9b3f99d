//! Where in a JSON text a value stands.

/// Longest key that is told from others, in bytes.
pub(super) const MAX_KEY: usize = 64;

/// The objects and arrays that are open, and the path of the current value in them.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// `choices[].delta.content`.
    path: String,
    /// Outermost first.
    open: Vec<Level>,
}

#[derive(Clone, Copy, Debug)]
struct Level {
    kind: Kind,
    /// The length of the path outside it.
    outside: usize,
    /// The length of the path that its values share.
    inside: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Array,
}

impl Place {
    /// The elements of an array share the path `array[]`.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// How many objects and arrays are open.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// What the current value is part of.
    pub(super) fn inside(&self) -> Option<Kind> {
        self.open.last().map(|level| level.kind)
    }

    pub(super) fn clear(&mut self) {
        self.path.clear();
        self.open.clear();
    }

    /// The current value has parts, which come next.
    pub(super) fn open(&mut self, kind: Kind) {
        let outside = self.path.len();
        if kind == Kind::Array {
            self.path.push_str("[]");
        }
        self.open.push(Level { kind, outside, inside: self.path.len() });
    }

    /// The innermost open value ends. Says whether it is of that kind.
    pub(super) fn close(&mut self, kind: Kind) -> bool {
        let Some(level) = self.open.pop() else { return false };
        self.path.truncate(level.outside);
        level.kind == kind
    }

    /// Goes on to the field `key` of the innermost object. Returns what it is called in the path: a
    /// key that is missing, too long or could be mistaken for a path is none that is looked for.
    pub(super) fn enter(&mut self, key: Option<&str>) -> &str {
        let inside = self.open.last().map_or(0, |level| level.inside);
        self.path.truncate(inside);
        if inside > 0 {
            self.path.push('.');
        }
        let start = self.path.len();
        let is_plain = |key: &&str| {
            key.len() <= MAX_KEY && !key.bytes().any(|byte| matches!(byte, b'.' | b'[' | b']'))
        };
        self.path.push_str(key.filter(is_plain).unwrap_or("?"));
        &self.path[start..]
    }
}
