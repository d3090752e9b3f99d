//! What is known of a process, as selectors in the order of their kinds, each with its source.

use super::fact::{Fact, Selector, Source};
use super::kind::Kind;
use super::namespace::Namespace;
use super::placement::Realm;
use super::resolve::Resolution;
use super::selector::bounded;
use super::{IdentityId, ProcessFacts};

/// All facts about a process, those that the kernel stands for first. Values are cut at 1 KiB.
///
/// A container or pod below a user's manager, or below a service that runs no containers, has
/// [`Source::Delegate`]: whoever is there gives cgroups the names that he likes.
#[must_use]
pub fn facts(known: &ProcessFacts, namespace: &Namespace) -> Vec<Fact> {
    let known = Known::of(known, &Resolution::of(known, namespace));
    known.by_trust().map(KnownFact::fact).collect()
}

/// One fact, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KnownFact {
    pub(super) kind: Kind,
    pub(super) value: String,
    pub(super) source: Source,
    /// A container's root may take on any user and group, so of a process in a container of the host
    /// these tell nothing but which of the container's processes it is.
    pub(super) is_taken: bool,
}

impl KnownFact {
    /// Whether a rule may rest on it alone.
    pub(super) const fn is_sufficient(&self) -> bool {
        self.kind.tells_who() && self.source.vouches() && !self.is_taken
    }

    /// Whether it is about who somebody is, and nobody else than the workload says so.
    pub(super) const fn is_own_word(&self) -> bool {
        self.kind.tells_who() && !self.source.vouches()
    }

    pub(super) fn fact(&self) -> Fact {
        let Self { kind, value, source, is_taken: _ } = self;
        Fact { selector: Selector(format!("{kind}:{value}")), source: *source }
    }
}

/// All that rules can match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known(pub(super) Vec<KnownFact>);

impl Known {
    pub(super) fn of(facts: &ProcessFacts, resolution: &Resolution) -> Self {
        let mut known = Self(Vec::new());
        known.of_process(facts);
        let placement = &resolution.placement;
        if placement.container.is_some() && placement.realm == Realm::Host {
            known.0.iter_mut().for_each(|fact| fact.is_taken = fact.kind.is_account());
        }
        known.of_placement(resolution, facts.cgroup.as_deref().unwrap_or_default());
        known.of_pod(resolution);
        let IdentityId(identity) = &resolution.attribution.identity;
        known.add(Kind::Identity, Some(identity), resolution.source);
        known
    }

    /// Each fact, the most trusted first.
    pub(super) fn by_trust(&self) -> impl Iterator<Item = &KnownFact> {
        let mut facts: Vec<_> = self.0.iter().collect();
        facts.sort_by_key(|fact| fact.source);
        facts.into_iter()
    }

    fn of_process(&mut self, facts: &ProcessFacts) {
        let ProcessFacts {
            process,
            user,
            gid,
            group,
            cgroup: _,
            owner: _,
            container: _,
            container_user,
            login_uid,
            terminal,
            exe_sha256,
            script,
            package,
            token: _,
            kubelet: _,
            cloud,
            agent,
        } = facts;
        self.add(Kind::Uid, Some(process.uid), Source::Kernel);
        self.add(Kind::User, user.as_ref(), Source::Host);
        self.add(Kind::Gid, *gid, Source::Kernel);
        self.add(Kind::Group, group.as_ref(), Source::Host);
        self.add(Kind::LoginUid, *login_uid, Source::Kernel);
        self.add(Kind::Interactive, *terminal, Source::Kernel);
        self.add(Kind::Sha256, exe_sha256.as_ref(), Source::Kernel);
        self.add(Kind::Path, process.exe.as_ref(), Source::Root);
        self.add(Kind::Package, package.as_ref(), Source::Host);
        self.add(Kind::ContainerUser, container_user.as_ref(), Source::Root);
        self.add(Kind::Script, script.as_ref(), Source::Process);
        for (variable, value) in cloud {
            self.add(Kind::Cloud, Some(format!("{variable}:{value}")), Source::Process);
        }
        if let Some(agent) = agent {
            self.add(Kind::Agent, Some(&agent.name), Source::Process);
            let is_parent = agent.depth == 1;
            self.add(Kind::Parent, is_parent.then_some(&agent.name), Source::Process);
        }
    }

    fn of_placement(&mut self, resolution: &Resolution, cgroup: &str) {
        let placement = &resolution.placement;
        match placement.realm {
            Realm::Host => self.add(Kind::Unit, placement.unit.as_ref(), Source::Cgroup),
            Realm::User(uid) => {
                self.add(Kind::Unit, Some(format!("user@{uid}.service")), Source::Cgroup);
                self.add(Kind::UserUnit, placement.unit.as_ref(), Source::Delegate);
            }
        }
        if let Some(container) = &resolution.attribution.container {
            let (cgroup, runtime) = if placement.is_delegated(cgroup) {
                (Source::Delegate, Source::Delegate)
            } else {
                (Source::Cgroup, Source::Runtime)
            };
            self.add(Kind::ContainerId, Some(&container.id), cgroup);
            self.add(Kind::ContainerName, container.name.as_ref(), runtime);
            self.add(Kind::ContainerImage, container.image.as_ref(), runtime);
            self.add(Kind::ContainerRuntime, container.runtime.as_ref(), cgroup);
        }
    }

    fn of_pod(&mut self, resolution: &Resolution) {
        if let Some(evidence) = &resolution.pod {
            let (pod, named_by) = (&evidence.pod, evidence.named_by);
            self.add(Kind::PodUid, Some(&pod.uid), Source::Cgroup);
            self.add(Kind::PodNamespace, pod.namespace.as_ref(), named_by);
            self.add(Kind::PodServiceAccount, pod.service_account.as_ref(), evidence.account_by);
            self.add(Kind::PodName, pod.name.as_ref(), named_by);
        }
    }

    /// Adds a fact, if it is one: no rule could be about an empty value.
    fn add(&mut self, kind: Kind, value: Option<impl ToString>, source: Source) {
        let value = value.map(|value| value.to_string()).unwrap_or_default();
        if !value.is_empty() {
            self.0.push(KnownFact { kind, value: bounded(&value), source, is_taken: false });
        }
    }
}
