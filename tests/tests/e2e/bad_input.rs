//! What is asked wrongly is answered clearly: one paragraph, and an exit status of its own.

use std::fs;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use weir_tests::harness::{Daemon, Place, daemon, wait_until};

use crate::{Case, case};

/// Exit statuses, as `weir --help` lists them.
const NOT_RUNNING: i32 = 3;
const NOT_PRIVILEGED: i32 = 4;
const CONFIG_INVALID: i32 = 6;
const ALREADY_RUNNING: i32 = 7;

const WRONG: &str = r#"
state_dir = 7
sokcet = "/run/weir.sock"

[capture]
ring_bytes = "3 apples"

[ledger]
retention_days = 0

[log]
level = "loud"
"#;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("without_privilege_it_says_so", no_privilege),
        case("a_wrong_configuration_is_refused_with_all_its_errors", wrong_configuration),
        case("a_configuration_that_is_not_there_is_refused", absent_configuration),
        case("without_a_daemon_commands_say_so", no_daemon),
        case("a_second_daemon_is_refused", second_daemon),
        case("the_shipped_configuration_is_valid", shipped_configuration),
    ]
}

fn no_privilege() -> anyhow::Result<()> {
    let (place, home) = (Place::find()?, tempfile::tempdir()?);
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "--"]);
    command.arg(&place.weir).args(daemon::arguments(home.path()));
    refused(&mut command, NOT_PRIVILEGED, &["CAP_"])
}

fn wrong_configuration() -> anyhow::Result<()> {
    let (place, home) = (Place::find()?, tempfile::tempdir()?);
    let file = home.path().join("weir.toml");
    fs::write(&file, WRONG)?;
    let keys = ["state_dir", "sokcet", "ring_bytes", "retention_days", "level"];
    let mut check = Command::new(&place.weir);
    refused(check.args(["config", "check"]).arg(&file), CONFIG_INVALID, &keys)?;
    let mut run = daemon::command(&place, home.path())?;
    refused(run.arg("--config").arg(&file), CONFIG_INVALID, &keys)
}

fn absent_configuration() -> anyhow::Result<()> {
    let (place, home) = (Place::find()?, tempfile::tempdir()?);
    let mut run = daemon::command(&place, home.path())?;
    refused(run.args(["--config", "/nowhere/weir.toml"]), CONFIG_INVALID, &["/nowhere/weir.toml"])
}

fn no_daemon() -> anyhow::Result<()> {
    let place = Place::find()?;
    for command in [["usage", "--since=1h"], ["calls", "--since=1h"]] {
        let mut command_line = Command::new(&place.weir);
        command_line.args(command).args(["--socket", "/nowhere/weir.sock"]);
        refused(&mut command_line, NOT_RUNNING, &["isn't running", "weir"])?;
    }
    Ok(())
}

fn second_daemon() -> anyhow::Result<()> {
    let (place, home) = (Place::find()?, tempfile::tempdir()?);
    let first = Daemon::start(&place, home.path())?;
    refused(&mut daemon::command(&place, home.path())?, ALREADY_RUNNING, &[])?;
    first.said(&["usage"]).context("the first daemon was disturbed")?;
    let status = first.stop()?;
    anyhow::ensure!(status.success(), "the first daemon stopped with {status}");
    Ok(())
}

fn shipped_configuration() -> anyhow::Result<()> {
    let place = Place::find()?;
    let mut check = Command::new(&place.weir);
    let output = check.args(["config", "check"]).arg(place.packaging.join("weir.toml")).output()?;
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    anyhow::ensure!(output.status.success(), "it is refused:\n{complaint}");
    Ok(())
}

/// Fails unless `command` ends with `status` and a short explanation that has all of `words`.
fn refused(command: &mut Command, status: i32, words: &[&str]) -> anyhow::Result<()> {
    let output = outcome(command)?;
    let said = String::from_utf8_lossy(&output.stderr);
    let code = output.status.code();
    anyhow::ensure!(code == Some(status), "it ended with {code:?}, not {status}:\n{said}");
    let lines = said.lines().count();
    anyhow::ensure!((1..=15).contains(&lines), "{lines} lines are no paragraph:\n{said}");
    anyhow::ensure!(!said.contains("panicked"), "it panicked:\n{said}");
    for word in words {
        anyhow::ensure!(said.contains(word), "it doesn't say {word:?}:\n{said}");
    }
    Ok(())
}

/// Runs a command that has to end by itself.
fn outcome(command: &mut Command) -> anyhow::Result<Output> {
    command.env_remove("WEIR_SOCKET");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let ended =
        wait_until("it to refuse", Duration::from_secs(15), || Ok(child.try_wait()?.is_some()));
    if let Err(error) = ended {
        child.kill()?;
        child.wait()?;
        return Err(error);
    }
    Ok(child.wait_with_output()?)
}
