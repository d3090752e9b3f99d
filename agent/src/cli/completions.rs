//! `weir completions`: what makes a shell complete `weir`'s arguments.
//!
//! ```text
//! $ weir completions bash > /etc/bash_completion.d/weir
//! ```

use std::io::Write;

use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;
use crate::exit::Exit;

/// Print a script that makes a shell complete weir's arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir completions bash > /etc/bash_completion.d/weir
  weir completions zsh > /usr/local/share/zsh/site-functions/_weir")]
pub(super) struct Arguments {
    /// The shell
    shell: Shell,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "weir", &mut script);
        std::io::stdout().write_all(&script)?;
        Ok(Exit::Ok)
    }
}
