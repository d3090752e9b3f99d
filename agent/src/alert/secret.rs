//! What receivers know us by: keys to sign with, tokens, and URLs that are a secret.
//!
//! They are read for each attempt, so a file that is replaced counts at once. A file that others than its
//! owner could read, or that somebody else owns, is refused: it is no secret.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

use crate::config::Endpoint;
use crate::https;

/// Most lines that count: as many keys as are in use while they are replaced.
const LINES_MAX: usize = 8;
/// What may stand before a key (Standard Webhooks).
const KEY_PREFIX: &str = "whsec_";

/// The lines of a secret file. Wiped on drop.
#[derive(Default)]
pub(super) struct Secrets(Vec<Zeroizing<String>>);

/// Why there is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SecretError {
    /// It can't be read.
    #[error("it can't be read")]
    Unreadable,
    /// Somebody else could read or replace it.
    #[error("it is not the owner's alone: make it root's, with mode 0600")]
    Exposed,
    /// It has nothing that is wanted.
    #[error("there is nothing of use in it")]
    Malformed,
}

impl Secrets {
    /// Reads the lines of a file that aren't empty.
    pub(super) fn read(path: &Path) -> Result<Self, SecretError> {
        let file = File::open(path).map_err(|_failed| SecretError::Unreadable)?;
        let metadata = file.metadata().map_err(|_failed| SecretError::Unreadable)?;
        let own = rustix::process::geteuid().as_raw();
        let is_ours = metadata.uid() == 0 || metadata.uid() == own;
        if !metadata.is_file() || !is_ours || metadata.mode() & 0o077 != 0 {
            return Err(SecretError::Exposed);
        }
        let content = https::content(&file).map_err(|_failed| SecretError::Unreadable)?;
        let text = std::str::from_utf8(&content).map_err(|_not_text| SecretError::Malformed)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let lines: Vec<_> =
            lines.take(LINES_MAX).map(|line| Zeroizing::new(line.to_owned())).collect();
        if lines.is_empty() { Err(SecretError::Malformed) } else { Ok(Self(lines)) }
    }

    /// Keys to sign with, the first first: base64 of 24 to 64 bytes each.
    pub(super) fn keys(&self) -> Result<Vec<Zeroizing<Vec<u8>>>, SecretError> {
        let key = |line: &Zeroizing<String>| {
            let digits = line.strip_prefix(KEY_PREFIX).unwrap_or(line);
            // Some leave out what fills it up, as the reference library may.
            let digits = digits.trim_end_matches('=');
            let key = STANDARD_NO_PAD.decode(digits).ok().map(Zeroizing::new);
            key.filter(|key| (24..=64).contains(&key.len())).ok_or(SecretError::Malformed)
        };
        let keys: Vec<_> = self.0.iter().map(key).collect::<Result<_, _>>()?;
        if keys.is_empty() { Err(SecretError::Malformed) } else { Ok(keys) }
    }

    /// The token in the first line, if there is one that can stand in a header.
    pub(super) fn token(&self) -> Option<&str> {
        let token = self.0.first()?;
        token.bytes().all(|byte| byte.is_ascii_graphic()).then_some(token)
    }

    /// The URL in the first line.
    pub(super) fn endpoint(&self) -> Result<Endpoint, SecretError> {
        let url = self.0.first().ok_or(SecretError::Malformed)?;
        url.parse().map_err(|_not_one| SecretError::Malformed)
    }

    #[cfg(test)]
    pub(super) fn of(lines: &[&str]) -> Self {
        Self(lines.iter().map(|line| Zeroizing::new((*line).to_owned())).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn a_secret_is_its_owners_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let read = |text: &str, mode: u32| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            Secrets::read(&path)
        };
        let key = STANDARD.encode([7; 24]);
        let long = STANDARD.encode([7; 32]);
        let bare = long.trim_end_matches('=');
        let all = format!("whsec_{key}\n\n{key}\n{long}\n{bare}\n");
        assert_eq!(read(&all, 0o600).unwrap_or_default().keys().unwrap().len(), 4);
        assert_eq!(read("token", 0o400).unwrap_or_default().token(), Some("token"));
        for (text, mode, expected) in [
            ("token", 0o640, SecretError::Exposed),
            ("token", 0o604, SecretError::Exposed),
            ("", 0o600, SecretError::Malformed),
            ("\n \n", 0o600, SecretError::Malformed),
        ] {
            assert_eq!(read(text, mode).err(), Some(expected), "{text:?} {mode:o}");
        }
        for text in ["whsec_", "whsec_AAAA", "no key", &STANDARD.encode([7; 65])] {
            assert_eq!(Secrets::of(&[text]).keys().err(), Some(SecretError::Malformed), "{text}");
        }
        assert_eq!(Secrets::of(&["two words"]).token(), None);
        fs::remove_file(&path).unwrap();
        assert_eq!(Secrets::read(&path).err(), Some(SecretError::Unreadable));
        assert_eq!(Secrets::read(directory.path()).err(), Some(SecretError::Exposed));
    }
}
