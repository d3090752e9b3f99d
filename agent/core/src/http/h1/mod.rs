//! HTTP/1.1: pairs the messages of a connection's two directions into exchanges.
//!
//! Which direction carries requests is found from the first head, so both ends of a connection can
//! be read, and a connection can be joined at any time. Answers are matched to requests in order.
//! An exchange that turns into a WebSocket is read on as one, also by whoever joins after that. A
//! connection that goes on as HTTP/2 is handed over.

mod chunked;
mod reader;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use self::reader::{Frame, Framing, Reader};
use super::head::{Head, Method, RequestHead, ResponseHead};
use super::{Ending, Event, Side, Unreadable, websocket};
use crate::secret::FingerprintKey;
use crate::units::{Direction, Role};

/// Most requests that may wait for their answers on one connection.
const MAX_PIPELINED: usize = 256;

/// One connection.
#[derive(Debug)]
pub struct Connection {
    read: Reader,
    write: Reader,
    /// Which end is ours, known from the first head.
    role: Option<Role>,
    /// The exchanges that are not over, oldest first. At most [`MAX_PIPELINED`].
    waiting: VecDeque<Waiting>,
    /// The number of the next exchange.
    begun: u64,
    readable: bool,
    /// What the only exchange that is not over has turned into.
    session: Option<websocket::Session>,
}

#[derive(Debug)]
struct Waiting {
    exchange: u64,
    /// The request's method; `None` if the request was not seen.
    method: Option<Method>,
    request_open: bool,
    /// Whether the head of its answer was seen.
    answered: bool,
    /// It has offered to go on as HTTP/2.
    offers_http2: bool,
}

/// A connection goes on as HTTP/2 (RFC 7540, section 3.2).
#[derive(Debug)]
pub struct Upgrade<'a> {
    /// Which end is ours.
    pub role: Role,
    /// The exchange whose answer comes next, in stream 1. It is the latest.
    pub exchange: u64,
    /// The first bytes of HTTP/2, of those that the answer's head came with.
    pub rest: &'a [u8],
}

impl Connection {
    /// A connection that is read from here on. Its exchanges are counted from `first_exchange`.
    #[must_use]
    pub fn new(first_exchange: u64) -> Self {
        Self {
            read: Reader::new(),
            write: Reader::new(),
            role: None,
            waiting: VecDeque::new(),
            begun: first_exchange,
            readable: true,
            session: None,
        }
    }

    /// A connection that turned into a session before anything of it was seen, and what is known of
    /// it as of any other answer.
    pub fn in_session(
        exchange: u64,
        role: Role,
        session: websocket::Session,
        mut emit: impl FnMut(Event<'_>),
    ) -> Self {
        let mut this = Self { role: Some(role), session: Some(session), ..Self::new(exchange) };
        this.open(None, false);
        emit(Event::Response { exchange, role, head: ResponseHead::of_session() });
        this
    }

    /// Whether it was shown to speak HTTP/1.
    #[must_use]
    pub const fn is_recognised(&self) -> bool {
        self.role.is_some()
    }

    /// Whether all that is going on is one answer, awaited or begun, and HTTP/1.1 comes after it.
    #[must_use]
    pub fn is_awaiting_answer_only(&self) -> bool {
        let is_closed = |waiting: &Waiting| !waiting.request_open && !waiting.offers_http2;
        self.session.is_none() && self.waiting.len() == 1 && self.waiting.iter().all(is_closed)
    }

    /// Whether an exchange has turned into a session, which goes on.
    #[must_use]
    pub const fn is_session(&self) -> bool {
        self.session.is_some()
    }

    /// Bytes held back.
    #[must_use]
    pub fn footprint(&self) -> usize {
        let session = self.session.as_ref().map_or(0, websocket::Session::footprint);
        self.read.footprint() + self.write.footprint() + session
    }

    /// Takes one segment: what one call of the TLS library carried, or a part of it. If the
    /// connection goes on as HTTP/2, says so, and is of no more use itself.
    pub fn feed<'a>(
        &mut self,
        direction: Direction,
        data: &'a [u8],
        key: &FingerprintKey,
        mut emit: impl FnMut(Event<'_>),
    ) -> Option<Upgrade<'a>> {
        if self.session.is_some() {
            self.converse(direction, data, &mut emit);
        } else if !data.is_empty() {
            self.reader(direction).segment_begins(data);
            return self.drain(direction, data, key, &mut emit);
        }
        None
    }

    /// Passes over bytes that were lost.
    pub fn lose(
        &mut self,
        direction: Direction,
        bytes: u64,
        key: &FingerprintKey,
        mut emit: impl FnMut(Event<'_>),
    ) {
        if let Some((exchange, side)) = self.current(direction) {
            emit(Event::Lost { exchange, side, bytes });
            if let Some(session) = &mut self.session {
                session.lose(side, bytes, |text| emit(Event::Message { exchange, side, text }));
                return self.end_session(&mut emit);
            }
        }
        if self.reader(direction).skip(bytes) {
            // The hole may have reached the end of the message.
            self.drain(direction, &[], key, &mut emit);
        } else {
            self.end(direction, Ending::Lost, &mut emit);
        }
    }

    /// Ends every exchange that is not over, because the connection is.
    pub fn close(&mut self, mut emit: impl FnMut(Event<'_>)) {
        let answers = match self.role {
            Some(Role::Server) => &self.write,
            Some(Role::Client) | None => &self.read,
        };
        let session = self.session.take();
        let proper = answers.ends_with_connection();
        for waiting in std::mem::take(&mut self.waiting) {
            let exchange = waiting.exchange;
            if waiting.request_open {
                emit(Event::End { exchange, side: Side::Request, ending: Ending::Closed });
            }
            let ending = match &session {
                Some(session) => session.cut_off(),
                None if waiting.answered && proper => Ending::Whole,
                None => Ending::Closed,
            };
            emit(Event::End { exchange, side: Side::Response, ending });
        }
    }

    fn drain<'a>(
        &mut self,
        direction: Direction,
        mut input: &'a [u8],
        key: &FingerprintKey,
        emit: &mut impl FnMut(Event<'_>),
    ) -> Option<Upgrade<'a>> {
        while self.readable
            && self.session.is_none()
            && let Some(frame) = self.reader(direction).next(&mut input, key)
        {
            match frame {
                Frame::Head(Head::Request(head)) => self.request(direction, head, emit),
                Frame::Head(Head::Response(head)) => {
                    if head.http2
                        && let Some((role, exchange)) = self.go_over(direction)
                    {
                        return Some(Upgrade { role, exchange, rest: input });
                    }
                    self.response(direction, head, emit);
                }
                Frame::Body(data) => {
                    if let Some((exchange, side)) = self.current(direction) {
                        emit(Event::Body { exchange, side, data });
                    }
                }
                Frame::End => self.end(direction, Ending::Whole, emit),
                Frame::Adrift => self.end(direction, Ending::Lost, emit),
            }
        }
        self.converse(direction, input, emit);
        None
    }

    /// Takes bytes of a session, if there is one.
    fn converse(&mut self, direction: Direction, data: &[u8], emit: &mut impl FnMut(Event<'_>)) {
        if let Some((exchange, side)) = self.current(direction)
            && let Some(session) = &mut self.session
        {
            session.feed(side, data, |text| emit(Event::Message { exchange, side, text }));
            self.end_session(emit);
        }
    }

    /// Ends the session if nothing more of it can be read.
    fn end_session(&mut self, emit: &mut impl FnMut(Event<'_>)) {
        let ending = self.session.as_ref().and_then(websocket::Session::ending);
        let Some(ending) = ending else { return };
        self.readable = false;
        self.session = None;
        for waiting in std::mem::take(&mut self.waiting) {
            emit(Event::End { exchange: waiting.exchange, side: Side::Response, ending });
        }
        if ending == Ending::Lost {
            emit(Event::Unreadable(Unreadable::Upgraded));
        }
    }

    const fn reader(&mut self, direction: Direction) -> &mut Reader {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        }
    }

    fn side(&self, direction: Direction) -> Option<Side> {
        Some(match (self.role?, direction) {
            (Role::Client, Direction::Write) | (Role::Server, Direction::Read) => Side::Request,
            (Role::Client, Direction::Read) | (Role::Server, Direction::Write) => Side::Response,
        })
    }

    /// The message that the bytes of `direction` belong to, an answer that has not begun included.
    fn current(&self, direction: Direction) -> Option<(u64, Side)> {
        let side = self.side(direction)?;
        let waiting = match side {
            Side::Request => {
                self.waiting.back().filter(|waiting| waiting.request_open || self.session.is_some())
            }
            Side::Response => self.waiting.front(),
        };
        Some((waiting?.exchange, side))
    }

    fn request(
        &mut self,
        direction: Direction,
        head: RequestHead,
        emit: &mut impl FnMut(Event<'_>),
    ) {
        let role = match direction {
            Direction::Write => Role::Client,
            Direction::Read => Role::Server,
        };
        if *self.role.get_or_insert(role) != role {
            self.reader(direction).skip(u64::MAX);
            return;
        }
        if self.waiting.len() >= MAX_PIPELINED {
            self.end(direction.opposite(), Ending::Lost, emit);
        }
        self.reader(direction).begin_body(Framing::of_request(&head.body));
        let exchange = self.open(Some(head.method), head.offers_http2);
        emit(Event::Request { exchange, role, head });
    }

    fn response(
        &mut self,
        direction: Direction,
        head: ResponseHead,
        emit: &mut impl FnMut(Event<'_>),
    ) {
        let role = match direction {
            Direction::Read => Role::Client,
            Direction::Write => Role::Server,
        };
        if *self.role.get_or_insert(role) != role {
            self.reader(direction).skip(u64::MAX);
            return;
        }
        if head.status == 101 {
            return self.switch(direction, role, head, emit);
        }
        if head.status < 200 {
            self.reader(direction).begin_head();
            return;
        }
        if self.waiting.is_empty() {
            self.open(None, false);
        }
        let Some(waiting) = self.waiting.front_mut() else { return };
        waiting.answered = true;
        let exchange = waiting.exchange;
        let framing = match waiting.method {
            Some(Method::Connect) if head.status < 300 => {
                return self.unreadable(Unreadable::Tunnel, emit);
            }
            Some(Method::Head) => Framing::Length(0),
            _ if matches!(head.status, 204 | 304) => Framing::Length(0),
            _ => Framing::of_response(&head.body),
        };
        self.reader(direction).begin_body(framing);
        emit(Event::Response { exchange, role, head });
    }

    /// The connection goes over to another protocol. It is read on if that is a WebSocket, and if the
    /// request ended right before: what follows must be a frame.
    fn switch(
        &mut self,
        direction: Direction,
        role: Role,
        head: ResponseHead,
        emit: &mut impl FnMut(Event<'_>),
    ) {
        let is_next = self.reader(direction.opposite()).is_between_messages();
        match (head.websocket, self.waiting.make_contiguous()) {
            (Some(extensions), [waiting]) if is_next => {
                waiting.answered = true;
                let exchange = waiting.exchange;
                self.session = Some(websocket::Session::new(extensions));
                emit(Event::Response { exchange, role, head });
            }
            _ => self.unreadable(Unreadable::Upgraded, emit),
        }
    }

    /// Goes over to HTTP/2, if the only request that waits has offered it and ended right before.
    fn go_over(&mut self, direction: Direction) -> Option<(Role, u64)> {
        let is_next = self.reader(direction.opposite()).is_between_messages();
        let is_answer = self.side(direction) == Some(Side::Response);
        match self.waiting.make_contiguous() {
            [Waiting { exchange, offers_http2: true, .. }] if is_next && is_answer => {
                let upgrade = (self.role?, *exchange);
                self.waiting.clear();
                self.readable = false;
                Some(upgrade)
            }
            _ => None,
        }
    }

    fn open(&mut self, method: Option<Method>, offers_http2: bool) -> u64 {
        let exchange = self.begun;
        self.begun = self.begun.saturating_add(1);
        let request_open = method.is_some();
        let answered = false;
        self.waiting.push_back(Waiting { exchange, method, request_open, answered, offers_http2 });
        exchange
    }

    fn end(&mut self, direction: Direction, ending: Ending, emit: &mut impl FnMut(Event<'_>)) {
        match self.current(direction) {
            Some((exchange, Side::Request)) => {
                if let Some(waiting) = self.waiting.back_mut() {
                    waiting.request_open = false;
                }
                emit(Event::End { exchange, side: Side::Request, ending });
            }
            Some((exchange, Side::Response)) => {
                self.waiting.pop_front();
                emit(Event::End { exchange, side: Side::Response, ending });
            }
            None => {}
        }
    }

    fn unreadable(&mut self, why: Unreadable, emit: &mut impl FnMut(Event<'_>)) {
        self.readable = false;
        self.close(&mut *emit);
        emit(Event::Unreadable(why));
    }
}
