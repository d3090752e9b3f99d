//! How long a model's answers are, as far as its earlier calls tell.

use std::num::NonZeroUsize;

use lru::LruCache;

/// Most models that are remembered; those that were called least recently are forgotten.
const MODELS: NonZeroUsize = NonZeroUsize::new(512).unwrap();
/// Means are kept in units of 1/1024 of a token.
const UNIT: u64 = 1024;
/// An answer moves the mean by this part of the distance: α = 0.05.
const SLOWNESS: u64 = 20;
/// A mean of fewer answers says nothing.
const ENOUGH: u32 = 8;
/// Longer answers count as this long.
const LONGEST: u64 = 1 << 40;

/// What the meter remembers of each model's answers: numbers only, in memory only.
#[derive(Debug)]
pub struct Habits(LruCache<(&'static str, String), Mean>);

#[derive(Clone, Copy, Debug)]
struct Mean {
    /// In [`UNIT`]s.
    value: u64,
    answers: u32,
}

impl Default for Habits {
    fn default() -> Self {
        Self(LruCache::new(MODELS))
    }
}

impl Habits {
    /// Takes in the whole output of an answer that has come to its end.
    pub(super) fn learn(&mut self, provider: &'static str, model: &str, output: u64) {
        let output = output.min(LONGEST) * UNIT;
        let first = || Mean { value: output, answers: 0 };
        let mean = self.0.get_or_insert_mut((provider, model.to_owned()), first);
        mean.value = mean.value - mean.value / SLOWNESS + output / SLOWNESS;
        mean.answers = mean.answers.saturating_add(1);
    }

    /// How many tokens of output an answer of this model has on average, if enough are known.
    pub(super) fn output(&mut self, provider: &'static str, model: &str) -> Option<u64> {
        let mean = self.0.get(&(provider, model.to_owned()))?;
        (mean.answers >= ENOUGH).then(|| mean.value.div_ceil(UNIT))
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
            prop_assert_eq!(habits.0.len(), MODELS.get());
        }
    }
}
