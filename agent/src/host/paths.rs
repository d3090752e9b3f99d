//! Where on the host everything is, so that a test can put it elsewhere.

use std::path::PathBuf;

/// The directories and files that this room reads.
#[derive(Clone, Debug)]
pub struct Paths {
    /// Where procfs is mounted.
    pub proc: PathBuf,
    /// Where the v2 hierarchy may be mounted; the first that is one counts. Hybrid hosts have it
    /// beside the v1 hierarchies.
    pub cgroup2: Vec<PathBuf>,
    /// The user database.
    pub passwd: PathBuf,
    /// The group database.
    pub group: PathBuf,
    /// Docker's state (`data-root`).
    pub docker: PathBuf,
    /// Storage that root's Podman and CRI-O share (`graphroot`).
    pub containers_storage: PathBuf,
    /// The same of a user's rootless Podman, below the home directory.
    pub rootless_storage: PathBuf,
    /// One directory for each namespace of containerd, and in it one for each running container.
    pub containerd_tasks: PathBuf,
    /// The database of Debian's package manager.
    pub dpkg: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            proc: "/proc".into(),
            cgroup2: vec!["/sys/fs/cgroup".into(), "/sys/fs/cgroup/unified".into()],
            passwd: "/etc/passwd".into(),
            group: "/etc/group".into(),
            docker: "/var/lib/docker".into(),
            containers_storage: "/var/lib/containers/storage".into(),
            rootless_storage: ".local/share/containers/storage".into(),
            containerd_tasks: "/run/containerd/io.containerd.runtime.v2.task".into(),
            dpkg: "/var/lib/dpkg".into(),
        }
    }
}
