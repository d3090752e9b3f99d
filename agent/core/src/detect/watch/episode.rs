//! What holds at present: said once when it begins, again when it gets worse, and once when it is over.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::detect::{Detector, Evidence, Finding, FindingId, Severity, State, Subject};
use crate::identity::IdentityId;
use crate::meter::UsageRecord;
use crate::units::Timestamp;

/// Most things that one detector holds to be wrong at a time. Beyond it, what was seen least recently is
/// said to be over.
const OPEN_MAX: usize = 2000;

/// What one detector holds to be wrong at present, by what it is.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::detect) struct Episodes(BTreeMap<String, Open>);

#[derive(Debug, Serialize, Deserialize)]
struct Open {
    /// When it was last seen.
    last: Timestamp,
    /// What was said of it.
    finding: Finding,
}

/// What is to be said of something.
pub(in crate::detect) struct Report {
    /// What is the case, in one sentence with its numbers.
    pub(in crate::detect) summary: String,
    /// What shows it.
    pub(in crate::detect) evidence: Evidence,
    /// What to do about it.
    pub(in crate::detect) next_step: String,
}

/// Who did it, and whom to ask.
#[derive(Clone, Debug, Default)]
pub(in crate::detect) struct Whose {
    identity: Option<IdentityId>,
    owner: Option<String>,
    team: Option<String>,
}

impl Whose {
    /// Whoever made a call, and whom a rule names.
    pub(in crate::detect) fn call(record: &UsageRecord) -> Self {
        let assigned = record.workload.assigned.as_ref();
        Self {
            identity: Some(record.identity.clone()),
            owner: assigned.and_then(|assigned| assigned.owner.clone()),
            team: assigned.and_then(|assigned| assigned.team.clone()),
        }
    }

    /// Somebody of whom nothing else is known.
    pub(in crate::detect) const fn identity(identity: IdentityId) -> Self {
        Self { identity: Some(identity), owner: None, team: None }
    }

    /// The same, and whom to ask.
    pub(in crate::detect) fn asking(self, owner: Option<String>, team: Option<String>) -> Self {
        Self { owner, team, ..self }
    }

    /// Nobody.
    pub(in crate::detect) fn nobody() -> Self {
        Self::default()
    }
}

/// What a detector says things with.
pub(in crate::detect) struct Say<'a> {
    /// Who says it.
    pub(in crate::detect) detector: Detector,
    /// The time.
    pub(in crate::detect) now: Timestamp,
    /// How long nothing must be seen of something for it to be over.
    pub(in crate::detect) quiet: SignedDuration,
    /// What holds.
    pub(in crate::detect) open: &'a mut Episodes,
    /// What is said.
    pub(in crate::detect) found: &'a mut Vec<Finding>,
}

impl Say<'_> {
    /// Something is the case: `what` of `subject`, in words that tell it from what else may be the case
    /// of the same. `report` is asked for only if it is news.
    pub(in crate::detect) fn holds(
        &mut self,
        subject: Subject,
        what: &str,
        severity: Severity,
        whose: impl FnOnce() -> Whose,
        report: impl FnOnce() -> Report,
    ) {
        let (kind, name) = subject.parts();
        let key = format!("{kind}\0{name}\0{what}");
        if let Some(open) = self.open.0.get_mut(&key) {
            open.last = open.last.max(self.now);
            if severity > open.finding.severity {
                let Report { summary, evidence, next_step } = report();
                let finding = &mut open.finding;
                *finding = Finding {
                    time: self.now,
                    severity,
                    summary,
                    evidence,
                    next_step,
                    ..finding.clone()
                };
                self.found.push(finding.clone());
            }
            return;
        }
        self.make_room();
        let since = self.beginning(&subject);
        let (Whose { identity, owner, team }, Report { summary, evidence, next_step }) =
            (whose(), report());
        let finding = Finding {
            id: FindingId::new(self.detector, &subject, since),
            time: self.now,
            since,
            state: State::Firing,
            detector: self.detector,
            severity,
            subject,
            identity,
            owner,
            team,
            summary,
            evidence,
            next_step,
        };
        self.found.push(finding.clone());
        self.open.0.insert(key, Open { last: self.now, finding });
    }

    /// Whether `what` of `subject` holds.
    pub(in crate::detect) fn is_open(&self, subject: &Subject, what: &str) -> bool {
        let (kind, name) = subject.parts();
        self.open.0.contains_key(&format!("{kind}\0{name}\0{what}"))
    }

    /// Says of everything that is over by now that it is.
    pub(in crate::detect) fn settle(&mut self) {
        let (now, quiet, found) = (self.now, self.quiet, &mut *self.found);
        self.open.0.retain(|_, open| {
            // The clock may have been set back.
            open.last = open.last.min(now);
            let over = open.last.saturating_add(quiet).unwrap_or(Timestamp::MAX);
            if over > now {
                return true;
            }
            found.push(resolved(&open.finding, over));
            false
        });
    }

    /// Says of everything about `subject` that it is over.
    pub(in crate::detect) fn over(&mut self, subject: &Subject) {
        let (now, found) = (self.now, &mut *self.found);
        self.open.0.retain(|_, open| {
            let stays = open.finding.subject != *subject;
            if !stays {
                found.push(resolved(&open.finding, now));
            }
            stays
        });
    }

    fn make_room(&mut self) {
        if self.open.0.len() < OPEN_MAX {
            return;
        }
        let oldest = self.open.0.iter().min_by_key(|(_, open)| open.last);
        if let Some(key) = oldest.map(|(key, _)| key.clone())
            && let Some(open) = self.open.0.remove(&key)
        {
            self.found.push(resolved(&open.finding, self.now));
        }
    }

    /// The time, or the next at which nothing else of that subject began: the ids must differ.
    fn beginning(&self, subject: &Subject) -> Timestamp {
        let mut since = self.now;
        let is_taken = |since: Timestamp| {
            let taken =
                |open: &Open| open.finding.subject == *subject && open.finding.since == since;
            self.open.0.values().any(taken)
        };
        while is_taken(since) {
            match since.checked_add(SignedDuration::from_millis(1)) {
                Ok(later) => since = later,
                Err(_end_of_time) => break,
            }
        }
        since
    }
}

fn resolved(finding: &Finding, time: Timestamp) -> Finding {
    Finding { time, state: State::Resolved, ..finding.clone() }
}
