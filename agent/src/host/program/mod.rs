//! What a program is, whatever its path says: the digest of its file, and the package that it came with.
//!
//! Reading a program takes as long as it is large, 0.1 s for Node, and may be from a file system that a
//! user serves himself. So it is read aside (`host/aside.rs`), once for each file. Who asks first waits for
//! [`PATIENCE`] at most; if that isn't enough, the facts are absent from that attribution, and from the next
//! one on they are known. Nothing is read unless somebody wants to know: nothing of it is in a record, so
//! only rules and questions do.

mod digest;
mod package;

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use weir_core::units::ProcessKey;

use super::aside::{Account, Aside, Kind};
use super::process::{self, Opened};
use digest::Digests;
use package::Packages;

/// How long somebody waits for a program that is read for the first time.
const PATIENCE: Duration = Duration::from_millis(400);

/// What a program is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Program {
    /// SHA-256 in hexadecimal digits.
    pub(super) sha256: Option<String>,
    /// The package, of a program of the host itself.
    pub(super) package: Option<String>,
}

/// The programs that were asked about.
#[derive(Clone, Debug)]
pub(super) struct Programs(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    proc: PathBuf,
    digests: Digests,
    packages: Packages,
}

impl Programs {
    pub(super) fn new(proc: PathBuf, dpkg: PathBuf) -> Self {
        let (digests, packages) = (Digests::new(), Packages::new(dpkg));
        Self(Arc::new(Shared { proc, digests, packages }))
    }

    /// What the program of a process is, which is at `exe` in its own mount namespace.
    pub(super) fn of(
        &self,
        key: ProcessKey,
        exe: &str,
        account: &Account,
        aside: &mut Aside,
    ) -> Program {
        let (shared, exe) = (Arc::clone(&self.0), exe.to_owned());
        let study = move || shared.study(key, &exe);
        aside.run(account, Kind::Study, PATIENCE, study).flatten().unwrap_or_default()
    }
}

impl Shared {
    /// Reads the file that the process runs: not what is at its path by now. `None` if it runs another
    /// program than `exe` by now, or is gone.
    fn study(&self, key: ProcessKey, exe: &str) -> Option<Program> {
        let process = Opened::of(&self.proc, key)?;
        let runs_it = || {
            let link = rustix::fs::readlinkat(process.dir.fd(), "exe", Vec::new()).ok()?;
            (process::program(link.to_bytes())? == exe).then_some(())
        };
        runs_it()?;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(process.dir.fd(), "exe", flags, Mode::empty()).ok()?;
        let mut file = File::from(file);
        runs_it()?;
        process.stat()?;
        let package = is_at(&file, exe).then(|| self.packages.of(exe)).flatten();
        Some(Program { sha256: self.digests.of(&mut file), package })
    }
}

/// Whether the host itself has this file at `path`. A container has others at the same paths, and may
/// be made to see one of its own there.
fn is_at(file: &File, path: &str) -> bool {
    let (Ok(file), Ok(of_host)) = (file.metadata(), Path::new(path).metadata()) else {
        return false;
    };
    (file.dev(), file.ino()) == (of_host.dev(), of_host.ino())
}
