//! The tables of header compression (RFC 7541, section 2.3): one that everybody knows, and one that
//! each direction of a connection fills as it goes on.
//!
//! The second is ours, not a library's, because a library's begins with the connection, and we often
//! don't. Entries are counted from the newest, so whatever is inserted before our eyes is known under
//! its right number, and every number beyond that stands for something unknown.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// Most that the entries of a direction may take, in bytes as [`Table`] counts them.
pub(super) const MAX_TABLE: usize = 64 * 1024;
/// What they may take until the sender says otherwise (`SETTINGS_HEADER_TABLE_SIZE`).
const DEFAULT_TABLE: usize = 4096;
/// What an entry takes beside its text (RFC 7541, section 4.1).
const OVERHEAD: usize = 32;

/// A name or a value. It may be a secret, so it is wiped when nobody needs it any more.
#[derive(Clone)]
pub(super) enum Text {
    Static(&'static str),
    Sent(Arc<Zeroizing<Vec<u8>>>),
}

impl Text {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Static(text) => text.as_bytes(),
            Self::Sent(bytes) => bytes,
        }
    }
}

/// A header field.
#[derive(Clone)]
pub(super) struct Field {
    pub(super) name: Text,
    pub(super) value: Text,
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Field({} bytes)", self.name.bytes().len() + self.value.bytes().len())
    }
}

/// The fields that one direction can refer to by number.
///
/// It may keep entries longer than the sender does, if we don't know how much the sender may keep:
/// that changes no number, and the sender refers only to what it has.
#[derive(Debug)]
pub(super) struct Table {
    /// Newest first; `None` for one that is unknown.
    entries: VecDeque<(Option<Field>, usize)>,
    /// The sum of their sizes. At most `capacity` and [`MAX_TABLE`].
    size: usize,
    /// What the sender may keep.
    capacity: usize,
}

impl Table {
    pub(super) const fn new() -> Self {
        Self { entries: VecDeque::new(), size: 0, capacity: DEFAULT_TABLE }
    }

    /// The field of that number, if it is known. There is none of number 0.
    pub(super) fn field(&self, number: usize) -> Option<Field> {
        let place = number.checked_sub(1)?;
        if let Some(&(name, value)) = STATIC.get(place) {
            return Some(Field { name: Text::Static(name), value: Text::Static(value) });
        }
        self.entries.get(place - STATIC.len())?.0.clone()
    }

    /// Adds the newest entry, known or not. `length` is that of its texts, as far as it is known.
    pub(super) fn insert(&mut self, field: Option<Field>, length: usize) {
        let size = OVERHEAD + length;
        if size > self.capacity {
            // Such an entry only empties the table (RFC 7541, section 4.4).
            return self.forget();
        }
        // Beyond our own bound, what counts is that the entry has its number.
        let (field, size) = if size > MAX_TABLE { (None, OVERHEAD) } else { (field, size) };
        self.shrink(self.capacity.min(MAX_TABLE) - size.min(self.capacity));
        self.entries.push_front((field, size));
        self.size += size;
    }

    /// The sender says how much it keeps from now on.
    pub(super) fn resize(&mut self, capacity: usize) {
        self.capacity = capacity;
        self.shrink(capacity);
    }

    /// Everything that was inserted before is unknown from now on.
    pub(super) fn forget(&mut self) {
        self.entries.clear();
        self.size = 0;
    }

    /// Bytes held back, about.
    pub(super) fn footprint(&self) -> usize {
        self.size + self.entries.capacity() * size_of::<(Option<Field>, usize)>()
    }

    fn shrink(&mut self, bound: usize) {
        while self.size > bound
            && let Some((_, size)) = self.entries.pop_back()
        {
            self.size -= size;
        }
    }
}

/// The fields that have the same number everywhere, from 1 on (RFC 7541, appendix A).
pub(crate) const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];
