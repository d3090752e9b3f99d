//! UTC days, by which the log is divided into files.

use serde::{Deserialize, Serialize};
use weir_core::units::Timestamp;

const SECONDS: i64 = 86_400;
/// 9999-12-30, the last day whose start and end [`Timestamp`] can hold.
const LAST: i64 = 2_932_895;

/// A UTC day, counted from 1970-01-01. `0 <= days <= 2_932_895`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Day(u32);

impl Day {
    /// The first day there is.
    pub const FIRST: Self = Self(0);

    /// The day that `time` is in; a clock outside 1970–9999 gives the nearest day.
    #[must_use]
    pub fn of(time: Timestamp) -> Self {
        let days = time.as_second().div_euclid(SECONDS).clamp(0, LAST);
        Self(u32::try_from(days).unwrap_or_default())
    }

    /// When it begins.
    #[must_use]
    pub fn start(self) -> Timestamp {
        Timestamp::from_second(i64::from(self.0) * SECONDS).unwrap_or(Timestamp::MAX)
    }

    /// When it ends, which is when the next begins.
    #[must_use]
    pub fn end(self) -> Timestamp {
        Timestamp::from_second((i64::from(self.0) + 1) * SECONDS).unwrap_or(Timestamp::MAX)
    }

    /// So many days earlier.
    #[must_use]
    pub const fn back(self, days: u32) -> Self {
        Self(self.0.saturating_sub(days))
    }

    /// Its number, which sorts as the days do.
    pub(super) const fn number(self) -> u32 {
        self.0
    }

    /// The day of that number.
    pub(super) const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// Name of the log file that holds what was appended on it.
    pub(super) fn file_name(self) -> String {
        format!("usage-{}.jsonl", self.start().strftime("%Y-%m-%d"))
    }

    /// The day whose file is called `name`; `None` if no day's is.
    pub(super) fn from_file_name(name: &str) -> Option<Self> {
        let date = name.strip_prefix("usage-")?.strip_suffix(".jsonl")?;
        let day = Self::of(format!("{date}T00:00:00Z").parse().ok()?);
        (day.file_name() == name).then_some(day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn file_names_sort_as_days_do(a in 0..=2_932_895u32, b in 0..=2_932_895u32) {
            let (a, b) = (Day(a), Day(b));
            prop_assert_eq!(a.cmp(&b), a.file_name().cmp(&b.file_name()));
            prop_assert_eq!(Day::from_file_name(&a.file_name()), Some(a));
            prop_assert_eq!(Day::of(a.start()), a);
        }
    }

    #[test]
    fn only_our_own_files_are_days() {
        for name in [
            "usage-2026-1-2.jsonl",
            "usage-2026-02-30.jsonl",
            "usage-.jsonl",
            "x",
            "usage-2026-01-02.jsonl.gz",
        ] {
            assert_eq!(Day::from_file_name(name), None, "{name}");
        }
        let day = Day::from_file_name("usage-2026-11-23.jsonl").unwrap();
        assert_eq!(day.start().to_string(), "2026-11-23T00:00:00Z");
        assert_eq!(day.end().to_string(), "2026-11-24T00:00:00Z");
    }

    #[test]
    fn absurd_clocks_give_the_nearest_day() {
        assert_eq!(Day::of(Timestamp::MIN), Day::FIRST);
        assert_eq!(Day::of(Timestamp::MAX), Day(2_932_895));
    }
}
