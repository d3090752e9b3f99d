//! `weir config check`: everything that is wrong with a configuration, at once.
//!
//! ```text
//! $ weir config check weir.toml
//! weir: the configuration is invalid: weir.toml has 2 errors
//!   weir.toml:2:1: sockets: no such key; did you mean `socket`?
//!   weir.toml:9:18: ledger.retention_days: expected a number of days from 1 to 36500, found the
//!   number 0
//! ```

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;

use crate::config::{Config, Overrides};
use crate::exit::Exit;

/// Work with configuration files.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Report everything that is wrong with a configuration file.
    #[command(after_help = "Example:
  weir config check /etc/weir/weir.toml && systemctl restart weir")]
    Check {
        /// The file
        file: PathBuf,
    },
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let Command::Check { file } = self.command;
        Config::load(Some(&file), Overrides::default()).context(Exit::ConfigInvalid)?;
        writeln!(std::io::stdout(), "{}: ok", file.display())?;
        Ok(Exit::Ok)
    }
}
