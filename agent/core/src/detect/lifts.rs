//! Blocks that a person has lifted.

use std::collections::BTreeMap;

use super::{Block, Cause, Seen};
use crate::identity::IdentityId;
use crate::units::Timestamp;

/// Most identities of which it is remembered; the ones that were lifted longest ago are forgotten first, and
/// the blocks that they had hold again.
const LIFTS_MAX: usize = 4096;

/// When each identity was last let go on although a budget was used up.
#[derive(Debug, Default)]
pub(super) struct Lifts(BTreeMap<IdentityId, Timestamp>);

impl Lifts {
    /// What it is kept under. No rule is called so.
    pub(super) const NAME: &str = "lifts";

    pub(super) fn lift(&mut self, identity: &IdentityId, time: Timestamp) {
        self.0.insert(identity.clone(), time);
        if self.0.len() > LIFTS_MAX {
            let oldest = self.0.iter().min_by_key(|(_, time)| **time);
            let oldest = oldest.map(|(identity, _)| identity.clone());
            oldest.and_then(|identity| self.0.remove(&identity));
        }
    }

    pub(super) fn take(&mut self, seen: &Seen<'_>) {
        match seen {
            Seen::Renamed(old, new, _time) => {
                if let Some(time) = self.0.remove(*old) {
                    self.0.insert((*new).clone(), time);
                }
            }
            Seen::Call(_)
            | Seen::Edge(_)
            | Seen::Blind(_)
            | Seen::Lost(_)
            | Seen::Offboarded(..)
            | Seen::Restored(..)
            | Seen::Started(_)
            | Seen::Stopped(_) => {}
        }
    }

    /// Whether this block is lifted: it began before somebody said so.
    pub(super) fn has(&self, block: &Block) -> bool {
        match block.cause {
            Cause::Budget(_) => self.0.get(&block.identity).is_some_and(|at| block.since <= *at),
            Cause::Offboarded => false,
        }
    }

    pub(super) fn save(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&self.0)
    }

    pub(super) fn restore(&mut self, saved: &[u8]) -> serde_json::Result<()> {
        self.0 = serde_json::from_slice(saved)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn block(name: &str, cause: Cause, since: i64) -> Block {
        let identity = IdentityId(name.to_owned());
        Block { identity, cause, since: at(since), until: None, dry_run: false }
    }

    #[test]
    fn what_began_before_is_lifted_and_nothing_else() {
        let budget = || Cause::Budget("b".to_owned());
        let mut lifts = Lifts::default();
        lifts.lift(&IdentityId("old".to_owned()), at(10));
        let (old, new) = (IdentityId("old".to_owned()), IdentityId("a".to_owned()));
        lifts.take(&Seen::Renamed(&old, &new, at(11)));
        let mut again = Lifts::default();
        again.restore(&lifts.save().unwrap()).unwrap();
        for (block, lifted) in [
            (block("a", budget(), 9), true),
            (block("a", budget(), 10), true),
            (block("a", budget(), 11), false),
            (block("b", budget(), 9), false),
            (block("a", Cause::Offboarded, 9), false),
        ] {
            assert_eq!(again.has(&block), lifted, "{block:?}");
        }
    }

    #[test]
    fn they_are_bounded() {
        let mut lifts = Lifts::default();
        for number in 0..5000 {
            lifts.lift(&IdentityId(number.to_string()), at(number));
        }
        assert_eq!(lifts.0.len(), LIFTS_MAX);
        assert!(!lifts.has(&block("0", Cause::Budget(String::new()), 0)));
    }
}
