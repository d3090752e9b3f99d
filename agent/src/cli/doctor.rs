//! `weir doctor`: what works, what doesn't, and what to do about it.
//!
//! ```text
//! $ weir doctor
//! ok    kernel        Linux 6.1.0-28-amd64
//! ok    kernel types  /sys/kernel/btf/vmlinux is there
//! warn  prices        2 calls to a model without a price
//!                     → add it to the price catalogue
//! …
//! ```
//!
//! Exits with 10 if a check fails. Without a running daemon it looks at what can be seen from
//! outside, and says what it can't know.

mod offline;
mod render;

use std::io::Write;

use super::connection::{Connection, converse, explain, read};
use crate::control::{ClientError, DoctorReport, Status};
use crate::exit::Exit;

/// Show what works, what doesn't, and what to do about it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir doctor
  weir doctor --format json | jq '.checks[] | select(.status != \"ok\")'")]
pub(super) struct Arguments {
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For reading
    Table,
    /// As the API answers it
    Json,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let report = self.report()?;
        let text = match self.format {
            Format::Table => render::text(&report),
            Format::Json => format!("{}\n", serde_json::to_string(&report)?),
        };
        std::io::stdout().write_all(text.as_bytes())?;
        Ok(match report.status() {
            Status::Ok | Status::Warn => Exit::Ok,
            Status::Fail => Exit::Unhealthy,
        })
    }

    fn report(&self) -> anyhow::Result<DoctorReport> {
        let config = self.connection.config();
        if let Ok(client) = self.connection.client() {
            match converse(async { Ok(client.get("/v1/doctor").await) })? {
                Ok(body) => return read(&body),
                Err(ClientError::NotRunning { .. }) => {}
                Err(error) => return Err(explain(error)),
            }
        }
        Ok(offline::report(config))
    }
}
