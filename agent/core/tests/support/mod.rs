//! The transcripts of `tests/transcripts`.

use std::fs;
use std::path::{Path, PathBuf};

use weir_core::meter::{Catalogue, Meter};
use weir_core::replay::Transcript;

/// A transcript of the folder.
#[derive(Clone, Debug)]
pub(crate) struct Golden {
    /// Its path below the folder: `openai/chat.weir`.
    pub(crate) name: String,
    /// Its text.
    pub(crate) text: String,
}

impl Golden {
    pub(crate) fn transcript(&self) -> Transcript {
        match Transcript::parse(&self.text) {
            Ok(transcript) => transcript,
            Err(error) => panic!("{}: {error}", self.name),
        }
    }
}

/// The folder of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every transcript, by name.
pub(crate) fn goldens() -> Vec<Golden> {
    let folder = repository().join("tests/transcripts");
    let mut goldens = Vec::new();
    for provider in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
        for file in fs::read_dir(provider.path()).unwrap().map(Result::unwrap) {
            let path = file.path();
            let name = path.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned();
            assert!(name.ends_with(".weir"), "{name} is no transcript");
            goldens.push(Golden { name, text: fs::read_to_string(&path).unwrap() });
        }
    }
    goldens.sort_by(|one, other| one.name.cmp(&other.name));
    goldens
}

/// A meter with the catalogue that is built in.
pub(crate) fn meter() -> Meter {
    Meter::new(Catalogue::builtin().unwrap())
}
