//! What somebody who follows the log remembers, and the place up to which it has: one file for each, that is
//! replaced as a whole. Whoever has none begins at an earlier place, or at the start.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::{At, LedgerError};
use super::files;
use super::position::Position;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 512 << 20;
/// Most parts of one.
const PARTS_MAX: usize = 256;

/// Where checkpoints of one kind are kept.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    dir: PathBuf,
    name: &'static str,
}

/// What was remembered at a place of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Everything before it is in `parts`, and nothing after it.
    pub position: Position,
    /// What was remembered, by name.
    pub parts: Vec<(String, Vec<u8>)>,
}

/// The first line of a file. The parts follow in this order.
#[derive(Serialize, Deserialize)]
struct Head {
    #[serde(flatten)]
    contents: Contents,
    /// SHA-256 of the contents and the parts, in hexadecimal digits.
    sha256: String,
}

#[derive(Serialize, Deserialize)]
struct Contents {
    position: Position,
    /// Names, and lengths in bytes.
    parts: Vec<(String, u64)>,
}

impl Checkpoints {
    /// Those of `name` in the state directory.
    #[must_use]
    pub fn new(state_dir: &Path, name: &'static str) -> Self {
        Self { dir: state_dir.join("checkpoints"), name }
    }

    /// Replaces the last one. When it returns, this one is on the disk.
    ///
    /// # Errors
    /// If it can't be written; then the last one is still there.
    pub fn save(&self, checkpoint: &Checkpoint) -> Result<(), LedgerError> {
        files::private_dir(&self.dir).at("create", &self.dir)?;
        let Checkpoint { position, parts } = checkpoint;
        let body: Vec<u8> = parts.iter().flat_map(|(_, part)| part).copied().collect();
        let lengths = parts.iter().map(|(name, part)| (name.clone(), part.len() as u64)).collect();
        let contents = Contents { position: *position, parts: lengths };
        let path = self.dir.join(self.name);
        let head = digest(&contents, &body).map(|sha256| Head { contents, sha256 });
        let head = head.and_then(|head| serde_json::to_vec(&head));
        let mut content = head.map_err(std::io::Error::from).at("write", &path)?;
        content.push(b'\n');
        content.extend_from_slice(&body);
        files::replace(&self.dir, self.name, &content).at("write", &path)
    }

    /// The last one; `None` if there is none, or none that is whole.
    ///
    /// # Errors
    /// If there is a file that can't be read.
    pub fn load(&self) -> Result<Option<Checkpoint>, LedgerError> {
        let path = self.dir.join(self.name);
        let Some(file) = files::if_found(File::open(&path)).at("open", &path)? else {
            return Ok(None);
        };
        let mut content = Vec::new();
        file.take(LARGEST).read_to_end(&mut content).at("read", &path)?;
        Ok(read(&content))
    }

    /// Forgets the last one.
    ///
    /// # Errors
    /// If it can't be removed.
    pub fn remove(&self) -> Result<(), LedgerError> {
        let path = self.dir.join(self.name);
        files::if_found(fs::remove_file(&path)).at("remove", &path).map(drop)
    }
}

fn read(content: &[u8]) -> Option<Checkpoint> {
    let end = content.iter().position(|byte| *byte == b'\n')?;
    let Head { contents, sha256 } = serde_json::from_slice(&content[..end]).ok()?;
    let mut body = content.get(end + 1..)?;
    if digest(&contents, body).ok()? != sha256 || contents.parts.len() > PARTS_MAX {
        return None;
    }
    let mut parts = Vec::new();
    for (name, length) in contents.parts {
        let (part, rest) = body.split_at_checked(usize::try_from(length).ok()?)?;
        parts.push((name, part.to_vec()));
        body = rest;
    }
    body.is_empty().then_some(Checkpoint { position: contents.position, parts })
}

fn digest(contents: &Contents, body: &[u8]) -> serde_json::Result<String> {
    let contents = serde_json::to_vec(contents)?;
    let digest = Sha256::new().chain_update(contents).chain_update(body).finalize();
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn checkpoint(parts: Vec<(String, Vec<u8>)>) -> Checkpoint {
        Checkpoint { position: Position { seq: 7, ..Position::START }, parts }
    }

    #[test]
    fn the_last_one_counts() {
        let dir = tempfile::tempdir().unwrap();
        let kept = Checkpoints::new(dir.path(), "detect");
        assert_eq!(kept.load().unwrap(), None);
        for parts in [vec![], vec![("a".to_owned(), b"1\n2".to_vec()), ("b".to_owned(), vec![])]] {
            kept.save(&checkpoint(parts.clone())).unwrap();
            assert_eq!(kept.load().unwrap(), Some(checkpoint(parts)));
        }
        kept.remove().unwrap();
        kept.remove().unwrap();
        assert_eq!(kept.load().unwrap(), None);
    }

    proptest! {
        #[test]
        fn what_is_damaged_counts_for_nothing(
            part in prop::collection::vec(any::<u8>(), 0..64),
            cut in any::<prop::sample::Index>(),
            bit in 0..8_u8,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let kept = Checkpoints::new(dir.path(), "detect");
            kept.save(&checkpoint(vec![("a".to_owned(), part)])).unwrap();
            let path = dir.path().join("checkpoints/detect");
            let content = fs::read(&path).unwrap();
            let place = cut.index(content.len());
            prop_assert_eq!(read(&content[..place]), None);
            let mut flipped = content;
            flipped[place] ^= 1 << bit;
            prop_assert_eq!(read(&flipped), None);
        }
    }
}
