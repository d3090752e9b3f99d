//! `weir usage`: who spent what on which model.
//!
//! ```text
//! $ weir usage --since 7d
//! IDENTITY               MODEL             CALLS  ERRORS    INPUT  CACHED  OUTPUT      COST
//! unit/support.service   gpt-5-mini        1,204       3  812,120  64,000  91,344   $0.4201
//! container/crawler      claude-sonnet-4-5    88       0  210,004       0  40,110   $1.2317
//! TOTAL                                    1,292       3  1,022,124 64,000 131,454  $1.6518
//!
//! 2026-11-16T12:00:00Z to 2026-11-23T12:00:00Z, complete
//! ```
//!
//! INPUT and OUTPUT are all of it, cached and reasoning tokens included. `--format json` is exact
//! and has every bucket. The last lines say whether everything is in the sums, and if not, what is
//! missing.

mod render;
mod report;

use std::io::Write;

use weir_core::units::Timestamp;

use super::connection::{Connection, converse, explain, health, read};
use super::name::Names;
use super::span::{target, time};
use crate::exit::Exit;
use crate::ledger::Dimension;
use report::Report;

/// Show who spent what on which model.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir usage
  weir usage --since 7d --by identity
  weir usage --since 30d --by cost_center,team
  weir usage --since 2026-11-01 --until 2026-12-01 --by credential,model --format csv
  weir usage --by model --format json | jq '.totals.cost_usd'")]
pub(super) struct Arguments {
    /// What to break the sums down by: any of identity, model, provider, credential, api, process,
    /// script, agent, and what the rules assign: rule, owner, team, product_line, cost_center, environment
    #[arg(long, value_name = "KEYS", value_delimiter = ',', default_value = "identity,model")]
    by: Vec<Dimension>,
    /// From when on: how long ago (90m, 24h, 7d), a date in UTC or an RFC 3339 time
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = time)]
    since: Timestamp,
    /// Until when, written in the same way [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
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
    /// Exact and complete, as the API answers it
    Json,
    /// The rows, exact, for spreadsheets
    Csv,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let client = self.connection.client()?;
        let by: Vec<_> = self.by.iter().map(|dimension| dimension.as_str()).collect();
        let target = target(
            "/v1/usage",
            &[
                ("by", Some(by.join(","))),
                ("since", Some(self.since.to_string())),
                ("until", self.until.map(|until| until.to_string())),
            ],
        );
        let (health, body) = converse(async {
            let health = health(&client).await?;
            Ok((health, client.get(&target).await.map_err(explain)?))
        })?;
        let report = || read::<Report>(&body);
        let text = match self.format {
            Format::Table => render::table(&report()?, &Names::of(&health)),
            Format::Json => format!("{}\n", String::from_utf8_lossy(&body)),
            Format::Csv => render::csv(&report()?)?,
        };
        std::io::stdout().write_all(text.as_bytes())?;
        Ok(Exit::Ok)
    }
}
