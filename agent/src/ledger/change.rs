//! What an administrator says of an identity, and what follows from all of it: names that stand for
//! others, and who is offboarded.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};
use weir_core::identity::{Aliases, IdentityId};
use weir_core::units::Timestamp;

/// Most changes that are taken. Who asks for more is refused: they are held in memory.
pub const CHANGES_MAX: usize = 10_000;

/// Something that was said of an identity. It stays in the audit trail for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Names this change: 32 hexadecimal digits.
    pub change: String,
    /// When it was asked for.
    pub time: Timestamp,
    /// The user who asked for it, as the kernel says.
    pub uid: u32,
    /// The process of that user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Which identity it is about, by the name that was used.
    pub identity: IdentityId,
    /// What was said.
    #[serde(flatten)]
    pub deed: Deed,
    /// Why, in the words of whoever asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What can be said of an identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "deed", rename_all = "lowercase")]
pub enum Deed {
    /// It should make no calls any more.
    Offboard,
    /// It may again.
    Restore,
    /// It has another name. All that is known under the old one belongs to the new one. Renamed to
    /// itself, a name stands for nothing else any more.
    Rename {
        /// The new name.
        to: IdentityId,
    },
    /// It may use models again although a budget is used up, until that is used up another time.
    Unblock,
}

/// All changes in the order of the log, and what follows from them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Registry {
    changes: BTreeMap<u64, Change>,
    aliases: Aliases,
    /// The last word on each identity that is offboarded, by its name of today.
    offboarded: HashMap<String, u64>,
}

impl Registry {
    /// Takes the change in the line of that number.
    pub(super) fn take(&mut self, seq: u64, change: &Change) {
        if let Deed::Rename { to } = &change.deed {
            self.aliases.rename(&change.identity.0, &to.0);
        }
        self.changes.insert(seq, change.clone());
        match &change.deed {
            Deed::Offboard => {
                let name = self.current(&change.identity.0).to_owned();
                self.offboarded.insert(name, seq);
            }
            Deed::Restore => {
                let name = self.current(&change.identity.0).to_owned();
                self.offboarded.remove(&name);
            }
            // What was said of either name holds for the new one now, and the last word counts.
            Deed::Rename { .. } => self.weigh_anew(),
            Deed::Unblock => {}
        }
    }

    /// The name of today.
    pub(super) fn current<'a>(&'a self, name: &'a str) -> &'a str {
        self.aliases.current(name)
    }

    /// All names that stand for the same identity as `name` does.
    pub(super) fn names(&self, name: &str) -> HashSet<String> {
        self.aliases.names(name)
    }

    /// The change by which the identity of this name, today's, is offboarded.
    pub(super) fn offboarded(&self, current: &str) -> Option<(u64, &Change)> {
        let seq = *self.offboarded.get(current)?;
        Some((seq, self.changes.get(&seq)?))
    }

    /// Each change with the number of its line.
    pub(super) const fn changes(&self) -> &BTreeMap<u64, Change> {
        &self.changes
    }

    fn weigh_anew(&mut self) {
        let mut offboarded = HashMap::new();
        for (seq, change) in &self.changes {
            let name = self.current(&change.identity.0);
            match change.deed {
                Deed::Offboard => drop(offboarded.insert(name.to_owned(), *seq)),
                Deed::Restore => drop(offboarded.remove(name)),
                Deed::Rename { .. } | Deed::Unblock => {}
            }
        }
        self.offboarded = offboarded;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ledger::testing::{change, time};

    fn renamed(pairs: &[(&str, &str)]) -> Registry {
        let mut registry = Registry::default();
        for (seq, (old, new)) in (1..).zip(pairs) {
            let to = IdentityId((*new).to_owned());
            registry.take(seq, &change(seq, old, Deed::Rename { to }, time(0)));
        }
        registry
    }

    #[test]
    fn the_last_word_on_a_name_counts() {
        for (pairs, name, current) in [
            (&[][..], "a", "a"),
            (&[("a", "b")], "a", "b"),
            (&[("a", "b"), ("b", "c")], "a", "c"),
            (&[("b", "c"), ("a", "b")], "a", "c"),
            (&[("a", "b"), ("b", "a")], "b", "a"),
            (&[("a", "b"), ("b", "a")], "a", "a"),
            (&[("a", "b"), ("b", "c"), ("c", "a")], "b", "a"),
            (&[("a", "b"), ("a", "c")], "a", "c"),
            (&[("a", "b"), ("a", "c")], "b", "c"),
            (&[("a", "b"), ("a", "b")], "a", "b"),
            (&[("a", "c"), ("b", "c"), ("a", "b")], "c", "b"),
            (&[("a", "b"), ("a", "a")], "a", "a"),
            (&[("a", "a")], "a", "a"),
        ] {
            assert_eq!(renamed(pairs).current(name), current, "{pairs:?}");
        }
        let names = renamed(&[("a", "b"), ("c", "b"), ("b", "d")]).names("c");
        assert_eq!(names, ["a", "b", "c", "d"].map(str::to_owned).into());
    }

    #[test]
    fn what_was_said_of_an_old_name_holds_for_the_new_one() {
        let mut registry = Registry::default();
        registry.take(1, &change(1, "a", Deed::Offboard, time(0)));
        assert_eq!(registry.offboarded("a").unwrap().0, 1);
        registry.take(2, &change(2, "a", Deed::Rename { to: IdentityId("b".to_owned()) }, time(1)));
        assert_eq!(registry.offboarded("b").unwrap().0, 1);
        assert_eq!(registry.offboarded("a"), None);
        registry.take(3, &change(3, "a", Deed::Restore, time(2)));
        assert_eq!(registry.offboarded("b"), None);
        assert_eq!(registry.changes().len(), 3);
    }

    proptest! {
        #[test]
        fn no_order_of_renaming_goes_round_in_circles(
            pairs in prop::collection::vec((0..6u8, 0..6u8), 0..40),
        ) {
            let names: Vec<_> =
                pairs.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
            let pairs: Vec<_> = names.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            let registry = renamed(&pairs);
            if let Some((old, new)) = pairs.last() {
                prop_assert_eq!(registry.current(old), registry.current(new));
            }
            for (name, _) in &pairs {
                let current = registry.current(name);
                prop_assert_eq!(registry.current(current), current);
            }
        }
    }
}
