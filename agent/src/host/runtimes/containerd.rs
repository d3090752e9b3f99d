//! containerd: the OCI configuration of each running container, in whose annotations the CRI
//! plugin and nerdctl say what it is (`<tasks>/<namespace>/<id>/config.json`).

use std::path::Path;

use serde::Deserialize;
use weir_core::identity::{ContainerId, Runtime};

use super::super::files::Dir;
use super::{Details, kubernetes_name};

/// Largest file that is read. It holds the container's environment, too.
const MAX_FILE: usize = 2 * 1024 * 1024;
/// Most namespaces that are searched; Kubernetes, Docker and nerdctl use one each.
const MAX_NAMESPACES: usize = 64;

#[derive(Deserialize)]
struct Configuration {
    annotations: Option<Annotations>,
}

#[derive(Deserialize)]
struct Annotations {
    /// `container`, or `sandbox` for the one that only holds a pod's namespaces.
    #[serde(rename = "io.kubernetes.cri.container-type")]
    kind: Option<String>,
    #[serde(rename = "io.kubernetes.cri.container-name")]
    container: Option<String>,
    #[serde(rename = "io.kubernetes.cri.sandbox-name")]
    pod: Option<String>,
    #[serde(rename = "io.kubernetes.cri.sandbox-namespace")]
    namespace: Option<String>,
    #[serde(rename = "io.kubernetes.cri.image-name")]
    image: Option<String>,
    #[serde(rename = "nerdctl/name")]
    nerdctl: Option<String>,
}

pub(super) fn details(tasks: &Path, id: &ContainerId) -> Option<Details> {
    let directory = Dir::open(tasks).ok()?;
    let file = tasks.read_dir().ok()?.flatten().take(MAX_NAMESPACES).find_map(|namespace| {
        let path = Path::new(&namespace.file_name()).join(id.as_str()).join("config.json");
        directory.read(path, MAX_FILE).ok()
    })?;
    let annotations = serde_json::from_slice::<Configuration>(&file).ok()?.annotations;
    let Some(annotations) = annotations else {
        return Some(Details { runtime: Some(Runtime::Containerd), ..Details::default() });
    };
    let container = match annotations.kind.as_deref() {
        Some("sandbox") => Some("POD"),
        Some(_) | None => annotations.container.as_deref(),
    };
    // A pod's container is called `app` in many pods: its name alone says too little.
    let name = match (container, annotations.pod, annotations.namespace) {
        (Some(container), Some(pod), Some(namespace)) => {
            Some(kubernetes_name(container, &pod, &namespace))
        }
        _ => annotations.nerdctl,
    };
    Some(Details { name, image: annotations.image, runtime: Some(Runtime::Containerd) })
}
