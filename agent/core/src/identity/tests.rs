//! Layouts as runtimes and systemd write them, and what becomes of them.

use proptest::prelude::*;

use super::*;
use crate::secret::Fingerprint;

mod forgeries;
mod pods;
mod rules;

const ID: &str = "3f29a1cc0b6d4e8f9a7b5c3d1e2f40516273849506a7b8c9d0e1f2a3b4c5d6e7";
const OTHER: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
const POD: &str = "2c48913c-b29f-11e7-9350-020968147796";
const POD_ESCAPED: &str = "2c48913c_b29f_11e7_9350_020968147796";
const STATIC_POD: &str = "0123456789abcdef0123456789abcdef";

fn namespace() -> Namespace {
    Namespace::new("example.org", "h1").unwrap()
}

/// A process of the user `agent` (uid 1000) in a cgroup, about whose container no more is known.
fn facts(cgroup: Option<&str>) -> ProcessFacts {
    let process = Process { pid: 7, exe: Some("/usr/bin/python3".to_owned()), uid: 1000 };
    ProcessFacts {
        user: Some("agent".to_owned()),
        cgroup: cgroup.map(str::to_owned),
        owner: Some("agent".to_owned()),
        ..ProcessFacts::new(process)
    }
}

/// The agent of that name, so many processes above the one that calls.
fn agent(name: &str, depth: u32) -> Option<Agent> {
    Some(Agent { name: name.to_owned(), pid: 1, depth, through: Vec::new(), recursive: false })
}

/// Checks what a cgroup path gives, written as `identity unit=… runtime=… pod=…` with the
/// namespace left out and the absent left out. `{id}`, `{other}`, `{pod}`, `{pod_}` and `{static}`
/// in the path stand for a container's id, another one, and a pod's uid in its three spellings.
fn check(path: &str, expected: &str) {
    let path = path
        .replace("{id}", ID)
        .replace("{other}", OTHER)
        .replace("{pod}", POD)
        .replace("{pod_}", POD_ESCAPED)
        .replace("{static}", STATIC_POD);
    let expected = expected.replace("{pod}", POD).replace("{static}", STATIC_POD);
    let attribution = resolve(&facts(Some(&path)), &namespace());
    let mut seen =
        attribution.identity.0.strip_prefix("spiffe://example.org/host/h1").unwrap().to_owned();
    if let Some(unit) = attribution.unit {
        seen += &format!(" unit={unit}");
    }
    if let Some(container) = attribution.container {
        assert_eq!(container.id, ID, "{path}");
        seen += &format!(" runtime={}", container.runtime.as_deref().unwrap_or("?"));
    }
    if let Some(pod) = Placement::of(&path).pod {
        seen += match pod.as_str() {
            POD => " pod=uuid",
            STATIC_POD => " pod=static",
            other => panic!("{path}: pod {other}"),
        };
    }
    assert_eq!(seen, expected, "{path}");
}

#[test]
fn systemd_units_and_sessions() {
    for (path, expected) in [
        ("/", "/user/agent"),
        ("/init.scope", "/user/agent"),
        ("/system.slice", "/user/agent"),
        ("/system.slice/nginx.service", "/unit/nginx.service unit=nginx.service"),
        ("/system.slice/nginx.service/worker", "/unit/nginx.service unit=nginx.service"),
        ("/nginx.service", "/unit/nginx.service unit=nginx.service"),
        ("/agents.slice/agents-night.slice/x.service", "/unit/x.service unit=x.service"),
        (
            "/system.slice/system-job.slice/job@7.service",
            "/unit/job_x407.service unit=job@7.service",
        ),
        ("/system.slice/a_b-c.service", "/unit/a_b-c.service unit=a_b-c.service"),
        (r"/system.slice/a\x2db.service", r"/unit/a_x5cx2db.service unit=a\x2db.service"),
        ("/system.slice/run-r0f3.scope", "/user/agent"),
        ("/user.slice/user-1000.slice/session-3.scope", "/user/agent"),
        ("/user.slice/user-1000.slice/user@1000.service", "/user/agent"),
        ("/user.slice/user-1000.slice/user@1000.service/init.scope", "/user/agent"),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/agent.service",
            "/user/agent/unit/agent.service unit=agent.service",
        ),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/app-term-12.scope",
            "/user/agent",
        ),
        ("/machine.slice/machine-vm.scope/payload/system.slice/nginx.service", "/user/agent"),
        ("/lxc.payload.guest/system.slice/nginx.service", "/user/agent"),
        ("/../../nginx.service", "/unit/nginx.service unit=nginx.service"),
    ] {
        check(path, expected);
    }
}

#[test]
fn containers() {
    for (path, expected) in [
        ("/docker/{id}", "/container/3f29a1cc0b6d runtime=docker"),
        ("/system.slice/docker-{id}.scope", "/container/3f29a1cc0b6d runtime=docker"),
        ("/agents.slice/docker-{id}.scope", "/container/3f29a1cc0b6d runtime=docker"),
        ("/actions_job/{id}", "/container/3f29a1cc0b6d runtime=?"),
        ("/docker/{id}/docker/{other}", "/container/3f29a1cc0b6d runtime=docker"),
        (
            "/system.slice/docker-{id}.scope/docker/{other}",
            "/container/3f29a1cc0b6d runtime=docker",
        ),
        (
            "/system.slice/docker-{id}.scope/system.slice/nginx.service",
            "/container/3f29a1cc0b6d runtime=docker",
        ),
        (
            "/system.slice/docker-{id}.scope/kubelet.slice/kubelet-kubepods.slice/\
             kubelet-kubepods-pod{pod_}.slice/cri-containerd-{other}.scope",
            "/container/3f29a1cc0b6d runtime=docker",
        ),
        ("/system.slice/nerdctl-{id}.scope", "/container/3f29a1cc0b6d runtime=containerd"),
        ("/k8s.io/{id}", "/container/3f29a1cc0b6d runtime=containerd"),
        ("/machine.slice/libpod-{id}.scope", "/container/3f29a1cc0b6d runtime=podman"),
        ("/machine.slice/libpod-{id}.scope/container", "/container/3f29a1cc0b6d runtime=podman"),
        ("/machine.slice/libpod-conmon-{id}.scope", "/user/agent"),
        ("/libpod_parent/libpod-{id}", "/container/3f29a1cc0b6d runtime=podman"),
        (
            "/system.slice/web.service/libpod-payload-{id}",
            "/unit/web.service unit=web.service runtime=podman",
        ),
        (
            "/machine.slice/machine-libpod_pod_{other}.slice/libpod-{id}.scope",
            "/container/3f29a1cc0b6d runtime=podman",
        ),
        (
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{id}.scope",
            "/user/agent/container/3f29a1cc0b6d runtime=podman",
        ),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/docker-{id}.scope",
            "/user/agent/container/3f29a1cc0b6d runtime=docker",
        ),
    ] {
        check(path, expected);
    }
}

#[test]
fn pods() {
    for (path, expected) in [
        ("/kubepods/burstable/pod{pod}/{id}", "/pod/{pod} runtime=? pod=uuid"),
        ("/kubepods/pod{pod}/{id}", "/pod/{pod} runtime=? pod=uuid"),
        ("/kubepods/besteffort/pod{static}/{id}", "/pod/{static} runtime=? pod=static"),
        ("/kubepods/burstable/pod{pod}/crio-{id}", "/pod/{pod} runtime=cri-o pod=uuid"),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{pod_}.slice/crio-{id}.scope",
            "/pod/{pod} runtime=cri-o pod=uuid",
        ),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{pod_}.slice/\
             crio-conmon-{id}.scope",
            "/user/agent",
        ),
        (
            "/kubepods.slice/kubepods-pod{pod_}.slice/cri-containerd-{id}.scope",
            "/pod/{pod} runtime=containerd pod=uuid",
        ),
        (
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{pod_}.slice/\
             docker-{id}.scope",
            "/pod/{pod} runtime=docker pod=uuid",
        ),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{static}.slice/\
             cri-containerd-{id}.scope",
            "/pod/{static} runtime=containerd pod=static",
        ),
        (
            "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{pod_}.slice/\
             cri-containerd-{id}.scope",
            "/pod/{pod} runtime=containerd pod=uuid",
        ),
        (
            "/system.slice/containerd.service/kubepods-burstable-pod{pod_}.slice:cri-containerd:{id}",
            "/pod/{pod} unit=containerd.service runtime=containerd pod=uuid",
        ),
        ("/kubepods-pod{pod}.slice:cri-containerd:{id}", "/pod/{pod} runtime=containerd pod=uuid"),
        (
            "/../../kubepods-pod{pod_}.slice/cri-containerd-{id}.scope",
            "/pod/{pod} runtime=containerd pod=uuid",
        ),
        ("/kubepods/pod{pod}", "/user/agent"),
    ] {
        check(path, expected);
    }
}

#[test]
fn names_that_a_workload_could_forge_are_not_believed() {
    let user = "/user.slice/user-1000.slice/user@1000.service";
    for (path, expected) in [
        (format!("{user}/user@0.service/x.service"), "/user/agent/unit/user@0.service"),
        (format!("{user}/app.slice/user@0.service"), "/user/agent/unit/user@0.service"),
        (format!("{user}/system.slice/nginx.service"), "/user/agent/unit/nginx.service"),
        ("/system.slice/a.service/user@0.service/b.service".to_owned(), "/unit/a.service"),
        ("/system.slice/a.service/system.slice/b.service".to_owned(), "/unit/a.service"),
        ("/user.slice/session-1.scope/nginx.service".to_owned(), "/user/agent"),
        ("/system.slice/../nginx.service".to_owned(), "/unit/nginx.service"),
        ("/system.slice/evil name.service".to_owned(), "/user/agent"),
        ("/system.slice/a\u{1b}[2J.service".to_owned(), "/user/agent"),
        ("/system.slice/.service".to_owned(), "/user/agent"),
        (format!("/system.slice/{}.service", "a".repeat(300)), "/user/agent"),
        (format!("/docker/{}", &ID[..63]), "/user/agent"),
        (format!("/docker/{}", ID.to_uppercase()), "/user/agent"),
        (format!("/memory/{STATIC_POD}"), "/user/agent"),
        ("/user.slice/user@+5.service/a.service".to_owned(), "/user/agent"),
        (
            "/user.slice/user@99999999999.service/a.service".to_owned(),
            "/unit/user@99999999999.service",
        ),
    ] {
        let identity = resolve(&facts(Some(&path)), &namespace()).identity.0;
        let expected = expected.replace("user@", "user_x40");
        assert_eq!(identity, format!("spiffe://example.org/host/h1{expected}"), "{path:?}");
    }
}

#[test]
fn details_count_only_for_the_container_that_the_cgroup_names() {
    let details = |id: &str| Container {
        id: id.to_owned(),
        name: Some("web/../1".to_owned()),
        image: Some("shop:2".to_owned()),
        runtime: None,
    };
    let mut facts = facts(Some(&format!("/docker/{ID}")));
    facts.container = Some(details(ID));
    let known = resolve(&facts, &namespace());
    assert_eq!(known.identity.0, "spiffe://example.org/host/h1/container/web_x2f.._x2f1");
    let expected = Container { runtime: Some("docker".to_owned()), ..details(ID) };
    assert_eq!(known.container, Some(expected));

    facts.container = Some(details(OTHER));
    let unknown = resolve(&facts, &namespace());
    assert_eq!(unknown.identity.0, "spiffe://example.org/host/h1/container/3f29a1cc0b6d");
    assert_eq!(unknown.container.unwrap().image, None);

    facts.cgroup = None;
    let bare = resolve(&facts, &namespace());
    assert_eq!(
        (bare.identity.0.as_str(), bare.container),
        ("spiffe://example.org/host/h1/user/agent", None)
    );
}

#[test]
fn a_user_without_a_name_is_its_uid() {
    let mut facts = facts(None);
    facts.user = None;
    facts.owner = None;
    assert_eq!(
        resolve(&facts, &namespace()).identity.0,
        "spiffe://example.org/host/h1/user/uid-1000"
    );
    facts.cgroup = Some("/user.slice/user-5.slice/user@5.service/a.service".to_owned());
    let identity = resolve(&facts, &namespace()).identity.0;
    assert_eq!(identity, "spiffe://example.org/host/h1/user/uid-5/unit/a.service");
}

#[test]
fn of_many_hierarchies_the_one_that_says_most_counts() {
    let docker = format!("/docker/{ID}");
    for (content, expected) in [
        ("0::/system.slice/a.service\n".to_owned(), "/system.slice/a.service"),
        ("0::/\n".to_owned(), "/"),
        ("0::/gone.slice/a.service (deleted)\n".to_owned(), "/gone.slice/a.service"),
        ("12:memory:/a\n1:name=systemd:/b.service\n".to_owned(), "/b.service"),
        ("12:memory:/a\n1:name=systemd:/b\n0::/\n".to_owned(), "/b"),
        ("9:name=systemd:/\n4:memory:/box/7\n1:cpu:/\n0::/\n".to_owned(), "/box/7"),
        ("2:cpu:/x.service\n1:name=systemd:/y.service\n0::/z.service\n".to_owned(), "/z.service"),
        (
            format!(
                "5:cpu,cpuacct:{docker}\n1:name=systemd:{docker}\n0::/system.slice/d.service\n"
            ),
            &docker,
        ),
        (
            "1:name=systemd:/user.slice/user@5.service/x\n0::/elsewhere\n".to_owned(),
            "/user.slice/user@5.service/x",
        ),
        ("0::/a:b:c\n".to_owned(), "/a:b:c"),
        ("nonsense\n0:\n1:x\n\n3:cpu:relative\n0::/a\n".to_owned(), "/a"),
    ] {
        assert_eq!(Membership::parse(&content).path(), Some(expected), "{content:?}");
    }
    for content in ["", "\n", "::", "0::", "0::relative", "1:cpu"] {
        assert_eq!(Membership::parse(content).path(), None, "{content:?}");
    }
}

/// Pieces that the parsers know, in any order, among others.
fn paths() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("system.slice".to_owned()),
        Just("user@1000.service".to_owned()),
        Just("a.service".to_owned()),
        Just("docker".to_owned()),
        Just(ID.to_owned()),
        Just(format!("libpod-{ID}.scope")),
        Just(format!("kubepods-pod{POD_ESCAPED}.slice:cri-containerd:{ID}")),
        Just(format!("pod{POD}")),
        Just("..".to_owned()),
        any::<String>(),
        "[a-f0-9_.:@\\\\-]{0,80}",
    ];
    prop::collection::vec(piece, 0..9).prop_map(|pieces| format!("/{}", pieces.join("/")))
}

fn is_valid_id(id: &str) -> bool {
    let Some((domain, path)) = id.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/'))
    else {
        return false;
    };
    let segment = |s: &str| {
        !matches!(s, "" | "." | "..")
            && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    id.len() <= 2048 && !domain.is_empty() && path.split('/').all(segment)
}

proptest! {
    #[test]
    fn every_identity_is_a_valid_bounded_id(
        cgroup in prop::option::of(paths()),
        user in prop::option::of(any::<String>()),
        owner in prop::option::of(any::<String>()),
        name in prop::option::of(any::<String>()),
        uid in any::<u32>(),
    ) {
        let mut facts = facts(cgroup.as_deref());
        facts.process.uid = uid;
        facts.user = user;
        facts.owner = owner;
        facts.container =
            Some(Container { id: ID.to_owned(), name, image: None, runtime: None });
        let attribution = resolve(&facts, &namespace());
        prop_assert!(is_valid_id(&attribution.identity.0), "{}", attribution.identity);
    }

    #[test]
    fn no_content_of_the_cgroup_file_breaks_the_parser(content in any::<String>()) {
        if let Some(path) = Membership::parse(&content).path() {
            prop_assert!(path.starts_with('/'));
        }
    }

    #[test]
    fn what_lies_below_a_container_changes_nothing(below in paths()) {
        let above = format!("/system.slice/docker-{ID}.scope");
        prop_assert_eq!(Placement::of(&format!("{above}{below}")), Placement::of(&above));
    }

    #[test]
    fn what_a_user_names_stays_below_that_user(below in paths()) {
        let path = format!("/user.slice/user-1000.slice/user@1000.service{below}");
        prop_assert_eq!(Placement::of(&path).realm, Realm::User(1000));
        let identity = resolve(&facts(Some(&path)), &namespace()).identity.0;
        prop_assert!(identity.starts_with("spiffe://example.org/host/h1/user/agent"));
    }
}
