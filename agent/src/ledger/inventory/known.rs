//! The inventory as it was when retention cut the log: a file beside it, named after the first day that
//! is kept. One JSON object a line.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{CredentialRow, IdentityRow, Inventory};
use crate::ledger::anchor::Anchor;
use crate::ledger::change::Change;
use crate::ledger::day::Day;
use crate::ledger::error::{At, LedgerError};
use crate::ledger::files;
use crate::ledger::position::Position;
use crate::ledger::walk::Walk;

/// One line.
#[derive(Serialize, Deserialize)]
#[serde(tag = "row", rename_all = "lowercase")]
enum Row {
    Identity(IdentityRow),
    Credential(CredentialRow),
    Change {
        seq: u64,
        #[serde(flatten)]
        change: Change,
    },
    /// Rows that there was no room for, and rows that could not be read.
    Missing {
        forgotten: u64,
        damaged: u64,
    },
}

/// What was known where the log begins. A log that is whole begins with nothing. A row that can't be
/// read is passed over and counted.
pub(in crate::ledger) fn at(log_dir: &Path, anchor: &Anchor) -> Result<Inventory, LedgerError> {
    let mut inventory = Inventory::default();
    if *anchor == Anchor::WHOLE {
        return Ok(inventory);
    }
    let path = path(log_dir, anchor.day);
    // A log that was cut before there was an inventory has none.
    let Some(file) = files::if_found(File::open(&path)).at("open", &path)? else {
        return Ok(inventory);
    };
    for line in BufReader::new(file).split(b'\n') {
        match serde_json::from_slice(&line.at("read", &path)?) {
            Ok(Row::Identity(row)) => {
                inventory.identities.insert(row.key(), row);
            }
            Ok(Row::Credential(row)) => {
                inventory.credentials.insert(row.key(), row);
            }
            Ok(Row::Change { seq, change }) => {
                Arc::make_mut(&mut inventory.registry).take(seq, &change);
            }
            Ok(Row::Missing { forgotten, damaged }) => {
                (inventory.forgotten, inventory.damaged) =
                    (forgotten, inventory.damaged.saturating_add(damaged));
            }
            Err(_damaged) => inventory.damaged = inventory.damaged.saturating_add(1),
        }
    }
    Ok(inventory)
}

/// Writes down what is known where the log will begin, which is with the day `keep_from`.
pub(in crate::ledger) fn move_on(
    log_dir: &Path,
    anchor: &Anchor,
    keep_from: Day,
) -> Result<(), LedgerError> {
    let mut inventory = at(log_dir, anchor)?;
    let end = Position { day: keep_from, offset: 0, seq: Position::START.seq };
    let mut walk = Walk::new(log_dir, anchor.position(), end)?;
    while let Some(item) = walk.step()? {
        if let Some(entry) = item.entry {
            inventory.take_whole(item.span.seq, &entry);
        }
    }
    let Inventory { identities, credentials, registry, forgotten, damaged } = inventory;
    let changes = registry.changes().iter();
    let rows = changes.map(|(seq, change)| Row::Change { seq: *seq, change: change.clone() });
    let rows = rows.chain(identities.into_values().map(Row::Identity));
    let rows = rows.chain(credentials.into_values().map(Row::Credential));
    let mut content = Vec::new();
    for row in rows.chain([Row::Missing { forgotten, damaged }]) {
        serde_json::to_writer(&mut content, &row)?;
        content.push(b'\n');
    }
    let path = path(log_dir, keep_from);
    files::replace(log_dir, &name(keep_from), &content).at("write", &path)
}

/// Removes what was written down for other beginnings than the log's.
pub(in crate::ledger) fn remove_others(log_dir: &Path, anchor: &Anchor) -> Result<(), LedgerError> {
    for item in std::fs::read_dir(log_dir).at("list", log_dir)? {
        let item = item.at("list", log_dir)?;
        let day = item.file_name().to_str().and_then(day_of);
        if day.is_some_and(|day| day != anchor.day) {
            files::if_found(std::fs::remove_file(item.path())).at("remove", &item.path())?;
        }
    }
    Ok(())
}

fn path(log_dir: &Path, day: Day) -> PathBuf {
    log_dir.join(name(day))
}

fn name(day: Day) -> String {
    format!("known-{}", day.file_name())
}

fn day_of(name: &str) -> Option<Day> {
    Day::from_file_name(name.strip_prefix("known-")?)
}
