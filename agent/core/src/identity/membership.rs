//! The content of `/proc/PID/cgroup`: one path for each hierarchy that is mounted.

use super::placement::{Placement, Realm};

/// Most hierarchies that are read. Linux has at most 16 v1 hierarchies and the one of v2.
const MAX_LINES: usize = 32;
/// Longest path that is kept, in bytes (`PATH_MAX`).
const MAX_PATH: usize = 4096;

/// Where a process stands in the cgroup hierarchies. Paths begin with a slash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// Its path in the v2 hierarchy, if there is one. Where v1 has the controllers (hybrid), this
    /// may be `/` or stop at the container's runtime.
    unified: Option<String>,
    /// Its other paths, each once: that of `name=systemd` first, then by hierarchy.
    others: Vec<String>,
}

impl Membership {
    /// Parses what the kernel writes: `0::<path>` for v2, `<n>:<controllers>:<path>` for v1. The
    /// kernel allows no newline in a cgroup's name, so a name can't forge a line. Lines of no such
    /// form are passed over.
    #[must_use]
    pub fn parse(content: &str) -> Self {
        let mut membership = Self::default();
        for line in content.lines().take(MAX_LINES) {
            let mut fields = line.splitn(3, ':');
            let (Some(hierarchy), Some(controllers), Some(path)) =
                (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            // The kernel's own mark of a cgroup that was removed around a dying process.
            let path = path.strip_suffix(" (deleted)").unwrap_or(path);
            if !path.starts_with('/') || path.len() > MAX_PATH {
                continue;
            }
            if hierarchy == "0" && controllers.is_empty() {
                membership.unified = Some(path.to_owned());
            } else if !membership.others.iter().any(|known| known == path) {
                let first = controllers == "name=systemd";
                let position = if first { 0 } else { membership.others.len() };
                membership.others.insert(position, path.to_owned());
            }
        }
        membership
    }

    /// A process of which only the path in the v2 hierarchy is known.
    #[must_use]
    pub const fn unified_only(path: String) -> Self {
        Self { unified: Some(path), others: Vec::new() }
    }

    /// Its path in the v2 hierarchy.
    #[must_use]
    pub fn unified(&self) -> Option<&str> {
        self.unified.as_deref()
    }

    /// The path that says most: the first that names a container, else a service, else a user's
    /// manager, else any. v2 comes before systemd's v1 hierarchy and that before the rest.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        let paths = || self.unified.iter().chain(&self.others).map(String::as_str);
        let worth = |path: &str| {
            let placement = Placement::of(path);
            match (placement.container, placement.unit, placement.realm) {
                (Some(_), _, _) => 0,
                (None, Some(_), _) => 1,
                (None, None, Realm::User(_)) => 2,
                (None, None, Realm::Host) if path != "/" => 3,
                (None, None, Realm::Host) => 4,
            }
        };
        // Of several that are worth the same, `min_by_key` takes the first.
        paths().min_by_key(|path| worth(path))
    }
}
