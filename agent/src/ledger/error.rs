//! What can go wrong.

use std::io;
use std::path::{Path, PathBuf};

/// Why the ledger can't do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another process holds this state directory.
    #[error("another weir is running on {}{}", .dir.display(), in_brackets(*pid))]
    AlreadyRunning {
        /// The state directory.
        dir: PathBuf,
        /// Who holds it, as far as the lock file says.
        pid: Option<u32>,
    },
    /// A file of the ledger can't be worked with. After a failed append nothing of the batch is
    /// in the log, and the same batch can be given again.
    #[error("can't {action} {}", .path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// An entry can't be written as JSON.
    #[error("can't write a log entry as JSON")]
    Encode(#[from] serde_json::Error),
    /// The index can't be opened and can't be made anew.
    #[error("can't open the index in {}", .dir.display())]
    Index {
        /// The state directory.
        dir: PathBuf,
        /// What it said.
        #[source]
        source: IndexError,
    },
}

/// Why the index refuses. The log is complete without it.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The store failed.
    #[error("the index store failed")]
    Store(#[from] sled::Error),
    /// The store panicked, which it does on some damage.
    #[error("the index store panicked: {0}")]
    Panicked(String),
    /// A value has a form that this version doesn't write.
    #[error("the index holds a {0} that can't be read")]
    Unreadable(&'static str),
    /// It was made by another version, or from a log that is not this one.
    #[error("the index doesn't belong to this log: {0}")]
    Foreign(&'static str),
    /// The machine went down while it was open.
    #[error("the machine went down while the index was open")]
    UncleanBoot,
    /// The trial in a process of its own failed.
    #[error("opening it in a process of its own failed: {0}")]
    Probe(String),
    /// A file of it can't be worked with.
    #[error("a file of the index can't be worked with")]
    Io(#[from] io::Error),
    /// What it should cover can't be read from the log.
    #[error("the log can't be read")]
    Log(#[source] Box<LedgerError>),
}

impl LedgerError {
    /// Whether the disk is full or a quota is used up: it passes when there is space again.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::AlreadyRunning { .. } | Self::Encode(_) => false,
            Self::File { source, .. } => is_full(source.kind()),
            Self::Index { source, .. } => source.is_disk_full(),
        }
    }
}

impl IndexError {
    /// Whether the disk is full or a quota is used up.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Store(sled::Error::Io(error)) => is_full(error.kind()),
            Self::Io(error) => is_full(error.kind()),
            Self::Log(error) => error.is_disk_full(),
            Self::Store(_)
            | Self::Panicked(_)
            | Self::Unreadable(_)
            | Self::Foreign(_)
            | Self::UncleanBoot
            | Self::Probe(_) => false,
        }
    }
}

fn in_brackets(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

const fn is_full(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Names the file and the deed that an [`io::Error`] leaves out.
pub(super) trait At<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, LedgerError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, LedgerError> {
        self.map_err(|source| LedgerError::File { action, path: path.to_owned(), source })
    }
}
