//! A mean that follows what it is a mean of.

/// Means are kept in units of 1/1024.
const UNIT: u64 = 1024;
/// A value moves the mean by this part of the distance, α = 0.05: an exponentially weighted moving
/// average. The first of them are averaged, so that none counts for more than the others.
const SLOWNESS: u64 = 20;
/// Larger values count as this.
const LARGEST: u64 = 1 << 40;

/// The mean of the values so far, the latest ones first of all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mean {
    /// In [`UNIT`]s.
    value: u64,
    /// How many values there were.
    values: u32,
}

impl Mean {
    pub(super) fn learn(&mut self, value: u64) {
        self.values = self.values.saturating_add(1);
        let slowness = u64::from(self.values).min(SLOWNESS);
        let value = value.min(LARGEST) * UNIT;
        self.value = self.value - self.value / slowness + value / slowness;
    }

    /// The mean of at least so many values, rounded up.
    pub(super) fn of_at_least(&self, values: u32) -> Option<u64> {
        (self.values >= values).then(|| self.value.div_ceil(UNIT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_begins_as_an_average_and_then_follows() {
        let mut mean = Mean::default();
        assert_eq!(mean.of_at_least(1), None);
        for value in [900, 1_000, 1_100] {
            mean.learn(value);
        }
        assert_eq!((mean.of_at_least(3), mean.of_at_least(4)), (Some(1_000), None));
        for _ in 0..200 {
            mean.learn(50);
        }
        assert_eq!(mean.of_at_least(1), Some(51));
    }

    proptest! {
        #[test]
        fn it_lies_between_the_values(values in prop::collection::vec(1_000u64..9_000, 1..300)) {
            let mut mean = Mean::default();
            values.iter().for_each(|&value| mean.learn(value));
            let (least, most) = (values.iter().min().unwrap(), values.iter().max().unwrap());
            // Each value is rounded down by less than 2/1024.
            prop_assert!(mean.of_at_least(1).is_some_and(|mean| (least - 1..=most + 1).contains(&mean)));
        }

        #[test]
        fn no_value_is_too_large(values in prop::collection::vec(any::<u64>(), 0..40)) {
            let mut mean = Mean::default();
            values.into_iter().for_each(|value| mean.learn(value));
            prop_assert!(mean.of_at_least(0).is_some_and(|mean| mean <= LARGEST));
        }
    }
}
