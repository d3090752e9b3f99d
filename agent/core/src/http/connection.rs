//! A connection whose version of HTTP its own bytes tell.

use super::websocket::{Opening, Session};
use super::{Event, Side, h1, h2};
use crate::secret::FingerprintKey;
use crate::units::{Direction, Role};

/// One connection, of HTTP/1.1 or HTTP/2.
#[derive(Debug)]
pub struct Connection {
    version: Version,
    /// The number of the first exchange.
    first: u64,
}

#[derive(Debug)]
enum Version {
    /// Nothing that was seen tells: each would pass over it.
    Open {
        one: h1::Connection,
        two: Box<h2::Connection>,
        openings: Box<Openings>,
    },
    One(h1::Connection),
    Two(Box<h2::Connection>),
}

/// Both directions, should a WebSocket go on in them.
#[derive(Debug, Default)]
struct Openings {
    read: Opening,
    write: Opening,
}

impl Connection {
    /// A connection that is read from here on. Its exchanges are counted from `first_exchange`.
    #[must_use]
    pub fn new(first_exchange: u64) -> Self {
        let one = h1::Connection::new(first_exchange);
        let two = Box::new(h2::Connection::new(first_exchange));
        Self {
            version: Version::Open { one, two, openings: Box::default() },
            first: first_exchange,
        }
    }

    /// Whether all that is going on is one answer, awaited or begun, and what comes of it need not be
    /// read to make sense of what comes after it. Of HTTP/2, every byte must be read.
    #[must_use]
    pub fn is_awaiting_answer_only(&self) -> bool {
        match &self.version {
            Version::One(one) => one.is_awaiting_answer_only(),
            Version::Open { .. } | Version::Two(_) => false,
        }
    }

    /// Whether an exchange has turned into a session, which goes on.
    #[must_use]
    pub fn is_session(&self) -> bool {
        match &self.version {
            Version::One(one) => one.is_session(),
            Version::Open { .. } | Version::Two(_) => false,
        }
    }

    /// Whether what comes can't be read as well without what was read before.
    #[must_use]
    pub const fn builds_on_its_past(&self) -> bool {
        matches!(self.version, Version::Two(_))
    }

    /// Bytes held back.
    #[must_use]
    pub fn footprint(&self) -> usize {
        match &self.version {
            Version::Open { one, two, .. } => one.footprint() + two.footprint(),
            Version::One(one) => one.footprint(),
            Version::Two(two) => two.footprint(),
        }
    }

    /// Takes one segment: what one call of the TLS library carried, or a part of it.
    pub fn feed(
        &mut self,
        direction: Direction,
        data: &[u8],
        key: &FingerprintKey,
        mut emit: impl FnMut(Event<'_>),
    ) {
        match &mut self.version {
            Version::Open { one, two, .. } => {
                one.feed(direction, data, key, &mut emit);
                two.feed(direction, data, key, &mut emit);
                if !self.decide() {
                    self.join_session(direction, data, key, emit);
                }
            }
            Version::One(one) => one.feed(direction, data, key, emit),
            Version::Two(two) => two.feed(direction, data, key, emit),
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
        match &mut self.version {
            // Neither has an exchange yet that could have lost anything.
            Version::Open { one, two, openings } => {
                one.lose(direction, bytes, key, &mut emit);
                two.lose(direction, bytes, key, &mut emit);
                openings.of(direction).forget();
            }
            Version::One(one) => one.lose(direction, bytes, key, emit),
            Version::Two(two) => two.lose(direction, bytes, key, emit),
        }
    }

    /// Ends every exchange that is not over, because the connection is.
    pub fn close(&mut self, emit: impl FnMut(Event<'_>)) {
        match &mut self.version {
            Version::Open { .. } => {}
            Version::One(one) => one.close(emit),
            Version::Two(two) => two.close(emit),
        }
    }

    /// Whether one of the versions has shown that it is spoken.
    fn decide(&mut self) -> bool {
        let Version::Open { one, two, .. } = &mut self.version else { return true };
        if one.is_recognised() {
            self.version = Version::One(std::mem::replace(one, h1::Connection::new(0)));
        } else if two.is_recognised() {
            self.version = Version::Two(std::mem::replace(two, Box::new(h2::Connection::new(0))));
        } else {
            return false;
        }
        true
    }

    /// Reads it as a session from here on, if a message of one begins here.
    fn join_session(
        &mut self,
        direction: Direction,
        data: &[u8],
        key: &FingerprintKey,
        mut emit: impl FnMut(Event<'_>),
    ) {
        let Version::Open { openings, .. } = &mut self.version else { return };
        let Some(found) = openings.of(direction).feed(data) else { return };
        let other = std::mem::take(openings.of(direction.opposite()));
        let (request, response, client) = match found.side {
            Side::Request => (Opening::default(), other, Direction::Write),
            Side::Response => (other, Opening::default(), Direction::Read),
        };
        let role = if direction == client { Role::Client } else { Role::Server };
        let session = Session::joined(request, response);
        let mut one = h1::Connection::in_session(self.first, role, session, &mut emit);
        one.feed(direction, &found.held, key, &mut emit);
        one.feed(direction, found.rest, key, emit);
        self.version = Version::One(one);
    }
}

impl Openings {
    const fn of(&mut self, direction: Direction) -> &mut Opening {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        }
    }
}
