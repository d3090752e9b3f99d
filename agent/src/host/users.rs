//! The host's user database: names and home directories by uid.
//!
//! Only `/etc/passwd`, read by ourselves: NSS may ask a directory service over the network, which
//! can block for as long as it likes, and it can't be linked statically. A user that is only there
//! has no name here and is known by uid.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::Dir;

/// Largest database that is read, in bytes.
const MAX_FILE: usize = 8 * 1024 * 1024;

/// One user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    /// The login name.
    pub(super) name: String,
    /// The home directory.
    pub(super) home: PathBuf,
}

/// The user database, read again when the file has changed.
#[derive(Debug)]
pub(super) struct Users {
    path: PathBuf,
    version: Option<Version>,
    by_uid: HashMap<u32, Arc<User>>,
}

/// Tells one version of a file from the next, whether it is replaced or written in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Users {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, version: None, by_uid: HashMap::new() }
    }

    /// The user with this uid. Where several lines have it, the first counts, as for `getpwuid`.
    pub(super) fn by_uid(&mut self, uid: u32) -> Option<Arc<User>> {
        self.refresh();
        self.by_uid.get(&uid).cloned()
    }

    /// While the file can't be read, what was read last stays.
    fn refresh(&mut self) {
        let version = std::fs::metadata(&self.path).ok().map(|m| Version::of(&m));
        if version.is_none() || version == self.version {
            return;
        }
        if let Some(content) = read(&self.path) {
            self.by_uid = parse(&content);
            self.version = version;
        }
    }
}

impl Version {
    fn of(metadata: &Metadata) -> Self {
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

/// `name:password:uid:gid:gecos:home:shell`. Lines of another form are passed over.
fn parse(content: &str) -> HashMap<u32, Arc<User>> {
    let mut by_uid = HashMap::new();
    for line in content.lines() {
        let mut fields = line.split(':');
        let (Some(name), Some(Ok(uid)), home) =
            (fields.next(), fields.nth(1).map(str::parse), fields.nth(2))
        else {
            continue;
        };
        // A line that begins with `+` or `-` is an instruction to NIS.
        if !name.is_empty() && !name.starts_with(['+', '-', '#']) {
            by_uid.entry(uid).or_insert_with(|| {
                Arc::new(User { name: name.to_owned(), home: home.unwrap_or("/").into() })
            });
        }
    }
    by_uid
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn users_are_read_again_when_the_file_changes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passwd");
        let mut users = Users::new(path.clone());
        let mut name = |uid| users.by_uid(uid).map(|user| user.name.clone());
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
        let users =
            parse("+::1::::\n:x:2:2::/:/\nx\n\na:x:-3:0::/:\nb:x:4\nc:x:x5:\n#d:x:6:6::/:\n");
        let expected = User { name: "b".to_owned(), home: "/".into() };
        assert_eq!(users, HashMap::from([(4, Arc::new(expected))]));
    }

    proptest! {
        #[test]
        fn no_content_breaks_the_parser(content in any::<String>()) {
            for user in parse(&content).values() {
                prop_assert!(!user.name.is_empty() && !user.name.contains([':', '\n']));
            }
        }
    }
}
