//! Of a gateway's two ends, its caller's is to be billed, and that comes last: the gateway's own call
//! has ended before the answer is passed on.
//!
//! So the records of processes that serve others wait a little. If somebody else's record with the
//! same answer comes meanwhile, or of a call of the same trace around it, that goes first. Whether the two are the ends of one gateway is for
//! [`super::Once`] to say, whatever the order; and an end that doesn't cover the other stays behind it,
//! for then both would be billed.

use std::collections::VecDeque;

use jiff::SignedDuration;

use super::{Sighting, are_ends};
use crate::meter::record::UsageRecord;
use crate::units::{Role, Timestamp};

/// How long a record waits. A gateway passes an answer on as it comes, and its last bytes at once.
const PATIENCE: SignedDuration = SignedDuration::from_secs(2);
/// Most records that wait, a few KiB each. For others there is no waiting.
const WAITING: usize = 1024;

/// Records that wait for those of their callers.
#[derive(Debug, Default)]
pub struct Relays {
    /// Oldest first, with the time until which each waits.
    waiting: VecDeque<(Timestamp, UsageRecord)>,
}

impl Relays {
    /// Takes a record and gives those that are to be settled now, in that order.
    pub fn take(&mut self, record: UsageRecord, now: Timestamp) -> Vec<UsageRecord> {
        let is_linked = record.role == Role::Client
            && !record.retrieved
            && record.response_id.as_ref().is_some_and(|id| !id.is_empty());
        if !is_linked {
            return vec![record];
        }
        if record.gateway && self.waiting.len() < WAITING {
            let until = now.checked_add(PATIENCE).unwrap_or(now);
            self.waiting.push_back((until, record));
            return Vec::new();
        }
        let outer = Sighting::of(&record);
        let concerns = |waiting: &UsageRecord| {
            waiting.response_id == record.response_id
                || waiting.trace_id.is_some() && are_ends(&outer, &Sighting::of(waiting))
        };
        if !self.waiting.iter().any(|(_, waiting)| concerns(waiting)) {
            return vec![record];
        }
        let mut all = self.remove(concerns);
        all.push(record);
        caller_first(all)
    }

    /// The records that need not wait any longer, and what waits with them.
    pub fn due(&mut self, now: Timestamp) -> Vec<UsageRecord> {
        let mut due = Vec::new();
        while let Some((until, record)) = self.waiting.front()
            && *until <= now
        {
            let id = record.response_id.clone();
            due.extend(caller_first(self.remove(|waiting| waiting.response_id == id)));
        }
        due
    }

    /// The records that wait. Nobody will come for them any more.
    pub fn finish(&mut self) -> Vec<UsageRecord> {
        self.due(Timestamp::MAX)
    }

    /// When the next has waited long enough.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        self.waiting.front().map(|(until, _)| *until)
    }

    fn remove(&mut self, is_wanted: impl Fn(&UsageRecord) -> bool) -> Vec<UsageRecord> {
        let (wanted, rest) =
            self.waiting.drain(..).partition::<Vec<_>, _>(|(_, waiting)| is_wanted(waiting));
        self.waiting = rest.into();
        wanted.into_iter().map(|(_, record)| record).collect()
    }
}

/// The records of one answer in the order in which they are settled: whose call began first, then
/// whom that called; or as they came, if the first would not cover all that come after it.
fn caller_first(mut records: Vec<UsageRecord>) -> Vec<UsageRecord> {
    let first = (0..records.len()).min_by_key(|&index| records[index].time);
    let Some(first) = first.filter(|first| *first > 0) else { return records };
    let outer = Sighting::of(&records[first]);
    let covers = records.iter().all(|record| {
        let inner = Sighting::of(record);
        outer.numbers.is_some() && outer.numbers == inner.numbers && outer.covers(&inner)
    });
    if covers {
        records[..=first].rotate_right(1);
    }
    records
}
