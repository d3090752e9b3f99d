//! The files that are remembered, within bounds.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::mapping::FileId;
use super::probes::Probes;
use super::same::Likeness;
use super::sockets::Followed;
use super::status::Target;

/// Files that are remembered. When there are more, those without probes are forgotten.
const FILES_MAX: usize = 32 * 1024;

/// Files that are probed at once, with some ten descriptors each. Anybody can map as many copies of a
/// library as he likes.
pub(super) const PROBED_MAX: usize = 2048;

/// Every file that was looked at, as far as it is remembered.
pub(super) struct Files {
    known: HashMap<FileId, Known>,
}

/// What is known of a file.
pub(super) struct Known {
    /// Absent for a file without TLS code, which nobody wants to hear of. Shared by all under whose names it
    /// was seen.
    pub(super) found: Option<Arc<Found>>,
    pub(super) likeness: Option<Likeness>,
    /// It stays attached though no process maps it.
    pub(super) installed: bool,
}

/// A file with TLS code. The probes go when nobody knows it any more.
pub(super) struct Found {
    pub(super) target: Target,
    pub(super) attached: Attached,
}

/// What is attached for a file.
#[derive(Default)]
pub(super) struct Attached {
    pub(super) probes: Probes,
    /// Shows which sockets the probes' records belong to.
    #[expect(dead_code, reason = "is dropped")]
    pub(super) sockets: Option<Arc<Followed>>,
}

impl Known {
    pub(super) fn is_probed(&self) -> bool {
        self.found.as_ref().is_some_and(|found| !found.attached.probes.entries().is_empty())
    }

    /// Whether what is at `path`, and has the device and inode of this file, is this file as it was. A free
    /// inode is soon another file's; and a file that was written to has its functions elsewhere, so that
    /// probes must not stay.
    pub(super) fn is_still_at(&self, path: &Path) -> bool {
        Likeness::at(path).map_or(true, |now| self.likeness == Some(now))
    }
}

impl Found {
    /// Where in the file calls are seen to begin.
    pub(super) fn entries(&self) -> &[u64] {
        self.attached.probes.entries()
    }
}

impl Files {
    pub(super) fn new() -> Self {
        Self { known: HashMap::new() }
    }

    pub(super) fn get(&self, id: FileId) -> Option<&Known> {
        self.known.get(&id)
    }

    /// What has to be forgotten for it and is still mapped is found again.
    pub(super) fn remember(&mut self, id: FileId, known: Known) {
        if self.known.len() >= FILES_MAX {
            self.known.retain(|_, known| known.installed || known.is_probed());
        }
        if self.known.len() >= FILES_MAX {
            self.known.retain(|_, known| known.installed);
        }
        self.known.insert(id, known);
    }

    /// Whether no further file may be probed.
    pub(super) fn is_full(&self) -> bool {
        self.known.values().filter(|known| known.is_probed()).count() >= PROBED_MAX
    }

    /// What was found in files that look like this one.
    pub(super) fn alike(&self, likeness: Likeness) -> impl Iterator<Item = &Arc<Found>> {
        let alike = self.known.values().filter(move |known| known.likeness == Some(likeness));
        alike.filter_map(|known| known.found.as_ref())
    }

    /// Forgets what is neither installed nor mapped.
    pub(super) fn keep_only(&mut self, mapped: &HashSet<FileId>) {
        self.known.retain(|id, known| known.installed || mapped.contains(id));
    }

    /// What there is to tell.
    pub(super) fn targets(&self) -> Vec<Target> {
        let mut targets: HashMap<*const Found, Target> = HashMap::new();
        for (id, known) in &self.known {
            let Some(found) = &known.found else { continue };
            let target = targets.entry(Arc::as_ptr(found)).or_insert_with(|| found.target.clone());
            target.files.push(*id);
        }
        let mut targets: Vec<Target> = targets.into_values().collect();
        targets.iter_mut().for_each(|target| target.files.sort_unstable());
        targets
    }

    /// Takes all probes away.
    pub(super) fn remove_probes(&mut self) {
        let found = self.known.drain().filter_map(|(_, known)| known.found);
        Probes::remove(found.filter_map(Arc::into_inner).map(|found| found.attached.probes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::status::Outcome;
    use weir_core::units::Timestamp;

    fn id(inode: u64) -> FileId {
        FileId { device: (8, 1), inode }
    }

    fn known(probes: Option<Probes>, installed: bool) -> Known {
        let found = probes.map(|probes| {
            let target = Target {
                files: Vec::new(),
                path: "/lib/libssl.so".to_owned(),
                build_id: None,
                outcome: Outcome::Loader,
                since: Timestamp::UNIX_EPOCH,
            };
            Arc::new(Found { target, attached: Attached { probes, sockets: None } })
        });
        Known { found, likeness: None, installed }
    }

    /// Files from number `from` on, so many.
    fn fill(files: &mut Files, from: u64, count: usize, probes: impl Fn() -> Option<Probes>) {
        for inode in (from..).take(count) {
            files.remember(id(inode), known(probes(), false));
        }
    }

    #[test]
    fn no_more_than_so_many_files_are_probed() {
        let mut files = Files::new();
        fill(&mut files, 0, PROBED_MAX - 1, || Some(Probes::at(vec![16])));
        fill(&mut files, 1 << 20, 10, || Some(Probes::default()));
        fill(&mut files, 1 << 21, 10, || None);
        assert!(!files.is_full());
        fill(&mut files, 1 << 22, 1, || Some(Probes::at(vec![16])));
        assert!(files.is_full());
        files.keep_only(&HashSet::from([id(1 << 22)]));
        assert!(!files.is_full(), "what nobody maps makes room");
    }

    #[test]
    fn for_a_new_file_those_without_probes_are_forgotten_first() {
        let mut files = Files::new();
        files.remember(id(1), known(None, true));
        fill(&mut files, 10, 100, || Some(Probes::at(vec![16])));
        fill(&mut files, 1 << 20, FILES_MAX, || None);
        assert!(files.known.len() <= FILES_MAX);
        assert!(files.get(id(1)).is_some() && files.get(id(10)).is_some());
        assert!(files.get(id(1 << 20)).is_none());
    }

    #[test]
    fn as_many_probed_ones_are_let_go_of_too() {
        let mut files = Files::new();
        files.remember(id(1), known(None, true));
        fill(&mut files, 10, FILES_MAX, || Some(Probes::at(vec![16])));
        assert!(files.known.len() <= FILES_MAX);
        assert!(files.get(id(1)).is_some() && files.get(id(10)).is_none());
    }

    #[test]
    fn a_file_of_many_names_is_told_of_once() {
        let mut files = Files::new();
        let first = known(Some(Probes::default()), false);
        let again = Known { found: first.found.clone(), likeness: None, installed: false };
        files.remember(id(1), first);
        files.remember(id(2), again);
        let [target] = files.targets().try_into().unwrap();
        assert_eq!(target.files, [id(1), id(2)]);
    }
}
