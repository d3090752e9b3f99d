//! HTTP/2: pairs what a connection's two directions do to its streams into exchanges.
//!
//! Both ends of a connection can be read. It can be joined at any time, at the start of a frame where
//! a segment starts: header fields that refer to what was sent before are then unknown, and an
//! exchange is known by what is left and by its bodies. `SETTINGS` and flow control are passed over:
//! they change nothing for who only reads along (`hpack.rs` says why not even the table's size).
//!
//! A stream may turn into a WebSocket (RFC 8441), which goes on in its DATA frames and is read as on
//! HTTP/1.1. If the request or the answer was not seen, nobody knows that it is one.

mod fields;
mod frame;
mod hpack;
mod reader;
mod stream;
mod table;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use self::hpack::Fields;
use self::reader::{Reader, Skipped, Step};
use self::stream::Stream;
pub(crate) use self::table::STATIC;
use super::{Ending, Event, Method, Side};
use crate::secret::FingerprintKey;
use crate::units::{Direction, Role};

/// Most streams of one connection that may be open.
const MAX_STREAMS: usize = 256;
/// How many streams that are over are remembered, for what still comes of them.
const MAX_ENDED: usize = 256;

/// One connection.
#[derive(Debug)]
pub struct Connection {
    read: Reader,
    write: Reader,
    /// Which end is ours, known from the preface or the first header block.
    role: Option<Role>,
    /// The streams that are open, oldest first. At most [`MAX_STREAMS`].
    streams: Vec<Stream>,
    /// The latest streams that are over. At most [`MAX_ENDED`].
    ended: VecDeque<u32>,
    /// The number of the next exchange.
    begun: u64,
}

impl Connection {
    /// A connection that is read from here on. Its exchanges are counted from `first_exchange`.
    #[must_use]
    pub const fn new(first_exchange: u64) -> Self {
        Self {
            read: Reader::new(),
            write: Reader::new(),
            role: None,
            streams: Vec::new(),
            ended: VecDeque::new(),
            begun: first_exchange,
        }
    }

    /// A connection that was HTTP/1.1 up to here: what was asked last is answered in stream 1 (RFC
    /// 7540, section 3.2).
    #[must_use]
    pub fn upgraded(role: Role, exchange: u64) -> Self {
        let (client, server) = (Reader::at_preface(), Reader::at_frame());
        let (read, write) = match role {
            Role::Client => (server, client),
            Role::Server => (client, server),
        };
        let (role, streams) = (Some(role), vec![Stream::new(1, exchange)]);
        Self { read, write, role, streams, ..Self::new(exchange.saturating_add(1)) }
    }

    /// Whether it was shown to speak HTTP/2.
    #[must_use]
    pub const fn is_recognised(&self) -> bool {
        self.role.is_some()
    }

    /// Bytes held back.
    #[must_use]
    pub fn footprint(&self) -> usize {
        let streams = self.streams.capacity() * size_of::<Stream>();
        let sessions: usize = self.streams.iter().map(Stream::footprint).sum();
        self.read.footprint() + self.write.footprint() + streams + sessions
    }

    /// Takes one segment: what one call of the TLS library carried, or a part of it.
    pub fn feed(
        &mut self,
        direction: Direction,
        data: &[u8],
        key: &FingerprintKey,
        mut emit: impl FnMut(Event<'_>),
    ) {
        if !data.is_empty() {
            self.reader(direction).segment_begins(data);
            self.drain(direction, data, key, &mut emit);
        }
    }

    /// Passes over bytes that were lost.
    pub fn lose(
        &mut self,
        direction: Direction,
        bytes: u64,
        key: &FingerprintKey,
        mut emit: impl FnMut(Event<'_>),
    ) {
        match self.reader(direction).skip(bytes) {
            Skipped::Within { stream, bytes, exact } => {
                self.carry(direction, stream, &mut emit, |stream, side, emit| {
                    stream.lose(side, bytes, exact, emit)
                });
            }
            Skipped::Elsewhere => {}
            Skipped::Adrift => self.adrift(direction, bytes, &mut emit),
        }
        // The hole may have reached the end of a frame.
        self.drain(direction, &[], key, &mut emit);
    }

    /// Passes over what is still to come of that exchange, which has turned into a session of no use.
    pub fn pass_over(&mut self, exchange: u64) {
        let streams = self.streams.iter_mut();
        streams.filter(|stream| stream.exchange == exchange).for_each(Stream::pass_over);
    }

    /// Ends every exchange that is not over, because the connection is.
    pub fn close(&mut self, mut emit: impl FnMut(Event<'_>)) {
        while !self.streams.is_empty() {
            self.finish(0, Ending::Closed, &mut emit);
        }
    }

    fn drain(
        &mut self,
        direction: Direction,
        mut input: &[u8],
        key: &FingerprintKey,
        emit: &mut impl FnMut(Event<'_>),
    ) {
        while let Some(step) = self.reader(direction).next(&mut input) {
            match step {
                Step::Preface => {
                    self.role.get_or_insert(sender(direction));
                    self.reader(direction.opposite()).believe();
                }
                Step::Fields { stream, fields, last } => {
                    self.fields(direction, stream, &fields, last, key, emit);
                }
                Step::Unread { stream, lost, last } => {
                    self.unread(direction, stream, lost, last, emit);
                }
                Step::Data { stream, data } => {
                    self.carry(direction, stream, emit, |stream, side, emit| {
                        stream.feed(side, data, emit)
                    });
                }
                Step::End { stream } => self.end(direction, stream, emit),
                Step::Reset { stream } => {
                    if let Some(place) = self.place(stream) {
                        self.finish(place, Ending::Closed, emit);
                    }
                }
                Step::GoAway { last } => {
                    // What a client doesn't look at are streams that servers open.
                    if self.side(direction) == Some(Side::Response) {
                        while let Some(place) = self.streams.iter().position(|it| it.id > last) {
                            self.finish(place, Ending::Closed, emit);
                        }
                    }
                }
                Step::Adrift => self.adrift(direction, 0, emit),
            }
        }
    }

    const fn reader(&mut self, direction: Direction) -> &mut Reader {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        }
    }

    fn side(&self, direction: Direction) -> Option<Side> {
        let role = self.role?;
        Some(if sender(direction) == role { Side::Request } else { Side::Response })
    }

    fn place(&self, stream: u32) -> Option<usize> {
        self.streams.iter().position(|it| it.id == stream)
    }

    /// Does `what` to a stream, to the side of it that `direction` carries. If the exchange is over
    /// then, says so.
    fn carry<E: FnMut(Event<'_>)>(
        &mut self,
        direction: Direction,
        stream: u32,
        emit: &mut E,
        what: impl FnOnce(&mut Stream, Side, &mut E) -> bool,
    ) {
        let (Some(side), Some(place)) = (self.side(direction), self.place(stream)) else { return };
        if self.streams.get_mut(place).is_some_and(|stream| what(stream, side, emit)) {
            self.finish(place, Ending::Whole, emit);
        }
    }

    fn fields(
        &mut self,
        direction: Direction,
        stream: u32,
        fields: &Fields,
        last: bool,
        key: &FingerprintKey,
        emit: &mut impl FnMut(Event<'_>),
    ) {
        let said = fields.side();
        if let Some(said) = said {
            let of_client = match said {
                Side::Request => direction,
                Side::Response => direction.opposite(),
            };
            self.role.get_or_insert(sender(of_client));
        }
        let Some(side) = self.side(direction) else { return };
        // A stream that a server opens carries what it pushes: nobody asked.
        let is_ours = !stream.is_multiple_of(2) && said.is_none_or(|said| said == side);
        if !is_ours || self.ended.contains(&stream) {
            return;
        }
        match side {
            Side::Request => self.request(stream, fields, key, emit),
            Side::Response => self.response(stream, fields, emit),
        }
        if last {
            self.end(direction, stream, emit);
        }
    }

    fn request(
        &mut self,
        stream: u32,
        fields: &Fields,
        key: &FingerprintKey,
        emit: &mut impl FnMut(Event<'_>),
    ) {
        let begins = fields.side().is_some() || fields.incomplete;
        if self.place(stream).is_some() || !begins {
            return; // Trailers.
        }
        let head = fields.request(key);
        let opened = self.open(stream, emit);
        let exchange = opened.exchange;
        if let Some(head) = &head {
            opened.ask(head.method == Method::Connect && head.websocket);
        }
        if let (Some(head), Some(role)) = (head, self.role) {
            emit(Event::Request { exchange, role, head });
        }
    }

    fn response(&mut self, stream: u32, fields: &Fields, emit: &mut impl FnMut(Event<'_>)) {
        let Some(role) = self.role else { return };
        let known = self.place(stream).and_then(|place| self.streams.get_mut(place));
        let head = match (&known, fields.status()) {
            (Some(known), _) if known.is_answered() => return, // Trailers.
            (_, Some(100..200)) => return,
            (None, None) => return,
            (Some(known), _) if known.is_offer() => fields.handshake(),
            (_, _) => fields.response(),
        };
        let known = match known {
            Some(known) => known,
            None => self.open(stream, emit),
        };
        known.answer(head, role, emit);
    }

    /// A header block came that can't be read.
    fn unread(
        &mut self,
        direction: Direction,
        stream: u32,
        bytes: u64,
        last: bool,
        emit: &mut impl FnMut(Event<'_>),
    ) {
        let Some(side) = self.side(direction) else { return };
        let known = self.place(stream).and_then(|place| self.streams.get_mut(place));
        match (side, known) {
            (_, Some(known)) => known.lose_block(side, bytes, emit),
            (Side::Request, None) if !stream.is_multiple_of(2) && !self.ended.contains(&stream) => {
                self.open(stream, emit).lose_request(bytes);
            }
            (Side::Request | Side::Response, None) => {}
        }
        if last {
            self.end(direction, stream, emit);
        }
    }

    fn open(&mut self, id: u32, emit: &mut impl FnMut(Event<'_>)) -> &mut Stream {
        if self.streams.len() >= MAX_STREAMS {
            self.finish(0, Ending::Lost, emit);
        }
        let exchange = self.begun;
        self.begun = self.begun.saturating_add(1);
        self.streams.push_mut(Stream::new(id, exchange))
    }

    /// A message ended by its own framing.
    fn end(&mut self, direction: Direction, stream: u32, emit: &mut impl FnMut(Event<'_>)) {
        self.carry(direction, stream, emit, |stream, side, emit| match side {
            Side::Request => stream.hang_up(emit),
            Side::Response => true,
        });
    }

    /// The exchange is over.
    fn finish(&mut self, place: usize, ending: Ending, emit: &mut impl FnMut(Event<'_>)) {
        let stream = self.streams.remove(place);
        if self.ended.len() >= MAX_ENDED {
            self.ended.pop_front();
        }
        self.ended.push_back(stream.id);
        stream.finish(ending, emit);
    }

    /// The place in `direction` is lost, and perhaps `bytes` of every message that it carries.
    fn adrift(&mut self, direction: Direction, bytes: u64, emit: &mut impl FnMut(Event<'_>)) {
        let Some(side) = self.side(direction) else { return };
        let mut place = 0;
        while let Some(stream) = self.streams.get_mut(place) {
            if stream.adrift(side, bytes, emit) {
                self.finish(place, Ending::Lost, emit);
            } else {
                place += 1;
            }
        }
    }
}

/// The role of our end, if what `direction` carries comes from the client.
const fn sender(direction: Direction) -> Role {
    match direction {
        Direction::Write => Role::Client,
        Direction::Read => Role::Server,
    }
}
