//! The daemon under test: `weir run` with a state directory, a socket and a log of its own.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Place, unit, wait_until};

/// How long the daemon may take to be ready, or to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running daemon. It is killed if this is dropped without [`Daemon::stop`].
#[derive(Debug)]
pub struct Daemon {
    weir: PathBuf,
    home: PathBuf,
    child: Child,
}

impl Daemon {
    /// Starts one whose state, socket and log are in `home`, and waits until it listens.
    ///
    /// # Errors
    /// If it ends instead, with what it said.
    pub fn start(place: &Place, home: &Path) -> anyhow::Result<Self> {
        Self::start_searched(place, home, "")
    }

    /// The same, with `more` in its configuration.
    ///
    /// # Errors
    /// If it ends instead, with what it said.
    pub fn start_searched(place: &Place, home: &Path, more: &str) -> anyhow::Result<Self> {
        // The first process of a program that has to be searched isn't seen while that is done.
        let searched = [
            &place.bun,
            &place.deno,
            &place.go_static,
            &place.go_stripped,
            &place.rust_client,
            &place.rust_client_stripped,
            &place.rust_client_on_ring,
            &place.rust_client_on_ring_stripped,
            &place.rust_client_old,
        ];
        let programs = serde_json::to_string(&searched)?;
        Self::start_with(place, home, &format!("[capture]\nprograms = {programs}\n{more}"))
    }

    /// One with this configuration.
    ///
    /// # Errors
    /// If it ends instead, with what it said.
    pub fn start_with(place: &Place, home: &Path, config: &str) -> anyhow::Result<Self> {
        fs::create_dir_all(home)?;
        let path = home.join("weir.toml");
        fs::write(&path, config)?;
        let log = File::options().create(true).append(true).open(home.join("log"))?;
        let mut child = command(place, home)?
            .arg("--config")
            .arg(path)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| {
                format!("can't run {}; run `cargo xtask build`", place.weir.display())
            })?;
        let socket = home.join(SOCKET);
        wait_until("the daemon to listen", PATIENCE, || {
            if let Some(status) = child.try_wait()? {
                let log = fs::read_to_string(home.join("log")).unwrap_or_default();
                anyhow::bail!("the daemon ended ({status}):\n{log}");
            }
            Ok(UnixStream::connect(&socket).is_ok())
        })?;
        Ok(Self { weir: place.weir.clone(), home: home.to_owned(), child })
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged.
    ///
    /// # Errors
    /// If the log can't be read.
    pub fn log(&self) -> anyhow::Result<String> {
        Ok(fs::read_to_string(self.home.join("log"))?)
    }

    /// Runs a subcommand against it.
    ///
    /// # Errors
    /// If it can't be run.
    pub fn ask(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        Ok(Command::new(&self.weir)
            .args(arguments)
            .env("WEIR_SOCKET", self.home.join(SOCKET))
            .output()?)
    }

    /// The standard output of a subcommand.
    ///
    /// # Errors
    /// If it fails, with what it said.
    pub fn said(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.ask(arguments)?;
        anyhow::ensure!(
            output.status.success(),
            "`weir {}` failed ({}):\n{}",
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The calls of the last hour, in the order in which they are given.
    ///
    /// # Errors
    /// If they can't be had, or are not JSON.
    pub fn all_calls(&self) -> anyhow::Result<Vec<Value>> {
        let text = self.said(&["calls", "--since", "1h", "--format", "json"])?;
        text.lines()
            .map(|line| serde_json::from_str(line).with_context(|| format!("not JSON: {line}")))
            .collect()
    }

    /// Those of the calls of the last hour that went to `host`, or nobody knows where.
    ///
    /// # Errors
    /// If they can't be had, or are not JSON.
    pub fn calls(&self, host: &str) -> anyhow::Result<Vec<Value>> {
        Ok(self
            .all_calls()?
            .into_iter()
            .filter(|call| call["host"] == host || call["host"].is_null())
            .collect())
    }

    /// Waits until `count` calls to `host` have been committed, and then a little longer, so that
    /// one too many would be there as well.
    ///
    /// # Errors
    /// If they can't be had. That there are too few is for whoever compares them to say.
    pub fn settled_calls(&self, host: &str, count: usize) -> anyhow::Result<Vec<Value>> {
        let arrived = wait_until("the calls to be committed", Duration::from_secs(15), || {
            Ok(self.calls(host)?.len() >= count)
        });
        if let Err(error) = arrived {
            eprintln!("      {error:#}");
        }
        std::thread::sleep(Duration::from_millis(1_200));
        self.calls(host)
    }

    /// The usage of the last hour, grouped by `by`.
    ///
    /// # Errors
    /// If it can't be had, or is not JSON.
    pub fn usage(&self, by: &str) -> anyhow::Result<Value> {
        let text = self.said(&["usage", "--since", "1h", "--by", by, "--format", "json"])?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Asks it to stop, as systemd does, and waits for it.
    ///
    /// # Errors
    /// If it doesn't.
    pub fn stop(mut self) -> anyhow::Result<ExitStatus> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("no pid")?, Signal::TERM)?;
        let mut status = None;
        wait_until("the daemon to stop", PATIENCE, || {
            status = self.child.try_wait()?;
            Ok(status.is_some())
        })?;
        status.context("no status")
    }

    /// Kills it, as the kernel does when memory is short.
    ///
    /// # Errors
    /// If it can't be killed.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Asked, it takes all its probes away at a time; killed, the kernel does so one after the other.
        // Each fails only if it has ended already.
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ended = kill_process(pid, Signal::TERM);
        }
        drop(wait_until("the daemon to stop", PATIENCE, || Ok(self.child.try_wait()?.is_some())));
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The socket's name in the home of a daemon.
pub const SOCKET: &str = "weir.sock";

/// `weir run` with everything in `home`, and the privileges that the unit which is shipped leaves it.
///
/// # Errors
/// If the unit can't be read.
pub fn command(place: &Place, home: &Path) -> anyhow::Result<Command> {
    let mut command = unit::confined(&place.packaging, &place.weir)?;
    command.args(arguments(home)).env_remove("WEIR_SOCKET");
    Ok(command)
}

/// The arguments of `weir run` with everything in `home`.
#[must_use]
pub fn arguments(home: &Path) -> [OsString; 5] {
    let (state, socket) = (home.join("state"), home.join(SOCKET));
    ["run".into(), "--state-dir".into(), state.into(), "--socket".into(), socket.into()]
}
