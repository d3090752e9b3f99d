//! `weir identity unblock`: lets an identity use models although its budget is used up.

use super::say::say;
use crate::cli::connection::Connection;
use crate::exit::Exit;

/// Let an identity use models again although its budget is used up. For root only.
///
/// Once the budget is used up in another window it is blocked again. Who is blocked because of being
/// offboarded needs `weir identity restore`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  weir identity unblock unit/support.service --reason 'the launch is today'")]
pub(super) struct Arguments {
    /// Its name, as `weir blocks` shows it or in full
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
        say(&self.connection, "/v1/identity/unblock", &self.name, None, self.reason)
    }
}
