//! Compares our costs with those of genai-prices' and LiteLLM's own calculators, over a grid of all
//! models, their tiers and regions, and usages around every step of a price.
//!
//! A difference must be one of those that `differences.toml` explains, and each of these must occur.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use weir_core::meter::Catalogue;
use weir_core::meter::catalogue::Sale;
use weir_core::meter::catalogue::format::ModelRow;
use weir_core::provider::PriceContext;
use weir_core::units::{Counts, PicoUsd, Timestamp, Tokens};

const CALCULATE: &str = include_str!("compare.py");
const DIFFERENCES: &str = include_str!("differences.toml");
const CALCULATORS: [&str; 2] = ["genai-prices", "litellm"];

/// A call that all three are asked the price of.
#[derive(Clone, Debug, Serialize)]
struct Case {
    provider: String,
    model: String,
    tier: Option<String>,
    region: Option<String>,
    at: String,
    /// All input, cached or not.
    input: u64,
    cache_read: u64,
    cache_write: u64,
    cache_write_1h: u64,
    output: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Differences {
    difference: Vec<Difference>,
}

/// A difference that is known, and why it is there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Difference {
    calculator: String,
    provider: String,
    /// A `*` at the end stands for any end; absent, any model.
    model: Option<String>,
    /// Absent: any.
    tier: Option<String>,
    why: String,
}

/// Prints how often each calculator agrees and every difference, by its explanation. Writes some of what
/// they agree on to `golden`, for a unit test.
///
/// # Errors
/// If the calculators can't be run, a difference has no explanation, or an explanation no difference.
pub(super) fn run(python: &Path, golden: Option<&Path>) -> Result<()> {
    let catalogue = Catalogue::builtin()?;
    let known: Differences = toml::from_str(DIFFERENCES).context("differences.toml")?;
    let cases = grid(&catalogue);
    let answers = calculate(python, &cases)?;
    ensure!(answers.len() == cases.len(), "the calculators have lost cases");
    let mut occurred: Vec<BTreeMap<String, usize>> =
        known.difference.iter().map(|_| BTreeMap::new()).collect();
    let (mut agreed, mut unexplained) = ([0_usize; 2], 0_usize);
    let mut sample = Sample::default();
    for (case, answers) in cases.iter().zip(&answers) {
        let ours = cost(&catalogue, case);
        for (at, theirs) in answers.iter().enumerate() {
            let Some(theirs) = theirs else { continue };
            if agrees(ours, theirs) {
                agreed[at] += 1;
                sample.offer(case, ours, CALCULATORS[at]);
                continue;
            }
            let place =
                known.difference.iter().position(|known| known.explains(CALCULATORS[at], case));
            match place {
                Some(place) => *occurred[place].entry(name(case)).or_default() += 1,
                None => {
                    unexplained += 1;
                    let ours = ours.map_or_else(|| "none".to_owned(), |cost| cost.to_string());
                    println!(
                        "unexplained {}: ours {ours}, theirs {theirs}: {case:?}",
                        CALCULATORS[at]
                    );
                }
            }
        }
    }
    for (known, models) in known.difference.iter().zip(&occurred) {
        println!("difference {} {}: {}", known.calculator, known.provider, known.why);
        for (model, count) in models {
            println!("    {model}: {count} cases");
        }
        ensure!(!models.is_empty(), "a difference doesn't occur any more: {known:?}");
    }
    for (calculator, agreed) in CALCULATORS.iter().zip(agreed) {
        println!("{calculator} agrees on {agreed} cases");
    }
    println!("{} cases; {unexplained} unexplained differences", cases.len());
    ensure!(unexplained == 0, "there are differences without an explanation");
    golden.map_or(Ok(()), |path| sample.write(path))
}

/// A few cases of each provider, tier and calculator.
#[derive(Default)]
struct Sample<'a> {
    /// By provider, tier, region and calculator.
    taken: BTreeMap<[&'a str; 4], usize>,
    cases: Vec<Golden<'a>>,
}

#[derive(Serialize)]
struct Golden<'a> {
    #[serde(flatten)]
    case: &'a Case,
    calculator: &'static str,
    cost_usd: PicoUsd,
}

impl<'a> Sample<'a> {
    fn offer(&mut self, case: &'a Case, cost: Option<PicoUsd>, calculator: &'static str) {
        const EACH: usize = 4;
        let Some(cost_usd) = cost else { return };
        let region = case.region.as_deref().filter(|_| case.provider != "aws.bedrock");
        let (tier, region) = (case.tier.as_deref().unwrap_or(""), region.unwrap_or(""));
        let taken = self.taken.entry([&case.provider, tier, region, calculator]).or_default();
        *taken += 1;
        if *taken <= EACH {
            self.cases.push(Golden { case, calculator, cost_usd });
        }
    }

    /// One case a line.
    fn write(&self, path: &Path) -> Result<()> {
        let lines = self.cases.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
        let text = format!("[\n{}\n]\n", lines.join(",\n"));
        std::fs::write(path, text).with_context(|| path.display().to_string())
    }
}

impl Difference {
    fn explains(&self, calculator: &str, case: &Case) -> bool {
        let fits = |pattern: &String| match pattern.strip_suffix('*') {
            Some(start) => case.model.starts_with(start),
            None => case.model == *pattern,
        };
        let tier = |tier: &String| case.tier.as_deref().unwrap_or("standard") == tier;
        self.calculator == calculator
            && self.provider == case.provider
            && self.model.as_ref().is_none_or(fits)
            && self.tier.as_ref().is_none_or(tier)
    }
}

fn name(case: &Case) -> String {
    format!("{} {}", case.model, case.tier.as_deref().unwrap_or("standard"))
}

/// Whether a calculator says the same. LiteLLM's sums of `double`s are exact to about 15 digits.
fn agrees(ours: Option<PicoUsd>, theirs: &str) -> bool {
    let (whole, decimals) = theirs.split_once('.').unwrap_or((theirs, ""));
    let kept: String = decimals.chars().take(12).collect();
    let Ok(PicoUsd(theirs)) = format!("{whole}.{kept}").parse() else { return false };
    let up = decimals.as_bytes().get(12).is_some_and(|digit| *digit >= b'5');
    let theirs = theirs + i128::from(up);
    ours.is_some_and(|ours| (ours.0 - theirs).abs() <= theirs / 1_000_000_000_000_000)
}

fn cost(catalogue: &Catalogue, case: &Case) -> Option<PicoUsd> {
    let context = PriceContext {
        service_tier: case.tier.clone().filter(|tier| tier != "batch"),
        batch: case.tier.as_deref() == Some("batch"),
        region: case.region.clone(),
        ..PriceContext::default()
    };
    let at: Timestamp = case.at.parse().ok()?;
    let (provider, model) = (case.provider.as_str(), case.model.as_str());
    let sale = Sale { provider, host: None, model, context: &context, at };
    let tokens = Tokens {
        input_uncached: case.input - case.cache_read - case.cache_write - case.cache_write_1h,
        cache_read: case.cache_read,
        cache_write_5m: case.cache_write,
        cache_write_1h: case.cache_write_1h,
        output_visible: case.output,
        ..Tokens::default()
    };
    catalogue.quote(&sale, &tokens, &Counts::default()).map(|quote| quote.cost)
}

/// Every model that is sold by the token, at each of its tiers and in each kind of region.
fn grid(catalogue: &Catalogue) -> Vec<Case> {
    let by_token = |row: &&ModelRow| row.standard.iter().all(|rates| rates.input.is_some());
    let mut cases = Vec::new();
    for row in catalogue.rows().iter().filter(by_token) {
        let tiers = row.tiers.keys().map(|tier| Some(tier.clone()));
        for tier in std::iter::once(None).chain(tiers) {
            cases.extend(usages(row, tier, region(row)));
        }
        if matches!(row.provider.as_str(), "openai" | "anthropic" | "gcp.vertex_ai") {
            for region in row.regions.keys() {
                let region = if region == "*" { "us-east5" } else { region };
                cases.extend(usages(row, None, Some(region.to_owned())));
            }
        }
        if row.off_peak.is_some() {
            for case in usages(row, None, None) {
                cases.push(Case { at: "2026-11-26T02:00:00+00:00".to_owned(), ..case });
            }
        }
    }
    cases
}

/// Where a row that is sold in some regions only is sold at its own price.
fn region(row: &ModelRow) -> Option<String> {
    let amazon = row.provider == "aws.bedrock";
    row.id.split_once('/').filter(|_| amazon).map(|(region, _)| region.to_owned())
}

fn usages(row: &ModelRow, tier: Option<String>, region: Option<String>) -> Vec<Case> {
    let rates = tier.as_ref().and_then(|tier| row.tiers.get(tier)).unwrap_or(&row.standard);
    let has =
        |price: fn(&weir_core::meter::catalogue::format::Rates) -> bool| rates.iter().all(price);
    let output = u64::from(has(|rates| rates.output.is_some()));
    let case = |input, cache_read, cache_write, cache_write_1h| Case {
        provider: row.provider.clone(),
        model: row.id.clone(),
        tier: tier.clone(),
        region: region.clone(),
        at: "2026-11-26T12:00:00+00:00".to_owned(),
        input,
        cache_read,
        cache_write,
        cache_write_1h,
        output: output * (input / 3 + 7),
    };
    let mut cases = vec![case(1_000, 0, 0, 0), case(12_307, 0, 0, 0)];
    if has(|rates| rates.cache_read.is_some()) {
        cases.push(case(12_307, 4_001, 0, 0));
    }
    if has(|rates| rates.cache_write.is_some()) {
        cases.push(case(9_999, 1_000, 3_333, 0));
    }
    if has(|rates| rates.cache_write_1h.is_some()) {
        cases.push(case(9_999, 1_000, 3_333, 2_222));
    }
    for step in rates.iter().map(|rates| rates.above).filter(|above| *above > 0) {
        cases.extend([case(step, 0, 0, 0), case(step + 1, 0, 0, 0)]);
        if has(|rates| rates.cache_read.is_some()) {
            cases.push(case(step + 1, step, 0, 0));
        }
    }
    cases
}

fn calculate(python: &Path, cases: &[Case]) -> Result<Vec<[Option<String>; 2]>> {
    let mut child = Command::new(python)
        .args(["-c", CALCULATE])
        // LiteLLM would fetch its prices anew.
        .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} can't be run", python.display()))?;
    let mut input = child.stdin.take().context("no standard input")?;
    input.write_all(&serde_json::to_vec(cases)?)?;
    drop(input);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "the calculators have failed");
    serde_json::from_slice(&output.stdout).context("what the calculators said")
}
