//! `weir-detect`: follows the log, shows detectors what is stored, and has what they find stored, too.
//!
//! What detectors remember is written down with the place of the log up to which they have seen it. After a
//! restart they go on from there, and find again what the log has their word of already: that isn't said
//! twice.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, Instant};

use weir_core::detect::{Detect, Finding, FindingId, Lost, Seen, Severity, State};
use weir_core::units::Timestamp;

use super::vitals::Vitals;
use crate::enforce::Enforcer;
use crate::ledger::{Change, Checkpoint, Checkpoints, Deed, Entry, Follow, Loss, Position, Reader};

/// How often the time is looked at.
const TICK: Duration = Duration::from_secs(1);
/// How often what detectors remember is written down. What is stored in between they see again.
const SAVE: Duration = Duration::from_secs(300);

/// The state of `weir-detect`.
pub(super) struct Detecting {
    detect: Detect,
    follow: Follow,
    /// There was nothing to remember: all of the log is read.
    afresh: bool,
    checkpoints: Checkpoints,
    entries: SyncSender<Entry>,
    enforcer: Enforcer,
    vitals: Arc<Vitals>,
    /// What there was no room for in the ledger's queue.
    unsaid: Vec<Finding>,
}

/// What a finding says, as far as it must not be said twice.
type Said = (FindingId, State, Severity);

impl Detecting {
    /// Goes on from the last checkpoint. If there is none, or one that a rule of `make` can't read, all of
    /// them begin with the start of the log.
    pub(super) fn new(
        make: impl Fn() -> Detect,
        ledger: &Reader,
        checkpoints: Checkpoints,
        entries: SyncSender<Entry>,
        enforcer: Enforcer,
        vitals: Arc<Vitals>,
    ) -> Self {
        let last = checkpoints.load().unwrap_or_else(|error| {
            tracing::warn!(%error, "what detectors remember can't be read");
            None
        });
        let mut detect = make();
        let from = last.and_then(|Checkpoint { position, parts }| {
            let without = detect.restore(&parts);
            if !without.is_empty() {
                tracing::info!(rules = ?without, "detectors remember nothing, and read the log again");
                detect = make();
                return None;
            }
            Some(position)
        });
        let follow = ledger.follow(from.unwrap_or(Position::START));
        let afresh = from.is_none();
        Self { detect, follow, afresh, checkpoints, entries, enforcer, vitals, unsaid: Vec::new() }
    }

    /// Runs until the daemon stops.
    pub(super) fn run(mut self) {
        self.catch_up();
        self.hold();
        let mut ticked = Instant::now();
        let mut saved = ticked;
        while !self.vitals.is_stopping() {
            if ticked.elapsed() >= TICK {
                ticked = Instant::now();
                let found = self.detect.tick(Timestamp::now());
                self.hold();
                self.say(found);
            }
            if saved.elapsed() >= SAVE {
                saved = Instant::now();
                self.save();
            }
            self.follow.wait(TICK.saturating_sub(ticked.elapsed()));
            let found = self.read(|_said| {});
            self.hold();
            self.say(found);
        }
        self.enforcer.stop(Timestamp::now());
        self.save();
    }

    /// Has those blocked who should be, and nobody else.
    fn hold(&self) {
        self.enforcer.hold(self.detect.blocks(), Timestamp::now());
    }

    /// Reads what was stored since the last checkpoint, and looks at the time. What is found there and was
    /// said before is not said again; nor is, where all of the log is read, what was over before anybody
    /// looked. What was said then and isn't found any more, because detectors or the configuration have changed,
    /// is over.
    fn catch_up(&mut self) {
        let mut said: HashSet<Said> = HashSet::new();
        let mut open: HashMap<FindingId, Finding> = HashMap::new();
        let mut found = self.read(|finding| {
            said.insert(key(finding));
            match finding.state {
                State::Firing => drop(open.insert(finding.id.clone(), finding.clone())),
                State::Resolved => drop(open.remove(&finding.id)),
            }
        });
        found.extend(self.detect.tick(Timestamp::now()));
        if self.afresh {
            found.iter().for_each(|finding| drop(open.remove(&finding.id)));
            found.extend(open.into_values().map(not_found_again));
            let last: HashMap<_, _> =
                found.iter().map(|finding| (finding.id.clone(), finding.state)).collect();
            let was_said: HashSet<_> = said.iter().map(|(id, _, _)| id.clone()).collect();
            found.retain(|Finding { id, .. }| {
                last.get(id) == Some(&State::Firing) || was_said.contains(id)
            });
        }
        found.retain(|finding| !said.contains(&key(finding)));
        self.say(found);
    }

    /// Shows detectors what was stored meanwhile. `said` sees what was found before.
    fn read(&mut self, mut said: impl FnMut(&Finding)) -> Vec<Finding> {
        let Self { detect, follow, vitals, .. } = self;
        let mut found = Vec::new();
        let entries = match follow.read() {
            Ok(entries) => entries,
            Err(error) => {
                tracing::warn!(%error, "detectors can't read the log");
                return found;
            }
        };
        for entry in entries {
            if vitals.is_stopping() {
                break;
            }
            match entry {
                Ok(Entry::Finding(finding)) => said(&finding),
                Ok(Entry::Change(change)) if change.deed == Deed::Unblock => {
                    detect.lift(&change.identity, change.time);
                }
                Ok(entry) => found.extend(shown(&entry, |seen| detect.take(seen))),
                Err(error) => {
                    tracing::warn!(%error, "detectors can't read the log");
                    break;
                }
            }
        }
        found
    }

    /// Has findings stored. While the ledger's queue is full they wait.
    fn say(&mut self, found: Vec<Finding>) {
        let mut found = std::mem::take(&mut self.unsaid).into_iter().chain(found);
        for finding in found.by_ref() {
            let text = (finding.detector, finding.severity, finding.state);
            match self.entries.try_send(Entry::Finding(Box::new(finding))) {
                Ok(()) => tracing::info!(finding = ?text, "found"),
                Err(TrySendError::Full(Entry::Finding(finding))) => {
                    self.unsaid.push(*finding);
                    break;
                }
                // The ledger's thread outlives this one.
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => return,
            }
        }
        self.unsaid.extend(found);
    }

    /// Writes down what detectors remember, unless something that they found isn't stored yet.
    fn save(&self) {
        if !self.unsaid.is_empty() {
            return;
        }
        let position = self.follow.position();
        let parts = match self.detect.save() {
            Ok(parts) => parts,
            Err(error) => {
                tracing::warn!(%error, "what detectors remember can't be written down");
                return;
            }
        };
        if let Err(error) = self.checkpoints.save(&Checkpoint { position, parts }) {
            tracing::warn!(%error, "what detectors remember can't be written down");
        }
    }
}

/// Says that a finding is over that detectors don't find any more.
fn not_found_again(finding: Finding) -> Finding {
    Finding {
        time: Timestamp::now(),
        state: State::Resolved,
        summary: "What the configuration asks for now doesn't find this any more".to_owned(),
        next_step: "Nothing is to be done".to_owned(),
        ..finding
    }
}

fn key(finding: &Finding) -> Said {
    (finding.id.clone(), finding.state, finding.severity)
}

/// Shows `take` what a line of the log says, if it is something for detectors.
fn shown(entry: &Entry, take: impl FnOnce(&Seen<'_>) -> Vec<Finding>) -> Vec<Finding> {
    match entry {
        Entry::Call(record) => take(&Seen::Call(record)),
        Entry::Edge(record) => take(&Seen::Edge(record)),
        Entry::Blind(spot) => take(&Seen::Blind(spot)),
        Entry::Change(change) => {
            let Change { identity, time, deed, .. } = change.as_ref();
            match deed {
                Deed::Offboard => take(&Seen::Offboarded(identity, *time)),
                Deed::Restore => take(&Seen::Restored(identity, *time)),
                Deed::Rename { to } => take(&Seen::Renamed(identity, to, *time)),
                // Not for detectors: what they say holds, only nobody is blocked for it.
                Deed::Unblock => Vec::new(),
            }
        }
        Entry::Loss(loss) => {
            let Loss { from, to, bytes, records, cause } = loss.clone();
            take(&Seen::Lost(&Lost { from, to, bytes, records, cause }))
        }
        Entry::Start(mark) => take(&Seen::Started(mark.time)),
        Entry::Stop(mark) => take(&Seen::Stopped(mark.time)),
        Entry::Batch(_) | Entry::Finding(_) | Entry::Alert(_) | Entry::Block(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, sync_channel};

    use weir_core::detect::{Detector, Evidence, Rule, Subject};

    use super::*;
    use crate::ledger::{Ledger, Mark, Options};

    /// Finds that the host was started, each time, and that it no longer is when it was stopped.
    #[derive(Default)]
    struct Starts {
        since: Option<Timestamp>,
    }

    impl Starts {
        fn found(since: Timestamp, time: Timestamp, state: State) -> Finding {
            let subject = Subject::Host("h".to_owned());
            Finding {
                id: FindingId::new(Detector::Loss, &subject, since),
                time,
                since,
                state,
                detector: Detector::Loss,
                severity: Severity::Low,
                subject,
                identity: None,
                owner: None,
                team: None,
                summary: String::new(),
                evidence: Evidence::default(),
                next_step: String::new(),
            }
        }
    }

    impl Rule for Starts {
        fn name(&self) -> &'static str {
            "starts"
        }

        fn take(&mut self, seen: &Seen<'_>, found: &mut Vec<Finding>) {
            match (seen, self.since) {
                (Seen::Started(time), _) => {
                    self.since = Some(*time);
                    found.push(Self::found(*time, *time, State::Firing));
                }
                (Seen::Stopped(time), Some(since)) => {
                    found.push(Self::found(since, *time, State::Resolved));
                }
                _ => {}
            }
        }

        fn tick(&mut self, _now: Timestamp, _found: &mut Vec<Finding>) {}

        fn save(&self) -> serde_json::Result<Vec<u8>> {
            serde_json::to_vec(&self.since)
        }

        fn restore(&mut self, saved: &[u8]) -> serde_json::Result<()> {
            self.since = serde_json::from_slice(saved)?;
            Ok(())
        }
    }

    struct Bench {
        dir: tempfile::TempDir,
        ledger: Ledger,
        entries: SyncSender<Entry>,
        kept: Receiver<Entry>,
    }

    impl Bench {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let options = Options { retain_days: None, probe: None };
            let (ledger, _report) = Ledger::open(dir.path(), time(0), options).unwrap();
            let (entries, kept) = sync_channel(2);
            Self { dir, ledger, entries, kept }
        }

        fn detecting(&self) -> Detecting {
            Detecting::new(
                || Detect::new(vec![Box::new(Starts::default())]),
                &self.ledger.reader(),
                Checkpoints::new(self.dir.path(), "detect"),
                self.entries.clone(),
                Enforcer::off(),
                Arc::new(Vitals::default()),
            )
        }

        /// Stores what was found, and says what that is.
        fn store(&mut self) -> Vec<(i64, State)> {
            let found: Vec<Entry> = self.kept.try_iter().collect();
            self.ledger.append(time(9), &found).unwrap();
            let said = found.into_iter().map(|entry| match entry {
                Entry::Finding(finding) => (finding.since.as_second(), finding.state),
                other => panic!("{other:?}"),
            });
            said.collect()
        }

        fn append(&mut self, entries: &[Entry]) {
            self.ledger.append(time(9), entries).unwrap();
        }
    }

    fn time(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn start(second: i64) -> Entry {
        Entry::Start(Mark { time: time(second) })
    }

    fn stop(second: i64) -> Entry {
        Entry::Stop(Mark { time: time(second) })
    }

    #[test]
    fn what_is_found_again_is_not_said_again() {
        let mut bench = Bench::new();
        bench.append(&[start(1)]);
        let mut first = bench.detecting();
        first.catch_up();
        assert_eq!(bench.store(), [(1, State::Firing)]);
        // It ends without a checkpoint: the next one finds the same, and what came meanwhile.
        drop(first);
        bench.append(&[stop(2)]);
        let mut second = bench.detecting();
        second.catch_up();
        assert_eq!(bench.store(), [(1, State::Resolved)]);
        second.save();
        bench.append(&[start(3), stop(4)]);
        let mut third = bench.detecting();
        third.catch_up();
        assert_eq!(bench.store(), [(3, State::Firing), (3, State::Resolved)]);
    }

    #[test]
    fn what_was_over_before_anybody_looked_is_not_said() {
        let mut bench = Bench::new();
        bench.append(&[start(1), stop(2), start(3)]);
        bench.detecting().catch_up();
        assert_eq!(bench.store(), [(3, State::Firing)]);
    }

    #[test]
    fn what_other_rules_have_found_is_over() {
        let mut bench = Bench::new();
        bench.append(&[start(1)]);
        bench.detecting().catch_up();
        assert_eq!(bench.store(), [(1, State::Firing)]);
        let mut without = Detecting { detect: Detect::default(), ..bench.detecting() };
        without.catch_up();
        assert_eq!(bench.store(), [(1, State::Resolved)]);
    }

    #[test]
    fn what_the_ledger_has_no_room_for_waits() {
        let mut bench = Bench::new();
        bench.append(&[start(1)]);
        let mut detecting = bench.detecting();
        detecting.catch_up();
        bench.append(&[stop(2), start(3)]);
        let found = detecting.read(|_said| {});
        detecting.say(found);
        detecting.save();
        assert_eq!(Checkpoints::new(bench.dir.path(), "detect").load().unwrap(), None);
        assert_eq!(bench.store(), [(1, State::Firing), (1, State::Resolved)]);
        detecting.say(Vec::new());
        assert_eq!(bench.store(), [(3, State::Firing)]);
    }
}
