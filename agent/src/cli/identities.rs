//! `weir identities`: who was ever seen to ask a model, and how that stands.
//!
//! ```text
//! $ weir identities
//! IDENTITY             KIND       STATE             OWNER  FIRST SEEN  LAST SEEN   CALLS  MODELS      COST
//! unit/support.service unit       active            ann    2026-06-01  2026-11-23  1,204  gpt-5    $0.4201
//! container/crawler    container  dormant, unowned  -      2026-08-11  2026-09-02     88  gpt-5    $1.2317
//! ```
//!
//! An identity stays here after the lines of its calls are gone. `--format json` is exact and has
//! everything that is known.

use std::io::Write;

use comfy_table::Cell;
use weir_core::units::Timestamp;

use super::connection::{Connection, converse, explain, health, read};
use super::name::{Names, printable};
use super::output::{counted, dollars, grouped, table as blank_table};
use super::span::target;
use crate::exit::Exit;
use crate::ledger::{IdentitiesReport, KnownIdentity, Standing, Usage, Values};

/// Show every identity that was ever seen to ask a model.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir identities
  weir identities --state unowned
  weir identities --state offboarded --format json | jq '.identities[].offboarded'")]
pub(super) struct Arguments {
    /// Only those that are so
    #[arg(long, value_enum)]
    state: Option<State>,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum State {
    /// Seen in the last 30 days
    Active,
    /// Not seen for longer
    Dormant,
    /// Said to make no calls any more, by `weir identity offboard`
    Offboarded,
    /// Not offboarded, and no rule of the configuration names an owner
    Unowned,
}

/// How an inventory is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
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
        let state = self.state.map(|state| {
            match state {
                State::Active => "active",
                State::Dormant => "dormant",
                State::Offboarded => "offboarded",
                State::Unowned => "unowned",
            }
            .to_owned()
        });
        let target = target("/v1/identities", &[("state", state)]);
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

fn table(report: &IdentitiesReport, names: &Names) -> String {
    if report.identities.is_empty() {
        return format!("No identities.\n{}", footer(report.begins, report.forgotten));
    }
    let mut table = blank_table(
        &[
            "IDENTITY",
            "KIND",
            "STATE",
            "OWNER",
            "FIRST SEEN",
            "LAST SEEN",
            "CALLS",
            "MODELS",
            "CREDENTIALS",
            "COST",
        ],
        &["CALLS", "CREDENTIALS", "COST"],
    );
    for identity in &report.identities {
        table.add_row([
            Cell::new(printable(names.short(&identity.identity.0))),
            Cell::new(identity.kind.as_str()),
            Cell::new(state(identity)),
            Cell::new(owner(identity)),
            Cell::new(day(identity.first_seen)),
            Cell::new(day(identity.last_seen)),
            Cell::new(grouped(identity.usage.calls)),
            Cell::new(listed(&identity.models)),
            Cell::new(count(&identity.credentials)),
            Cell::new(spent(&identity.usage)),
        ]);
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    format!("{text}\n{}", footer(report.begins, report.forgotten))
}

fn csv(report: &IdentitiesReport) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([
        "identity",
        "kind",
        "state",
        "unowned",
        "owner",
        "team",
        "cost_center",
        "environment",
        "first_seen",
        "last_seen",
        "hosts",
        "models",
        "providers",
        "credentials",
        "calls",
        "errors",
        "input_total",
        "output_total",
        "cost_usd",
        "unpriced_calls",
        "calls_after_offboarding",
    ])?;
    for identity in &report.identities {
        let assigned = identity.assigned.as_deref();
        let said = |text: Option<&String>| printable(text.map_or("", String::as_str));
        let after = identity.offboarded.as_ref().map(|offboarded| offboarded.calls.to_string());
        writer.write_record([
            printable(&identity.identity.0),
            identity.kind.as_str().to_owned(),
            standing(identity.state).to_owned(),
            identity.unowned.to_string(),
            said(assigned.and_then(|assigned| assigned.owner.as_ref())),
            said(assigned.and_then(|assigned| assigned.team.as_ref())),
            said(assigned.and_then(|assigned| assigned.cost_center.as_ref())),
            said(assigned.and_then(|assigned| assigned.environment.as_ref())),
            identity.first_seen.to_string(),
            identity.last_seen.to_string(),
            identity.hosts.join(" "),
            joined(&identity.models),
            joined(&identity.providers),
            joined(&identity.credentials),
            identity.usage.calls.to_string(),
            identity.usage.errors.to_string(),
            identity.usage.tokens.input_total().to_string(),
            identity.usage.tokens.output_total().to_string(),
            identity.usage.cost.to_string(),
            identity.usage.unpriced_calls.to_string(),
            after.unwrap_or_default(),
        ])?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// Its state in words; an identity that should be silent and isn't says so.
pub(super) fn state(identity: &KnownIdentity) -> String {
    let mut text = standing(identity.state).to_owned();
    match &identity.offboarded {
        Some(offboarded) if offboarded.calls > 0 => {
            text.push_str(&format!(", {} since", counted(offboarded.calls, "call", "calls")));
        }
        Some(_) => {}
        None if identity.unowned => text.push_str(", unowned"),
        None => {}
    }
    text
}

const fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Active => "active",
        Standing::Dormant => "dormant",
        Standing::Offboarded => "offboarded",
    }
}

/// Whoever answers for it.
pub(super) fn owner(identity: &KnownIdentity) -> String {
    let assigned = identity.assigned.as_deref();
    let owner = assigned.and_then(|assigned| assigned.owner.as_deref());
    printable(owner.unwrap_or("-"))
}

/// What it cost; "+?" if some of that is not known.
pub(super) fn spent(usage: &Usage) -> String {
    let all_unpriced = usage.calls > 0 && usage.unpriced_calls == usage.calls;
    let more = if usage.unpriced_calls > 0 { "+?" } else { "" };
    match usage.cost.0 {
        0 if all_unpriced => "?".to_owned(),
        _ => format!("{}{more}", dollars(&usage.cost.to_string())),
    }
}

/// The first of some values, and how many more there are.
pub(super) fn listed(values: &Values) -> String {
    const SHOWN: usize = 2;
    let mut text: Vec<String> =
        values.values.iter().take(SHOWN).map(|value| printable(value)).collect();
    let more = values.values.len().saturating_sub(SHOWN);
    if more > 0 || values.others > 0 {
        text.push(format!("+{more}{}", if values.others > 0 { "+" } else { "" }));
    }
    if text.is_empty() { "-".to_owned() } else { text.join(", ") }
}

/// How many values there are; "+" if there were more than there was room for.
pub(super) fn count(values: &Values) -> String {
    format!("{}{}", values.values.len(), if values.others > 0 { "+" } else { "" })
}

/// All values, with spaces between.
pub(super) fn joined(values: &Values) -> String {
    let values: Vec<_> = values.values.iter().map(|value| printable(value)).collect();
    values.join(" ")
}

/// The day of a time.
pub(super) fn day(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}

/// Since when things are remembered, and whether some were forgotten.
pub(super) fn footer(begins: Option<Timestamp>, forgotten: u64) -> String {
    let begins = begins.map(|begins| format!("Known since {}.\n", begins.strftime("%Y-%m-%d")));
    let mut text = begins.unwrap_or_default();
    if forgotten > 0 {
        let rows = counted(forgotten, "more was", "more were");
        text.push_str(&format!("{rows} forgotten for want of room.\n"));
    }
    text
}
