//! One process at a time writes a state directory.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::{At, LedgerError};

const NAME: &str = "ledger.lock";
/// How long a holder that was killed may keep the lock: a child that it was just starting shares
/// the open file until its exec.
const LAST_BREATH: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(5);

/// Held for as long as it lives. The kernel lets go of it when the process ends, however it ends,
/// and the children that it was starting have begun.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn take(dir: &Path) -> Result<Self, LedgerError> {
        let path = dir.join(NAME);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .at("open", &path)?;
        let deadline = Instant::now() + LAST_BREATH;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK) if Instant::now() < deadline => sleep(PAUSE),
                Err(Errno::WOULDBLOCK) => {
                    let mut holder = String::new();
                    let read = (&file).take(20).read_to_string(&mut holder);
                    let pid = read.ok().and_then(|_len| holder.trim().parse().ok());
                    return Err(LedgerError::AlreadyRunning { dir: dir.to_owned(), pid });
                }
                Err(errno) => return Err(errno.into()).at("lock", &path),
            }
        }
        // The pid is for the other's error message only: a full disk must not keep us from starting.
        if file.set_len(0).is_ok() {
            let _hint = writeln!(file, "{}", std::process::id());
        }
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = Lock::take(dir.path()).unwrap();
        let error = Lock::take(dir.path()).unwrap_err();
        let own = Some(std::process::id());
        assert!(
            matches!(&error, LedgerError::AlreadyRunning { pid, .. } if *pid == own),
            "{error}"
        );
        drop(first);
        Lock::take(dir.path()).unwrap();
    }

    #[test]
    fn it_outlasts_the_last_breath_of_a_killed_holder() {
        let dir = tempfile::tempdir().unwrap();
        let first = Lock::take(dir.path()).unwrap();
        let shared = first._file.try_clone().unwrap();
        drop(first);
        let child = std::thread::spawn(move || {
            sleep(Duration::from_millis(50));
            drop(shared);
        });
        Lock::take(dir.path()).unwrap();
        child.join().unwrap();
    }
}
