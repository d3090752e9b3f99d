//! How values are spread: a histogram that forgets slowly.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// So many steps of a level are one cell: an eighth of a natural logarithm.
const CELL: i32 = 8;
/// Once so many values are there, all counts are halved: two weeks of busy five minutes.
const FULL: u32 = 4096;

/// How levels are spread. At most 355 cells, some 10 bytes each; most have 30.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::detect) struct Spread {
    cells: BTreeMap<i32, u32>,
    total: u32,
}

impl Spread {
    /// Takes in a value.
    pub(in crate::detect) fn learn(&mut self, level: i32) {
        let cell = self.cells.entry(level.div_euclid(CELL)).or_default();
        *cell = cell.saturating_add(1);
        self.total = self.total.saturating_add(1);
        if self.total >= FULL {
            self.cells.retain(|_, count| {
                *count /= 2;
                *count > 0
            });
            self.total = self.cells.values().sum();
        }
    }

    /// How many values it has of late.
    pub(in crate::detect) const fn total(&self) -> u32 {
        self.total
    }

    /// The least level that so many thousandths of the values are not above, to an eighth of a logarithm.
    pub(in crate::detect) fn quantile(&self, thousandths: u32) -> i32 {
        nth(self.cells.iter().map(|(cell, count)| (*cell, *count)), self.total, thousandths)
            .map_or(0, |cell| cell * CELL + CELL / 2)
    }

    /// The median of how far values are from their median.
    pub(in crate::detect) fn deviation(&self) -> i32 {
        let median = self.quantile(500).div_euclid(CELL);
        let mut away: BTreeMap<i32, u32> = BTreeMap::new();
        for (cell, count) in &self.cells {
            *away.entry((cell - median).abs()).or_default() += count;
        }
        nth(away.into_iter(), self.total, 500).map_or(0, |cells| cells * CELL)
    }
}

/// The first cell up to which there are so many thousandths of all.
fn nth(cells: impl Iterator<Item = (i32, u32)>, total: u32, thousandths: u32) -> Option<i32> {
    let wanted = (u64::from(total) * u64::from(thousandths)).div_ceil(1000).max(1);
    let mut before = 0;
    for (cell, count) in cells {
        before += u64::from(count);
        if before >= wanted {
            return Some(cell);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_few_wild_values_move_nothing() {
        let mut spread = Spread::default();
        (0..100).for_each(|number| spread.learn(624 + number % 5 * 8));
        let (median, deviation) = (spread.quantile(500), spread.deviation());
        (0..20).for_each(|_| spread.learn(2000));
        assert_eq!((spread.quantile(500), spread.deviation()), (median, deviation));
        assert!(spread.quantile(999) > 1990);
    }

    proptest! {
        #[test]
        fn the_median_is_that_of_all(levels in prop::collection::vec(0..2839i32, 1..200)) {
            let mut spread = Spread::default();
            levels.iter().for_each(|level| spread.learn(*level));
            let mut sorted = levels;
            sorted.sort_unstable();
            let median = sorted[(sorted.len() - 1) / 2];
            prop_assert!((spread.quantile(500) - median).abs() <= CELL);
        }

        #[test]
        fn it_stays_small(levels in prop::collection::vec(0..2839i32, 0..9000)) {
            let mut spread = Spread::default();
            levels.iter().for_each(|level| spread.learn(*level));
            prop_assert!(spread.total() < FULL && spread.cells.len() <= 355);
        }
    }
}
