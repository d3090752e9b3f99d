//! Keeps identities from model endpoints, where the configuration wants that.
//!
//! The kernel knows processes and connections, so this room tells it which processes those of a blocked
//! identity are, and what is at the other end of each connection that has greeted. What the kernel can't
//! know in time it may ask for by waiting: the greeting of a process that nobody has judged, from where
//! processes of the identity were seen, is sent again until somebody has. Connections that are open
//! are reset by a thread of their own, `weir-block`, and carry nothing any more from the moment on at which
//! their process is judged.

mod reset;
mod wards;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use weir_core::blind::{Flow, FlowId};
use weir_core::detect::Block;
use weir_core::identity::IdentityId;
use weir_core::units::{ProcessKey, Timestamp};

use crate::capture::{End, Gate, Place};
use crate::ledger::{BlockDeed, BlockRecord, Entry, Reader};
use wards::{Order, Wards};

/// For so long the kernel blocks without being told again that it should: a daemon that hangs blocks nobody.
const LEASE: Duration = Duration::from_secs(15);
/// Most connections that wait to be reset. What is beyond carries nothing any more, and is left open.
const RESETS_MAX: usize = 16 * 1024;
/// Connections that are reset in one go.
const AT_ONCE: usize = 1024;

/// What keeps identities from model endpoints. Cheap to clone.
#[derive(Clone)]
pub struct Enforcer(Option<Arc<Inner>>);

struct Inner {
    state: Mutex<State>,
    resets: SyncSender<(ProcessKey, FlowId)>,
    reader: Reader,
    entries: SyncSender<Entry>,
    /// Somebody is blocked, or would be.
    concerned: AtomicBool,
    health: Arc<Health>,
}

struct State {
    wards: Wards,
    gate: Arc<Mutex<Gate>>,
    /// The blocks that hold, as they were said.
    blocks: Vec<Block>,
    /// Records that there was no room for in the ledger's queue.
    unsaid: Vec<BlockRecord>,
}

#[derive(Default)]
struct Health {
    /// Connections that were reset.
    resets: AtomicU64,
    /// Those that could not be, and why the last could not.
    failed: AtomicU64,
    trouble: Mutex<Option<String>>,
    /// What the kernel would not be told.
    refused: AtomicU64,
}

/// How enforcement is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Who is blocked, or would be.
    pub blocks: Vec<BlockRecord>,
    /// Identities that there was no room to block, since the start.
    pub crowded: u64,
    /// Connections that were reset since the start.
    pub resets: u64,
    /// Connections that could not be, and carry nothing any more.
    pub failed: u64,
    /// Why the last of those could not.
    pub trouble: Option<String>,
    /// How often the kernel would not be told whom to block, since the start.
    pub refused: u64,
}

impl Enforcer {
    /// One that blocks nobody, and costs nothing.
    #[must_use]
    pub const fn off() -> Self {
        Self(None)
    }

    /// One that tells `gate` whom to block, and the log that it has. `addresses` are those of model endpoints
    /// besides what greetings show.
    ///
    /// # Errors
    /// If its thread can't be started.
    pub fn start(
        gate: Arc<Mutex<Gate>>,
        addresses: impl IntoIterator<Item = IpAddr>,
        reader: Reader,
        entries: SyncSender<Entry>,
    ) -> io::Result<Self> {
        let health = Arc::new(Health::default());
        for address in addresses {
            let told = locked(&gate).place(address.to_canonical(), None, End::Model);
            health.note(told);
        }
        let (resets, due) = sync_channel(RESETS_MAX);
        let thread = thread::Builder::new().name("weir-block".to_owned());
        thread.spawn({
            let health = Arc::clone(&health);
            move || reset_all(&due, &health)
        })?;
        let state = State { wards: Wards::default(), gate, blocks: Vec::new(), unsaid: Vec::new() };
        let inner = Inner {
            state: Mutex::new(state),
            resets,
            reader,
            entries,
            concerned: AtomicBool::new(false),
            health,
        };
        Ok(Self(Some(Arc::new(inner))))
    }

    /// From now on exactly these blocks hold. To be called at least every second, for the kernel believes
    /// no older word.
    pub fn hold(&self, blocks: Vec<Block>, now: Timestamp) {
        let Some(inner) = &self.0 else { return };
        let began = Instant::now();
        let mut state = inner.state();
        if state.blocks != blocks {
            inner.concerned.store(!blocks.is_empty(), Ordering::Release);
            let records = inner.change(&mut state, &blocks, now);
            for BlockRecord { deed, block, kept, .. } in &records {
                tracing::info!(?deed, ?block, ?kept, took = ?began.elapsed(), "a way to model endpoints");
            }
            state.unsaid.extend(records);
            state.blocks = blocks;
        } else if state.wards.is_closed() {
            inner.health.note(locked(&state.gate).close(LEASE));
        }
        inner.say(&mut state);
    }

    /// Blocks nobody any more: the daemon stops.
    pub fn stop(&self, now: Timestamp) {
        let Some(inner) = &self.0 else { return };
        let mut state = inner.state();
        inner.health.note(locked(&state.gate).open());
        let mut records = state.standing(now);
        records.iter_mut().for_each(|record| record.deed = BlockDeed::Stopped);
        state.blocks.clear();
        state.wards = Wards::default();
        state.unsaid.extend(records);
        inner.say(&mut state);
    }

    /// It is known whose process this is.
    pub fn seen(&self, process: ProcessKey, place: Place, identity: &IdentityId) {
        let Some(inner) = &self.0 else { return };
        // The name of today costs a look into the ledger, and matters only while somebody is blocked.
        let is_concerned = inner.concerned.load(Ordering::Acquire);
        let identity = if is_concerned { inner.name(identity) } else { identity.clone() };
        let mut state = inner.state();
        let orders = state.wards.seen(process, place, identity);
        inner.carry_out(&mut state, orders);
    }

    /// Whether it matters whose this process is, and nobody has said.
    #[must_use]
    pub fn wonders(&self, process: ProcessKey, place: Place) -> bool {
        self.0.as_ref().is_some_and(|inner| inner.state().wards.wonders(process, place))
    }

    /// A process was made.
    pub fn forked(&self, parent: ProcessKey, child: ProcessKey) {
        let Some(inner) = &self.0 else { return };
        let mut state = inner.state();
        let orders = state.wards.forked(parent, child);
        inner.carry_out(&mut state, orders);
    }

    /// A process has replaced its program. Says whether it matters whose it is now.
    #[must_use]
    pub fn executed(&self, process: ProcessKey, place: Place) -> bool {
        self.0.as_ref().is_some_and(|inner| inner.state().wards.executed(process, place))
    }

    /// A process has ended.
    pub fn exited(&self, process: ProcessKey) {
        let Some(inner) = &self.0 else { return };
        let mut state = inner.state();
        let order = state.wards.exited(process);
        inner.carry_out(&mut state, order.into_iter().collect());
    }

    /// A connection over TCP has greeted, and shown what is at its other end.
    pub fn met(&self, flow: Flow, end: End) {
        let Some(inner) = &self.0 else { return };
        let mut state = inner.state();
        let orders = state.wards.met(flow, end);
        inner.carry_out(&mut state, orders);
    }

    /// How it is; `None` if nobody is ever blocked.
    #[must_use]
    pub fn standing(&self, now: Timestamp) -> Option<Standing> {
        let inner = self.0.as_ref()?;
        let state = inner.state();
        let Health { resets, failed, trouble, refused } = &*inner.health;
        Some(Standing {
            blocks: state.standing(now),
            crowded: state.wards.crowded(),
            resets: resets.load(Ordering::Relaxed),
            failed: failed.load(Ordering::Relaxed),
            trouble: locked(trouble).clone(),
            refused: refused.load(Ordering::Relaxed),
        })
    }
}

impl fmt::Debug for Enforcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Enforcer").field(&self.0.is_some()).finish()
    }
}

impl State {
    fn standing(&self, now: Timestamp) -> Vec<BlockRecord> {
        let gate = locked(&self.gate);
        self.wards.standing(now, &|slot| gate.refused(slot))
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    /// The name of today. Where the ledger can't be read, the one that is known.
    fn name(&self, identity: &IdentityId) -> IdentityId {
        self.reader
            .current_name(&identity.0)
            .map_or_else(|_unreadable| identity.clone(), IdentityId)
    }

    fn change(&self, state: &mut State, blocks: &[Block], now: Timestamp) -> Vec<BlockRecord> {
        let (orders, records) = {
            let gate = Arc::clone(&state.gate);
            let gate = locked(&gate);
            let counters = |slot| gate.refused(slot);
            state.wards.hold(blocks, now, &|identity| self.name(identity), &counters)
        };
        self.carry_out(state, orders);
        let is_closed = state.wards.is_closed();
        let mut gate = locked(&state.gate);
        self.health.note(if is_closed { gate.close(LEASE) } else { gate.open() });
        drop(gate);
        self.sweep(state);
        records
    }

    /// Ends what is open and must not be.
    fn sweep(&self, state: &mut State) {
        let open = locked(&state.gate).to_models();
        let orders = state.wards.sweep(open);
        self.carry_out(state, orders);
    }

    fn carry_out(&self, state: &mut State, orders: Vec<Order>) {
        if orders.is_empty() {
            return;
        }
        let mut gate = locked(&state.gate);
        for order in orders {
            let told = match order {
                Order::Judge(process, judgement) => gate.judge(process, judgement),
                Order::Suspect(place) => gate.suspect(place),
                Order::Address(remote, end) => gate.place(remote.ip(), Some(remote.port()), end),
                Order::Acquit(process) => {
                    gate.acquit(process);
                    continue;
                }
                Order::Trust(place) => {
                    gate.trust(place);
                    continue;
                }
                Order::Recognise(flow, end) => {
                    gate.recognise(flow, end);
                    continue;
                }
                Order::Reset(process, flow) => {
                    if self.resets.try_send((process, flow)).is_err() {
                        self.health.failed.fetch_add(1, Ordering::Relaxed);
                    }
                    continue;
                }
            };
            self.health.note(told);
        }
    }

    /// Has records stored. While the ledger's queue is full they wait.
    fn say(&self, state: &mut State) {
        let mut records = std::mem::take(&mut state.unsaid).into_iter();
        for record in records.by_ref() {
            match self.entries.try_send(Entry::Block(Box::new(record))) {
                Ok(()) => {}
                Err(TrySendError::Full(Entry::Block(record))) => {
                    state.unsaid.push(*record);
                    break;
                }
                // The ledger's thread outlives whoever calls this.
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => return,
            }
        }
        state.unsaid.extend(records);
    }
}

impl Health {
    /// The kernel was told something, or would not be.
    fn note(&self, told: Result<(), impl fmt::Display>) {
        if let Err(error) = told {
            self.refused.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%error, "the kernel won't be told whom to block");
        }
    }
}

/// Resets connections as they come, until nobody can send any more.
fn reset_all(due: &Receiver<(ProcessKey, FlowId)>, health: &Health) {
    while let Ok(first) = due.recv() {
        let mut connections: BTreeMap<u32, HashSet<FlowId>> = BTreeMap::new();
        for (process, flow) in std::iter::once(first).chain(due.try_iter().take(AT_ONCE)) {
            connections.entry(process.pid).or_default().insert(flow);
        }
        for (pid, connections) in connections {
            match reset::reset(pid, &connections) {
                Ok(count) => {
                    health.resets.fetch_add(count as u64, Ordering::Relaxed);
                }
                Err(error) => {
                    tracing::warn!(%error, pid, "connections can't be reset; they carry nothing any more");
                    health.failed.fetch_add(connections.len() as u64, Ordering::Relaxed);
                    *locked(&health.trouble) = Some(error.to_string());
                }
            }
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
