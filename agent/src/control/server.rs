//! Accepts connections and hands each, with who is at the other end, to the API.

use std::fmt;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use weir_core::detect::budget::BudgetReport;
use weir_core::identity::{Explanation, Namespace, Rules};
use weir_core::units::Timestamp;

use super::api;
use super::blocks::Blocks;
use super::doctor::DoctorReport;
use super::explain::Busy;
use super::inventory::ChangeError;
use super::peer::Peer;
use super::socket::Socket;
use crate::alert::Alerts;
use crate::ledger::{Entry, Reader};

/// How many connections are served at a time. More wait in the socket's backlog.
const CONNECTIONS_MAX: usize = 64;
/// How long a request's head may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait when connections can't be accepted, which is when files have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What the API answers from.
pub struct Control {
    /// The ledger.
    pub reader: Reader,
    /// Where the ledger is.
    pub state_dir: PathBuf,
    /// The rules that identities follow from.
    pub rules: Rules,
    /// Where they are named.
    pub namespace: Namespace,
    /// Says who the process with a pid is; `None` if none has it. May block for some seconds.
    pub explain: Box<dyn Fn(u32) -> Result<Option<Explanation>, Busy> + Send + Sync>,
    /// What this host is called in identities.
    pub host: String,
    /// The trust domain of the identities.
    pub trust_domain: String,
    /// When the daemon started.
    pub started: Timestamp,
    /// The group whose members may read everything, if the host has it.
    pub auditors: Option<u32>,
    /// Puts what an administrator says into the log. Returns when it is on the disk, or after some seconds.
    pub say: Box<dyn Fn(Entry) -> Result<(), ChangeError> + Send + Sync>,
    /// Says how the budgets stand.
    pub budgets: Box<dyn Fn() -> BudgetReport + Send + Sync>,
    /// Knows who was told of what.
    pub alerts: Alerts,
    /// Says who is kept from model endpoints.
    pub blocks: Box<dyn Fn() -> Blocks + Send + Sync>,
    /// Says how the daemon is. May block for some milliseconds.
    pub doctor: Box<dyn Fn() -> DoctorReport + Send + Sync>,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("state_dir", &self.state_dir).finish_non_exhaustive()
    }
}

/// Answers on `socket` until `shutdown` resolves, then drops what is still being answered and
/// removes the socket. Needs a tokio runtime with IO and time.
///
/// # Errors
/// If the socket can't be used at all. A connection that fails is none of its business.
pub async fn serve(
    socket: Socket,
    control: Control,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let listener = socket.listener()?;
    let auditors = control.auditors;
    let router = api::router(Arc::new(control));
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => return Ok(()),
            Some(_ended) = connections.join_next() => continue,
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => accepted,
        };
        match accepted {
            Ok((stream, _address)) => {
                connections.spawn(connection(stream, auditors, router.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection to the control socket was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: UnixStream, auditors: Option<u32>, router: Router) {
    let peer = match Peer::of(&stream, auditors) {
        Ok(peer) => peer,
        Err(error) => {
            tracing::warn!(%error, "a connection was refused: who made it is not known");
            return;
        }
    };
    let service = TowerToHyperService::new(router.layer(Extension(peer)));
    let served: Result<(), hyper::Error> = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, uid = peer.uid, "a control connection ended early");
    }
}
