//! `weir identity rename`: gives an identity another name, and its history with it.

use super::say::say;
use crate::cli::connection::Connection;
use crate::exit::Exit;

/// Give an identity another name, and its history with it. For root only.
///
/// Reports add up both names under the new one, for the past too; the log keeps what was written. The
/// old name still finds it. A name that is renamed to itself stands for nothing else any more.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir identity rename unit/bot.service unit/support-bot.service
  weir identity rename unit/bot.service unit/bot.service --reason 'they are two after all'")]
pub(super) struct Arguments {
    /// Its name, as tables show it or in full
    #[arg(value_name = "OLD")]
    old: String,
    /// The name that it has from now on; it may be one that was seen
    #[arg(value_name = "NEW")]
    new: String,
    /// Why; it stays in the audit trail
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let path = "/v1/identity/rename";
        say(&self.connection, path, &self.old, Some(&self.new), self.reason)
    }
}
