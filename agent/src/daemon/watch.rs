//! The thread `weir-drain`: feeds what the probes saw to the pipeline and does what that asks.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, Instant};

use weir_core::identity::Attribution;
use weir_core::pipeline::{Input, Output, Pipeline};
use weir_core::provider::{BatchNews, Edge, ModelCall};
use weir_core::units::{ProcessKey, Timestamp};

use super::asks::Asks;
use super::blind::Blind;
use super::vitals::Vitals;
use crate::capture::{Capture, Drain, Event, Place, Stamp};
use crate::enforce::Enforcer;
use crate::host::{Host, Sighting};
use crate::ledger::{Entry, Loss};

/// How often losses are told and silent connections given up, while anything happens.
const UPKEEP_EVERY: Duration = Duration::from_secs(1);
/// How long to sleep at most while connections are open: their silence has to be noticed.
const SILENCE_CHECK: Duration = Duration::from_secs(30);

/// Something that was made or said, and who made it or was told, on its way to the meter.
pub(super) enum Attributed {
    /// The last is whether its maker answers requests of others.
    Call(Box<ModelCall>, Arc<Attribution>, bool),
    Edge(Box<Edge>, Arc<Attribution>),
    /// For this trace, one has asked the other.
    Asked {
        trace_id: String,
        caller: Arc<Attribution>,
        callee: Arc<Attribution>,
    },
    Batch(Box<BatchNews>, Arc<Attribution>),
}

/// The thread's state.
pub(super) struct Watch {
    drain: Drain,
    flow: Flow,
    /// How long to wait for the ring at most.
    turn: Option<Duration>,
}

/// Everything that an event goes through.
pub(super) struct Flow {
    pub(super) capture: Capture,
    pub(super) blind: Blind,
    pub(super) pipeline: Pipeline,
    pub(super) host: Host,
    pub(super) asks: Asks,
    pub(super) enforcer: Enforcer,
    pub(super) made: SyncSender<Attributed>,
    pub(super) losses: LossTeller,
    pub(super) vitals: Arc<Vitals>,
}

/// Puts each loss into the log, as an interval.
pub(super) struct LossTeller {
    capture: Capture,
    entries: SyncSender<Entry>,
    vitals: Arc<Vitals>,
    /// Everything that was lost before this is told.
    until: Timestamp,
    /// Records and bytes told, by the name of the counter.
    told: Vec<(&'static str, [u64; 2])>,
}

impl Watch {
    pub(super) const fn new(drain: Drain, flow: Flow, turn: Option<Duration>) -> Self {
        Self { drain, flow, turn }
    }

    /// Runs until the daemon stops.
    ///
    /// # Errors
    /// If the ring can't be waited for.
    pub(super) fn run(self) -> io::Result<()> {
        let Self { mut drain, mut flow, turn } = self;
        let mut upkeep = Instant::now();
        let mut waited = Ok(());
        while waited.is_ok() && !flow.vitals.is_stopping() {
            let open = flow.pipeline.stats().connections > 0;
            let patience = flow.blind.patience();
            let silence = patience.or(open.then_some(SILENCE_CHECK));
            waited = drain.wait(silence.into_iter().chain(turn).min());
            flow.vitals.drained.fetch_add(1, Ordering::Relaxed);
            let events = drain.drain(|event| flow.take(event));
            let events = events + drain.drain_flows(|event| flow.blind.take(event, &mut flow.host));
            flow.asks.answer(&mut flow.host);
            let waiting = open || patience.is_some();
            if upkeep.elapsed() >= UPKEEP_EVERY && (events > 0 || waiting) {
                upkeep = Instant::now();
                flow.handle(Input::Tick { time: Timestamp::now() }, None);
                flow.blind.tick(Timestamp::now());
                flow.tell();
            }
        }
        while drain.drain(|event| flow.take(event)) > 0 {}
        drain.drain_flows(|event| flow.blind.take(event, &mut flow.host));
        flow.handle(Input::Stop { time: Timestamp::now() }, None);
        flow.blind.stop(Timestamp::now());
        flow.tell();
        waited
    }
}

impl Flow {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Segment { connection, direction, offset, time, data, stamp } => {
                let cgroup = stamp.cgroup_id;
                let input = Input::Segment { connection, cgroup, direction, offset, time, data };
                self.handle(input, Some(stamp));
            }
            Event::Closed { connection, time, read_total, write_total } => {
                self.handle(Input::Closed { connection, time, read_total, write_total }, None);
            }
            Event::Executed { process, time, path, stamp } => {
                self.host.executed(process, path);
                self.blind.executed(process);
                if self.enforcer.executed(process, place(stamp)) {
                    let identity = self.host.identity(&sighting(process, stamp));
                    self.enforcer.seen(process, place(stamp), &identity);
                }
                self.handle(Input::Exited { process, time }, None);
            }
            Event::Forked { parent, child, .. } => {
                self.host.forked(parent, child);
                self.enforcer.forked(parent, child);
            }
            Event::Exited { process, time } => {
                self.handle(Input::Exited { process, time }, None);
                self.host.exited(process);
                self.enforcer.exited(process);
            }
            // The capture room sees to this one itself.
            Event::Loaded { .. } => {}
        }
    }

    /// Feeds the pipeline and does what it asks. `stamp` is that of the event which `input` is.
    fn handle(&mut self, input: Input<'_>, stamp: Option<Stamp>) {
        self.pipeline.handle(input);
        while let Some(output) = self.pipeline.poll() {
            match output {
                Output::NeedFacts(key) => {
                    // Facts are asked for where a process's bytes are first seen to matter, so
                    // the stamp is there.
                    let Some(stamp) = stamp else { continue };
                    let attribution = Arc::new(self.host.attribution(&sighting(key, stamp)));
                    self.enforcer.seen(key, place(stamp), &attribution.identity);
                    self.pipeline.handle(Input::Facts { process: key, attribution });
                }
                Output::Call { call, attribution, serves } => {
                    self.hand_on(Attributed::Call(call, attribution, serves));
                }
                Output::Edge { edge, attribution } => {
                    self.hand_on(Attributed::Edge(edge, attribution));
                }
                Output::Asked { trace_id, caller, callee } => {
                    self.hand_on(Attributed::Asked { trace_id, caller, callee });
                }
                Output::Batch { news, attribution } => {
                    self.hand_on(Attributed::Batch(news, attribution));
                }
                Output::Spoke { process, host, time } => {
                    self.blind.spoke(process, host.as_deref(), time);
                }
                Output::Steer { connection, steering } => {
                    if let Err(error) = self.capture.steer(connection, steering) {
                        tracing::debug!(%error, "a connection is copied in vain");
                    }
                }
            }
        }
    }

    fn hand_on(&self, made: Attributed) {
        let Err(TrySendError::Full(made) | TrySendError::Disconnected(made)) =
            self.made.try_send(made)
        else {
            return;
        };
        let dropped = match made {
            Attributed::Call(..) => &self.vitals.calls_dropped,
            Attributed::Edge(..) | Attributed::Asked { .. } => &self.vitals.edges_dropped,
            Attributed::Batch(..) => &self.vitals.batches_dropped,
        };
        dropped.fetch_add(1, Ordering::Relaxed);
    }

    fn tell(&mut self) {
        self.vitals.set_pipeline(self.pipeline.stats());
        self.losses.tell(Timestamp::now());
    }
}

/// A process as the kernel has stamped it.
pub(super) const fn sighting(key: ProcessKey, stamp: Stamp) -> Sighting {
    Sighting { key, uid: stamp.uid, cgroup_id: stamp.cgroup_id }
}

/// Where that is.
pub(super) const fn place(stamp: Stamp) -> Place {
    Place { cgroup_id: stamp.cgroup_id, uid: stamp.uid, reserved: 0 }
}

impl LossTeller {
    pub(super) fn new(capture: Capture, entries: SyncSender<Entry>, vitals: Arc<Vitals>) -> Self {
        Self { capture, entries, vitals, until: Timestamp::now(), told: Vec::new() }
    }

    /// Tells what was lost since the last time. What the queue has no room for is told next time.
    fn tell(&mut self, now: Timestamp) {
        for (cause, records, bytes) in losses(&self.capture, &self.vitals) {
            let told = match self.told.iter_mut().find(|(name, _)| *name == cause) {
                Some((_, told)) => told,
                None => {
                    self.told.push((cause, [0; 2]));
                    let Some((_, told)) = self.told.last_mut() else { continue };
                    told
                }
            };
            let [told_records, told_bytes] = *told;
            if (records, bytes) == (told_records, told_bytes) {
                continue;
            }
            let loss = Loss {
                from: self.until,
                to: now,
                bytes: bytes.saturating_sub(told_bytes),
                records: records.saturating_sub(told_records),
                cause: cause.to_owned(),
            };
            if self.entries.try_send(Entry::Loss(loss)).is_ok() {
                *told = [records, bytes];
            }
        }
        self.until = now;
    }
}

/// Every counter of something that may have been part of a call: name, records or calls, bytes.
pub(super) fn losses(
    capture: &Capture,
    vitals: &Vitals,
) -> impl Iterator<Item = (&'static str, u64, u64)> {
    let status = capture.status();
    let kernel =
        status.losses.into_iter().map(|loss| (loss.cause.as_str(), loss.records, loss.bytes));
    let own = [
        ("malformed_record", status.malformed, 0),
        ("meter_queue_full", vitals.calls_dropped.load(Ordering::Relaxed), 0),
        ("flows_evicted", vitals.flows_evicted.load(Ordering::Relaxed), 0),
        ("blind_spots_omitted", vitals.blind_left_out(), 0),
    ];
    kernel.chain(own)
}
