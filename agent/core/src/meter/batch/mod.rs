//! Whose the results of a batch are: its creator's, where this host saw the creation, whoever fetches
//! them. Where it didn't, they are of who fetches them, and the record says so ([`Creator`]).
//!
//! What is known of a batch are claims. A process makes its own TLS client say whom it speaks to and
//! what it has heard, so it can play a creation, an answer or results to us that never were. The rules
//! that keep what can be won by that small:
//!
//! 1. Who shows a creation can only name itself as the creator.
//! 2. The first creation wins, and others of the same id are refused and counted. The true one is the
//!    first: the provider makes the id up in its answer, and nobody knows it before.
//! 3. A batch that was asked after or fetched before its creation was seen is not bound: it was created
//!    out of sight, and whoever shows a creation now is late.
//! 4. A file belongs to the first batch that an answer names it with, and to none whose creation was
//!    not seen.
//! 5. Who asks after a batch, or fetches its results, must do so with a credential that may be of the
//!    same account: both have one or neither has, and no organisation, project or workspace differs.
//!    It needn't be the same one: an account has many, and tokens change within the life of a batch.
//!
//! What is left: a process that was told the id of another's batch, and shows a credential that may be
//! of its account, can bill its creator for results that it makes up. The record names who has fetched
//! them and with what (`retrieved_by`, `retrieved_with`).

mod record;
#[cfg(test)]
mod tests;

use std::num::NonZeroUsize;

use jiff::SignedDuration;
use lru::LruCache;

use super::payer::Payer;
use super::record::UsageRecord;
use crate::identity::{Attribution, IdentityId};
use crate::provider::BatchNews;
use crate::units::{Role, Timestamp};
pub use record::{BatchKey, BatchRecord, BatchResult, Creator};

/// Most batches and files that are remembered, about 1 KiB each. What is older is asked for where
/// records are kept.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(8192).unwrap();
/// How long after its creation a batch is known. It is over within a day; Anthropic keeps its results
/// for 29 days, and OpenAI for at most 30 where they are to expire at all (`output_expires_after`).
/// What is fetched still later is whoever's fetches it.
const LIFE: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Ids beside or inside a credential that differ only between accounts, or between parts of one that
/// don't see each other's batches.
const ACCOUNTS: [&str; 3] = ["openai_organization", "openai_project", "anthropic_workspace"];

/// The batches that were created on this host, as far as they are remembered. In memory only.
#[derive(Debug)]
pub struct Batches {
    known: LruCache<BatchKey, Known>,
    refused: u64,
}

/// What is known of a batch or a file that was spoken of.
#[derive(Clone, Debug)]
enum Known {
    /// Who created the batch.
    Created(Box<BatchRecord>),
    /// Nobody who created it was seen.
    Unseen,
}

impl Default for Batches {
    fn default() -> Self {
        Self { known: LruCache::new(REMEMBERED), refused: 0 }
    }
}

impl Batches {
    /// Takes what `teller` was told of a batch, by the rules above. Returns what is new of it, to be
    /// kept.
    ///
    /// `stored` is asked for what is kept already, and not older than that time, of what isn't
    /// remembered.
    pub fn learn(
        &mut self,
        news: &BatchNews,
        teller: &Attribution,
        stored: impl Fn(BatchKey, Timestamp) -> Option<BatchRecord>,
    ) -> Vec<BatchRecord> {
        let key = BatchKey::of_batch(news.provider, &news.host, &news.id);
        let payer = Payer::new(teller, news.credential.clone());
        match (self.find(key, news.time, &stored), news.created) {
            (None, true) => {
                let batch = BatchRecord::new(news, payer);
                self.remember(batch.clone());
                let files = self.learn_files(&batch, news, &batch.creator.identity, stored);
                std::iter::once(batch).chain(files).collect()
            }
            (Some(Known::Created(batch)), true) if batch.creator.identity != payer.identity => {
                self.refused += 1;
                Vec::new()
            }
            (Some(Known::Created(batch)), _) if may_share_account(&batch.creator, &payer) => {
                self.learn_files(&batch, news, &payer.identity, stored)
            }
            (Some(Known::Created(_)), _) | (Some(Known::Unseen), true) => {
                self.refused += 1;
                Vec::new()
            }
            (Some(Known::Unseen) | None, false) => {
                self.known.put(key, Known::Unseen);
                Vec::new()
            }
        }
    }

    /// Bills `record` to the creator of the batch that it is a result of, if that is known. `stored`
    /// is as in [`Self::learn`].
    #[must_use]
    pub fn charge(
        &mut self,
        mut record: UsageRecord,
        stored: impl Fn(BatchKey, Timestamp) -> Option<BatchRecord>,
    ) -> UsageRecord {
        // Whoever answers is not billed.
        let Some(key) = key_of(&record).filter(|_| record.role == Role::Client) else {
            return record;
        };
        match self.find(key, record.time, &stored) {
            Some(Known::Created(batch)) if may_share_account(&batch.creator, &record.payer()) => {
                let BatchRecord { batch, file, creator, .. } = *batch;
                record.charge(creator);
                record.result_of =
                    Some(BatchResult { batch: Some(batch), file, creator: Creator::Seen });
            }
            Some(Known::Created(_) | Known::Unseen) => {}
            None => _ = self.known.put(key, Known::Unseen),
        }
        record
    }

    /// How much that was said of batches was not believed.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// Takes which files `teller` was told that the results of a batch are in.
    fn learn_files(
        &mut self,
        batch: &BatchRecord,
        news: &BatchNews,
        teller: &IdentityId,
        stored: impl Fn(BatchKey, Timestamp) -> Option<BatchRecord>,
    ) -> Vec<BatchRecord> {
        let mut learnt = Vec::new();
        for file in &news.files {
            let record = batch.of_file(file, news.time, teller);
            match self.find(record.key(), news.time, &stored) {
                Some(Known::Created(known)) => {
                    self.refused += u64::from(known.batch != batch.batch);
                }
                Some(Known::Unseen) | None => {
                    self.remember(record.clone());
                    learnt.push(record);
                }
            }
        }
        learnt
    }

    /// What is known of that at `now`, here or in what is kept.
    fn find(
        &mut self,
        key: BatchKey,
        now: Timestamp,
        stored: impl Fn(BatchKey, Timestamp) -> Option<BatchRecord>,
    ) -> Option<Known> {
        let lives = |batch: &BatchRecord| now.duration_since(batch.created) <= LIFE;
        match self.known.get(&key) {
            Some(Known::Created(batch)) if !lives(batch) => {
                self.known.pop(&key);
                None
            }
            Some(known) => Some(known.clone()),
            None => {
                let oldest = now.saturating_sub(LIFE).unwrap_or(Timestamp::MIN);
                let batch = stored(key, oldest).filter(lives)?;
                self.remember(batch.clone());
                Some(Known::Created(Box::new(batch)))
            }
        }
    }

    fn remember(&mut self, batch: BatchRecord) {
        self.known.put(batch.key(), Known::Created(Box::new(batch)));
    }
}

/// What a result of a batch was fetched as.
fn key_of(record: &UsageRecord) -> Option<BatchKey> {
    let (result, host) = (record.result_of.as_ref()?, record.host.as_deref()?);
    match (&result.file, &result.batch) {
        (Some(file), _) => Some(BatchKey::of_file(&record.provider, host, file)),
        (None, Some(batch)) => Some(BatchKey::of_batch(&record.provider, host, batch)),
        (None, None) => None,
    }
}

/// Whether two credentials may be of the same account, by all that is known of them.
fn may_share_account(one: &Payer, other: &Payer) -> bool {
    let differs = |name: &str| {
        let ids = one.credential_ids.get(name).zip(other.credential_ids.get(name));
        ids.is_some_and(|(one, other)| one != other)
    };
    one.credential.is_some() == other.credential.is_some() && !ACCOUNTS.into_iter().any(differs)
}
