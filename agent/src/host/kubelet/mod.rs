//! What the kubelet of this node says of its pods: name, namespace and service account of each.
//!
//! Off unless `[kubernetes]` of the configuration says where the kubelet is. A thread of its own asks it
//! for all pods of the node (`GET /pods`), every [`POLL`] and when a pod is met that isn't known; nobody
//! waits for it. What it says of a pod never changes as long as there is one with that uid, so it is kept
//! until there is no room, also while the kubelet doesn't answer.

mod client;
mod pods;

use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use lru::LruCache;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use weir_core::identity::{ContainerId, Pod, PodUid};

use crate::config::Kubernetes;
pub(super) use pods::is_name;

use pods::NodePod;

/// How often the kubelet is asked while it answers.
const POLL: Duration = Duration::from_secs(30);
/// The least time between two questions.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest time between two questions, after many that were in vain.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Most pods that are remembered. A node has 110 by default.
const PODS: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
/// Most containers that are remembered.
const CONTAINERS: NonZeroUsize = NonZeroUsize::new(16 * 1024).unwrap();

/// The pods of this node, as far as the kubelet has said.
#[derive(Debug)]
pub struct Kubelet {
    known: Arc<Mutex<Known>>,
    wanted: Arc<Notify>,
    health: KubeletHealth,
}

/// How asking the kubelet goes.
#[derive(Clone, Debug, Default)]
pub struct KubeletHealth(Arc<Mutex<Option<Result<usize, String>>>>);

#[derive(Debug)]
struct Known {
    pods: LruCache<String, Pod>,
    /// The uid of each container's pod.
    containers: LruCache<String, String>,
}

impl Kubelet {
    /// Begins to ask the kubelet.
    ///
    /// # Errors
    /// If no thread can be made.
    pub fn start(access: Kubernetes) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let kubelet = Self::silent(Known::new());
        let (known, wanted) = (Arc::downgrade(&kubelet.known), Arc::clone(&kubelet.wanted));
        let health = kubelet.health();
        thread::Builder::new()
            .name("weir-kubelet".to_owned())
            .spawn(move || runtime.block_on(ask_on(access, known, wanted, health)))?;
        Ok(kubelet)
    }

    /// One that nobody asks.
    fn silent(known: Known) -> Self {
        let known = Arc::new(Mutex::new(known));
        Self { known, wanted: Arc::default(), health: KubeletHealth::default() }
    }

    /// How it goes, from now on.
    #[must_use]
    pub fn health(&self) -> KubeletHealth {
        self.health.clone()
    }

    /// One that has said this, and is not asked.
    #[cfg(test)]
    pub(super) fn knowing(pod: Pod) -> Self {
        let mut known = Known::new();
        known.learn(vec![NodePod { pod, containers: Vec::new() }]);
        Self::silent(known)
    }

    /// What the kubelet says of the pod with this uid, or else of the pod that has this container. Asks
    /// it soon, if that isn't known.
    pub(super) fn pod(&self, uid: Option<&PodUid>, container: &ContainerId) -> Option<Pod> {
        let found = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let uid = match uid {
                Some(uid) => Some(uid.as_str().to_owned()),
                None => known.containers.get(container.as_str()).cloned(),
            };
            uid.and_then(|uid| known.pods.get(&uid).cloned())
        };
        if found.is_none() && uid.is_some() {
            self.wanted.notify_one();
        }
        found
    }
}

impl Drop for Kubelet {
    /// The thread sees that nobody wants to know any more.
    fn drop(&mut self) {
        self.wanted.notify_one();
    }
}

impl KubeletHealth {
    /// How many pods it told last, or why it told none; `None` before the first answer.
    #[must_use]
    pub fn latest(&self) -> Option<Result<usize, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, answer: Result<usize, String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    }
}

impl Known {
    fn new() -> Self {
        Self { pods: LruCache::new(PODS), containers: LruCache::new(CONTAINERS) }
    }

    fn learn(&mut self, pods: Vec<NodePod>) {
        for NodePod { pod, containers } in pods {
            for container in containers {
                self.containers.put(container, pod.uid.clone());
            }
            self.pods.put(pod.uid.clone(), pod);
        }
    }
}

/// Asks the kubelet again and again, for as long as somebody wants to know.
async fn ask_on(
    access: Kubernetes,
    known: Weak<Mutex<Known>>,
    wanted: Arc<Notify>,
    health: KubeletHealth,
) {
    let mut failures = 0u32;
    while known.strong_count() > 0 {
        match client::pods(&access).await {
            Ok(pods) => {
                if failures > 0 {
                    tracing::info!(pods = pods.len(), "the kubelet answers");
                }
                failures = 0;
                health.note(Ok(pods.len()));
                if let Some(known) = known.upgrade() {
                    known.lock().unwrap_or_else(PoisonError::into_inner).learn(pods);
                }
            }
            Err(error) => {
                let error = format!("{:#}", anyhow::Error::from(error));
                if failures == 0 {
                    tracing::warn!(error, "the kubelet can't be asked");
                }
                health.note(Err(error));
                failures = failures.saturating_add(1);
            }
        }
        let pause = PAUSE.saturating_mul(1 << failures.min(6)).min(LONGEST_PAUSE);
        if failures == 0 {
            sleep(PAUSE).await;
            // Either way it is time to ask again.
            let _ = timeout(POLL, wanted.notified()).await;
        } else {
            sleep(pause).await;
        }
    }
}

#[cfg(test)]
mod tests;
