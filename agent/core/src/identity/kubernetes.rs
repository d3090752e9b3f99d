//! Which pod and service account a process is of, from what several witnesses say.
//!
//! The cgroup names the pod by its uid. Whatever speaks of another pod is refused:
//!
//! - *The kubelet wins.* What it says of the cgroup's pod is what the API server has.
//! - *The runtime's names come next.* Docker, containerd and CRI-O know namespace and name of a
//!   container's pod from the kubelet.
//! - *A token counts only if its pod is the cgroup's* and contradicts neither. Its signature is not
//!   verified, and who is in a pod may put a file in its place: so of a pod that only a token speaks of,
//!   namespace and service account are the pod's own word, and of one that the runtime knows it is the
//!   service account within that namespace.
//!
//! What was refused is said, so that nobody's attempt goes unseen.

use super::container::PodUid;
use super::fact::{Source, escaped};
use super::workload::Pod;
use super::{Container, ProcessFacts};

/// Longest part of a claim that is repeated, in bytes.
const SHOWN_MAX: usize = 80;
/// Longest name that Kubernetes gives anything, in bytes (RFC 1123 subdomain).
const NAME_MAX: usize = 253;

/// What is believed of a pod, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PodEvidence {
    pub(super) pod: Pod,
    /// Who says its namespace and its name.
    pub(super) named_by: Source,
    /// Who says its service account.
    pub(super) account_by: Source,
}

/// Weighs the evidence for the pod that the cgroup names. What is refused is added to `disputed`.
pub(super) fn weigh(
    uid: Option<&PodUid>,
    facts: &ProcessFacts,
    container: Option<&Container>,
    disputed: &mut Vec<String>,
) -> Option<PodEvidence> {
    let Some(uid) = uid else {
        if let Some(token) = &facts.token {
            disputed.push(format!(
                "it has a token of pod {}, but its cgroup is of no pod",
                shown(&token.uid)
            ));
        }
        return None;
    };
    let uid = uid.as_str();
    let mut of_this_pod = |claim: &Option<Pod>, witness: &str| {
        let claim = claim.clone()?;
        if claim.uid == uid {
            return Some(claim);
        }
        disputed.push(format!("{witness} pod {}, the cgroup of pod {uid}", shown(&claim.uid)));
        None
    };
    let kubelet = of_this_pod(&facts.kubelet, "the kubelet speaks of");
    let token = of_this_pod(&facts.token, "the token is of");
    let runtime = container.and_then(names).map(|(name, namespace)| Pod {
        uid: uid.to_owned(),
        name: Some(name.to_owned()),
        namespace: Some(namespace.to_owned()),
        service_account: None,
    });
    let token = token.filter(|token| {
        let is_plain = claims(token).iter().all(|claim| claim.1.is_none_or(is_name));
        if !is_plain {
            disputed.push("the token has names that Kubernetes allows nobody".to_owned());
        }
        is_plain
    });
    let accepted = |pod, named_by, account_by| Some(PodEvidence { pod, named_by, account_by });
    if let Some(kubelet) = kubelet {
        for (claim, witness) in [(&runtime, "the runtime"), (&token, "the token")] {
            if let Some(claim) = claim {
                contradicts(claim, witness, &kubelet, "the kubelet", disputed);
            }
        }
        return accepted(kubelet, Source::Kubelet, Source::Kubelet);
    }
    match (runtime, token) {
        (Some(runtime), Some(token)) => {
            let is_refused = contradicts(&token, "the token", &runtime, "the runtime", disputed);
            let service_account = token.service_account.filter(|_| !is_refused);
            accepted(Pod { service_account, ..runtime }, Source::Runtime, Source::Root)
        }
        (Some(runtime), None) => accepted(runtime, Source::Runtime, Source::Root),
        (None, Some(token)) => accepted(token, Source::Root, Source::Root),
        (None, None) => {
            let pod =
                Pod { uid: uid.to_owned(), name: None, namespace: None, service_account: None };
            accepted(pod, Source::Cgroup, Source::Cgroup)
        }
    }
}

/// Whether a claim is not what a better witness says, and says so. What one of them doesn't say is
/// no contradiction.
fn contradicts(
    claim: &Pod,
    witness: &str,
    truth: &Pod,
    authority: &str,
    disputed: &mut Vec<String>,
) -> bool {
    let mut is_refused = false;
    for ((what, said), (_, is)) in claims(claim).into_iter().zip(claims(truth)) {
        if let (Some(said), Some(is)) = (said, is)
            && said != is
        {
            is_refused = true;
            disputed.push(format!(
                "{witness} says {what} {}, {authority} {}",
                shown(said),
                shown(is)
            ));
        }
    }
    is_refused
}

/// What a witness says of a pod, by name.
fn claims(pod: &Pod) -> [(&'static str, Option<&str>); 3] {
    [
        ("namespace", pod.namespace.as_deref()),
        ("pod", pod.name.as_deref()),
        ("service account", pod.service_account.as_deref()),
    ]
}

/// The pod's name and namespace in a container's name, `k8s_<container>_<pod>_<namespace>`. None of
/// the parts contains a `_`.
fn names(container: &Container) -> Option<(&str, &str)> {
    let mut parts = container.name.as_deref()?.strip_prefix("k8s_")?.split('_');
    let (_container, pod, namespace) = (parts.next()?, parts.next()?, parts.next()?);
    (parts.next().is_none() && is_name(pod) && is_name(namespace)).then_some((pod, namespace))
}

/// Whether Kubernetes could have given something this name.
fn is_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(allowed)
}

/// A claim in words that are kept: its beginning, with nothing in it that a terminal would obey.
fn shown(claim: &str) -> String {
    escaped(&claim[..claim.floor_char_boundary(SHOWN_MAX)])
}
