//! `weir run`: the daemon.
//!
//! ```text
//! # weir run --config /etc/weir/weir.toml
//! ```
//!
//! Runs in the foreground until it is told to stop, as service managers want it, and logs to
//! standard error. Before anything else it makes sure that the configuration is right, the kernel
//! is new enough and the privileges are there; each has its own exit code.

use std::path::PathBuf;

use anyhow::Context;

use super::StartDaemon;
use crate::config::{Config, Overrides};
use crate::exit::Exit;
use crate::{log, preflight};

/// Watch this host: the daemon.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir run
  weir run --config ./weir.toml --state-dir /tmp/state --socket /tmp/weir.sock")]
pub(super) struct Arguments {
    /// The configuration [default: /etc/weir/weir.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the ledger is kept; wins over the configuration
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// The Unix socket to answer on; wins over the configuration
    #[arg(long, value_name = "PATH", env = "WEIR_SOCKET", hide_env_values = true)]
    socket: Option<PathBuf>,
}

impl Arguments {
    pub(super) fn run(self, daemon: StartDaemon) -> anyhow::Result<Exit> {
        let overrides = Overrides {
            state_dir: self.state_dir.map(std::path::absolute).transpose()?,
            socket: self.socket.map(std::path::absolute).transpose()?,
        };
        let config =
            Config::load(self.config.as_deref(), overrides).context(Exit::ConfigInvalid)?;
        log::init(&config.log);
        preflight::ensure()?;
        daemon(config)?;
        Ok(Exit::Ok)
    }
}
