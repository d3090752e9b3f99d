//! One budget, and all who have an account of it.

use std::collections::BTreeSet;

use lru::LruCache;

use super::account::{Account, May};
use super::spec::Budget;
use crate::detect::{Block, Finding};
use crate::identity::Aliases;
use crate::meter::{Added, Dimension, UsageRecord};
use crate::units::Timestamp;

/// Longest name of an account, in bytes. Two that are the same so far are one.
const NAME_MAX: usize = 1_024;

/// A budget that is counted.
#[derive(Debug)]
pub(super) struct Counting {
    pub(super) budget: Budget,
    /// By whose they are.
    accounts: LruCache<String, Account>,
    /// Those of which something was said, or that have a consequence.
    open: BTreeSet<String>,
    /// How many accounts there may be: those that were used least recently are forgotten.
    most: usize,
    /// How many were forgotten.
    pub(super) forgotten: u64,
}

impl Counting {
    /// One with `most` accounts at most, and one at least.
    pub(super) fn new(budget: Budget, most: usize) -> Self {
        let mut accounts = LruCache::unbounded();
        if budget.per.is_none() {
            accounts.put(String::new(), Account::new(&budget));
        }
        Self { budget, accounts, open: BTreeSet::new(), most: most.max(1), forgotten: 0 }
    }

    /// Counts a record, if it counts here.
    pub(super) fn take(
        &mut self,
        record: &UsageRecord,
        added: &Added,
        aliases: &Aliases,
        now: Timestamp,
        found: &mut Vec<Finding>,
    ) {
        let name = aliases.current(&record.identity.0);
        if !self.budget.counts(record, name) {
            return;
        }
        let Some(whom) = self.budget.whom(record, name) else { return };
        let whom = whom[..whom.floor_char_boundary(NAME_MAX)].to_owned();
        self.with(whom, now, found, |account, budget| account.add(budget, record, added, now));
    }

    /// Lets what has come to its end by `now` do so.
    pub(super) fn pass(&mut self, now: Timestamp, found: &mut Vec<Finding>) {
        let Self { budget, accounts, open, .. } = self;
        open.retain(|whom| {
            let Some(account) = accounts.peek_mut(whom) else { return false };
            account.judge(budget, whom, now, May::OnlyEnd, found);
            account.is_open()
        });
    }

    /// Gives what `old` has spent to `new`.
    pub(super) fn rename(
        &mut self,
        old: &str,
        new: &str,
        now: Timestamp,
        found: &mut Vec<Finding>,
    ) {
        if self.budget.per != Some(Dimension::Identity) || old == new {
            return;
        }
        let Some(mut account) = self.accounts.pop(old) else { return };
        account.close(&self.budget, old, now, found);
        self.open.remove(old);
        self.with(new.to_owned(), now, found, |other, budget| other.merge(budget, &account, now));
    }

    /// Who should be blocked.
    pub(super) fn blocks(&self, now: Timestamp) -> Vec<Block> {
        let open = self.open.iter().filter_map(|whom| self.accounts.peek(whom));
        open.flat_map(|account| account.blocks(&self.budget, now)).collect()
    }

    /// Everybody's account, those that were used least recently first.
    pub(super) fn accounts(&self) -> impl Iterator<Item = (&String, &Account)> {
        self.accounts.iter().rev()
    }

    /// Takes back what [`Self::accounts`] gave.
    pub(super) fn restore(&mut self, accounts: Vec<(String, Account)>) {
        for (whom, account) in accounts {
            if account.is_open() {
                self.open.insert(whom.clone());
            }
            self.accounts.put(whom, account);
        }
    }

    /// Changes an account, and says what follows.
    fn with(
        &mut self,
        whom: String,
        now: Timestamp,
        found: &mut Vec<Finding>,
        change: impl FnOnce(&mut Account, &Budget),
    ) {
        let Self { budget, accounts, open, .. } = self;
        let account = accounts.get_or_insert_mut_ref(&whom, || Account::new(budget));
        account.judge(budget, &whom, now, May::OnlyEnd, found);
        change(account, budget);
        account.judge(budget, &whom, now, May::Begin, found);
        if account.is_open() {
            open.insert(whom);
        } else {
            open.remove(&whom);
        }
        while self.accounts.len() > self.most {
            let Some((whom, mut account)) = self.accounts.pop_lru() else { return };
            account.close(&self.budget, &whom, now, found);
            self.open.remove(&whom);
            self.forgotten = self.forgotten.saturating_add(1);
        }
    }
}
