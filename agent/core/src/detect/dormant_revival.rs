//! Somebody who made no calls for [`Settings::days`] makes more than [`Settings::calls`] within an hour.
//!
//! Medium. Time in which the daemon didn't watch is no rest: nobody knows what happened then. (OWASP NHI1, NHI7.)

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::watch::{Call, Calls, Report, Say, Table, Watch, Whose, ago, days, hours};
use super::{Amount, Detector, Evidence, Seen, Severity, Subject};
use crate::units::Timestamp;

/// Most times at which the daemon began to watch again that are remembered.
const STOPS_MAX: usize = 64;
/// Shorter stops don't matter.
const STOP_MIN: SignedDuration = SignedDuration::from_mins(10);

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// So many days without a call are a rest.
    pub days: u32,
    /// So many calls within an hour after it may be an accident.
    pub calls: u32,
    /// So many hours without a call, and it is over.
    pub quiet_hours: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { days: 30, calls: 10, quiet_hours: 24 }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct DormantRevival {
    identities: Table<Row>,
    /// When the daemon stopped, if it isn't watching.
    stopped: Option<Timestamp>,
    /// From when to when nobody watched.
    unseen: Vec<(Timestamp, Timestamp)>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Row {
    last: Option<Timestamp>,
    /// When it woke, and how long it had rested.
    woke: Option<(Timestamp, SignedDuration)>,
    count: u32,
    calls: Calls,
}

impl DormantRevival {
    /// How much of the time between was watched.
    fn watched(&self, from: Timestamp, to: Timestamp) -> SignedDuration {
        let unseen = self.unseen.iter().map(|(begin, end)| {
            (*end).min(to).duration_since((*begin).max(from)).max(SignedDuration::ZERO)
        });
        ago(to, from)
            .saturating_sub(unseen.fold(SignedDuration::ZERO, SignedDuration::saturating_add))
    }
}

impl Watch for DormantRevival {
    type Settings = Settings;
    const DETECTOR: Detector = Detector::DormantRevival;

    fn quiet(settings: &Settings) -> SignedDuration {
        hours(settings.quiet_hours)
    }

    fn call(&mut self, settings: &Settings, call: &Call<'_>, say: &mut Say<'_>) {
        if !call.is_live {
            return;
        }
        let last = self.identities.row(call.identity()).last;
        let rest = last.map_or(SignedDuration::ZERO, |last| self.watched(last, call.now));
        let row = self.identities.row(call.identity());
        row.last = Some(call.now);
        if rest >= days(settings.days) {
            row.woke = Some((call.now, rest));
            row.count = 0;
            row.calls.clear();
        }
        let Some((woke, rest)) = row.woke else { return };
        if ago(call.now, woke) >= SignedDuration::from_hours(1) {
            row.woke = None;
            return;
        }
        row.count = row.count.saturating_add(1);
        row.calls.push(&call.record.id);
        if row.count <= settings.calls {
            return;
        }
        let record = call.record;
        let subject = Subject::Identity(record.identity.clone());
        say.holds(
            subject,
            "",
            Severity::Medium,
            || Whose::call(record),
            || Report {
                summary: format!(
                    "{} made {} calls within an hour, after {} days without one",
                    record.identity,
                    row.count,
                    rest.as_hours() / 24
                ),
                evidence: Evidence {
                    observed: Some(Amount::Calls(u64::from(row.count))),
                    limit: Some(Amount::Calls(u64::from(settings.calls))),
                    from: Some(woke),
                    until: Some(call.now),
                    calls: row.calls.to_vec(),
                    details: BTreeMap::from([(
                        "days_without_calls".to_owned(),
                        (rest.as_hours() / 24).to_string(),
                    )]),
                    ..Evidence::default()
                },
                next_step: format!(
                    "Ask the owner whether it is still needed; if not, `weir identity offboard {}`",
                    record.identity
                ),
            },
        );
    }

    fn other(&mut self, _settings: &Settings, seen: &Seen<'_>, _say: &mut Say<'_>) {
        match seen {
            Seen::Stopped(time) => self.stopped = Some(*time),
            Seen::Started(time) => {
                if let Some(stopped) = self.stopped.take()
                    && ago(*time, stopped) >= STOP_MIN
                {
                    if self.unseen.len() >= STOPS_MAX {
                        self.unseen.remove(0);
                    }
                    self.unseen.push((stopped, *time));
                }
            }
            _ => {}
        }
    }

    fn rename(&mut self, from: &str, to: &str) {
        self.identities.rename(from, to);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Line, Log, firing};
    use super::super::watch::Watches;
    use super::*;

    #[test]
    fn who_wakes_after_a_month_is_found() {
        let rested = |hours| Log::new().calls("a", 1).after_hours(hours);
        let unseen = Log::new().calls("a", 1).line(Line::Stopped).after_hours(240);
        let unseen = unseen.line(Line::Started).after_hours(24 * 25);
        for (log, expected) in [
            (rested(24 * 29).calls("a", 20), &[] as &[_]),
            (rested(24 * 30).calls("a", 10), &[]),
            (rested(24 * 30).calls("a", 11), &[("a", Severity::Medium)]),
            (rested(24 * 30).each_hours("a", 1, 20), &[]),
            (Log::new().calls("a", 20), &[]),
            (unseen.calls("a", 20), &[]),
        ] {
            let mut watches = Watches::default();
            watches.add::<DormantRevival>(Some(Settings::default()));
            assert_eq!(log.firing(watches), firing(expected));
        }
    }
}
