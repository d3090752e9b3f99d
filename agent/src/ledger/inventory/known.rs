//! The inventory as it was at some place of the log, in a file: where retention has cut the log, beside it
//! and named after the first day that is kept; and now and then, beside the index. One JSON object a
//! line, the last of which says what the place is.

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

/// One line, with what is in it owned or borrowed.
#[derive(Serialize, Deserialize)]
#[serde(tag = "row", rename_all = "lowercase")]
enum Row<I, C, S> {
    Identity(I),
    Credential(C),
    Change {
        seq: u64,
        #[serde(flatten)]
        change: S,
    },
    Place(Place),
}

/// The last line.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Place {
    /// What comes before it in the log is in the rows.
    position: Position,
    /// How many rows there was no room for.
    forgotten: u64,
    /// How many could not be read.
    damaged: u64,
}

/// What was known where the log begins. A log that is whole begins with nothing, and so does one that was
/// cut before there was an inventory. A row that can't be read is passed over and counted.
pub(in crate::ledger) fn at(log_dir: &Path, anchor: &Anchor) -> Result<Inventory, LedgerError> {
    if *anchor == Anchor::WHOLE {
        return Ok(Inventory::default());
    }
    let read = read(&path(log_dir, anchor.day))?;
    Ok(read.map(|(_place, inventory)| inventory).unwrap_or_default())
}

/// What [`save`] wrote. `None` unless it is there and all of it can be read.
pub(in crate::ledger) fn saved(path: &Path) -> Result<Option<(Position, Inventory)>, LedgerError> {
    let Some((Some(place), inventory)) = read(path)? else { return Ok(None) };
    Ok((inventory.damaged == place.damaged).then_some((place.position, inventory)))
}

/// Writes down what is known at a place of the log.
pub(in crate::ledger) fn save(
    dir: &Path,
    name: &str,
    position: Position,
    inventory: &Inventory,
) -> Result<(), LedgerError> {
    let Inventory { identities, credentials, registry, forgotten, damaged, bytes: _ } = inventory;
    let changes = registry.changes().iter();
    let rows = changes.map(|(seq, change)| Row::Change { seq: *seq, change });
    let rows = rows.chain(identities.values().map(Row::Identity));
    let rows = rows.chain(credentials.values().map(Row::Credential));
    let place = Place { position, forgotten: *forgotten, damaged: *damaged };
    let mut content = Vec::new();
    for row in rows.chain([Row::Place(place)]) {
        serde_json::to_writer(&mut content, &row)?;
        content.push(b'\n');
    }
    files::replace(dir, name, &content).at("write", &dir.join(name))
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
            inventory.take(item.span.seq, &entry);
        }
    }
    save(log_dir, &name(keep_from), end, &inventory)
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

fn read(path: &Path) -> Result<Option<(Option<Place>, Inventory)>, LedgerError> {
    let Some(file) = files::if_found(File::open(path)).at("open", path)? else {
        return Ok(None);
    };
    let mut inventory = Inventory::default();
    let mut last = None;
    for line in BufReader::new(file).split(b'\n') {
        let row: Result<Row<IdentityRow, CredentialRow, Change>, _> =
            serde_json::from_slice(&line.at("read", path)?);
        match row {
            Ok(Row::Identity(row)) => inventory.add(row),
            Ok(Row::Credential(row)) => inventory.add_credential(row),
            Ok(Row::Change { seq, change }) => {
                Arc::make_mut(&mut inventory.registry).take(seq, &change);
            }
            Ok(Row::Place(place)) => {
                inventory.forgotten = place.forgotten;
                inventory.damaged = inventory.damaged.saturating_add(place.damaged);
                last = Some(place);
            }
            Err(_damaged) => inventory.damaged = inventory.damaged.saturating_add(1),
        }
    }
    Ok(Some((last, inventory)))
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
