//! Something that may have been part of a call was lost: what is counted is a lower bound.
//!
//! Low, and medium once an hour has [`Settings::bytes`] or [`Settings::records`] of it.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::watch::{Call, Report, Say, Watch, Whose, ago, minutes};
use super::{Amount, Detector, Evidence, Seen, Severity, Subject};
use crate::units::Timestamp;

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What this host is called.
    pub host: String,
    /// So many bytes an hour are medium.
    pub bytes: u64,
    /// So many kernel records an hour are medium.
    pub records: u64,
    /// So many minutes without a loss, and it is over.
    pub quiet_minutes: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { host: "localhost".to_owned(), bytes: 1 << 20, records: 1000, quiet_minutes: 60 }
    }
}

/// What was lost in the hour that began then.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Losses {
    since: Option<Timestamp>,
    bytes: u64,
    records: u64,
}

impl Watch for Losses {
    type Settings = Settings;
    const DETECTOR: Detector = Detector::Loss;

    fn quiet(settings: &Settings) -> SignedDuration {
        minutes(settings.quiet_minutes)
    }

    fn call(&mut self, _settings: &Settings, _call: &Call<'_>, _say: &mut Say<'_>) {}

    fn other(&mut self, settings: &Settings, seen: &Seen<'_>, say: &mut Say<'_>) {
        let Seen::Lost(lost) = seen else { return };
        let is_of_this_hour =
            self.since.is_some_and(|since| ago(say.now, since) < SignedDuration::from_hours(1));
        if !is_of_this_hour {
            *self = Self { since: Some(say.now), ..Self::default() };
        }
        self.bytes = self.bytes.saturating_add(lost.bytes);
        self.records = self.records.saturating_add(lost.records);
        let is_much = self.bytes >= settings.bytes || self.records >= settings.records;
        let severity = if is_much { Severity::Medium } else { Severity::Low };
        let (bytes, records) = (self.bytes, self.records);
        let subject = Subject::Host(settings.host.clone());
        say.holds(subject, "", severity, Whose::nobody, || Report {
            summary: format!(
                "at least {bytes} bytes and {records} records were lost ({}): sums are lower bounds",
                lost.cause
            ),
            evidence: Evidence {
                observed: Some(Amount::Bytes(bytes)),
                from: Some(lost.from),
                until: Some(lost.to),
                details: BTreeMap::from([("cause".to_owned(), lost.cause.clone())]),
                ..Evidence::default()
            },
            next_step: "Run `weir doctor`; if the ring was full, set a larger `ring_bytes` in [capture]"
                .to_owned(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::Lost;
    use super::super::testing::{Line, Log, firing, resolved};
    use super::super::watch::Watches;
    use super::*;

    fn lose(log: Log, bytes: u64) -> Log {
        log.line(|now| {
            Line::Lost(Lost { from: now, to: now, bytes, records: 1, cause: "ring".to_owned() })
        })
    }

    #[test]
    fn losses_are_found_and_end() {
        let one = || lose(Log::new(), 100);
        let watches = || {
            let mut watches = Watches::default();
            watches.add::<Losses>(Some(Settings::default()));
            watches
        };
        let low = ("localhost", Severity::Low);
        assert_eq!(one().firing(watches()), firing(&[low]));
        let worse = lose(one(), 1 << 20);
        assert_eq!(worse.firing(watches()), firing(&[low, ("localhost", Severity::Medium)]));
        let apart = lose(one().after_hours(2), 1 << 19);
        assert_eq!(apart.firing(watches()), firing(&[low, low]));
        assert_eq!(resolved(&apart.found(watches())).len(), 1);
    }
}
