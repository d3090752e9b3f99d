//! What is kept of a batch, and what a record says of the batch that it is a result of.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::identity::IdentityId;
use crate::meter::payer::Payer;
use crate::provider::{BatchNews, ResultOf};
use crate::units::Timestamp;

/// Where the result of a batch was fetched from, and what is known of who is to be billed for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchResult {
    /// The batch. Where results are in files, absent if nobody was told on this host whose file it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
    /// The file, where results are in files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Whether it was seen who created the batch.
    pub creator: Creator,
}

/// Whether it was seen who created a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Creator {
    /// It was: the record's `identity`, whoever fetched the results.
    Seen,
    /// It was created elsewhere, or out of sight: the record's `identity` is who fetched the results.
    Unseen,
}

impl From<ResultOf> for BatchResult {
    fn from(fetched: ResultOf) -> Self {
        let (batch, file) = match fetched {
            ResultOf::Batch(id) => (Some(id), None),
            ResultOf::File(id) => (None, Some(id)),
        };
        Self { batch, file, creator: Creator::Unseen }
    }
}

/// A batch that was created on this host, or a file that holds results of it, and who created the
/// batch. Its JSON is a public contract: fields are added, never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchRecord {
    /// When this was said: the first byte of the request was seen then.
    pub time: Timestamp,
    /// When the batch was created.
    pub created: Timestamp,
    /// Whose batch it is, as `provider` of the calls that are its results.
    pub provider: String,
    /// What the request's `Host` says. A claim of the caller.
    pub host: String,
    /// The batch.
    pub batch: String,
    /// The file; absent in the record of the batch itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Who was told that it is the file of this batch, where that is not who created the batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_to: Option<IdentityId>,
    /// Who created the batch.
    #[serde(flatten)]
    pub creator: Payer,
}

impl BatchRecord {
    /// The record of a batch that was created by that.
    pub(super) fn new(news: &BatchNews, creator: Payer) -> Self {
        Self {
            time: news.time,
            created: news.time,
            provider: news.provider.to_owned(),
            host: news.host.clone(),
            batch: news.id.clone(),
            file: None,
            told_to: None,
            creator,
        }
    }

    /// The record of a file of this batch, which `reader` was told of.
    pub(super) fn of_file(&self, file: &str, time: Timestamp, reader: &IdentityId) -> Self {
        let told_to = Some(reader).filter(|reader| **reader != self.creator.identity);
        Self { time, file: Some(file.to_owned()), told_to: told_to.cloned(), ..self.clone() }
    }

    /// What it is found by.
    #[must_use]
    pub fn key(&self) -> BatchKey {
        match &self.file {
            Some(file) => BatchKey::of_file(&self.provider, &self.host, file),
            None => BatchKey::of_batch(&self.provider, &self.host, &self.batch),
        }
    }
}

/// Stands for a batch, or a file of results, of one provider at one host: 128 bits of SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BatchKey(pub [u8; 16]);

impl BatchKey {
    pub(super) fn of_batch(provider: &str, host: &str, id: &str) -> Self {
        Self::of("batch", provider, host, id)
    }

    pub(super) fn of_file(provider: &str, host: &str, id: &str) -> Self {
        Self::of("file", provider, host, id)
    }

    /// Another server can't be meant, whatever its ids are.
    fn of(kind: &str, provider: &str, host: &str, id: &str) -> Self {
        let host = host.to_ascii_lowercase();
        let host = host.strip_suffix(":443").unwrap_or(&host).trim_end_matches('.');
        let mut hash = Sha256::new();
        for part in [kind, provider, host, id] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().first_chunk().copied().unwrap_or_default())
    }
}
