//! `cargo xtask fuzz`: runs the fuzz targets of the core, each for a while, and says how much of it
//! they have reached.
//!
//! Everything that comes of it is below `target/fuzz`: `corpus/TARGET` is what a target goes on with
//! the next time, `artifacts/TARGET` what made it fail, `TARGET.log` what libFuzzer said.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use clap::Args;

use crate::workspace::{Workspace, output, step};

const CARGO_FUZZ: &str = "0.13.2";
/// Longest input that is tried, in bytes: a head and the beginning of a body have room in it.
const MAX_LENGTH: &str = "16384";
/// How long one input may take, in seconds.
const TIMEOUT: &str = "10";

/// Run the fuzz targets of the core, all of them or one, and print how often each was run and how
/// much of the code it has reached. Begins with the transcripts of tests/transcripts, and goes on
/// from where it was the last time.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The target; all of them one after the other if it is missing.
    target: Option<String>,
    /// How long each target runs. Fractions are allowed.
    #[arg(long, value_name = "N", default_value_t = 10.0)]
    minutes: f64,
    /// Watch every access to memory (AddressSanitizer). Slower, and the core has no unsafe code.
    #[arg(long)]
    address: bool,
}

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    install(workspace)?;
    let fuzz = Fuzz { workspace, folder: workspace.root.join("target/fuzz"), arguments };
    let targets = output(&mut fuzz.cargo_fuzz("list"))?;
    let targets: Vec<&str> = targets.lines().filter(|name| fuzz.is_wanted(name)).collect();
    anyhow::ensure!(!targets.is_empty(), "there is no such target: agent/core/fuzz/Cargo.toml");
    fuzz.seed()?;
    let mut reports = Vec::new();
    let mut failed = Vec::new();
    for target in targets {
        let result = fuzz.fuzz(target);
        let log = fs::read_to_string(fuzz.log(target)).unwrap_or_default();
        reports.push((target, Report::of(&log)));
        if let Err(error) = result {
            eprintln!("{}", tail(&log));
            failed.push(format!("{target}: {error}"));
        }
    }
    println!("{:<16} {:>12} {:>10} {:>10}", "target", "executions", "edges", "features");
    for (target, Report { executions, edges, features }) in reports {
        println!("{target:<16} {executions:>12} {edges:>10} {features:>10}");
    }
    anyhow::ensure!(failed.is_empty(), "found something:\n  {}", failed.join("\n  "));
    Ok(())
}

fn install(workspace: &Workspace) -> anyhow::Result<()> {
    let version = output(Command::new(program(workspace)).arg("--version")).unwrap_or_default();
    if version.trim().ends_with(CARGO_FUZZ) {
        return Ok(());
    }
    let mut install = workspace.cargo(["install", "cargo-fuzz", "--locked", "--force"]);
    install.args(["--version", CARGO_FUZZ, "--root"]).arg(&workspace.tools);
    step(&format!("cargo-fuzz {CARGO_FUZZ}"), &mut install)
}

fn program(workspace: &Workspace) -> PathBuf {
    workspace.tools.join("bin/cargo-fuzz")
}

struct Fuzz<'a> {
    workspace: &'a Workspace,
    folder: PathBuf,
    arguments: &'a Arguments,
}

impl Fuzz<'_> {
    fn is_wanted(&self, name: &str) -> bool {
        self.arguments.target.as_deref().is_none_or(|target| target == name)
    }

    fn log(&self, target: &str) -> PathBuf {
        self.folder.join(format!("{target}.log"))
    }

    /// Measuring coverage needs what the pinned compiler has but calls unstable.
    fn cargo_fuzz(&self, what: &str) -> Command {
        let mut command = self.workspace.command(program(self.workspace));
        command.env("RUSTC_BOOTSTRAP", "1");
        command.args(["fuzz", what, "--fuzz-dir", "agent/core/fuzz"]);
        command
    }

    /// Makes seeds of the transcripts.
    fn seed(&self) -> anyhow::Result<()> {
        let mut seeds = self.workspace.cargo(["run", "--quiet", "--example", "seeds"]);
        seeds.args(["--manifest-path", "agent/core/fuzz/Cargo.toml", "--target-dir"]);
        seeds.arg(&self.folder).args(["--", "tests/transcripts"]).arg(self.folder.join("seeds"));
        step("seeds", &mut seeds)
    }

    /// Runs one target to the end of its time or to the first failure.
    fn fuzz(&self, target: &str) -> anyhow::Result<()> {
        let corpus = self.folder.join("corpus").join(target);
        let artifacts = self.folder.join("artifacts").join(target);
        fs::create_dir_all(&corpus)?;
        fs::create_dir_all(&artifacts)?;
        let log = self.log(target);
        let file = File::create(&log).with_context(|| format!("can't write {}", log.display()))?;
        let mut command = self.cargo_fuzz("run");
        command.args(["--sanitizer", if self.arguments.address { "address" } else { "none" }]);
        command.arg("--target-dir").arg(&self.folder).arg(target);
        command.arg(corpus).arg(self.folder.join("seeds"));
        let seconds = (self.arguments.minutes * 60.0).ceil();
        command.args(["--", "-print_final_stats=1"]);
        command.arg(format!("-max_total_time={seconds}"));
        command.arg(format!("-max_len={MAX_LENGTH}")).arg(format!("-timeout={TIMEOUT}"));
        command.arg(format!("-artifact_prefix={}/", artifacts.display()));
        step(&format!("fuzz target {target} ({})", log.display()), command.stderr(file))
    }
}

/// What a run has come to, as libFuzzer says it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Report {
    executions: u64,
    edges: u64,
    features: u64,
}

impl Report {
    /// Reads what libFuzzer said. Its last word counts.
    fn of(log: &str) -> Self {
        let mut report = Self::default();
        for line in log.lines().filter(|line| line.starts_with('#')) {
            let mut words = line.split_ascii_whitespace();
            let number = words.next().and_then(|word| word.trim_start_matches('#').parse().ok());
            report.executions = number.unwrap_or(report.executions);
            while let Some(word) = words.next() {
                let slot = match word {
                    "cov:" => &mut report.edges,
                    "ft:" => &mut report.features,
                    _ => continue,
                };
                *slot = words.next().and_then(|word| word.parse().ok()).unwrap_or(*slot);
            }
        }
        report
    }
}

/// The end of a log, where it says what went wrong.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_of_the_fuzzer_counts() {
        let log = "INFO: seed corpus: files: 9\n\
                   #2\tINITED cov: 3 ft: 4 corp: 1/1b exec/s: 0 rss: 26Mb\n\
                   #4096\tpulse  cov: 120 ft: 311 corp: 5/10b lim: 4 exec/s: 2048 rss: 26Mb\n\
                   #5000\tDONE   cov: 121 ft: 312 corp: 6/10b lim: 4 exec/s: 2048 rss: 26Mb\n\
                   Done 5000 runs in 2 second(s)\n";
        assert_eq!(Report::of(log), Report { executions: 5000, edges: 121, features: 312 });
        assert_eq!(Report::of("error: no such target"), Report::default());
    }
}
