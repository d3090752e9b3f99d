//! Who is named: in units, sessions, cron's jobs, containers and pods, by processes that are gone a moment
//! after their only call; and what a workload says of itself that isn't so.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use weir_tests::harness::who::remove_group;
use weir_tests::harness::{Client, Daemon, Kind, Load, Scene, Who};

use crate::{Case, Play, case};

const POD: &str = "2c48913c-b29f-11e7-9350-020968147796";
const OTHER_POD: &str = "7d1b7a52-2a0f-4a53-8f3c-5f6e6e0c9b11";

const SESSION: Who = Who::In {
    group: "/user.slice/user-33.slice/session-7.scope",
    user: "www-data",
    identity: "/user/www-data",
};
const CRON: Who =
    Who::In { group: "/system.slice/cron.service", user: "root", identity: "/unit/cron.service" };
const POD_WITH_TOKEN: Who = Who::In {
    group: "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod2c48913c_b29f_11e7_9350_020968147796.slice/cri-containerd-3f29a1cc0b6d4e8f9a7b5c3d1e2f40516273849506a7b8c9d0e1f2a3b4c5d6e7.scope",
    user: "root",
    identity: "/ns/shop/sa/checkout",
};
const POD_OF_KUBELET: Who = Who::In {
    group: "/kubepods/besteffort/pod7d1b7a52-2a0f-4a53-8f3c-5f6e6e0c9b11/aaaaaaaa0b6d4e8f9a7b5c3d1e2f40516273849506a7b8c9d0e1f2a3b4c5d6e7",
    user: "root",
    identity: "/ns/research/sa/crawler",
};

/// Lives for some milliseconds.
const CLIENT: &str = "/usr/bin/curl";

/// Becomes the client, within a shell that somebody sits in.
const IN_A_SHELL: &str = r#"exec script -qec "bash --norc -ic '$0 $*; true'" /dev/null"#;
/// Becomes root's daemon that starts a job of another user's.
const AS_CRON: &str = r#"setpriv --reuid=34 --regid=34 --clear-groups --inh-caps=+dac_read_search \
    --ambient-caps=+dac_read_search /bin/sh -c '"$0" "$@"; true' "$0" "$@"; true"#;
/// Becomes a pod's first process, which finds a token where it should be.
const WITH_A_TOKEN: &str = r#"exec unshare --mount --propagation private /bin/sh -c '
    mount -t tmpfs none /run && mkdir -p /run/secrets/kubernetes.io/serviceaccount &&
    cp "$TOKEN" /run/secrets/kubernetes.io/serviceaccount/token && "$0" "$@"; true' "$0" "$@""#;
/// The client as somebody's child that waits for it.
const AS_A_CHILD: &str = r#""$0" "$@"; true"#;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("who_calls_and_is_gone_at_once_is_named", named),
        case("what_a_workload_says_of_itself_moves_no_bill", forged),
    ]
}

/// A kubelet that knows one pod. It is killed if this is dropped.
struct Kubelet {
    child: Child,
    port: String,
}

impl Kubelet {
    fn start(scene: &Scene, token: &str) -> anyhow::Result<Self> {
        let certificate = scene.directory().join("kubelet.pem");
        fs::write(&certificate, scene.server.credentials())?;
        let place = scene.place();
        let mut command = Command::new(&place.system_python);
        command.arg(place.clients.join("kubelet.py")).arg(certificate).arg(token);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let pod = json!({
            "metadata": { "name": "crawler-0", "namespace": "research", "uid": OTHER_POD },
            "spec": { "serviceAccountName": "crawler", "nodeName": "h" },
        });
        let list = json!({ "kind": "PodList", "apiVersion": "v1", "items": [pod] }).to_string();
        child.stdin.take().context("no standard input")?.write_all(list.as_bytes())?;
        let stdout = child.stdout.take().context("no standard output")?;
        let mut kubelet = Self { child, port: String::new() };
        BufReader::new(stdout).read_line(&mut kubelet.port)?;
        Ok(kubelet)
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A service account's token as Kubernetes projects it into a pod, but for the signature.
fn token(pod: &str, namespace: &str, account: &str) -> String {
    let claims = json!({
        "iss": "https://kubernetes.default.svc",
        "sub": format!("system:serviceaccount:{namespace}:{account}"),
        "kubernetes.io": {
            "namespace": namespace,
            "pod": { "name": format!("{account}-5d9c7"), "uid": pod },
            "serviceaccount": { "name": account, "uid": "0c5e6bd5-4d3f-4a3d-9a42-5a6a9c1c9a10" },
        },
    });
    let parts =
        [json!({ "alg": "RS256" }), claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    format!("{}.c2lnbmF0dXJl", parts.join("."))
}

/// Makes one call, by a client that ends with it and that `wrapper` runs: `$0` is its program and `$@` are
/// its arguments. Waits for the end.
fn call(
    play: &Play,
    label: &str,
    who: Who,
    wrapper: &str,
    more: &[(&str, &str)],
) -> anyhow::Result<()> {
    let directory = play.scene.directory();
    let asked = directory.join(format!("{label}.curl"));
    let authority = directory.join("authority.pem");
    fs::write(
        &asked,
        format!(
            r#"silent
               show-error
               fail
               output = "/dev/null"
               cacert = "{}"
               header = "Authorization: Bearer sk-weir-{label}"
               header = "Content-Type: application/json"
               data = "{{\"model\":\"gpt-4o\",\"messages\":[{{\"role\":\"user\",\"content\":\"the of\"}}]}}"
               url = "https://{}/v1/chat/completions""#,
            authority.display(),
            play.scene.server.host(),
        ),
    )?;
    let mut command = who.command(Path::new("/bin/sh"))?;
    command.args(["-c", wrapper, CLIENT, "--config"]).arg(asked);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("SHELL", "/bin/bash");
    command.envs(more.iter().copied());
    let output = command.stdin(Stdio::null()).output()?;
    let said = [output.stdout, output.stderr].concat();
    anyhow::ensure!(output.status.success(), "{label}: {}", String::from_utf8_lossy(&said));
    Ok(())
}

/// What `weir` says of the one call of `label`.
fn record<'a>(play: &Play, label: &str, calls: &'a [Value]) -> anyhow::Result<&'a Value> {
    let truth = play.truth();
    let made =
        truth.iter().find(|call| call.label == label).with_context(|| format!("no {label}"))?;
    let id = made.response_id.as_deref().context("no id")?;
    calls
        .iter()
        .find(|call| call["response_id"] == id)
        .with_context(|| format!("{label} was not seen"))
}

/// Fails unless the record of `label` ends its identity as it should, and has these values.
fn check(
    play: &Play,
    calls: &[Value],
    label: &str,
    who: Who,
    expected: &[(&str, Value)],
) -> anyhow::Result<()> {
    let record = record(play, label, calls)?;
    let identity = record["identity"].as_str().unwrap_or_default();
    let suffix = who.identity().unwrap_or_default();
    anyhow::ensure!(identity.ends_with(&suffix), "{label}: {identity}, not …{suffix}: {record:#}");
    for (pointer, value) in expected {
        let found = record.pointer(pointer).unwrap_or(&Value::Null);
        anyhow::ensure!(found == value, "{label}: {pointer} is {found}, not {value}: {record:#}");
    }
    Ok(())
}

fn named() -> anyhow::Result<()> {
    let scene = Scene::start()?;
    let kubelet = Kubelet::start(&scene, "kubelet-token")?;
    let directory = scene.directory().to_owned();
    let [pod_token, kubelet_token] =
        ["pod.token", "kubelet.token"].map(|name| directory.join(name));
    fs::write(&pod_token, token(POD, "shop", "checkout"))?;
    fs::write(&kubelet_token, "kubelet-token")?;
    let config = format!(
        "[kubernetes]\nkubelet_url = \"https://localhost:{}\"\nca_file = {:?}\ntoken_file = {:?}\n",
        kubelet.port.trim(),
        directory.join("authority.pem"),
        kubelet_token,
    );
    let daemon = Daemon::start_searched(scene.place(), &directory.join("weir"), &config)?;
    let mut play = Play { scene, daemon, callers: Vec::new(), unseen: 0 };

    // The first process that maps a library may be gone before anybody has looked at that, and the
    // containers have another distribution's.
    let one = Load::new("chat", 1);
    let stays = Load { wait: true, ..Load::new("chat", 2) };
    let stays = Client::start(&play.scene, Kind::ContainerPython, Who::User("nobody"), &stays)?;
    let unit = Who::Unit("weir-e2e-bot.service", "backup");
    let pod_token = pod_token.to_string_lossy().into_owned();
    call(&play, "unit", unit, AS_A_CHILD, &[])?;
    call(&play, "shell", SESSION, IN_A_SHELL, &[])?;
    call(&play, "cron", CRON, AS_CRON, &[])?;
    call(&play, "pod", POD_WITH_TOKEN, WITH_A_TOKEN, &[("TOKEN", &pod_token)])?;
    call(&play, "kubelet", POD_OF_KUBELET, AS_A_CHILD, &[])?;
    for user in ["www-data", "backup"] {
        play.run(Kind::ContainerCurl, Who::User(user), &one)?;
    }
    let first = play.truth().into_iter().find(|call| call.label == stays.caller().label);
    let first = first.and_then(|call| call.response_id).context("no first call")?;
    drop(stays);
    let mut calls = play.daemon.settled_calls(&play.scene.server.host(), 7)?;
    calls.retain(|call| call["response_id"] != *first);
    anyhow::ensure!(calls.len() == 7, "{} calls, not 7: {calls:#?}", calls.len());

    let exe = ("/process/exe", json!(CLIENT));
    let agent =
        |name: &str, depth: u32| [("/agent/name", json!(name)), ("/agent/depth", json!(depth))];
    let [dash, depth] = agent("dash", 1);
    let uid = |uid: u32| ("/process/uid", json!(uid));
    let unit_name = ("/unit", json!("weir-e2e-bot.service"));
    check(
        &play,
        &calls,
        "unit",
        unit,
        &[exe.clone(), dash.clone(), depth.clone(), uid(34), unit_name],
    )?;
    let [own, none] = agent("curl", 0);
    let sits = ("/interactive", json!(true));
    check(&play, &calls, "shell", SESSION, &[exe.clone(), own, none, uid(33), sits])?;
    let unit_name = ("/unit", json!("cron.service"));
    check(
        &play,
        &calls,
        "cron",
        CRON,
        &[exe.clone(), dash.clone(), depth.clone(), uid(34), unit_name],
    )?;
    let pod = [("/pod/uid", json!(POD)), ("/pod/name", json!("checkout-5d9c7"))];
    let [pod_uid, pod_name] = pod;
    check(&play, &calls, "pod", POD_WITH_TOKEN, &[exe.clone(), depth, pod_uid, pod_name])?;
    let pod = [("/pod/uid", json!(OTHER_POD)), ("/pod/name", json!("crawler-0"))];
    check(&play, &calls, "kubelet", POD_OF_KUBELET, &pod)?;
    for caller in &play.callers {
        let container = caller.container.as_ref().context("no container")?;
        let expected = [("/container/name", json!(container.name)), uid(caller.uid)];
        let record = record(&play, &caller.label, &calls)?;
        for (pointer, value) in &expected {
            anyhow::ensure!(record.pointer(pointer) == Some(value), "{pointer}: {record:#}");
        }
    }
    for who in [SESSION, CRON, POD_WITH_TOKEN, POD_OF_KUBELET] {
        if let Who::In { group, .. } = who {
            remove_group(group)?;
        }
    }
    remove_group("/system.slice/weir-e2e-bot.service")
}

/// A service that calls itself another program, puts another pod's token, and another role
/// where they are looked for, is the service that it is.
fn forged() -> anyhow::Result<()> {
    const FORGED: &str = r#"exec unshare --mount --propagation private /bin/bash -c '
        mount -t tmpfs none /run && mkdir -p /run/secrets/kubernetes.io/serviceaccount &&
        cp "$TOKEN" /run/secrets/kubernetes.io/serviceaccount/token
        printf kubelet > /proc/self/comm
        (exec -a /usr/bin/kubelet "$0" "$@"); true' "$0" "$@""#;
    let play = Play::begin()?;
    let stolen = play.scene.directory().join("stolen.token");
    fs::write(&stolen, token(POD, "kube-system", "admin"))?;
    let who = Who::Unit("weir-e2e-forger.service", "root");
    let stolen = stolen.to_string_lossy().into_owned();
    let more = [
        ("TOKEN", stolen.as_str()),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/admin"),
        ("KUBERNETES_SERVICE_HOST", "192.0.2.1"),
        ("INVOCATION_ID", "00000000000000000000000000000000"),
    ];
    call(&play, "forger", who, FORGED, &more)?;
    let calls = play.daemon.settled_calls(&play.scene.server.host(), 1)?;
    let exe = ("/process/exe", json!(CLIENT));
    let expected = [exe, ("/unit", json!("weir-e2e-forger.service")), ("/pod", Value::Null)];
    check(&play, &calls, "forger", who, &expected)?;
    drop(play);
    remove_group("/system.slice/weir-e2e-forger.service")
}
