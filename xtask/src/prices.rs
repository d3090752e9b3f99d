//! `cargo xtask prices`: makes `packaging/prices.json` anew from the price data that two PyPI
//! packages carry, and shows what has changed.
//!
//! ```text
//! $ pip install genai-prices && pip install litellm
//! $ cargo xtask prices --check
//! changed gpt-4o-mini: standard Input 0.16 → 0.15
//! disagreement gpt-5.5-pro / gpt-5.5-pro: batch Input 15.00 / 15.00, 30.00 above 272000
//! left out gpt-realtime
//! 1 changes; 126 models
//! Error: the catalogue differs from its sources
//! ```
//!
//! `--compare` has both packages' own calculators price a grid of calls, too.

mod compare;
mod diff;
mod merge;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use weir_core::meter::Catalogue;
use weir_core::meter::catalogue::format::{PriceFile, SCHEMA, Source};
use weir_core::meter::catalogue::import;

const EXTRACT: &str = include_str!("prices/extract.py");

/// Refresh the price catalogue from PyPI's `genai-prices` and `litellm`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Change nothing; fail if the catalogue would change
    #[arg(long)]
    check: bool,
    /// Change nothing; compare our costs with those of the packages' own calculators
    #[arg(long, conflicts_with = "check")]
    compare: bool,
    /// With --compare: write some of what all agree on, for `catalogue/tests.rs`
    #[arg(long, value_name = "FILE", requires = "compare")]
    golden: Option<PathBuf>,
    /// Prices of genai-prices, as `xtask/src/prices/extract.py genai-prices` prints them
    #[arg(long, value_name = "FILE")]
    genai_prices: Option<PathBuf>,
    /// Prices of litellm, as `xtask/src/prices/extract.py litellm` prints them
    #[arg(long, value_name = "FILE")]
    litellm: Option<PathBuf>,
    /// The Python whose installed packages are read where no file is given
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// The catalogue
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/prices.json"))]
    catalogue: PathBuf,
}

/// What the extraction script prints.
#[derive(Deserialize)]
struct Extract {
    version: String,
    models: serde_json::Value,
}

/// Compares the catalogue with its sources and, unless only asked to check, writes it.
///
/// # Errors
/// If a source can't be read or understood, if the outcome isn't a valid catalogue, or if there is a
/// difference and `--check` was given. With `--compare`, if the calculators differ from us in what
/// nobody has explained.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.compare {
        return compare::run(&args.python, args.golden.as_deref());
    }
    let today = jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::now()).date();
    let genai = extract(merge::GENAI, args.genai_prices.as_deref(), &args.python)?;
    let litellm = extract(merge::LITELLM, args.litellm.as_deref(), &args.python)?;
    let sources = BTreeMap::from([
        (
            merge::GENAI.to_owned(),
            Source {
                version: genai.version,
                url: "https://github.com/pydantic/genai-prices".to_owned(),
                license: "MIT, Copyright (c) Pydantic Services Inc. 2025 to present".to_owned(),
            },
        ),
        (
            merge::LITELLM.to_owned(),
            Source {
                version: litellm.version,
                url: "https://github.com/BerriAI/litellm".to_owned(),
                license: "MIT, Copyright (c) 2023 Berri AI".to_owned(),
            },
        ),
    ]);
    let genai = import::genai_prices(genai.models, today).context(merge::GENAI)?;
    let litellm = import::litellm(litellm.models).context(merge::LITELLM)?;
    let skipped = [genai.skipped, litellm.skipped].concat();
    let (models, disagreements) = merge::merge(genai.models, litellm.models, today)?;
    let mut new = PriceFile { schema: SCHEMA, date: today, sources, models };

    let old: Option<PriceFile> = match fs::read_to_string(&args.catalogue) {
        // One of another schema says nothing that could be compared.
        Ok(text) => serde_json::from_str(&text).ok(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| args.catalogue.display().to_string()),
    };
    keep_dates(&mut new, old.as_ref());
    let changes = diff::changes(old.as_ref(), &new);
    for line in &changes {
        println!("{line}");
    }
    for line in &disagreements {
        println!("disagreement {line}");
    }
    for line in &skipped {
        println!("left out {line}");
    }
    println!("{} changes; {} models", changes.len(), new.models.len());
    let text = new.render()?;
    Catalogue::parse(&text).context("the new catalogue is wrong")?;
    if args.check {
        ensure!(changes.is_empty(), "the catalogue differs from its sources");
        return Ok(());
    }
    fs::write(&args.catalogue, text).with_context(|| args.catalogue.display().to_string())
}

fn extract(package: &str, file: Option<&Path>, python: &Path) -> Result<Extract> {
    let text = match file {
        Some(file) => fs::read(file).with_context(|| file.display().to_string())?,
        None => {
            let output = Command::new(python).args(["-c", EXTRACT, package]).output()?;
            if !output.status.success() {
                let reason = String::from_utf8_lossy(&output.stderr);
                bail!("{} can't read the package {package}:\n{reason}", python.display());
            }
            output.stdout
        }
    };
    serde_json::from_slice(&text).with_context(|| format!("what was extracted from {package}"))
}

/// Rows that stay as they are keep the date on which they were taken; if all do, so does the file.
fn keep_dates(new: &mut PriceFile, old: Option<&PriceFile>) {
    let Some(old) = old else { return };
    for row in &mut new.models {
        if let Some(before) = old
            .models
            .iter()
            .find(|before| (&before.provider, &before.id) == (&row.provider, &row.id))
        {
            let mut same = row.clone();
            same.taken = before.taken;
            if same == *before {
                *row = same;
            }
        }
    }
    if new.models == old.models && new.sources == old.sources {
        new.date = old.date;
    }
}
