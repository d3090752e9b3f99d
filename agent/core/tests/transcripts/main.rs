//! Every transcript of `tests/transcripts` gives exactly the calls that it expects, and
//! `docs/providers.md` says which of them shows what. Each transcript is a test of its own:
//! `cargo test -p weir-core --test transcripts anthropic` runs those of one provider.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod expectation;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::process::ExitCode;

use expectation::{differences, edge_differences};
use libtest_mimic::{Arguments, Failed, Trial};
use support::{Golden, goldens, meter, repository};

fn main() -> ExitCode {
    let goldens = goldens();
    let names: BTreeSet<String> = goldens.iter().map(|golden| golden.name.clone()).collect();
    let mut trials: Vec<Trial> = goldens
        .into_iter()
        .map(|golden| Trial::test(golden.name.clone(), move || check(&golden)))
        .collect();
    trials.push(Trial::test("docs/providers.md", move || the_table_of_providers(&names)));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn check(golden: &Golden) -> Result<(), Failed> {
    let transcript = golden.transcript();
    let mut faults = differences(&transcript, &transcript.records(&meter()));
    faults.extend(edge_differences(&transcript, &transcript.edges()));
    verdict(faults)
}

/// The table's own text says how its rows are checked.
fn the_table_of_providers(names: &BTreeSet<String>) -> Result<(), Failed> {
    let text = std::fs::read_to_string(repository().join("docs/providers.md"))?;
    let mut faults = Vec::new();
    let mut named = BTreeSet::new();
    let rows = (1..).zip(text.lines()).filter(|(_, line)| line.starts_with("| "));
    for (line, row) in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [_, _, _, _, _, supported, tests] = cells.as_slice() else {
            faults.push(format!("line {line}: {} cells, not 7", cells.len()));
            continue;
        };
        if *supported == "Supported" {
            continue;
        }
        let transcripts: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        match *supported {
            "yes" | "partly" if transcripts.is_empty() && *supported == "yes" => {
                faults.push(format!("line {line}: supported, but no transcript shows it"));
            }
            "yes" | "partly" | "no" if tests.len() < 3 => {
                faults.push(format!("line {line}: neither a transcript nor a reason"));
            }
            "yes" | "partly" | "no" => {}
            other => faults.push(format!("line {line}: supported is yes, partly or no: {other}")),
        }
        for transcript in transcripts {
            if !names.contains(transcript) {
                faults.push(format!("line {line}: there is no {transcript}"));
            }
            named.insert(transcript.to_owned());
        }
    }
    faults.extend(names.difference(&named).map(|name| format!("no row names {name}")));
    verdict(faults)
}

fn verdict(faults: Vec<String>) -> Result<(), Failed> {
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n").into()) }
}
