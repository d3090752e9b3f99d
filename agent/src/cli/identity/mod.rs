//! `weir identity`: one identity and what there is to say of it. One file per verb.

mod explain;

use clap::Subcommand;

use crate::exit::Exit;

/// Look at one identity.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Explain(explain::Arguments),
}

impl Arguments {
    pub(in crate::cli) fn run(self) -> anyhow::Result<Exit> {
        match self.command {
            Command::Explain(arguments) => arguments.run(),
        }
    }
}
