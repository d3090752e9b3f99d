//! Where a cgroup path puts a process: whose manager, which unit, which container.
//!
//! A cgroup path is written by whoever made its directories. The front is the host's: systemd's
//! slices, units and scopes, and what root's container runtimes make. What lies below
//! `user@UID.service` is that user's to name, and what lies below a service, a scope or a container
//! is its own. So the outermost name of each kind counts, and a nested container is part of the
//! container that runs it: otherwise a workload could make a cgroup with its neighbour's name,
//! step in, and have its calls billed to the neighbour.

use super::container::{self, ContainerRef, PodUid};

/// Longest name that systemd gives a unit (`UNIT_NAME_MAX`), in bytes, without the final zero.
const MAX_UNIT_NAME: usize = 255;

/// Services of the host that make the cgroups of containers below their own.
const ENGINES: [&str; 13] = [
    "containerd.service",
    "crio.service",
    "docker.service",
    "k0scontroller.service",
    "k0sworker.service",
    "k3s-agent.service",
    "k3s.service",
    "kubelet.service",
    "podman.service",
    "rke2-agent.service",
    "rke2-server.service",
    "snap.docker.dockerd.service",
    "snap.microk8s.daemon-containerd.service",
];

/// What a cgroup path says of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Who named `unit` and `container`.
    pub realm: Realm,
    /// The systemd service. Slices and scopes are no services: they group what a person or a
    /// session started.
    pub unit: Option<String>,
    /// The outermost container.
    pub container: Option<ContainerRef>,
    /// The Kubernetes pod around that container.
    pub pod: Option<PodUid>,
}

/// Who is responsible for a part of the cgroup tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Realm {
    /// The host's own service manager and root's container runtimes.
    #[default]
    Host,
    /// The service manager of the user with this uid, who can name what is in it as he likes.
    User(u32),
}

impl Placement {
    /// Reads a path of one line of `/proc/PID/cgroup`. Whatever it doesn't know, it passes over.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let mut placement = Self::default();
        // systemd puts units into slices only, so a `.service` below anything else is not its.
        let mut in_slices = true;
        let mut parent = None;
        // Seen from a cgroup namespace, a process outside it has a path that begins with `/..`.
        for component in path.split('/').filter(|c| !c.is_empty() && *c != "..") {
            if let Some(container) = container::in_component(component, parent) {
                placement.pod = PodUid::in_component(component).or(placement.pod);
                placement.container = Some(container);
                return placement;
            }
            if let Some(pod) = PodUid::in_component(component) {
                placement.pod.get_or_insert(pod);
            }
            if in_slices {
                in_slices = placement.descend(component);
            }
            parent = Some(component);
        }
        placement.pod = None;
        placement
    }

    /// Whether the names below that part of `path` which the host makes may be anybody's: what is
    /// below a user's manager or session, or below a service that is no container engine, was left
    /// to the user or the service.
    pub(super) fn is_delegated(&self, path: &str) -> bool {
        let is_engine = |unit: &String| ENGINES.contains(&unit.as_str());
        match self.realm {
            Realm::Host => {
                self.unit.as_ref().is_some_and(|unit| !is_engine(unit))
                    || path.split('/').find(|c| !matches!(*c, "" | "..")) == Some("user.slice")
            }
            Realm::User(_) => true,
        }
    }

    /// Takes in a component that has only slices before it; says whether the next one has, too.
    fn descend(&mut self, component: &str) -> bool {
        if component.ends_with(".slice") {
            return true;
        }
        if !is_service_name(component) {
            return false;
        }
        match (self.realm, manager_of(component)) {
            (Realm::Host, Some(uid)) => {
                self.realm = Realm::User(uid);
                true
            }
            (Realm::Host, None) | (Realm::User(_), _) => {
                self.unit = Some(component.to_owned());
                false
            }
        }
    }
}

/// The user whose service manager runs as this unit.
fn manager_of(unit: &str) -> Option<u32> {
    let uid = unit.strip_prefix("user@")?.strip_suffix(".service")?;
    // `parse` would take a plus sign, too.
    uid.bytes().all(|b| b.is_ascii_digit()).then(|| uid.parse().ok())?
}

/// Whether systemd would have a service of this name (`unit_name_is_valid`).
fn is_service_name(component: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || br":-_.\@".contains(&b);
    component.len() <= MAX_UNIT_NAME
        && component.strip_suffix(".service").is_some_and(|stem| !stem.is_empty())
        && component.bytes().all(allowed)
}
