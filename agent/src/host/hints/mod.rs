//! What a process says of itself: its arguments, its environment and the files below its root.
//!
//! All of it is under the workload's control, so each is a hint and is stored as one. Whoever reads it may
//! have to wait for the process, so it is read aside (`host/aside.rs`) and once for each program that a
//! process runs. What was read is wiped; only names are kept.

mod cloud;
mod language;
mod script;
mod token;
mod user;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lru::LruCache;
use weir_core::identity::{ContainerId, Pod};
use weir_core::units::ProcessKey;

use super::aside::{Account, Aside, Kind};
use super::process::Opened;
use super::users;

/// Most processes of which hints are remembered.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
/// Most containers whose token is remembered.
const CONTAINERS: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// How long somebody waits for hints. They take a millisecond where nobody makes us wait.
const PATIENCE: Duration = Duration::from_millis(100);
/// Most of the arguments that is read, in bytes. What names a script comes first.
const ARGUMENTS_MAX: usize = 64 * 1024;
/// Most of the environment that is read, in bytes.
const ENVIRONMENT_MAX: usize = 128 * 1024;
/// Most arguments that are looked at.
const ARGUMENT_COUNT: usize = 256;
/// Where Kubernetes puts a pod's token.
const TOKEN: &str = "var/run/secrets/kubernetes.io/serviceaccount/token";

/// What a process says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hints {
    /// What its own root calls its user; of a process in a container only, because elsewhere the host's
    /// database says it.
    pub(super) container_user: Option<String>,
    /// What an interpreter runs.
    pub(super) script: Option<String>,
    /// Roles in clouds.
    pub(super) cloud: BTreeMap<&'static str, String>,
    /// What its token claims; of a process in a pod only.
    pub(super) token: Option<Pod>,
}

/// Whom to look at, and for what.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) key: ProcessKey,
    /// Its program's path.
    pub(super) exe: Option<String>,
    /// Its user on the host, as the kernel stamped it.
    pub(super) uid: u32,
    /// The container that its cgroup names.
    pub(super) container: Option<ContainerId>,
    /// Its cgroup is a pod's.
    pub(super) is_in_pod: bool,
}

/// The hints of the processes that were asked about.
#[derive(Debug)]
pub(super) struct Looks {
    proc: PathBuf,
    known: LruCache<ProcessKey, Arc<Hints>>,
    /// What the token in each container claimed when it was last read.
    tokens: LruCache<ContainerId, Pod>,
}

impl Looks {
    pub(super) fn new(proc: PathBuf) -> Self {
        Self { proc, known: LruCache::new(CAPACITY), tokens: LruCache::new(CONTAINERS) }
    }

    /// What a process says of itself, as far as that is known in time. Of one that is gone by then, the
    /// token is known from others in its container.
    pub(super) fn at(
        &mut self,
        question: Question,
        account: &Account,
        aside: &mut Aside,
    ) -> Arc<Hints> {
        let key = question.key;
        if let Some(known) = self.known.get(&key) {
            return Arc::clone(known);
        }
        let container = question.container.clone().filter(|_| question.is_in_pod);
        let proc = self.proc.clone();
        let look = move || look(&proc, &question);
        match aside.run(account, Kind::Look, PATIENCE, look).flatten().map(Arc::new) {
            Some(hints) => {
                if let (Some(container), Some(token)) = (container, &hints.token) {
                    self.tokens.put(container, token.clone());
                }
                self.known.put(key, Arc::clone(&hints));
                hints
            }
            None => {
                let token = container.and_then(|container| self.tokens.get(&container).cloned());
                Arc::new(Hints { token, ..Hints::default() })
            }
        }
    }

    /// A process was made, and says what its parent says.
    pub(super) fn forked(&mut self, parent: ProcessKey, child: ProcessKey) {
        if let Some(hints) = self.known.get(&parent).cloned() {
            self.known.put(child, hints);
        }
    }

    /// A process runs another program, and so says something else.
    pub(super) fn executed(&mut self, key: ProcessKey) {
        self.known.pop(&key);
    }

    /// Whether it is worth a look at a process when it begins, since it may have gone when it is asked
    /// about: at that of an interpreter, and at the first of a pod's.
    pub(super) fn are_worth_a_look(&self, question: &Question) -> bool {
        let has_token = |container| self.tokens.contains(container);
        question.exe.as_deref().is_some_and(script::is_interpreter)
            || question.is_in_pod && !question.container.as_ref().is_some_and(has_token)
    }
}

/// Looks at a process; `None` if it is gone. May take as long as the process likes.
fn look(proc: &Path, question: &Question) -> Option<Hints> {
    let process = Opened::of(proc, question.key)?;
    let dir = &process.dir;
    let mut hints = Hints::default();
    if let Ok(arguments) = dir.read_start("cmdline", ARGUMENTS_MAX) {
        // The last has a zero behind it, unless it was cut.
        let end = arguments.iter().rposition(|&b| b == 0).unwrap_or(0);
        let arguments: Vec<&str> = arguments[..end]
            .split(|&b| b == 0)
            .take(ARGUMENT_COUNT)
            .map(|argument| std::str::from_utf8(argument).unwrap_or("\u{fffd}"))
            .collect();
        hints.script = script::script_of(question.exe.as_deref(), &arguments);
    }
    if let Ok(environment) = dir.read_start("environ", ENVIRONMENT_MAX) {
        hints.cloud = cloud::roles_in(&environment);
    }
    if question.container.is_some()
        && let Ok(root) = dir.root()
    {
        if let Ok(map) = dir.read_start("uid_map", 16 * 1024)
            && let Some(uid) = user::inside(question.uid, &String::from_utf8_lossy(&map))
            && let Ok(database) = root.read("etc/passwd", users::MAX_FILE)
        {
            hints.container_user = user::name_of(uid, &String::from_utf8_lossy(&database));
        }
        if question.is_in_pod {
            let token = root.read(TOKEN, token::TOKEN_MAX).ok();
            hints.token = token.and_then(|token| token::claimed_by(&token));
        }
    }
    // What was read after its end would be nobody's.
    process.stat().map(|_still_runs| hints)
}
