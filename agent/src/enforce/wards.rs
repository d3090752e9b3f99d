//! Who is blocked, which processes that are, and what the kernel is to be told of them. No IO: it takes what
//! happens and gives [`Order`]s.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::num::NonZeroUsize;

use lru::LruCache;
use weir_core::blind::{Flow, FlowId};
use weir_core::detect::Block;
use weir_core::identity::IdentityId;
use weir_core::units::{ProcessKey, Timestamp};

use crate::capture::{End, Judgement, Place, SLOTS, plain};
use crate::ledger::{BlockDeed, BlockRecord, Kept};

/// Most processes of which it is remembered whose they are, and most addresses of which it is what is there.
/// The least recently used is forgotten first, here as in the kernel.
const PROCESSES_MAX: NonZeroUsize = NonZeroUsize::new(16 * 1024).unwrap();
const ADDRESSES_MAX: NonZeroUsize = NonZeroUsize::new(8 * 1024).unwrap();

/// Something that the kernel is to be told, or to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// This was decided of a process.
    Judge(ProcessKey, Judgement),
    /// Nothing is decided of it any more.
    Acquit(ProcessKey),
    /// Somebody may be meant who is here.
    Suspect(Place),
    /// Nobody is meant any more who is here.
    Trust(Place),
    /// This is at the other end of a connection.
    Recognise(FlowId, End),
    /// This is at an address.
    Address(SocketAddr, End),
    /// A connection of a process has to end.
    Reset(ProcessKey, FlowId),
}

/// Whose process it is, and where it runs.
#[derive(Clone, Debug)]
struct Known {
    identity: IdentityId,
    place: Place,
    /// What the kernel was told of it.
    judged: Option<Judgement>,
}

/// What is kept of an identity that is blocked.
#[derive(Debug)]
struct Ward {
    /// Where the kernel counts; absent if it is only said that it would be blocked.
    slot: Option<u32>,
    /// What the kernel had counted there before.
    before: (u64, u64),
    /// Connections that were reset, or would have been.
    resets: u64,
    /// Those that were open when it began are among them.
    is_swept: bool,
    blocks: Vec<Block>,
}

/// Where the kernel's counters of refused connections and dropped packets are looked up.
pub(super) type Counters<'a> = &'a dyn Fn(u32) -> (u64, u64);

/// The state.
#[derive(Debug)]
pub(super) struct Wards {
    processes: LruCache<ProcessKey, Known>,
    wards: BTreeMap<IdentityId, Ward>,
    places: BTreeSet<Spot>,
    addresses: LruCache<SocketAddr, End>,
    /// Identities that there was no room to block.
    crowded: u64,
}

/// A place, as it is sorted.
type Spot = (u64, u32);

impl Default for Wards {
    fn default() -> Self {
        Self {
            processes: LruCache::new(PROCESSES_MAX),
            wards: BTreeMap::new(),
            places: BTreeSet::new(),
            addresses: LruCache::new(ADDRESSES_MAX),
            crowded: 0,
        }
    }
}

impl Wards {
    /// Whether anybody is blocked, and not only would be.
    pub(super) fn is_closed(&self) -> bool {
        self.wards.values().any(|ward| ward.slot.is_some())
    }

    /// Who is blocked or would be, why, and what that has kept from model endpoints so far.
    pub(super) fn standing(&self, now: Timestamp, counters: Counters<'_>) -> Vec<BlockRecord> {
        let wards = self.wards.values();
        let records = wards.flat_map(|ward| {
            ward.blocks.iter().map(|block| ward.record(block, BlockDeed::Stands, now, counters))
        });
        records.collect()
    }

    /// How many identities there was no room to block.
    pub(super) const fn crowded(&self) -> u64 {
        self.crowded
    }

    /// From now on exactly these blocks hold. Says what is to be done for that, and what to put on record.
    /// `name` gives the name of today of an identity.
    pub(super) fn hold(
        &mut self,
        blocks: &[Block],
        now: Timestamp,
        name: &dyn Fn(&IdentityId) -> IdentityId,
        counters: Counters<'_>,
    ) -> (Vec<Order>, Vec<BlockRecord>) {
        self.processes.iter_mut().for_each(|(_, known)| known.identity = name(&known.identity));
        let mut wanted: BTreeMap<IdentityId, Vec<Block>> = BTreeMap::new();
        for block in blocks {
            wanted.entry(name(&block.identity)).or_default().push(block.clone());
        }
        let (mut orders, mut records) = (Vec::new(), Vec::new());
        for (identity, mut ward) in std::mem::take(&mut self.wards) {
            let holds = wanted.remove(&identity).unwrap_or_default();
            for block in ward.blocks.iter().filter(|block| !holds.iter().any(|it| same(it, block)))
            {
                records.push(ward.record(block, BlockDeed::Released, now, counters));
            }
            for block in holds.iter().filter(|block| !ward.blocks.iter().any(|it| same(it, block)))
            {
                records.push(ward.record(block, BlockDeed::Closed, now, counters));
            }
            ward.blocks = holds;
            if ward.blocks.is_empty() {
                continue;
            }
            self.wards.insert(identity, ward);
        }
        for (identity, blocks) in wanted {
            let ward = Ward { slot: None, before: (0, 0), resets: 0, is_swept: false, blocks };
            let closed = |block| ward.record(block, BlockDeed::Closed, now, counters);
            records.extend(ward.blocks.iter().map(closed));
            self.wards.insert(identity, ward);
        }
        self.assign(counters);
        self.judge_all(&mut orders);
        (orders, records)
    }

    /// Gives numbers to those that are blocked from now on, and takes them from those that aren't any more.
    fn assign(&mut self, counters: Counters<'_>) {
        for ward in self.wards.values_mut().filter(|ward| ward.is_dry()) {
            ward.slot = None;
        }
        let mut taken: BTreeSet<u32> = self.wards.values().filter_map(|ward| ward.slot).collect();
        for ward in self.wards.values_mut() {
            if ward.slot.is_some() || ward.is_dry() {
                continue;
            }
            let Some(slot) = (0..SLOTS).find(|slot| !taken.contains(slot)) else {
                self.crowded += 1;
                continue;
            };
            taken.insert(slot);
            ward.slot = Some(slot);
            ward.is_swept = false;
            ward.before = counters(slot);
        }
    }

    /// Judges every process anew that is known.
    fn judge_all(&mut self, orders: &mut Vec<Order>) {
        let Self { processes, wards, places, .. } = self;
        let slot = |known: &Known| wards.get(&known.identity).and_then(|ward| ward.slot);
        let blocked = processes.iter().filter(|(_, known)| slot(known).is_some());
        let now: BTreeSet<Spot> = blocked.map(|(_, known)| spot(known.place)).collect();
        orders.extend(now.difference(places).map(|spot| Order::Suspect(place(*spot))));
        for (key, known) in processes.iter_mut() {
            let judgement = match slot(known) {
                Some(slot) => Some(Judgement::Blocked(slot)),
                None => now.contains(&spot(known.place)).then_some(Judgement::Free),
            };
            orders.extend(judge(*key, known, judgement));
        }
        orders.extend(places.difference(&now).map(|spot| Order::Trust(place(*spot))));
        *places = now;
    }

    /// It is known whose process this is.
    pub(super) fn seen(
        &mut self,
        process: ProcessKey,
        place: Place,
        identity: IdentityId,
    ) -> Vec<Order> {
        let slot = self.wards.get(&identity).and_then(|ward| ward.slot);
        let judged = self.processes.peek(&process).and_then(|known| known.judged);
        let mut known = Known { identity, place, judged };
        let mut orders = Vec::new();
        let judgement = match slot {
            Some(slot) => {
                if self.places.insert(spot(place)) {
                    orders.push(Order::Suspect(place));
                    self.free_others(place, &mut orders);
                }
                Some(Judgement::Blocked(slot))
            }
            None => self.places.contains(&spot(place)).then_some(Judgement::Free),
        };
        orders.extend(judge(process, &mut known, judgement));
        if let Some((gone, known)) = self.processes.push(process, known)
            && gone != process
            && known.judged.is_some()
        {
            orders.push(Order::Acquit(gone));
        }
        orders
    }

    /// Judges those in a place who aren't judged yet: nobody is blocked there whose process is known.
    fn free_others(&mut self, place: Place, orders: &mut Vec<Order>) {
        let processes = self.processes.iter_mut();
        let others = processes.filter(|(_, known)| known.place == place && known.judged.is_none());
        orders.extend(others.filter_map(|(key, known)| judge(*key, known, Some(Judgement::Free))));
    }

    /// Whether it matters whose this process is, and nobody has said.
    pub(super) fn wonders(&self, process: ProcessKey, place: Place) -> bool {
        !self.processes.contains(&process) && self.places.contains(&spot(place))
    }

    /// A process was made. It is its parent's until it is something else.
    pub(super) fn forked(&mut self, parent: ProcessKey, child: ProcessKey) -> Vec<Order> {
        match self.processes.peek(&parent).cloned() {
            Some(Known { identity, place, judged: _ }) => self.seen(child, place, identity),
            None => Vec::new(),
        }
    }

    /// A process is something else from now on. Until that is known, what was decided of it holds. Says
    /// whether it matters.
    pub(super) fn executed(&self, process: ProcessKey, place: Place) -> bool {
        let known = self.processes.peek(&process);
        known.is_some_and(|known| known.judged.is_some()) || self.places.contains(&spot(place))
    }

    /// A process has ended.
    pub(super) fn exited(&mut self, process: ProcessKey) -> Option<Order> {
        let known = self.processes.pop(&process)?;
        known.judged.is_some().then_some(Order::Acquit(process))
    }

    /// A connection over TCP has greeted, and shown what is at its other end.
    pub(super) fn met(&mut self, flow: Flow, end: End) -> Vec<Order> {
        let mut orders = vec![Order::Recognise(flow.id, end)];
        let address = plain(flow.remote);
        let before = self.addresses.get(&address).copied();
        let both = before.is_some_and(|before| before != end);
        let here = if both { End::Both } else { end };
        if before != Some(here) {
            self.addresses.put(address, here);
            orders.push(Order::Address(address, here));
        }
        if end == End::Model
            && let Some(known) = self.processes.peek(&flow.process)
            && let Some(ward) = self.wards.get_mut(&known.identity)
        {
            ward.resets += 1;
            if ward.slot.is_some() {
                orders.push(Order::Reset(flow.process, flow.id));
            }
        }
        orders
    }

    /// These connections to model endpoints are open. Says which have to end.
    pub(super) fn sweep(&mut self, open: Vec<(FlowId, ProcessKey)>) -> Vec<Order> {
        let mut orders = Vec::new();
        for (flow, process) in open {
            let Some(known) = self.processes.peek(&process) else { continue };
            let Some(ward) = self.wards.get_mut(&known.identity) else { continue };
            if ward.is_swept {
                continue;
            }
            ward.resets += 1;
            if ward.slot.is_some() {
                orders.push(Order::Reset(process, flow));
            }
        }
        self.wards.values_mut().for_each(|ward| ward.is_swept = true);
        orders
    }
}

impl Ward {
    /// Whether it is only said that it would be blocked.
    fn is_dry(&self) -> bool {
        self.blocks.iter().all(|block| block.dry_run)
    }

    fn record(
        &self,
        block: &Block,
        deed: BlockDeed,
        time: Timestamp,
        counters: Counters<'_>,
    ) -> BlockRecord {
        let (refused, dropped) = self.slot.map_or((0, 0), counters);
        let (refused_before, dropped_before) = self.before;
        let kept = Kept {
            connections_reset: self.resets,
            connections_refused: refused.saturating_sub(refused_before),
            packets_dropped: dropped.saturating_sub(dropped_before),
        };
        BlockRecord { time, deed, block: block.clone(), kept }
    }
}

/// Whether two blocks are one: only when it ends may change.
fn same(one: &Block, other: &Block) -> bool {
    one.identity == other.identity
        && one.cause == other.cause
        && one.since == other.since
        && one.dry_run == other.dry_run
}

/// Changes what is decided of a process, if it does.
fn judge(process: ProcessKey, known: &mut Known, judgement: Option<Judgement>) -> Option<Order> {
    let before = std::mem::replace(&mut known.judged, judgement);
    match judgement {
        Some(judgement) if before != Some(judgement) => Some(Order::Judge(process, judgement)),
        None if before.is_some() => Some(Order::Acquit(process)),
        Some(_) | None => None,
    }
}

const fn spot(place: Place) -> Spot {
    (place.cgroup_id, place.uid)
}

const fn place((cgroup_id, uid): Spot) -> Place {
    Place { cgroup_id, uid, reserved: 0 }
}

#[cfg(test)]
mod tests;
