//! `weir prices rerate`: what calls would have cost at other prices.
//!
//! ```text
//! $ weir prices rerate --since 30d
//! PROVIDER   MODEL        CALLS     WAS  WOULD BE  CHANGE
//! openai     gpt-5.5        204  $4.2010   $3.6759  -0.525125
//! openai     our-model       12        ?   $0.0120  0.012
//! TOTAL                     216  $4.2010   $3.6879
//!
//! By prices 2026-11-26-1a2b3c4d+5e6f7a8b. The log stays as it is
//! ```
//!
//! Each call is priced again by its own tokens, tier, region and time. What its provider charged, and
//! what was free or a repeat, stays as it is.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Context;
use comfy_table::Cell;
use serde::Serialize;
use weir_core::meter::{Catalogue, CostSource, UsageRecord, price_again};
use weir_core::units::{PicoUsd, Timestamp};

use super::super::connection::{Connection, converse, explain, read};
use super::super::name::printable;
use super::super::output::{dollars, grouped, table as blank_table};
use super::super::span::{target, time};
use super::Format;
use crate::exit::Exit;
use crate::prices::{Kept, OwnPrices};

/// Show what calls would have cost at other prices; nothing is changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir prices rerate --since 30d
  weir prices rerate --since 2026-10-01 --until 2026-11-01 --version 2026-10-01-1a2b3c4d
  weir prices rerate --since 7d --format json | jq '.rows[] | select(.unpriced_before > 0)'")]
pub(super) struct Arguments {
    /// From when on: how long ago (90m, 24h, 7d), a date in UTC or an RFC 3339 time
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = time)]
    since: Timestamp,
    /// Until when, written in the same way [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    /// Prices that were kept, by the `price_version` of a call [default: the present ones]
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

/// What a model's calls cost.
#[derive(Debug, Default, Serialize)]
struct Sums {
    calls: u64,
    cost_usd_before: PicoUsd,
    cost_usd_after: PicoUsd,
    unpriced_before: u64,
    unpriced_after: u64,
}

#[derive(Serialize)]
struct Row<'a> {
    provider: &'a str,
    model: &'a str,
    #[serde(flatten)]
    sums: &'a Sums,
}

#[derive(Serialize)]
struct Report<'a> {
    version: &'a str,
    rows: Vec<Row<'a>>,
}

/// By provider and model.
type Ledger = BTreeMap<(String, String), Sums>;

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let catalogue = self.catalogue()?;
        let client = self.connection.client()?;
        let until = self.until.map(|until| until.to_string());
        let target =
            target("/v1/calls", &[("since", Some(self.since.to_string())), ("until", until)]);
        let sums = converse(async {
            let mut sums = Ledger::new();
            let mut lines = client.lines(&target).await.map_err(explain)?;
            while let Some(line) = lines.next().await.map_err(explain)? {
                add(&mut sums, &read(&line)?, &catalogue);
            }
            Ok(sums)
        })?;
        let rows = sums.iter().map(|((provider, model), sums)| Row { provider, model, sums });
        let rows: Vec<_> = rows.collect();
        let text = match self.format {
            Format::Table => table(&rows, catalogue.version()),
            Format::Json => {
                let report = Report { version: catalogue.version(), rows };
                format!("{}\n", serde_json::to_string(&report)?)
            }
            Format::Csv => csv(&rows)?,
        };
        std::io::stdout().write_all(text.as_bytes())?;
        Ok(Exit::Ok)
    }

    fn catalogue(&self) -> anyhow::Result<Catalogue> {
        let config = self.connection.config()?;
        match &self.version {
            Some(version) => {
                let kept = Kept::read(&config.state_dir, version);
                Ok(kept.context("these prices aren't kept here")?.catalogue()?)
            }
            None => {
                let own = OwnPrices::read(&config.prices.dir).context(Exit::ConfigInvalid)?;
                own.catalogue().context(Exit::ConfigInvalid)
            }
        }
    }
}

fn add(sums: &mut Ledger, record: &UsageRecord, catalogue: &Catalogue) {
    let after = match record.cost_source {
        CostSource::Table
        | CostSource::Override
        | CostSource::Included
        | CostSource::Partial
        | CostSource::Unpriced => price_again(record, catalogue).map(|quote| quote.cost),
        CostSource::Provider | CostSource::Repeat | CostSource::Free | CostSource::Unknown => {
            record.cost_usd
        }
    };
    let model = record.model.clone().unwrap_or_default();
    let sums = sums.entry((record.provider.clone(), model)).or_default();
    sums.calls += u64::from(record.duplicate_of.is_none() && record.settles.is_none());
    let mut count = |cost: Option<PicoUsd>, sum: fn(&mut Sums) -> (&mut PicoUsd, &mut u64)| {
        let (total, unpriced) = sum(sums);
        match cost {
            Some(cost) => *total = total.saturating_add(cost),
            None => *unpriced += 1,
        }
    };
    count(record.cost_usd, |sums| (&mut sums.cost_usd_before, &mut sums.unpriced_before));
    count(after, |sums| (&mut sums.cost_usd_after, &mut sums.unpriced_after));
}

/// An amount, with "+?" if some of it is not known.
fn amount(cost: PicoUsd, unpriced: u64) -> String {
    match (cost, unpriced) {
        (PicoUsd::ZERO, 1..) => "?".to_owned(),
        (cost, 0) => dollars(&cost.to_string()),
        (cost, _) => format!("{}+?", dollars(&cost.to_string())),
    }
}

fn table(rows: &[Row<'_>], version: &str) -> String {
    if rows.is_empty() {
        return "No calls.\n".to_owned();
    }
    let titles = ["PROVIDER", "MODEL", "CALLS", "WAS", "WOULD BE", "CHANGE"];
    let mut table = blank_table(&titles, &["CALLS", "WAS", "WOULD BE", "CHANGE"]);
    let mut total = Sums::default();
    for Row { provider, model, sums } in rows {
        table.add_row(line(&printable(provider), &printable(model), sums));
        total.calls += sums.calls;
        total.cost_usd_before = total.cost_usd_before.saturating_add(sums.cost_usd_before);
        total.cost_usd_after = total.cost_usd_after.saturating_add(sums.cost_usd_after);
        total.unpriced_before += sums.unpriced_before;
        total.unpriced_after += sums.unpriced_after;
    }
    table.add_row(line("TOTAL", "", &total));
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    format!("{text}\nBy prices {version}. The log stays as it is\n")
}

fn line(provider: &str, model: &str, sums: &Sums) -> [Cell; 6] {
    let change = PicoUsd(sums.cost_usd_after.0.saturating_sub(sums.cost_usd_before.0));
    [
        Cell::new(provider),
        Cell::new(model),
        Cell::new(grouped(sums.calls)),
        Cell::new(amount(sums.cost_usd_before, sums.unpriced_before)),
        Cell::new(amount(sums.cost_usd_after, sums.unpriced_after)),
        Cell::new(change.to_string()),
    ]
}

fn csv(rows: &[Row<'_>]) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let titles = ["provider", "model", "calls", "cost_usd_before", "cost_usd_after"];
    writer.write_record(titles.iter().chain(&["unpriced_before", "unpriced_after"]))?;
    for Row { provider, model, sums } in rows {
        writer.write_record([
            printable(provider),
            printable(model),
            sums.calls.to_string(),
            sums.cost_usd_before.to_string(),
            sums.cost_usd_after.to_string(),
            sums.unpriced_before.to_string(),
            sums.unpriced_after.to_string(),
        ])?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}
