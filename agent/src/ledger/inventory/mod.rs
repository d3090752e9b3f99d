//! What is known of each identity and each credential that was ever seen.
//!
//! It follows from the log alone, one line after the other: the index keeps it in rows, and what the
//! index doesn't cover is taken in by whoever asks, by the same [`Inventory::take`]. When retention
//! removes days, what their lines say goes into a file beside the log first ([`known`]), so that a
//! row says when an identity was first seen also after the lines of that day are gone.

mod answer;
mod ask;
pub(super) mod known;
mod rows;
mod values;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use weir_core::meter::UsageRecord;
use weir_core::units::{Role, Timestamp};

use super::change::Registry;
use super::entry::Entry;

pub use answer::{
    DORMANT_AFTER_DAYS, IdentitiesReport, IdentityDetail, IdentityKind, KnownCredential,
    KnownCredentials, KnownIdentity, Offboarding, Standing,
};
pub use ask::IdentityQuery;
pub(super) use rows::{CredentialRow, IdentityRow, RowKey};
pub use values::Values;

/// Most identities that are remembered; beyond it, an eighth of them goes: those that were not seen
/// for the longest. Few in tests, so that they come there.
pub(super) const IDENTITIES_MAX: usize = if cfg!(test) { 16 } else { 1 << 16 };
/// The same of credentials.
pub(super) const CREDENTIALS_MAX: usize = if cfg!(test) { 16 } else { 1 << 16 };

/// Rows and changes; of the rows perhaps only those that are needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Inventory {
    pub(super) identities: HashMap<RowKey, IdentityRow>,
    pub(super) credentials: HashMap<RowKey, CredentialRow>,
    pub(super) registry: Arc<Registry>,
    /// How many rows there was no room for any more.
    pub(super) forgotten: u64,
    /// How many of those that were written down can't be read.
    pub(super) damaged: u64,
}

/// The rows that a call is noted in.
#[derive(Debug)]
pub(super) struct Touched {
    pub(super) identity: RowKey,
    pub(super) credential: Option<RowKey>,
}

impl Touched {
    /// Those of an entry, if it is a call that somebody on this host made.
    pub(super) fn by(entry: &Entry) -> Option<Self> {
        let Entry::Call(record) = entry else { return None };
        match record.role {
            Role::Client => Some(Self::of(record)),
            Role::Server => None,
        }
    }

    fn of(record: &UsageRecord) -> Self {
        let uid = record.process.uid;
        let credential = record.credential.as_ref().map(|print| (uid, print.to_string()));
        Self { identity: (uid, rows::name_of(record).to_owned()), credential }
    }
}

impl Inventory {
    /// Takes the entry in the line of that number. The rows that it touches have to be there, if they
    /// exist; what is forgotten for it is for [`Self::forget_surplus`].
    pub(super) fn take(&mut self, seq: u64, entry: &Entry) {
        match entry {
            Entry::Call(record) => {
                let Some(touched) = Touched::by(entry) else { return };
                let current = self.registry.current(&touched.identity.1);
                let offboarded = self.registry.offboarded(current).map(|(seq, _change)| seq);
                let row = self.identities.entry(touched.identity);
                row.or_insert_with(|| IdentityRow::new(record)).take(record, offboarded);
                if let Some(key) = touched.credential {
                    let fingerprint = key.1.clone();
                    let row = self.credentials.entry(key);
                    row.or_insert_with(|| CredentialRow::new(record, &fingerprint)).take(record);
                }
            }
            Entry::Change(change) => Arc::make_mut(&mut self.registry).take(seq, change),
            Entry::Edge(_)
            | Entry::Batch(_)
            | Entry::Blind(_)
            | Entry::Loss(_)
            | Entry::Start(_)
            | Entry::Stop(_) => {}
        }
    }

    /// [`Self::take`] where all rows are there, so that it shows when there are too many.
    pub(super) fn take_whole(&mut self, seq: u64, entry: &Entry) {
        self.take(seq, entry);
        let _not_rows_of_a_store = self.forget_surplus();
    }

    /// Forgets the identities and credentials that were not seen for the longest, if there are more than
    /// there is room for. All rows have to be there. Returns which went.
    pub(super) fn forget_surplus(&mut self) -> (Vec<RowKey>, Vec<RowKey>) {
        let identities = forget(&mut self.identities, IDENTITIES_MAX, |row| row.last_seen);
        let credentials = forget(&mut self.credentials, CREDENTIALS_MAX, |row| row.last_seen);
        let gone = (identities.len() + credentials.len()) as u64;
        self.forgotten = self.forgotten.saturating_add(gone);
        (identities, credentials)
    }
}

/// Removes an eighth of the rows if they are more than `most`.
fn forget<K: Clone + Eq + Hash + Ord, V>(
    rows: &mut HashMap<K, V>,
    most: usize,
    last_seen: impl Fn(&V) -> Timestamp,
) -> Vec<K> {
    if rows.len() <= most {
        return Vec::new();
    }
    let mut keys: Vec<(Timestamp, K)> =
        rows.iter().map(|(key, row)| (last_seen(row), key.clone())).collect();
    keys.sort_unstable();
    keys.truncate(rows.len() - (most - most / 8));
    keys.into_iter()
        .map(|(_seen, key)| {
            rows.remove(&key);
            key
        })
        .collect()
}
