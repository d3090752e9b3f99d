//! How container runtimes and the kubelet name the cgroups that they make.

use std::fmt;

/// A container's id: 64 lowercase hexadecimal digits, and so safe as a file name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContainerId(String);

impl ContainerId {
    /// `text`, if it is an id.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 64 && is_lower_hex(text)).then(|| Self(text.to_owned()))
    }

    /// All 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 digits, as runtimes print it.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What runs a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Runtime {
    /// Docker, or Moby by another name.
    Docker,
    /// Podman.
    Podman,
    /// containerd, through its CRI plugin or nerdctl.
    Containerd,
    /// CRI-O.
    CriO,
}

impl Runtime {
    /// The name in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
        }
    }
}

/// A container as a cgroup path names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerRef {
    /// Its id.
    pub id: ContainerId,
    /// Its runtime, where the path tells.
    pub runtime: Option<Runtime>,
}

/// A Kubernetes pod's uid: a UUID with dashes, or the 32 hexadecimal digits of a static pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PodUid(String);

impl PodUid {
    /// The uid as the API server writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The uid in the name of a pod's cgroup: `pod<uid>`, `kubepods-burstable-pod<u_i_d>.slice`,
    /// and the latter followed by `:cri-containerd:<id>`.
    pub(super) fn in_component(component: &str) -> Option<Self> {
        let slice = component.split(':').next()?;
        let uid = match slice.strip_suffix(".slice") {
            Some(name) => {
                let (before, uid) = name.rsplit_once("-pod")?;
                before.split('-').any(|part| part == "kubepods").then_some(uid)?
            }
            None => slice.strip_prefix("pod")?,
        };
        let uid = uid.replace('_', "-");
        let is_uuid = || {
            let lengths = uid.split('-').map(str::len);
            lengths.eq([8, 4, 4, 4, 12]) && uid.split('-').all(is_lower_hex)
        };
        ((uid.len() == 32 && is_lower_hex(&uid)) || is_uuid()).then_some(Self(uid))
    }
}

/// The container that a component of a cgroup path stands for. `parent` is the component before it.
pub(super) fn in_component(component: &str, parent: Option<&str>) -> Option<ContainerRef> {
    let name = component.strip_suffix(".scope").unwrap_or(component);
    if let Some(id) = ContainerId::parse(name) {
        let runtime = match parent {
            Some("docker") => Some(Runtime::Docker),
            Some("libpod_parent") => Some(Runtime::Podman),
            Some("k8s.io") => Some(Runtime::Containerd),
            Some(_) | None => None,
        };
        return Some(ContainerRef { id, runtime });
    }
    // `<slice>:<prefix>:<id>` is how runc is told slice, prefix and name; where the cgroup is not
    // made through systemd, it becomes a directory name as it is.
    let (prefix, id) = match name.rsplit_once(':') {
        Some((front, id)) => (front.rsplit(':').next()?, id),
        None => name.rsplit_once('-')?,
    };
    // Exact prefixes: `libpod-conmon-<id>` and `crio-conmon-<id>` hold a container's monitor, which
    // runs on the host and is not the workload.
    let runtime = match prefix {
        "docker" => Runtime::Docker,
        "libpod" | "libpod-payload" => Runtime::Podman,
        "cri-containerd" | "nerdctl" => Runtime::Containerd,
        "crio" => Runtime::CriO,
        _ => return None,
    };
    Some(ContainerRef { id: ContainerId::parse(id)?, runtime: Some(runtime) })
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}
