//! Blocks whoever is offboarded, where the configuration wants that.

use std::collections::BTreeMap;

use super::{Block, Cause, Finding, Rule, Seen};
use crate::identity::IdentityId;
use crate::units::Timestamp;

/// Who is offboarded, and since when.
#[derive(Debug)]
pub struct Offboarded {
    dry_run: bool,
    since: BTreeMap<IdentityId, Timestamp>,
}

impl Offboarded {
    /// Knows of nobody yet. With `dry_run` it is only said who would be blocked.
    #[must_use]
    pub const fn new(dry_run: bool) -> Self {
        Self { dry_run, since: BTreeMap::new() }
    }
}

impl Rule for Offboarded {
    fn name(&self) -> &'static str {
        "offboarded"
    }

    fn take(&mut self, seen: &Seen<'_>, _found: &mut Vec<Finding>) {
        match seen {
            Seen::Offboarded(identity, time) => {
                self.since.insert((*identity).clone(), *time);
            }
            Seen::Restored(identity, _time) => {
                self.since.remove(*identity);
            }
            Seen::Renamed(old, new, _time) => {
                if let Some(since) = self.since.remove(*old) {
                    self.since.insert((*new).clone(), since);
                }
            }
            Seen::Call(_)
            | Seen::Edge(_)
            | Seen::Blind(_)
            | Seen::Lost(_)
            | Seen::Started(_)
            | Seen::Stopped(_) => {}
        }
    }

    fn tick(&mut self, _now: Timestamp, _found: &mut Vec<Finding>) {}

    fn blocks(&self) -> Vec<Block> {
        let block = |(identity, since): (&IdentityId, &Timestamp)| Block {
            identity: identity.clone(),
            cause: Cause::Offboarded,
            since: *since,
            until: None,
            dry_run: self.dry_run,
        };
        self.since.iter().map(block).collect()
    }

    fn save(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&self.since)
    }

    fn restore(&mut self, saved: &[u8]) -> serde_json::Result<()> {
        self.since = serde_json::from_slice(saved)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(name: &str) -> IdentityId {
        IdentityId(name.to_owned())
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn blocked(rule: &Offboarded) -> Vec<(String, i64, bool)> {
        let blocks = rule.blocks().into_iter();
        blocks.map(|block| (block.identity.0, block.since.as_second(), block.dry_run)).collect()
    }

    #[test]
    fn the_last_word_on_an_identity_counts() {
        let (a, b) = (id("a"), id("b"));
        let offboard = Seen::Offboarded(&a, at(1));
        let rename = Seen::Renamed(&a, &b, at(2));
        let restore = Seen::Restored(&b, at(3));
        for (steps, expected) in [
            (vec![offboard], vec![("a".to_owned(), 1, true)]),
            (vec![offboard, rename], vec![("b".to_owned(), 1, true)]),
            (vec![offboard, rename, restore], vec![]),
            (vec![rename, offboard], vec![("a".to_owned(), 1, true)]),
        ] {
            let mut rule = Offboarded::new(true);
            let mut found = Vec::new();
            steps.iter().for_each(|seen| rule.take(seen, &mut found));
            assert_eq!(blocked(&rule), expected);
            let mut again = Offboarded::new(true);
            again.restore(&rule.save().unwrap()).unwrap();
            assert_eq!(blocked(&again), expected);
            assert!(found.is_empty());
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_restored_panics(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _any = Offboarded::new(false).restore(&bytes);
        }
    }
}
