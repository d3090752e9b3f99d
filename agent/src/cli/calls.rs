//! `weir calls`: every call, one a line.
//!
//! ```text
//! $ weir calls --since 1h
//! TIME                  STATUS  STATE          IN      OUT      COST  LATENCY  MODEL      IDENTITY
//! 2026-11-23T11:58:02Z     200  complete    1,204       88   $0.0041   812 ms  gpt-5-mini unit/bot
//! ```
//!
//! Calls come in the order in which they ended. `--format json` has one object a line, with
//! everything that is known; with `--follow` it goes on until it is stopped.

use std::io::Write;

use weir_core::meter::{EdgeRecord, UsageRecord};
use weir_core::provider::CallState;
use weir_core::units::Timestamp;

use super::connection::{Connection, converse, explain, health, read};
use super::name::{Names, printable};
use super::output::{dollars, grouped};
use super::span::{target, time};
use crate::exit::Exit;

/// Show every call.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir calls --since 1h
  weir calls --follow
  weir calls --identity spiffe://weir.local/host/web-1/unit/bot.service --format json
  weir calls --since 7d --format json | jq -r 'select(.state == \"error\") | .error_type'")]
pub(super) struct Arguments {
    /// From when on: how long ago (90m, 24h, 7d), a date in UTC or an RFC 3339 time [default: 24h,
    /// or from now on with --follow]
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Until when, written in the same way [default: now]
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "follow")]
    until: Option<Timestamp>,
    /// Go on with calls as they end
    #[arg(long)]
    follow: bool,
    /// Only calls of this identity, written in full
    #[arg(long, value_name = "ID")]
    identity: Option<String>,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

/// How calls are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For reading
    Table,
    /// One object a line, as the API answers it
    Json,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let client = self.connection.client()?;
        let target = target(
            "/v1/calls",
            &[
                ("since", self.since.map(|since| since.to_string())),
                ("until", self.until.map(|until| until.to_string())),
                ("identity", self.identity),
                ("follow", self.follow.then(|| "true".to_owned())),
            ],
        );
        converse(async {
            let mut out = std::io::stdout().lock();
            let names = Names::of(&health(&client).await?);
            let mut lines = client.lines(&target).await.map_err(explain)?;
            if self.format == Format::Table {
                writeln!(out, "{}", header())?;
            }
            while let Some(line) = lines.next().await.map_err(explain)? {
                match self.format {
                    Format::Table => writeln!(out, "{}", row(&read(&line)?, &names))?,
                    Format::Json => {
                        out.write_all(&line)?;
                        out.write_all(b"\n")?;
                    }
                }
            }
            Ok(Exit::Ok)
        })
    }
}

/// The titles of the table.
pub(super) fn header() -> String {
    columns(["TIME", "STATUS", "STATE", "IN", "OUT", "COST", "LATENCY", "MODEL", "IDENTITY"])
}

/// A call as a line of the table.
pub(super) fn row(call: &UsageRecord, names: &Names) -> String {
    let cost = call.cost_usd.map_or_else(|| "?".to_owned(), |cost| dollars(&cost.to_string()));
    columns([
        &call.time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        &call.status.map_or_else(|| "-".to_owned(), |status| status.to_string()),
        state(call.state),
        &grouped(call.tokens.input_total()),
        &grouped(call.tokens.output_total()),
        &cost,
        &format!("{} ms", grouped(call.latency_ms)),
        &printable(call.model.as_deref().unwrap_or("-")),
        &printable(names.short(&call.identity.0)),
    ])
}

/// A step to another agent as a line of the same table: it has no tokens and no cost.
pub(super) fn step(edge: &EdgeRecord, names: &Names) -> String {
    let what = edge.tool.as_deref().unwrap_or(&edge.method);
    columns([
        &edge.time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        &edge.status.map_or_else(|| "-".to_owned(), |status| status.to_string()),
        edge.protocol.as_str(),
        "-",
        "-",
        "-",
        "-",
        &printable(what),
        &printable(names.short(&edge.identity.0)),
    ])
}

/// The widths are fixed since calls are shown as they come; identity is last since it is never cut.
fn columns(cells: [&str; 9]) -> String {
    let [time, status, state, input, output, cost, latency, model, identity] = cells;
    format!(
        "{time:<20}  {status:>6}  {state:<9}  {input:>9}  {output:>9}  {cost:>9}  {latency:>10}  \
         {model:<26}  {identity}"
    )
}

const fn state(state: CallState) -> &'static str {
    match state {
        CallState::Complete => "complete",
        CallState::Aborted => "aborted",
        CallState::Truncated => "truncated",
        CallState::Error => "error",
    }
}
