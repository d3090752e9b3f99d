//! What models are like, as far as their earlier calls tell: how long their answers are, and how many
//! of their tokens text comes to.

use std::num::NonZeroUsize;

use lru::LruCache;

use super::calibrate::Calibration;
use super::mean::Mean;

/// Most models that are remembered; those that were called least recently are forgotten.
pub(super) const MODELS: NonZeroUsize = NonZeroUsize::new(512).unwrap();
/// A mean of fewer answers says nothing.
const ENOUGH: u32 = 8;

/// What the meter remembers of each model's calls: numbers only, in memory only.
#[derive(Debug)]
pub struct Habits {
    outputs: LruCache<(&'static str, String), Mean>,
    pub(super) calibration: Calibration,
}

impl Default for Habits {
    fn default() -> Self {
        Self { outputs: LruCache::new(MODELS), calibration: Calibration::default() }
    }
}

impl Habits {
    /// Takes in the whole output of an answer that has come to its end.
    pub(super) fn learn(&mut self, provider: &'static str, model: &str, output: u64) {
        self.outputs.get_or_insert_mut((provider, model.to_owned()), Mean::default).learn(output);
    }

    /// How many tokens of output an answer of this model has on average, if enough are known.
    pub(super) fn output(&mut self, provider: &'static str, model: &str) -> Option<u64> {
        self.outputs.get(&(provider, model.to_owned()))?.of_at_least(ENOUGH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_mean_needs_answers_and_follows_them() {
        let mut habits = Habits::default();
        for _ in 1..ENOUGH {
            habits.learn("p", "m", 1_000);
            assert_eq!(habits.output("p", "m"), None);
        }
        habits.learn("p", "m", 1_000);
        assert_eq!(habits.output("p", "m"), Some(1_000));
        assert_eq!(habits.output("q", "m"), None);
        for _ in 0..200 {
            habits.learn("p", "m", 50);
        }
        assert_eq!(habits.output("p", "m"), Some(51));
    }

    proptest! {
        #[test]
        fn no_number_of_models_or_tokens_is_too_large(outputs in prop::collection::vec(any::<u64>(), 0..40)) {
            let mut habits = Habits::default();
            for (model, output) in (0u64..).zip(outputs) {
                habits.learn("p", &(model % 3).to_string(), output);
                habits.output("p", "0");
            }
            for model in 0..2 * MODELS.get() {
                habits.learn("p", &model.to_string(), u64::MAX);
            }
            prop_assert_eq!(habits.outputs.len(), MODELS.get());
        }
    }
}
