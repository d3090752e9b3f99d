//! `weir identity restore`: takes back that an identity was offboarded.

use super::say::say;
use crate::cli::connection::Connection;
use crate::exit::Exit;

/// Take back that an identity was offboarded. For root only.
///
/// The audit trail keeps both.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  weir identity restore unit/old-bot.service --reason 'still needed until March'")]
pub(super) struct Arguments {
    /// Its name, as tables show it or in full
    #[arg(value_name = "NAME")]
    name: String,
    /// Why; it stays in the audit trail
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        say(&self.connection, "/v1/identity/restore", &self.name, None, self.reason)
    }
}
