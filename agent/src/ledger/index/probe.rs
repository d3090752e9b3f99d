//! Tries the index in a process of its own first: on some damage the store panics or never returns.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Signal, set_parent_process_death_signal};

use super::Index;
use crate::ledger::error::IndexError;

/// The first argument that makes a program try an index and end.
const ARGUMENT: &str = "--try-index";
const DISK_FULL: u8 = 28;

/// How to try the index before it is opened.
#[derive(Clone, Debug)]
pub struct Probe {
    /// A program whose `main` begins with [`answer_probe`].
    pub program: PathBuf,
    /// How long opening may take.
    pub timeout: Duration,
}

impl Probe {
    /// The running program itself, which has a minute.
    #[must_use]
    pub fn itself() -> Self {
        Self { program: "/proc/self/exe".into(), timeout: Duration::from_secs(60) }
    }

    /// Fails unless the store in `dir` opens and its state can be read.
    pub(super) fn run(&self, dir: &Path) -> Result<(), IndexError> {
        let mut child = Command::new(&self.program)
            .arg(ARGUMENT)
            .arg(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let deadline = Instant::now() + self.timeout;
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(status) = child.try_wait()? {
                return match status.code() {
                    Some(0) => Ok(()),
                    Some(code) if code == i32::from(DISK_FULL) => {
                        Err(std::io::Error::from(std::io::ErrorKind::StorageFull).into())
                    }
                    Some(_) | None => Err(IndexError::Probe(status.to_string())),
                };
            }
            if Instant::now() >= deadline {
                child.kill()?;
                child.wait()?;
                let seconds = self.timeout.as_secs();
                return Err(IndexError::Probe(format!("it did not end within {seconds} s")));
            }
            sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }
}

/// If the arguments of the program (its name first) ask it to try an index, does so and says how to
/// exit. To be called before anything else in `main`.
#[must_use]
pub fn answer_probe(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    if arguments.nth(1)? != ARGUMENT {
        return None;
    }
    // Not to outlive whoever waits for the answer. If that one is gone already, the next one waits.
    let _best_effort = set_parent_process_death_signal(Some(Signal::KILL));
    let opened = Index::open(Path::new(&arguments.next()?), false);
    Some(match opened {
        Ok(_index) => ExitCode::SUCCESS,
        Err(error) if error.is_disk_full() => ExitCode::from(DISK_FULL),
        Err(_error) => ExitCode::FAILURE,
    })
}
