//! What is new of somebody: the names that he was seen to use, and since when he is known.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::Severity;
use super::baseline::peers;
use super::watch::{Call, Table, ago};
use crate::units::Timestamp;

/// Most names that are remembered of one; beyond them nothing is new any more.
const NAMES_MAX: usize = 64;

/// Who was seen to use what.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Novelty {
    identities: Table<Names>,
    groups: Table<Names, 1000>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Names {
    since: Option<Timestamp>,
    names: BTreeSet<String>,
}

/// How bad it is to use something new.
#[derive(Clone, Copy)]
pub(super) struct Grades {
    /// What a rule's list hasn't got.
    pub(super) unapproved: Severity,
    /// What neither the identity nor its like ever used.
    pub(super) new: Severity,
    /// What only its like used.
    pub(super) of_group: Severity,
}

impl Novelty {
    /// Takes note of a name that a call uses. Says how bad that is, if it is.
    pub(super) fn see(
        &mut self,
        call: &Call<'_>,
        name: &str,
        approved: Option<bool>,
        learning: SignedDuration,
        grades: Grades,
    ) -> Option<Severity> {
        let is_new = self.identities.row(call.identity()).is_new(call.now, name, learning);
        let of_group = peers(call.record).is_some_and(|peers| {
            let group = self.groups.row(&peers);
            let had = group.names.contains(name);
            group.is_new(call.now, name, learning);
            had
        });
        match (approved, is_new) {
            (Some(false), _) => Some(grades.unapproved),
            (Some(true), _) | (None, false) => None,
            (None, true) if of_group => Some(grades.of_group),
            (None, true) => Some(grades.new),
        }
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) {
        self.identities.rename(from, to);
    }
}

impl Names {
    /// Whether a name is new, and nothing was learnt only since of late.
    fn is_new(&mut self, now: Timestamp, name: &str, learning: SignedDuration) -> bool {
        let since = *self.since.get_or_insert(now);
        if self.names.contains(name) || self.names.len() >= NAMES_MAX {
            return false;
        }
        self.names.insert(name.to_owned());
        ago(now, since) >= learning
    }
}
