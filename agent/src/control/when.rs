//! Points in time as people write them: `24h` ago, a date, or the exact moment.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, civil::Date};

/// Why a text is not a point in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a time: write how long ago (90m, 24h, 7d), a date in UTC (2026-11-23) or a \
     moment (2026-11-23T08:00:00Z)"
)]
pub struct WhenError(String);

/// Reads `30s`, `90m`, `24h`, `7d` or `2w` (so long before `now`), `now`, a date (its midnight in
/// UTC) or an RFC 3339 time.
///
/// # Errors
/// It is none of these, or is out of the range of a [`Timestamp`].
pub fn parse(text: &str, now: Timestamp) -> Result<Timestamp, WhenError> {
    if text == "now" {
        return Ok(now);
    }
    ago(text)
        .and_then(|age| now.checked_sub(age).ok())
        .or_else(|| midnight(text))
        .or_else(|| text.parse().ok())
        .ok_or_else(|| WhenError(text.chars().take(60).collect()))
}

fn ago(text: &str) -> Option<SignedDuration> {
    let unit = text.chars().next_back()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _other => return None,
    };
    let digits = text.strip_suffix(unit)?;
    let count: u32 = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())??;
    Some(SignedDuration::from_secs(i64::from(count) * seconds))
}

fn midnight(text: &str) -> Option<Timestamp> {
    let date: Date = (text.len() == 10).then(|| text.parse().ok())??;
    TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-23T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, time) in [
            ("now", Some("2026-11-23T12:00:00Z")),
            ("90m", Some("2026-11-23T10:30:00Z")),
            ("24h", Some("2026-11-22T12:00:00Z")),
            ("7d", Some("2026-11-16T12:00:00Z")),
            ("2026-11-01", Some("2026-11-01T00:00:00Z")),
            ("2026-11-01T08:00:00Z", Some("2026-11-01T08:00:00Z")),
            ("2026-11-01T08:00:00+02:00", Some("2026-11-01T06:00:00Z")),
            ("", None),
            ("h", None),
            ("-1h", None),
            ("24", None),
            ("24 hours", None),
            ("2026-13-01", None),
            ("2026-11-01T08:00", None),
            ("99999999999w", None),
        ] {
            let time = time.map(|time| time.parse().unwrap());
            assert_eq!(parse(text, now()).ok(), time, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC*") {
            let _ = parse(&text, now());
        }
    }
}
