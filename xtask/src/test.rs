//! `cargo xtask test`: everything CI checks, the quickest first.

use std::process::Command;

use anyhow::Context as _;

use crate::workspace::{Workspace, is_root, output, step, step_watched, succeeds};
use crate::{setup, tidy, unit};

/// How lines of the test runner begin that sum up a test program.
const SUMMARY: &str = "test result:";

pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    setup::run(workspace)?;
    step("formatting", &mut workspace.cargo(["fmt", "--all", "--check"]))?;
    tidy::run(workspace)?;
    unit::run(workspace)?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    step("clippy", &mut workspace.cargo(clippy))?;
    let doc = ["doc", "--workspace", "--no-deps", "--document-private-items", "--quiet"];
    step("documentation", workspace.cargo(doc).env("RUSTDOCFLAGS", "--deny warnings"))?;
    let mut summary = Vec::new();
    let mut keep = |line: &str| {
        if line.starts_with(SUMMARY) {
            summary.push(line.to_owned());
        }
    };
    // One command for all, the end-to-end tests with the others: cargo builds what they have in common once.
    let mut tests = workspace.cargo(["test", "--workspace", "--no-fail-fast"]);
    // Built for the tests, with every check that a release has no time for.
    tests.env("WEIR_BIN", workspace.checked_weir());
    let skipped = privilege(&mut tests)?;
    let tests =
        step_watched("unit, property, snapshot, doc and end-to-end tests", &mut tests, &mut keep);

    println!("\nformatting, tidy, clippy and documentation: ok");
    summary.iter().for_each(|line| println!("{line}"));
    if let Some(reason) = skipped {
        println!("the end-to-end tests that need root were skipped: {reason}");
    }
    tests
}

/// Sees to it that the tests run as root if the end-to-end tests are to. Says why not, if not.
fn privilege(tests: &mut Command) -> anyhow::Result<Option<&'static str>> {
    if is_root() {
        return Ok(None);
    }
    if std::env::var_os("WEIR_E2E").is_none_or(|value| value != "require") {
        return Ok(Some("you are not root; WEIR_E2E=require runs them through sudo"));
    }
    anyhow::ensure!(
        succeeds(Command::new("sudo").args(["--non-interactive", "true"])),
        "WEIR_E2E=require, but we are not root, and sudo asks for a password"
    );
    let host = output(Command::new("rustc").args(["--print", "host-tuple"]))
        .context("which target are the tests built for?")?;
    let runner = host.trim().to_uppercase().replace('-', "_");
    let keep = "--preserve-env=PATH,WEIR_BIN,WEIR_E2E,WEIR_E2E_DAEMONS,CARGO_TARGET_DIR";
    tests.env(format!("CARGO_TARGET_{runner}_RUNNER"), format!("sudo --non-interactive {keep}"));
    Ok(None)
}
