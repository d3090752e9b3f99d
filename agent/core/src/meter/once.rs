//! One answer, one bill: finds the records that are about an answer which another record bills.
//!
//! A provider's answer may be seen more than once: it is read back (`retrieved`) as often as
//! somebody likes and by whoever may, or it passes through a gateway on this host, whose caller and
//! who itself are both seen. Its id (`response_id`) links the sightings, but proves nothing: some
//! servers give every answer the same id, and a process may use an id anew to hide what it spends. So
//! a record is a **repeat** of an earlier one with the same id only if one of these holds:
//!
//! - It was read back, from the same provider, and says the same numbers, or none.
//! - The two are the ends of one gateway: calls of different processes to different hosts, one of
//!   them within the other's time, and the id has not turned up in any third call. It must say the
//!   same numbers or estimate them, and **not cost more** than what the other is billed, so that no
//!   pair of records can make a bill smaller than its dearest one.
//! - The same of a gateway that gives answers ids of its own, where the two calls are of one trace. Its
//!   process must be known to answer requests, and the numbers must be said and be the same.
//!
//! Two asks by one process are never one call, whatever they say. A repeat stays a record, so that
//! one can see who fetched what, but has no tokens and costs nothing.
//!
//! The rows of a gateway come in the order in which its two calls end, its own first. [`Relays`] sees
//! to it that its caller's is billed.
//!
//! Where the earlier record has no final numbers (the call went on in the background, or its caller
//! hung up) and the later one has, the later **settles** it: it is billed what goes beyond the
//! earlier, to whoever had made the call.

mod relay;

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use jiff::SignedDuration;
use lru::LruCache;
pub use relay::Relays;
use sha2::{Digest, Sha256};

use super::behalf::Behalf;
use super::record::{CallId, CostSource, Settlement, UsageRecord, UsageSource};
use crate::units::{Counts, PicoUsd, Role, Timestamp, Tokens, Unit};

/// Most ids that are remembered, about 400 bytes each. What is older is asked for where records are
/// kept.
const IDS: NonZeroUsize = NonZeroUsize::new(16 * 1024).unwrap();
/// Most traces that are remembered.
const TRACES: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
/// Most records without final numbers that are remembered in full.
const OPEN: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// Most sightings of one id that are told apart; further ones are bills of their own.
const SIGHTINGS: usize = 4;
/// By how much the end of the call within may come after that of the call around it: a gateway may
/// end its own answer before it has read the last bytes of its provider's.
const SLACK: SignedDuration = SignedDuration::from_secs(1);

/// 128 bits of SHA-256.
type Hash = [u8; 16];

/// What is remembered of the answers that were billed. In memory only.
#[derive(Debug)]
pub struct Once {
    answers: LruCache<Hash, Vec<Sighting>>,
    /// The latest that were billed of each trace.
    traced: LruCache<Hash, VecDeque<Sighting>>,
    /// The latest record without final numbers, by the same key.
    open: LruCache<Hash, Box<UsageRecord>>,
}

/// One record that bills an answer.
#[derive(Clone, Debug)]
struct Sighting {
    call: CallId,
    maker: Behalf,
    provider: Hash,
    host: Hash,
    pid: u32,
    gateway: bool,
    trace: Option<Hash>,
    from: Timestamp,
    to: Timestamp,
    retrieved: bool,
    /// All that the provider says was used; absent if it hasn't said.
    numbers: Option<Hash>,
    /// What it is billed.
    cost: Option<PicoUsd>,
    /// What it cost at least.
    least: Option<PicoUsd>,
}

/// What a record is to an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Repeats,
    Settles,
}

impl Default for Once {
    fn default() -> Self {
        Self {
            answers: LruCache::new(IDS),
            traced: LruCache::new(TRACES),
            open: LruCache::new(OPEN),
        }
    }
}

impl Once {
    /// Makes `record` a repeat or a settlement if it is one. Records are to be given in the order in
    /// which they are stored.
    ///
    /// `stored` is asked for the latest record with the same `response_id` that is kept and is no
    /// repeat, where a record was read back of which not enough is remembered.
    #[must_use]
    pub fn settle(
        &mut self,
        mut record: UsageRecord,
        stored: impl FnOnce(&str) -> Option<UsageRecord>,
    ) -> UsageRecord {
        // Whoever answers is not billed, so there is nothing to repeat.
        let id = record.response_id.clone().filter(|id| !id.is_empty());
        let (Some(id), Role::Client) = (id, record.role) else { return record };
        let key = hash([id.as_bytes()]);
        let sighting = Sighting::of(&record);
        let known = self.answers.get_or_insert_mut(key, Vec::new);
        let mut found = find(known, &sighting);
        let mut earlier = self.open.get(&key).filter(|open| is_of(&found, open)).cloned();
        if record.retrieved && (found.is_none() || is_settled(&found) && earlier.is_none()) {
            earlier = stored(&id).map(Box::new);
            let kept = earlier.as_deref().map(Sighting::of);
            found = found.or_else(|| find(kept.as_slice(), &sighting));
            earlier = earlier.filter(|earlier| is_of(&found, earlier));
        }
        match found {
            Some((Relation::Repeats, call)) => {
                let billed = known.iter().find(|known| known.call == call);
                if let Some(billed) = billed.filter(|_| !record.retrieved) {
                    name_caller(&mut record, &sighting, billed);
                }
                repeat(&mut record, call);
                return record;
            }
            Some((Relation::Settles, call)) => {
                known.retain(|known| known.call != call);
                complete(&mut record, call, earlier.as_deref());
            }
            None => {
                if let Some(billed) = self.relayed(&sighting) {
                    name_caller(&mut record, &sighting, &billed);
                    repeat(&mut record, billed.call);
                    return record;
                }
            }
        }
        self.note_trace(&sighting);
        let known = self.answers.get_or_insert_mut(key, Vec::new);
        if sighting.numbers.is_none() {
            self.open.put(key, Box::new(record.clone()));
        }
        if known.len() < SIGHTINGS {
            known.push(sighting);
        }
        record
    }

    /// The billed call that `later` is the other end of, by their trace.
    fn relayed(&mut self, later: &Sighting) -> Option<Sighting> {
        let known = self.traced.get_mut(later.trace.as_ref()?)?;
        let found = known.iter_mut().find(|earlier| are_ends(earlier, later))?;
        let billed = found.clone();
        // Each end counts once; behind a gateway there may be another.
        let Sighting { call, maker, .. } = billed.clone();
        *found = Sighting { call, maker, ..later.clone() };
        Some(billed)
    }

    fn note_trace(&mut self, sighting: &Sighting) {
        let Some(trace) = sighting.trace.filter(|_| !sighting.retrieved) else { return };
        let known = self.traced.get_or_insert_mut(trace, VecDeque::new);
        if known.len() == SIGHTINGS {
            known.pop_front();
        }
        known.push_back(sighting.clone());
    }
}

fn is_settled(found: &Option<(Relation, CallId)>) -> bool {
    matches!(found, Some((Relation::Settles, _)))
}

/// Whether `record` is the one that was found.
fn is_of(found: &Option<(Relation, CallId)>, record: &UsageRecord) -> bool {
    found.as_ref().is_some_and(|(_, call)| *call == record.id)
}

/// The first of `known` that `later` has to do with.
fn find(known: &[Sighting], later: &Sighting) -> Option<(Relation, CallId)> {
    let alone = known.len() == 1;
    known.iter().find_map(|earlier| {
        let relation = if later.retrieved {
            read_back(earlier, later)
        } else {
            passed_on(earlier, later, alone)
        };
        Some((relation?, earlier.call.clone()))
    })
}

/// What a record that was read back is to an earlier one.
fn read_back(earlier: &Sighting, later: &Sighting) -> Option<Relation> {
    if earlier.provider != later.provider {
        return None;
    }
    match (&earlier.numbers, &later.numbers) {
        (_, None) => Some(Relation::Repeats),
        (None, Some(_)) => Some(Relation::Settles),
        (Some(one), Some(other)) => (one == other).then_some(Relation::Repeats),
    }
}

/// What the record of an ask is to an earlier one, which may be the other end of the same gateway.
/// `alone` says that the id was not seen elsewhere.
fn passed_on(earlier: &Sighting, later: &Sighting, alone: bool) -> Option<Relation> {
    let linked = alone
        && !earlier.retrieved
        && earlier.pid != later.pid
        && earlier.host != later.host
        && (earlier.is_within(later) || later.is_within(earlier));
    if !linked {
        return None;
    }
    let relation = match (&earlier.numbers, &later.numbers) {
        (None, Some(_)) => return Some(Relation::Settles),
        (Some(one), Some(other)) => one == other,
        // Without a cost it says nothing that could be compared.
        (_, None) => later.least.is_some(),
    };
    (relation && earlier.covers(later)).then_some(Relation::Repeats)
}

/// Whether two calls of one trace are the ends of a gateway that gives answers ids of its own.
fn are_ends(earlier: &Sighting, later: &Sighting) -> bool {
    let inner = if later.is_within(earlier) {
        later
    } else if earlier.is_within(later) {
        earlier
    } else {
        return false;
    };
    inner.gateway
        && earlier.trace.is_some()
        && earlier.trace == later.trace
        && earlier.pid != later.pid
        && earlier.host != later.host
        && earlier.numbers.is_some()
        && earlier.numbers == later.numbers
        && earlier.covers(later)
}

impl Sighting {
    fn of(record: &UsageRecord) -> Self {
        let took = i64::try_from(record.latency_ms).unwrap_or(i64::MAX);
        let to = record.time.checked_add(SignedDuration::from_millis(took));
        let whole = record.settles.as_ref().map_or(&record.tokens, |settled| &settled.tokens);
        let said = record.usage_source == UsageSource::Reported;
        let least = record.bounds.as_ref().and_then(|bounds| bounds.cost_usd_min);
        Self {
            call: record.id.clone(),
            maker: Behalf::of_caller(record),
            provider: hash([record.provider.as_bytes()]),
            host: hash([record.host.as_deref().unwrap_or_default().as_bytes()]),
            pid: record.process.pid,
            gateway: record.gateway,
            trace: record.trace_id.as_ref().map(|id| hash([id.as_bytes()])),
            from: record.time,
            to: to.unwrap_or(record.time),
            retrieved: record.retrieved,
            numbers: said.then(|| numbers(whole, &record.counts)),
            cost: record.cost_usd,
            least: least.or(record.cost_usd),
        }
    }

    /// Whether a bill of it is one of `other`, too: that is not dearer.
    fn covers(&self, other: &Self) -> bool {
        other.least.is_none_or(|least| self.cost.is_some_and(|cost| least <= cost))
    }

    /// Whether it went on within the time of `outer`.
    fn is_within(&self, outer: &Self) -> bool {
        outer.from <= self.from
            && self.from <= outer.to
            && self.to.duration_since(outer.to) <= SLACK
    }
}

/// Notes whose call `record` passed on, if `billed` is that: of a gateway's two ends, its caller's is the
/// one around the other.
fn name_caller(record: &mut UsageRecord, sighting: &Sighting, billed: &Sighting) {
    if billed.from <= sighting.from {
        record.on_behalf_of = Some(billed.maker.clone());
    }
}

/// Takes off `record` what is billed already.
fn repeat(record: &mut UsageRecord, call: CallId) {
    record.duplicate_of = Some(call);
    record.tokens = Tokens::default();
    record.counts = Counts::default();
    record.parts = Vec::new();
    record.usage_source = UsageSource::None;
    record.bounds = None;
    record.cost_usd = Some(PicoUsd::ZERO);
    record.cost_source = CostSource::Repeat;
    record.price_version = None;
}

/// Makes `record` the rest of the bill of `call`, whose record is `earlier` if that is still known.
fn complete(record: &mut UsageRecord, call: CallId, earlier: Option<&UsageRecord>) {
    record.settles = Some(Settlement { call, tokens: record.tokens });
    let Some(earlier) = earlier else { return };
    if earlier.tokens != Tokens::default() {
        record.tokens = beyond(&record.tokens, &earlier.tokens);
        record.parts = Vec::new();
    }
    if let (Some(cost), Some(billed)) = (record.cost_usd, earlier.cost_usd) {
        record.cost_usd = Some(PicoUsd((cost.0 - billed.0).max(0)));
    }
    if record.retrieved {
        record.charge(earlier.payer());
    }
}

/// What `whole` has beyond `billed`. An estimate doesn't know the kinds of input and output, so it is
/// taken off whichever kinds there are, plain text first.
fn beyond(whole: &Tokens, billed: &Tokens) -> Tokens {
    let mut buckets = whole.to_array();
    let (input, output) = buckets.split_at_mut(Tokens::INPUTS);
    for (side, mut rest) in [(input, billed.input_total()), (output, billed.output_total())] {
        for bucket in side {
            let taken = rest.min(*bucket);
            *bucket -= taken;
            rest -= taken;
        }
    }
    Tokens::from_array(buckets)
}

/// Everything of a bill that the provider says.
fn numbers(tokens: &Tokens, counts: &Counts) -> Hash {
    let tokens = tokens.to_array().map(u64::to_be_bytes);
    let counts = counts.0.iter().map(|(unit, count): (&Unit, &u64)| format!("{unit:?} {count};"));
    let counts: String = counts.collect();
    hash(tokens.iter().map(<[u8; 8]>::as_slice).chain([counts.as_bytes()]))
}

fn hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Hash {
    let mut hash = Sha256::new();
    parts.into_iter().for_each(|part| hash.update(part));
    let digest = hash.finalize();
    digest.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
