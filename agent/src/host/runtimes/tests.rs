//! State files as each runtime writes them.

use std::path::Path;

use tempfile::TempDir;

use super::*;

const ID: &str = "3f29a1cc0b6d4e8f9a7b5c3d1e2f40516273849506a7b8c9d0e1f2a3b4c5d6e7";

/// A host whose runtimes' state is below one directory, and the paths to it.
fn host() -> (TempDir, Paths) {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths {
        docker: root.path().join("docker"),
        containers_storage: root.path().join("storage"),
        containerd_tasks: root.path().join("tasks"),
        ..Paths::default()
    };
    (root, paths)
}

fn write(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// Writes a file below the host's root and checks what is then known of the container, as
/// `name image runtime`.
#[track_caller]
fn check(path: &str, content: &str, runtime: Option<Runtime>, expected: &str) {
    let (root, paths) = host();
    write(root.path(), path, content);
    let container = ContainerRef { id: ContainerId::parse(ID).unwrap(), runtime };
    let seen = Runtimes::new(&paths).describe(&container, Realm::Host, None);
    assert_eq!(seen.id, ID);
    let text = |field: Option<String>| field.unwrap_or_else(|| "-".to_owned());
    let seen = format!("{} {} {}", text(seen.name), text(seen.image), text(seen.runtime));
    assert_eq!(seen, expected, "{path}: {content}");
}

#[test]
fn docker() {
    let path = format!("docker/containers/{ID}/config.v2.json");
    for (content, runtime, expected) in [
        (
            r#"{"Name":"/web","ID":"x","Config":{"Image":"shop:2","Env":["KEY=secret"]}}"#,
            Some(Runtime::Docker),
            "web shop:2 docker",
        ),
        (r#"{"Name":"/web","Config":{"Image":"shop:2"}}"#, None, "web shop:2 docker"),
        (r#"{"Name":"/web","Config":{}}"#, Some(Runtime::Containerd), "- - containerd"),
        (
            r#"{"Name":"/k8s_app_web-0_shop_2c48913c-b29f-11e7-9350-020968147796_3"}"#,
            None,
            "k8s_app_web-0_shop - docker",
        ),
        (r#"{"Name":"/a\u001b[2J","Config":{"Image":"b\n"}}"#, None, "- - docker"),
        (r#"{"Name":"","Config":null}"#, None, "- - docker"),
        (r#"{"Name":7}"#, Some(Runtime::Docker), "- - docker"),
        ("{", None, "- - -"),
        ("", None, "- - -"),
    ] {
        check(&path, content, runtime, expected);
    }
    let long = format!(r#"{{"Name":"/{}"}}"#, "a".repeat(MAX_TEXT + 1));
    check(&path, &long, None, "- - docker");
}

#[test]
fn containerd() {
    let cri = |kind| {
        format!(
            r#"{{"process":{{"env":["KEY=secret"]}},"annotations":{{
                "io.kubernetes.cri.container-type":"{kind}",
                "io.kubernetes.cri.container-name":"app",
                "io.kubernetes.cri.image-name":"shop:2",
                "io.kubernetes.cri.sandbox-name":"web-0",
                "io.kubernetes.cri.sandbox-namespace":"shop"}}}}"#
        )
    };
    let path = format!("tasks/k8s.io/{ID}/config.json");
    check(&path, &cri("container"), None, "k8s_app_web-0_shop shop:2 containerd");
    check(&path, &cri("sandbox"), None, "k8s_POD_web-0_shop shop:2 containerd");
    let nerdctl = r#"{"annotations":{"nerdctl/name":"web"}}"#;
    let path = format!("tasks/default/{ID}/config.json");
    check(&path, nerdctl, Some(Runtime::Containerd), "web - containerd");
    check(&path, "{}", None, "- - containerd");
    check(&path, nerdctl, Some(Runtime::Podman), "- - podman");
}

#[test]
fn podman_and_cri_o() {
    let list = |name: &str| {
        format!(
            r#"[{{"id":"0","names":["other"]}},{{"id":"{ID}","names":["{name}"],"image":"9f",
            "metadata":"{{\"image-name\":\"docker.io/shop:2\",\"name\":\"{name}\"}}"}}]"#
        )
    };
    let path = "storage/overlay-containers/containers.json";
    check(path, &list("web"), Some(Runtime::Podman), "web docker.io/shop:2 podman");
    let volatile = "storage/vfs-containers/volatile-containers.json";
    check(volatile, &list("web"), None, "web docker.io/shop:2 -");
    let pod = "k8s_app_web-0_shop_2c48913c-b29f-11e7-9350-020968147796_0";
    check(path, &list(pod), Some(Runtime::CriO), "k8s_app_web-0_shop docker.io/shop:2 cri-o");
    check(path, "[]", Some(Runtime::CriO), "- - cri-o");
    check(path, &format!(r#"[{{"id":"{ID}"}}]"#), None, "- - -");
}

#[test]
fn a_user_s_container_is_looked_up_in_that_user_s_home_only() {
    let (root, paths) = host();
    let list = |name: &str| format!(r#"[{{"id":"{ID}","names":["{name}"]}}]"#);
    let file = "storage/overlay-containers/containers.json";
    write(root.path(), file, &list("of-root"));
    write(root.path(), &format!("home/.local/share/containers/{file}"), &list("of-user"));
    let user = User { name: "agent".to_owned(), home: root.path().join("home") };
    let container =
        ContainerRef { id: ContainerId::parse(ID).unwrap(), runtime: Some(Runtime::Podman) };
    let mut runtimes = Runtimes::new(&paths);
    let mut name = |realm, user| runtimes.describe(&container, realm, user).name;
    assert_eq!(name(Realm::User(1), Some(&user)).as_deref(), Some("of-user"));
    assert_eq!(name(Realm::User(2), None), None);
    assert_eq!(name(Realm::Host, None).as_deref(), Some("of-root"));
}

#[test]
fn state_behind_a_link_is_not_read() {
    let (root, paths) = host();
    write(root.path(), "elsewhere/config.v2.json", r#"{"Name":"/victim"}"#);
    let containers = root.path().join("docker/containers");
    std::fs::create_dir_all(&containers).unwrap();
    std::os::unix::fs::symlink(root.path().join("elsewhere"), containers.join(ID)).unwrap();
    let container =
        ContainerRef { id: ContainerId::parse(ID).unwrap(), runtime: Some(Runtime::Docker) };
    assert_eq!(Runtimes::new(&paths).describe(&container, Realm::Host, None).name, None);
}
