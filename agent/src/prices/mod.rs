//! This host's prices: the catalogue that is built in, what the files of `prices.d` say beside it, and
//! the versions of both that calls were priced by.
//!
//! `docs/prices.md` describes the files.

mod kept;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use weir_core::meter::Catalogue;
use weir_core::meter::catalogue::CatalogueErrors;
use weir_core::meter::catalogue::own::{self, OwnFile};

pub use kept::{Kept, KeptError};

/// So many files a folder of prices may have.
const FILES_MAX: usize = 64;
/// So many bytes one of them may have.
const FILE_MAX: u64 = 16 << 20;

/// What this host says of prices: one JSON value a file, in the order of the files' names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OwnPrices {
    files: Vec<(PathBuf, serde_json::Value)>,
}

/// Why a host's own prices can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PricesError {
    /// The folder can't be listed.
    #[error("{path} can't be read")]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Files of it are wrong.
    #[error("{}", listed(.0))]
    Invalid(Vec<FileFault>),
    /// The catalogue that is built in is, which a test rules out; or two files price one name.
    #[error(transparent)]
    Catalogue(#[from] CatalogueErrors),
}

/// What is wrong with one file.
#[derive(Debug)]
pub struct FileFault {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it, a line each.
    pub fault: String,
}

impl OwnPrices {
    /// Reads every `*.toml` and `*.json` of a folder, in the order of their names. A folder that isn't
    /// there says nothing.
    ///
    /// # Errors
    /// With everything that is wrong with any file.
    pub fn read(folder: &Path) -> Result<Self, PricesError> {
        let unreadable = |source| PricesError::Unreadable { path: folder.to_owned(), source };
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(unreadable(error)),
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(unreadable)?.path();
            if matches!(path.extension().and_then(|end| end.to_str()), Some("toml" | "json")) {
                paths.push(path);
            }
        }
        paths.sort();
        let mut faults = Vec::new();
        if paths.len() > FILES_MAX {
            let fault = format!("more than {FILES_MAX} files");
            faults.push(FileFault { path: folder.to_owned(), fault });
            paths.truncate(FILES_MAX);
        }
        let mut files = Vec::new();
        for path in paths {
            match value(&path).and_then(|value| {
                own::read(value.clone()).map(|_| value).map_err(|errors| errors.to_string())
            }) {
                Ok(value) => files.push((path, value)),
                Err(fault) => faults.push(FileFault { path, fault }),
            }
        }
        if faults.is_empty() { Ok(Self { files }) } else { Err(PricesError::Invalid(faults)) }
    }

    /// The catalogue that is built in, with these before it.
    ///
    /// # Errors
    /// If two files price one name.
    pub fn catalogue(&self) -> Result<Catalogue, PricesError> {
        let values: Vec<_> = self.files.iter().map(|(_, value)| value.clone()).collect();
        Ok(priced(Catalogue::builtin()?, &values)?)
    }

    /// What is kept of them, to price by again.
    #[must_use]
    pub fn kept(&self) -> Kept {
        Kept::new(self.files.iter().map(|(_, value)| value.clone()).collect())
    }
}

/// Reads one file of own prices, or a whole price file.
///
/// # Errors
/// With everything that is wrong with it, a line each.
pub fn check(path: &Path) -> Result<OwnFile, String> {
    own::read(value(path)?).map_err(|errors| errors.to_string())
}

fn priced(table: Catalogue, own: &[serde_json::Value]) -> Result<Catalogue, CatalogueErrors> {
    let files = own.iter().map(|value| own::read(value.clone()));
    let files = files.collect::<Result<Vec<_>, _>>()?;
    let text: Vec<_> = own.iter().map(ToString::to_string).collect();
    table.with_own(files, &text.join("\n"))
}

fn value(path: &Path) -> Result<serde_json::Value, String> {
    let text = bounded(path, FILE_MAX).map_err(|error| error.to_string())?;
    if path.extension().is_some_and(|end| end == "toml") {
        let table: toml::Table = toml::from_str(&text).map_err(|error| error.to_string())?;
        serde_json::to_value(table).map_err(|error| error.to_string())
    } else {
        serde_json::from_str(&text).map_err(|error| error.to_string())
    }
}

/// The text of a file of at most `most` bytes.
///
/// # Errors
/// If it can't be read, is larger, or is no text.
pub fn bounded(path: &Path, most: u64) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(most + 1).read_to_string(&mut text)?;
    if text.len() as u64 > most {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("larger than {} MiB", most >> 20),
        ));
    }
    Ok(text)
}

fn listed(faults: &[FileFault]) -> String {
    let lines = faults.iter().flat_map(|FileFault { path, fault }| {
        fault.lines().map(move |line| format!("{}: {line}", path.display()))
    });
    lines.collect::<Vec<_>>().join("\n  ")
}

#[cfg(test)]
mod tests;
