//! WebSockets, compressed or not, from their beginning or joined later: a message cut anywhere is the
//! same message, and what is held back has a bound.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_core::http::Connection;
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

/// What a session that is joined is found by.
const FOUND: &[u8] = b"\x81\x08{\"a\": 1}";

const BOTH: &[Direction] = &[Direction::Read, Direction::Write];

/// The messages of both sides after `before`, if that is gone on with by those parts of what comes in
/// each of `directions`.
fn messages(
    before: &[(Direction, &[u8])],
    directions: &[Direction],
    parts: &[&[u8]],
) -> Vec<(bool, Option<Vec<u8>>)> {
    let key = FingerprintKey::new([7; 32]);
    let mut connection = Connection::new(0);
    let mut seen = Vec::new();
    let mut take = |event: Event<'_>| {
        if let Event::Message { side, text, .. } = event {
            seen.push((side == Side::Request, text.map(<[u8]>::to_vec)));
        }
    };
    for (direction, bytes) in before {
        connection.feed(*direction, bytes, &key, &mut take);
    }
    for direction in directions {
        for part in parts {
            connection.feed(*direction, part, &key, &mut take);
            assert!(connection.footprint() <= MAX_FOOTPRINT, "{} bytes", connection.footprint());
        }
    }
    connection.close(&mut take);
    seen
}

fuzz_target!(|data: &[u8]| {
    let parts = parts(data);
    for (before, directions) in [
        (&[(Direction::Write, REQUEST), (Direction::Read, SWITCH)][..], BOTH),
        (&[(Direction::Read, FOUND)], &[Direction::Read]),
    ] {
        assert_eq!(messages(before, directions, &parts), messages(before, directions, &[data]));
    }
    // Where nothing was found, it depends on the cuts what is.
    messages(&[], BOTH, &parts);
});
