//! `weir manual`: the pages of the manual, for who packages weir.
//!
//! ```text
//! $ weir manual /usr/local/share/man/man1
//! ```

use std::path::PathBuf;

use anyhow::Context as _;
use clap::CommandFactory;

use super::Cli;
use crate::exit::Exit;

/// Write the pages of the manual into a folder.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct Arguments {
    /// The folder, which must be there
    folder: PathBuf,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        clap_mangen::generate_to(Cli::command(), &self.folder)
            .with_context(|| format!("can't write the manual into {}", self.folder.display()))?;
        Ok(Exit::Ok)
    }
}
