//! When an attempt that failed is made again: the times that Standard Webhooks recommend.

use std::time::Duration;

use jiff::fmt::rfc2822;

use super::event::{NotificationId, Problem, digest};
use crate::units::Timestamp;

/// How often a notification is tried.
pub const ATTEMPTS_MAX: u32 = 10;
/// Seconds from the attempt before, or from the beginning, to each attempt.
const DELAYS: [u64; ATTEMPTS_MAX as usize] =
    [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// The longest that a receiver may put us off.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(24);
/// No attempt waits longer: the longest delay, and a tenth. What seems to was put off before the clock
/// was set back.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(95_040);

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An HTTP status.
    Status {
        /// From 100 to 999.
        status: u16,
        /// How long the receiver asks to be left alone, as [`retry_after`] reads it.
        retry_after: Option<Duration>,
    },
    /// What has no status was taken: a line of syslog.
    Taken,
    /// No answer.
    None(Problem),
}

/// How long the header `Retry-After` asks for (RFC 9110, section 10.2.3): seconds or a date. A day at most.
#[must_use]
pub fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // What is too long for a number is too long in any case.
        text.parse().map_or(RETRY_AFTER_MAX, Duration::from_secs)
    } else {
        let date = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
        Duration::try_from(date.duration_since(now)).unwrap_or(Duration::ZERO)
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// How long to wait for attempt number `attempt`, of which the first is 0, with a jitter of up to a tenth
/// that is the same whenever it is asked for. `None` if there is none any more.
pub(super) fn delay(id: &NotificationId, attempt: u32) -> Option<Duration> {
    let base = Duration::from_secs(*DELAYS.get(usize::try_from(attempt).ok()?)?);
    let digits = digest([id.0.as_str(), &attempt.to_string()]);
    let thousandths = digits.get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let jitter = base / 10 * (thousandths.unwrap_or(0) % 1000) / 1000;
    Some(base + jitter)
}

/// The time `wait` after `from`, or the last one there is.
pub(super) fn later(from: Timestamp, wait: Duration) -> Timestamp {
    from.checked_add(wait).unwrap_or(Timestamp::MAX)
}

/// Whether `wait` is over since `from`. It is if the clock was set back behind that: what is told twice does
/// less harm than what is told late.
pub(super) fn is_over(from: Timestamp, wait: Duration, now: Timestamp) -> bool {
    now < from || now >= later(from, wait)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn receivers_may_put_us_off_for_a_day() {
        let now: Timestamp = "2026-11-26T08:00:00Z".parse().unwrap();
        for (text, seconds) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("99999999999999999999999", Some(86_400)),
            ("Thu, 26 Nov 2026 08:01:00 GMT", Some(60)),
            ("Thu, 26 Nov 2026 07:00:00 GMT", Some(0)),
            ("Fri, 26 Nov 2027 08:00:00 GMT", Some(86_400)),
            ("", None),
            ("-1", None),
            ("soon", None),
            ("1.5", None),
        ] {
            assert_eq!(retry_after(text, now), seconds.map(Duration::from_secs), "{text:?}");
        }
    }

    #[test]
    fn the_schedule_ends() {
        let id = NotificationId("msg_1".to_owned());
        for attempt in 0..ATTEMPTS_MAX {
            let base = Duration::from_secs(DELAYS[attempt as usize]);
            let wait = delay(&id, attempt).unwrap();
            assert!(wait >= base && wait <= base + base / 10 && wait <= WAIT_MAX, "{attempt}");
            assert_eq!(delay(&id, attempt), Some(wait));
        }
        assert_eq!(delay(&id, ATTEMPTS_MAX), None);
    }

    proptest! {
        #[test]
        fn no_header_breaks_it(text in any::<String>(), digits in "[0-9]{0,40}") {
            for text in [text, digits] {
                let wait = retry_after(&text, Timestamp::UNIX_EPOCH);
                prop_assert!(wait.is_none_or(|wait| wait <= RETRY_AFTER_MAX));
            }
        }
    }
}
