//! `weir budget`: how much of each budget is used, how fast, and for how long it will last.
//!
//! ```text
//! $ weir budget
//! BUDGET      WHOM              WINDOW      LIMIT      USED       %  BURN   USED UP IN  ENDS IN  STATE
//! everything  -                 hour         $25.0000   $20.5000  82  1.5x  9 min       20 min   warned
//! teams       unit/bot.service  rolling-7d  1,000,000  1,200,000 120  0.0x  since 2 h   -        exceeded, blocked
//! ```
//!
//! BURN is how fast it is used up over the last tenth of the window's length: 1.0x uses up just the limit in
//! just the window. USED UP IN is when it will be, if it goes on like this, and the window doesn't end before.
//! A call whose cost is not known counts as nothing, and the last lines say how many there are.

use std::io::Write;

use comfy_table::Cell;
use weir_core::detect::Amount;
use weir_core::detect::Enforcement;
use weir_core::detect::budget::{BudgetReport, BudgetRow, BudgetState};
use weir_core::units::Timestamp;

use super::connection::{Connection, converse, explain, health, read};
use super::identities::Format;
use super::name::{Names, printable};
use super::output::{counted, dollars, grouped, table as blank_table};
use super::span::target;
use crate::exit::Exit;

/// Show how much of each budget is used, how fast, and for how long it will last.
///
/// For root and auditors: it tells what others use.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir budget
  weir budget everything
  weir budget --format csv
  weir budget --format json | jq '.rows[] | select(.state == \"exceeded\")'")]
pub(super) struct Arguments {
    /// Only the budget of this name
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let client = self.connection.client()?;
        let target = target("/v1/budgets", &[("name", self.name)]);
        let (health, body) = converse(async {
            let health = health(&client).await?;
            Ok((health, client.get(&target).await.map_err(explain)?))
        })?;
        let text = match self.format {
            Format::Table => table(&read(&body)?, &Names::of(&health)),
            Format::Json => format!("{}\n", String::from_utf8_lossy(&body)),
            Format::Csv => csv(&read(&body)?)?,
        };
        std::io::stdout().write_all(text.as_bytes())?;
        Ok(Exit::Ok)
    }
}

fn table(report: &BudgetReport, names: &Names) -> String {
    if report.names.is_empty() {
        return "No budgets: [[budget]] in the configuration makes one.\n".to_owned();
    }
    if report.rows.is_empty() {
        return format!("Nothing is used yet.\n{}", footer(report));
    }
    let mut table = blank_table(
        &[
            "BUDGET",
            "WHOM",
            "WINDOW",
            "LIMIT",
            "USED",
            "%",
            "BURN",
            "USED UP IN",
            "ENDS IN",
            "STATE",
        ],
        &["LIMIT", "USED", "%", "BURN"],
    );
    for row in &report.rows {
        let whom = row.whom.as_deref().map_or("-", |whom| names.short(whom));
        table.add_row([
            Cell::new(printable(&row.budget)),
            Cell::new(printable(whom)),
            Cell::new(row.window),
            Cell::new(amount(&row.limit)),
            Cell::new(amount(&row.used)),
            Cell::new(format!("{:.0}", row.used_ratio * 100.0)),
            Cell::new(format!("{:.1}x", row.burn_rate)),
            Cell::new(used_up(row, report.time)),
            Cell::new(row.until.map_or_else(|| "-".to_owned(), |end| between(report.time, end))),
            Cell::new(state(row)),
        ]);
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text + &footer(report)
}

/// What is not in the sums.
fn footer(report: &BudgetReport) -> String {
    let mut text = String::new();
    let unpriced = report.rows.iter().map(|row| row.unpriced_calls).max().unwrap_or(0);
    if unpriced > 0 {
        let calls = counted(unpriced, "call has", "calls have");
        text.push_str(&format!(
            "\nUp to {calls} no known cost in a budget, and count as nothing.\n"
        ));
    }
    if !report.current {
        text.push_str("\nThe usage log is still being read: not everything is counted yet.\n");
    }
    if report.left_out > 0 {
        let more = counted(report.left_out, "more row", "more rows");
        text.push_str(&format!("\nAnd {more}, of which less is used.\n"));
    }
    if report.forgotten > 0 {
        let lost = counted(report.forgotten, "account was", "accounts were");
        text.push_str(&format!(
            "\nFor want of room {lost} forgotten; what they used counts no more.\n"
        ));
    }
    text
}

fn csv(report: &BudgetReport) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([
        "budget",
        "per",
        "whom",
        "window",
        "unit",
        "limit",
        "used",
        "used_ratio",
        "burn_rate",
        "from",
        "until",
        "exhausted_at",
        "state",
        "enforce",
        "unpriced_calls",
    ])?;
    let time = |time: Option<Timestamp>| time.map_or_else(String::new, |time| time.to_string());
    for row in &report.rows {
        let ((unit, limit), (_, used)) = (exact(&row.limit), exact(&row.used));
        writer.write_record([
            printable(&row.budget),
            row.per.map_or("", |per| per.as_str()).to_owned(),
            printable(row.whom.as_deref().unwrap_or("")),
            row.window.to_string(),
            unit.to_owned(),
            limit,
            used,
            row.used_ratio.to_string(),
            row.burn_rate.to_string(),
            row.from.to_string(),
            time(row.until),
            time(row.exhausted_at),
            row.state.as_str().to_owned(),
            row.enforce.as_str().to_owned(),
            row.unpriced_calls.to_string(),
        ])?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// Its unit, and how much of it.
fn exact(amount: &Amount) -> (&'static str, String) {
    match amount {
        Amount::Usd(usd) => ("usd", usd.to_string()),
        Amount::Tokens(count) => ("tokens", count.to_string()),
        Amount::Calls(count) => ("calls", count.to_string()),
        Amount::Bytes(count) => ("bytes", count.to_string()),
        Amount::Seconds(count) => ("seconds", count.to_string()),
        Amount::Count(count) => ("count", count.to_string()),
        Amount::Thousandths(count) => ("thousandths", count.to_string()),
    }
}

fn amount(amount: &Amount) -> String {
    match amount {
        Amount::Usd(usd) => dollars(&usd.to_string()),
        Amount::Tokens(count) => counted(*count, "token", "tokens"),
        Amount::Calls(count) => counted(*count, "call", "calls"),
        Amount::Bytes(_) | Amount::Seconds(_) | Amount::Count(_) | Amount::Thousandths(_) => {
            let (unit, count) = exact(amount);
            format!("{count} {unit}")
        }
    }
}

fn used_up(row: &BudgetRow, now: Timestamp) -> String {
    match row.exhausted_at {
        Some(time) if row.state == BudgetState::Exceeded => format!("{} ago", between(time, now)),
        Some(time) => between(now, time),
        None => "-".to_owned(),
    }
}

fn state(row: &BudgetRow) -> String {
    let consequence = match (row.state, row.enforce) {
        (BudgetState::Exceeded, Enforcement::Block) => ", blocked",
        (BudgetState::Exceeded, Enforcement::DryRun) => ", would be blocked",
        (BudgetState::Exceeded, Enforcement::Off)
        | (BudgetState::Ok | BudgetState::Projected | BudgetState::Warned, _) => "",
    };
    format!("{}{consequence}", row.state.as_str())
}

/// In the largest unit of which there are two at least.
fn between(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.as_second().saturating_sub(from.as_second()).max(0).unsigned_abs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", grouped(seconds / 86_400)),
    }
}
