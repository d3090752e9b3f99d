//! Names and images of containers, from the files in which each runtime keeps its own state.
//!
//! No runtime is asked over its socket: that would need its permission, and wait for its answer.

mod containerd;
mod docker;
mod storage;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use lru::LruCache;
use rustix::fs::fstatfs;
use weir_core::identity::{Container, ContainerId, ContainerRef, Realm, Runtime};

use super::files::Dir;
use super::paths::Paths;
use super::users::User;

/// Most containers that are remembered.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// How long details are believed: a container can be renamed.
const FRESH: Duration = Duration::from_secs(60);
/// How long it is believed that there are none: the runtime may not have written them yet.
const FRESH_ABSENCE: Duration = Duration::from_secs(2);
/// Longest name or reference of an image that is kept, in bytes.
const MAX_TEXT: usize = 256;

/// The container runtimes of this host.
#[derive(Debug)]
pub(super) struct Runtimes {
    docker: PathBuf,
    storage: PathBuf,
    rootless_storage: PathBuf,
    containerd: PathBuf,
    known: LruCache<(Realm, ContainerId), (Instant, Option<Details>)>,
}

/// What a runtime's state says of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Details {
    name: Option<String>,
    image: Option<String>,
    /// Where only one runtime keeps its state in that form.
    runtime: Option<Runtime>,
}

impl Runtimes {
    pub(super) fn new(paths: &Paths) -> Self {
        Self {
            docker: paths.docker.clone(),
            storage: paths.containers_storage.clone(),
            rootless_storage: paths.rootless_storage.clone(),
            containerd: paths.containerd_tasks.clone(),
            known: LruCache::new(CAPACITY),
        }
    }

    /// What is known of a container. `owner` is the user of a [`Realm::User`]: a user's container
    /// is looked up in that user's state only, and a container of the host in root's only.
    pub(super) fn describe(
        &mut self,
        container: &ContainerRef,
        realm: Realm,
        owner: Option<&User>,
    ) -> Container {
        let key = (realm, container.id.clone());
        let details = match self.known.get(&key) {
            Some((until, details)) if Instant::now() < *until => details.clone(),
            Some(_) | None => {
                let details = match realm {
                    Realm::Host => self.of_root(container),
                    Realm::User(_) => owner.and_then(|user| self.of_user(&container.id, user)),
                };
                let fresh = if details.is_some() { FRESH } else { FRESH_ABSENCE };
                self.known.put(key, (Instant::now() + fresh, details.clone()));
                details
            }
        };
        let details = details.unwrap_or_default();
        let runtime = container.runtime.or(details.runtime);
        Container {
            id: container.id.as_str().to_owned(),
            name: details.name.as_deref().and_then(durable_name),
            image: details.image.filter(|image| is_plain(image)),
            runtime: runtime.map(|runtime| runtime.as_str().to_owned()),
        }
    }

    fn of_root(&self, container: &ContainerRef) -> Option<Details> {
        let id = &container.id;
        let docker = || docker::details(&self.docker, id);
        let containerd = || containerd::details(&self.containerd, id);
        let storage = || storage::details(&Dir::open(&self.storage).ok()?, id);
        match container.runtime {
            Some(Runtime::Docker) => docker(),
            Some(Runtime::Containerd) => containerd(),
            Some(Runtime::Podman | Runtime::CriO) => storage(),
            // Docker runs its containers by containerd, which knows less of them.
            None => docker().or_else(containerd).or_else(storage),
        }
    }

    /// Rootless Podman's state. The user can write there what he likes; it names nothing but what
    /// is below his own identity. Home directories on other machines are left alone, because a
    /// file system over a network can block.
    fn of_user(&self, id: &ContainerId, user: &User) -> Option<Details> {
        let home = Dir::open(&user.home).ok()?;
        if !is_local(&home) {
            return None;
        }
        storage::details(&home.open_below(&self.rootless_storage).ok()?, id)
    }
}

/// Whether a directory is on a file system that is known to be local (`linux/magic.h`, and the
/// sources of ZFS and bcachefs for theirs).
fn is_local(directory: &Dir) -> bool {
    const EXT: u64 = 0xEF53;
    const XFS: u64 = 0x5846_5342;
    const BTRFS: u64 = 0x9123_683E;
    const F2FS: u64 = 0xF2F5_2010;
    const TMPFS: u64 = 0x0102_1994;
    const OVERLAY: u64 = 0x794C_7630;
    const ZFS: u64 = 0x2FC1_2FC1;
    const BCACHEFS: u64 = 0xCA45_1A4E;
    // The field's sign and width differ by architecture; every magic number has 32 bits.
    fstatfs(directory.fd()).is_ok_and(|fs| {
        [EXT, XFS, BTRFS, F2FS, TMPFS, OVERLAY, ZFS, BCACHEFS]
            .contains(&((fs.f_type as u64) & 0xFFFF_FFFF))
    })
}

/// The name under which a container goes on after a restart. Kubernetes' runtimes name theirs
/// `k8s_<container>_<pod>_<namespace>_<pod uid>_<attempt>`, and none of these contains a `_`.
fn durable_name(name: &str) -> Option<String> {
    let name = name.trim_start_matches('/');
    let parts: Vec<&str> = name.splitn(7, '_').collect();
    let name = match parts.as_slice() {
        ["k8s", container, pod, namespace, _uid, _attempt] => {
            kubernetes_name(container, pod, namespace)
        }
        _ => name.to_owned(),
    };
    is_plain(&name).then_some(name)
}

fn kubernetes_name(container: &str, pod: &str, namespace: &str) -> String {
    format!("k8s_{container}_{pod}_{namespace}")
}

/// Whether a text can be kept and shown.
fn is_plain(text: &str) -> bool {
    (1..=MAX_TEXT).contains(&text.len()) && !text.contains(char::is_control)
}

#[cfg(test)]
mod tests;
