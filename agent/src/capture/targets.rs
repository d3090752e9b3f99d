//! Finds the files with TLS code, and attaches to them.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aya::programs::ProgramError;
use rustix::fs::{FileType, Mode, OFlags, major, minor};
use weir_core::units::Timestamp;

use super::elf::{self, ElfError, Exports, Place};
use super::embedded::{Search, Searches};
use super::error::chain;
use super::files::{Attached, Files, Found, Known, PROBED_MAX};
use super::functions::{
    Function, Kind, in_go, inside, inside_openssl, records, records_by_ring, symbols, wanted,
};
use super::go;
use super::makeup::{Makeup, read_maps};
use super::mapping::{FileId, Mapping, executable};
use super::probes::{Planned, Prober, Probes};
use super::same::{self, Likeness};
use super::sockets::Followed;
use super::status::{Outcome, Probed, Shared, Target};
use super::tally::Tried;

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
const INSTALLED_NAMES: [&str; 6] =
    ["libssl", "libgnutls", "libnspr4", "ld-linux", "ld-musl", "ld.so"];

/// Where the host keeps programs; and in the `bin` of each folder of `/opt`.
const PROGRAM_FOLDERS: [&str; 2] = ["/usr/bin", "/usr/local/bin"];

/// Programs there that are as large as this, in bytes, are attached to before any process uses them:
/// those with a language's runtime and a TLS library inside are.
const LARGE_PROGRAM: u64 = 32 << 20;

/// Those of Go's are smaller, and mostly without any library that would tell of their start. With its
/// TLS inside none is as small as this, in bytes.
const SMALL_GO_PROGRAM: u64 = 2 << 20;

/// Every file that was looked at.
pub(super) struct Targets {
    prober: Prober,
    files: Files,
    searches: Searches,
    shared: Arc<Shared>,
}

/// What is to be done about a file.
enum Plan {
    /// It has no TLS code.
    Nothing,
    /// It has, and can't be probed.
    Without(Outcome),
    /// To probe these functions wherever that is cheapest.
    Functions(Kind, Vec<(Function, Place)>),
    /// The same of functions that see records, whose sockets are followed for that.
    Records(Vec<(Function, Place)>, Arc<Followed>),
    /// To probe these sites of a program in this version of a language.
    Sites(String, Vec<Planned>),
}

impl Targets {
    pub(super) fn new(prober: Prober, shared: Arc<Shared>) -> Self {
        Self { prober, files: Files::new(), searches: Searches::new(), shared }
    }

    /// Attaches to the libraries that the host has installed, to its large programs, and to `programs`.
    pub(super) fn attach_installed(&mut self, programs: &[PathBuf]) {
        // We have TLS inside too, and call nobody's models.
        if let Ok((id, file)) = open(Path::new("/proc/self/exe")) {
            let likeness = Likeness::of(&file).ok();
            self.files.remember(id, Known { found: None, likeness, installed: true });
        }
        for path in LIBRARY_FOLDERS.iter().flat_map(entries) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if INSTALLED_NAMES.iter().any(|start| name.starts_with(start)) {
                let _gone_or_no_file = self.attach_to_installed(&path, |_file, _size| true);
            }
        }
        let packages = entries("/opt").map(|folder| folder.join("bin"));
        for folder in PROGRAM_FOLDERS.iter().map(PathBuf::from).chain(packages) {
            for path in entries(folder) {
                let _gone_or_no_file = self.attach_to_installed(&path, has_tls_inside);
            }
        }
        for path in programs {
            if let Err(error) = self.attach_to_installed(path, |_file, _size| true) {
                tracing::warn!(path = %path.display(), %error, "can't look at a configured program");
            }
        }
    }

    fn attach_to_installed(
        &mut self,
        path: &Path,
        is_wanted: fn(&File, u64) -> bool,
    ) -> io::Result<()> {
        let (id, file) = open(path)?;
        if self.files.get(id).is_none() && is_wanted(&file, file.metadata()?.len()) {
            self.consider(id, &file, &path.to_string_lossy(), true);
        }
        Ok(())
    }

    /// Takes all probes away.
    pub(super) fn remove(&mut self) {
        self.files.remove_probes();
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
            // This names the very file that is mapped: also one that was deleted or replaced, or
            // lies in another mount namespace.
            let Range { start, end } = mapping.addresses;
            let link = PathBuf::from(format!("/proc/{pid}/map_files/{start:x}-{end:x}"));
            if self.files.get(mapping.file).is_some_and(|known| known.is_still_at(&link)) {
                continue;
            }
            let beneath = PathBuf::from(format!("/proc/{pid}/root{}", mapping.path));
            let opened = open(&link).or_else(|_refused| {
                open(&beneath).and_then(|(id, file)| {
                    let same = id.inode == mapping.file.inode;
                    if same { Ok((id, file)) } else { Err(io::ErrorKind::NotFound.into()) }
                })
            });
            match opened {
                Ok((_, file)) if self.is_probed(pid, &mapping, &file) => found = true,
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
        self.files.keep_only(&mapped);
    }

    /// What there is to tell.
    pub(super) fn list(&self) -> Vec<Target> {
        self.files.targets()
    }

    /// Whether a file that a process maps is one that was found before, and is from now on known by this
    /// name too.
    fn is_probed(&mut self, pid: u32, mapping: &Mapping<'_>, file: &File) -> bool {
        let Ok(likeness) = Likeness::of(file) else { return false };
        let is_this = |found: &&Arc<Found>| same::is_probed(pid, mapping, file, found.entries());
        let found = self.files.alike(likeness).find(is_this).map(Arc::clone);
        let Some(found) = found else { return false };
        let known = Known { found: Some(found), likeness: Some(likeness), installed: false };
        self.files.remember(mapping.file, known);
        true
    }

    /// Decides what a file is, and attaches to it if it has TLS code.
    fn consider(&mut self, id: FileId, file: &File, path: &str, installed: bool) -> bool {
        let (exports, plan) = match elf::exports(file, &symbols()) {
            Ok(exports) => {
                let plan = self.plan(file, &exports);
                (exports, plan)
            }
            // Programs do without sections.
            Err(ElfError::Foreign) => {
                let exports = Exports::default();
                let plan = self.plan(file, &exports);
                (exports, plan)
            }
            Err(error @ (ElfError::Damaged | ElfError::TooLarge)) => {
                let reason = error.to_string();
                (Exports::default(), Plan::Without(Outcome::Unreadable { reason }))
            }
        };
        let found = self.follow(file, plan).map(|(outcome, attached)| {
            tracing::info!(path, outcome = Tried::of(Some(&outcome)).as_str(), "looked at");
            tracing::debug!(path, ?outcome, "looked at");
            let (path, build_id) = (path.to_owned(), exports.build_id);
            let target =
                Target { files: Vec::new(), path, build_id, outcome, since: Timestamp::now() };
            Arc::new(Found { target, attached })
        });
        self.shared.tally.count(Tried::of(found.as_ref().map(|found| &found.target.outcome)));
        let is_news = found.is_some();
        self.files.remember(id, Known { found, likeness: Likeness::of(file).ok(), installed });
        is_news
    }

    fn plan(&mut self, file: &File, exports: &Exports) -> Plan {
        if let Some((kind, functions)) = wanted(&exports.functions) {
            return Plan::Functions(kind, functions);
        }
        match go::search(file) {
            go::Search::Absent => {}
            go::Search::Found { version, functions } => {
                return Plan::Sites(version, in_go(*functions));
            }
            go::Search::TooOld { version } => {
                let reason =
                    format!("the TLS of {version}, which passes no arguments in registers");
                return Plan::Without(Outcome::Unsupported { reason });
            }
            go::Search::Unclear { version, reason } => {
                let reason = format!("the TLS of {version}: {reason}");
                return Plan::Without(Outcome::Unsupported { reason });
            }
        }
        match self.searches.search(file) {
            Search::Absent => Plan::Nothing,
            Search::TooLarge => {
                let reason = "it is too large to be searched for a TLS library".to_owned();
                Plan::Without(Outcome::Unreadable { reason })
            }
            Search::Unclear { library } => Plan::Without(Outcome::NoSymbols { library }),
            Search::Found(functions) => Plan::Functions(Kind::Tls, inside(functions)),
            Search::FoundOpenSsl(functions) => {
                Plan::Functions(Kind::Tls, inside_openssl(functions))
            }
            Search::Unfit { library, reason } => {
                let reason = format!("{library}, {reason}");
                Plan::Without(Outcome::Unsupported { reason })
            }
            Search::FoundAead(functions, ring) => {
                let ring = ring.into_iter().flat_map(records_by_ring);
                self.plan_records(records(functions).into_iter().chain(ring).collect())
            }
            Search::FoundRing(functions) => self.plan_records(records_by_ring(functions)),
        }
    }

    fn plan_records(&mut self, functions: Vec<(Function, Place)>) -> Plan {
        match self.prober.follow_sockets() {
            Ok(sockets) => Plan::Records(functions, sockets),
            Err(error) => {
                let reason = chain(&error);
                let reason = format!("its connections can't be told apart here: {reason}");
                Plan::Without(Outcome::Refused { reason })
            }
        }
    }

    /// What comes of a plan.
    fn follow(&mut self, file: &File, plan: Plan) -> Option<(Outcome, Attached)> {
        match plan {
            Plan::Functions(..) | Plan::Records(..) | Plan::Sites(..) if self.files.is_full() => {
                let reason = format!("{PROBED_MAX} files are probed already");
                Some((Outcome::Refused { reason }, Attached::default()))
            }
            Plan::Nothing => None,
            Plan::Without(outcome) => Some((outcome, Attached::default())),
            Plan::Functions(kind, functions) => {
                let attached = self.prober.attach(file, &functions);
                Some(outcome(attached, None, |functions| match kind {
                    Kind::Tls => Outcome::Attached { functions, runtime: None },
                    Kind::Loader => Outcome::Loader,
                }))
            }
            Plan::Records(functions, sockets) => {
                let attached = self.prober.attach(file, &functions);
                Some(outcome(attached, Some(sockets), |functions| Outcome::Attached {
                    functions,
                    runtime: None,
                }))
            }
            Plan::Sites(version, planned) => {
                let attached = self.prober.attach_planned(file, planned);
                Some(outcome(attached, None, |functions| Outcome::Attached {
                    functions,
                    runtime: Some(version),
                }))
            }
        }
    }
}

/// What came of attaching.
fn outcome(
    attached: Result<(Vec<Probed>, Probes), ProgramError>,
    sockets: Option<Arc<Followed>>,
    is: impl FnOnce(Vec<Probed>) -> Outcome,
) -> (Outcome, Attached) {
    match attached {
        Ok((functions, probes)) => (is(functions), Attached { probes, sockets }),
        Err(error) => (Outcome::Refused { reason: chain(&error) }, Attached::default()),
    }
}

/// Whether a program may have TLS inside: a guess that takes little time.
fn has_tls_inside(file: &File, size: u64) -> bool {
    size >= LARGE_PROGRAM || size >= SMALL_GO_PROGRAM && go::is_go(file)
}

fn entries(folder: impl AsRef<Path>) -> impl Iterator<Item = PathBuf> {
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
