//! More than [`Settings::calls`] calls in an hour of the week in which there never were any.
//!
//! Known are 168 hours of the week in UTC, over six weeks. An hour counts as quiet if there was nothing
//! in it, nor in the one before and after it, on any day of its kind, working or not; who works at a terminal
//! may do so on any day. Nothing is said in the first [`Settings::weeks`] weeks, nor of whoever is busy in more
//! than half of all hours, or hardly ever. Low. (OWASP NHI2, NHI10.)

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::baseline::Week;
use super::watch::{Call, Calls, Report, Say, Table, Watch, Whose, hours};
use super::{Amount, Detector, Evidence, Severity, Subject};

/// Who is busy in more hours of the week has no others.
const BUSY_MAX: usize = 84;
/// Who is busy in fewer week after week has no habit.
const REGULAR_MIN: usize = 5;

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// So many calls in an hour may be an accident.
    pub calls: u32,
    /// So many weeks must have been seen.
    pub weeks: u32,
    /// So many hours without such a call, and it is over.
    pub quiet_hours: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { calls: 20, weeks: 3, quiet_hours: 2 }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct OffHours(Table<Row>);

#[derive(Debug, Default, Serialize, Deserialize)]
struct Row {
    week: Week,
    /// This hour since 1970, and the calls in it.
    hour: i64,
    count: u32,
    quiet: bool,
    calls: Calls,
}

impl Watch for OffHours {
    type Settings = Settings;
    const DETECTOR: Detector = Detector::OffHours;

    fn quiet(settings: &Settings) -> SignedDuration {
        hours(settings.quiet_hours)
    }

    fn call(&mut self, settings: &Settings, call: &Call<'_>, say: &mut Say<'_>) {
        if !call.is_live {
            return;
        }
        let record = call.record;
        let row = self.0.row(call.identity());
        let hour = call.now.as_second().div_euclid(3600);
        if hour != row.hour || row.count == 0 {
            let any_day = record.workload.interactive == Some(true);
            let has_habit = row.week.regular() >= REGULAR_MIN && row.week.busy() <= BUSY_MAX;
            row.quiet = row.week.weeks() >= settings.weeks
                && has_habit
                && row.week.is_quiet(call.now, any_day);
            (row.hour, row.count) = (hour, 0);
            row.calls.clear();
        }
        row.count = row.count.saturating_add(1);
        row.calls.push(&record.id);
        // What alerts isn't learnt; a few calls are.
        if !row.quiet || row.count == 1 {
            row.week.learn(call.now);
        }
        if !row.quiet || row.count <= settings.calls {
            return;
        }
        let time = call.now.strftime("%A %H:00");
        let subject = Subject::Identity(record.identity.clone());
        say.holds(
            subject,
            "",
            Severity::Low,
            || Whose::call(record),
            || Report {
                summary: format!(
                    "{} made {} calls on {time} UTC, when it never made any",
                    record.identity, row.count
                ),
                evidence: Evidence {
                    observed: Some(Amount::Calls(u64::from(row.count))),
                    usual: Some(Amount::Calls(0)),
                    limit: Some(Amount::Calls(u64::from(settings.calls))),
                    from: Some(record.time),
                    until: Some(call.now),
                    calls: row.calls.to_vec(),
                    details: BTreeMap::from([
                        ("busy_hours_a_week".to_owned(), row.week.busy().to_string()),
                        ("weeks".to_owned(), row.week.weeks().to_string()),
                    ]),
                },
                next_step:
                    "Look at who ran it with `weir calls`, and ask the owner whether it was meant"
                        .to_owned(),
            },
        );
    }

    fn rename(&mut self, from: &str, to: &str) {
        self.0.rename(from, to);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Log, firing};
    use super::super::watch::Watches;
    use super::*;

    /// So many weeks, with calls from nine to five on working days.
    fn office(weeks: i64) -> Log {
        let mut log = Log::new();
        for _ in 0..weeks {
            for _ in 0..5 {
                log = log.each_hours("a", 1, 8).after_hours(16);
            }
            log = log.after_hours(48);
        }
        log
    }

    #[test]
    fn calls_at_night_are_found() {
        let found = [("a", Severity::Low)];
        let terminal = |log: Log| log.with(|like| like.workload.interactive = Some(true));
        for (log, expected) in [
            (office(4).after_hours(16).calls("a", 30), &found as &[_]),
            (office(4).after_hours(16).calls("a", 20), &[]),
            (office(4).calls("a", 30), &[]),
            (office(4).after_hours(8).calls("a", 30), &[]),
            (office(3).after_hours(16).calls("a", 30), &[]),
            (office(4).after_hours(24 * 5).calls("a", 30), &found),
            (terminal(office(4)).after_hours(24 * 5).calls("a", 30), &[]),
            (terminal(office(4)).after_hours(16).calls("a", 30), &found),
        ] {
            let mut watches = Watches::default();
            watches.add::<OffHours>(Some(Settings::default()));
            assert_eq!(log.firing(watches), firing(expected));
        }
    }
}
