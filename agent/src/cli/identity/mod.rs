//! `weir identity`: what is known of one identity, and what an administrator says of it. One file for
//! each verb.
//!
//! A name may be written as tables show it (`unit/bot.service`) or in full; an old name does, too.

mod offboard;
mod rename;
mod restore;
mod say;
mod show;

use clap::Subcommand;

use crate::exit::Exit;

/// Show one identity, or say that it is gone, back or called otherwise.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(show::Arguments),
    Offboard(offboard::Arguments),
    Restore(restore::Arguments),
    Rename(rename::Arguments),
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        match self.command {
            Command::Show(arguments) => arguments.run(),
            Command::Offboard(arguments) => arguments.run(),
            Command::Restore(arguments) => arguments.run(),
            Command::Rename(arguments) => arguments.run(),
        }
    }
}
