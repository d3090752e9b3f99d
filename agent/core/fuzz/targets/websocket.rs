//! WebSockets, compressed or not: a message cut anywhere is the same message, and what is held back
//! has a bound.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_core::http::h1::Connection;
use weir_core::http::{Event, Side};
use weir_core::secret::FingerprintKey;
use weir_core::units::Direction;
use weir_fuzz::parts;

const REQUEST: &[u8] = b"GET /v1/realtime HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

/// Two buffers of 8 MiB in each direction, that have grown by doubling.
const MAX_FOOTPRINT: usize = 2 * 2 * 2 * 8 * 1024 * 1024;

/// The messages of both sides in `data`, sent in those parts.
fn messages(cut: &[&[u8]]) -> Vec<(bool, Option<Vec<u8>>)> {
    let key = FingerprintKey::new([7; 32]);
    let mut connection = Connection::new(0);
    let mut seen = Vec::new();
    let mut take = |event: Event<'_>| {
        if let Event::Message { side, text, .. } = event {
            seen.push((side == Side::Request, text.map(<[u8]>::to_vec)));
        }
    };
    connection.feed(Direction::Write, REQUEST, &key, &mut take);
    connection.feed(Direction::Read, SWITCH, &key, &mut take);
    for direction in [Direction::Read, Direction::Write] {
        for part in cut {
            connection.feed(direction, part, &key, &mut take);
            assert!(connection.footprint() <= MAX_FOOTPRINT, "{} bytes", connection.footprint());
        }
    }
    connection.close(&mut take);
    seen
}

fuzz_target!(|data: &[u8]| {
    assert_eq!(messages(&parts(data)), messages(&[data]));
});
