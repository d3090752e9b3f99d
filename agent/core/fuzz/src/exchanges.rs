//! What holds of the exchanges of a connection, whichever version of HTTP it speaks: each message ends
//! once, after it began; nothing comes of what is over; what is held back has a bound.

use std::collections::BTreeMap;

use arbitrary::Unstructured;
use weir_core::http::{Event, Side, h1, h2};
use weir_core::secret::FingerprintKey;
use weir_core::units::Direction;

use crate::traffic::Step;

/// A connection of one version.
pub trait Connection {
    /// Takes a segment.
    fn feed(&mut self, way: Direction, data: &[u8], key: &FingerprintKey, watch: &mut Watch);
    /// Passes over bytes that were lost.
    fn lose(&mut self, way: Direction, bytes: u64, key: &FingerprintKey, watch: &mut Watch);
    /// Ends what is open.
    fn close(&mut self, watch: &mut Watch);
    /// Bytes held back.
    fn footprint(&self) -> usize;
}

macro_rules! connection {
    ($($version:ty: $goes_over:expr),*) => {$(
        impl Connection for $version {
            fn feed(&mut self, way: Direction, data: &[u8], key: &FingerprintKey, watch: &mut Watch) {
                let went_on = self.feed(way, data, key, |event| watch.take(&event));
                watch.over |= $goes_over(went_on);
            }

            fn lose(&mut self, way: Direction, bytes: u64, key: &FingerprintKey, watch: &mut Watch) {
                self.lose(way, bytes, key, |event| watch.take(&event));
            }

            fn close(&mut self, watch: &mut Watch) {
                self.close(|event| watch.take(&event));
            }

            fn footprint(&self) -> usize {
                self.footprint()
            }
        }
    )*};
}

connection!(
    h1::Connection: |upgrade: Option<h1::Upgrade<'_>>| upgrade.is_some(),
    h2::Connection: |()| false
);

/// What is known of an exchange.
#[derive(Default)]
struct Known {
    response: bool,
    /// It may have turned into a session, in which both sides go on after their messages of HTTP.
    session: bool,
    /// Whether each of its messages has ended, the request first.
    ended: [bool; 2],
}

/// What has come of a connection.
#[derive(Default)]
pub struct Watch {
    exchanges: BTreeMap<u64, Known>,
    /// Nothing more comes of it: it can't be read, or goes on as another version.
    over: bool,
}

impl Watch {
    fn take(&mut self, event: &Event<'_>) {
        assert!(!self.over, "{event:?} after the connection was given up");
        match *event {
            Event::Request { exchange, .. } => {
                let newest = self.exchanges.keys().next_back();
                assert!(newest.is_none_or(|newest| *newest < exchange));
                self.exchanges.insert(exchange, Known::default());
            }
            Event::Response { exchange, ref head, .. } => {
                let known = self.exchanges.entry(exchange).or_default();
                assert!(!std::mem::replace(&mut known.response, true) && !known.ended[1]);
                known.session = head.websocket.is_some();
            }
            Event::Body { exchange, side, data } => {
                assert!(!data.is_empty());
                assert!(!self.exchanges[&exchange].ended[usize::from(side == Side::Response)]);
            }
            Event::Message { exchange, .. } => assert!(!self.exchanges[&exchange].ended[1]),
            Event::Lost { exchange, side, bytes } => {
                assert!(bytes > 0);
                let known = self.exchanges.entry(exchange).or_default();
                assert!(known.session || !known.ended[usize::from(side == Side::Response)]);
            }
            Event::End { exchange, side, .. } => {
                let known = self.exchanges.entry(exchange).or_default();
                let ended = &mut known.ended[usize::from(side == Side::Response)];
                assert!(!std::mem::replace(ended, true), "{exchange} {side:?} ended twice");
            }
            Event::Unreadable(_) => self.over = true,
        }
    }
}

/// Sends the steps that `data` stands for through a connection, which may hold `most` bytes.
pub fn drive(mut connection: impl Connection, most: usize, data: &[u8]) {
    let key = FingerprintKey::new([7; 32]);
    let mut watch = Watch::default();
    let mut bytes = Unstructured::new(data);
    while let Ok(step) = Step::next(&mut bytes) {
        match step {
            Step::Segment { direction, gap, data, .. } => {
                if gap > 0 && !watch.over {
                    connection.lose(direction, gap, &key, &mut watch);
                }
                if !watch.over {
                    connection.feed(direction, data, &key, &mut watch);
                }
            }
            Step::Close { .. } => break,
            Step::Exit { .. } | Step::Tick { .. } | Step::Facts { .. } => {}
        }
        assert!(connection.footprint() <= most, "{} bytes", connection.footprint());
    }
    if !watch.over {
        connection.close(&mut watch);
        // A request whose answer has ended before it has no end of its own.
        assert!(watch.exchanges.values().all(|known| known.ended[1]), "an answer has no end");
    }
}

/// Sends `data` as it is through a connection, in both directions: what a process may do to us that
/// speaks something else.
pub fn drive_raw(mut connection: impl Connection, data: &[u8]) {
    let key = FingerprintKey::new([7; 32]);
    let mut watch = Watch::default();
    for direction in [Direction::Write, Direction::Read] {
        if !watch.over {
            connection.feed(direction, data, &key, &mut watch);
        }
    }
}
