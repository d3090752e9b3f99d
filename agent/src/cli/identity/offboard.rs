//! `weir identity offboard`: says that an identity should make no calls any more.

use super::say::say;
use crate::cli::connection::Connection;
use crate::exit::Exit;

/// Say that an identity should make no calls any more. For root only.
///
/// If it calls again, `weir identities` says so. It is blocked only where `[enforce]` in the configuration says
/// that the offboarded are.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  weir identity offboard unit/old-bot.service --reason 'replaced by support-bot'")]
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
        say(&self.connection, "/v1/identity/offboard", &self.name, None, self.reason)
    }
}
