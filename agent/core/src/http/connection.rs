//! A connection whose version of HTTP its own bytes tell.

use super::{Event, h1, h2};
use crate::secret::FingerprintKey;
use crate::units::Direction;

/// One connection, of HTTP/1.1 or HTTP/2.
#[derive(Debug)]
pub struct Connection(Version);

#[derive(Debug)]
enum Version {
    /// Nothing that was seen tells: either would pass over it.
    Open {
        one: h1::Connection,
        two: Box<h2::Connection>,
    },
    One(h1::Connection),
    Two(Box<h2::Connection>),
}

impl Connection {
    /// A connection that is read from here on. Its exchanges are counted from `first_exchange`.
    #[must_use]
    pub fn new(first_exchange: u64) -> Self {
        let one = h1::Connection::new(first_exchange);
        Self(Version::Open { one, two: Box::new(h2::Connection::new(first_exchange)) })
    }

    /// Whether all that is going on is one answer, awaited or begun, and what comes of it need not be
    /// read to make sense of what comes after it. Of HTTP/2, every byte must be read.
    #[must_use]
    pub fn is_awaiting_answer_only(&self) -> bool {
        match &self.0 {
            Version::One(one) => one.is_awaiting_answer_only(),
            Version::Open { .. } | Version::Two(_) => false,
        }
    }

    /// Whether all of it has turned into a session, which goes on.
    #[must_use]
    pub fn is_session(&self) -> bool {
        match &self.0 {
            Version::One(one) => one.is_session(),
            Version::Open { .. } | Version::Two(_) => false,
        }
    }

    /// Whether what comes can't be read as well without what was read before.
    #[must_use]
    pub const fn builds_on_its_past(&self) -> bool {
        matches!(self.0, Version::Two(_))
    }

    /// Passes over what is still to come of that exchange, which has turned into a session of no use
    /// beside others that may be of some.
    pub fn pass_over(&mut self, exchange: u64) {
        match &mut self.0 {
            Version::Two(two) => two.pass_over(exchange),
            Version::Open { .. } | Version::One(_) => {}
        }
    }

    /// Bytes held back.
    #[must_use]
    pub fn footprint(&self) -> usize {
        match &self.0 {
            Version::Open { one, two } => one.footprint() + two.footprint(),
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
        match &mut self.0 {
            Version::Open { one, two } => {
                one.feed(direction, data, key, &mut emit);
                two.feed(direction, data, key, &mut emit);
                self.decide();
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
        match &mut self.0 {
            // Neither has an exchange yet that could have lost anything.
            Version::Open { one, two } => {
                one.lose(direction, bytes, key, &mut emit);
                two.lose(direction, bytes, key, &mut emit);
            }
            Version::One(one) => one.lose(direction, bytes, key, emit),
            Version::Two(two) => two.lose(direction, bytes, key, emit),
        }
    }

    /// Ends every exchange that is not over, because the connection is.
    pub fn close(&mut self, emit: impl FnMut(Event<'_>)) {
        match &mut self.0 {
            Version::Open { .. } => {}
            Version::One(one) => one.close(emit),
            Version::Two(two) => two.close(emit),
        }
    }

    fn decide(&mut self) {
        let Version::Open { one, two } = &mut self.0 else { return };
        if one.is_recognised() {
            self.0 = Version::One(std::mem::replace(one, h1::Connection::new(0)));
        } else if two.is_recognised() {
            self.0 = Version::Two(std::mem::replace(two, Box::new(h2::Connection::new(0))));
        }
    }
}
