//! In which hours of a week there is usually something.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::units::Timestamp;

/// Hours of a week.
const HOURS: usize = 168;
/// Weeks that are remembered, one bit each.
const WEEKS: u32 = 6;

/// Of each hour of the week, counted in UTC from Monday, in which of the latest six weeks there was anything.
/// 200 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::detect) struct Week {
    /// The lowest bit is this week.
    #[serde(serialize_with = "to_digits", deserialize_with = "of_digits")]
    hours: [u8; HOURS],
    /// This week, counted from 1970.
    week: i64,
    /// Weeks before this one in which there was anything.
    weeks: u32,
}

impl Default for Week {
    fn default() -> Self {
        Self { hours: [0; HOURS], week: 0, weeks: 0 }
    }
}

impl Week {
    /// Takes note that there is something at that time.
    pub(in crate::detect) fn learn(&mut self, time: Timestamp) {
        let (week, hour) = place(time);
        if week != self.week {
            if self.week != 0 {
                self.weeks = self.weeks.saturating_add(1);
            }
            // Weeks without anything say nothing.
            self.hours.iter_mut().for_each(|weeks| *weeks = *weeks << 1 & ((1 << WEEKS) - 1));
            self.week = week;
        }
        if let Some(weeks) = self.hours.get_mut(hour) {
            *weeks |= 1;
        }
    }

    /// How many weeks were seen before this one, of which six are remembered.
    pub(in crate::detect) const fn weeks(&self) -> u32 {
        self.weeks
    }

    /// Whether, in that hour and in those before and after it, there was nothing in the weeks before this, or
    /// once: neither on this day nor on any that is a working day, or not, as it is. If `any_day`, on no day.
    pub(in crate::detect) fn is_quiet(&self, time: Timestamp, any_day: bool) -> bool {
        let (_, hour) = place(time);
        let is_working_day = |hour: usize| hour / 24 < 5;
        let is_like_it = |other: &usize| {
            let apart = (other % 24).abs_diff(hour % 24);
            let is_near = apart.min(24 - apart) <= 1;
            is_near && (any_day || is_working_day(*other) == is_working_day(hour))
        };
        let before =
            |hour: usize| self.hours.get(hour).map_or(0, |weeks| (weeks & !1).count_ones());
        (0..HOURS).filter(is_like_it).map(before).sum::<u32>() < 2
    }

    /// In how many hours of the week there was something in more than one of the weeks before this.
    pub(in crate::detect) fn regular(&self) -> usize {
        self.hours.iter().filter(|weeks| (**weeks & !1).count_ones() > 1).count()
    }

    /// How many hours of the week there was something in, in any of the weeks before this.
    pub(in crate::detect) fn busy(&self) -> usize {
        self.hours.iter().filter(|weeks| **weeks & !1 != 0).count()
    }
}

/// Two hexadecimal digits for each hour.
fn to_digits<S: Serializer>(hours: &[u8; HOURS], serializer: S) -> Result<S::Ok, S::Error> {
    let digits: String = hours.iter().map(|weeks| format!("{weeks:02x}")).collect();
    serializer.serialize_str(&digits)
}

/// The other way round.
fn of_digits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; HOURS], D::Error> {
    let digits = String::deserialize(deserializer)?;
    let mut hours = [0; HOURS];
    for (place, hour) in hours.iter_mut().enumerate() {
        let digits = digits.get(2 * place..2 * place + 2);
        let weeks = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        *hour = weeks.ok_or_else(|| serde::de::Error::custom("not 168 hours"))?;
    }
    Ok(hours)
}

/// The week since 1970, from Monday to Monday, and the hour in it.
fn place(time: Timestamp) -> (i64, usize) {
    // 1970 began on a Thursday.
    const THURSDAY: i64 = 3 * 24;
    let hours = time.as_second().div_euclid(3600) + THURSDAY;
    let week = hours.div_euclid(HOURS as i64);
    // A remainder of 168 is one of 0 to 167.
    (week, usize::try_from(hours.rem_euclid(HOURS as i64)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn weeks_begin_on_monday() {
        assert_eq!(place(at("1970-01-05T00:00:00Z")), (1, 0));
        assert_eq!(place(at("1970-01-11T23:59:59Z")), (1, 167));
        assert_eq!(place(at("2026-11-23T09:30:00Z")).1, 9);
    }

    #[test]
    fn hours_that_are_never_used_are_quiet() {
        let mut week = Week::default();
        for day in 2..=27 {
            if day % 7 != 0 && day % 7 != 1 {
                week.learn(at(&format!("2026-11-{day:02}T10:00:00Z")));
            }
        }
        assert_eq!((week.weeks(), week.busy()), (3, 5));
        for (time, is_quiet, on_any_day) in [
            ("2026-11-27T10:30:00Z", false, false),
            ("2026-11-27T11:30:00Z", false, false),
            ("2026-11-27T12:30:00Z", true, true),
            ("2026-11-28T10:30:00Z", true, false),
            ("2026-11-28T03:30:00Z", true, true),
        ] {
            assert_eq!(week.is_quiet(at(time), false), is_quiet, "{time}");
            assert_eq!(week.is_quiet(at(time), true), on_any_day, "{time}");
        }
        let saved = serde_json::to_string(&week).unwrap();
        assert_eq!(serde_json::from_str::<Week>(&saved).unwrap(), week);
        assert!(saved.len() < 420);
    }
}
