//! Who made a call, from what is known of its process.

use super::kubernetes::{self, PodEvidence};
use super::namespace::Namespace;
use super::placement::{Placement, Realm};
use super::segment::segment;
use super::{Attribution, Container, IdentityId, ProcessFacts, Source, Workload};

/// Names the identity that a process acts for, before any rule. The most specific thing that lasts
/// longer than a process counts: its service account, else its pod or container, else its systemd
/// service, else its user.
///
/// | process runs in | identity, after `spiffe://<trust-domain>` |
/// |---|---|
/// | a pod whose service account is known | `/ns/<namespace>/sa/<service account>` |
/// | a container of root's runtimes | `/host/<host>/container/<name>` |
/// | the same without a name, in a pod | `/host/<host>/pod/<uid>` |
/// | the same without a name | `/host/<host>/container/<first 12 digits of its id>` |
/// | a system service, or a container below one | `/host/<host>/unit/<unit>` |
/// | a rootless container of a user | `/host/<host>/user/<owner>/container/<name>` |
/// | a service of a user's manager | `/host/<host>/user/<owner>/unit/<unit>` |
/// | a session, or a scope of a user's manager | `/host/<host>/user/<name>` |
///
/// What a user's manager runs is named below that user, because users choose those names: a user's
/// `nginx.service` is not the host's, and what a user calls a pod is none. A user without a name is
/// `uid-<uid>`. A service names the cgroups below it as it likes, its neighbour's container among them, so
/// unless it is a container engine's, it is what counts. Every name is escaped so that it is one segment (`segment.rs` says how). Evidence that
/// contradicts better evidence is refused and is in [`Workload::disputed`].
#[must_use]
pub fn resolve(facts: &ProcessFacts, namespace: &Namespace) -> Attribution {
    Resolution::of(facts, namespace).attribution
}

/// An attribution before any rule, with what it rests on.
pub(super) struct Resolution {
    pub(super) attribution: Attribution,
    pub(super) placement: Placement,
    pub(super) pod: Option<PodEvidence>,
    /// The weakest source that the identity rests on.
    pub(super) source: Source,
}

impl Resolution {
    pub(super) fn of(facts: &ProcessFacts, namespace: &Namespace) -> Self {
        let placement = facts.cgroup.as_deref().map(Placement::of).unwrap_or_default();
        let container = details(&placement, facts);
        let mut disputed = Vec::new();
        let is_delegated = placement.is_delegated(facts.cgroup.as_deref().unwrap_or_default());
        let uid = placement.pod.as_ref().filter(|_| !is_delegated);
        let pod = kubernetes::weigh(uid, facts, container.as_ref(), &mut disputed);

        let is_of_service =
            is_delegated && placement.realm == Realm::Host && placement.unit.is_some();
        let naming = container.as_ref().filter(|_| !is_of_service);

        let (identity, source) = match account(pod.as_ref(), namespace) {
            Some(named) => named,
            None => local(facts, &placement, naming, pod.as_ref(), namespace),
        };
        let is_delegated = is_delegated && placement.realm == Realm::Host && naming.is_some();
        let workload = Workload {
            pod: pod.as_ref().map(|evidence| evidence.pod.clone()),
            script: facts.script.clone(),
            interactive: facts.terminal,
            assigned: None,
            agent: facts.agent.clone(),
            disputed,
        };
        let attribution = Attribution {
            container,
            unit: placement.unit.clone(),
            workload,
            ..Attribution::new(IdentityId(identity), facts.process.clone())
        };
        let source = if is_delegated { Source::Delegate } else { source };
        Self { attribution, placement, pod, source }
    }
}

/// The container that the cgroup names, with the details that are of it.
fn details(placement: &Placement, facts: &ProcessFacts) -> Option<Container> {
    let seen = placement.container.as_ref()?;
    let runtime = seen.runtime.map(|runtime| runtime.as_str().to_owned());
    // Details are a hint: they count only for the container that the cgroup names.
    Some(match facts.container.as_ref().filter(|known| known.id == seen.id.as_str()) {
        Some(known) => Container { runtime: known.runtime.clone().or(runtime), ..known.clone() },
        None => Container { id: seen.id.as_str().to_owned(), name: None, image: None, runtime },
    })
}

/// The service account, if it is known.
fn account(pod: Option<&PodEvidence>, namespace: &Namespace) -> Option<(String, Source)> {
    let PodEvidence { pod, named_by, account_by } = pod?;
    let (ns, sa) = (pod.namespace.as_deref()?, pod.service_account.as_deref()?);
    let domain = namespace.domain();
    Some((format!("{domain}/ns/{}/sa/{}", segment(ns), segment(sa)), *named_by.max(account_by)))
}

/// What this host alone can tell.
fn local(
    facts: &ProcessFacts,
    placement: &Placement,
    container: Option<&Container>,
    pod: Option<&PodEvidence>,
    namespace: &Namespace,
) -> (String, Source) {
    let owner = match placement.realm {
        Realm::Host => String::new(),
        Realm::User(uid) => format!("/user/{}", user(facts.owner.as_deref(), uid)),
    };
    let prefix = namespace.prefix();
    if let Some(container) = container {
        let name = container.name.as_deref().filter(|name| !name.is_empty());
        let id = container.id.get(..12).unwrap_or(&container.id);
        match (name, pod) {
            (Some(name), _) => {
                (format!("{prefix}{owner}/container/{}", segment(name)), Source::Runtime)
            }
            (None, Some(evidence)) => {
                (format!("{prefix}{owner}/pod/{}", segment(&evidence.pod.uid)), Source::Cgroup)
            }
            (None, None) => (format!("{prefix}{owner}/container/{}", segment(id)), Source::Cgroup),
        }
    } else if let Some(unit) = &placement.unit {
        (format!("{prefix}{owner}/unit/{}", segment(unit)), Source::Cgroup)
    } else {
        let user = user(facts.user.as_deref(), facts.process.uid);
        (format!("{prefix}/user/{user}"), Source::Kernel)
    }
}

fn user(name: Option<&str>, uid: u32) -> String {
    match name.filter(|name| !name.is_empty()) {
        Some(name) => segment(name),
        None => format!("uid-{uid}"),
    }
}
