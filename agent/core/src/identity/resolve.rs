//! Who made a call, from what is known of its process.

use super::namespace::Namespace;
use super::placement::{Placement, Realm};
use super::segment::segment;
use super::{Attribution, Container, IdentityId, ProcessFacts, Workload};

/// Names the identity that a process acts for. The most specific thing that lasts longer than a
/// process counts: its container, else its systemd service, else its user.
///
/// | process runs in | identity, after `spiffe://<trust-domain>/host/<host>` |
/// |---|---|
/// | a container of root's runtimes | `/container/<name>`, or the id's first 12 digits |
/// | a system service | `/unit/<unit>` |
/// | a rootless container of a user | `/user/<owner>/container/<name>` |
/// | a service of a user's manager | `/user/<owner>/unit/<unit>` |
/// | a session, or a scope of a user's manager | `/user/<name>` |
///
/// What a user's manager runs is named below that user, because users choose those names: a user's
/// `nginx.service` is not the host's. A user without a name is `uid-<uid>`. Every name is escaped
/// so that it is one segment (`segment.rs` says how).
#[must_use]
pub fn resolve(facts: &ProcessFacts, namespace: &Namespace) -> Attribution {
    let Placement { realm, unit, container, pod: _ } =
        facts.cgroup.as_deref().map(Placement::of).unwrap_or_default();

    let container = container.map(|seen| {
        // Details are a hint: they count only for the container that the cgroup names.
        match facts.container.as_ref().filter(|known| known.id == seen.id.as_str()) {
            Some(known) => Container {
                runtime: known.runtime.clone().or(seen.runtime.map(|r| r.as_str().to_owned())),
                ..known.clone()
            },
            None => Container {
                id: seen.id.as_str().to_owned(),
                name: None,
                image: None,
                runtime: seen.runtime.map(|r| r.as_str().to_owned()),
            },
        }
    });

    let owner = match realm {
        Realm::Host => String::new(),
        Realm::User(uid) => format!("/user/{}", user(facts.owner.as_deref(), uid)),
    };
    let prefix = namespace.prefix();
    let identity = if let Some(container) = &container {
        format!("{prefix}{owner}/container/{}", container_segment(container))
    } else if let Some(unit) = &unit {
        format!("{prefix}{owner}/unit/{}", segment(unit))
    } else {
        format!("{prefix}/user/{}", user(facts.user.as_deref(), facts.process.uid))
    };
    let workload = Workload { agent: facts.agent.clone(), ..Workload::default() };
    Attribution {
        container,
        unit,
        workload,
        ..Attribution::new(IdentityId(identity), facts.process.clone())
    }
}

fn container_segment(container: &Container) -> String {
    match container.name.as_deref().filter(|name| !name.is_empty()) {
        Some(name) => segment(name),
        None => segment(container.id.get(..12).unwrap_or(&container.id)),
    }
}

fn user(name: Option<&str>, uid: u32) -> String {
    match name.filter(|name| !name.is_empty()) {
        Some(name) => segment(name),
        None => format!("uid-{uid}"),
    }
}
