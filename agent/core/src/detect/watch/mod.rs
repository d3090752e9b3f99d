//! How detectors are driven: each is shown the calls that count, and says what holds; the rest is here.
//!
//! - *One clock.* Time is the end of what is stored, so it goes on in the order of the log. If it goes back by
//!   more than [`STEP_BACK`], the clock was set, and things go on from there.
//! - *Ticks stay behind* by [`LAG`], so that what is stored a little late finds what it would have found
//!   without them: reading the log again finds the same.
//! - *Names are today's.* What an administrator renamed is shown to detectors under its new name.

mod episode;
mod table;

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

use jiff::SignedDuration;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::declared::Declared;
use super::{CALLS_MAX, Detector, Finding, Rule, Seen};
use crate::identity::{Aliases, IdentityId};
use crate::meter::{CallId, UsageRecord};
use crate::units::{Role, Timestamp};
pub(super) use episode::{Episodes, Report, Say, Whose};
pub(super) use table::Table;

/// How far ticks stay behind the clock.
const LAG: SignedDuration = SignedDuration::from_secs(60);
/// Time that goes back further was set back.
const STEP_BACK: SignedDuration = SignedDuration::from_hours(1);
/// The longest that a call is believed to have taken.
const CALL_MAX: SignedDuration = SignedDuration::from_hours(24);

/// What is particular to one detector. Its fields are what it remembers.
pub(super) trait Watch: Default + Serialize + DeserializeOwned + Send + 'static {
    /// Its parameters.
    type Settings: Send + 'static;

    /// Its name.
    const DETECTOR: Detector;

    /// How long nothing must be seen of something for it to be over.
    fn quiet(settings: &Self::Settings) -> SignedDuration;

    /// Looks at a call of a client.
    fn call(&mut self, settings: &Self::Settings, call: &Call<'_>, say: &mut Say<'_>);

    /// Looks at what is no call.
    fn other(&mut self, _settings: &Self::Settings, _seen: &Seen<'_>, _say: &mut Say<'_>) {}

    /// Looks at the time.
    fn pass(&mut self, _settings: &Self::Settings, _say: &mut Say<'_>) {}

    /// What is known of the first belongs to the second from now on.
    fn rename(&mut self, _from: &str, _to: &str) {}
}

/// A call that a client made on this host and that no other record repeats.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    /// Its record.
    pub(super) record: &'a UsageRecord,
    /// When it ended, or the latest time that was seen.
    pub(super) now: Timestamp,
    /// It was made now: neither read back nor the end of one that has a record.
    pub(super) is_live: bool,
    /// What is meant to be.
    pub(super) declared: &'a Declared,
}

impl Call<'_> {
    /// Who made it.
    pub(super) fn identity(&self) -> &str {
        &self.record.identity.0
    }

    /// Whether an answer came that is no error.
    pub(super) fn succeeded(&self) -> bool {
        self.record.has_succeeded()
    }

    /// All its tokens.
    pub(super) const fn tokens(&self) -> u64 {
        self.record.tokens.input_total().saturating_add(self.record.tokens.output_total())
    }
}

/// A detector that is driven.
trait Driven: Send {
    fn detector(&self) -> Detector;
    fn call(&mut self, call: &Call<'_>, found: &mut Vec<Finding>);
    fn other(&mut self, seen: &Seen<'_>, now: Timestamp, found: &mut Vec<Finding>);
    fn pass(&mut self, now: Timestamp, found: &mut Vec<Finding>);
    fn rename(&mut self, from: &str, to: &str);
    fn save(&self) -> serde_json::Result<Box<RawValue>>;
    fn restore(&mut self, saved: &RawValue) -> serde_json::Result<()>;
}

/// A detector, its parameters and what it holds to be wrong.
struct Watched<W: Watch> {
    settings: W::Settings,
    kept: Kept<W>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(bound = "W: Serialize + DeserializeOwned")]
struct Kept<W> {
    watch: W,
    open: Episodes,
}

impl<W: Watch> Watched<W> {
    /// Has the detector do something at that time.
    fn with(
        &mut self,
        now: Timestamp,
        found: &mut Vec<Finding>,
        act: impl FnOnce(&mut W, &W::Settings, &mut Say<'_>),
    ) {
        let Kept { watch, open } = &mut self.kept;
        let quiet = W::quiet(&self.settings);
        let mut say = Say { detector: W::DETECTOR, now, quiet, open, found };
        act(watch, &self.settings, &mut say);
    }
}

impl<W: Watch> Driven for Watched<W> {
    fn detector(&self) -> Detector {
        W::DETECTOR
    }

    fn call(&mut self, call: &Call<'_>, found: &mut Vec<Finding>) {
        self.with(call.now, found, |watch, settings, say| watch.call(settings, call, say));
    }

    fn other(&mut self, seen: &Seen<'_>, now: Timestamp, found: &mut Vec<Finding>) {
        self.with(now, found, |watch, settings, say| watch.other(settings, seen, say));
    }

    fn pass(&mut self, now: Timestamp, found: &mut Vec<Finding>) {
        self.with(now, found, |watch, settings, say| {
            watch.pass(settings, say);
            say.settle();
        });
    }

    fn rename(&mut self, from: &str, to: &str) {
        self.kept.watch.rename(from, to);
    }

    fn save(&self) -> serde_json::Result<Box<RawValue>> {
        serde_json::value::to_raw_value(&self.kept)
    }

    fn restore(&mut self, saved: &RawValue) -> serde_json::Result<()> {
        self.kept = serde_json::from_str(saved.get())?;
        Ok(())
    }
}

/// All detectors that are driven so, as one [`Rule`].
#[derive(Default)]
pub struct Watches {
    watches: Vec<Box<dyn Driven>>,
    clock: Clock,
    declared: Declared,
}

/// What all of them share.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Clock {
    now: Option<Timestamp>,
    /// What identities are called now.
    aliases: Aliases,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    clock: Clock,
    watches: BTreeMap<String, Box<RawValue>>,
}

impl Watches {
    /// None yet, where rules say so much.
    pub(super) fn new(declared: Declared) -> Self {
        Self { declared, ..Self::default() }
    }

    /// Adds a detector, if it is wanted.
    pub(super) fn add<W: Watch>(&mut self, settings: Option<W::Settings>) {
        if let Some(settings) = settings {
            let kept = Kept { watch: W::default(), open: Episodes::default() };
            self.watches.push(Box::new(Watched::<W> { settings, kept }));
        }
    }

    fn pass(&mut self, now: Timestamp, found: &mut Vec<Finding>) {
        let before = found.len();
        self.watches.iter_mut().for_each(|watch| watch.pass(now, found));
        // In the order in which ticks would have found it.
        if let Some(found) = found.get_mut(before..) {
            found.sort_by_key(|finding| finding.time);
        }
    }
}

impl Rule for Watches {
    fn name(&self) -> &'static str {
        "watches"
    }

    fn take(&mut self, seen: &Seen<'_>, found: &mut Vec<Finding>) {
        let now = self.clock.see(end(seen));
        self.pass(now, found);
        if let Seen::Renamed(from, to, _) = seen {
            self.clock.aliases.rename(&from.0, &to.0);
            self.watches.iter_mut().for_each(|watch| watch.rename(&from.0, &to.0));
            return;
        }
        let Seen::Call(record) = seen else {
            let named = match seen {
                Seen::Offboarded(identity, time) => Some((self.clock.named(identity), *time, true)),
                Seen::Restored(identity, time) => Some((self.clock.named(identity), *time, false)),
                _ => None,
            };
            let seen = match &named {
                Some((identity, time, true)) => Seen::Offboarded(identity, *time),
                Some((identity, time, false)) => Seen::Restored(identity, *time),
                None => *seen,
            };
            self.watches.iter_mut().for_each(|watch| watch.other(&seen, now, found));
            return;
        };
        if record.role == Role::Server || !record.adds() {
            return;
        }
        let record = self.clock.renamed(record);
        let is_live = record.is_new() && !record.retrieved;
        let call = Call { record: &record, now, is_live, declared: &self.declared };
        self.watches.iter_mut().for_each(|watch| watch.call(&call, found));
    }

    fn tick(&mut self, now: Timestamp, found: &mut Vec<Finding>) {
        let behind = now.saturating_sub(LAG).unwrap_or(Timestamp::MIN);
        if self.clock.now.is_some_and(|seen| seen < behind) {
            self.clock.now = Some(behind);
            self.pass(behind, found);
        }
    }

    fn save(&self) -> serde_json::Result<Vec<u8>> {
        let watches = self.watches.iter();
        let watches =
            watches.map(|watch| Ok((watch.detector().as_str().to_owned(), watch.save()?)));
        let watches = watches.collect::<serde_json::Result<_>>()?;
        let Clock { now, aliases } = &self.clock;
        serde_json::to_vec(&Saved { clock: Clock { now: *now, aliases: aliases.clone() }, watches })
    }

    fn restore(&mut self, saved: &[u8]) -> serde_json::Result<()> {
        let saved: Saved = serde_json::from_slice(saved)?;
        for watch in &mut self.watches {
            match saved.watches.get(watch.detector().as_str()) {
                Some(saved) => watch.restore(saved)?,
                // It was switched on since, and has the log to read.
                None => return Err(serde::de::Error::missing_field(watch.detector().as_str())),
            }
        }
        self.clock = saved.clock;
        Ok(())
    }
}

impl Clock {
    /// What time it is once something of that time was seen.
    fn see(&mut self, at: Timestamp) -> Timestamp {
        let now = match self.now {
            Some(now) if now.duration_since(at) <= STEP_BACK => now.max(at),
            Some(_) | None => at,
        };
        self.now = Some(now);
        now
    }

    fn named<'a>(&self, identity: &'a IdentityId) -> Cow<'a, IdentityId> {
        let current = self.aliases.current(&identity.0);
        if current == identity.0 {
            Cow::Borrowed(identity)
        } else {
            Cow::Owned(IdentityId(current.to_owned()))
        }
    }

    fn renamed<'a>(&self, record: &'a UsageRecord) -> Cow<'a, UsageRecord> {
        match self.named(&record.identity) {
            Cow::Borrowed(_) => Cow::Borrowed(record),
            Cow::Owned(identity) => Cow::Owned(UsageRecord { identity, ..record.clone() }),
        }
    }
}

/// When it was over: what ends is stored in that order.
fn end(seen: &Seen<'_>) -> Timestamp {
    let Seen::Call(record) = seen else { return seen.time() };
    let took = i64::try_from(record.latency_ms).map_or(CALL_MAX, SignedDuration::from_millis);
    record.time.saturating_add(took.min(CALL_MAX)).unwrap_or(Timestamp::MAX)
}

/// The first and the latest of many calls, as evidence.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Calls(VecDeque<CallId>);

impl Calls {
    /// Takes note of one more.
    pub(super) fn push(&mut self, call: &CallId) {
        if self.0.len() >= CALLS_MAX {
            // The first stays.
            self.0.remove(1);
        }
        self.0.push_back(call.clone());
    }

    /// Forgets them.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// As evidence has them.
    pub(super) fn to_vec(&self) -> Vec<CallId> {
        self.0.iter().cloned().collect()
    }
}

/// How long ago something was; nothing if that is still to come, since the clock was set back.
pub(super) fn ago(now: Timestamp, then: Timestamp) -> SignedDuration {
    now.duration_since(then).max(SignedDuration::ZERO)
}

/// So many minutes.
pub(super) fn minutes(count: u32) -> SignedDuration {
    SignedDuration::from_mins(i64::from(count))
}

/// So many hours.
pub(super) fn hours(count: u32) -> SignedDuration {
    SignedDuration::from_hours(i64::from(count))
}

/// So many days of 24 hours.
pub(super) fn days(count: u32) -> SignedDuration {
    SignedDuration::from_hours(24 * i64::from(count))
}
