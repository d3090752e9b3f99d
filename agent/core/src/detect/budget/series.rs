//! Amounts by the time at which they were spent.

use std::collections::BTreeMap;
use std::ops::RangeBounds;

use serde::{Deserialize, Serialize};

/// What was spent, in the unit of a limit: pico-dollars, tokens or calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spent {
    /// How much.
    pub(super) amount: i128,
    /// In how many calls.
    pub(super) calls: u32,
    /// How many of them have no known cost, or only a part of it.
    pub(super) unpriced: u32,
}

impl Spent {
    pub(super) fn add(&mut self, more: &Self) {
        self.amount = self.amount.saturating_add(more.amount);
        self.calls = self.calls.saturating_add(more.calls);
        self.unpriced = self.unpriced.saturating_add(more.unpriced);
    }
}

/// What was spent in each of the pieces of time that there was something spent in, by the second at which
/// the piece begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Series(BTreeMap<i64, Spent>);

impl Series {
    /// Adds to the piece that begins at `start`. Of more than `most` pieces, those that are the farthest
    /// from `now` are forgotten.
    pub(super) fn add(&mut self, start: i64, spent: &Spent, now: i64, most: usize) {
        self.0.entry(start).or_default().add(spent);
        while self.0.len() > most {
            let ends = (self.0.first_key_value(), self.0.last_key_value());
            let (Some((&first, _)), Some((&last, _))) = ends else { return };
            let far = if now.abs_diff(first) > last.abs_diff(now) { first } else { last };
            self.0.remove(&far);
        }
    }

    /// What was spent in pieces that begin there.
    pub(super) fn sum(&self, starts: impl RangeBounds<i64>) -> Spent {
        self.0.range(starts).fold(Spent::default(), |mut sum, (_, spent)| {
            sum.add(spent);
            sum
        })
    }

    /// The pieces that begin there, the earliest first.
    pub(super) fn pieces(
        &self,
        starts: impl RangeBounds<i64>,
    ) -> impl Iterator<Item = (i64, &Spent)> {
        self.0.range(starts).map(|(start, spent)| (*start, spent))
    }

    /// Adds what is in another.
    pub(super) fn merge(&mut self, other: &Self, now: i64, most: usize) {
        for (start, spent) in &other.0 {
            self.add(*start, spent, now, most);
        }
    }
}

/// The beginning of the piece of that many seconds that `second` is in.
pub(super) const fn piece(second: i64, seconds: i64) -> i64 {
    second - second.rem_euclid(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_farthest_is_forgotten_first() {
        let spent = |amount| Spent { amount, calls: 1, unpriced: 0 };
        let mut series = Series::default();
        for start in [100, 0, 50, 1_000_000, 60] {
            series.add(start, &spent(start.into()), start, 3);
        }
        let kept: Vec<_> = series.pieces(..).map(|(start, _)| start).collect();
        assert_eq!(kept, [50, 60, 100], "a clock that was wrong for a while leaves nothing behind");
        assert_eq!(series.sum(60..), Spent { amount: 160, calls: 2, unpriced: 0 });
    }
}
