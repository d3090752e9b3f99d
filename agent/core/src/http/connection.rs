//! A connection whose version of HTTP its own bytes tell. One of HTTP/1.1 may go on as HTTP/2.

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

    /// Whether all of it has turned into a session, which goes on.
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

    /// Passes over what is still to come of that exchange, which has turned into a session of no use
    /// beside others that may be of some.
    pub fn pass_over(&mut self, exchange: u64) {
        match &mut self.version {
            Version::Two(two) => two.pass_over(exchange),
            Version::Open { .. } | Version::One(_) => {}
        }
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
                // No segment has both a request and the answer to it, so none is an upgrade yet.
                one.feed(direction, data, key, &mut emit);
                two.feed(direction, data, key, &mut emit);
                if !self.decide() {
                    self.join_session(direction, data, key, emit);
                }
            }
            Version::One(one) => {
                if let Some(upgrade) = one.feed(direction, data, key, &mut emit) {
                    let mut two = h2::Connection::upgraded(upgrade.role, upgrade.exchange);
                    two.feed(direction, upgrade.rest, key, emit);
                    self.version = Version::Two(Box::new(two));
                }
            }
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
        for part in [&found.held, found.rest] {
            one.feed(direction, part, key, &mut emit);
        }
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

#[cfg(test)]
mod tests {
    use Direction::{Read, Write};
    use proptest::prelude::*;

    use super::*;

    const OFFER: &[u8] = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\
        Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\nquestion";
    const SWITCH: &[u8] =
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    /// SETTINGS; HEADERS of stream 1 with `:status: 200`; its DATA, the last.
    const ANSWER: &[u8] =
        b"\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x04\0\0\0\x01\x88\0\0\x06\0\x01\0\0\0\x01answer";
    /// The preface, SETTINGS, and a request in stream 3: `GET https://h/b`.
    const NEXT: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\
        \0\0\x09\x01\x05\0\0\0\x03\x82\x87\x04\x02/b\x01\x01h";
    /// HEADERS of stream 3 with `:status: 404`, the last.
    const NOT_FOUND: &[u8] = b"\0\0\x01\x01\x05\0\0\0\x03\x8d";

    /// What happens: one line an event, the parts of a body joined.
    fn run<'a>(segments: impl IntoIterator<Item = (Direction, &'a [u8])>) -> Vec<String> {
        let key = FingerprintKey::new([0; 32]);
        let mut connection = Connection::new(7);
        let mut lines: Vec<String> = Vec::new();
        let mut add = |event: Event<'_>| {
            let line = match event {
                Event::Request { exchange, head, .. } => format!("{exchange} asks {}", head.path),
                Event::Response { exchange, head, .. } => format!("{exchange} {}", head.status),
                Event::Body { exchange, side, data } => {
                    let text = String::from_utf8_lossy(data).into_owned();
                    let begun = format!("{exchange} {side:?}: ");
                    if let Some(last) = lines.last_mut().filter(|last| last.starts_with(&begun)) {
                        return last.push_str(&text);
                    }
                    begun + &text
                }
                Event::End { exchange, side, ending } => format!("{exchange} {side:?} {ending:?}"),
                other => format!("{other:?}"),
            };
            lines.push(line);
        };
        for (direction, data) in segments {
            connection.feed(direction, data, &key, &mut add);
        }
        connection.close(&mut add);
        lines
    }

    /// A direction's bytes in segments of that size.
    fn segments(
        direction: Direction,
        bytes: &[u8],
        size: usize,
    ) -> impl Iterator<Item = (Direction, &[u8])> {
        bytes.chunks(size).map(move |part| (direction, part))
    }

    #[test]
    fn an_upgrade_that_is_ignored_changes_nothing() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nanswer";
        let again = b"GET /b HTTP/1.1\r\nHost: h\r\n\r\n";
        let lines = run([(Write, OFFER), (Read, answer), (Write, again)]);
        assert_eq!(
            lines,
            [
                "7 asks /a",
                "7 Request: question",
                "7 Request Whole",
                "7 200",
                "7 Response: answer",
                "7 Response Whole",
                "8 asks /b",
                "8 Request Whole",
                "8 Response Closed",
            ]
        );
    }

    #[test]
    fn what_was_not_offered_or_has_not_ended_is_no_upgrade() {
        for (asked, answered) in [
            (&b"GET / HTTP/1.1\r\n\r\n"[..], SWITCH),
            (&OFFER[..OFFER.len() - 1], SWITCH),
            (b"GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\nGET / HTTP/1.1\r\n\r\n", SWITCH),
            (OFFER, b"HTTP/1.1 101 Switching\r\nUpgrade: h2c, websocket\r\n\r\n"),
        ] {
            let lines = run([(Write, asked), (Read, answered), (Read, ANSWER)]);
            assert_eq!(lines.last().map(String::as_str), Some("Unreadable(Upgraded)"));
        }
        assert_eq!(run([(Read, SWITCH)]), ["Unreadable(Upgraded)"]);
    }

    #[test]
    fn the_server_end_of_an_upgrade_is_read_too() {
        let lines = run([(Read, OFFER), (Write, SWITCH), (Write, ANSWER), (Read, NEXT)]);
        assert_eq!(lines[3..7], ["7 200", "7 Response: answer", "7 Response Whole", "8 asks /b"]);
    }

    proptest! {
        #[test]
        fn any_segments_of_an_upgrade_give_the_same(
            asked in 1usize..200,
            answered in 1usize..200,
            went_on in 1usize..80,
            late in 1usize..20,
        ) {
            let answer = [SWITCH, ANSWER].concat();
            let all = segments(Write, OFFER, asked)
                .chain(segments(Read, &answer, answered))
                .chain(segments(Write, NEXT, went_on))
                .chain(segments(Read, NOT_FOUND, late));
            prop_assert_eq!(
                run(all),
                [
                    "7 asks /a",
                    "7 Request: question",
                    "7 Request Whole",
                    "7 200",
                    "7 Response: answer",
                    "7 Response Whole",
                    "8 asks /b",
                    "8 Request Whole",
                    "8 404",
                    "8 Response Whole",
                ]
            );
        }
    }
}
