//! Budgets: how much may be used up, by whom and in what time.
//!
//! What counts is what counts in reports of usage ([`Added::by`]): a repeat counts nothing, a record that
//! settles an earlier one adds what goes beyond it, and a call counts at the time at which it began and from its
//! caller's end. So a budget over a day and a report of that day say the same.
//!
//! The time is that of the records. A clock that was set back for a while counts nothing twice, for each
//! window has its own sum and a record counts in the window that its own time is in.

mod account;
mod cell;
mod counting;
mod pace;
mod report;
mod say;
mod series;
mod spec;
#[cfg(test)]
mod tests;
mod window;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{Block, Finding, Rule, Seen};
use crate::identity::Aliases;
use crate::meter::{Added, UsageRecord};
use crate::units::{Role, Timestamp};
use account::Account;
use counting::Counting;
pub use report::{BudgetReport, BudgetRow, BudgetState, ROWS_MAX};
pub use spec::{
    BUDGETS_MAX, Budget, Condition, LIMITS_MAX, Limit, Measure, ParseConditionError, WARNINGS_MAX,
    Zone,
};
pub use window::{ParseWindowError, Window};

/// Most accounts of all budgets that have several, each counted as often as its budget has limits.
const ACCOUNTS_MAX: usize = 10_000;
/// Changes with what [`Budgets::save`] writes.
const LAYOUT: u32 = 1;
/// What is ended by the clock alone ends so much later: by then the records of that time are stored, and
/// nothing ends that one of them would have kept.
const PATIENCE: SignedDuration = SignedDuration::from_secs(10);
/// How often, by the records' time, what has come to its end is looked for while records are read.
const PASS_EVERY: SignedDuration = SignedDuration::from_secs(10);
/// A record that is so much earlier than one before it shows that the clock was set back.
const SET_BACK: SignedDuration = SignedDuration::from_hours(1);

/// Counts what is used up of all budgets. A clone is the same budgets: one is a [`Rule`], another answers
/// how they stand.
#[derive(Clone, Debug)]
pub struct Budgets(Arc<Mutex<State>>);

struct State {
    budgets: Vec<Counting>,
    aliases: Aliases,
    /// The time by the records.
    records: Option<Timestamp>,
    /// When what has come to its end was looked for last, by the records.
    passed: Option<Timestamp>,
    /// The time by the clock, once everything that is stored was read.
    clock: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    layout: u32,
    /// What the budgets were, in JSON.
    definitions: String,
    aliases: Aliases,
    records: Option<Timestamp>,
    passed: Option<Timestamp>,
    accounts: Vec<Vec<(String, Account)>>,
    forgotten: Vec<u64>,
}

/// Why what was saved is of no use.
#[derive(Debug, thiserror::Error)]
#[error("other budgets were counted then")]
struct OtherBudgets;

impl Budgets {
    /// Of which nothing is used up yet. Each has another name.
    #[must_use]
    pub fn new(budgets: Vec<Budget>) -> Self {
        Self(Arc::new(Mutex::new(State::new(budgets))))
    }

    /// The same budgets, of which nothing is used up yet: so are those of all clones.
    #[must_use]
    pub fn afresh(&self) -> Self {
        self.state().reset();
        self.clone()
    }

    /// How they stand at `now`.
    #[must_use]
    pub fn report(&self, now: Timestamp) -> BudgetReport {
        self.state().report(now)
    }

    // A panic elsewhere leaves at worst one record uncounted.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rule for Budgets {
    fn name(&self) -> &'static str {
        "budgets"
    }

    fn take(&mut self, seen: &Seen<'_>, found: &mut Vec<Finding>) {
        match seen {
            Seen::Call(record) => self.state().call(record, found),
            Seen::Renamed(old, new, time) => self.state().rename(&old.0, &new.0, *time, found),
            Seen::Edge(_)
            | Seen::Blind(_)
            | Seen::Lost(_)
            | Seen::Offboarded(..)
            | Seen::Restored(..)
            | Seen::Started(_)
            | Seen::Stopped(_) => {}
        }
    }

    fn tick(&mut self, now: Timestamp, found: &mut Vec<Finding>) {
        let mut state = self.state();
        state.clock = Some(now);
        let then = now.checked_sub(PATIENCE).unwrap_or(Timestamp::MIN);
        let then = onward(state.records, then);
        state.budgets.iter_mut().for_each(|budget| budget.pass(then, found));
    }

    fn blocks(&self) -> Vec<Block> {
        let state = self.state();
        let Some(latest) = state.clock.or(state.records) else { return Vec::new() };
        let now = onward(state.records, latest);
        state.budgets.iter().flat_map(|budget| budget.blocks(now)).collect()
    }

    fn save(&self) -> serde_json::Result<Vec<u8>> {
        let state = self.state();
        let accounts = |budget: &Counting| {
            budget.accounts().map(|(whom, account)| (whom.clone(), account.clone())).collect()
        };
        serde_json::to_vec(&Saved {
            layout: LAYOUT,
            definitions: state.definitions()?,
            aliases: state.aliases.clone(),
            records: state.records,
            passed: state.passed,
            accounts: state.budgets.iter().map(accounts).collect(),
            forgotten: state.budgets.iter().map(|budget| budget.forgotten).collect(),
        })
    }

    /// Other budgets than those that were saved begin with the start of the log.
    fn restore(&mut self, saved: &[u8]) -> serde_json::Result<()> {
        let mut state = self.state();
        state.reset();
        let saved: Saved = serde_json::from_slice(saved)?;
        if saved.layout != LAYOUT || saved.definitions != state.definitions()? {
            return Err(serde::de::Error::custom(OtherBudgets));
        }
        state.aliases = saved.aliases;
        state.records = saved.records;
        state.passed = saved.passed;
        let saved = saved.accounts.into_iter().zip(saved.forgotten);
        for (budget, (accounts, forgotten)) in state.budgets.iter_mut().zip(saved) {
            budget.restore(accounts);
            budget.forgotten = forgotten;
        }
        Ok(())
    }
}

impl State {
    fn new(budgets: Vec<Budget>) -> Self {
        let several = budgets.iter().filter(|budget| budget.per.is_some());
        let limits: usize = several.map(|budget| budget.limits.len()).sum();
        let most = ACCOUNTS_MAX / limits.max(1);
        Self {
            budgets: budgets.into_iter().map(|budget| Counting::new(budget, most)).collect(),
            aliases: Aliases::default(),
            records: None,
            passed: None,
            clock: None,
        }
    }

    fn reset(&mut self) {
        let budgets = std::mem::take(&mut self.budgets);
        *self = Self::new(budgets.into_iter().map(|counting| counting.budget).collect());
    }

    /// What the budgets are, in JSON.
    fn definitions(&self) -> serde_json::Result<String> {
        let budgets: Vec<_> = self.budgets.iter().map(|counting| &counting.budget).collect();
        serde_json::to_string(&budgets)
    }

    fn call(&mut self, record: &UsageRecord, found: &mut Vec<Finding>) {
        match record.role {
            Role::Client => {}
            // Who asks is billed, not who answers.
            Role::Server => return,
        }
        let Some(added) = Added::by(record) else { return };
        let took = SignedDuration::from_millis(record.latency_ms.try_into().unwrap_or(i64::MAX));
        let now = self.advance(record.time.checked_add(took).unwrap_or(record.time), found);
        for budget in &mut self.budgets {
            budget.take(record, &added, &self.aliases, now, found);
        }
    }

    fn rename(&mut self, old: &str, new: &str, time: Timestamp, found: &mut Vec<Finding>) {
        let now = self.advance(time, found);
        let before = self.aliases.current(old).to_owned();
        self.aliases.rename(old, new);
        let after = self.aliases.current(&before).to_owned();
        self.budgets.iter_mut().for_each(|budget| budget.rename(&before, &after, now, found));
    }

    /// Goes on to the time of a record.
    fn advance(&mut self, time: Timestamp, found: &mut Vec<Finding>) -> Timestamp {
        let now = onward(self.records, time);
        self.records = Some(now);
        let is_due = |passed: Timestamp| now < passed || now.duration_since(passed) >= PASS_EVERY;
        if self.passed.is_none_or(is_due) {
            self.passed = Some(now);
            self.budgets.iter_mut().for_each(|budget| budget.pass(now, found));
        }
        now
    }

    fn report(&self, now: Timestamp) -> BudgetReport {
        let now = onward(self.records, now);
        let mut rows: Vec<_> =
            self.budgets.iter().flat_map(|budget| report::rows(budget, now)).collect();
        let all = rows.len();
        if all > ROWS_MAX {
            rows.sort_by(|a, b| b.used_ratio.total_cmp(&a.used_ratio));
            rows.truncate(ROWS_MAX);
        }
        BudgetReport {
            time: now,
            names: self.budgets.iter().map(|counting| counting.budget.name.clone()).collect(),
            current: self.clock.is_some(),
            left_out: all.saturating_sub(rows.len()) as u64,
            rows,
            forgotten: self.budgets.iter().map(|budget| budget.forgotten).sum(),
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("budgets", &self.budgets.len()).finish_non_exhaustive()
    }
}

/// The later of both, unless the clock was set back.
fn onward(last: Option<Timestamp>, time: Timestamp) -> Timestamp {
    match last {
        Some(last) if time < last && last.duration_since(time) <= SET_BACK => last,
        Some(_) | None => time,
    }
}
