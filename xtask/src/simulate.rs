//! `cargo xtask simulate`: weeks of labelled traffic, and what the detectors find in it.
//!
//! Fixed seeds, whose table is kept in `docs/detectors.md`, and fresh ones, which are printed so that a failure
//! can be looked at again.

use std::fs;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use weir_simulate::incident::Strength;
use weir_simulate::table::markdown;
use weir_simulate::trial::{Outcome, Size, run as try_out};

use crate::workspace::Workspace;

/// Where the table is kept, between these lines.
const FILE: &str = "docs/detectors.md";
const BEGIN: &str = "<!-- simulated: begin -->\n";
const END: &str = "<!-- simulated: end -->";
/// The seeds of the table that is kept.
const FIXED: [u64; 2] = [1, 2];
const SIZE: Size = Size { days: 49, benign: 4 };

/// Weeks of labelled traffic in seconds: what the detectors find, and what they shouldn't. Fails unless everything
/// of clear strength is found in time and of whom it is, and at most one finding is false in 50 months of identities.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only look whether the table in docs/detectors.md is what comes of the fixed seeds.
    #[arg(long)]
    check: bool,
    /// How many fresh seeds are tried after the fixed ones.
    #[arg(long, default_value_t = 1)]
    fresh: u64,
    /// The first of the fresh seeds, to try again what was printed.
    #[arg(long)]
    seed: Option<u64>,
}

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    let fixed = outcome(&FIXED);
    let table = markdown(&fixed);
    println!("{table}");
    let file = workspace.root.join(FILE);
    let text = fs::read_to_string(&file).with_context(|| format!("{FILE} can't be read"))?;
    let (front, rest) = text.split_once(BEGIN).context("no place for the table")?;
    let (kept, back) = rest.split_once(END).context("no end of the table")?;
    if arguments.check {
        anyhow::ensure!(kept == table, "{FILE} has another table: run `cargo xtask simulate`");
    } else {
        fs::write(&file, format!("{front}{BEGIN}{table}{END}{back}"))?;
    }
    judge(&fixed)?;
    if arguments.check {
        return Ok(());
    }
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let first = arguments.seed.unwrap_or_else(now);
    let fresh: Vec<_> = (first..first.saturating_add(arguments.fresh)).collect();
    println!("fresh seeds: {fresh:?}");
    judge(&outcome(&fresh))
}

/// What comes of these seeds at every strength.
fn outcome(seeds: &[u64]) -> Outcome {
    let mut all = Outcome::default();
    for &seed in seeds {
        for (number, strength) in (0..).zip(Strength::ALL) {
            let begin = Instant::now();
            // No two worlds are alike.
            let outcome = try_out(seed.wrapping_mul(3).wrapping_add(number), SIZE, strength);
            let (lines, took) = (outcome.lines, begin.elapsed().as_secs_f64());
            eprintln!("    seed {seed}, {}: {lines} lines, {took:.1} s", strength.as_str());
            all.add(outcome);
        }
    }
    all
}

fn judge(outcome: &Outcome) -> anyhow::Result<()> {
    let faults = outcome.faults();
    faults.iter().for_each(|fault| println!("{fault}"));
    anyhow::ensure!(outcome.is_good(), "{} faults", faults.len());
    println!("{:.0} months of identities: good", outcome.identity_months);
    Ok(())
}
