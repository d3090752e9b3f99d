//! How commands reach the daemon.

use std::future::Future;
use std::path::PathBuf;

use anyhow::Context;

use crate::config::{Config, Overrides};
use crate::control::{Client, ClientError, Health};
use crate::exit::Exit;

/// Where the daemon is.
#[derive(Debug, clap::Args)]
pub(super) struct Connection {
    /// The daemon's Unix socket [default: as configured, else /run/weir/weir.sock]
    #[arg(long, value_name = "PATH", env = "WEIR_SOCKET", hide_env_values = true)]
    socket: Option<PathBuf>,
    /// The configuration that names the socket [default: /etc/weir/weir.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Connection {
    /// The configuration, with the socket that is meant.
    pub(super) fn config(&self) -> anyhow::Result<Config> {
        let overrides = Overrides { state_dir: None, socket: self.socket.clone() };
        Config::load(self.config.as_deref(), overrides).context(Exit::ConfigInvalid)
    }

    /// Nothing is connected yet. The configuration is not looked at if it isn't needed: not
    /// everybody who may ask the daemon may read it.
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        match &self.socket {
            Some(socket) => Ok(Client::new(socket)),
            None => Ok(Client::new(&self.config()?.socket)),
        }
    }
}

/// Runs a conversation with the daemon.
pub(super) fn converse<T>(
    conversation: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(conversation)
}

/// Asks the daemon who it is.
pub(super) async fn health(client: &Client) -> anyhow::Result<Health> {
    let body = client.get("/v1/health").await.map_err(explain)?;
    read(&body)
}

/// What the daemon answered.
pub(super) fn read<'a, T: serde::Deserialize<'a>>(body: &'a [u8]) -> anyhow::Result<T> {
    serde_json::from_slice(body).map_err(|error| explain(ClientError::Malformed(error.into())))
}

/// Gives an error of the client its exit code.
pub(super) fn explain(error: ClientError) -> anyhow::Error {
    let exit = match &error {
        ClientError::NotRunning { .. } => Some(Exit::NotRunning),
        ClientError::Denied { .. } | ClientError::Refused { status: 403, .. } => {
            Some(Exit::NotPrivileged)
        }
        ClientError::Refused { code, .. } if code == "ledger_failed" => Some(Exit::LedgerFailed),
        ClientError::Refused { .. } | ClientError::Broken(_) | ClientError::Malformed(_) => None,
    };
    let error = anyhow::Error::new(error);
    match exit {
        Some(exit) => error.context(exit),
        None => error,
    }
}
