//! Gathers the facts about a process that the probes saw, from `/proc`, the cgroup hierarchies, the
//! user database and the container runtimes' own files, and has the core name it.
//!
//! What the kernel stamped on the record comes first: the uid and the cgroup are those at the time
//! of the call, whatever became of the process since. `/proc` is looked at for the rest, if the
//! process still runs; else what [`Host`] noted while it ran has to do. Nothing here waits for a
//! network, what may wait for the process is done aside for a short while at most, and everything that is
//! kept is bounded.

mod aside;
mod cgroups;
mod files;
mod hints;
mod kubelet;
mod machine;
mod paths;
mod process;
mod program;
mod runtimes;
mod table;
mod users;

pub use kubelet::{Kubelet, KubeletHealth};
pub use machine::{boot_id, hostname};
pub use paths::Paths;

use std::path::PathBuf;
use std::sync::Arc;

use weir_core::identity::{
    Attribution, Membership, Namespace, Placement, Process, ProcessFacts, Realm, resolve,
};
use weir_core::units::ProcessKey;

use aside::{Account, Aside};
use cgroups::Cgroups;
use hints::{Looks, Question};
use process::Snapshot;
use program::{Program, Programs};
use runtimes::Runtimes;
use table::Table;
use users::{Database, Group, User};

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
/// no process was seen in before, the reading of a container runtime's state and, for the first
/// attribution of a program that a process runs, what the process says of itself.
///
/// [`executed`]: Self::executed
/// [`forked`]: Self::forked
/// [`exited`]: Self::exited
/// [`attribution`]: Self::attribution
#[derive(Debug)]
pub struct Host {
    namespace: Namespace,
    proc: PathBuf,
    table: Table,
    cgroups: Cgroups,
    users: Database<User>,
    groups: Database<Group>,
    runtimes: Runtimes,
    aside: Aside,
    looks: Looks,
    /// Present if somebody wants to know of programs.
    programs: Option<Programs>,
    dpkg: PathBuf,
    kubelet: Option<Kubelet>,
}

impl Host {
    /// A host whose identities are named in `namespace`. Reads nothing yet but which hierarchy is
    /// v2.
    #[must_use]
    pub fn new(namespace: Namespace, paths: Paths) -> Self {
        Self {
            namespace,
            table: Table::new(),
            cgroups: Cgroups::new(&paths.cgroup2),
            runtimes: Runtimes::new(&paths),
            users: Database::new(paths.passwd),
            groups: Database::new(paths.group),
            aside: Aside::new(),
            looks: Looks::new(paths.proc.clone()),
            programs: None,
            dpkg: paths.dpkg,
            kubelet: None,
            proc: paths.proc,
        }
    }

    /// Reads programs from now on: their digests and packages become facts. Worth it only if a rule or
    /// somebody asks for them, since who sees a program first waits for it.
    #[must_use]
    pub fn reading_programs(mut self) -> Self {
        self.programs = Some(Programs::new(self.proc.clone(), self.dpkg.clone()));
        self
    }

    /// Believes the kubelet in what it says of pods.
    #[must_use]
    pub fn asking(mut self, kubelet: Kubelet) -> Self {
        self.kubelet = Some(kubelet);
        self
    }

    /// A process replaced its program. `filename` is what it gave to `execve`, from the exec record:
    /// it stands in for the program's path if the process has gone before we could look. It may be
    /// relative, and of a script it is the script.
    pub fn executed(&mut self, key: ProcessKey, filename: &[u8]) {
        let mut snapshot = Snapshot::take(&self.proc, key).unwrap_or_else(|| Snapshot {
            exe: None,
            ..self.table.of(key).map(|known| (*known).clone()).unwrap_or_default()
        });
        self.looks.executed(key);
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
        self.looks.forked(parent, child);
    }

    /// A process ended. Its records may still be on their way, so it is remembered for a while.
    pub fn exited(&mut self, key: ProcessKey) {
        self.table.ended(key);
    }

    /// Who the process of this sighting is.
    pub fn attribution(&mut self, sighting: &Sighting) -> Attribution {
        resolve(&self.facts(sighting), &self.namespace)
    }

    /// All that is known of the process of this sighting.
    pub fn facts(&mut self, sighting: &Sighting) -> ProcessFacts {
        let &Sighting { key, uid, .. } = sighting;
        let Snapshot { exe, cgroups, standing } = self.last_seen(key);
        let cgroups = self.at_the_time(sighting, cgroups);
        let cgroup = cgroups.path().map(str::to_owned);
        let placement = cgroup.as_deref().map(Placement::of).unwrap_or_default();
        let account = account(&placement, uid);
        // What a user calls a pod is none.
        let pod = placement.pod.as_ref().filter(|_| placement.realm == Realm::Host);
        let question = Question {
            key,
            exe: exe.clone(),
            uid,
            container: placement.container.as_ref().map(|container| container.id.clone()),
            is_in_pod: pod.is_some(),
        };
        let hints = self.looks.at(question, &account, &mut self.aside);
        let program = match (&self.programs, &exe) {
            (Some(programs), Some(exe)) => programs.of(key, exe, &account, &mut self.aside),
            (Some(_), None) | (None, _) => Program::default(),
        };
        let owner = match placement.realm {
            Realm::Host => None,
            Realm::User(uid) => self.users.by_id(uid),
        };
        let contained = placement.container.as_ref().filter(|_| placement.realm == Realm::Host);
        let kubelet = self.kubelet.as_ref().zip(contained);
        let kubelet = kubelet.and_then(|(kubelet, container)| kubelet.pod(pod, &container.id));
        let container = placement
            .container
            .map(|container| self.runtimes.describe(&container, placement.realm, owner.as_deref()));
        ProcessFacts {
            user: self.users.by_id(uid).map(|user| user.name.clone()),
            gid: standing.gid,
            group: standing.gid.and_then(|gid| Some(self.groups.by_id(gid)?.name.clone())),
            cgroup,
            owner: owner.map(|user| user.name.clone()),
            container,
            container_user: hints.container_user.clone(),
            login_uid: standing.login_uid,
            terminal: standing.terminal,
            exe_sha256: program.sha256,
            script: hints.script.clone(),
            package: program.package,
            token: hints.token.clone(),
            kubelet,
            cloud: hints.cloud.clone(),
            ..ProcessFacts::new(Process { pid: key.pid, exe, uid })
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

/// Who pays for what is done for a process.
fn account(placement: &Placement, uid: u32) -> Account {
    match (placement.realm, &placement.container, &placement.unit) {
        (Realm::User(uid), _, _) => Account::User(uid),
        (Realm::Host, Some(container), _) => Account::Container(container.id.clone()),
        (Realm::Host, None, Some(unit)) => Account::Unit(unit.clone()),
        (Realm::Host, None, None) => Account::User(uid),
    }
}

#[cfg(test)]
mod layouts;

#[cfg(test)]
mod tests;
