//! WebSockets, compressed or not, from their beginning or joined later: a message cut anywhere is the
//! same message, whatever carries it, and what is held back has a bound.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_core::http::{Connection, Event, Side, h2};
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

/// Headers of stream 1: `:method: CONNECT`, `:protocol: websocket`, `:scheme: https`, `:path: /s`.
const OFFER: &[u8] = b"\0\0\x23\x01\x04\0\0\0\x01\x02\x07CONNECT\x00\x09:protocol\x09websocket\x87\x04\x02/s";
/// And `:status: 200`, `sec-websocket-extensions: permessage-deflate`.
const AGREE: &[u8] =
    b"\0\0\x2e\x01\x04\0\0\0\x01\x88\x00\x18sec-websocket-extensions\x12permessage-deflate";

/// The same where each part is a DATA frame of a stream of HTTP/2.
fn messages_in_a_stream(cut: &[&[u8]]) -> Vec<(bool, Option<Vec<u8>>)> {
    let key = FingerprintKey::new([7; 32]);
    let mut connection = h2::Connection::new(0);
    let mut seen = Vec::new();
    let mut take = |event: Event<'_>| {
        if let Event::Message { side, text, .. } = event {
            seen.push((side == Side::Request, text.map(<[u8]>::to_vec)));
        }
    };
    connection.feed(Direction::Write, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &key, &mut take);
    connection.feed(Direction::Write, OFFER, &key, &mut take);
    connection.feed(Direction::Read, AGREE, &key, &mut take);
    for direction in [Direction::Read, Direction::Write] {
        for part in cut.iter().flat_map(|part| part.chunks(0x4000)) {
            let [_, l1, l2, l3] = u32::try_from(part.len()).unwrap_or(0).to_be_bytes();
            connection.feed(direction, &[l1, l2, l3, 0, 0, 0, 0, 0, 1], &key, &mut take);
            connection.feed(direction, part, &key, &mut take);
            assert!(connection.footprint() <= MAX_FOOTPRINT, "{} bytes", connection.footprint());
        }
    }
    connection.close(&mut take);
    seen
}

fuzz_target!(|data: &[u8]| {
    let parts = parts(data);
    let switched = &[(Direction::Write, REQUEST), (Direction::Read, SWITCH)];
    assert_eq!(messages_in_a_stream(&parts), messages(switched, BOTH, &[data]));
    for (before, directions) in [
        (&switched[..], BOTH),
        (&[(Direction::Read, FOUND)], &[Direction::Read]),
    ] {
        assert_eq!(messages(before, directions, &parts), messages(before, directions, &[data]));
    }
    // Where nothing was found, it depends on the cuts what is.
    messages(&[], BOTH, &parts);
});
