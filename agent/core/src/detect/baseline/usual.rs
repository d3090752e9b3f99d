//! How much is usual: sums of five minutes, and the peaks of days.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{DOUBLE, Spread, amount};

/// Peaks of so many days are kept.
const DAYS: usize = 28;
/// A day's peak counts as usual if one in so many of these days had one as high: two of 14, three of 28.
const OFTEN: usize = 10;
/// What was said to be unusual on so many days of these is usual from then on.
const SAID: usize = 3;
/// By how much what is usual may rise from one day to the next, in steps of a level: a factor of 1.05.
pub(super) const RISE: i32 = 3;

/// What is usual of an identity, or of a group. About 500 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::detect) struct Usual {
    /// Sums of the five minutes in which there was anything.
    spread: Spread,
    /// The highest of them on each of the latest days on which there was any.
    peaks: VecDeque<i32>,
    /// The day of the last of them, since 1970.
    day: i64,
    /// Days on which there was anything.
    days: u32,
    /// What a peak may be, once enough is known.
    level: Option<i32>,
    /// The latest days on which something was said to be unusual: their numbers by `days`, and their peaks.
    said: VecDeque<(u32, i32)>,
}

/// How much must be known before anything is called unusual.
#[derive(Clone, Copy, Debug)]
pub(in crate::detect) struct Needs {
    /// On so many days there was something.
    pub(in crate::detect) days: u32,
    /// So many sums.
    pub(in crate::detect) sums: u32,
}

/// From where on something is unusual.
#[derive(Clone, Copy, Debug)]
pub(in crate::detect) struct Limits {
    /// The z-score, in thousandths.
    pub(in crate::detect) z: u32,
    /// The least deviation that is believed, in steps.
    pub(in crate::detect) deviation: i32,
    /// By how many steps it must be above a usual peak.
    pub(in crate::detect) above: i32,
    /// How much more than a usual peak it must be.
    pub(in crate::detect) effect: u64,
}

/// What was seen and what would be usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::detect) struct Amounts {
    /// The median of sums.
    pub(in crate::detect) median: u64,
    /// A usual peak.
    pub(in crate::detect) peak: u64,
    /// How many thousandths of z-score.
    pub(in crate::detect) z: i64,
}

impl Usual {
    /// Takes in what five minutes of a day (since 1970) came to, unless it is far above what is usual:
    /// then it counts as twice that.
    pub(in crate::detect) fn learn(&mut self, level: i32, day: i64, needs: Needs) {
        let level = self.level.map_or(level, |usual| level.min(usual + DOUBLE));
        self.spread.learn(level);
        if self.day == day
            && let Some(peak) = self.peaks.back_mut()
        {
            *peak = level.max(*peak);
            return;
        }
        self.close_day(needs);
        self.day = day;
        self.days = self.days.saturating_add(1);
        self.peaks.push_back(level);
        if self.peaks.len() > DAYS {
            self.peaks.pop_front();
        }
    }

    /// Takes note that a sum is said to be unusual. Who is told the same three times knows.
    pub(in crate::detect) fn said(&mut self, level: i32) {
        match self.said.back_mut() {
            Some((day, peak)) if *day == self.days => *peak = level.max(*peak),
            Some(_) | None => self.said.push_back((self.days, level)),
        }
    }

    /// Whether enough is known.
    pub(in crate::detect) const fn is_known(&self, needs: Needs) -> bool {
        self.level.is_some() && self.spread.total() >= needs.sums
    }

    /// What would be usual, if a sum is not: by the modified z-score (Iglewicz and Hoaglin), and by the peaks
    /// of days.
    pub(in crate::detect) fn exceeded(&self, sum: u64, limits: Limits) -> Option<Amounts> {
        let level = super::level(sum);
        let usual = self.level?;
        let median = self.spread.quantile(500);
        let deviation = self.spread.deviation().max(limits.deviation).max(1);
        let z = i64::from(level - median) * 6745 / 10 / i64::from(deviation);
        let peak = amount(usual);
        let is_far = z > i64::from(limits.z) && level > usual + limits.above;
        let matters = sum.saturating_sub(peak) >= limits.effect;
        (is_far && matters).then(|| Amounts { median: amount(median), peak, z })
    }

    fn close_day(&mut self, needs: Needs) {
        if self.days < needs.days {
            return;
        }
        let mut peaks: Vec<_> = self.peaks.iter().copied().collect();
        peaks.sort_unstable_by_key(|peak| std::cmp::Reverse(*peak));
        let Some(often) = peaks.get(peaks.len().div_ceil(OFTEN).saturating_sub(1)) else { return };
        self.level = Some(self.level.map_or(*often, |level| (*often).min(level + RISE)));
        let days = self.days;
        self.said.retain(|(day, _)| days.saturating_sub(*day) <= DAYS as u32);
        if self.said.len() >= SAID {
            let least = self.said.drain(..).map(|(_, peak)| peak).min();
            self.level = self.level.max(least);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::level;
    use super::*;

    const NEEDS: Needs = Needs { days: 14, sums: 48 };
    const LIMITS: Limits = Limits { z: 3500, deviation: 6, above: DOUBLE, effect: 50_000 };

    /// Days of this many tokens in ten of the five minutes each.
    fn learnt(days: i64, tokens: impl Fn(i64) -> u64) -> Usual {
        let mut usual = Usual::default();
        for day in 0..days {
            (0..10).for_each(|_| usual.learn(level(tokens(day)), day, NEEDS));
        }
        usual
    }

    #[test]
    fn far_more_than_a_usual_peak_is_unusual() {
        let usual = learnt(20, |_| 100_000);
        assert!(usual.is_known(NEEDS));
        for (sum, is_unusual) in
            [(100_000, false), (190_000, false), (220_000, true), (2_000_000, true)]
        {
            assert_eq!(usual.exceeded(sum, LIMITS).is_some(), is_unusual, "{sum}");
        }
        let small = learnt(20, |_| 1000);
        assert_eq!(small.exceeded(50_000, LIMITS), None, "it doesn't matter");
        assert!(!learnt(14, |_| 1000).is_known(NEEDS), "the fourteenth day isn't over");
    }

    #[test]
    fn a_burst_that_comes_often_is_usual() {
        let weekly = learnt(28, |day| if day % 7 == 0 { 1_000_000 } else { 10_000 });
        assert_eq!(weekly.exceeded(1_500_000, LIMITS), None);
    }

    #[test]
    fn slow_poisoning_is_slower_than_a_twentieth_a_day() {
        let mut usual = learnt(20, |_| 100_000);
        for day in 20..30 {
            (0..50).for_each(|_| usual.learn(level(180_000), day, NEEDS));
        }
        let poisoned = usual.exceeded(400_000, LIMITS);
        assert!(poisoned.is_some_and(|amounts| amounts.peak < 170_000), "{poisoned:?}");
    }

    #[test]
    fn what_was_said_on_three_days_is_usual() {
        let mut usual = learnt(20, |_| 100_000);
        for (day, is_unusual) in [(20, true), (21, true), (22, true), (23, false)] {
            usual.learn(level(100_000), day, NEEDS);
            assert_eq!(usual.exceeded(900_000, LIMITS).is_some(), is_unusual, "{day}");
            usual.said(level(900_000));
        }
    }

    #[test]
    fn a_gap_changes_nothing() {
        let mut usual = learnt(20, |_| 100_000);
        let before = usual.exceeded(300_000, LIMITS);
        usual.learn(level(100_000), 4000, NEEDS);
        usual.learn(level(100_000), 21, NEEDS);
        assert_eq!(usual.exceeded(300_000, LIMITS), before);
    }
}
