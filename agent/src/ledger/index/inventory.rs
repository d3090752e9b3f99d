//! The inventory beside the store: in memory, since every call changes two of its rows and the store would
//! write each of them anew, and now and then in a file, so that opening has little of the log to read.

use std::path::Path;

use super::Index;
use crate::ledger::anchor::Anchor;
use crate::ledger::entry::Entry;
use crate::ledger::error::{IndexError, LedgerError};
use crate::ledger::inventory::{Inventory, known};
use crate::ledger::log::Span;
use crate::ledger::position::Position;
use crate::ledger::walk::Walk;

const NAME: &str = "inventory.jsonl";
/// Lines after which the file is written anew. To read so many again takes about a second. Few in tests, so
/// that it is.
const SAVE_EVERY: u64 = if cfg!(test) { 40 } else { 1 << 16 };

/// The inventory, and the log up to where it has been taken in. That may be beyond what the store covers,
/// which may lose what it wrote last: then nothing is taken in twice.
#[derive(Debug, Default)]
pub(super) struct Kept {
    inventory: Inventory,
    covered: Option<Position>,
    /// Lines since the file was written.
    unsaved: u64,
}

impl Index {
    /// What is known up to what is covered.
    pub(in crate::ledger) const fn inventory(&self) -> &Inventory {
        &self.kept.inventory
    }

    /// Reads the inventory, and the lines of the log between it and what the store covers.
    pub(in crate::ledger) fn load_inventory(
        &mut self,
        log_dir: &Path,
        anchor: &Anchor,
    ) -> Result<(), LedgerError> {
        let saved = known::saved(&self.dir.join(NAME))?;
        let saved = saved.filter(|(position, _inventory)| *position >= anchor.position());
        let (from, inventory) = match saved {
            Some(saved) => saved,
            None => (anchor.position(), known::at(log_dir, anchor)?),
        };
        self.kept = Kept { inventory, covered: Some(from), unsaved: 0 };
        if from < self.state.position {
            let mut walk = Walk::new(log_dir, from, self.state.position)?;
            while let Some(item) = walk.step()? {
                self.kept.take(item.span, item.entry.as_ref());
            }
        }
        Ok(())
    }

    /// Takes in lines that the store has taken in.
    pub(super) fn take_into_inventory(&mut self, lines: &[(Span, Option<&Entry>)]) {
        for (span, entry) in lines {
            self.kept.take(*span, *entry);
        }
        if self.kept.unsaved >= SAVE_EVERY
            && let Err(error) = self.save_inventory()
        {
            // What was saved before is still good: there is only more to read again.
            tracing::warn!(%error, "what is known of identities can't be saved");
            self.kept.unsaved = 0;
        }
    }

    /// Writes the inventory to its file.
    pub(in crate::ledger) fn save_inventory(&mut self) -> Result<(), IndexError> {
        let Some(covered) = self.kept.covered else { return Ok(()) };
        if self.kept.unsaved > 0 {
            known::save(&self.dir, NAME, covered, &self.kept.inventory)
                .map_err(|error| IndexError::Log(Box::new(error)))?;
            self.kept.unsaved = 0;
        }
        Ok(())
    }
}

impl Kept {
    fn take(&mut self, span: Span, entry: Option<&Entry>) {
        let after = Position { day: span.day, offset: span.end, seq: span.seq.saturating_add(1) };
        if self.covered.is_some_and(|covered| after <= covered) {
            return;
        }
        if let Some(entry) = entry {
            self.inventory.take(span.seq, entry);
        }
        self.covered = Some(after);
        self.unsaved = self.unsaved.saturating_add(1);
    }
}
