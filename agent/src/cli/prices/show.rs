//! `weir prices show`: what models cost here.
//!
//! ```text
//! $ weir prices show gpt-5.5
//! PROVIDER  MODEL    TERMS     ABOVE    INPUT  CACHED  OUTPUT  SOURCE        TAKEN
//! openai    gpt-5.5  standard        0   5.00    0.50   30.00  genai-prices  2026-11-26
//! openai    gpt-5.5  standard  272,000  10.00    1.00   45.00  genai-prices  2026-11-26
//! …
//!
//! Dollars for a million tokens, by prices 2026-11-26-1a2b3c4d
//! ```
//!
//! `--format json` has everything: other kinds of tokens, pieces, regions, hours.

use std::io::Write;
use std::path::PathBuf;

use comfy_table::Cell;
use weir_core::meter::Catalogue;
use weir_core::meter::catalogue::format::{ModelRow, Rates};
use weir_core::meter::catalogue::own::Own;
use weir_core::units::PicoUsd;

use super::super::name::printable;
use super::super::output::{counted, grouped, table as blank_table};
use super::{Format, configured};
use crate::exit::Exit;

/// Show what models cost.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir prices show gpt-5.5 claude-opus-4-5
  weir prices show --provider aws.bedrock --format csv
  weir prices show gpt-5.5 --format json | jq '.models[].regions'")]
pub(super) struct Arguments {
    /// Only models that answer to one of these names
    #[arg(value_name = "MODEL")]
    models: Vec<String>,
    /// Only what this one sells
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// The configuration that names the folder of this host's own prices [default:
    /// /etc/weir/weir.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// `--format json`.
#[derive(serde::Serialize)]
struct Shown<'a> {
    version: &'a str,
    own: &'a [Own],
    own_models: &'a [ModelRow],
    models: Vec<&'a ModelRow>,
}

/// One line: a row's prices under some terms, from some length of input on.
struct Line<'a> {
    row: &'a ModelRow,
    terms: &'a str,
    rates: &'a Rates,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let catalogue = configured(self.config.as_ref())?.catalogue()?;
        let rows = self.rows(&catalogue);
        let text = match self.format {
            Format::Table => table(&catalogue, &rows),
            Format::Json => {
                let shown = Shown {
                    version: catalogue.version(),
                    own: catalogue.own(),
                    own_models: catalogue.own_rows(),
                    models: rows,
                };
                format!("{}\n", serde_json::to_string(&shown)?)
            }
            Format::Csv => csv(&rows)?,
        };
        std::io::stdout().write_all(text.as_bytes())?;
        Ok(Exit::Ok)
    }

    fn rows<'a>(&self, catalogue: &'a Catalogue) -> Vec<&'a ModelRow> {
        let is_sold = |row: &&ModelRow| {
            self.provider.as_ref().is_none_or(|provider| *provider == row.provider)
        };
        let is_meant = |row: &&ModelRow| {
            self.models.is_empty()
                || self.models.iter().any(|model| {
                    let found = catalogue.find(&row.provider, model, None);
                    found.is_some_and(|found| std::ptr::eq(found, *row))
                })
        };
        catalogue.rows().iter().filter(is_sold).filter(is_meant).collect()
    }
}

fn lines(row: &ModelRow) -> impl Iterator<Item = Line<'_>> {
    let low = row.off_peak.iter().map(|low| ("off_peak", &low.rates));
    let tiers = row.tiers.iter().map(|(tier, rates)| (tier.as_str(), rates));
    let all = std::iter::once(("standard", &row.standard)).chain(low).chain(tiers);
    all.flat_map(move |(terms, rates)| rates.iter().map(move |rates| Line { row, terms, rates }))
}

fn table(catalogue: &Catalogue, rows: &[&ModelRow]) -> String {
    let mut text = String::new();
    if rows.is_empty() {
        text.push_str("No prices.\n");
    } else {
        let numbers = ["ABOVE", "INPUT", "CACHED", "OUTPUT"];
        let titles =
            ["PROVIDER", "MODEL", "TERMS", "ABOVE", "INPUT", "CACHED", "OUTPUT", "SOURCE", "TAKEN"];
        let mut table = blank_table(&titles, &numbers);
        for Line { row, terms, rates } in rows.iter().flat_map(|row| lines(row)) {
            table.add_row([
                Cell::new(printable(&row.provider)),
                Cell::new(printable(&row.id)),
                Cell::new(printable(terms)),
                Cell::new(grouped(rates.above)),
                Cell::new(said(rates.input, "-")),
                Cell::new(said(rates.cache_read, "-")),
                Cell::new(said(rates.output, "-")),
                Cell::new(printable(&row.source)),
                Cell::new(row.taken.to_string()),
            ]);
        }
        for line in table.lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    let version = catalogue.version();
    text.push_str(&format!("\nDollars for a million tokens, by prices {version}\n"));
    let own = (catalogue.own().len() + catalogue.own_rows().len()) as u64;
    if own > 0 {
        let own = counted(own, "entry", "entries");
        text.push_str(&format!("{own} of this host's own come before these\n"));
    }
    text
}

fn csv(rows: &[&ModelRow]) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([
        "provider",
        "model",
        "terms",
        "above",
        "input",
        "cache_read",
        "cache_write",
        "cache_write_1h",
        "cache_write_12h",
        "output",
        "reasoning",
        "input_audio",
        "output_audio",
        "output_image",
        "request",
        "source",
        "taken",
    ])?;
    for Line { row, terms, rates } in rows.iter().flat_map(|row| lines(row)) {
        writer.write_record([
            printable(&row.provider),
            printable(&row.id),
            printable(terms),
            rates.above.to_string(),
            said(rates.input, ""),
            said(rates.cache_read, ""),
            said(rates.cache_write, ""),
            said(rates.cache_write_1h, ""),
            said(rates.cache_write_12h, ""),
            said(rates.output, ""),
            said(rates.reasoning, ""),
            said(rates.input_audio, ""),
            said(rates.output_audio, ""),
            said(rates.output_image, ""),
            said(rates.request, ""),
            printable(&row.source),
            row.taken.to_string(),
        ])?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

fn said(price: Option<PicoUsd>, none: &str) -> String {
    price.map_or_else(|| none.to_owned(), |price| price.to_string())
}
