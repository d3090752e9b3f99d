//! The versions of prices that calls were priced by: `STATE/prices/VERSION.json`, of which the newest
//! stay. With them history can be priced again as it was, or as it would be.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use weir_core::meter::Catalogue;
use weir_core::meter::catalogue::{BUILTIN, CatalogueErrors};

use super::{bounded, priced};

/// So many versions stay. One is about as large as the catalogue.
const VERSIONS_MAX: usize = 24;
/// So many bytes one may have.
const VERSION_MAX: u64 = 64 << 20;

/// One version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// The text of the catalogue that was built in.
    table: String,
    /// What the host's own files said.
    own: Vec<serde_json::Value>,
}

/// Why a version can't be read.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// It isn't a version's name.
    #[error("{0:?} is no version of prices")]
    Name(String),
    /// Its file can't be read.
    #[error("{path} can't be read")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Its file isn't what was written.
    #[error("{path} isn't a version of prices: {reason}")]
    Shape {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

impl Kept {
    pub(super) fn new(own: Vec<serde_json::Value>) -> Self {
        Self { table: BUILTIN.to_owned(), own }
    }

    /// The catalogue.
    ///
    /// # Errors
    /// If it isn't one.
    pub fn catalogue(&self) -> Result<Catalogue, CatalogueErrors> {
        priced(Catalogue::parse(&self.table)?, &self.own)
    }

    /// Keeps it, unless it is kept, and lets the oldest go where there are too many.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn keep(&self, state_dir: &Path, version: &str) -> io::Result<()> {
        let folder = state_dir.join("prices");
        fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{version}.json"));
        if path.exists() {
            return Ok(());
        }
        let partial = folder.join(format!("{version}.partial"));
        let mut file = fs::File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&partial)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(&partial, &path)?;
        forget_oldest(&folder)
    }

    /// Reads a version that was kept.
    ///
    /// # Errors
    /// If it wasn't, or can't be read.
    pub fn read(state_dir: &Path, version: &str) -> Result<Self, KeptError> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+');
        if version.is_empty() || version.len() > 64 || !version.bytes().all(is_name) {
            return Err(KeptError::Name(version.to_owned()));
        }
        let path = state_dir.join("prices").join(format!("{version}.json"));
        let text = bounded(&path, VERSION_MAX)
            .map_err(|source| KeptError::File { path: path.clone(), source })?;
        serde_json::from_str(&text)
            .map_err(|error| KeptError::Shape { path, reason: error.to_string() })
    }
}

fn forget_oldest(folder: &Path) -> io::Result<()> {
    let mut kept: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|end| end == "json") {
            kept.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    kept.sort();
    let surplus = kept.len().saturating_sub(VERSIONS_MAX);
    kept.into_iter().take(surplus).try_for_each(|(_, path)| fs::remove_file(path))
}
