//! HTTP/1.1 connections: each message ends once, after it began; nothing comes of what is over; what
//! is held back has a bound.

#![no_main]

use std::collections::BTreeMap;

use arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;
use weir_core::http::{Event, Side, h1};
use weir_core::secret::FingerprintKey;
use weir_core::units::Direction;
use weir_fuzz::traffic::Step;

/// Both directions may hold the longest head, in a buffer that has grown by doubling.
const MAX_FOOTPRINT: usize = 2 * 2 * 64 * 1024;

/// What is known of an exchange.
#[derive(Default)]
struct Known {
    response: bool,
    /// Whether each of its messages has ended, the request first.
    ended: [bool; 2],
}

#[derive(Default)]
struct Watch {
    exchanges: BTreeMap<u64, Known>,
    unreadable: bool,
}

impl Watch {
    fn take(&mut self, event: &Event<'_>) {
        assert!(!self.unreadable, "{event:?} after the connection was given up");
        match *event {
            Event::Request { exchange, .. } => {
                let newest = self.exchanges.keys().next_back();
                assert!(newest.is_none_or(|newest| *newest < exchange));
                self.exchanges.insert(exchange, Known::default());
            }
            Event::Response { exchange, .. } => {
                let known = self.exchanges.entry(exchange).or_default();
                assert!(!std::mem::replace(&mut known.response, true) && !known.ended[1]);
            }
            Event::Body { exchange, side, data } => {
                assert!(!data.is_empty());
                assert!(!self.exchanges[&exchange].ended[usize::from(side == Side::Response)]);
            }
            Event::Lost { exchange, side, bytes } => {
                assert!(bytes > 0);
                let known = self.exchanges.entry(exchange).or_default();
                assert!(!known.ended[usize::from(side == Side::Response)]);
            }
            Event::End { exchange, side, .. } => {
                let known = self.exchanges.entry(exchange).or_default();
                let ended = &mut known.ended[usize::from(side == Side::Response)];
                assert!(!std::mem::replace(ended, true), "{exchange} {side:?} ended twice");
            }
            Event::Unreadable(_) => self.unreadable = true,
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let key = FingerprintKey::new([7; 32]);
    let mut connection = h1::Connection::new(0);
    let mut watch = Watch::default();
    let mut bytes = Unstructured::new(data);
    while let Ok(step) = Step::next(&mut bytes) {
        match step {
            Step::Segment { direction, gap, data, .. } => {
                if gap > 0 && !watch.unreadable {
                    connection.lose(direction, gap, &key, |event| watch.take(&event));
                }
                if !watch.unreadable {
                    connection.feed(direction, data, &key, |event| watch.take(&event));
                }
            }
            Step::Close { .. } => break,
            Step::Exit { .. } | Step::Tick { .. } | Step::Facts { .. } => {}
        }
        assert!(connection.footprint() <= MAX_FOOTPRINT, "{} bytes", connection.footprint());
    }
    if !watch.unreadable {
        connection.close(|event| watch.take(&event));
    }
    // A request whose answer has ended before it has no end of its own.
    assert!(watch.exchanges.values().all(|known| known.ended[1]), "an answer has no end");
    // And what a process may do to us that speaks no HTTP: raw bytes, in both directions.
    let mut connection = h1::Connection::new(0);
    for direction in [Direction::Write, Direction::Read] {
        connection.feed(direction, data, &key, |_| {});
    }
});
