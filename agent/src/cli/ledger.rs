//! `weir ledger`: checks the usage log, and makes its index anew.
//!
//! ```text
//! # weir ledger verify
//! 12 files, 48,210 lines (1 to 48210): whole
//! # weir ledger rebuild
//! the index was made anew from 48,210 lines
//! ```
//!
//! `verify` reads the files itself, beside a running daemon too; `rebuild` needs the daemon to be
//! stopped.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use weir_core::units::Timestamp;

use super::output::{counted, grouped};
use crate::config::{Config, Overrides};
use crate::control::{Verification, verify};
use crate::exit::Exit;
use crate::ledger::{self, LedgerError};

/// Check the usage log, or make its index anew.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check that the usage log is what was written: no line changed, removed or put in.
    ///
    /// Reads all of it, beside a running daemon too. It can't see that whole lines are missing at
    /// the very end.
    #[command(after_help = "Example:
  weir ledger verify || echo 'somebody has touched the log'")]
    Verify(Place),
    /// Make the index anew from the usage log, with the daemon stopped.
    #[command(after_help = "Example:
  systemctl stop weir && weir ledger rebuild && systemctl start weir")]
    Rebuild(Place),
}

/// Where the ledger is.
#[derive(Debug, clap::Args)]
struct Place {
    /// The directory of the ledger; wins over the configuration
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// The configuration that names it [default: /etc/weir/weir.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        match self.command {
            Command::Verify(place) => {
                let report = verify(&place.state_dir()?).map_err(explain)?;
                write!(std::io::stdout(), "{}", verdict(&report))?;
                Ok(if report.whole { Exit::Ok } else { Exit::VerificationFailed })
            }
            Command::Rebuild(place) => {
                let lines =
                    ledger::rebuild(&place.state_dir()?, Timestamp::now()).map_err(explain)?;
                let lines = counted(lines, "line", "lines");
                writeln!(std::io::stdout(), "the index was made anew from {lines}")?;
                Ok(Exit::Ok)
            }
        }
    }
}

impl Place {
    fn state_dir(self) -> anyhow::Result<PathBuf> {
        match self.state_dir {
            Some(state_dir) => Ok(std::path::absolute(state_dir)?),
            None => Ok(Config::load(self.config.as_deref(), Overrides::default())
                .context(Exit::ConfigInvalid)?
                .state_dir),
        }
    }
}

fn verdict(report: &Verification) -> String {
    let files = counted(report.files, "file", "files");
    let lines = counted(report.lines, "line", "lines");
    let span = match (report.first_seq, report.last_seq) {
        (Some(first), Some(last)) => format!(" ({first} to {last})"),
        (Some(_) | None, None) | (None, Some(_)) => String::new(),
    };
    if report.whole {
        return format!("{files}, {lines}{span}: whole\n");
    }
    let problems = counted(report.problem_count, "problem", "problems");
    let mut text = format!("{files}, {lines}{span}: {problems}\n");
    for problem in &report.problems {
        text.push_str(&format!("  {problem}\n"));
    }
    let named = report.problems.len() as u64;
    if report.problem_count > named {
        text.push_str(&format!("  and {} more\n", grouped(report.problem_count - named)));
    }
    text
}

/// Gives an error of the ledger its exit code.
fn explain(error: LedgerError) -> anyhow::Error {
    let exit = match &error {
        LedgerError::AlreadyRunning { .. } => Exit::AlreadyRunning,
        LedgerError::File { source, .. }
            if source.kind() == std::io::ErrorKind::PermissionDenied =>
        {
            Exit::NotPrivileged
        }
        LedgerError::File { .. } | LedgerError::Encode(_) | LedgerError::Index { .. } => {
            Exit::LedgerFailed
        }
    };
    anyhow::Error::new(error).context(exit)
}
