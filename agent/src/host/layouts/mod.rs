//! Layouts as systemd, the container runtimes and the kubelet make them, each built as files and looked at
//! as a whole: from `/proc`, the hierarchies of cgroups and the runtimes' state to facts and an identity.
//!
//! A layout is a block of a text file in this folder. Its lines are `key: value`:
//!
//! - `layout`: what it is;
//! - `cgroup`: a line of `/proc/PID/cgroup`;
//! - `file PATH`: a file below the host's root, which has `docker`, `storage`, `tasks`, `home` and `root`,
//!   the latter being the process's own root;
//! - `token`: namespace, pod, service account and uid of the pod in the token below its root;
//! - `kubelet`: the same of a pod that the kubelet has told of;
//! - `argv`, `uid_map`: the process's own;
//! - `uid`: its user, 1000 (`agent`) if nothing is said;
//! - `identity`: what it is called, without the host's namespace;
//! - `facts`: what else is known.
//!
//! `{id}`, `{other}`, `{pod}`, `{pod_}`, `{pod2}` and `{static}` stand for ids of containers and pods.

use std::os::unix::fs::symlink;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use weir_core::identity::Pod;

use super::cgroups::id_of;
use super::*;

const ID: &str = "3f29a1cc0b6d4e8f9a7b5c3d1e2f40516273849506a7b8c9d0e1f2a3b4c5d6e7";
const OTHER: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
const POD: &str = "2c48913c-b29f-11e7-9350-020968147796";
const POD_ESCAPED: &str = "2c48913c_b29f_11e7_9350_020968147796";
const POD_2: &str = "9e107d9d-372b-4b26-8a1e-0d2f3c4b5a69";
const STATIC_POD: &str = "0123456789abcdef0123456789abcdef";
const PID: u32 = 7;
const START_NS: u64 = 5_000_000_000;

/// One block.
#[derive(Default)]
struct Layout {
    name: String,
    cgroup: String,
    files: Vec<(String, String)>,
    token: Option<String>,
    kubelet: Option<String>,
    argv: String,
    uid_map: String,
    uid: Option<u32>,
    identity: String,
    facts: String,
}

impl Layout {
    fn parse(block: &str) -> Self {
        let mut layout = Self::default();
        for line in block.lines().filter(|line| !line.is_empty()) {
            let line = line
                .replace("{id}", ID)
                .replace("{other}", OTHER)
                .replace("{pod}", POD)
                .replace("{pod_}", POD_ESCAPED)
                .replace("{pod2}", POD_2)
                .replace("{static}", STATIC_POD);
            let (key, value) = line.split_once(": ").unwrap_or_else(|| panic!("{line}"));
            let value = value.to_owned();
            match key {
                "layout" => layout.name = value,
                "cgroup" => layout.cgroup += &format!("{value}\n"),
                "token" => layout.token = Some(value),
                "kubelet" => layout.kubelet = Some(value),
                "argv" => layout.argv = format!("{}\0", value.replace(' ', "\0")),
                "uid_map" => layout.uid_map = value,
                "uid" => layout.uid = Some(value.parse().unwrap()),
                "identity" => layout.identity = value,
                "facts" => layout.facts = value,
                _ => {
                    let path = key.strip_prefix("file ").unwrap_or_else(|| panic!("{line}"));
                    layout.files.push((path.to_owned(), value));
                }
            }
        }
        layout
    }

    /// Makes the host, and says what the kernel stamps as the process's cgroup.
    fn build(&self, root: &Path) -> u64 {
        let process = root.join("proc").join(PID.to_string());
        let own_root = process.join("root");
        for directory in [&own_root, &root.join("cgroup"), &root.join("docker/containers")] {
            std::fs::create_dir_all(directory).unwrap();
        }
        let home = root.join("home").display().to_string();
        let users = format!("root:x:0:0::/root:/bin/sh\nagent:x:1000:1000::{home}:/bin/sh\n");
        write(&root.join("passwd"), &users);
        let ticks = START_NS / 10_000_000;
        let stat = format!("{PID} (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 {ticks} 0");
        write(&process.join("stat"), &stat);
        write(&process.join("cgroup"), &self.cgroup);
        write(&process.join("cmdline"), &self.argv);
        let whole = "0 0 4294967295".to_owned();
        let map = if self.uid_map.is_empty() { &whole } else { &self.uid_map };
        write(&process.join("uid_map"), map);
        symlink("/usr/bin/python3.11", process.join("exe")).unwrap();
        for (path, content) in &self.files {
            let path = match path.strip_prefix("root/") {
                Some(below) => own_root.join(below),
                None => root.join(path),
            };
            write(&path, content);
        }
        if let Some(token) = &self.token {
            project(token, &own_root.join("var/run/secrets/kubernetes.io/serviceaccount"));
        }
        let unified = self.cgroup.lines().find_map(|line| line.strip_prefix("0::/"));
        let Some(unified) = unified else { return 1 };
        write(&root.join("cgroup/cgroup.controllers"), "");
        if unified.contains("..") || unified.ends_with(" (deleted)") {
            return u64::MAX;
        }
        let directory = root.join("cgroup").join(unified);
        std::fs::create_dir_all(&directory).unwrap();
        id_of(&directory)
    }
}

/// Puts a token where the kubelet does: behind two links, so that it can be replaced at once.
fn project(token: &str, directory: &Path) {
    let [namespace, pod, account, uid] = fields(token);
    let claims = format!(
        r#"{{"iss":"https://kubernetes.default.svc","kubernetes.io":{{"namespace":"{namespace}",
        "pod":{{"name":"{pod}","uid":"{uid}"}},"serviceaccount":{{"name":"{account}","uid":"u"}}}},
        "sub":"system:serviceaccount:{namespace}:{account}"}}"#
    );
    let token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
    write(&directory.join("..2026_11_26/token"), &token);
    symlink("..2026_11_26", directory.join("..data")).unwrap();
    symlink("..data/token", directory.join("token")).unwrap();
}

/// Namespace, pod, service account and uid.
fn fields(line: &str) -> [&str; 4] {
    let fields: Vec<&str> = line.split(' ').collect();
    fields.try_into().unwrap()
}

fn write(path: &Path, content: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// What is known, in the words of the files: absent facts are left out.
fn told(facts: &ProcessFacts, attribution: &Attribution) -> String {
    let mut told = Vec::new();
    let mut tell = |key: &str, value: Option<&str>| {
        told.extend(value.map(|value| format!("{key}={value}")));
    };
    tell("unit", attribution.unit.as_deref());
    tell("owner", facts.owner.as_deref());
    if let Some(container) = &attribution.container {
        assert_eq!(container.id, ID);
        tell("container", Some(container.name.as_deref().unwrap_or("?")));
        tell("image", container.image.as_deref());
        tell("runtime", container.runtime.as_deref());
    }
    let placement = facts.cgroup.as_deref().map(Placement::of).unwrap_or_default();
    let of_pod = |uid: &str| match uid {
        POD => "uuid".to_owned(),
        STATIC_POD => "static".to_owned(),
        POD_2 => "another".to_owned(),
        other => panic!("a pod {other}"),
    };
    tell("pod", placement.pod.map(|pod| of_pod(pod.as_str())).as_deref());
    let claim = |pod: &Option<Pod>| {
        let Pod { uid, name, namespace, service_account } = pod.as_ref()?;
        let names = [namespace, name, service_account].map(|name| name.clone().unwrap_or_default());
        Some(format!("{}/{}", names.join("/"), of_pod(uid)))
    };
    tell("token", claim(&facts.token).as_deref());
    tell("kubelet", claim(&facts.kubelet).as_deref());
    tell("container_user", facts.container_user.as_deref());
    tell("script", facts.script.as_deref());
    if told.is_empty() { "-".to_owned() } else { told.join(" ") }
}

/// The host below `root`, and what the kernel stamped on the process.
fn host(layout: &Layout, root: &Path, cgroup_id: u64) -> (Host, Sighting) {
    let at = |name: &str| root.join(name);
    let paths = Paths {
        proc: at("proc"),
        cgroup2: vec![at("cgroup")],
        passwd: at("passwd"),
        group: at("group"),
        docker: at("docker"),
        containers_storage: at("storage"),
        rootless_storage: "storage".into(),
        containerd_tasks: at("tasks"),
        dpkg: at("dpkg"),
    };
    let mut host = Host::new(namespace(), paths);
    if let Some(told) = &layout.kubelet {
        let [namespace, pod, account, uid] = fields(told).map(str::to_owned);
        host = host.asking(Kubelet::knowing(Pod {
            uid,
            name: Some(pod),
            namespace: Some(namespace),
            service_account: Some(account),
        }));
    }
    let key = ProcessKey { pid: PID, start_ns: START_NS };
    (host, Sighting { key, uid: layout.uid.unwrap_or(1000), cgroup_id })
}

fn namespace() -> Namespace {
    Namespace::new("example.org", "h1").unwrap()
}

fn check(block: &str) {
    let layout = Layout::parse(block);
    let root = tempfile::tempdir().unwrap();
    let cgroup_id = layout.build(root.path());
    // A machine under load may be late with a hint, which is then tried for again.
    for tries in (0..20).rev() {
        let (mut host, sighting) = host(&layout, root.path(), cgroup_id);
        let facts = host.facts(&sighting);
        let attribution = weir_core::identity::resolve(&facts, &namespace());
        let identity = attribution.identity.0.strip_prefix("spiffe://example.org").unwrap();
        let identity = identity.strip_prefix("/host/h1").unwrap_or(identity);
        let seen = (identity.to_owned(), told(&facts, &attribution));
        let expected = (layout.identity.clone(), layout.facts.clone());
        if seen == expected {
            return;
        }
        assert!(tries > 0, "{}:\n{}{seen:?} is not\n{expected:?}", layout.name, layout.cgroup);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn blocks(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n\n").filter(|block| block.lines().any(|line| line.starts_with("layout: ")))
}

const FILES: [&str; 4] = [
    include_str!("systemd.txt"),
    include_str!("containers.txt"),
    include_str!("pods.txt"),
    include_str!("refused.txt"),
];

#[test]
fn systemd() {
    blocks(FILES[0]).for_each(check);
}

#[test]
fn containers() {
    blocks(FILES[1]).for_each(check);
}

#[test]
fn pods() {
    blocks(FILES[2]).for_each(check);
}

#[test]
fn contradictions_and_forgeries() {
    blocks(FILES[3]).for_each(check);
}

#[test]
fn a_token_is_remembered_for_those_who_are_gone() {
    let cgroup = "/kubepods/pod{pod}/{id}";
    let layout = Layout::parse(&format!("cgroup: 0::{cgroup}\ntoken: shop web-0 bot {POD}"));
    let root = tempfile::tempdir().unwrap();
    let cgroup_id = layout.build(root.path());
    let (mut host, sighting) = host(&layout, root.path(), cgroup_id);
    let gone = |pid| Sighting { key: ProcessKey { pid, start_ns: 1 }, ..sighting };
    assert_eq!(host.facts(&gone(8)).token, None, "nobody's was read yet");
    let mut tries = 0..50;
    while host.facts(&sighting).token.is_none() {
        assert!(tries.next().is_some(), "never known");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let token = host.facts(&gone(9)).token.unwrap();
    assert_eq!((token.uid.as_str(), token.service_account.as_deref()), (POD, Some("bot")));
}

#[test]
fn there_are_enough() {
    let count: usize = FILES.iter().map(|file| blocks(file).count()).sum();
    assert!(count >= 60, "{count}");
}
