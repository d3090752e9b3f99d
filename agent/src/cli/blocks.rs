//! `weir blocks`: who is kept from model endpoints now, and why.
//!
//! ```text
//! $ weir blocks
//! IDENTITY            WHY           SINCE                 UNTIL                 RESET  REFUSED
//! unit/old.service    offboarded    2026-11-24T08:00:03Z  -                         1       12
//! unit/crawl.service  budget crawl  2026-11-24T09:12:44Z  2026-11-24T10:00:00Z      2      104
//! ```
//!
//! RESET are connections that were ended, REFUSED those that were not begun. In a dry run nobody is blocked,
//! and RESET counts what would have been.

use std::io::Write;

use comfy_table::Cell;
use weir_core::detect::Cause;
use weir_core::units::Timestamp;

use super::connection::{Connection, converse, explain, health, read};
use super::name::{Names, printable};
use super::output::{grouped, table as blank_table};
use crate::control::Blocks;
use crate::exit::Exit;
use crate::ledger::BlockRecord;

/// Show who is kept from model endpoints now.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir blocks
  weir blocks --format json | jq '.blocks[].identity'")]
pub(super) struct Arguments {
    /// How to print them
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

/// How blocks are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For reading
    Table,
    /// Exact and complete, as the API answers it
    Json,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let client = self.connection.client()?;
        let (names, body) = converse(async {
            let names = Names::of(&health(&client).await?);
            Ok((names, client.get("/v1/blocks").await.map_err(explain)?))
        })?;
        let text = match self.format {
            Format::Table => table(&read(&body)?, &names),
            Format::Json => format!("{}\n", String::from_utf8_lossy(&body)),
        };
        std::io::stdout().write_all(text.as_bytes())?;
        Ok(Exit::Ok)
    }
}

fn table(report: &Blocks, names: &Names) -> String {
    if !report.enforced {
        return "Nobody is ever blocked: see [enforce] in the configuration, and `weir doctor`.\n"
            .to_owned();
    }
    if report.blocks.is_empty() {
        return "Nobody is blocked.\n".to_owned();
    }
    let mut table = blank_table(
        &["IDENTITY", "WHY", "SINCE", "UNTIL", "RESET", "REFUSED"],
        &["RESET", "REFUSED"],
    );
    for BlockRecord { block, kept, .. } in &report.blocks {
        let dry = if block.dry_run { " (dry run)" } else { "" };
        table.add_row([
            Cell::new(printable(names.short(&block.identity.0))),
            Cell::new(format!("{}{dry}", why(&block.cause))),
            Cell::new(second(block.since)),
            Cell::new(block.until.map_or_else(|| "-".to_owned(), second)),
            Cell::new(grouped(kept.connections_reset)),
            Cell::new(grouped(kept.connections_refused)),
        ]);
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn why(cause: &Cause) -> String {
    match cause {
        Cause::Budget(name) => format!("budget {}", printable(name)),
        Cause::Offboarded => "offboarded".to_owned(),
    }
}

fn second(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
