//! From the kernel's cgroup ids to paths.
//!
//! The id that a probe stamps is the inode of the cgroup's directory in the v2 hierarchy
//! (`kernfs_node.id`, 64 bits wide and the same as the inode since Linux 5.5). The kernel gives none
//! twice, and a v2 cgroup can't be renamed, so what was learnt holds even after the cgroup is gone.

use std::collections::VecDeque;
use std::fs::DirEntry;
use std::num::NonZeroUsize;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use lru::LruCache;

/// Most ids that are remembered.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(8192).unwrap();
/// Longest path that is remembered, in bytes.
const MAX_PATH: usize = 1024;
/// Most directories that one search visits. Shallow ones come first, so that a user who fills his
/// own part of the tree hides nobody but himself.
const MAX_DIRECTORIES: usize = 4096;
/// After a search that found nothing, the next one waits this many times as long as it took: ids
/// of cgroups that come and go must not keep us searching.
const REST: u32 = 20;

/// The v2 hierarchy, as far as seen.
#[derive(Debug)]
pub(super) struct Cgroups {
    /// Where it is mounted; `None` on a host that has only v1.
    root: Option<PathBuf>,
    by_id: LruCache<u64, String>,
    /// No search before this time.
    rested: Instant,
}

impl Cgroups {
    /// Takes the first of `candidates` that is the root of a v2 hierarchy.
    pub(super) fn new(candidates: &[PathBuf]) -> Self {
        // Only v2 has this file (Documentation/admin-guide/cgroup-v2.rst).
        let root = candidates.iter().find(|root| root.join("cgroup.controllers").is_file());
        Self { root: root.cloned(), by_id: LruCache::new(CAPACITY), rested: Instant::now() }
    }

    /// The path of the cgroup with this id. `hint` is where `/proc` says the process is now; it is
    /// believed only if the directory there has that id. `None` if the cgroup is gone and was
    /// never seen.
    pub(super) fn path(&mut self, id: u64, hint: Option<&str>) -> Option<String> {
        if let Some(path) = self.by_id.get(&id) {
            return Some(path.clone());
        }
        let root = self.root.clone()?;
        for path in hint.into_iter().chain(["/"]) {
            let below = root.join(path.trim_start_matches('/'));
            if below.symlink_metadata().is_ok_and(|directory| directory.ino() == id) {
                self.remember(id, path);
                return Some(path.to_owned());
            }
        }
        let started = Instant::now();
        if started < self.rested {
            return None;
        }
        self.search(&root, id);
        let found = self.by_id.get(&id).cloned();
        if found.is_none() {
            self.rested = Instant::now() + started.elapsed() * REST;
        }
        found
    }

    /// The id of the cgroup that is at this path now.
    pub(super) fn id(&self, path: &str) -> Option<u64> {
        // A path with `..` is one seen from below, in a cgroup namespace.
        if path.split('/').any(|component| component == "..") {
            return None;
        }
        let directory = self.root.as_ref()?.join(path.trim_start_matches('/'));
        directory.symlink_metadata().ok().map(|directory| directory.ino())
    }

    /// Walks the tree, breadth first, until the id is known.
    fn search(&mut self, root: &Path, id: u64) {
        let mut pending = VecDeque::from([String::new()]);
        let mut left = MAX_DIRECTORIES;
        while let Some(parent) = pending.pop_front() {
            let Ok(entries) = root.join(parent.trim_start_matches('/')).read_dir() else {
                continue;
            };
            for entry in entries.flatten().filter(is_directory) {
                let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
                let path = format!("{parent}/{name}");
                self.remember(entry.ino(), &path);
                left -= 1;
                if entry.ino() == id || left == 0 {
                    return;
                }
                pending.push_back(path);
            }
        }
    }

    fn remember(&mut self, id: u64, path: &str) {
        if path.len() <= MAX_PATH {
            self.by_id.put(id, path.to_owned());
        }
    }
}

/// Answered from the directory itself, without a look at the entry.
fn is_directory(entry: &DirEntry) -> bool {
    entry.file_type().is_ok_and(|kind| kind.is_dir())
}

#[cfg(test)]
pub(super) fn id_of(directory: &Path) -> u64 {
    directory.symlink_metadata().unwrap().ino()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_and_outlives_its_cgroup() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("cgroup.controllers"), "").unwrap();
        let service = root.path().join("system.slice/a.service");
        std::fs::create_dir_all(&service).unwrap();
        let id = id_of(&service);
        let absent = root.path().join("absent");
        let mut cgroups = Cgroups::new(&[absent, root.path().to_owned()]);

        assert_eq!(cgroups.path(id_of(root.path()), None).as_deref(), Some("/"));
        let path = cgroups.path(id, Some("/system.slice"));
        assert_eq!(path.as_deref(), Some("/system.slice/a.service"), "a wrong hint is no answer");
        std::fs::remove_dir(&service).unwrap();
        assert_eq!(cgroups.path(id, None).as_deref(), Some("/system.slice/a.service"));
        assert_eq!(cgroups.path(u64::MAX, None), None);
    }

    #[test]
    fn a_host_without_v2_has_no_ids() {
        let root = tempfile::tempdir().unwrap();
        let mut cgroups = Cgroups::new(&[root.path().to_owned()]);
        assert_eq!(cgroups.path(1, Some("/")), None);
    }
}
