mod sessions;

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use Direction::{Read, Write};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const KEY: [u8; 32] = [0; 32];

/// What happened, by exchange and side: heads and endings, and what there was of bodies.
#[derive(Debug, Default, PartialEq, Eq)]
struct Log {
    lines: Vec<String>,
    bodies: BTreeMap<(u64, bool), String>,
}

impl Log {
    fn add(&mut self, event: Event<'_>) {
        match event {
            Event::Request { exchange, role, head } => {
                let host = head.host.as_deref().unwrap_or("?");
                self.lines
                    .push(format!("{exchange} {role:?} {:?} {host} {}", head.method, head.path));
            }
            Event::Response { exchange, head, .. } => {
                self.lines.push(format!("{exchange} {}", head.status));
            }
            Event::Body { exchange, side, data } => {
                assert!(!data.is_empty());
                let body = self.bodies.entry((exchange, side == Side::Request)).or_default();
                body.push_str(&String::from_utf8_lossy(data));
            }
            Event::Lost { exchange, side, bytes } => {
                self.lines.push(format!("{exchange} {side:?} lost {bytes}"));
            }
            Event::End { exchange, side, ending } => {
                self.lines.push(format!("{exchange} {side:?} {ending:?}"));
            }
            Event::Message { exchange, side, text } => {
                let text = text.map(String::from_utf8_lossy);
                self.lines.push(format!("{exchange} {side:?} says {text:?}"));
            }
            Event::Unreadable(why) => self.lines.push(why.as_str().to_owned()),
        }
    }

    fn body(&self, exchange: u64, side: Side) -> &str {
        self.bodies.get(&(exchange, side == Side::Request)).map_or("", String::as_str)
    }
}

#[derive(Clone, Debug)]
enum Act {
    Bytes(Direction, Vec<u8>),
    Hole(Direction, u64),
    Close,
}
use Act::{Bytes, Close, Hole};

fn run(acts: &[Act]) -> Log {
    let key = FingerprintKey::new(KEY);
    let mut connection = Connection::new(0);
    let mut log = Log::default();
    for act in acts {
        match act {
            Bytes(direction, data) => {
                connection.feed(*direction, data, &key, |event| log.add(event));
            }
            Hole(direction, bytes) => {
                connection.lose(*direction, *bytes, &key, |event| log.add(event));
            }
            Close => connection.close(|event| log.add(event)),
        }
    }
    log
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// `:method: POST`, `:scheme: https`, `:path: /a`, which is inserted; `:authority: h`, which is too.
const POST: &[u8] = b"\x83\x87\x44\x02/a\x41\x01h";
/// The same, by reference.
const POST_AGAIN: &[u8] = b"\x83\x87\xbf\xbe";
/// `:status: 200`.
const OK: &[u8] = b"\x88";

fn settings() -> Vec<u8> {
    frame(4, 0, 0, b"\0\x03\0\0\0\x64")
}

fn post(stream: u32) -> Vec<u8> {
    frame(1, 4, stream, POST)
}

fn ok(stream: u32) -> Vec<u8> {
    frame(1, 4, stream, OK)
}

fn data(stream: u32, text: &str) -> Vec<u8> {
    frame(0, 0, stream, text.as_bytes())
}

fn last(stream: u32, text: &str) -> Vec<u8> {
    frame(0, 1, stream, text.as_bytes())
}

#[test]
fn streams_are_exchanges() {
    let log = run(&[
        Bytes(Write, [PREFACE, &settings(), &post(1), &data(1, "qu"), &post(3)].concat()),
        Bytes(Read, [settings(), frame(4, 1, 0, b""), frame(6, 0, 0, &[7; 8])].concat()),
        Bytes(Write, [last(1, "estion"), frame(1, 5, 5, POST_AGAIN), last(3, "")].concat()),
        // An interim answer; then the answers, mixed.
        Bytes(Read, [frame(1, 4, 1, b"\x08\x03103"), ok(3), data(3, "b1"), ok(1)].concat()),
        Bytes(Read, [data(1, "a1"), data(3, "b2"), frame(8, 0, 0, &[0, 0, 1, 0])].concat()),
        // One ends with trailers, one without a body, one with its last data.
        Bytes(
            Read,
            [frame(1, 5, 1, b"\x00\x01t\x01v"), frame(1, 5, 5, OK), last(3, "b3")].concat(),
        ),
    ]);
    assert_eq!(
        log.lines,
        [
            "0 Client Post h /a",
            "1 Client Post h /a",
            "0 Request Whole",
            "2 Client Post h /a",
            "2 Request Whole",
            "1 Request Whole",
            "1 200",
            "0 200",
            "0 Response Whole",
            "2 200",
            "2 Response Whole",
            "1 Response Whole",
        ]
    );
    assert_eq!(log.body(0, Side::Request), "question");
    assert_eq!((log.body(0, Side::Response), log.body(1, Side::Response)), ("a1", "b1b2b3"));
}

#[test]
fn blocks_come_in_parts_padded_and_with_priority() {
    let (first, second) = POST.split_at(4);
    let mut padded = vec![3, 0, 0, 0, 0, 15];
    padded.extend(first);
    padded.extend([0; 3]);
    let log = run(&[
        Bytes(Write, [PREFACE, &frame(1, 0x28, 1, &padded)].concat()),
        Bytes(Write, [frame(9, 0, 1, &second[..1]), frame(9, 4, 1, &second[1..])].concat()),
        Bytes(Write, frame(0, 9, 1, b"\x02body\0\0")),
        // What a server promises is nobody's call, but its fields are inserted all the same.
        Bytes(Read, frame(5, 4, 1, b"\0\0\0\x02\x82\x48\x03429")),
        Bytes(Read, [frame(1, 4, 2, OK), last(2, "pushed"), frame(1, 5, 1, b"\xbe")].concat()),
    ]);
    assert_eq!(log.lines, ["0 Client Post h /a", "0 Request Whole", "0 429", "0 Response Whole"]);
    assert_eq!(log.body(0, Side::Request), "body");
}

#[test]
fn streams_are_given_up() {
    for (direction, act, lines) in [
        (Write, frame(3, 0, 1, &[0, 0, 0, 8]), &["0 Request Closed", "0 Response Closed"][..]),
        (Read, frame(3, 0, 1, &[0, 0, 0, 7]), &["0 Request Closed", "0 Response Closed"]),
        (Read, frame(7, 0, 0, &[0; 8]), &["0 Request Closed", "0 Response Closed"]),
        (Read, frame(7, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]), &[]),
        (Write, frame(7, 0, 0, &[0; 8]), &[]),
    ] {
        let log = run(&[
            Bytes(Write, [PREFACE, &post(1), &data(1, "q")].concat()),
            Bytes(Read, [settings(), ok(1), data(1, "an")].concat()),
            Bytes(direction, act),
            Bytes(Read, [data(1, "swer"), ok(1)].concat()),
        ]);
        assert_eq!(log.lines[..2], ["0 Client Post h /a", "0 200"]);
        assert_eq!(log.lines[2..], *lines);
        assert_eq!(log.body(0, Side::Response), if lines.is_empty() { "answer" } else { "an" });
    }
    let log = run(&[Bytes(Write, [PREFACE, &post(1)].concat()), Close]);
    assert_eq!(log.lines[1..], ["0 Request Closed", "0 Response Closed"]);
}

#[test]
fn the_server_end_is_read_too() {
    let log = run(&[
        Bytes(Read, [PREFACE, &post(1)].concat()),
        Bytes(Write, [settings(), frame(1, 5, 1, OK)].concat()),
    ]);
    assert_eq!(log.lines[..2], ["0 Server Post h /a", "0 200"]);
}

#[test]
fn a_connection_is_joined_in_the_middle() {
    // Of the request, all but the method refers to what was sent before.
    let log = run(&[
        Bytes(Write, b"the rest of some body".to_vec()),
        Bytes(Write, [frame(1, 4, 9, POST_AGAIN), last(9, "q")].concat()),
        Bytes(Read, [ok(7), last(7, "of the one before"), ok(9), last(9, "a")].concat()),
        Bytes(Write, frame(1, 5, 11, POST)),
        Bytes(Write, frame(1, 5, 13, POST_AGAIN)),
    ]);
    assert_eq!(
        log.lines,
        [
            "0 Client Post ? ",
            "0 Request Whole",
            "1 200",
            "1 Response Whole",
            "0 200",
            "0 Response Whole",
            "2 Client Post h /a",
            "2 Request Whole",
            "3 Client Post h /a",
            "3 Request Whole",
        ]
    );
    // A status that refers to what was sent before: the answer can't be read, and it is said so.
    let log = run(&[
        Bytes(Write, frame(1, 5, 9, POST_AGAIN)),
        Bytes(Read, [frame(1, 4, 9, b"\xbe"), last(9, "a")].concat()),
    ]);
    assert_eq!(log.lines[2..], ["0 Response Lost"]);
    // A method likewise: its answer is taken for that of a request that nobody saw.
    let log = run(&[
        Bytes(Write, [frame(1, 5, 9, b"\x87\xbe"), settings()].concat()),
        Bytes(Read, [ok(9), last(9, "a")].concat()),
    ]);
    assert_eq!(log.lines, ["0 200", "0 Response Whole"]);
}

#[test]
fn a_hole_inside_a_body_costs_its_bytes_only() {
    let begun = || {
        vec![
            Bytes(Write, [PREFACE, &post(1), &last(1, "q")].concat()),
            Bytes(Read, [settings(), ok(1)].concat()),
        ]
    };
    let padded = frame(0, 8, 1, b"\x04abcdef\0\0\0\0");
    for (read, hole, bytes) in [
        (&data(1, "abcdef")[..11], 3, 3),
        (&data(1, "abcdef")[..11], 4, 4),
        (&padded[..12], 2, 2),
        (&padded[..12], 8, 4),
        // Without the length of the padding, nobody knows what is body.
        (&padded[..9], 5, 11),
    ] {
        let whole = if read[4] == 8 { &padded } else { &data(1, "abcdef") };
        let rest = &whole[read.len() + usize::try_from(hole).unwrap()..];
        let mut acts = begun();
        acts.extend([
            Bytes(Read, read.to_vec()),
            Hole(Read, hole),
            Bytes(Read, [rest, &last(1, "!")].concat()),
        ]);
        let lines = run(&acts).lines;
        assert_eq!(lines[3..], [format!("0 Response lost {bytes}"), "0 Response Whole".into()]);
    }
    // In padding, and in what is passed over, nothing is lost at all.
    for (frame, seen, hole) in [(padded.clone(), 17, 3), (settings(), 9, 6), (settings(), 12, 1)] {
        let mut acts = begun();
        acts.extend([
            Bytes(Read, frame[..seen].to_vec()),
            Hole(Read, hole),
            Bytes(Read, frame[seen + usize::try_from(hole).unwrap()..].to_vec()),
            Bytes(Read, last(1, "!")),
        ]);
        assert_eq!(run(&acts).lines[3..], ["0 Response Whole"]);
    }
}

#[test]
fn a_hole_inside_a_header_block_leaves_what_it_said_unknown() {
    let block = frame(1, 4, 1, POST);
    let log = run(&[
        Bytes(Write, [PREFACE, &block[..12]].concat()),
        Hole(Write, 2),
        Bytes(Write, [&block[14..], &last(1, "q")].concat()),
        Bytes(Write, frame(1, 5, 3, POST_AGAIN)),
        Bytes(Read, [ok(1), last(1, "a")].concat()),
    ]);
    assert_eq!(
        log.lines,
        ["1 Client Post ? ", "1 Request Whole", "0 200", "0 Request lost 2", "0 Response Whole"]
    );
    let block = frame(1, 4, 1, b"\x48\x03429");
    let log = run(&[
        Bytes(Write, [PREFACE, &frame(1, 5, 1, POST)].concat()),
        Bytes(Read, block[..10].to_vec()),
        Hole(Read, 4),
        Bytes(Read, last(1, "answer")),
    ]);
    assert_eq!(log.lines[2..], ["0 Response lost 4", "0 Response Lost"]);
}

#[test]
fn after_a_hole_across_frames_the_next_one_is_found() {
    let log = run(&[
        Bytes(Write, [PREFACE, &post(1), &last(1, "q"), &post(3), &data(3, "q")].concat()),
        Bytes(Read, [ok(1), data(1, "a")].concat()),
        Hole(Read, 100),
        Bytes(Read, b"the rest of something".to_vec()),
        // What goes on here is over for us; what begins here isn't.
        Bytes(Read, [data(1, "b"), ok(3), data(3, "c")].concat()),
        Hole(Write, 50),
        Bytes(Write, frame(1, 5, 5, POST_AGAIN)),
        Bytes(Read, last(3, "d")),
    ]);
    assert_eq!(
        log.lines[3..],
        [
            "0 200",
            "0 Response lost 100",
            "0 Response Lost",
            "1 Response lost 100",
            "1 200",
            "1 Request lost 50",
            "1 Request Lost",
            "2 Client Post ? ",
            "2 Request Whole",
            "1 Response Whole",
        ]
    );
    assert_eq!((log.body(0, Side::Response), log.body(1, Side::Response)), ("a", "cd"));
}

#[test]
fn what_is_too_much_is_dropped_and_said() {
    let opened = |act: Vec<u8>| {
        let log = run(&[
            Bytes(Write, [PREFACE, &post(1)].concat()),
            Bytes(Read, act),
            Bytes(Read, last(1, "")),
        ]);
        log.lines[1..].join(", ")
    };
    let continued = |parts: usize| {
        let more = frame(9, 0, 1, b"").repeat(parts);
        [frame(1, 0, 1, OK), more, frame(9, 4, 1, b"")].concat()
    };
    assert!(opened(continued(15)).starts_with("0 200"));
    let lost = "0 Request Closed, 0 Response Lost";
    for too_much in [
        continued(16),
        frame(1, 4, 1, &[OK, &b"\x0f\x0d\x7f\xb0\xff\x03"[..], &[b'1'; 1 << 16]].concat()),
        frame(1, 4, 1, &[OK, &b"\x89".repeat(300)].concat()),
    ] {
        assert_eq!(opened(too_much), lost);
    }
    let many: Vec<u8> = (0..300).flat_map(|stream| frame(1, 5, 2 * stream + 1, POST)).collect();
    let log = run(&[Bytes(Write, [PREFACE, &many].concat())]);
    let given_up = log.lines.iter().filter(|line| line.ends_with("Response Lost")).count();
    assert_eq!(given_up, 300 - MAX_STREAMS);
}

#[test]
fn what_is_not_http_2_is_passed_over() {
    for bytes in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        // Plausible, but what it carries is no header block, or none of a message.
        frame(1, 5, 1, b"\x40\x7f\xff\xff"),
        frame(1, 5, 1, b"\x00\x01a\x01b"),
        [settings(), b"rubbish and so on".to_vec()].concat(),
        [PREFACE[..20].to_vec(), b"rubbish".to_vec()].concat(),
        b"*3\r\n$3\r\nSET\r\n".to_vec(),
    ] {
        let key = FingerprintKey::new(KEY);
        let mut connection = Connection::new(0);
        for direction in [Read, Write] {
            connection.feed(direction, &bytes, &key, |event| panic!("{event:?}"));
        }
        assert!(!connection.is_recognised() && connection.footprint() < 4096, "{bytes:x?}");
    }
}

/// A frame, and how many of the other direction's come before it.
type Turn = (Vec<u8>, usize);

/// A whole connection: what is written and what is read.
fn conversation() -> [Vec<Turn>; 2] {
    let first = [PREFACE, &settings()].concat();
    let write = vec![
        (first, 0),
        (post(1), 0),
        (frame(0, 8, 1, b"\x03quest\0\0\0"), 0),
        (frame(1, 0, 3, &POST_AGAIN[..2]), 0),
        (frame(9, 4, 3, &POST_AGAIN[2..]), 0),
        (last(1, "ion"), 0),
        (last(3, "{}"), 0),
        (frame(8, 0, 0, &[0, 0, 1, 0]), 4),
        (frame(1, 5, 5, POST_AGAIN), 5),
        (frame(3, 0, 5, &[0, 0, 0, 8]), 11),
    ];
    let read = vec![
        (settings(), 0),
        (frame(1, 4, 1, b"\x08\x03103"), 2),
        (ok(1), 2),
        (data(1, "an"), 6),
        (frame(1, 4, 3, b"\x88\x40\x01k\x01v"), 5),
        (data(3, "other"), 7),
        (frame(0x0c, 0, 0, b"extension"), 7),
        (data(1, "swer"), 7),
        (frame(1, 5, 1, b"\xbe"), 7),
        (frame(0, 9, 3, b"\x02 one\0\0"), 7),
        (frame(1, 4, 5, b"\x88\xbe"), 9),
        (frame(7, 0, 0, &[0, 0, 0, 5, 0, 0, 0, 0]), 10),
    ];
    [write, read]
}

/// The conversation, each direction's turn taken as `turns` says where both may speak, and each
/// frame cut where `cuts` says.
fn spoken(turns: &[bool], cuts: &[prop::sample::Index]) -> Vec<Act> {
    let [write, read] = conversation();
    let (mut written, mut answered) = (0, 0);
    let mut turns = turns.iter();
    let mut acts = Vec::new();
    let mut cuts = cuts.iter();
    while written < write.len() || answered < read.len() {
        let may_write = write.get(written).is_some_and(|(_, after)| answered >= *after);
        let may_read = read.get(answered).is_some_and(|(_, after)| written >= *after);
        assert!(may_write || may_read, "{written} {answered}");
        let reads = may_read && (!may_write || turns.next().copied().unwrap_or(false));
        let (direction, bytes) =
            if reads { (Read, &read[answered].0) } else { (Write, &write[written].0) };
        *(if reads { &mut answered } else { &mut written }) += 1;
        let cut = cuts.next().map_or(0, |cut| cut.index(bytes.len()));
        let (one, other) = bytes.split_at(cut);
        acts.extend([Bytes(direction, one.to_vec()), Bytes(direction, other.to_vec())]);
    }
    acts
}

fn sorted(mut log: Log) -> Log {
    log.lines.sort();
    log
}

proptest! {
    #[test]
    fn any_split_and_any_order_of_the_directions_give_the_same(
        turns in prop::collection::vec(any::<bool>(), 0..40),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let whole = sorted(run(&spoken(&[], &[])));
        assert_eq!(whole.body(0, Side::Request), "question");
        assert_eq!(whole.body(0, Side::Response), "answer");
        assert_eq!(whole.body(1, Side::Response), "other one");
        prop_assert!(whole.lines.contains(&"2 Response Closed".to_owned()));
        prop_assert_eq!(sorted(run(&spoken(&turns, &cuts))), whole);
    }

    /// Byte by byte and in one piece.
    #[test]
    fn any_segments_give_the_same(size in 1usize..60) {
        let whole = sorted(run(&spoken(&[], &[])));
        let mut acts = Vec::new();
        for act in spoken(&[], &[]) {
            let Bytes(direction, bytes) = act else { unreachable!() };
            acts.extend(bytes.chunks(size).map(|part| Bytes(direction, part.to_vec())));
        }
        prop_assert_eq!(sorted(run(&acts)), whole);
    }

    /// Whatever is missing of it, no message has bytes that it hasn't, and each is over once. What
    /// lost something says so.
    #[test]
    fn a_hole_anywhere_adds_nothing(
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        from: prop::sample::Index,
        count in 1usize..4,
    ) {
        let acts = spoken(&[], &cuts);
        let from = from.index(acts.len());
        let mut lossy = Vec::new();
        for (number, act) in (0..).zip(acts) {
            let Bytes(direction, bytes) = &act else { unreachable!() };
            if (from..from + count).contains(&number) && !bytes.is_empty() {
                lossy.push(Hole(*direction, bytes.len() as u64));
            } else {
                lossy.push(act);
            }
        }
        lossy.push(Close);
        let (log, whole) = (run(&lossy), run(&spoken(&[], &[])));
        for (place, body) in &log.bodies {
            let full: Vec<&str> = whole.bodies.values().map(String::as_str).collect();
            let told = |line: &&String| {
                line.starts_with(&format!("{} ", place.0))
                    && (line.contains("lost") || line.contains("Lost") || line.contains("Closed"))
            };
            let complete = full.contains(&body.as_str());
            prop_assert!(complete || log.lines.iter().any(|line| told(&line)), "{log:?}");
        }
    }

    #[test]
    fn no_bytes_break_the_order(
        steps in prop::collection::vec(
            (any::<bool>(), prop_oneof![
                Just(PREFACE.to_vec()),
                Just(settings()),
                (0u32..9).prop_map(post),
                (0u32..9).prop_map(ok),
                (0u32..9).prop_map(sessions::offer),
                (0u32..9).prop_map(|stream| frame(0, 0, stream, b"\x81\x03one")),
                (0u32..9).prop_map(|stream| data(stream, "some text")),
                (0u32..9).prop_map(|stream| last(stream, "")),
                (0u8..12, any::<u8>(), 0u32..9, prop::collection::vec(any::<u8>(), 0..20))
                    .prop_map(|(kind, flags, stream, payload)| frame(kind, flags, stream, &payload)),
                prop::collection::vec(any::<u8>(), 0..20),
            ], prop_oneof![4 => Just(0u64), 1 => 1u64..30]),
            0..60,
        ),
    ) {
        let key = FingerprintKey::new(KEY);
        let mut connection = Connection::new(0);
        let mut ended = std::collections::HashSet::new();
        let mut begun = std::collections::HashSet::new();
        let mut sessions = std::collections::HashSet::new();
        let mut check = |event: Event<'_>| match event {
            Event::Request { exchange, .. } => assert!(begun.insert((exchange, true))),
            Event::Response { exchange, head, .. } => {
                assert!(begun.insert((exchange, false)) && !ended.contains(&(exchange, false)));
                sessions.extend(head.websocket.map(|_| exchange));
            }
            Event::Body { exchange, side, .. } => {
                let message = (exchange, side == Side::Request);
                assert!(begun.contains(&message) && !ended.contains(&message));
            }
            // In a session both sides go on after the request's head.
            Event::Lost { exchange, side, .. } => {
                let over = side == Side::Response || !sessions.contains(&exchange);
                assert!(!over || !ended.contains(&(exchange, side == Side::Request)));
            }
            Event::End { exchange, side, .. } => {
                assert!(ended.insert((exchange, side == Side::Request)));
            }
            Event::Message { exchange, .. } => assert!(!ended.contains(&(exchange, false))),
            Event::Unreadable(_) => panic!("{event:?}"),
        };
        for (read, bytes, hole) in &steps {
            let direction = if *read { Read } else { Write };
            connection.feed(direction, bytes, &key, &mut check);
            if *hole > 0 {
                connection.lose(direction, *hole, &key, &mut check);
            }
            assert!(connection.streams.len() <= MAX_STREAMS && connection.ended.len() <= MAX_ENDED);
            assert!(connection.footprint() < 2 << 20);
        }
        connection.close(&mut check);
        for (exchange, _) in &begun {
            prop_assert!(ended.contains(&(*exchange, false)));
        }
    }
}
