//! What all, or one of those who have a budget each, have spent of it.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::cell::{Cell, Open, Standing};
use super::pace::{Burn, Pace};
use super::say::About;
use super::spec::Budget;
use crate::detect::finding::CALLS_MAX;
use crate::detect::{Block, Cause, Detector, Enforcement, Finding, State};
use crate::identity::IdentityId;
use crate::meter::{Added, CallId, UsageRecord};
use crate::units::Timestamp;

/// Most identities of one account that can be blocked. Who called last stays.
const WHO_MAX: usize = 4_096;

/// What was spent of a budget.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Account {
    /// One for each limit of the budget.
    cells: Vec<Cell>,
    /// Who made calls that count, by the names that their records have, and when last. Only kept where
    /// using the budget up has a consequence.
    who: BTreeMap<IdentityId, Timestamp>,
    /// Whom to ask, as the last record said.
    pub(super) owner: Option<String>,
    /// Their team.
    pub(super) team: Option<String>,
    /// The last calls.
    pub(super) calls: VecDeque<CallId>,
}

/// Whether findings may begin. They do only with what a record adds: so they begin at the same time when
/// the log is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum May {
    Begin,
    OnlyEnd,
}

impl Account {
    /// One that nothing was spent of.
    pub(super) fn new(budget: &Budget) -> Self {
        Self { cells: vec![Cell::default(); budget.limits.len()], ..Self::default() }
    }

    /// Counts a record.
    pub(super) fn add(
        &mut self,
        budget: &Budget,
        record: &UsageRecord,
        added: &Added,
        now: Timestamp,
    ) {
        for (cell, limit) in self.cells.iter_mut().zip(&budget.limits) {
            cell.add(limit, &budget.zone.rules, record.time, now, &limit.measure.of(added));
        }
        match budget.enforce {
            Enforcement::Off => {}
            Enforcement::DryRun | Enforcement::Block => self.note(&record.identity, now),
        }
        if let Some(assigned) = &record.workload.assigned {
            self.owner.clone_from(&assigned.owner);
            self.team.clone_from(&assigned.team);
        }
        self.calls.push_back(record.id.clone());
        if self.calls.len() > CALLS_MAX {
            // The first stays.
            self.calls.remove(1);
        }
    }

    /// Adds what is known of another of the same budget.
    pub(super) fn merge(&mut self, budget: &Budget, other: &Self, now: Timestamp) {
        for ((cell, other), limit) in self.cells.iter_mut().zip(&other.cells).zip(&budget.limits) {
            cell.merge(limit, other, now);
        }
        for (identity, last) in &other.who {
            self.note(identity, *last);
        }
    }

    /// Something was said of it that isn't taken back, or has a consequence.
    pub(super) fn is_open(&self) -> bool {
        self.cells.iter().any(Cell::is_open)
    }

    /// How each limit stands.
    pub(super) fn standings(
        &self,
        budget: &Budget,
        now: Timestamp,
    ) -> impl Iterator<Item = (&Cell, Standing)> {
        let with_limit = self.cells.iter().zip(&budget.limits);
        with_limit.map(move |(cell, limit)| (cell, cell.standing(limit, &budget.zone.rules, now)))
    }

    /// Says what is the case now and wasn't said.
    pub(super) fn judge(
        &mut self,
        budget: &Budget,
        whom: &str,
        now: Timestamp,
        may: May,
        found: &mut Vec<Finding>,
    ) {
        let mut cells = std::mem::take(&mut self.cells);
        for (cell, limit) in cells.iter_mut().zip(&budget.limits) {
            let about = About { budget, limit, whom };
            let standing = cell.standing(limit, &budget.zone.rules, now);
            cell.weigh(&standing, limit, now);
            self.judge_use(cell, &standing, about, now, may, found);
            self.judge_pace(cell, about, now, may, found);
        }
        self.cells = cells;
    }

    /// Takes back what was said, for this account is no more.
    pub(super) fn close(
        &mut self,
        budget: &Budget,
        whom: &str,
        now: Timestamp,
        found: &mut Vec<Finding>,
    ) {
        let mut cells = std::mem::take(&mut self.cells);
        for (cell, limit) in cells.iter_mut().zip(&budget.limits) {
            let about = About { budget, limit, whom };
            if let Some(open) = cell.used.take() {
                let standing = cell.standing(limit, &budget.zone.rules, now);
                found.push(about.used(&open, State::Resolved, &standing, self, now));
            }
            if let Some(open) = cell.burning.take() {
                let [fast, ..] = cell.burns(limit, now);
                found.push(about.burnt(&open, State::Resolved, &fast, self, now));
            }
        }
        self.cells = cells;
    }

    /// Who should be blocked at `now`.
    pub(super) fn blocks(&self, budget: &Budget, now: Timestamp) -> Vec<Block> {
        let dry_run = match budget.enforce {
            Enforcement::Off => return Vec::new(),
            Enforcement::DryRun => true,
            Enforcement::Block => false,
        };
        let mut blocks = BTreeMap::new();
        for ((cell, standing), limit) in self.standings(budget, now).zip(&budget.limits) {
            let Some(over) = cell.over.filter(|_| standing.spent.amount >= limit.most) else {
                continue;
            };
            let until = cell.release(limit, &standing, now);
            for (identity, last) in &self.who {
                if *last < standing.span.start {
                    continue;
                }
                let block = blocks.entry(identity).or_insert_with(|| Block {
                    identity: identity.clone(),
                    cause: Cause::Budget(budget.name.clone()),
                    since: over.since,
                    until: Some(until),
                    dry_run,
                });
                block.since = block.since.min(over.since);
                block.until = block.until.max(Some(until));
            }
        }
        blocks.into_values().collect()
    }

    fn note(&mut self, identity: &IdentityId, time: Timestamp) {
        let last = self.who.entry(identity.clone()).or_insert(time);
        *last = time.max(*last);
        if self.who.len() > WHO_MAX {
            let oldest = self.who.iter().min_by_key(|(_, last)| **last);
            let oldest = oldest.map(|(identity, _)| identity.clone());
            oldest.and_then(|identity| self.who.remove(&identity));
        }
    }

    fn judge_use(
        &self,
        cell: &mut Cell,
        standing: &Standing,
        about: About<'_>,
        now: Timestamp,
        may: May,
        found: &mut Vec<Finding>,
    ) {
        let About { budget, limit, .. } = about;
        let start = standing.span.start;
        if let Some(open) = cell.used.take() {
            if limit.window.piece().is_none() && open.start != start {
                found.push(about.window_over(&open, self, now));
            } else if !standing.holds(budget, limit) {
                found.push(about.used(&open, State::Resolved, standing, self, now));
            } else {
                cell.used = Some(open);
            }
        }
        let deserved = standing.severity(budget, limit).filter(|_| may == May::Begin);
        let Some(severity) = deserved else { return };
        let open = match cell.used.take() {
            Some(open) if open.severity >= severity => {
                cell.used = Some(open);
                return;
            }
            Some(open) => Open { severity, ..open },
            None => about.open(Detector::Budget, severity, start, now),
        };
        found.push(about.used(&open, State::Firing, standing, self, now));
        cell.used = Some(open);
    }

    fn judge_pace(
        &self,
        cell: &mut Cell,
        about: About<'_>,
        now: Timestamp,
        may: May,
        found: &mut Vec<Finding>,
    ) {
        // Nothing begins and nothing can end.
        if may == May::OnlyEnd && cell.burning.is_none() {
            return;
        }
        let burns = cell.burns(about.limit, now);
        let chosen =
            |is_so: fn(&Pace, &Burn) -> bool| burns.iter().find(|(pace, burn)| is_so(pace, burn));
        if let Some(open) = cell.burning.take() {
            if chosen(Pace::is_held).is_some() {
                cell.burning = Some(open);
            } else {
                let [fast, ..] = &burns;
                found.push(about.burnt(&open, State::Resolved, fast, self, now));
            }
        }
        let passed = chosen(Pace::is_passed).filter(|_| may == May::Begin);
        let Some(passed) = passed else { return };
        let severity = passed.0.severity;
        let open = match cell.burning.take() {
            Some(open) if open.severity >= severity => {
                cell.burning = Some(open);
                return;
            }
            Some(open) => Open { severity, ..open },
            None => about.open(Detector::BudgetBurn, severity, now, now),
        };
        found.push(about.burnt(&open, State::Firing, passed, self, now));
        cell.burning = Some(open);
    }
}
