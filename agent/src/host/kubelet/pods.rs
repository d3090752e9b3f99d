//! The kubelet's answer to `GET /pods`: a `PodList` of Kubernetes' core API, of which only names are
//! read.

use serde::Deserialize;
use weir_core::identity::{ContainerId, Pod};

/// Most pods of one answer that are kept.
const PODS_MAX: usize = 4096;
/// Most containers of one pod that are kept.
const CONTAINERS_MAX: usize = 256;
/// Longest name that Kubernetes gives anything, in bytes (RFC 1123 subdomain).
const NAME_MAX: usize = 253;

/// A pod of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NodePod {
    /// Under the uid that its cgroup has.
    pub(super) pod: Pod,
    /// The ids of its containers.
    pub(super) containers: Vec<String>,
}

#[derive(Deserialize)]
struct List {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    metadata: Metadata,
    spec: Option<Spec>,
    status: Option<Status>,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    namespace: String,
    uid: String,
    annotations: Option<Annotations>,
}

#[derive(Deserialize)]
struct Annotations {
    /// Of a static pod: what its cgroup has in place of the uid that the API server gave its mirror.
    #[serde(rename = "kubernetes.io/config.hash")]
    hash: Option<String>,
}

#[derive(Deserialize)]
struct Spec {
    #[serde(rename = "serviceAccountName")]
    service_account: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default)]
    container_statuses: Vec<ContainerStatus>,
    #[serde(default)]
    init_container_statuses: Vec<ContainerStatus>,
    #[serde(default)]
    ephemeral_container_statuses: Vec<ContainerStatus>,
}

#[derive(Deserialize)]
struct ContainerStatus {
    /// `<runtime>://<id>`, once it has one.
    #[serde(rename = "containerID", default)]
    id: String,
}

/// Reads an answer. Pods with names that Kubernetes doesn't give are passed over.
///
/// # Errors
/// If it isn't a list of pods.
pub(super) fn parse(answer: &[u8]) -> serde_json::Result<Vec<NodePod>> {
    let list: List = serde_json::from_slice(answer)?;
    Ok(list.items.into_iter().filter_map(Item::pod).take(PODS_MAX).collect())
}

impl Item {
    fn pod(self) -> Option<NodePod> {
        let Metadata { name, namespace, uid, annotations } = self.metadata;
        let uid = annotations.and_then(|annotations| annotations.hash).unwrap_or(uid);
        let service_account = self.spec.and_then(|spec| spec.service_account);
        if ![&name, &namespace, &uid].into_iter().chain(&service_account).all(|name| is_name(name))
        {
            return None;
        }
        let containers = self.status.map(Status::containers).unwrap_or_default();
        let pod = Pod { uid, name: Some(name), namespace: Some(namespace), service_account };
        Some(NodePod { pod, containers })
    }
}

impl Status {
    fn containers(self) -> Vec<String> {
        self.container_statuses
            .into_iter()
            .chain(self.init_container_statuses)
            .chain(self.ephemeral_container_statuses)
            .filter_map(|status| {
                let (_runtime, id) = status.id.split_once("://")?;
                ContainerId::parse(id).map(|id| id.as_str().to_owned())
            })
            .take(CONTAINERS_MAX)
            .collect()
    }
}

/// Whether Kubernetes could have given something this name.
pub(in super::super) fn is_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "3f29a1cc0b6d4e8f9a7b5c3d1e2f40516273849506a7b8c9d0e1f2a3b4c5d6e7";

    #[test]
    fn pods_are_read_with_their_containers() {
        let answer = format!(
            r#"{{"kind":"PodList","apiVersion":"v1","metadata":{{}},"items":[
            {{"metadata":{{"name":"web-0","namespace":"shop","uid":"2c48913c"}},
              "spec":{{"serviceAccountName":"bot","containers":[{{"env":[{{"name":"K","value":"s"}}]}}]}},
              "status":{{"containerStatuses":[{{"containerID":"containerd://{ID}"}},{{"name":"starting"}}],
                         "initContainerStatuses":[{{"containerID":"cri-o://short"}}]}}}},
            {{"metadata":{{"name":"etcd-n1","namespace":"kube-system","uid":"9f",
              "annotations":{{"kubernetes.io/config.hash":"0123456789abcdef0123456789abcdef"}}}},
              "spec":{{}},"status":{{}}}},
            {{"metadata":{{"name":"a/b","namespace":"shop","uid":"1"}}}}]}}"#
        );
        let pod = |uid: &str, name: &str, namespace: &str, account: Option<&str>| Pod {
            uid: uid.to_owned(),
            name: Some(name.to_owned()),
            namespace: Some(namespace.to_owned()),
            service_account: account.map(str::to_owned),
        };
        let expected = [
            NodePod {
                pod: pod("2c48913c", "web-0", "shop", Some("bot")),
                containers: vec![ID.to_owned()],
            },
            NodePod {
                pod: pod("0123456789abcdef0123456789abcdef", "etcd-n1", "kube-system", None),
                containers: Vec::new(),
            },
        ];
        assert_eq!(parse(answer.as_bytes()).unwrap(), expected);
        assert_eq!(parse(br#"{"items":[]}"#).unwrap(), []);
        for answer in ["", "{}", "[]", r#"{"items":[{}]}"#] {
            assert!(parse(answer.as_bytes()).is_err(), "{answer}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_breaks_it(answer in any::<Vec<u8>>()) {
            let _ = parse(&answer);
        }
    }
}
