//! The files that were looked at, and the probes on them.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags, major, minor};
use weir_core::units::Timestamp;

use super::boringssl::{Search, Searches};
use super::elf::{self, ElfError, Exports};
use super::error::chain;
use super::functions::{Kind, inside, symbols, wanted};
use super::makeup::{Makeup, read_maps};
use super::mapping::{FileId, executable};
use super::probes::{Prober, Probes};
use super::status::{Outcome, Shared, Target};
use super::tally::Tried;

/// Files that are remembered. When there are more, those without TLS code are forgotten.
const FILES_MAX: usize = 32 * 1024;

/// Where the host keeps its shared libraries, and the loaders that load them.
const LIBRARY_FOLDERS: [&str; 8] = [
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
];

/// How the names of files begin that are attached to before any process uses them, so that the
/// first call of a process that lives for 30 ms is seen. Whatever has another name is found when
/// the loader maps it.
const INSTALLED_NAMES: [&str; 5] = ["libssl", "libgnutls", "ld-linux", "ld-musl", "ld.so"];

/// Where the host keeps programs; and in the `bin` of each folder of `/opt`.
const PROGRAM_FOLDERS: [&str; 2] = ["/usr/bin", "/usr/local/bin"];

/// Programs there that are as large as this, in bytes, are attached to before any process uses them:
/// those with a language's runtime and a TLS library inside are.
const LARGE_PROGRAM: u64 = 32 << 20;

/// Every file that was looked at.
pub(super) struct Targets {
    prober: Prober,
    files: HashMap<FileId, Known>,
    searches: Searches,
    shared: Arc<Shared>,
}

/// What is known of a file.
struct Known {
    /// Absent for a file without TLS code, which nobody wants to hear of.
    target: Option<Target>,
    /// It stays attached though no process maps it.
    installed: bool,
    _probes: Probes,
}

impl Targets {
    pub(super) fn new(prober: Prober, shared: Arc<Shared>) -> Self {
        Self { prober, files: HashMap::new(), searches: Searches::new(), shared }
    }

    /// Attaches to the libraries that the host has installed, to its large programs, and to `programs`.
    pub(super) fn attach_installed(&mut self, programs: &[PathBuf]) {
        for path in LIBRARY_FOLDERS.iter().flat_map(files) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if INSTALLED_NAMES.iter().any(|start| name.starts_with(start)) {
                let _gone_or_no_file = self.attach_to_installed(&path, 0);
            }
        }
        let packages = files("/opt").map(|folder| folder.join("bin"));
        for folder in PROGRAM_FOLDERS.iter().map(PathBuf::from).chain(packages) {
            for path in files(folder) {
                let _gone_or_no_file = self.attach_to_installed(&path, LARGE_PROGRAM);
            }
        }
        for path in programs {
            if let Err(error) = self.attach_to_installed(path, 0) {
                tracing::warn!(path = %path.display(), %error, "can't look at a configured program");
            }
        }
    }

    fn attach_to_installed(&mut self, path: &Path, least_size: u64) -> io::Result<()> {
        let (id, file) = open(path)?;
        if !self.files.contains_key(&id) && file.metadata()?.len() >= least_size {
            self.consider(id, &file, &path.to_string_lossy(), true);
        }
        Ok(())
    }

    /// Looks at what one process has mapped. Says whether something was found.
    pub(super) fn search(&mut self, pid: u32) -> bool {
        match read_maps(pid) {
            Ok(maps) => {
                self.shared.makeups.remember(pid, Makeup::of(&maps));
                self.search_maps(pid, &maps)
            }
            Err(_gone) => {
                self.shared.tally.count(Tried::Exited);
                false
            }
        }
    }

    fn search_maps(&mut self, pid: u32, maps: &str) -> bool {
        let mut found = false;
        for mapping in executable(maps) {
            if self.files.contains_key(&mapping.file) {
                continue;
            }
            // This names the very file that is mapped: also one that was deleted or replaced, or
            // lies in another mount namespace.
            let Range { start, end } = mapping.addresses;
            let link = PathBuf::from(format!("/proc/{pid}/map_files/{start:x}-{end:x}"));
            let beneath = PathBuf::from(format!("/proc/{pid}/root{}", mapping.path));
            let opened = open(&link).or_else(|_refused| {
                open(&beneath).and_then(|(id, file)| {
                    let same = id.inode == mapping.file.inode;
                    if same { Ok((id, file)) } else { Err(io::ErrorKind::NotFound.into()) }
                })
            });
            match opened {
                Ok((_, file)) => found |= self.consider(mapping.file, &file, mapping.path, false),
                Err(error) => tracing::debug!(pid, path = mapping.path, %error, "not opened"),
            }
        }
        found
    }

    /// Looks at all processes, and lets go of the files that none maps any more.
    pub(super) fn sweep(&mut self) {
        let own = std::process::id();
        let mut mapped = HashSet::new();
        for pid in processes().filter(|pid| *pid != own) {
            if let Ok(maps) = read_maps(pid) {
                self.search_maps(pid, &maps);
                mapped.extend(executable(&maps).map(|mapping| mapping.file));
            }
        }
        self.files.retain(|id, known| known.installed || mapped.contains(id));
    }

    /// What there is to tell.
    pub(super) fn list(&self) -> Vec<Target> {
        self.files.values().filter_map(|known| known.target.clone()).collect()
    }

    /// Decides what a file is, and attaches to it if it has TLS code.
    fn consider(&mut self, id: FileId, file: &File, path: &str, installed: bool) -> bool {
        if self.files.len() >= FILES_MAX {
            self.files.retain(|_, known| known.target.is_some());
        }
        let (exports, outcome, probes) = match elf::exports(file, &symbols()) {
            Ok(exports) => {
                let (outcome, probes) = self.attach_all(file, &exports);
                (exports, outcome, probes)
            }
            Err(ElfError::Foreign) => (Exports::default(), None, Probes::default()),
            Err(error @ (ElfError::Damaged | ElfError::TooLarge)) => {
                let outcome = Outcome::Unreadable { reason: error.to_string() };
                (Exports::default(), Some(outcome), Probes::default())
            }
        };
        let target = outcome.map(|outcome| {
            tracing::info!(path, ?outcome, "looked at");
            let (path, build_id) = (path.to_owned(), exports.build_id);
            Target { file: id, path, build_id, outcome, since: Timestamp::now() }
        });
        self.shared.tally.count(Tried::of(target.as_ref().map(|target| &target.outcome)));
        let found = target.is_some();
        self.files.insert(id, Known { target, installed, _probes: probes });
        found
    }

    fn attach_all(&mut self, file: &File, exports: &Exports) -> (Option<Outcome>, Probes) {
        let (kind, functions) = match wanted(&exports.functions) {
            Some(wanted) => wanted,
            None => match self.searches.search(file) {
                Search::Absent => return (None, Probes::default()),
                Search::TooLarge => {
                    let reason = "it is too large to be searched for a TLS library".to_owned();
                    return (Some(Outcome::Unreadable { reason }), Probes::default());
                }
                Search::Unclear => {
                    let outcome = Outcome::NoSymbols { library: "BoringSSL" };
                    return (Some(outcome), Probes::default());
                }
                Search::Found(functions) => (Kind::Tls, inside(functions)),
            },
        };
        match self.prober.attach(file, &functions) {
            Ok((functions, probes)) => {
                let outcome = match kind {
                    Kind::Tls => Outcome::Attached { functions },
                    Kind::Loader => Outcome::Loader,
                };
                (Some(outcome), probes)
            }
            Err(error) => {
                let reason = chain(&error);
                (Some(Outcome::Refused { reason }), Probes::default())
            }
        }
    }
}

fn files(folder: impl AsRef<Path>) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// Opens a regular file. Anything else is not opened at all: opening a device may do things to it.
fn open(path: &Path) -> io::Result<(FileId, File)> {
    let place = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let stat = rustix::fs::fstat(&place)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let file = File::open(format!("/proc/self/fd/{}", place.as_raw_fd()))?;
    let device = (major(stat.st_dev), minor(stat.st_dev));
    Ok((FileId { device, inode: stat.st_ino }, file))
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}
