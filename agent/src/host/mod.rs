//! Gathers the facts about a process that the probes saw, from `/proc`, the cgroup hierarchies, the
//! user database and the container runtimes' own files, and has the core name it.
//!
//! What the kernel stamped on the record comes first: the uid and the cgroup are those at the time
//! of the call, whatever became of the process since. `/proc` is looked at for the rest, if the
//! process still runs; else what [`Host`] noted while it ran has to do. Nothing here waits for the
//! process or for a network, and everything that is kept is bounded.

mod cgroups;
mod files;
mod machine;
mod paths;
mod process;
mod running;
mod runtimes;
mod table;
mod users;

pub use machine::{boot_id, hostname};
pub use paths::Paths;

use std::path::PathBuf;
use std::sync::Arc;

use weir_core::identity::{
    Attribution, Explanation, Membership, Namespace, Placement, Process, ProcessFacts, Realm, Rules,
};
use weir_core::units::ProcessKey;

use cgroups::Cgroups;
use process::Snapshot;
use running::Running;
use runtimes::Runtimes;
use table::Table;
use users::Users;

/// A process as the kernel stamped it on a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Which process.
    pub key: ProcessKey,
    /// Its user, in the initial user namespace.
    pub uid: u32,
    /// Its cgroup in the v2 hierarchy (`bpf_get_current_cgroup_id`).
    pub cgroup_id: u64,
}

/// What is known of this host's processes, users, cgroups and containers. Feed it [`executed`],
/// [`forked`] and [`exited`] as they happen and ask for an [`attribution`] when one is needed; each
/// costs some tens of microseconds. Longer, and so bounded and rare, are the search for a cgroup that
/// no process was seen in before and the reading of a container runtime's state.
///
/// [`executed`]: Self::executed
/// [`forked`]: Self::forked
/// [`exited`]: Self::exited
/// [`attribution`]: Self::attribution
#[derive(Debug)]
pub struct Host {
    namespace: Namespace,
    rules: Rules,
    proc: PathBuf,
    table: Table,
    cgroups: Cgroups,
    users: Users,
    runtimes: Runtimes,
}

impl Host {
    /// A host whose identities are named in `namespace`. Reads nothing yet but which hierarchy is
    /// v2.
    #[must_use]
    pub fn new(namespace: Namespace, paths: Paths) -> Self {
        Self {
            namespace,
            rules: Rules::default(),
            table: Table::new(),
            cgroups: Cgroups::new(&paths.cgroup2),
            runtimes: Runtimes::new(&paths),
            users: Users::new(paths.passwd),
            proc: paths.proc,
        }
    }

    /// The same host, with rules that name and assign.
    #[must_use]
    pub fn with_rules(self, rules: Rules) -> Self {
        Self { rules, ..self }
    }

    /// A process replaced its program. `filename` is what it gave to `execve`, from the exec record:
    /// it stands in for the program's path if the process has gone before we could look. It may be
    /// relative, and of a script it is the script.
    pub fn executed(&mut self, key: ProcessKey, filename: &[u8]) {
        let mut snapshot = Snapshot::take(&self.proc, key).unwrap_or_else(|| Snapshot {
            exe: None,
            cgroups: self.table.of(key).map(|known| known.cgroups.clone()).unwrap_or_default(),
        });
        snapshot.exe = snapshot.exe.or_else(|| process::program(filename));
        self.table.note(key, Arc::new(snapshot));
    }

    /// A process was made: until it executes something, it runs its parent's program in its
    /// parent's cgroup.
    pub fn forked(&mut self, parent: ProcessKey, child: ProcessKey) {
        let inherited = self.table.of(parent).or_else(|| {
            let seen = Arc::new(Snapshot::take(&self.proc, parent)?);
            self.table.note(parent, Arc::clone(&seen));
            Some(seen)
        });
        if let Some(inherited) = inherited {
            self.table.note(child, inherited);
        }
    }

    /// A process ended. Its records may still be on their way, so it is remembered for a while.
    pub fn exited(&mut self, key: ProcessKey) {
        self.table.ended(key);
    }

    /// Who the process of this sighting is.
    pub fn attribution(&mut self, sighting: &Sighting) -> Attribution {
        let facts = self.facts(sighting);
        self.rules.attribute(&facts, &self.namespace)
    }

    /// Who the process with this pid is, and how that is known; `None` if none has it. What it has
    /// done so far counts as it does for its calls.
    pub fn explain(&mut self, pid: u32) -> Option<Explanation> {
        let Running { key, uid, cgroup } = Running::of(&self.proc, pid)?;
        // No cgroup has the id 0: without an id, what procfs says of the cgroups stays.
        let cgroup_id = cgroup.and_then(|path| self.cgroups.id(&path)).unwrap_or(0);
        let key = self.table.precise(key);
        let facts = self.facts(&Sighting { key, uid, cgroup_id });
        Some(self.rules.explain(&facts, &self.namespace))
    }

    fn facts(&mut self, sighting: &Sighting) -> ProcessFacts {
        let Snapshot { exe, cgroups } = self.last_seen(sighting.key);
        let cgroups = self.at_the_time(sighting, cgroups);
        let cgroup = cgroups.path().map(str::to_owned);
        let placement = cgroup.as_deref().map(Placement::of).unwrap_or_default();
        let owner = match placement.realm {
            Realm::Host => None,
            Realm::User(uid) => self.users.by_uid(uid),
        };
        let container = placement
            .container
            .map(|container| self.runtimes.describe(&container, placement.realm, owner.as_deref()));
        let process = Process { pid: sighting.key.pid, exe, uid: sighting.uid };
        ProcessFacts {
            user: self.users.by_uid(sighting.uid).map(|user| user.name.clone()),
            cgroup,
            owner: owner.map(|user| user.name.clone()),
            container,
            ..ProcessFacts::new(process)
        }
    }

    /// What `/proc` says now, else what was noted before.
    fn last_seen(&mut self, key: ProcessKey) -> Snapshot {
        let noted = self.table.of(key);
        match (Snapshot::take(&self.proc, key), noted) {
            // A process that is just ending has lost its program and its v1 cgroups already.
            (Some(Snapshot { exe: None, .. }) | None, Some(noted)) => (*noted).clone(),
            (Some(seen), _) => {
                self.table.note(key, Arc::new(seen.clone()));
                seen
            }
            (None, None) => Snapshot::default(),
        }
    }

    /// The cgroups at the time of the sighting: if the process has moved in the v2 hierarchy since,
    /// it may have moved in the others, and only the one that the kernel stamped is certain.
    fn at_the_time(&mut self, sighting: &Sighting, seen: Membership) -> Membership {
        match self.cgroups.path(sighting.cgroup_id, seen.unified()) {
            Some(stamped) if seen.unified() != Some(&stamped) => Membership::unified_only(stamped),
            Some(_) | None => seen,
        }
    }
}

#[cfg(test)]
mod tests;
