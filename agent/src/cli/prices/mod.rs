//! `weir prices`: what models cost, and what history would have cost at other prices.
//!
//! ```text
//! $ weir prices show gpt-5.5
//! # weir prices check /etc/weir/prices.d/*
//! # weir prices import --format litellm model_prices.json > /etc/weir/prices.d/50-litellm.json
//! # weir prices rerate --since 30d
//! ```
//!
//! `docs/prices.md` describes the files of `prices.d`.

mod check;
mod import;
mod rerate;
mod show;

use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;

use crate::config::{Config, Overrides};
use crate::exit::Exit;
use crate::prices::OwnPrices;

/// Show, check and import prices, and price history again.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(show::Arguments),
    Check(check::Arguments),
    Import(import::Arguments),
    Rerate(rerate::Arguments),
}

/// How prices are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For reading
    Table,
    /// Exact and complete
    Json,
    /// The rows, exact, for spreadsheets
    Csv,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        match self.command {
            Command::Show(arguments) => arguments.run(),
            Command::Check(arguments) => arguments.run(),
            Command::Import(arguments) => arguments.run(),
            Command::Rerate(arguments) => arguments.run(),
        }
    }
}

/// The prices that a daemon started now would go by.
fn configured(file: Option<&PathBuf>) -> anyhow::Result<OwnPrices> {
    let config = Config::load(file.map(PathBuf::as_path), Overrides::default());
    let config = config.context(Exit::ConfigInvalid)?;
    OwnPrices::read(&config.prices.dir).context(Exit::ConfigInvalid)
}
