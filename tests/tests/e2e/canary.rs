//! What must never be kept: a secret in a prompt, a completion and a key is looked for in
//! everything that the daemon wrote or says.

use std::fs;
use std::path::{Path, PathBuf};

use weir_tests::harness::client::Stream;
use weir_tests::harness::{Kind, Load, Who};
use weir_tests::play::{Failure, Play as Directions};

use crate::{Case, Play, case};

pub(crate) const PROMPT: &str = "canary-prompt-4f1b9c3e7a";
const COMPLETION: &str = "canary-completion-83d02e6c55";
pub(crate) const KEY: &str = "canary-key-b7719f20ad";

pub(crate) fn cases() -> Vec<Case> {
    vec![case("no_secret_and_no_payload_is_kept_or_said", canary)]
}

fn canary() -> anyhow::Result<()> {
    let mut play = Play::begin()?;
    let mut clients = Vec::new();
    for kind in Kind::ALL {
        for api in kind.apis() {
            for fail in [None, Some(Failure::Unauthorized), Some(Failure::InStream)] {
                let directions =
                    Directions { say: Some(COMPLETION.to_owned()), fail, ..Directions::default() };
                let load = Load {
                    stream: Stream::Mixed,
                    play: directions,
                    prompt: Some(PROMPT.to_owned()),
                    key: Some(KEY.to_owned()),
                    // So that the text itself is counted, which is where it is held the longest.
                    ask_usage: false,
                    ..Load::new(api, 2)
                };
                clients.push((kind, Who::User("www-data"), load));
            }
        }
    }
    play.run_all(&clients)?;
    let calls = 2 * clients.len();
    let said = play.daemon.settled_calls(&play.scene.server.host(), calls)?;
    anyhow::ensure!(said.len() == calls, "{} calls were metered, not {calls}", said.len());

    let commands: [&[&str]; 6] = [
        &["calls", "--since", "1h", "--format", "json"],
        &["calls", "--since", "1h"],
        &["usage", "--since", "1h", "--by", "identity,credential,process", "--format", "json"],
        &["usage", "--since", "1h"],
        &["usage", "--since", "1h", "--format", "csv"],
        &["doctor"],
    ];
    for command in commands {
        let output = play.daemon.ask(command)?;
        let what = format!("what `weir {}` says", command.join(" "));
        clean(&what, &output.stdout)?;
        clean(&what, &output.stderr)?;
    }
    let home = play.scene.directory().join("weir");
    clean_files(&home)?;
    play.daemon.stop()?;
    clean_files(&home)
}

/// Fails if a secret is in any file that the daemon wrote.
pub(crate) fn clean_files(home: &Path) -> anyhow::Result<()> {
    let written = files(home)?;
    anyhow::ensure!(written.len() > 2, "the daemon wrote no files: {written:?}");
    for file in written {
        clean(&file.display().to_string(), &fs::read(&file)?)?;
    }
    Ok(())
}

pub(crate) fn clean(what: &str, bytes: &[u8]) -> anyhow::Result<()> {
    for secret in [PROMPT, COMPLETION, KEY] {
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        anyhow::ensure!(!found, "{secret} is in {what}");
    }
    Ok(())
}

/// Every regular file below a directory.
fn files(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            found.extend(files(&entry.path())?);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    Ok(found)
}
