//! What is known of each identity and each credential that was ever seen.
//!
//! It follows from the log alone, one line after the other: the index keeps it in memory and in a file, and what
//! the index doesn't cover is taken in by whoever asks, by the same [`Inventory::take`]. When retention
//! removes days, what their lines say goes into a file beside the log first ([`known`]), so that a
//! row says when an identity was first seen also after the lines of that day are gone.

mod answer;
mod ask;
pub(super) mod known;
mod plain;
mod rows;
mod values;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use weir_core::blind::{BlindSpot, PlainRequest};
use weir_core::meter::UsageRecord;
use weir_core::units::{Role, Timestamp};

use super::change::Registry;
use super::entry::Entry;

pub use answer::{
    DORMANT_AFTER_DAYS, IdentitiesReport, IdentityDetail, IdentityKind, KnownCredential,
    KnownCredentials, KnownIdentity, Offboarding, Standing,
};
pub use ask::IdentityQuery;
pub use plain::{PlainHttp, Sightings};
pub(super) use rows::{CredentialRow, IdentityRow, RowKey};
pub use values::Values;

/// Most identities that are remembered; beyond it, an eighth of them goes: those that were not seen
/// for the longest. Few in tests, so that they come there.
pub(super) const IDENTITIES_MAX: usize = if cfg!(test) { 16 } else { 1 << 15 };
/// The same of credentials.
pub(super) const CREDENTIALS_MAX: usize = if cfg!(test) { 16 } else { 1 << 15 };

/// About how many bytes all rows may take in memory. Beyond it rows are forgotten, too.
const BYTES_MAX: usize = 64 << 20;

/// Rows and changes; of the rows perhaps only those that are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Inventory {
    pub(super) identities: HashMap<RowKey, IdentityRow>,
    pub(super) credentials: HashMap<RowKey, CredentialRow>,
    /// About how many bytes the rows take.
    bytes: usize,
    pub(super) registry: Arc<Registry>,
    /// How many rows there was no room for any more.
    pub(super) forgotten: u64,
    /// How many of those that were written down can't be read.
    pub(super) damaged: u64,
}

impl Inventory {
    /// Takes the entry in the line of that number. Where there are too many identities or credentials
    /// then, or they take too much, those that were not seen for the longest are forgotten.
    pub(super) fn take(&mut self, seq: u64, entry: &Entry) {
        match entry {
            Entry::Call(record) => match record.role {
                Role::Client => self.note(record),
                Role::Server => {}
            },
            Entry::Change(change) => Arc::make_mut(&mut self.registry).take(seq, change),
            Entry::Blind(spot) => {
                // One without a connection only says how much more others have carried.
                if let Some(said) = spot.plain_http.as_ref().filter(|_| spot.connections > 0) {
                    self.note_plain(spot, said);
                }
            }
            Entry::Edge(_)
            | Entry::Batch(_)
            | Entry::Finding(_)
            | Entry::Alert(_)
            | Entry::Block(_)
            | Entry::Loss(_)
            | Entry::Start(_)
            | Entry::Stop(_) => {}
        }
    }

    /// The same without the rows that are not wanted.
    pub(super) fn filtered(
        &self,
        identity: impl Fn(&IdentityRow) -> bool,
        credential: impl Fn(&CredentialRow) -> bool,
    ) -> Self {
        let mut kept = Self {
            registry: Arc::clone(&self.registry),
            forgotten: self.forgotten,
            damaged: self.damaged,
            ..Self::default()
        };
        self.identities.values().filter(|row| identity(row)).cloned().for_each(|row| kept.add(row));
        let credentials = self.credentials.values().filter(|row| credential(row)).cloned();
        credentials.for_each(|row| kept.add_credential(row));
        kept
    }

    /// Adds a row that is not there yet.
    fn add(&mut self, row: IdentityRow) {
        self.bytes = self.bytes.saturating_add(row.weight());
        self.identities.insert(row.key(), row);
    }

    /// The same of a credential.
    fn add_credential(&mut self, row: CredentialRow) {
        self.bytes = self.bytes.saturating_add(row.weight());
        self.credentials.insert(row.key(), row);
    }

    /// A call that somebody on this host made.
    fn note(&mut self, record: &UsageRecord) {
        let uid = record.process.uid;
        let key = (uid, rows::name_of(&record.identity).to_owned());
        let current = self.registry.current(&key.1);
        let offboarded = self.registry.offboarded(current).map(|(seq, _change)| seq);
        let before = self.identities.get(&key).map_or(0, IdentityRow::weight);
        let row = self.identities.entry(key);
        let row = row.or_insert_with_key(|key| IdentityRow::new(key, record.time));
        row.take(record, offboarded);
        self.bytes = self.bytes.saturating_sub(before).saturating_add(row.weight());
        if let Some(print) = record.credential.as_ref().map(ToString::to_string) {
            let key = (uid, print);
            let before = self.credentials.get(&key).map_or(0, CredentialRow::weight);
            let row = self.credentials.entry(key);
            let row = row.or_insert_with_key(|key| CredentialRow::new(key, record.time));
            row.take(record);
            self.bytes = self.bytes.saturating_sub(before).saturating_add(row.weight());
        }
        self.make_room();
    }

    /// Requests that somebody on this host made in plain HTTP.
    fn note_plain(&mut self, spot: &BlindSpot, said: &PlainRequest) {
        let uid = spot.process.uid;
        let key = (uid, rows::name_of(&spot.identity).to_owned());
        let before = self.identities.get(&key).map_or(0, IdentityRow::weight);
        let row = self.identities.entry(key);
        let row = row.or_insert_with_key(|key| IdentityRow::new(key, spot.time));
        row.take_plain(spot, said);
        self.bytes = self.bytes.saturating_sub(before).saturating_add(row.weight());
        if let Some(print) = said.credential.as_ref().map(ToString::to_string) {
            let key = (uid, print);
            let before = self.credentials.get(&key).map_or(0, CredentialRow::weight);
            let row = self.credentials.entry(key);
            let row = row.or_insert_with_key(|key| CredentialRow::new(key, spot.time));
            row.take_plain(spot, said);
            self.bytes = self.bytes.saturating_sub(before).saturating_add(row.weight());
        }
        self.make_room();
    }

    fn make_room(&mut self) {
        let is_heavy = self.bytes > BYTES_MAX;
        if is_heavy || self.identities.len() > IDENTITIES_MAX {
            let gone = forget(&mut self.identities, |row| (row.last_seen, row.weight()));
            self.note_gone(gone);
        }
        if is_heavy || self.credentials.len() > CREDENTIALS_MAX {
            let gone = forget(&mut self.credentials, |row| (row.last_seen, row.weight()));
            self.note_gone(gone);
        }
    }

    fn note_gone(&mut self, (rows, bytes): (u64, usize)) {
        self.forgotten = self.forgotten.saturating_add(rows);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// Removes an eighth of the rows, those that were not seen for the longest. Says how many, and their
/// weight.
fn forget<K: Clone + Eq + Hash + Ord, V>(
    rows: &mut HashMap<K, V>,
    seen_and_weight: impl Fn(&V) -> (Timestamp, usize),
) -> (u64, usize) {
    let mut keys: Vec<(Timestamp, K, usize)> = rows
        .iter()
        .map(|(key, row)| {
            let (seen, weight) = seen_and_weight(row);
            (seen, key.clone(), weight)
        })
        .collect();
    keys.sort_unstable();
    keys.truncate(rows.len().div_ceil(8));
    for (_seen, key, _weight) in &keys {
        rows.remove(key);
    }
    (keys.len() as u64, keys.iter().map(|(_seen, _key, weight)| weight).sum())
}
