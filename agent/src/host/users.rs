//! The host's databases of users and groups: names and home directories by number.
//!
//! Only `/etc/passwd` and `/etc/group`, read by ourselves: NSS may ask a directory service over the
//! network, which can block for as long as it likes, and it can't be linked statically. Who is only
//! there has no name here and is known by number.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::Dir;

/// Largest database that is read, in bytes.
pub(super) const MAX_FILE: usize = 8 * 1024 * 1024;

/// One user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    /// The login name.
    pub(super) name: String,
    /// The home directory.
    pub(super) home: PathBuf,
}

/// One group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// Its name.
    pub(super) name: String,
}

/// A database of colon-separated lines, read again when the file has changed.
#[derive(Debug)]
pub(super) struct Database<T> {
    path: PathBuf,
    version: Option<Version>,
    by_id: HashMap<u32, Arc<T>>,
}

/// What a line of a database stands for.
pub(super) trait Entry: Sized {
    /// Makes an entry from its name and the fields behind its number.
    fn of<'a>(name: &str, fields: impl Iterator<Item = &'a str>) -> Self;
}

/// Tells one version of a file from the next, whether it is replaced or written in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Entry for User {
    /// `name:password:uid:gid:gecos:home:shell`
    fn of<'a>(name: &str, mut fields: impl Iterator<Item = &'a str>) -> Self {
        Self { name: name.to_owned(), home: fields.nth(2).unwrap_or("/").into() }
    }
}

impl Entry for Group {
    /// `name:password:gid:members`
    fn of<'a>(name: &str, _fields: impl Iterator<Item = &'a str>) -> Self {
        Self { name: name.to_owned() }
    }
}

impl<T: Entry> Database<T> {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, version: None, by_id: HashMap::new() }
    }

    /// The entry with this number. Where several lines have it, the first counts, as for `getpwuid`.
    pub(super) fn by_id(&mut self, id: u32) -> Option<Arc<T>> {
        self.refresh();
        self.by_id.get(&id).cloned()
    }

    /// While the file can't be read, what was read last stays.
    fn refresh(&mut self) {
        let version = std::fs::metadata(&self.path).ok().map(|m| Version::of(&m));
        if version.is_none() || version == self.version {
            return;
        }
        if let Some(content) = read(&self.path) {
            self.by_id.clear();
            for (id, entry) in entries::<T>(&content) {
                self.by_id.entry(id).or_insert_with(|| Arc::new(entry));
            }
            self.version = version;
        }
    }
}

impl Version {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

fn read(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let content = Dir::open(path.parent()?).ok()?.read(path.file_name()?, MAX_FILE).ok()?;
    Some(String::from_utf8_lossy(&content).into_owned())
}

/// The entries of a database, with their numbers: `name:password:number:…`. Lines of another form are
/// passed over.
pub(super) fn entries<T: Entry>(content: &str) -> impl Iterator<Item = (u32, T)> {
    content.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let id = fields.nth(1)?.parse().ok()?;
        // A line that begins with `+` or `-` is an instruction to NIS.
        let is_name = !name.is_empty() && !name.starts_with(['+', '-', '#']);
        is_name.then(|| (id, T::of(name, fields)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn users_are_read_again_when_the_file_changes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passwd");
        let mut users = Database::<User>::new(path.clone());
        let mut name = |uid| users.by_id(uid).map(|user| user.name.clone());
        assert_eq!(name(0), None, "there is no file yet");

        std::fs::write(&path, "root:x:0:0::/root:/bin/sh\nalso:x:0:0::/:/bin/sh\n").unwrap();
        assert_eq!(name(0).as_deref(), Some("root"));
        assert_eq!(name(1000), None);

        std::fs::write(dir.path().join("new"), "root:x:0:0::/root:\nagent:x:1000:5:A:/home/a:/\n")
            .unwrap();
        std::fs::rename(dir.path().join("new"), &path).unwrap();
        assert_eq!(name(1000).as_deref(), Some("agent"));

        std::fs::remove_file(&path).unwrap();
        assert_eq!(name(1000).as_deref(), Some("agent"), "what was known stays");
    }

    #[test]
    fn what_is_not_a_user_is_passed_over() {
        let content = "+::1::::\n:x:2:2::/:/\nx\n\na:x:-3:0::/:\nb:x:4\nc:x:x5:\n#d:x:6:6::/:\n";
        let b = User { name: "b".to_owned(), home: "/".into() };
        assert_eq!(entries(content).collect::<Vec<_>>(), [(4, b)]);
        let b = Group { name: "b".to_owned() };
        assert_eq!(entries(content).collect::<Vec<_>>(), [(4, b)]);
    }

    proptest! {
        #[test]
        fn no_content_breaks_the_parser(content in any::<String>()) {
            for (_, user) in entries::<User>(&content) {
                prop_assert!(!user.name.is_empty() && !user.name.contains([':', '\n']));
            }
        }
    }
}
