//! How fast a budget is used up, and when it will be.
//!
//! A burn rate of 1 uses up just the limit in just the window. Rates are measured over two times at once, a
//! long one that shows that it matters and a short one that shows that it goes on, as Google's SRE Workbook
//! does ("Alerting on SLOs", table 5-8), scaled from its 30 days to the window. Its slowest alert, at a rate
//! of 1, is at 1.2 here: whoever uses up just the budget has a rate of 1.

use super::series::{Series, Spent, piece};
use super::window::Window;
use crate::detect::Severity;

/// How many pieces the long time is counted in.
const PIECES: i64 = 24;
/// Most pieces that are kept: those of the long time, and some that are too late or too early.
pub(super) const PIECES_MAX: usize = 40;
/// The short time is so many pieces: a twelfth of the long one.
const SHORT_PIECES: i64 = 2;
/// Shortest long time, in seconds: in less nothing can be told.
const SHORTEST: i64 = 300;
/// A slow burn is told of where the long time is so many seconds at least. In less, it is the time of day.
const A_DAY: i64 = 86_400;
/// Fewer calls are no rate.
pub(super) const CALLS_MIN: u32 = 3;

/// A rate that is too high, and over what time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How many times faster than the window allows.
    pub(super) factor: f64,
    /// The long time, in seconds.
    pub(super) long: i64,
    pub(super) severity: Severity,
    /// It is told of.
    pub(super) told: bool,
}

/// How fast it went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Burn {
    /// In the long time, in multiples of what the window allows.
    pub(super) long: f64,
    /// In the short time.
    pub(super) short: f64,
    /// What was spent in the long time.
    pub(super) spent: Spent,
}

impl Pace {
    /// Those of a window, the fastest first.
    pub(super) fn of(window: Window) -> [Self; 3] {
        let period = window.seconds();
        let pace = |factor: f64, part: i64, severity| {
            let long = (period / part).max(SHORTEST);
            Self { factor, long, severity, told: true }
        };
        // Where times had to be made longer, what comes to half the budget is told of by other words.
        let quick = |pace: Self| Self {
            told: pace.factor * to_f64(pace.long) <= 0.5 * to_f64(period),
            ..pace
        };
        let slow = pace(1.2, 10, Severity::Low);
        [
            quick(pace(14.4, 720, Severity::High)),
            quick(pace(6.0, 120, Severity::Medium)),
            Self { told: slow.long >= A_DAY, ..slow },
        ]
    }

    /// The second at which the piece begins that `second` is in.
    pub(super) fn piece(&self, second: i64) -> i64 {
        piece(second, self.piece_seconds())
    }

    fn piece_seconds(&self) -> i64 {
        self.long / PIECES
    }

    /// How much is spent in a second, of late.
    pub(super) fn rate(&self, series: &Series, now: i64) -> f64 {
        self.over(series, now, self.long).0
    }

    /// How fast it went until `now`.
    pub(super) fn burn(&self, series: &Series, now: i64, window: Window, most: i128) -> Burn {
        let allowed = to_f64(most) / to_f64(window.seconds());
        let (long, spent) = self.over(series, now, self.long);
        let (short, _) = self.over(series, now, SHORT_PIECES * self.piece_seconds());
        Burn { long: long / allowed, short: short / allowed, spent }
    }

    /// Whether that is to be told of.
    pub(super) fn is_passed(&self, burn: &Burn) -> bool {
        let is_fast = burn.long >= self.factor && burn.short >= self.factor;
        self.told && is_fast && burn.spent.calls >= CALLS_MIN
    }

    /// Whether it goes on, once told of.
    pub(super) fn is_held(&self, burn: &Burn) -> bool {
        self.told && burn.long >= self.factor && burn.short >= self.factor / 2.0
    }

    /// The rate over the last `seconds`, in units a second, and what was spent in them. The piece in which
    /// they begin is taken whole.
    fn over(&self, series: &Series, now: i64, seconds: i64) -> (f64, Spent) {
        let from = self.piece(now.saturating_sub(seconds));
        let spent = series.sum(from..=now);
        (to_f64(spent.amount) / to_f64(now.saturating_sub(from).max(1)), spent)
    }
}

/// As near as can be.
#[expect(clippy::cast_precision_loss, reason = "rates need no more than 53 bits")]
pub(super) fn to_f64(number: impl Into<i128>) -> f64 {
    number.into() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The long and short times, in seconds, of each pace that is told of.
    fn check(window: &str, expected: &[(f64, i64, i64)]) {
        let paces = Pace::of(window.parse().unwrap());
        let told = paces.iter().filter(|pace| pace.told);
        let times: Vec<_> = told
            .map(|pace| (pace.factor, pace.long, SHORT_PIECES * pace.piece_seconds()))
            .collect();
        assert_eq!(times, expected, "{window}");
    }

    #[test]
    fn times_are_scaled_to_the_window() {
        const HOUR: i64 = 3_600;
        let workbook = [(14.4, HOUR, 300), (6.0, 6 * HOUR, 1_800), (1.2, 72 * HOUR, 6 * HOUR)];
        check("month", &workbook);
        check("30d", &workbook);
        check("week", &[(14.4, 840, 70), (6.0, 5_040, 420)]);
        check("day", &[(14.4, 300, 24), (6.0, 720, 60)]);
        check("hour", &[(6.0, 300, 24)]);
    }
}
