//! Which package of the host a file came with, by the lists of Debian's package manager:
//! `info/<package>.list` has the paths of its files, one a line.
//!
//! The lists are searched when somebody asks, some 7 MB in some 10 ms, instead of kept in memory. RPM
//! keeps its own in a database, which is not read.

use std::fs::File;
use std::io::Read as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use lru::LruCache;
use memchr::memmem::Finder;

use super::super::users::Version;

/// Most answers that are remembered.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// Most lists that are searched; Debian has 60,000 packages, and no host has all.
const LISTS_MAX: usize = 16 * 1024;
/// Longest list that is read, in bytes. The longest known has 2 MB.
const LIST_MAX: u64 = 8 << 20;

/// The host's packages.
#[derive(Debug)]
pub(super) struct Packages {
    database: PathBuf,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    /// Of the file that every installation writes anew.
    version: Option<Version>,
    by_path: LruCache<String, Option<String>>,
}

impl Packages {
    pub(super) fn new(database: PathBuf) -> Self {
        let known = Known { version: None, by_path: LruCache::new(CAPACITY) };
        Self { database, known: Mutex::new(known) }
    }

    /// The package that `path` came with.
    pub(super) fn of(&self, path: &str) -> Option<String> {
        let status = std::fs::metadata(self.database.join("status")).ok()?;
        let version = Some(Version::of(&status));
        let lock = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut known = lock();
            if known.version != version {
                known.by_path.clear();
                known.version = version;
            } else if let Some(answer) = known.by_path.get(path) {
                return answer.clone();
            }
        }
        let answer = search(&self.database.join("info"), path);
        let mut known = lock();
        if known.version == version {
            known.by_path.put(path.to_owned(), answer.clone());
        }
        answer
    }
}

/// Searches all lists. Where `/bin` is a link to `/usr/bin`, packages may still say `/bin`.
fn search(lists: &Path, path: &str) -> Option<String> {
    let spellings: Vec<String> = [Some(path), path.strip_prefix("/usr")]
        .into_iter()
        .flatten()
        .filter(|path| path.starts_with('/') && !path.contains('\n'))
        .map(|path| format!("\n{path}\n"))
        .collect();
    let finders: Vec<Finder<'_>> = spellings.iter().map(Finder::new).collect();
    let mut list = Vec::new();
    lists.read_dir().ok()?.flatten().take(LISTS_MAX).find_map(|entry| {
        let name = entry.file_name();
        let package = name.to_str()?.strip_suffix(".list")?;
        list.clear();
        // So that the first line has a line's end before it, like all others.
        list.push(b'\n');
        File::open(entry.path()).ok()?.take(LIST_MAX).read_to_end(&mut list).ok()?;
        let is_in_it = finders.iter().any(|finder| finder.find(&list).is_some());
        // Of several architectures: `<package>:<architecture>.list`.
        is_in_it.then(|| package.split(':').next().unwrap_or(package).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_belong_to_the_package_whose_list_has_them() {
        let database = tempfile::tempdir().unwrap();
        let info = database.path().join("info");
        std::fs::create_dir(&info).unwrap();
        let write = |name: &str, content: &str| std::fs::write(info.join(name), content).unwrap();
        write("python3.11-minimal.list", "/.\n/usr/bin\n/usr/bin/python3.11\n");
        write("libssl3:amd64.list", "/usr/lib/x/libssl.so.3\n");
        write("bash.list", "/bin/bash\n/usr/share/doc/bash\n");
        write("bash.md5sums", "/usr/bin/other\n");
        let status = database.path().join("status");
        let packages = Packages::new(database.path().to_owned());
        assert_eq!(packages.of("/bin/bash"), None, "there is no database yet");
        std::fs::write(&status, "1").unwrap();
        for (path, package) in [
            ("/usr/bin/python3.11", Some("python3.11-minimal")),
            ("/usr/lib/x/libssl.so.3", Some("libssl3")),
            ("/usr/bin/bash", Some("bash")),
            ("/bin/bash", Some("bash")),
            ("/usr/bin/python3", None),
            ("/usr/bin/other", None),
            ("bin/bash", None),
            ("", None),
            ("/bin/bash\n/usr/share/doc/bash", None),
        ] {
            assert_eq!(packages.of(path).as_deref(), package, "{path}");
        }
        write("new.list", "/usr/bin/other\n");
        assert_eq!(packages.of("/usr/bin/other"), None, "known from before");
        std::fs::write(&status, "22").unwrap();
        assert_eq!(packages.of("/usr/bin/other").as_deref(), Some("new"));
    }
}
