//! How all budgets stand, for whoever asks. The JSON is a public contract: fields are added, never
//! changed.

use serde::{Deserialize, Serialize};

use super::cell::{Cell, Standing};
use super::counting::Counting;
use super::spec::{Budget, Limit};
use super::window::Window;
use crate::detect::{Amount, Enforcement};
use crate::meter::Dimension;
use crate::units::Timestamp;

/// Most rows of a report. Those of which the most is used are in it.
pub const ROWS_MAX: usize = 10_000;

/// How all budgets stand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BudgetReport {
    /// When that is.
    pub time: Timestamp,
    /// What is stored was read up to a moment ago. After a start that takes some time, and until then
    /// not everything is counted.
    pub current: bool,
    /// What the budgets are called, in the order of the configuration.
    #[serde(default)]
    pub names: Vec<String>,
    /// One for each limit of each budget, and of each account of those that have several. In the order
    /// of the configuration; of one budget, those of which the most is used come first.
    pub rows: Vec<BudgetRow>,
    /// How many more there would be.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u64,
    /// How many accounts had to be forgotten for want of room, since the log was read from its start.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub forgotten: u64,
}

/// How one limit stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BudgetRow {
    /// The budget.
    pub budget: String,
    /// What it has an account for each value of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<Dimension>,
    /// That value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whom: Option<String>,
    /// The time over which it is counted.
    pub window: Window,
    /// What may be used.
    pub limit: Amount,
    /// What is used.
    pub used: Amount,
    /// `used` / `limit`, to six decimals.
    pub used_ratio: f64,
    /// When the window began.
    pub from: Timestamp,
    /// When it ends. A rolling window does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// How fast it is used up, over the last tenth of the window's length: 1 uses up just the limit in just
    /// the window.
    pub burn_rate: f64,
    /// When it will be used up, if it goes on like this, and that is before the window ends; or when it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exhausted_at: Option<Timestamp>,
    /// How that is.
    pub state: BudgetState,
    /// How many calls have no known cost, or only a part of it. They count as nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unpriced_calls: u64,
    /// What happens when it is used up.
    #[serde(default)]
    pub enforce: Enforcement,
}

/// How a limit stands, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BudgetState {
    /// All is well.
    Ok,
    /// It will be used up before the window ends, if it goes on like this.
    Projected,
    /// A part is used at which to warn.
    Warned,
    /// It is used up.
    Exceeded,
}

impl BudgetState {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Projected => "projected",
            Self::Warned => "warned",
            Self::Exceeded => "exceeded",
        }
    }
}

/// The rows of one budget at `now`, those of which the most is used first.
pub(super) fn rows(counting: &Counting, now: Timestamp) -> Vec<BudgetRow> {
    let budget = &counting.budget;
    let mut rows: Vec<_> = counting
        .accounts()
        .flat_map(|(whom, account)| {
            let standings = account.standings(budget, now).zip(&budget.limits);
            standings.map(|((cell, standing), limit)| row(budget, whom, limit, cell, &standing))
        })
        .collect();
    if budget.per.is_some() {
        rows.sort_by(|a, b| {
            let by_use = b.used_ratio.total_cmp(&a.used_ratio);
            by_use.then_with(|| a.whom.cmp(&b.whom))
        });
    }
    rows
}

fn row(budget: &Budget, whom: &str, limit: &Limit, cell: &Cell, standing: &Standing) -> BudgetRow {
    let ends = limit.window.piece().is_none().then_some(standing.span.end);
    let in_time = |time: &Timestamp| ends.is_none_or(|end| *time < end);
    let state = state(budget, limit, standing);
    let exhausted_at = match state {
        BudgetState::Exceeded => cell.over.map(|over| over.since),
        BudgetState::Ok | BudgetState::Projected | BudgetState::Warned => {
            standing.exhausted.filter(in_time)
        }
    };
    BudgetRow {
        budget: budget.name.clone(),
        per: budget.per,
        whom: budget.per.map(|_| whom.to_owned()),
        window: limit.window,
        limit: limit.measure.amount(limit.most),
        used: limit.measure.amount(standing.spent.amount),
        used_ratio: rounded(standing.ratio(limit)),
        from: standing.span.start,
        until: ends,
        burn_rate: rounded(standing.burn),
        exhausted_at,
        state,
        unpriced_calls: standing.spent.unpriced.into(),
        enforce: budget.enforce,
    }
}

fn state(budget: &Budget, limit: &Limit, standing: &Standing) -> BudgetState {
    if standing.spent.amount >= limit.most {
        BudgetState::Exceeded
    } else if standing.passed(budget, limit).is_some() {
        BudgetState::Warned
    } else if standing.is_projected(limit) {
        BudgetState::Projected
    } else {
        BudgetState::Ok
    }
}

fn rounded(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}
