//! One connection on its way through the rooms: stream → http → provider.

use super::{Effect, Useless};
use crate::http::{self, BodyKind, Ending, Event, Hints, Side, Unreadable};
use crate::provider::{Exchange, ModelCall};
use crate::secret::FingerprintKey;
use crate::stream::Assembler;
use crate::units::{ConnectionId, Direction, Role, Timestamp};

#[derive(Debug)]
pub(super) struct Connection {
    id: ConnectionId,
    cgroup: u64,
    read: Assembler,
    write: Assembler,
    http: http::Connection,
    /// The exchanges that are not over, oldest first. `http::Connection` bounds their number.
    exchanges: Vec<(u64, Exchange)>,
    latest: Timestamp,
    /// Nothing on it is of any use.
    ignored: bool,
    /// The request whose answer is being skipped.
    skipping: Option<u64>,
    /// Some of it is gRPC.
    speaks_grpc: bool,
    /// It was said that something was read of it.
    spoke: bool,
}

impl Connection {
    /// A connection first seen at `offset`, at that time. If it was seen before and forgotten, the
    /// numbers of its exchanges must be apart from those of then: an exchange takes more than a byte
    /// and more than a nanosecond. The offset alone wouldn't do, for it is that of one direction.
    pub(super) fn new(id: ConnectionId, cgroup: u64, offset: u64, now: Timestamp) -> Self {
        let nanoseconds = u64::try_from(now.as_nanosecond()).unwrap_or(0);
        Self {
            id,
            cgroup,
            read: Assembler::default(),
            write: Assembler::default(),
            http: http::Connection::new(nanoseconds.saturating_add(offset)),
            exchanges: Vec::new(),
            latest: now,
            ignored: false,
            skipping: None,
            speaks_grpc: false,
            spoke: false,
        }
    }

    pub(super) fn segment(
        &mut self,
        direction: Direction,
        offset: u64,
        now: Timestamp,
        data: &[u8],
        key: &FingerprintKey,
        effects: &mut Vec<Effect>,
    ) {
        self.latest = now;
        if self.ignored {
            return;
        }
        let arrival = match direction {
            Direction::Read => self.read.accept(offset, data),
            Direction::Write => self.write.accept(offset, data),
        };
        let mut events = Events::new(self.id, &mut self.exchanges, now, effects);
        if arrival.hole > 0 {
            self.http.lose(direction, arrival.hole, key, |event| events.take(event));
        }
        self.http.feed(direction, arrival.data, key, |event| events.take(event));
        for exchange in std::mem::take(&mut events.dull_sessions) {
            self.http.pass_over(exchange);
        }
        let (grpc, spoke) = (events.grpc, events.spoke.take());
        if let Some(host) = spoke
            && !std::mem::replace(&mut self.spoke, true)
        {
            effects.push(Effect::Spoke { host });
        }
        if grpc && !std::mem::replace(&mut self.speaks_grpc, true) {
            effects.push(Effect::Grpc);
        }
        self.ignored = effects.iter().any(|effect| matches!(effect, Effect::Ignore(_)));
        if self.ignored {
            self.exchanges.clear();
        } else {
            self.skip_if_dull(effects);
        }
    }

    /// If all that is going on is the answer to a dull request, it need not be read; nor need a dull
    /// session, and nothing comes after one.
    fn skip_if_dull(&mut self, effects: &mut Vec<Effect>) {
        if self.http.is_session() && self.exchanges.iter().all(|(_, exchange)| exchange.is_dull()) {
            self.ignored = true;
            self.exchanges.clear();
            effects.push(Effect::Ignore(Useless::Speaks(Unreadable::Upgraded)));
        } else if let [(ordinal, exchange)] = self.exchanges.as_slice()
            && exchange.is_dull()
            && self.http.is_awaiting_answer_only()
            && self.skipping != Some(*ordinal)
        {
            self.skipping = Some(*ordinal);
            effects.push(Effect::Skip { until: self.write.position() });
        }
    }

    pub(super) fn close(
        &mut self,
        read_total: u64,
        write_total: u64,
        now: Timestamp,
        key: &FingerprintKey,
        effects: &mut Vec<Effect>,
    ) {
        if self.ignored {
            return;
        }
        let holes = [
            (Direction::Write, self.write.finish(write_total)),
            (Direction::Read, self.read.finish(read_total)),
        ];
        let mut events = Events::new(self.id, &mut self.exchanges, now, effects);
        for (direction, hole) in holes {
            if hole > 0 {
                self.http.lose(direction, hole, key, |event| events.take(event));
            }
        }
        self.http.close(|event| events.take(event));
    }

    /// The process is gone: nobody says how many bytes there were in the end.
    pub(super) fn abandon(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let mut events = Events::new(self.id, &mut self.exchanges, now, effects);
        self.http.close(|event| events.take(event));
    }

    /// Its exchanges go on, but not before our eyes.
    pub(super) fn evict(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        for (_, mut exchange) in self.exchanges.drain(..) {
            effects.extend(exchange.take_outcome(true).map(Effect::Outcome));
            effects.extend(calls(exchange.finish(Ending::Lost, now)));
        }
    }

    /// The cgroup that it was first seen in.
    pub(super) const fn cgroup(&self) -> u64 {
        self.cgroup
    }

    /// Whether nothing is lost if it is forgotten now and begun anew when it goes on.
    pub(super) fn is_idle(&self) -> bool {
        self.exchanges.is_empty() && !self.http.builds_on_its_past()
    }

    pub(super) const fn latest(&self) -> Timestamp {
        self.latest
    }

    pub(super) fn footprint(&self) -> usize {
        let exchanges = self.exchanges.iter().map(|(_, exchange)| exchange.footprint());
        self.http.footprint() + exchanges.sum::<usize>()
    }
}

/// What an event of the HTTP room does to the exchanges.
struct Events<'a> {
    id: ConnectionId,
    exchanges: &'a mut Vec<(u64, Exchange)>,
    now: Timestamp,
    effects: &'a mut Vec<Effect>,
    /// A request of gRPC began.
    grpc: bool,
    /// Exchanges that have turned into sessions of no use.
    dull_sessions: Vec<u64>,
    /// An exchange began, the first here with this host.
    spoke: Option<Option<String>>,
}

impl<'a> Events<'a> {
    const fn new(
        id: ConnectionId,
        exchanges: &'a mut Vec<(u64, Exchange)>,
        now: Timestamp,
        effects: &'a mut Vec<Effect>,
    ) -> Self {
        Self { id, exchanges, now, effects, grpc: false, dull_sessions: Vec::new(), spoke: None }
    }

    fn take(&mut self, event: Event<'_>) {
        match event {
            // Who serves a call is not who is billed for it.
            Event::Request { role: Role::Server, head, .. } => {
                self.effects.extend(traced(Role::Server, &head.hints));
                self.effects.push(Effect::Ignore(Useless::Serves));
            }
            Event::Response { role: Role::Server, .. } => {
                self.effects.push(Effect::Ignore(Useless::Serves));
            }
            Event::Request { exchange, role: Role::Client, head } => {
                self.grpc |= head.body.kind == BodyKind::Grpc;
                self.spoke.get_or_insert_with(|| head.host.clone());
                let traced = traced(Role::Client, &head.hints);
                let begun = Exchange::new(self.id, exchange, Some(head), self.now);
                // Of a request that is of no use nobody's facts are asked for.
                let traced = traced.filter(|_| !begun.is_dull());
                self.begin(exchange, begun);
                self.effects.extend(traced);
            }
            Event::Response { exchange, role: Role::Client, head } => {
                self.spoke.get_or_insert(None);
                if self.find(exchange).is_none() {
                    self.begin(exchange, Exchange::new(self.id, exchange, None, self.now));
                }
                let now = self.now;
                if let Some(known) = self.find(exchange) {
                    known.response(&head, now);
                    let outcome = known.take_outcome(false);
                    self.effects.extend(outcome.map(Effect::Outcome));
                }
            }
            Event::Body { exchange, side, data } => {
                let now = self.now;
                if let Some(known) = self.find(exchange) {
                    known.body(side, data, now);
                    let ready = known.take_ready();
                    self.effects.extend(calls(ready));
                }
            }
            Event::Message { exchange, side, text } => {
                let now = self.now;
                if let Some(known) = self.find(exchange) {
                    known.message(side, text, now);
                    let (ready, is_dull) = (known.take_ready(), known.is_dull());
                    self.effects.extend(calls(ready));
                    self.dull_sessions.extend(is_dull.then_some(exchange));
                }
            }
            Event::Lost { exchange, side, bytes } => {
                if let Some(known) = self.find(exchange) {
                    known.lose(side, bytes);
                }
            }
            Event::End { exchange, side: Side::Request, ending } => {
                if let Some(known) = self.find(exchange) {
                    known.request_ended(ending);
                }
            }
            Event::End { exchange, side: Side::Response, ending } => {
                if let Some(index) = self.exchanges.iter().position(|(n, _)| *n == exchange) {
                    let (_, mut known) = self.exchanges.remove(index);
                    self.effects.extend(known.take_outcome(true).map(Effect::Outcome));
                    self.effects.extend(calls(known.finish(ending, self.now)));
                }
            }
            Event::Unreadable(why) => self.effects.push(Effect::Ignore(Useless::Speaks(why))),
        }
    }

    fn begin(&mut self, ordinal: u64, exchange: Exchange) {
        if !exchange.is_dull() {
            self.effects.push(Effect::Interesting);
        }
        self.exchanges.push((ordinal, exchange));
    }

    fn find(&mut self, ordinal: u64) -> Option<&mut Exchange> {
        self.exchanges.iter_mut().find(|(n, _)| *n == ordinal).map(|(_, exchange)| exchange)
    }
}

/// Where a request stands in its trace, if it says so.
fn traced(role: Role, hints: &Hints) -> Option<Effect> {
    let (trace_id, parent_id) = (hints.trace_id.clone()?, hints.parent_id.clone()?);
    Some(Effect::Traced { role, trace_id, parent_id })
}

fn calls(calls: Vec<ModelCall>) -> impl Iterator<Item = Effect> {
    calls.into_iter().map(|call| Effect::Call(Box::new(call)))
}
