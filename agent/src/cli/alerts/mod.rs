//! `weir alerts`: what is wrong now, who was told of it, and what an administrator says of it. One file for
//! what shows something, one for what says something, one for tests.
//!
//! ```text
//! $ weir alerts
//! ID        SINCE             SEVERITY  STATE   DETECTOR  WHO                TOLD      WHAT
//! 3f1c9a20  2026-11-26 08:00  high      firing  budget    unit/bot.service   security  The budget "bots" is used …
//! ```

mod list;
mod say;
mod test;

use clap::Subcommand;

use super::connection::Connection;
use crate::exit::Exit;

/// Show what is wrong now and who was told of it, or say something of it.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  weir alerts
  weir alerts list --all --format json | jq '.alerts[].finding.summary'
  weir alerts ack 3f1c9a20 --comment 'looking into it'
  weir alerts silence 'identity=spiffe://weir.local/ns/test/*' --for 2h
  weir alerts test security"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: list::List,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::List),
    Show(list::Show),
    Ack(say::Ack),
    Silence(say::Silence),
    Unsilence(say::Unsilence),
    Test(test::Arguments),
    Replay(say::Replay),
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        match self.command {
            None => self.list.run(),
            Some(Command::List(arguments)) => arguments.run(),
            Some(Command::Show(arguments)) => arguments.run(),
            Some(Command::Ack(arguments)) => arguments.run(),
            Some(Command::Silence(arguments)) => arguments.run(),
            Some(Command::Unsilence(arguments)) => arguments.run(),
            Some(Command::Test(arguments)) => arguments.run(),
            Some(Command::Replay(arguments)) => arguments.run(),
        }
    }
}
