//! Follows the connections that are made on the host and tells of those to model endpoints that
//! nothing is read of.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use lru::LruCache;
use weir_core::blind::{
    BlindSpot, Carried, Endpoint, Flow, FlowId, Hosts, Input, KnownBy, Output, Reason, Rows,
    Sighting, Table, Transport,
};
use weir_core::identity::Attribution;
use weir_core::plain::Request;
use weir_core::secret::FingerprintKey;
use weir_core::units::{ProcessKey, Timestamp};

use super::vitals::Vitals;
use super::watch::{place, sighting};
use crate::capture::{Capture, End, FlowEvent, Makeup, Outcome, Stamp, Status};
use crate::config::BlindSpots;
use crate::enforce::Enforcer;
use crate::host::Host;
use crate::ledger::Entry;

/// Most connections of which it is remembered whose they are; the core follows no more.
const LOOKED_MAX: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
/// For how long what was seen of a process holds for its next connection, and for how many processes
/// it is kept: looking takes a while, and some open a connection for each call.
const SEEN_FOR: Duration = Duration::from_secs(1);
const SEEN_MAX: NonZeroUsize = NonZeroUsize::new(64).unwrap();
/// How often connections that may become blind spots are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often what is gathered is looked at, and what is only kept ready.
const GATHER_EVERY: Duration = Duration::from_secs(30);

/// The state of what follows connections. It belongs to `weir-drain`.
pub(super) struct Blind {
    capture: Capture,
    enforcer: Enforcer,
    table: Table,
    rows: Rows,
    /// Whose connections are, as of when they were opened.
    looked: LruCache<FlowId, Looked>,
    /// What was seen of processes lately, and when.
    seen: LruCache<ProcessKey, (Instant, Seen)>,
    /// Credentials in plain HTTP have the fingerprints that they have elsewhere.
    key: FingerprintKey,
    entries: SyncSender<Entry>,
    vitals: Arc<Vitals>,
}

/// Who has opened a connection, and who knows whose that is.
struct Opener<'a> {
    flow: Flow,
    transport: Transport,
    stamp: Stamp,
    host: &'a mut Host,
}

struct Looked {
    process: Seen,
    /// What had been lost until then, in records.
    lost: u64,
}

#[derive(Clone)]
struct Seen {
    attribution: Attribution,
    /// Absent if the process was gone already.
    makeup: Option<Makeup>,
}

impl Blind {
    pub(super) fn new(
        capture: Capture,
        config: &BlindSpots,
        key: FingerprintKey,
        enforcer: Enforcer,
        entries: SyncSender<Entry>,
        vitals: Arc<Vitals>,
    ) -> Self {
        let patience = SignedDuration::from_secs(i64::from(config.after_seconds.0));
        Self {
            capture,
            enforcer,
            table: Table::new(Hosts::new(config.hosts.clone()), patience),
            rows: Rows::default(),
            looked: LruCache::new(LOOKED_MAX),
            seen: LruCache::new(SEEN_MAX),
            key,
            entries,
            vitals,
        }
    }

    /// Something was seen of a connection from outside.
    pub(super) fn take(&mut self, event: FlowEvent<'_>, host: &mut Host) {
        match event {
            FlowEvent::Greeted { flow, offset, data, stamp } => {
                self.table.handle(Input::Greeted { flow, offset, data });
                self.settle(Some(Opener { flow, transport: Transport::Tcp, stamp, host }));
            }
            FlowEvent::Quic { flow, stamp } => {
                self.table.handle(Input::Quic { flow });
                self.settle(Some(Opener { flow, transport: Transport::Quic, stamp, host }));
            }
            FlowEvent::Plain { flow, carried, data, stamp } => {
                let request = Request::read(data, &self.key);
                self.table.handle(Input::Plain { flow, carried, request: request.as_ref() });
                let transport = Transport::Http;
                self.settle(Some(Opener { flow, transport, stamp, host }));
            }
            FlowEvent::Released { id, carried, time } => {
                self.table.handle(Input::Released { id, carried, time });
                self.settle(None);
            }
        }
    }

    /// Something was read of a connection.
    pub(super) fn spoke(&mut self, process: ProcessKey, host: Option<&str>, time: Timestamp) {
        self.table.handle(Input::Spoke { process, host, time });
        self.settle(None);
    }

    /// A process replaced its program: what was seen of it holds no more.
    pub(super) fn executed(&mut self, process: ProcessKey) {
        self.seen.pop(&process);
    }

    /// How long time may pass before [`Self::tick`]; `None` for any.
    pub(super) fn patience(&self) -> Option<Duration> {
        if self.table.is_waiting(Timestamp::now()) {
            Some(LOOK_EVERY)
        } else {
            let some = self.table.is_following() || self.rows.is_waiting();
            some.then_some(GATHER_EVERY)
        }
    }

    /// Time passed.
    pub(super) fn tick(&mut self, time: Timestamp) {
        let unjudged: Vec<FlowId> = self.table.unjudged().collect();
        self.count(unjudged, time);
        self.table.handle(Input::Tick { time });
        self.settle(None);
        let due = self.rows.due(time, false);
        self.tell(due);
        self.vitals.flows_evicted.store(self.table.evicted(), Ordering::Relaxed);
        self.vitals.blind_omitted.store(self.rows.omitted(), Ordering::Relaxed);
    }

    /// Nobody watches from here on: tells what is gathered. What is not judged yet isn't told of,
    /// for it may have been about to be read.
    pub(super) fn stop(&mut self, time: Timestamp) {
        let blind: Vec<FlowId> = self.table.blind().collect();
        self.count(blind, time);
        let due = self.rows.due(time, true);
        self.tell(due);
    }

    /// Looks how much connections have carried.
    fn count(&mut self, connections: Vec<FlowId>, time: Timestamp) {
        for id in connections {
            if let Some(carried) = self.capture.carried(id) {
                self.table.handle(Input::Counted { id, carried, time });
            }
        }
        self.settle(None);
    }

    /// Does what the table asks. `opener` is who has opened the connection that it was just told of.
    fn settle(&mut self, mut opener: Option<Opener<'_>>) {
        // It is needed for blind spots only, and then for all of a moment.
        let mut status: Option<Status> = None;
        while let Some(output) = self.table.poll() {
            match output {
                Output::Look { flow } => {
                    if let Some(opener) = &mut opener {
                        self.look(flow, opener);
                    }
                }
                Output::Forget { id } => {
                    if let Some(opener) = opener.as_mut().filter(|opener| opener.flow.id == id) {
                        self.elsewhere(opener);
                    }
                    self.looked.pop(&id);
                    self.rows.forget(id);
                    self.capture.forget(id);
                }
                Output::Blind { flow, endpoint, carried, is_closed } => {
                    let status = status.get_or_insert_with(|| self.capture.status());
                    self.blind(flow, &endpoint, carried, is_closed, status);
                }
                Output::Plain { flow, endpoint, carried, request } => {
                    if let Some(opener) = &mut opener {
                        self.look(flow, opener);
                    }
                    if endpoint.known_by != KnownBy::Request {
                        self.enforcer.met(flow, End::Model);
                    }
                    let Some(looked) = self.looked.pop(&flow.id) else { continue };
                    self.told_of(&Sighting {
                        flow,
                        endpoint: &endpoint,
                        attribution: &looked.process.attribution,
                        reason: Reason::PlainHttp,
                        carried,
                        time: Timestamp::now(),
                        is_closed: false,
                        request: Some(&request),
                    });
                }
                Output::More { id, carried, time, is_closed } => {
                    self.rows.more(id, carried, time, is_closed);
                }
            }
        }
    }

    /// Looks at the process that has opened a connection, as long as it is there.
    fn look(&mut self, flow: Flow, opener: &mut Opener<'_>) {
        let Opener { transport, stamp, host, .. } = opener;
        let stamp = *stamp;
        let known = self.seen.get(&flow.process);
        let known = known.filter(|(when, _)| when.elapsed() < SEEN_FOR).map(|(_, seen)| seen);
        let process = known.cloned().unwrap_or_else(|| {
            let attribution = host.attribution(&sighting(flow.process, stamp));
            let seen = Seen { attribution, makeup: self.capture.makeup(flow.process) };
            self.seen.put(flow.process, (Instant::now(), seen.clone()));
            seen
        });
        self.enforcer.seen(flow.process, place(stamp), &process.attribution.identity);
        match transport {
            Transport::Tcp => self.enforcer.met(flow, End::Model),
            // The socket may have several other ends, which are known by their addresses; and whoever likes can
            // ask anybody for an answer of a model in plain HTTP.
            Transport::Quic | Transport::Http => {}
        }
        let looked = Looked { process, lost: self.capture.lost() };
        self.looked.put(flow.id, looked);
    }

    /// A connection goes to no model endpoint. Whose it is matters where others may be blocked.
    fn elsewhere(&self, opener: &mut Opener<'_>) {
        let Opener { flow, transport, stamp, host } = opener;
        match transport {
            Transport::Tcp | Transport::Http => self.enforcer.met(*flow, End::Other),
            Transport::Quic => return,
        }
        if self.enforcer.wonders(flow.process, place(*stamp)) {
            let identity = host.identity(&sighting(flow.process, *stamp));
            self.enforcer.seen(flow.process, place(*stamp), &identity);
        }
    }

    fn blind(
        &mut self,
        flow: Flow,
        endpoint: &Endpoint,
        carried: Carried,
        is_closed: bool,
        status: &Status,
    ) {
        let Some(looked) = self.looked.pop(&flow.id) else { return };
        let reason = match endpoint.transport {
            Transport::Quic => Reason::Quic,
            Transport::Http => Reason::PlainHttp,
            Transport::Tcp => reason(flow, &looked, status, self.capture.lost()),
        };
        self.told_of(&Sighting {
            flow,
            endpoint,
            attribution: &looked.process.attribution,
            reason,
            carried,
            time: Timestamp::now(),
            is_closed,
            request: None,
        });
    }

    fn told_of(&mut self, sighting: &Sighting<'_>) {
        let row = self.rows.add(sighting);
        self.tell(row);
    }

    fn tell(&self, spots: impl IntoIterator<Item = BlindSpot>) {
        for spot in spots {
            tracing::debug!(?spot, "nothing was read");
            self.vitals.blind(&spot);
            if self.entries.try_send(Entry::Blind(Box::new(spot))).is_err() {
                self.vitals.blind_dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Why nothing was read of a connection over TCP.
fn reason(flow: Flow, looked: &Looked, status: &Status, lost: u64) -> Reason {
    let Some(makeup) = &looked.process.makeup else { return Reason::TooShort };
    if makeup.is_jvm {
        return Reason::Jvm;
    }
    let targets = status.targets.iter();
    let targets =
        targets.filter(|target| target.files.iter().any(|file| makeup.files.contains(file)));
    let reasons = targets.filter_map(|target| match &target.outcome {
        Outcome::Refused { .. } => Some(Reason::Refused),
        Outcome::NoSymbols { .. } => Some(Reason::NoSymbols),
        Outcome::Unsupported { .. } => Some(Reason::UnsupportedVersion),
        Outcome::Unreadable { .. } => Some(Reason::Unreadable),
        Outcome::Attached { .. } if target.since > flow.time => Some(Reason::JoinedLate),
        Outcome::Attached { .. } if lost > looked.lost => Some(Reason::Lost),
        Outcome::Attached { .. } | Outcome::Loader => None,
    });
    // They are in the order in which they are to be preferred.
    reasons.min().unwrap_or(Reason::UnknownTls)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{FileId, Target};
    use weir_core::identity::{IdentityId, Process};

    fn file(inode: u64) -> FileId {
        FileId { device: (1, 1), inode }
    }

    /// The reason if the process runs files with these outcomes, set at that second; each outcome's
    /// place is its file.
    #[track_caller]
    fn check(outcomes: &[&(Outcome, i64)], makeup: Option<Makeup>, lost: u64, expected: Reason) {
        let at = |second| Timestamp::from_second(second).unwrap();
        let targets = (0..).zip(outcomes).map(|(inode, (outcome, second))| Target {
            files: vec![file(inode)],
            path: String::new(),
            build_id: None,
            outcome: outcome.clone(),
            since: at(*second),
        });
        let status = Status { targets: targets.collect(), ..Status::default() };
        let process = Process { pid: 1, exe: None, uid: 0 };
        let identity = IdentityId(String::new());
        let attribution = Attribution::new(identity, process);
        let flow = Flow {
            id: FlowId(1),
            process: ProcessKey { pid: 1, start_ns: 1 },
            remote: "127.0.0.1:443".parse().unwrap(),
            time: at(100),
        };
        let looked = Looked { process: Seen { attribution, makeup }, lost: 5 };
        assert_eq!(reason(flow, &looked, &status, lost), expected, "{outcomes:?}");
    }

    #[test]
    fn reasons_are_derived_from_what_the_process_runs() {
        let runs = |inodes: &[u64]| {
            let files = inodes.iter().map(|inode| file(*inode)).collect();
            Some(Makeup { files, ..Makeup::default() })
        };
        let attached =
            |second| (Outcome::Attached { functions: Vec::new(), runtime: None }, second);
        let refused = (Outcome::Refused { reason: String::new() }, 50);
        let no_symbols = (Outcome::NoSymbols { library: "BoringSSL" }, 50);
        let unsupported = (Outcome::Unsupported { reason: String::new() }, 50);
        let unreadable = (Outcome::Unreadable { reason: String::new() }, 50);
        let loader = (Outcome::Loader, 50);
        check(&[], None, 5, Reason::TooShort);
        check(&[], Some(Makeup { is_jvm: true, ..Makeup::default() }), 5, Reason::Jvm);
        check(&[], runs(&[0]), 5, Reason::UnknownTls);
        check(&[&loader], runs(&[0]), 5, Reason::UnknownTls);
        check(&[&refused], runs(&[7]), 5, Reason::UnknownTls);
        check(&[&attached(50)], runs(&[0]), 5, Reason::UnknownTls);
        check(&[&attached(50)], runs(&[0]), 6, Reason::Lost);
        check(&[&attached(101)], runs(&[0]), 6, Reason::JoinedLate);
        check(&[&loader, &unreadable], runs(&[0, 1]), 5, Reason::Unreadable);
        check(&[&unreadable, &unsupported], runs(&[0, 1]), 5, Reason::UnsupportedVersion);
        check(&[&unreadable, &no_symbols], runs(&[0, 1]), 5, Reason::NoSymbols);
        check(&[&unreadable, &no_symbols, &refused], runs(&[0, 1, 2]), 5, Reason::Refused);
    }
}
