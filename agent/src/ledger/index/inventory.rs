//! The inventory's rows in the store.

use std::collections::HashSet;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use sled::Batch;

use super::keys;
use super::{Index, State, decode, encode, guarded};
use crate::ledger::change::{Change, Registry};
use crate::ledger::entry::Entry;
use crate::ledger::error::IndexError;
use crate::ledger::inventory::{
    CREDENTIALS_MAX, CredentialRow, IDENTITIES_MAX, IdentityRow, Inventory, RowKey, Touched,
};

/// What a batch of lines changes in the inventory.
#[derive(Default)]
pub(super) struct Noted {
    /// The rows that were needed, and all changes.
    inventory: Inventory,
    /// The rows that differ from the store's, or are gone.
    identities: HashSet<RowKey>,
    credentials: HashSet<RowKey>,
}

impl Index {
    /// All changes.
    pub(in crate::ledger) const fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// The rows of one user or of all, and all changes.
    pub(in crate::ledger) fn inventory(&self, uid: Option<u32>) -> Result<Inventory, IndexError> {
        guarded(|| {
            let mut inventory = Inventory {
                registry: Arc::clone(&self.registry),
                forgotten: self.state.forgotten,
                damaged: self.state.damaged_rows,
                ..Inventory::default()
            };
            let identities = self.rows(keys::of_user(keys::IDENTITY, uid), "identity")?;
            let identities = identities.into_iter().map(|row: IdentityRow| (row.key(), row));
            inventory.identities.extend(identities);
            let credentials = self.rows(keys::of_user(keys::CREDENTIAL, uid), "credential")?;
            let credentials = credentials.into_iter().map(|row: CredentialRow| (row.key(), row));
            inventory.credentials.extend(credentials);
            Ok(inventory)
        })
    }

    /// The changes that the store has.
    pub(super) fn stored_registry(db: &sled::Db) -> Result<Registry, IndexError> {
        let mut registry = Registry::default();
        for row in db.scan_prefix([keys::CHANGE]) {
            let (key, value) = row?;
            let seq = keys::seq_of(&key).ok_or(IndexError::Unreadable("change"))?;
            let change: Change = decode(&value, "change")?;
            registry.take(seq, &change);
        }
        Ok(registry)
    }

    /// Where a batch begins.
    pub(super) fn noted(&self) -> Noted {
        let inventory = Inventory {
            registry: Arc::clone(&self.registry),
            forgotten: self.state.forgotten,
            ..Inventory::default()
        };
        Noted { inventory, ..Noted::default() }
    }

    /// Takes the entry in the line of that number.
    pub(super) fn note(
        &self,
        seq: u64,
        entry: &Entry,
        state: &mut State,
        noted: &mut Noted,
        batch: &mut Batch,
    ) -> Result<(), IndexError> {
        if let Entry::Change(change) = entry {
            batch.insert(keys::change(seq), encode(change, "change")?);
        }
        let Some(Touched { identity, credential }) = Touched::by(entry) else {
            noted.inventory.take(seq, entry);
            return Ok(());
        };
        state.identities += u64::from(self.fetch_identity(&identity, noted)?);
        noted.identities.insert(identity);
        if let Some(credential) = credential {
            state.credentials += u64::from(self.fetch_credential(&credential, noted)?);
            noted.credentials.insert(credential);
        }
        noted.inventory.take(seq, entry);
        let is_full = |count: u64, most: usize| count > most as u64;
        if is_full(state.identities, IDENTITIES_MAX) || is_full(state.credentials, CREDENTIALS_MAX)
        {
            self.make_room(state, noted)?;
        }
        Ok(())
    }

    /// Adds what a batch changes to what is written at once.
    pub(super) fn write_noted(noted: &Noted, batch: &mut Batch) -> Result<(), IndexError> {
        for key in &noted.identities {
            let place = keys::of_row(keys::IDENTITY, key);
            match noted.inventory.identities.get(key) {
                Some(row) => batch.insert(place, encode(row, "identity")?),
                None => batch.remove(place),
            }
        }
        for key in &noted.credentials {
            let place = keys::of_row(keys::CREDENTIAL, key);
            match noted.inventory.credentials.get(key) {
                Some(row) => batch.insert(place, encode(row, "credential")?),
                None => batch.remove(place),
            }
        }
        Ok(())
    }

    /// Replaces the whole inventory by what was known where the log begins.
    pub(super) fn begin_with(
        &self,
        known: &Inventory,
        state: &mut State,
        batch: &mut Batch,
    ) -> Result<(), IndexError> {
        for kind in [keys::IDENTITY, keys::CREDENTIAL, keys::CHANGE] {
            for key in self.db.scan_prefix([kind]).keys() {
                batch.remove(key?);
            }
        }
        for (seq, change) in known.registry.changes() {
            batch.insert(keys::change(*seq), encode(change, "change")?);
        }
        for (key, row) in &known.identities {
            batch.insert(keys::of_row(keys::IDENTITY, key), encode(row, "identity")?);
        }
        for (key, row) in &known.credentials {
            batch.insert(keys::of_row(keys::CREDENTIAL, key), encode(row, "credential")?);
        }
        state.identities = known.identities.len() as u64;
        state.credentials = known.credentials.len() as u64;
        (state.forgotten, state.damaged_rows) = (known.forgotten, known.damaged);
        Ok(())
    }

    /// Whether there is no such identity yet; else its row is at hand.
    fn fetch_identity(&self, key: &RowKey, noted: &mut Noted) -> Result<bool, IndexError> {
        if noted.identities.contains(key) {
            return Ok(!noted.inventory.identities.contains_key(key));
        }
        let stored = self.db.get(keys::of_row(keys::IDENTITY, key))?;
        if let Some(bytes) = &stored {
            noted.inventory.identities.insert(key.clone(), decode(bytes, "identity")?);
        }
        Ok(stored.is_none())
    }

    /// Whether there is no such credential yet; else its row is at hand.
    fn fetch_credential(&self, key: &RowKey, noted: &mut Noted) -> Result<bool, IndexError> {
        if noted.credentials.contains(key) {
            return Ok(!noted.inventory.credentials.contains_key(key));
        }
        let stored = self.db.get(keys::of_row(keys::CREDENTIAL, key))?;
        if let Some(bytes) = &stored {
            noted.inventory.credentials.insert(key.clone(), decode(bytes, "credential")?);
        }
        Ok(stored.is_none())
    }

    /// Forgets what was not seen for the longest. All rows are read for that, which is rare.
    fn make_room(&self, state: &mut State, noted: &mut Noted) -> Result<(), IndexError> {
        let stored: Vec<IdentityRow> = self.rows(vec![keys::IDENTITY], "identity")?;
        for row in stored {
            if !noted.identities.contains(&row.key()) {
                noted.inventory.identities.insert(row.key(), row);
            }
        }
        let stored: Vec<CredentialRow> = self.rows(vec![keys::CREDENTIAL], "credential")?;
        for row in stored {
            if !noted.credentials.contains(&row.key()) {
                noted.inventory.credentials.insert(row.key(), row);
            }
        }
        let (identities, credentials) = noted.inventory.forget_surplus();
        noted.identities.extend(identities);
        noted.credentials.extend(credentials);
        state.identities = noted.inventory.identities.len() as u64;
        state.credentials = noted.inventory.credentials.len() as u64;
        state.forgotten = noted.inventory.forgotten;
        Ok(())
    }

    fn rows<T: DeserializeOwned>(
        &self,
        prefix: Vec<u8>,
        what: &'static str,
    ) -> Result<Vec<T>, IndexError> {
        self.db.scan_prefix(prefix).map(|row| decode(&row?.1, what)).collect()
    }
}

impl Noted {
    /// All changes, those of the batch too.
    pub(super) fn into_registry(self) -> Arc<Registry> {
        self.inventory.registry
    }
}
