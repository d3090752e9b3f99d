//! A receiver of Standard Webhooks, which verifies with the reference library.

use std::fs;
use std::io::{BufRead as _, BufReader, Lines};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::Context as _;
use serde_json::Value;

use super::Place;

/// A receiver, until it is dropped.
#[derive(Debug)]
pub struct Receiver {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// Where it is told things.
    pub url: String,
}

impl Receiver {
    /// One that wants to see the signatures of all these secrets.
    ///
    /// # Errors
    /// If it can't be run.
    pub fn start(place: &Place, secrets: &[&str]) -> anyhow::Result<Self> {
        let mut child = Command::new(&place.python)
            .arg(place.clients.join("webhook_receiver.py"))
            .args(secrets)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdout(Stdio::piped())
            .spawn()
            .context("can't run Python")?;
        let stdout = child.stdout.take().context("no standard output")?;
        let lines = BufReader::new(stdout).lines();
        let mut receiver = Self { child, lines, url: String::new() };
        receiver.url = format!("http://127.0.0.1:{}/hook", receiver.line()?);
        Ok(receiver)
    }

    /// Waits for the next thing that it is told: its `type`, `id` and `title`, or the `error` for which it
    /// was refused.
    ///
    /// # Errors
    /// If the receiver has ended.
    pub fn told(&mut self) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.line()?)?)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        Ok(self.lines.next().context("the receiver has ended")??)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Writes secrets to a file that its owner alone can read.
///
/// # Errors
/// If it can't be written.
pub fn keep_secrets(path: &Path, secrets: &[&str]) -> anyhow::Result<()> {
    fs::write(path, secrets.join("\n"))?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o600))?)
}
