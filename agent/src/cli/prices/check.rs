//! `weir prices check`: everything that is wrong with files of prices, at once.
//!
//! ```text
//! $ weir prices check prices.d/*
//! prices.d/10-own.toml: ok, 3 entries
//! weir: files of prices are wrong
//!   prices.d/20-more.toml: price number 2: unknown field `modle`, expected one of …
//! ```

use std::io::Write;
use std::path::PathBuf;

use weir_core::meter::catalogue::own::OwnFile;

use super::super::output::counted;
use crate::exit::Exit;
use crate::prices::check;

/// Report everything that is wrong with files of prices.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  weir prices check /etc/weir/prices.d/* && systemctl restart weir")]
pub(super) struct Arguments {
    /// The files: .toml, or else JSON
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let mut out = std::io::stdout().lock();
        let mut wrong = Vec::new();
        for file in &self.files {
            let name = file.display();
            match check(file) {
                Ok(OwnFile::Entries(entries)) => {
                    let count = entries.len() as u64;
                    writeln!(out, "{name}: ok, {}", counted(count, "entry", "entries"))?;
                }
                Ok(OwnFile::Rows(rows)) => {
                    let count = rows.len() as u64;
                    writeln!(out, "{name}: ok, {}", counted(count, "model", "models"))?;
                }
                Err(fault) => wrong.extend(fault.lines().map(|line| format!("\n  {name}: {line}"))),
            }
        }
        if wrong.is_empty() {
            return Ok(Exit::Ok);
        }
        let fault = anyhow::anyhow!("files of prices are wrong{}", wrong.concat());
        Err(fault.context(Exit::ConfigInvalid))
    }
}
