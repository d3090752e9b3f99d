//! What a reader tells of the inventory.

use std::collections::HashMap;
use std::sync::Arc;

use weir_core::units::Timestamp;

use super::answer::{
    IdentitiesReport, IdentityDetail, KnownCredential, KnownCredentials, KnownIdentity,
};
use super::{Inventory, known};
use crate::ledger::change::Registry;
use crate::ledger::error::LedgerError;
use crate::ledger::reader::Reader;
use crate::ledger::walk::Walk;

/// Asks for identities or credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityQuery {
    /// Only what calls of this user say.
    pub uid: Option<u32>,
    /// The moment at which it is active, dormant or so many days old.
    pub now: Timestamp,
}

/// The inventory at one moment.
struct Moment {
    inventory: Inventory,
    begins: Option<Timestamp>,
}

impl Reader {
    /// Every identity that was seen, those that were seen last first.
    ///
    /// # Errors
    /// If the log or the index can't be read.
    pub fn identities(&self, query: &IdentityQuery) -> Result<IdentitiesReport, LedgerError> {
        let Moment { inventory, begins } = self.inventory(query.uid)?;
        let (forgotten, damaged) = (inventory.forgotten, inventory.damaged);
        let (identities, _registry) = identities(inventory, query.now);
        Ok(IdentitiesReport { identities, forgotten, damaged, begins })
    }

    /// The identity of that name, be it an old one, and what was said of it. `None` if nobody with that
    /// name was ever seen.
    ///
    /// # Errors
    /// If the log or the index can't be read.
    pub fn identity(
        &self,
        name: &str,
        query: &IdentityQuery,
    ) -> Result<Option<IdentityDetail>, LedgerError> {
        let mut inventory = self.inventory(query.uid)?.inventory;
        let names = inventory.registry.names(name);
        inventory.identities.retain(|(_uid, name), _row| names.contains(name));
        let (identities, registry) = identities(inventory, query.now);
        let changes = registry.changes().values();
        let changes = changes.filter(|change| names.contains(&change.identity.0)).cloned();
        let changes = changes.collect();
        let found = identities.into_iter().next();
        Ok(found.map(|identity| IdentityDetail { identity, changes }))
    }

    /// Every credential that was seen, those that were seen last first.
    ///
    /// # Errors
    /// If the log or the index can't be read.
    pub fn credentials(&self, query: &IdentityQuery) -> Result<KnownCredentials, LedgerError> {
        let Moment { inventory, begins } = self.inventory(query.uid)?;
        let Inventory { credentials, registry, forgotten, damaged, .. } = inventory;
        let mut found: HashMap<String, KnownCredential> = HashMap::new();
        let mut rows: Vec<_> = credentials.into_iter().collect();
        rows.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        for ((_uid, fingerprint), row) in rows {
            let row = KnownCredential::new(row, &registry, query.now);
            match found.get_mut(&fingerprint) {
                Some(known) => known.add(row, query.now),
                None => drop(found.insert(fingerprint, row)),
            }
        }
        let mut credentials: Vec<_> = found.into_values().collect();
        credentials.sort_unstable_by(|a, b| {
            b.last_seen.cmp(&a.last_seen).then_with(|| a.fingerprint.cmp(&b.fingerprint))
        });
        Ok(KnownCredentials { credentials, forgotten, damaged, begins })
    }

    /// The name of today of the identity that has or had this one.
    ///
    /// # Errors
    /// If the log or the index can't be read.
    pub fn current_name(&self, name: &str) -> Result<String, LedgerError> {
        Ok(self.registry()?.current(name).to_owned())
    }

    /// How many changes there were.
    ///
    /// # Errors
    /// If the log or the index can't be read.
    pub fn change_count(&self) -> Result<usize, LedgerError> {
        Ok(self.registry()?.changes().len())
    }

    /// Which names stand for which, and who is offboarded.
    pub(in crate::ledger) fn registry(&self) -> Result<Arc<Registry>, LedgerError> {
        if let Some(index) = self.0.index().as_ref() {
            return Ok(Arc::clone(&index.inventory().registry));
        }
        Ok(self.inventory(None)?.inventory.registry)
    }

    /// All rows and all changes.
    #[cfg(test)]
    pub(in crate::ledger) fn whole_inventory(&self) -> Result<Inventory, LedgerError> {
        Ok(self.inventory(None)?.inventory)
    }

    /// Rows of one user or of all, and all changes.
    fn inventory(&self, uid: Option<u32>) -> Result<Moment, LedgerError> {
        let index = self.0.index();
        let status = self.0.status().clone();
        let mut begins = None;
        let (mut inventory, covered) = match index.as_ref() {
            Some(index) => {
                let is_asked = |owner| uid.is_none_or(|uid| uid == owner);
                let inventory =
                    index.inventory().filtered(|row| is_asked(row.uid), |row| is_asked(row.uid));
                begins = index.state().first;
                (inventory, index.state().position.max(status.anchor.position()))
            }
            None => (known::at(&self.0.log_dir, &status.anchor)?, status.anchor.position()),
        };
        let mut rest = Walk::new(&self.0.log_dir, covered, status.committed)?;
        drop(index);
        while let Some(item) = rest.step()? {
            if let Some(entry) = item.entry {
                begins = begins.or(Some(entry.alive_at()));
                inventory.take(item.span.seq, &entry);
            }
        }
        if let Some(uid) = uid {
            inventory.identities.retain(|(owner, _name), _row| *owner == uid);
            inventory.credentials.retain(|(owner, _print), _row| *owner == uid);
        }
        let identities = inventory.identities.values().map(|row| row.first_seen);
        let begins = begins.into_iter().chain(identities).min();
        Ok(Moment { inventory, begins })
    }
}

/// Puts the rows of each identity together.
fn identities(inventory: Inventory, now: Timestamp) -> (Vec<KnownIdentity>, Arc<Registry>) {
    let Inventory { identities, registry, .. } = inventory;
    let mut found: HashMap<String, KnownIdentity> = HashMap::new();
    let mut rows: Vec<_> = identities.into_iter().collect();
    rows.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    for ((_uid, name), row) in rows {
        let current = registry.current(&name);
        let row = KnownIdentity::new(current, row, &registry, now);
        match found.get_mut(current) {
            Some(known) => known.add(row, now),
            None => drop(found.insert(current.to_owned(), row)),
        }
    }
    let mut identities: Vec<_> = found.into_values().collect();
    identities.sort_unstable_by(|a, b| {
        b.last_seen.cmp(&a.last_seen).then_with(|| a.identity.cmp(&b.identity))
    });
    (identities, registry)
}
