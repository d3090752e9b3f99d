//! The time over which a budget is counted.

use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, ZonedDateTime};
use serde::{Deserialize, Serialize};

use crate::units::Timestamp;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
/// Longest rolling window, in hours.
const ROLLING_MAX: u32 = 90 * 24;
/// How many pieces a rolling window is counted in. What is older than it by one piece still counts.
const PIECES: i64 = 96;

/// The time over which a budget is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Window {
    /// From one full hour to the next, by the clock.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday to Sunday, as ISO 8601 has it.
    Week,
    /// From the first of a month to the last.
    Month,
    /// The last so many hours, from 1 to 2,160.
    Rolling(u32),
}

/// From when until when: `start <= time < end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

/// A word that is no [`Window`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"hour\", \"day\", \"week\", \"month\", or hours or days up to \"90d\" such as \"24h\"")]
pub struct ParseWindowError;

impl Window {
    /// How long it is, in seconds. A month counts as 30 days, a day as 24 hours.
    pub(super) const fn seconds(self) -> i64 {
        match self {
            Self::Hour => HOUR,
            Self::Day => DAY,
            Self::Week => 7 * DAY,
            Self::Month => 30 * DAY,
            Self::Rolling(hours) => hours as i64 * HOUR,
        }
    }

    /// How long the pieces are that it is counted in, in seconds; `None` if it is counted as a whole.
    pub(super) const fn piece(self) -> Option<i64> {
        match self {
            Self::Hour | Self::Day | Self::Week | Self::Month => None,
            Self::Rolling(_) => Some(self.seconds() / PIECES),
        }
    }

    /// The one that `time` is in; of rolling windows the one that ends with it.
    pub(super) fn around(self, time: Timestamp, zone: &TimeZone) -> Span {
        let calendar = match self {
            Self::Hour => hour(time, zone),
            Self::Day => day(time, zone),
            Self::Week => week(time, zone),
            Self::Month => month(time, zone),
            Self::Rolling(_) => {
                let start = later(time, -self.seconds());
                return Span { start, end: time };
            }
        };
        // Only at the ends of the calendar, thousands of years from now.
        calendar.unwrap_or_else(|_no_such_time| self.fixed(time))
    }

    /// One of fixed length.
    fn fixed(self, time: Timestamp) -> Span {
        let start = later(time, -time.as_second().rem_euclid(self.seconds()));
        Span { start, end: later(start, self.seconds()) }
    }
}

impl Span {
    /// In seconds.
    pub(super) fn length(&self) -> i64 {
        self.end.as_second().saturating_sub(self.start.as_second())
    }
}

/// So many seconds later, or the last time that there is.
pub(super) fn later(time: Timestamp, seconds: i64) -> Timestamp {
    let end = if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    time.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(end)
}

/// Offsets from UTC aren't whole hours everywhere, nor do they change by whole hours.
fn hour(time: Timestamp, zone: &TimeZone) -> Result<Span, jiff::Error> {
    let local = time.as_second().saturating_add(zone.to_offset(time).seconds().into());
    let start = Timestamp::from_second(time.as_second().saturating_sub(local.rem_euclid(HOUR)))?;
    Ok(Span { start, end: later(start, HOUR) })
}

fn day(time: Timestamp, zone: &TimeZone) -> Result<Span, jiff::Error> {
    let start = local(time, zone).start_of_day()?;
    let end = start.tomorrow()?.start_of_day()?;
    Ok(Span { start: start.timestamp(), end: end.timestamp() })
}

fn week(time: Timestamp, zone: &TimeZone) -> Result<Span, jiff::Error> {
    let date = local(time, zone).date();
    let days = i64::from(date.weekday().to_monday_zero_offset());
    let monday = date.checked_sub(SignedDuration::from_hours(24 * days))?;
    let next = monday.checked_add(SignedDuration::from_hours(24 * 7))?;
    between(monday, next, zone)
}

fn month(time: Timestamp, zone: &TimeZone) -> Result<Span, jiff::Error> {
    let date = local(time, zone).date();
    between(date.first_of_month(), date.last_of_month().tomorrow()?, zone)
}

/// From the beginning of one day to that of another.
fn between(
    first: jiff::civil::Date,
    next: jiff::civil::Date,
    zone: &TimeZone,
) -> Result<Span, jiff::Error> {
    let start = |date: jiff::civil::Date| date.to_zoned_datetime(zone.clone())?.start_of_day();
    Ok(Span { start: start(first)?.timestamp(), end: start(next)?.timestamp() })
}

fn local(time: Timestamp, zone: &TimeZone) -> ZonedDateTime {
    time.to_zoned_datetime(zone.clone())
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hour => f.pad("hour"),
            Self::Day => f.pad("day"),
            Self::Week => f.pad("week"),
            Self::Month => f.pad("month"),
            Self::Rolling(hours) if *hours > 24 && hours.is_multiple_of(24) => {
                f.pad(&format!("rolling-{}d", hours / 24))
            }
            Self::Rolling(hours) => f.pad(&format!("rolling-{hours}h")),
        }
    }
}

impl FromStr for Window {
    type Err = ParseWindowError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "hour" => return Ok(Self::Hour),
            "day" => return Ok(Self::Day),
            "week" => return Ok(Self::Week),
            "month" => return Ok(Self::Month),
            _ => {}
        }
        let length = text.strip_prefix("rolling-").unwrap_or(text);
        let (digits, factor) = match (length.strip_suffix('h'), length.strip_suffix('d')) {
            (Some(hours), _) => (hours, 1),
            (None, Some(days)) => (days, 24),
            (None, None) => return Err(ParseWindowError),
        };
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ParseWindowError);
        }
        let count: u32 = digits.parse().map_err(|_overflow| ParseWindowError)?;
        let hours = count.checked_mul(factor).filter(|hours| (1..=ROLLING_MAX).contains(hours));
        hours.map(Self::Rolling).ok_or(ParseWindowError)
    }
}

impl From<Window> for String {
    fn from(window: Window) -> Self {
        window.to_string()
    }
}

impl TryFrom<String> for Window {
    type Error = ParseWindowError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";
    /// Its clocks change by half an hour.
    const LORD_HOWE: &str = "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0";

    fn check(window: &str, zone: &str, time: &str, start: &str, end: &str) {
        let zone = if zone == "UTC" { TimeZone::UTC } else { TimeZone::posix(zone).unwrap() };
        let window: Window = window.parse().unwrap();
        let span = window.around(time.parse().unwrap(), &zone);
        let expected = Span { start: start.parse().unwrap(), end: end.parse().unwrap() };
        assert_eq!(span, expected, "{window} around {time}");
    }

    #[test]
    fn windows_follow_the_calendar() {
        for (window, zone, time, start, end) in [
            ("hour", "UTC", "2026-11-26T19:59:59Z", "2026-11-26T19:00Z", "2026-11-26T20:00Z"),
            ("hour", "<+0545>-5:45", "2026-11-26T19:59Z", "2026-11-26T19:15Z", "2026-11-26T20:15Z"),
            ("day", "UTC", "2026-11-26T00:00Z", "2026-11-26T00:00Z", "2026-11-27T00:00Z"),
            ("day", BERLIN, "2026-11-26T23:30Z", "2026-11-26T23:00Z", "2026-11-27T23:00Z"),
            // The days on which the clocks change have 23 and 25 hours.
            ("day", BERLIN, "2026-03-29T12:00Z", "2026-03-28T23:00Z", "2026-03-29T22:00Z"),
            ("day", BERLIN, "2026-10-25T12:00Z", "2026-10-24T22:00Z", "2026-10-25T23:00Z"),
            // 2027 begins in a week of 2026, and 2024 has a leap day.
            ("week", "UTC", "2027-01-03T23:59Z", "2026-12-28T00:00Z", "2027-01-04T00:00Z"),
            ("week", BERLIN, "2026-03-29T21:59Z", "2026-03-22T23:00Z", "2026-03-29T22:00Z"),
            ("month", "UTC", "2024-02-29T23:00Z", "2024-02-01T00:00Z", "2024-03-01T00:00Z"),
            ("month", "UTC", "2026-12-31T23:59Z", "2026-12-01T00:00Z", "2027-01-01T00:00Z"),
            ("month", BERLIN, "2026-10-31T22:59Z", "2026-09-30T22:00Z", "2026-10-31T23:00Z"),
            ("24h", BERLIN, "2026-10-25T12:00Z", "2026-10-24T12:00Z", "2026-10-25T12:00Z"),
            ("rolling-7d", "UTC", "2026-11-26T01:00Z", "2026-11-19T01:00Z", "2026-11-26T01:00Z"),
        ] {
            check(window, zone, time, start, end);
        }
    }

    #[test]
    fn windows_are_written_as_they_are_read() {
        for (text, shown) in [
            ("hour", Some("hour")),
            ("month", Some("month")),
            ("24h", Some("rolling-24h")),
            ("rolling-24h", Some("rolling-24h")),
            ("168h", Some("rolling-7d")),
            ("30d", Some("rolling-30d")),
            ("1d", Some("rolling-24h")),
            ("", None),
            ("h", None),
            ("0h", None),
            ("91d", None),
            ("+1h", None),
            ("99999999999d", None),
            ("year", None),
        ] {
            let window: Option<Window> = text.parse().ok();
            assert_eq!(window.map(|window| window.to_string()).as_deref(), shown, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_time_is_in_its_window(
            second in -377_705_116_800i64..253_402_200_000,
            step in 0i64..4_000_000,
            zone in prop::sample::select(&["UTC0", BERLIN, LORD_HOWE][..]),
        ) {
            let zone = TimeZone::posix(zone).unwrap();
            let time = Timestamp::from_second(second).unwrap();
            for window in [Window::Hour, Window::Day, Window::Week, Window::Month] {
                let span = window.around(time, &zone);
                prop_assert!(span.start <= time && time < span.end, "{} {:?}", window, span);
                let next = window.around(later(time, step), &zone);
                prop_assert!(span.start <= next.start);
            }
        }
    }
}
