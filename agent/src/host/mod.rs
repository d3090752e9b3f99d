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
mod lineage;
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
    Attribution, Explanation, IdentityId, Membership, Namespace, Placement, Process, ProcessFacts,
    Realm, Rules,
};
use weir_core::units::ProcessKey;

use aside::{Account, Aside};
use cgroups::Cgroups;
use hints::{Looks, Question};
use process::{Resident, Snapshot};
use program::{Program, Programs};
use runtimes::Runtimes;
use table::{Known, RESIDENTS, Table};
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
    rules: Rules,
    proc: PathBuf,
    table: Table,
    cgroups: Cgroups,
    users: Database<User>,
    groups: Database<Group>,
    runtimes: Runtimes,
    aside: Aside,
    looks: Looks,
    /// What programs are, for who wants to know.
    programs: Programs,
    /// Programs are read whenever a process is asked about.
    reads_programs: bool,
    kubelet: Option<Kubelet>,
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
            users: Database::new(paths.passwd),
            groups: Database::new(paths.group),
            aside: Aside::new(),
            looks: Looks::new(paths.proc.clone()),
            programs: Programs::new(paths.proc.clone(), paths.dpkg),
            reads_programs: false,
            kubelet: None,
            proc: paths.proc,
        }
    }

    /// The same host, with rules that name and assign. If one of them asks what a program is, programs are
    /// read from now on, and who sees a program first waits for it.
    #[must_use]
    pub fn with_rules(self, rules: Rules) -> Self {
        Self { reads_programs: rules.ask_of_programs(), rules, ..self }
    }

    /// Believes the kubelet in what it says of pods.
    #[must_use]
    pub fn asking(mut self, kubelet: Kubelet) -> Self {
        self.kubelet = Some(kubelet);
        self
    }

    /// Remembers who runs already, of whom no event will tell before they call and end. To be called
    /// before processes are watched, and again after: of one that begins in between nothing would be known.
    pub fn look_around(&mut self) {
        let running = Resident::all(&self.proc, RESIDENTS);
        let Self { table, looks, aside, .. } = self;
        table.settle(running, |resident| {
            first_look(looks, aside, resident.key(), &resident.snapshot)
        });
    }

    /// A process replaced its program. `filename` is what it gave to `execve`, from the exec record:
    /// it stands in for the program's path if the process has gone before we could look. It may be
    /// relative, and of a script it is the script.
    pub fn executed(&mut self, key: ProcessKey, filename: &[u8]) {
        let known = self.table.of(key);
        let mut snapshot = Snapshot::take(&self.proc, key).unwrap_or_else(|| {
            let before = known.as_ref().map(|known| (*known.snapshot).clone());
            Snapshot { exe: None, ..before.unwrap_or_default() }
        });
        self.looks.executed(key);
        snapshot.exe = snapshot.exe.or_else(|| process::program(filename));
        let script = first_look(&mut self.looks, &mut self.aside, key, &snapshot);
        let parent = known.as_ref().and_then(|known| known.link.parent());
        let known = Known::new(key.pid, Arc::new(snapshot), script.as_deref(), parent);
        self.table.note(key, known);
    }

    /// A process was made: until it executes something, it runs its parent's program in its
    /// parent's cgroup.
    pub fn forked(&mut self, parent: ProcessKey, child: ProcessKey) {
        let inherited = self.table.of(parent).or_else(|| {
            let seen = Snapshot::take(&self.proc, parent)?;
            let known = Known::new(parent.pid, Arc::new(seen), None, None);
            self.table.note(parent, known.clone());
            Some(known)
        });
        if let Some(Known { snapshot, link, .. }) = inherited {
            self.table.note(child, Known::new(child.pid, snapshot, Some(link.name()), Some(&link)));
        }
        self.looks.forked(parent, child);
    }

    /// A process ended. Its records may still be on their way, so it is remembered for a while.
    pub fn exited(&mut self, key: ProcessKey) {
        self.table.ended(key);
    }

    /// Who the process of this sighting is, which calls a model.
    pub fn attribution(&mut self, sighting: &Sighting) -> Attribution {
        let facts = self.facts(sighting);
        if let Some(known) = self.table.of(sighting.key) {
            known.link.has_called();
        }
        self.rules.attribute(&facts, &self.namespace)
    }

    /// Who the process of this sighting is, whatever it does.
    pub fn identity(&mut self, sighting: &Sighting) -> IdentityId {
        let facts = self.facts(sighting);
        self.rules.attribute(&facts, &self.namespace).identity
    }

    /// Who the process with this pid is, and how that is known; `None` if none has it. What it has
    /// done so far counts as it does for its calls.
    pub fn explain(&mut self, pid: u32) -> Option<Explanation> {
        let running = Resident::look(&self.proc, pid)?;
        let uid = running.snapshot.standing.uid?;
        let cgroup = running.snapshot.cgroups.unified();
        // No cgroup has the id 0: without an id, what procfs says of the cgroups stays.
        let cgroup_id = cgroup.and_then(|path| self.cgroups.id(path)).unwrap_or(0);
        let key = self.table.precise(running.key());
        let reads_programs = std::mem::replace(&mut self.reads_programs, true);
        let facts = self.facts(&Sighting { key, uid, cgroup_id });
        self.reads_programs = reads_programs;
        Some(self.rules.explain(&facts, &self.namespace))
    }

    /// All that is known of the process of this sighting.
    pub fn facts(&mut self, sighting: &Sighting) -> ProcessFacts {
        let &Sighting { key, uid, .. } = sighting;
        let known = self.last_seen(key);
        let agent = known.as_ref().map(|known| known.link.agent());
        let Snapshot { exe, cgroups, standing } =
            known.map(|known| (*known.snapshot).clone()).unwrap_or_default();
        let cgroups = self.at_the_time(sighting, cgroups);
        let cgroup = cgroups.path().map(str::to_owned);
        let placement = cgroup.as_deref().map(Placement::of).unwrap_or_default();
        let account = account(&placement, uid);
        let question = question(key, exe.clone(), uid, &placement);
        let hints = self.looks.at(question, &account, &mut self.aside);
        let program = match &exe {
            Some(exe) if self.reads_programs => {
                self.programs.of(key, exe, &account, &mut self.aside)
            }
            Some(_) | None => Program::default(),
        };
        let owner = match placement.realm {
            Realm::Host => None,
            Realm::User(uid) => self.users.by_id(uid),
        };
        let contained = placement.container.as_ref().filter(|_| placement.realm == Realm::Host);
        let kubelet = self.kubelet.as_ref().zip(contained);
        let kubelet = kubelet
            .and_then(|(kubelet, container)| kubelet.pod(placement.pod.as_ref(), &container.id));
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
            agent,
            ..ProcessFacts::new(Process { pid: key.pid, exe, uid })
        }
    }

    /// What `/proc` says now, else what was noted before.
    fn last_seen(&mut self, key: ProcessKey) -> Option<Known> {
        let noted = self.table.of(key);
        // A start is known to a clock tick, in which another may have got its id.
        if noted.as_ref().is_some_and(|noted| noted.has_ended) {
            return noted;
        }
        match (Snapshot::take(&self.proc, key), noted) {
            // A process that is just ending has lost its program and its v1 cgroups already.
            (Some(Snapshot { exe: None, .. }) | None, noted @ Some(_)) => noted,
            (Some(seen), Some(noted)) if *noted.snapshot == seen => Some(noted),
            (Some(seen), noted) => {
                let same = noted.as_ref().filter(|noted| noted.snapshot.exe == seen.exe);
                let name = same.map(|noted| noted.link.name());
                let parent = noted.as_ref().and_then(|noted| noted.link.parent());
                let known = Known::new(key.pid, Arc::new(seen), name, parent);
                self.table.note(key, known.clone());
                Some(known)
            }
            (None, None) => None,
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

/// What an interpreter runs, and whatever else it is better to know of a process before it may have gone.
fn first_look(
    looks: &mut Looks,
    aside: &mut Aside,
    key: ProcessKey,
    seen: &Snapshot,
) -> Option<String> {
    let uid = seen.standing.uid?;
    let placement = seen.cgroups.path().map(Placement::of).unwrap_or_default();
    let question = question(key, seen.exe.clone(), uid, &placement);
    if !looks.are_worth_a_look(&question) {
        return None;
    }
    looks.at(question, &account(&placement, uid), aside).script.clone()
}

fn question(key: ProcessKey, exe: Option<String>, uid: u32, placement: &Placement) -> Question {
    let container = placement.container.as_ref().map(|container| container.id.clone());
    // What a user calls a pod is none.
    let is_in_pod = placement.pod.is_some() && placement.realm == Realm::Host;
    Question { key, exe, uid, container, is_in_pod }
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
