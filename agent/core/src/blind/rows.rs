//! Gathers blind spots into rows, of which there are few however many connections there are.

use std::collections::{HashMap, HashSet};

use super::{BlindSpot, Carried, Endpoint, Flow, FlowId, PlainRequest, Reason, Transport, plain};
use crate::identity::{Attribution, IdentityId};
use crate::plain::Request;
use crate::secret::Fingerprint;
use crate::units::Timestamp;

/// Most rows that are gathered at once.
const ROWS_MAX: usize = 512;
/// Most of them of one identity: it can't crowd out the others. What is beyond goes to one row, whose
/// host is [`OTHERS`].
const ROWS_OF_ONE: usize = 32;
/// The host of what one identity has too many of.
pub const OTHERS: &str = "(others)";
/// How long a row is gathered, in seconds: a report may be so late to know of what came after the
/// first connection.
const GATHER: i64 = 300;

/// What there is to say of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Sighting<'a> {
    /// Which.
    pub flow: Flow,
    /// Where it goes.
    pub endpoint: &'a Endpoint,
    /// Who opened it.
    pub attribution: &'a Attribution,
    /// Why nothing was read of it.
    pub reason: Reason,
    /// How much it has carried.
    pub carried: Carried,
    /// When that was so.
    pub time: Timestamp,
    /// There will be no more.
    pub is_closed: bool,
    /// What it began with, if it is plain HTTP.
    pub request: Option<&'a Request>,
}

/// Rows that are being gathered.
#[derive(Debug, Default)]
pub struct Rows {
    rows: HashMap<Key, Row>,
    /// To which row what a connection carries is added.
    flows: HashMap<FlowId, Key>,
    omitted: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    identity: IdentityId,
    /// What a user may see are the rows of that user.
    uid: u32,
    host: String,
    transport: Transport,
    reason: Reason,
    loopback: bool,
    credential: Option<Fingerprint>,
}

#[derive(Debug)]
struct Row {
    /// Since when it is gathered.
    begun: Timestamp,
    /// A row of the log was made of it at that time.
    given: bool,
    /// What no row of the log says yet.
    pending: BlindSpot,
}

impl Rows {
    /// Takes a blind spot in. The first of its kind for a while is a row right away.
    pub fn add(&mut self, sighting: &Sighting<'_>) -> Option<BlindSpot> {
        let Sighting { flow, endpoint, attribution, reason, carried, time, is_closed, request } =
            *sighting;
        let mut plain_http = request.map(|request| said(request, flow, attribution));
        let credential = plain_http.as_ref().and_then(|said| said.credential.clone());
        let mut key = Key {
            identity: attribution.of_call(credential.as_ref()).0.clone(),
            uid: attribution.process.uid,
            host: endpoint.host.clone(),
            transport: endpoint.transport,
            reason,
            loopback: plain_http.as_ref().is_some_and(|said| said.loopback),
            credential,
        };
        if !self.rows.contains_key(&key) {
            let mut of_one = self.rows.keys().filter(|known| known.identity == key.identity);
            if of_one.nth(ROWS_OF_ONE - 1).is_some() {
                OTHERS.clone_into(&mut key.host);
                key.credential = None;
                plain_http = plain_http.map(|said| PlainRequest {
                    loopback: said.loopback,
                    assigned: said.assigned,
                    ..PlainRequest::default()
                });
            }
        }
        if !self.rows.contains_key(&key) && self.rows.len() >= ROWS_MAX {
            self.omitted += 1;
            return None;
        }
        if !is_closed {
            self.flows.insert(flow.id, key.clone());
        }
        let row = self.rows.entry(key.clone()).or_insert_with(|| Row {
            begun: time,
            given: false,
            pending: BlindSpot {
                time: flow.time,
                until: time,
                identity: key.identity,
                process: attribution.process.clone(),
                unit: attribution.unit.clone(),
                container: attribution.container.clone(),
                host: key.host,
                known_by: endpoint.known_by,
                remote: flow.remote,
                transport: endpoint.transport,
                reason,
                connections: 0,
                written: 0,
                read: (endpoint.transport != Transport::Quic).then_some(0),
                plain_http: plain_http.map(Box::new),
            },
        });
        row.take(1, carried, flow.time, time);
        (!row.given).then(|| row.give(time))
    }

    /// A connection that was taken in has carried more.
    pub fn more(&mut self, id: FlowId, carried: Carried, time: Timestamp, is_closed: bool) {
        let key = if is_closed { self.flows.remove(&id) } else { self.flows.get(&id).cloned() };
        if let Some(row) = key.and_then(|key| self.rows.get_mut(&key)) {
            row.take(0, carried, time, time);
        }
    }

    /// Nobody will tell more of a connection.
    pub fn forget(&mut self, id: FlowId) {
        self.flows.remove(&id);
    }

    /// The rows whose time is over; all, if the daemon ends.
    pub fn due(&mut self, now: Timestamp, is_end: bool) -> Vec<BlindSpot> {
        let mut due = Vec::new();
        for row in self.rows.values_mut() {
            if !is_end && now.duration_since(row.begun).as_secs() < GATHER {
                continue;
            }
            row.given = !row.is_empty();
            if row.given {
                due.push(row.give(now));
            }
        }
        let open: HashSet<&Key> = self.flows.values().collect();
        self.rows.retain(|key, row| row.given || open.contains(key));
        due
    }

    /// Whether time has to pass for a row to be over.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.rows.is_empty()
    }

    /// How many connections were in no row, for want of room.
    #[must_use]
    pub const fn omitted(&self) -> u64 {
        self.omitted
    }
}

impl Row {
    fn take(&mut self, connections: u64, carried: Carried, from: Timestamp, until: Timestamp) {
        let spot = &mut self.pending;
        if spot.connections == 0 && spot.written == 0 {
            spot.time = from;
        }
        spot.until = spot.until.max(until);
        spot.connections = spot.connections.saturating_add(connections);
        spot.written = spot.written.saturating_add(carried.written);
        spot.read = spot.read.map(|read| read.saturating_add(carried.read));
    }

    fn is_empty(&self) -> bool {
        let spot = &self.pending;
        spot.connections == 0 && spot.written == 0 && spot.read.is_none_or(|read| read == 0)
    }

    /// What is pending, as a row; nothing is, from here on.
    fn give(&mut self, now: Timestamp) -> BlindSpot {
        (self.begun, self.given) = (now, true);
        let given = self.pending.clone();
        let spot = &mut self.pending;
        (spot.time, spot.connections, spot.written) = (now, 0, 0);
        spot.read = spot.read.map(|_| 0);
        given
    }
}

/// What a row keeps of a request in plain HTTP.
fn said(request: &Request, flow: Flow, attribution: &Attribution) -> PlainRequest {
    let Request { host: _, provider, api, is_to_provider: _, credential } = request;
    let fingerprint = credential.as_ref().map(|used| used.fingerprint.clone());
    let (_identity, workload) = attribution.of_call(fingerprint.as_ref());
    let (kind, place) = credential.as_ref().map(|used| (used.kind, used.place)).unzip();
    let ids = credential.iter().flat_map(|used| &used.ids);
    PlainRequest {
        loopback: plain(flow.remote.ip()).is_loopback(),
        provider: provider.map(str::to_owned),
        api: *api,
        credential: fingerprint,
        credential_kind: kind,
        credential_in: place,
        credential_ids: ids.map(|(name, id)| ((*name).to_owned(), id.clone())).collect(),
        assigned: workload.assigned,
    }
}
