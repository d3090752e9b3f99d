//! One limit and what was spent of it, by all or by one of those who have a budget each.

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::pace::{Burn, CALLS_MIN, PIECES_MAX, Pace, to_f64};
use super::series::{Series, Spent, piece};
use super::spec::{Budget, Limit};
use super::window::{Span, later};
use crate::detect::{FindingId, Severity};
use crate::units::Timestamp;

/// How many windows of the calendar are kept: the one that is, those for which records come late, and what
/// a clock that was wrong has left behind.
const WINDOWS_MAX: usize = 4;
/// Most pieces of a rolling window that are kept, for the same reasons.
const ROLLING_MAX: usize = 128;
/// A projection is believed once such a part of the window is over, and of the limit used.
const SOONEST: i128 = 10;

/// What was spent of one limit, and what was said of that.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Cell {
    /// By windows, or by pieces of a rolling one.
    spent: Series,
    /// By pieces of the times over which paces are measured.
    recent: [Series; 3],
    /// What was said of how much is used.
    pub(super) used: Option<Open>,
    /// What was said of how fast that goes.
    pub(super) burning: Option<Open>,
    /// It is used up.
    pub(super) over: Option<Over>,
}

/// A finding that isn't over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Open {
    pub(super) id: FindingId,
    pub(super) since: Timestamp,
    pub(super) severity: Severity,
    /// When the window began in which it began. Of rolling windows, the window's beginning at that time.
    pub(super) start: Timestamp,
}

/// Since when a limit is used up.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Over {
    pub(super) since: Timestamp,
    /// When the window began.
    start: Timestamp,
}

/// How it stands at some time.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) span: Span,
    pub(super) spent: Spent,
    /// When it will be used up, if it goes on as in all of the window so far.
    at_mean: Option<Timestamp>,
    /// When it will be used up if it goes on as slowly as it went lately or in all of the window, whichever
    /// is slower.
    pub(super) exhausted: Option<Timestamp>,
    /// Of late, in multiples of what the window allows.
    pub(super) burn: f64,
}

impl Cell {
    /// Adds what was spent at `time`. `now` is what is remembered longest.
    pub(super) fn add(
        &mut self,
        limit: &Limit,
        zone: &TimeZone,
        time: Timestamp,
        now: Timestamp,
        spent: &Spent,
    ) {
        let (second, now) = (time.as_second(), now.as_second());
        match limit.window.piece() {
            None => {
                let start = limit.window.around(time, zone).start.as_second();
                self.spent.add(start, spent, now, WINDOWS_MAX);
            }
            Some(seconds) => self.spent.add(piece(second, seconds), spent, now, ROLLING_MAX),
        }
        for (pace, series) in Pace::of(limit.window).iter().zip(&mut self.recent) {
            series.add(pace.piece(second), spent, now, PIECES_MAX);
        }
    }

    /// Adds what was spent in another.
    pub(super) fn merge(&mut self, limit: &Limit, other: &Self, now: Timestamp) {
        let now = now.as_second();
        let most = if limit.window.piece().is_some() { ROLLING_MAX } else { WINDOWS_MAX };
        self.spent.merge(&other.spent, now, most);
        for (series, other) in self.recent.iter_mut().zip(&other.recent) {
            series.merge(other, now, PIECES_MAX);
        }
    }

    /// Something was said of it that isn't taken back, or has a consequence.
    pub(super) const fn is_open(&self) -> bool {
        self.used.is_some() || self.burning.is_some() || self.over.is_some()
    }

    /// How it stands.
    pub(super) fn standing(&self, limit: &Limit, zone: &TimeZone, now: Timestamp) -> Standing {
        let span = limit.window.around(now, zone);
        let second = now.as_second();
        let [_, _, slow] = Pace::of(limit.window);
        let [_, _, recent] = &self.recent;
        let rate = slow.rate(recent, second);
        let (spent, mean, elapsed) = match limit.window.piece() {
            None => {
                let start = span.start.as_second();
                let spent = self.spent.sum(start..=start);
                let elapsed = second.saturating_sub(start).max(1);
                (spent, to_f64(spent.amount) / to_f64(elapsed), elapsed)
            }
            Some(_) => {
                let spent = self.spent.sum(counted(limit, second)..=second);
                // All of a rolling window is over, and its mean can't use it up.
                (spent, rate, span.length())
            }
        };
        let projects = spent.calls >= CALLS_MIN
            && i128::from(elapsed) * SOONEST >= span.length().into()
            && spent.amount.saturating_mul(SOONEST) >= limit.most;
        let reached = |rate| {
            let is_over = spent.amount >= limit.most;
            if is_over || projects { self.reached(limit, now, spent.amount, rate) } else { None }
        };
        Standing {
            span,
            spent,
            at_mean: reached(mean),
            exhausted: reached(mean.min(rate)),
            burn: rate * to_f64(limit.window.seconds()) / to_f64(limit.most),
        }
    }

    /// How fast it went, for each pace.
    pub(super) fn burns(&self, limit: &Limit, now: Timestamp) -> [(Pace, Burn); 3] {
        let [fast, middle, slow] = &self.recent;
        let [of_fast, of_middle, of_slow] = Pace::of(limit.window);
        [(of_fast, fast), (of_middle, middle), (of_slow, slow)].map(|(pace, series)| {
            (pace, pace.burn(series, now.as_second(), limit.window, limit.most))
        })
    }

    /// Notes whether it is used up, and since when.
    pub(super) fn weigh(&mut self, standing: &Standing, limit: &Limit, now: Timestamp) {
        let is_over = standing.spent.amount >= limit.most;
        let start = standing.span.start;
        let is_same = |over: &Over| limit.window.piece().is_some() || over.start == start;
        self.over = match self.over.filter(is_same) {
            Some(over) if is_over => Some(over),
            None if is_over => Some(Over { since: now, start }),
            Some(_) | None => None,
        };
    }

    /// When a limit that is used up will not be any more, if nothing is spent until then.
    pub(super) fn release(&self, limit: &Limit, standing: &Standing, now: Timestamp) -> Timestamp {
        let Some(seconds) = limit.window.piece() else { return standing.span.end };
        let mut left = standing.spent.amount;
        let mut at = now;
        for (start, spent) in self.pieces(limit, now.as_second()) {
            if left < limit.most {
                break;
            }
            left = left.saturating_sub(spent.amount);
            at = leaves(limit, start, seconds);
        }
        at
    }

    /// When the limit will be reached at so many units a second, if in this window or a rolling one's length.
    fn reached(&self, limit: &Limit, now: Timestamp, spent: i128, rate: f64) -> Option<Timestamp> {
        let mut left = to_f64(limit.most.saturating_sub(spent));
        if left <= 0.0 {
            return Some(now);
        }
        if rate <= 0.0 {
            return None;
        }
        let mut at = now;
        if let Some(seconds) = limit.window.piece() {
            // What leaves the window gives back.
            for (start, spent) in self.pieces(limit, now.as_second()) {
                let leaves = leaves(limit, start, seconds);
                let gained = rate * to_f64(leaves.as_second().saturating_sub(at.as_second()));
                if gained >= left {
                    return Some(after(at, left / rate));
                }
                left += to_f64(spent.amount) - gained;
                at = leaves;
            }
            return None;
        }
        Some(after(at, left / rate))
    }

    /// The pieces of a rolling window, the earliest first.
    fn pieces(&self, limit: &Limit, now: i64) -> impl Iterator<Item = (i64, &Spent)> {
        self.spent.pieces(counted(limit, now)..=now)
    }
}

impl Standing {
    /// How bad that is. `None` if all is well.
    pub(super) fn severity(&self, budget: &Budget, limit: &Limit) -> Option<Severity> {
        let spent = self.spent.amount;
        if spent >= limit.most {
            return Some(Severity::High);
        }
        let severities = [Severity::Medium, Severity::Low, Severity::Informational];
        let warned = budget.warn_at.iter().rev().zip(severities);
        let warned = warned.into_iter().find(|(part, _)| passes(spent, **part, limit));
        let warned = warned.map(|(_, severity)| severity);
        let projected = self.is_projected(limit).then_some(Severity::Low);
        warned.max(projected)
    }

    /// The largest of the parts at which to warn that is reached, in thousandths.
    pub(super) fn passed(&self, budget: &Budget, limit: &Limit) -> Option<u32> {
        let mut parts = budget.warn_at.iter().rev().copied();
        parts.find(|part| passes(self.spent.amount, *part, limit))
    }

    /// Whether it will be used up well before the window ends.
    pub(super) fn is_projected(&self, limit: &Limit) -> bool {
        let margin = match limit.window.piece() {
            None => later(self.span.end, -self.span.length() / 20),
            Some(_) => later(self.span.end, limit.window.seconds() / 4),
        };
        self.exhausted.is_some_and(|time| time <= margin)
    }

    /// Whether what was said of its use still holds, if it is still the same window.
    pub(super) fn holds(&self, budget: &Budget, limit: &Limit) -> bool {
        // A rolling window goes up and down: it must be clearly below what was said.
        let eased = self.spent.amount.saturating_add(limit.most / 20);
        let lowest = budget.warn_at.first().copied().unwrap_or(1_000);
        let end = match limit.window.piece() {
            None => self.span.end,
            Some(_) => later(self.span.end, limit.window.seconds() / 2),
        };
        passes(eased, lowest, limit) || self.at_mean.is_some_and(|time| time < end)
    }

    /// Which part of the limit is used: 1 is all of it.
    pub(super) fn ratio(&self, limit: &Limit) -> f64 {
        to_f64(self.spent.amount) / to_f64(limit.most)
    }
}

/// Whether so many thousandths of a limit are spent.
fn passes(spent: i128, part: u32, limit: &Limit) -> bool {
    spent.saturating_mul(1_000) >= limit.most.saturating_mul(part.into())
}

/// The earliest piece of a rolling window that counts can begin there: the one in which the window begins
/// is taken whole.
fn counted(limit: &Limit, now: i64) -> i64 {
    let piece = limit.window.piece().unwrap_or(0);
    now.saturating_sub(limit.window.seconds()).saturating_sub(piece).saturating_add(1)
}

/// When a piece of a rolling window counts no more.
fn leaves(limit: &Limit, start: i64, seconds: i64) -> Timestamp {
    let second = start.saturating_add(limit.window.seconds()).saturating_add(seconds);
    Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
}

/// So many seconds later, or the last time that there is.
fn after(time: Timestamp, seconds: f64) -> Timestamp {
    #[expect(clippy::cast_possible_truncation, reason = "it saturates, and so does what follows")]
    later(time, seconds.ceil() as i64)
}
