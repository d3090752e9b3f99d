//! `weir identity`: what is known of one identity, why a process is who it is, and what an administrator
//! says of it. One file for each verb.
//!
//! A name may be written as tables show it (`unit/bot.service`) or in full; an old name does, too.

mod explain;
mod offboard;
mod rename;
mod restore;
mod say;
mod show;
mod unblock;

use clap::Subcommand;

use crate::exit::Exit;

/// Show one identity, explain who a process is, or say that an identity is gone, back, called otherwise or free.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(show::Arguments),
    Explain(explain::Arguments),
    Offboard(offboard::Arguments),
    Restore(restore::Arguments),
    Rename(rename::Arguments),
    Unblock(unblock::Arguments),
}

impl Arguments {
    pub(in crate::cli) fn run(self) -> anyhow::Result<Exit> {
        match self.command {
            Command::Show(arguments) => arguments.run(),
            Command::Explain(arguments) => arguments.run(),
            Command::Offboard(arguments) => arguments.run(),
            Command::Restore(arguments) => arguments.run(),
            Command::Rename(arguments) => arguments.run(),
            Command::Unblock(arguments) => arguments.run(),
        }
    }
}
