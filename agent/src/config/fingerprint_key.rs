//! The key that credentials are fingerprinted with: 64 hexadecimal digits in a file that only its
//! owner can read. Hosts that are given the same file give one credential one fingerprint.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use weir_core::secret::FingerprintKey;
use zeroize::Zeroizing;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum FingerprintKeyError {
    /// The file could not be read or made.
    #[error("the fingerprint key {path} can't be read or made")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is there but is not a key.
    #[error("the fingerprint key {path} is not 64 hexadecimal digits")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// Others than the owner can read the file.
    #[error("the fingerprint key {path} can be read by others (mode {mode:04o}): make it 0600")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// Reads the key in `path`, or makes one there if nothing is.
///
/// # Errors
/// See [`FingerprintKeyError`]. A file that is there is never replaced: with another key, what was
/// seen before could not be told to be the same credential.
pub fn fingerprint_key(path: &Path) -> Result<FingerprintKey, FingerprintKeyError> {
    let failed = |source| FingerprintKeyError::Io { path: path.to_owned(), source };
    match fs::read_to_string(path).map(Zeroizing::new) {
        Ok(text) => {
            let mode = fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(FingerprintKeyError::Exposed { path: path.to_owned(), mode });
            }
            decode(text.trim_end())
                .map(FingerprintKey::new)
                .ok_or_else(|| FingerprintKeyError::Malformed { path: path.to_owned() })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path).map_err(failed),
        Err(error) => Err(failed(error)),
    }
}

/// Writes a new key beside `path` and moves it there, so that a crash leaves a whole key or none.
fn make(path: &Path) -> io::Result<FingerprintKey> {
    let mut bytes = Zeroizing::new([0u8; 32]);
    let filled = rustix::rand::getrandom(&mut *bytes, rustix::rand::GetRandomFlags::empty())?;
    if filled != bytes.len() {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
    }
    let digits: Zeroizing<String> =
        Zeroizing::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect());
    let partial = path.with_extension("new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
    writeln!(file, "{}", digits.as_str())?;
    file.sync_all()?;
    fs::rename(&partial, path)?;
    if let Some(directory) = path.parent() {
        fs::File::open(directory)?.sync_all()?;
    }
    Ok(FingerprintKey::new(*bytes))
}

fn decode(digits: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_then_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fingerprint.key");
        let made = fingerprint_key(&path).unwrap().fingerprint("bearer", b"sk-1");
        let read = fingerprint_key(&path).unwrap().fingerprint("bearer", b"sk-1");
        assert_eq!(made, read);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_or_exposed_key_is_refused_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fingerprint.key");
        fs::write(&path, "not a key").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(fingerprint_key(&path), Err(FingerprintKeyError::Exposed { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(fingerprint_key(&path), Err(FingerprintKeyError::Malformed { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "not a key");
    }
}
