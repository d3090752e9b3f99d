//! `weir prices import`: makes a file for `prices.d` of what others publish.
//!
//! ```text
//! $ weir prices import --format litellm model_prices_and_context_window.json > 50-litellm.json
//! weir: 2,359 models; 2,731 things were left out
//! ```
//!
//! Nothing is fetched. CSV has a line of titles: `provider`, `model`, and any price of the format, such
//! as `input`, `cache_read` and `output`, in dollars for a million tokens.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use jiff::civil::Date;
use weir_core::meter::catalogue::format::{ModelRow, PriceFile, SCHEMA, Source};
use weir_core::meter::catalogue::import::{self, Imported};
use weir_core::meter::catalogue::own;
use weir_core::units::Timestamp;

use super::super::output::{counted, grouped};
use crate::exit::Exit;
use crate::prices::bounded;

/// So many bytes a file that is imported may have.
const FILE_MAX: u64 = 64 << 20;

/// Make a file of prices of what others publish.
///
/// The file is printed; what was left out is counted, and named with --skipped. Put it into the folder of
/// this host's own prices, and its rows come before those of the catalogue.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir prices import --format litellm model_prices_and_context_window.json > 50-litellm.json
  weir prices import --format genai-prices --provider groq data.json > 50-groq.json
  weir prices import --format csv ours.csv > 50-ours.json")]
pub(super) struct Arguments {
    /// What the file is
    #[arg(long, value_enum)]
    format: Kind,
    /// The file, of at most 64 MiB
    file: PathBuf,
    /// Only what this one sells
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Print what was left out to standard error
    #[arg(long)]
    skipped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// LiteLLM's model_prices_and_context_window.json
    Litellm,
    /// The data.json of genai-prices
    GenaiPrices,
    /// A table with titles
    Csv,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let name = self.file.display();
        let text = bounded(&self.file, FILE_MAX).with_context(|| format!("can't read {name}"))?;
        let today = jiff::tz::Offset::UTC.to_datetime(Timestamp::now()).date();
        let (mut rows, skipped) = match self.format {
            Kind::Litellm => {
                let imported = import::litellm(serde_json::from_str(&text)?)?;
                rows(imported, "litellm", today)
            }
            Kind::GenaiPrices => {
                let imported = import::genai_prices(serde_json::from_str(&text)?, today)?;
                rows(imported, "genai-prices", today)
            }
            Kind::Csv => (table(&text, today)?, Vec::new()),
        };
        rows.retain(|row| self.provider.as_ref().is_none_or(|only| *only == row.provider));
        ensure!(!rows.is_empty(), "{name} has no prices");
        rows.sort_by(|a, b| (&a.provider, &a.id).cmp(&(&b.provider, &b.id)));
        let models = grouped(rows.len() as u64);
        let file = PriceFile {
            schema: SCHEMA,
            date: today,
            sources: BTreeMap::from([source(self.format, &self.file)]),
            models: rows,
        };
        let text = file.render()?;
        // What can't be read again must not be written.
        own::read(serde_json::from_str(&text)?).context("these prices can't be used")?;
        std::io::stdout().write_all(text.as_bytes())?;
        if self.skipped {
            for line in &skipped {
                eprintln!("left out {line}");
            }
        }
        let left = counted(skipped.len() as u64, "thing was", "things were");
        eprintln!("weir: {models} models; {left} left out");
        Ok(Exit::Ok)
    }
}

fn rows(imported: Imported, source: &str, today: Date) -> (Vec<ModelRow>, Vec<String>) {
    let Imported { models, mut skipped } = imported;
    let mut rows: Vec<ModelRow> = Vec::new();
    let mut taken = std::collections::BTreeSet::new();
    for model in models {
        let (provider, id) = (model.provider.clone(), model.id.clone());
        let Some(mut row) = model.into_row(source, None, today) else {
            skipped.push(format!("{provider} {id}"));
            continue;
        };
        // Of two that answer to one name, the first has it.
        row.aliases.retain(|alias| taken.insert((provider.clone(), alias.clone())));
        if taken.insert((provider, row.id.clone())) {
            rows.push(row);
        } else {
            skipped.push(format!("{} {} again", row.provider, row.id));
        }
    }
    (rows, skipped)
}

fn source(kind: Kind, file: &Path) -> (String, Source) {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (key, url, license) = match kind {
        Kind::Litellm => {
            ("litellm", "https://github.com/BerriAI/litellm", "MIT, Copyright (c) 2023 Berri AI")
        }
        Kind::GenaiPrices => (
            "genai-prices",
            "https://github.com/pydantic/genai-prices",
            "MIT, Copyright (c) Pydantic Services Inc. 2025 to present",
        ),
        Kind::Csv => ("csv", "", "own"),
    };
    let (url, license) = (url.to_owned(), license.to_owned());
    (key.to_owned(), Source { version: name, url, license })
}

/// Reads lines of `provider`, `model` and prices.
fn table(text: &str, today: Date) -> anyhow::Result<Vec<ModelRow>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let titles = reader.headers()?.clone();
    let (mut rows, mut wrong) = (Vec::new(), Vec::new());
    for (line, record) in (2..).zip(reader.records()) {
        let read = record.map_err(anyhow::Error::from).and_then(|r| row(&titles, &r, today));
        match read {
            Ok(row) => rows.push(row),
            Err(error) => wrong.push(format!("\n  line {line}: {error:#}")),
        }
    }
    if !wrong.is_empty() {
        bail!("the table is wrong{}", wrong.concat());
    }
    Ok(rows)
}

fn row(
    titles: &csv::StringRecord,
    record: &csv::StringRecord,
    today: Date,
) -> anyhow::Result<ModelRow> {
    let (mut provider, mut model, mut rates) = (None, None, serde_json::Map::new());
    for (title, value) in titles.iter().zip(record).filter(|(_, value)| !value.is_empty()) {
        match title {
            "provider" => provider = Some(value.to_owned()),
            "model" => model = Some(value.to_ascii_lowercase()),
            price => drop(rates.insert(price.to_owned(), value.into())),
        }
    }
    Ok(ModelRow {
        provider: provider.context("no provider")?,
        id: model.context("no model")?,
        aliases: Vec::new(),
        source: "csv".to_owned(),
        supplement: None,
        taken: today,
        standard: vec![serde_json::from_value(rates.into())?],
        tiers: BTreeMap::new(),
        off_peak: None,
        regions: BTreeMap::from([(
            "*".to_owned(),
            weir_core::meter::catalogue::format::Factor::ONE,
        )]),
    })
}
