//! What several witnesses say of a pod, and who it is in the end.

use super::*;

/// A claim, written `uid namespace name account`; `-` is what it doesn't say, `{pod}` the pod's uid.
fn claim(text: &str) -> Option<Pod> {
    let words: Vec<_> = text.split_whitespace().collect();
    let [uid, namespace, name, account] = words.as_slice() else { return None };
    let said = |word: &&str| (*word != "-").then(|| (*word).to_owned());
    Some(Pod {
        uid: uid.replace("{pod}", POD),
        namespace: said(namespace),
        name: said(name),
        service_account: said(account),
    })
}

/// Where a process stands, what witnesses say, and what comes of it.
struct Case {
    cgroup: &'static str,
    runtime: &'static str,
    token: &'static str,
    kubelet: &'static str,
    /// The identity after the trust domain.
    identity: &'static str,
    /// As in [`claim`].
    pod: &'static str,
    disputed: &'static [&'static str],
}

const IN_POD: &str = "/kubepods.slice/kubepods-pod{pod_}.slice/cri-containerd-{id}.scope";
const HERE: Case = Case {
    cgroup: IN_POD,
    runtime: "",
    token: "",
    kubelet: "",
    identity: "",
    pod: "",
    disputed: &[],
};

fn check(case: &Case) {
    let cgroup = case.cgroup.replace("{pod_}", POD_ESCAPED).replace("{id}", ID);
    let mut facts = facts(Some(&cgroup));
    if !case.runtime.is_empty() {
        facts.container = Some(Container {
            id: ID.to_owned(),
            name: Some(case.runtime.to_owned()),
            image: None,
            runtime: None,
        });
    }
    facts.token = claim(case.token);
    facts.kubelet = claim(case.kubelet);
    let found = resolve(&facts, &namespace());
    let case_is = format!("{} {} {}", case.cgroup, case.token, case.kubelet);
    let identity = format!("spiffe://example.org{}", case.identity.replace("{pod}", POD));
    assert_eq!(found.identity.0, identity, "{case_is}");
    assert_eq!(found.workload.pod, claim(case.pod), "{case_is}");
    let disputed: Vec<_> = case.disputed.iter().map(|said| said.replace("{pod}", POD)).collect();
    assert_eq!(found.workload.disputed, disputed, "{case_is}");
}

#[test]
fn witnesses_that_agree_name_the_service_account() {
    for case in [
        Case { identity: "/host/h1/pod/{pod}", pod: "{pod} - - -", ..HERE },
        Case {
            token: "{pod} prod bot-1 bot",
            identity: "/ns/prod/sa/bot",
            pod: "{pod} prod bot-1 bot",
            ..HERE
        },
        Case {
            kubelet: "{pod} prod bot-1 bot",
            identity: "/ns/prod/sa/bot",
            pod: "{pod} prod bot-1 bot",
            ..HERE
        },
        Case {
            runtime: "k8s_web_bot-1_prod",
            identity: "/host/h1/container/k8s_web_bot-1_prod",
            pod: "{pod} prod bot-1 -",
            ..HERE
        },
        Case {
            runtime: "k8s_web_bot-1_prod",
            token: "{pod} prod bot-1 bot",
            kubelet: "{pod} prod bot-1 bot",
            identity: "/ns/prod/sa/bot",
            pod: "{pod} prod bot-1 bot",
            ..HERE
        },
        Case {
            runtime: "k8s_web_bot-1_prod",
            token: "{pod} - - bot",
            identity: "/ns/prod/sa/bot",
            pod: "{pod} prod bot-1 bot",
            ..HERE
        },
        Case {
            token: "{pod} prod bot-1 -",
            identity: "/host/h1/pod/{pod}",
            pod: "{pod} prod bot-1 -",
            ..HERE
        },
        Case {
            cgroup: "/system.slice/containerd.service/kubepods-pod{pod_}.slice:cri-containerd:{id}",
            token: "{pod} prod bot-1 bot",
            identity: "/ns/prod/sa/bot",
            pod: "{pod} prod bot-1 bot",
            ..HERE
        },
    ] {
        check(&case);
    }
}

#[test]
fn evidence_that_contradicts_better_evidence_is_refused_and_said() {
    for case in [
        Case {
            token: "other prod bot-1 bot",
            identity: "/host/h1/pod/{pod}",
            pod: "{pod} - - -",
            disputed: &["the token is of pod other, the cgroup of pod {pod}"],
            ..HERE
        },
        Case {
            token: "other pay pay-1 pay",
            kubelet: "{pod} prod bot-1 bot",
            identity: "/ns/prod/sa/bot",
            pod: "{pod} prod bot-1 bot",
            disputed: &["the token is of pod other, the cgroup of pod {pod}"],
            ..HERE
        },
        Case {
            token: "{pod} pay bot-1 payments",
            kubelet: "{pod} prod bot-1 bot",
            identity: "/ns/prod/sa/bot",
            pod: "{pod} prod bot-1 bot",
            disputed: &[
                "the token says namespace pay, the kubelet prod",
                "the token says service account payments, the kubelet bot",
            ],
            ..HERE
        },
        Case {
            token: "{pod} prod bot-1 bot",
            kubelet: "other pay pay-1 pay",
            identity: "/ns/prod/sa/bot",
            pod: "{pod} prod bot-1 bot",
            disputed: &["the kubelet speaks of pod other, the cgroup of pod {pod}"],
            ..HERE
        },
        Case {
            runtime: "k8s_web_bot-1_prod",
            token: "{pod} pay bot-1 payments",
            identity: "/host/h1/container/k8s_web_bot-1_prod",
            pod: "{pod} prod bot-1 -",
            disputed: &["the token says namespace pay, the runtime prod"],
            ..HERE
        },
        Case {
            runtime: "k8s_web_bot-1_prod",
            kubelet: "{pod} prod bot-2 bot",
            identity: "/ns/prod/sa/bot",
            pod: "{pod} prod bot-2 bot",
            disputed: &["the runtime says pod bot-1, the kubelet bot-2"],
            ..HERE
        },
        Case {
            token: "{pod} Prod/.. bot-1 bot",
            identity: "/host/h1/pod/{pod}",
            pod: "{pod} - - -",
            disputed: &["the token has names that Kubernetes allows nobody"],
            ..HERE
        },
        Case {
            token: "a\u{1b}[2J prod bot-1 bot",
            identity: "/host/h1/pod/{pod}",
            pod: "{pod} - - -",
            disputed: &[r"the token is of pod a\u{1b}[2J, the cgroup of pod {pod}"],
            ..HERE
        },
    ] {
        check(&case);
    }
}

#[test]
fn a_pod_that_the_host_did_not_make_is_none() {
    let said: &[&str] = &["it has a token of pod {pod}, but its cgroup is of no pod"];
    for (cgroup, identity) in [
        ("/system.slice/bot.service", "/host/h1/unit/bot.service"),
        ("/kubepods/pod{pod_}", "/host/h1/user/agent"),
        (
            "/user.slice/user-1000.slice/user@1000.service/kubepods-pod{pod_}.slice/crio-{id}.scope",
            "/host/h1/user/agent/container/3f29a1cc0b6d",
        ),
        (
            "/user.slice/user-1000.slice/session-1.scope/kubepods-pod{pod_}.slice/crio-{id}.scope",
            "/host/h1/container/3f29a1cc0b6d",
        ),
        (
            "/system.slice/evil.service/kubepods-pod{pod_}.slice:cri-containerd:{id}",
            "/host/h1/unit/evil.service",
        ),
    ] {
        check(&Case {
            cgroup,
            token: "{pod} prod bot-1 bot",
            kubelet: "{pod} prod bot-1 bot",
            identity,
            disputed: said,
            ..HERE
        });
    }
}
