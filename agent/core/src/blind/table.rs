//! The connections that are not yet known to be read, and those that are known not to be.

use std::collections::{HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;

use jiff::SignedDuration;
use lru::LruCache;

use super::{Carried, Endpoint, Flow, FlowId, Hosts, Input, KnownBy, Output, Transport, plain};
use crate::greeting::Greeting;
use crate::plain::Request;
use crate::provider::provider_of;
use crate::units::{ProcessKey, Timestamp};

/// Most connections that are followed at once.
const FLOWS_MAX: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
/// Most greetings that are waited for the rest of; none is longer than the kernel copies of one.
const PARTS_MAX: NonZeroUsize = NonZeroUsize::new(256).unwrap();
const GREETING_MAX: usize = 4096;
/// Most addresses of endpoints that are remembered.
const ADDRESSES_MAX: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
/// Most requests that are remembered because the connection they were made on is not known yet to
/// carry any, and for how long where the process has no connection that it could be.
const SPOKEN_MAX: usize = 1024;
const SPOKEN_KEPT: SignedDuration = SignedDuration::from_secs(30);
/// How long a connection that carries nothing is looked at often.
const YOUNG: SignedDuration = SignedDuration::from_secs(60);
/// Fewer bytes than this beyond the greeting are no request. What a client has to say before one is
/// 64 to 130 bytes, and some 110 more that open HTTP/2; the shortest call, with its host, a
/// credential and a body, has 250 beside that.
const REQUEST_MIN: u64 = 300;
/// Bytes of QUIC that are no request, with nothing that opens the connection among them.
const QUIC_REQUEST_MIN: u64 = 200;

/// Follows connections. Feed it what happens, and drain what is to be done about it.
#[derive(Debug)]
pub struct Table {
    hosts: Hosts,
    /// How long a connection that carries something may go unread.
    patience: SignedDuration,
    flows: LruCache<FlowId, Entry>,
    /// Greetings of which a part is there.
    parts: LruCache<FlowId, Vec<u8>>,
    addresses: LruCache<IpAddr, String>,
    /// First requests that are not set against a connection yet.
    spoken: VecDeque<Spoken>,
    outputs: VecDeque<Output>,
    /// Connections that were forgotten before they could be judged.
    evicted: u64,
}

#[derive(Debug)]
struct Entry {
    flow: Flow,
    endpoint: Endpoint,
    /// Bytes that were sent before anything counts.
    greeting: u64,
    carried: Carried,
    /// Since when it has carried enough for a request.
    active: Option<Timestamp>,
    is_closed: bool,
    /// What was said of it; absent while it is not judged.
    told: Option<Carried>,
}

#[derive(Debug)]
struct Spoken {
    process: ProcessKey,
    /// Absent where the request didn't say, or nobody saw it say.
    host: Option<String>,
    time: Timestamp,
}

impl Table {
    /// A table that counts `hosts` as model endpoints and waits for `patience` before it calls a
    /// connection to one a blind spot.
    #[must_use]
    pub fn new(hosts: Hosts, patience: SignedDuration) -> Self {
        Self {
            hosts,
            patience,
            flows: LruCache::new(FLOWS_MAX),
            parts: LruCache::new(PARTS_MAX),
            addresses: LruCache::new(ADDRESSES_MAX),
            spoken: VecDeque::new(),
            outputs: VecDeque::new(),
            evicted: 0,
        }
    }

    /// Takes what happened. Outputs are to be drained after every call.
    pub fn handle(&mut self, input: Input<'_>) {
        match input {
            Input::Greeted { flow, offset, data } => self.greeted(flow, offset, data),
            Input::Quic { flow } => match self.known_address(flow.remote) {
                Some(host) => {
                    let transport = Transport::Quic;
                    self.follow(flow, Endpoint { host, known_by: KnownBy::Address, transport }, 0);
                }
                None => self.outputs.push_back(Output::Forget { id: flow.id }),
            },
            Input::Plain { flow, carried, request } => self.plain(flow, carried, request),
            Input::Counted { id, carried, time } => self.counted(id, carried, time, false),
            Input::Released { id, carried, time } => self.counted(id, carried, time, true),
            Input::Spoke { process, host, time } => self.spoke(process, host, time),
            Input::Tick { time } => self.tick(time),
        }
    }

    /// What is to be done next, if anything.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The connections that are open and of which it is not known yet whether they are read: how much
    /// they carry has to be looked at now and then, with an [`Input::Tick`] after it: every second while
    /// [`Self::is_waiting`].
    pub fn unjudged(&self) -> impl Iterator<Item = FlowId> {
        let entries = self.flows.iter();
        entries.filter(|(_, entry)| entry.told.is_none() && !entry.is_closed).map(|(id, _)| *id)
    }

    /// Whether any connection is not judged yet.
    #[must_use]
    pub fn is_following(&self) -> bool {
        self.flows.iter().any(|(_, entry)| entry.told.is_none())
    }

    /// Whether one of them may be judged soon: it carries something, or is so young that it may be about
    /// to.
    #[must_use]
    pub fn is_waiting(&self, now: Timestamp) -> bool {
        self.flows.iter().any(|(_, entry)| {
            let is_young = || now.duration_since(entry.flow.time) < YOUNG;
            entry.told.is_none() && (entry.active.is_some() || is_young())
        })
    }

    /// The blind spots that are still open: how much they have carried is of interest now and then.
    pub fn blind(&self) -> impl Iterator<Item = FlowId> {
        self.flows.iter().filter(|(_, entry)| entry.told.is_some()).map(|(id, _)| *id)
    }

    /// How many connections were forgotten before they could be judged.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    fn greeted(&mut self, flow: Flow, offset: usize, data: &[u8]) {
        let id = flow.id;
        let mut bytes = self.parts.pop(&id).unwrap_or_default();
        // A part that was sent again is there already; one that is missing never comes.
        if offset <= bytes.len() {
            let fresh = data.get(bytes.len() - offset..).unwrap_or_default();
            let room = GREETING_MAX.saturating_sub(bytes.len());
            bytes.extend_from_slice(fresh.get(..room).unwrap_or(fresh));
        }
        let name = match Greeting::read(&bytes) {
            Greeting::Named(name) => Some(name),
            Greeting::Unfinished if bytes.len() < GREETING_MAX => {
                self.parts.put(id, bytes);
                return;
            }
            Greeting::Unfinished | Greeting::Nameless => None,
            Greeting::Foreign => {
                self.outputs.push_back(Output::Forget { id });
                return;
            }
        };
        let greeting = bytes.len() as u64;
        let transport = Transport::Tcp;
        let endpoint = match name {
            Some(host) if self.hosts.has_name(&host) => {
                self.addresses.put(plain(flow.remote.ip()), host.clone());
                Some(Endpoint { host, known_by: KnownBy::Name, transport })
            }
            Some(_other) => None,
            None => {
                let host = self.known_address(flow.remote);
                host.map(|host| Endpoint { host, known_by: KnownBy::Address, transport })
            }
        };
        match endpoint {
            Some(endpoint) => self.follow(flow, endpoint, greeting),
            None => self.outputs.push_back(Output::Forget { id }),
        }
    }

    /// A connection whose first request could be seen is judged at once.
    fn plain(&mut self, flow: Flow, carried: Carried, request: Option<&Request>) {
        let known =
            request.and_then(|request| Some((request, self.plain_endpoint(flow.remote, request)?)));
        let Some((request, endpoint)) = known else {
            self.outputs.push_back(Output::Forget { id: flow.id });
            return;
        };
        let entry = Entry { told: Some(carried), ..Entry::new(flow, endpoint.clone(), 0) };
        self.keep(entry);
        let request = Box::new(request.clone());
        self.outputs.push_back(Output::Plain { flow, endpoint, carried, request });
    }

    /// Where a request in plain HTTP goes, if it is to a model endpoint or a model call.
    fn plain_endpoint(&self, remote: SocketAddr, request: &Request) -> Option<Endpoint> {
        let name = request.host.as_deref().map(without_port);
        let at_known_port = || provider_of(&remote.to_string()).is_some();
        let known_by = if request.is_to_provider || name.is_some_and(|it| self.hosts.has_name(it)) {
            KnownBy::Name
        } else if self.hosts.has_address(plain(remote.ip())) || at_known_port() {
            KnownBy::Address
        } else {
            request.api.map(|_api| KnownBy::Request)?
        };
        let host = name.map_or_else(|| plain(remote.ip()).to_string(), str::to_owned);
        Some(Endpoint { host, known_by, transport: Transport::Http })
    }

    /// The name of the endpoint at an address.
    fn known_address(&mut self, remote: SocketAddr) -> Option<String> {
        let address = plain(remote.ip());
        let named = self.hosts.has_address(address).then(|| address.to_string());
        self.addresses.get(&address).cloned().or(named)
    }

    fn follow(&mut self, flow: Flow, endpoint: Endpoint, greeting: u64) {
        self.outputs.push_back(Output::Look { flow });
        self.keep(Entry::new(flow, endpoint, greeting));
    }

    fn keep(&mut self, entry: Entry) {
        let id = entry.flow.id;
        if let Some((pushed_out, old)) = self.flows.push(id, entry)
            && pushed_out != id
        {
            self.evicted += u64::from(old.told.is_none());
            self.outputs.push_back(Output::Forget { id: pushed_out });
        }
    }

    fn counted(&mut self, id: FlowId, carried: Carried, time: Timestamp, is_closed: bool) {
        self.parts.pop(&id);
        let Some(entry) = self.flows.peek_mut(&id) else { return };
        entry.carried = carried;
        entry.is_closed = is_closed;
        if entry.active.is_none() && entry.is_active() {
            entry.active = Some(time);
            // It may be what a request was read of that is known already.
            if let Some(index) = self.spoken.iter().position(|spoken| entry.is_of(spoken)) {
                self.spoken.remove(index);
                self.let_go(id);
                return;
            }
        }
        let Some(told) = entry.told else {
            if is_closed && entry.active.is_none() {
                self.flows.pop(&id);
            }
            return;
        };
        let more = Carried {
            written: carried.written.saturating_sub(told.written),
            read: carried.read.saturating_sub(told.read),
        };
        entry.told = Some(carried);
        if more != Carried::default() || is_closed {
            self.outputs.push_back(Output::More { id, carried: more, time, is_closed });
        }
        if is_closed {
            self.flows.pop(&id);
        }
    }

    fn spoke(&mut self, process: ProcessKey, host: Option<&str>, time: Timestamp) {
        let host = host.map(|host| without_port(host).to_ascii_lowercase());
        // Hosts that are none of ours need no memory. An address may be the host of any endpoint.
        if host.as_deref().is_some_and(|host| !self.may_matter(host)) {
            return;
        }
        let spoken = Spoken { process, host, time };
        // One that is only kept ready must not be taken for it. Which of several others it is makes no
        // difference, for their number is what counts.
        let entries = self.flows.iter().map(|(_, entry)| entry);
        let fits = |entry: &&Entry| entry.active.is_some() && entry.is_of(&spoken);
        let found = entries.filter(fits).min_by_key(|entry| entry.flow.time);
        if let Some(id) = found.map(|entry| entry.flow.id) {
            self.let_go(id);
            return;
        }
        if self.spoken.len() >= SPOKEN_MAX {
            self.spoken.pop_front();
        }
        self.spoken.push_back(spoken);
    }

    /// A connection is of no interest any more.
    fn let_go(&mut self, id: FlowId) {
        self.flows.pop(&id);
        self.outputs.push_back(Output::Forget { id });
    }

    fn may_matter(&self, host: &str) -> bool {
        self.hosts.has_name(host) || host.parse::<IpAddr>().is_ok()
    }

    fn tick(&mut self, now: Timestamp) {
        let unjudged = self.flows.iter().filter(|(_, entry)| entry.told.is_none());
        let processes: HashSet<ProcessKey> =
            unjudged.map(|(_, entry)| entry.flow.process).collect();
        self.spoken.retain(|spoken| {
            now.duration_since(spoken.time) <= SPOKEN_KEPT || processes.contains(&spoken.process)
        });
        let patience = self.patience;
        let is_due = |entry: &&mut Entry| {
            let active = entry.told.is_none().then_some(entry.active).flatten();
            active.is_some_and(|since| now.duration_since(since) >= patience)
        };
        let due = self.flows.iter_mut().map(|(_, entry)| entry).filter(is_due);
        let mut over = Vec::new();
        for entry in due {
            entry.told = Some(entry.carried);
            self.outputs.push_back(Output::Blind {
                flow: entry.flow,
                endpoint: entry.endpoint.clone(),
                carried: entry.carried,
                is_closed: entry.is_closed,
            });
            if entry.is_closed {
                over.push(entry.flow.id);
            }
        }
        for id in over {
            self.flows.pop(&id);
        }
    }
}

impl Entry {
    const fn new(flow: Flow, endpoint: Endpoint, greeting: u64) -> Self {
        Self {
            flow,
            endpoint,
            greeting,
            carried: Carried { written: 0, read: 0 },
            active: None,
            is_closed: false,
            told: None,
        }
    }

    /// Whether it has carried enough for a request.
    fn is_active(&self) -> bool {
        match self.endpoint.transport {
            Transport::Tcp => self.carried.written >= self.greeting + REQUEST_MIN,
            Transport::Quic => self.carried.written >= QUIC_REQUEST_MIN,
            // It began with one.
            Transport::Http => true,
        }
    }

    /// Whether a request may have been made on it.
    fn is_of(&self, spoken: &Spoken) -> bool {
        self.flow.process == spoken.process
            && self.told.is_none()
            && self.endpoint.transport == Transport::Tcp
            && self.flow.time <= spoken.time
            && spoken.host.as_deref().is_none_or(|host| self.is_called(host))
    }

    /// Whether a request may call its other end so: by its name, or by its address.
    fn is_called(&self, host: &str) -> bool {
        let address = || host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        self.endpoint.host == host
            || (self.endpoint.known_by == KnownBy::Address
                && address().map(plain) == Some(plain(self.flow.remote.ip())))
    }
}

/// `host` without the port that may be behind it.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            name.trim_matches(['[', ']'])
        }
        _ => host,
    }
}
