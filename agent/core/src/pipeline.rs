//! The only file that knows the order of the rooms: feed input, drain output, repeat.

mod bindings;
mod connection;
#[cfg(fuzzing)]
mod fuzzing;
mod spans;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use self::bindings::Bindings;
use self::connection::Connection;
use self::spans::{Asked, Span, Spans};
use crate::http::{Credential, Unreadable};
use crate::identity::Attribution;
use crate::provider::{BatchNews, Edge, IssuedToken, ModelCall, Outcome};
use crate::secret::FingerprintKey;
use crate::units::{ConnectionId, Direction, ProcessKey, Role, Timestamp};

/// Most connections that are followed at once.
const MAX_CONNECTIONS: usize = 8192;
/// Most memory that connections may hold back together, in bytes.
const MAX_MEMORY: usize = 128 * 1024 * 1024;
/// Most calls and other things of one process that wait for its facts.
const MAX_WAITING: usize = 1024;
/// How long the facts of a process are taken for true, in seconds.
const FACTS_SECONDS: i64 = 60;
/// Most processes that are remembered to serve others.
const MAX_SERVING: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// How long a connection of HTTP/1 may rest between exchanges before it is forgotten, in seconds.
const IDLE_SECONDS: i64 = 10 * 60;
/// How long an exchange, or a connection of HTTP/2, may be silent before it is given up, in seconds.
/// Answers to hard questions have come after half an hour.
const SILENT_SECONDS: i64 = 60 * 60;

/// What has gone through, and what could not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Segments taken.
    pub segments: u64,
    /// Bytes taken.
    pub bytes: u64,
    /// Connections followed now.
    pub connections: u64,
    /// Model calls handed out.
    pub calls: u64,
    /// Steps to other agents handed out.
    pub edges: u64,
    /// Steps that came before the facts of who made them, and for which there was no room.
    pub edges_dropped: u64,
    /// News of batches that came before the facts of who told them, and for which there was no room:
    /// the results of these are billed to whoever fetches them.
    pub batches_dropped: u64,
    /// Connections forgotten for want of room; their open calls are marked truncated.
    pub evicted: u64,
    /// Connections on which the process is the server: passed over.
    pub served: u64,
    /// Connections on which the process speaks gRPC, whose messages are not read.
    pub grpc: u64,
    /// Connections that went over to another protocol than HTTP/2 or WebSocket, or to a session of no
    /// use.
    pub upgraded: u64,
    /// Connections that became tunnels.
    pub tunnels: u64,
    /// Tokens whose exchange was seen and that are still good.
    pub bindings: u64,
    /// Exchanges that would have named a token otherwise than the first one did, or one that was
    /// in use before, or for which there was no room.
    pub bindings_refused: u64,
}

/// From segments to model calls.
#[derive(Debug)]
pub struct Pipeline {
    key: FingerprintKey,
    connections: LruCache<ConnectionId, Connection>,
    /// The processes that have a connection in `connections`, if anything was asked of them.
    processes: HashMap<ProcessKey, Process>,
    /// Processes that answer requests of others.
    serving: LruCache<ProcessKey, ()>,
    /// Requests of traces, of which one side was seen.
    spans: Spans,
    outputs: VecDeque<Output>,
    /// What is known of tokens by their exchange.
    bindings: Bindings,
    /// The sum of what `connections` hold back, in bytes.
    footprint: usize,
    /// A call had to be counted, so that text of others may be learnt from.
    counts: bool,
    stats: Stats,
}

#[derive(Debug, Default)]
struct Process {
    connections: HashSet<ConnectionId>,
    /// When its facts were asked for last.
    asked: Option<Timestamp>,
    attribution: Option<Arc<Attribution>>,
    /// What came before the facts. At most [`MAX_WAITING`].
    waiting: Vec<Made>,
}

/// What a process has made.
#[derive(Debug)]
enum Made {
    Call(Box<ModelCall>),
    Batch(Box<BatchNews>),
    Edge(Box<Edge>),
    /// One of these has asked the other, for this trace.
    Asked {
        asked: Asked,
        trace_id: String,
    },
}

impl Made {
    /// The same without text that is only there to learn from: whoever waits holds no more than is
    /// needed.
    fn at_rest(mut self) -> Self {
        if let Self::Call(call) = &mut self {
            call.sample = None;
        }
        self
    }
}

impl Pipeline {
    /// A pipeline that fingerprints credentials under `key`.
    #[must_use]
    pub fn new(key: FingerprintKey) -> Self {
        Self {
            key,
            connections: LruCache::unbounded(),
            processes: HashMap::new(),
            serving: LruCache::new(MAX_SERVING),
            spans: Spans::default(),
            outputs: VecDeque::new(),
            bindings: Bindings::default(),
            footprint: 0,
            counts: false,
            stats: Stats::default(),
        }
    }

    /// Takes what happened. Outputs are to be drained after every call.
    pub fn handle(&mut self, input: Input<'_>) {
        match input {
            Input::Segment { connection, cgroup, direction, offset, time, data } => {
                self.segment(connection, cgroup, direction, offset, time, data);
            }
            Input::Closed { connection, time, read_total, write_total } => {
                if let Some(mut state) = self.forget(connection) {
                    let mut effects = Vec::new();
                    state.close(read_total, write_total, time, &self.key, &mut effects);
                    self.apply(connection, state.cgroup(), time, effects);
                }
                self.release(connection);
            }
            Input::Exited { process, time } => self.exited(process, time),
            Input::Facts { process, attribution } => self.facts(process, attribution),
            Input::Tick { time } => self.tick(time),
            Input::Stop { time } => {
                while let Some((&id, _)) = self.connections.peek_lru() {
                    self.give_up(id, time);
                }
            }
        }
    }

    /// What is to be done next, if anything.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// What has gone through so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            connections: self.connections.len() as u64,
            bindings: self.bindings.len() as u64,
            bindings_refused: self.bindings.refused(),
            ..self.stats
        }
    }

    fn segment(
        &mut self,
        id: ConnectionId,
        cgroup: u64,
        direction: Direction,
        offset: u64,
        time: Timestamp,
        data: &[u8],
    ) {
        self.stats.segments += 1;
        self.stats.bytes += data.len() as u64;
        let state =
            self.connections.get_or_insert_mut(id, || Connection::new(id, cgroup, offset, time));
        let before = state.footprint();
        let mut effects = Vec::new();
        state.segment(direction, offset, time, data, &self.key, &mut effects);
        self.footprint = (self.footprint + state.footprint()).saturating_sub(before);
        self.processes.entry(id.process).or_default().connections.insert(id);
        self.apply(id, cgroup, time, effects);
        while self.footprint > MAX_MEMORY || self.connections.len() > MAX_CONNECTIONS {
            let Some(victim) = self.victim() else { break };
            self.stats.evicted += 1;
            self.give_up(victim, time);
        }
    }

    /// Who has to go when there is no room: of the cgroup that holds the most, the connection that
    /// has been silent the longest. So no tenant of the host can push out another that holds less.
    fn victim(&self) -> Option<ConnectionId> {
        let short_of_memory = self.footprint > MAX_MEMORY;
        let weight = |state: &Connection| if short_of_memory { state.footprint() } else { 1 };
        let mut shares: HashMap<u64, usize> = HashMap::new();
        for (_, state) in &self.connections {
            *shares.entry(state.cgroup()).or_default() += weight(state);
        }
        let (_, heaviest) = shares.into_iter().map(|(cgroup, share)| (share, cgroup)).max()?;
        let mut oldest_first = self.connections.iter().rev();
        oldest_first
            .find(|(_, state)| state.cgroup() == heaviest && weight(state) > 0)
            .map(|(id, _)| *id)
    }

    fn exited(&mut self, process: ProcessKey, time: Timestamp) {
        self.end_connections(process, time);
        self.serving.pop(&process);
    }

    fn end_connections(&mut self, process: ProcessKey, time: Timestamp) {
        let Some(state) = self.processes.get(&process) else { return };
        let connections: Vec<ConnectionId> = state.connections.iter().copied().collect();
        for id in connections {
            if let Some(mut state) = self.forget(id) {
                let mut effects = Vec::new();
                state.abandon(time, &mut effects);
                self.apply(id, state.cgroup(), time, effects);
            }
            self.release(id);
        }
    }

    fn facts(&mut self, process: ProcessKey, attribution: Arc<Attribution>) {
        let Some(state) = self.processes.get_mut(&process) else { return };
        let waiting = std::mem::take(&mut state.waiting);
        state.attribution = Some(attribution.clone());
        for made in waiting {
            self.put_out(process, made, attribution.clone());
        }
        self.drop_if_done(process);
    }

    fn tick(&mut self, time: Timestamp) {
        self.bindings.forget_expired(time);
        let silent: Vec<ConnectionId> = self
            .connections
            .iter()
            .filter(|(_, state)| {
                let bound = if state.is_idle() { IDLE_SECONDS } else { SILENT_SECONDS };
                time.duration_since(state.latest()).as_secs() > bound
            })
            .map(|(id, _)| *id)
            .collect();
        for id in silent {
            self.give_up(id, time);
        }
    }

    /// Forgets a connection that may still be open.
    fn give_up(&mut self, id: ConnectionId, time: Timestamp) {
        if let Some(mut state) = self.forget(id) {
            let mut effects = Vec::new();
            state.evict(time, &mut effects);
            self.apply(id, state.cgroup(), time, effects);
        }
        self.release(id);
    }

    fn forget(&mut self, id: ConnectionId) -> Option<Connection> {
        let state = self.connections.pop(&id)?;
        self.footprint = self.footprint.saturating_sub(state.footprint());
        Some(state)
    }

    fn release(&mut self, id: ConnectionId) {
        if let Some(process) = self.processes.get_mut(&id.process) {
            process.connections.remove(&id);
            self.drop_if_done(id.process);
        }
    }

    fn drop_if_done(&mut self, process: ProcessKey) {
        let done = |state: &Process| state.connections.is_empty() && state.waiting.is_empty();
        if self.processes.get(&process).is_some_and(done) {
            self.processes.remove(&process);
        }
    }

    fn apply(&mut self, id: ConnectionId, cgroup: u64, time: Timestamp, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Interesting => self.ask(id.process, time),
                Effect::Call(call) => self.call(id.process, call, time),
                Effect::Outcome(Outcome::Token(issued)) => self.bind(&issued, cgroup, time),
                Effect::Outcome(Outcome::Batches(batches)) => {
                    for news in batches {
                        self.batch(id.process, news, time);
                    }
                }
                Effect::Outcome(Outcome::Edges(edges)) => {
                    for edge in edges {
                        self.hand_out(id.process, Made::Edge(Box::new(edge)), time);
                    }
                }
                Effect::Traced { role, trace_id, parent_id } => {
                    let span = Span::new(&trace_id, &parent_id);
                    // Facts are asked for of whom something is seen now, and of nobody else.
                    self.ask(id.process, time);
                    let asked = span.and_then(|span| self.spans.note(span, role, id.process));
                    if let Some(asked) = asked {
                        self.hand_out(id.process, Made::Asked { asked, trace_id }, time);
                    }
                }
                Effect::Skip { until } => self.outputs.push_back(Output::Steer {
                    connection: id,
                    steering: Steering::SkipReadsUntilWriteBeyond(until),
                }),
                Effect::Grpc => self.stats.grpc += 1,
                Effect::Spoke { host } => {
                    self.outputs.push_back(Output::Spoke { process: id.process, host, time });
                }
                Effect::Ignore(why) => {
                    match why {
                        Useless::Serves => {
                            self.stats.served += 1;
                            self.serving.put(id.process, ());
                        }
                        Useless::Speaks(Unreadable::Upgraded) => self.stats.upgraded += 1,
                        Useless::Speaks(Unreadable::Tunnel) => self.stats.tunnels += 1,
                    }
                    self.outputs
                        .push_back(Output::Steer { connection: id, steering: Steering::Ignore });
                }
            }
        }
    }

    /// Asks for facts that aren't known or are old: what took long to find out may be known by now.
    fn ask(&mut self, process: ProcessKey, time: Timestamp) {
        let state = self.processes.entry(process).or_default();
        let is_old = |asked| time.duration_since(asked).as_secs() >= FACTS_SECONDS;
        if state.asked.is_none_or(is_old) {
            state.asked = Some(time);
            self.outputs.push_back(Output::NeedFacts(process));
        }
    }

    fn bind(&mut self, issued: &IssuedToken, cgroup: u64, time: Timestamp) {
        let credential = Credential::of_bearer(issued.token.expose().as_bytes(), &self.key);
        self.bindings.bind(&credential, issued, cgroup, time);
    }

    fn call(&mut self, process: ProcessKey, mut call: Box<ModelCall>, time: Timestamp) {
        if let Some(credential) = &mut call.credential {
            self.bindings.name(credential, call.started);
        }
        self.counts |= call.countable.is_some();
        if !self.counts {
            call.sample = None;
        }
        self.hand_out(process, Made::Call(call), time);
    }

    fn batch(&mut self, process: ProcessKey, mut news: BatchNews, time: Timestamp) {
        if let Some(credential) = &mut news.credential {
            self.bindings.name(credential, news.time);
        }
        self.hand_out(process, Made::Batch(Box::new(news)), time);
    }

    fn hand_out(&mut self, process: ProcessKey, made: Made, time: Timestamp) {
        self.ask(process, time);
        let state = self.processes.entry(process).or_default();
        match (&state.attribution, made) {
            (Some(attribution), made) => {
                let attribution = attribution.clone();
                self.put_out(process, made, attribution);
            }
            (None, made) if state.waiting.len() < MAX_WAITING => state.waiting.push(made.at_rest()),
            (None, Made::Call(_)) => self.stats.evicted += 1,
            (None, Made::Batch(_)) => self.stats.batches_dropped += 1,
            (None, Made::Edge(_) | Made::Asked { .. }) => self.stats.edges_dropped += 1,
        }
    }

    fn put_out(&mut self, process: ProcessKey, made: Made, attribution: Arc<Attribution>) {
        self.outputs.push_back(match made {
            Made::Call(call) => {
                self.stats.calls += 1;
                Output::Call { call, attribution, serves: self.serving.contains(&process) }
            }
            Made::Batch(news) => Output::Batch { news, attribution },
            Made::Edge(edge) => {
                self.stats.edges += 1;
                Output::Edge { edge, attribution }
            }
            Made::Asked { asked: Asked { caller, callee }, trace_id } => {
                let known = |key| self.processes.get(&key)?.attribution.clone();
                let (Some(caller), Some(callee)) = (known(caller), known(callee)) else { return };
                Output::Asked { trace_id, caller, callee }
            }
        });
    }
}

/// What a connection wants done.
#[derive(Debug)]
enum Effect {
    /// A request that may be a model call has begun: who makes it will be needed.
    Interesting,
    Call(Box<ModelCall>),
    /// Something else has come of an exchange.
    Outcome(Outcome),
    /// What is read until more than `until` bytes are written is of no use.
    Skip {
        until: u64,
    },
    Ignore(Useless),
    /// Some of it is gRPC.
    Grpc,
    /// A request that names its place in a trace was sent or received.
    Traced {
        role: Role,
        trace_id: String,
        parent_id: String,
    },
    /// Something was read of it, for the first time.
    Spoke {
        host: Option<String>,
    },
}

#[derive(Clone, Copy, Debug)]
enum Useless {
    /// The process is the server.
    Serves,
    Speaks(Unreadable),
}

/// Something that happened on the host.
#[derive(Debug)]
pub enum Input<'a> {
    /// A process sent or received bytes.
    Segment {
        /// Where.
        connection: ConnectionId,
        /// The kernel's id of the cgroup it was done in. Room is shared out between cgroups.
        cgroup: u64,
        /// Which way.
        direction: Direction,
        /// Position of the first byte in that direction of that connection, from where the probes
        /// first saw it. A jump says how many bytes were lost.
        offset: u64,
        /// When.
        time: Timestamp,
        /// What.
        data: &'a [u8],
    },
    /// A connection object was freed or made ready for reuse.
    Closed {
        /// Which.
        connection: ConnectionId,
        /// When.
        time: Timestamp,
        /// How many bytes it had received in all, those that were never handed over included.
        read_total: u64,
        /// How many bytes it had sent in all.
        write_total: u64,
    },
    /// A process ended, and its connections with it.
    Exited {
        /// Which.
        process: ProcessKey,
        /// When.
        time: Timestamp,
    },
    /// The answer to [`Output::NeedFacts`].
    Facts {
        /// Of which process.
        process: ProcessKey,
        /// Who it is.
        attribution: Arc<Attribution>,
    },
    /// Time passed. To be given every few seconds while any connection is open.
    Tick {
        /// The time now.
        time: Timestamp,
    },
    /// Nobody watches from here on: what is going on is handed out as far as it was seen.
    Stop {
        /// The time now.
        time: Timestamp,
    },
}

/// What is to be done about it.
#[derive(Debug)]
pub enum Output {
    /// A process was seen for the first time, or a minute after its facts were asked for last: answer with
    /// [`Input::Facts`]. The calls of a new one wait.
    NeedFacts(ProcessKey),
    /// A model call has ended.
    Call {
        /// The call.
        call: Box<ModelCall>,
        /// Who made it.
        attribution: Arc<Attribution>,
        /// Who made it answers requests of others, too: it may have been asked for this one.
        serves: bool,
    },
    /// Something was said of a batch. The same may be said many times.
    Batch {
        /// What.
        news: Box<BatchNews>,
        /// Who was told it.
        attribution: Arc<Attribution>,
    },
    /// A step to another agent was made.
    Edge {
        /// The step.
        edge: Box<Edge>,
        /// Who made it.
        attribution: Arc<Attribution>,
    },
    /// One process has asked another, both of which were seen: with a request that names its place in a
    /// trace. It is said before either has ended.
    Asked {
        /// The trace.
        trace_id: String,
        /// Who sent the request.
        caller: Arc<Attribution>,
        /// Who received it.
        callee: Arc<Attribution>,
    },
    /// An exchange was read, the first on its connection.
    Spoke {
        /// Of which process, which is the client.
        process: ProcessKey,
        /// To which host, as the request says, a port included or not. `None` if it doesn't say, or
        /// its head was not seen.
        host: Option<String>,
        /// When.
        time: Timestamp,
    },
    /// The kernel can spare itself the copying of some of a connection's bytes.
    Steer {
        /// Which.
        connection: ConnectionId,
        /// How.
        steering: Steering,
    },
}

/// What the kernel should do with a connection's bytes from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steering {
    /// Nothing on this connection will ever be of use: copy no more.
    Ignore,
    /// The rest of the answer to the current request is of no use: copy nothing that is read until
    /// the process has written beyond this offset, that is, until its next request. Does nothing if
    /// it already has.
    SkipReadsUntilWriteBeyond(u64),
}
