//! WebSockets in streams.

use flate2::{Compress, Compression, FlushCompress};

use super::*;
use crate::http::websocket::MAX_MESSAGE;

/// `:method: CONNECT`, `:protocol: websocket`, `:scheme: https`, `:path: /s`, `:authority: h`; nothing
/// of it is inserted.
const CONNECT: &[u8] = b"\x02\x07CONNECT\x00\x09:protocol\x09websocket\x87\x04\x02/s\x01\x01h";
/// `:status: 200` and `permessage-deflate`.
const DEFLATE: &[u8] = b"\x88\x00\x18sec-websocket-extensions\x12permessage-deflate";
const ONE: &[u8] = b"\x81\x03one";
/// Masked with zeros.
const TWO: &[u8] = b"\x81\x83\0\0\0\0two";
const BYE: &[u8] = b"\x88\0";

pub(super) fn offer(stream: u32) -> Vec<u8> {
    frame(1, 4, stream, CONNECT)
}

fn carried(stream: u32, bytes: &[u8]) -> Vec<u8> {
    frame(0, 0, stream, bytes)
}

/// What becomes of stream 1, after the request and an answer of that header block.
fn session(answer: &[u8], acts: &[Act]) -> Vec<String> {
    let begin = [
        Bytes(Write, [PREFACE, &settings(), &offer(1)].concat()),
        Bytes(Read, [settings(), frame(1, 4, 1, answer)].concat()),
    ];
    let log = run(&begin.into_iter().chain(acts.iter().cloned()).collect::<Vec<Act>>());
    assert_eq!(log.lines[..3], ["0 Client Connect h /s", "0 Request Whole", "0 200"]);
    log.lines[3..].to_vec()
}

#[test]
fn a_stream_turns_into_a_session() {
    let lines = session(
        OK,
        &[
            Bytes(Read, carried(1, ONE)),
            Bytes(Write, carried(1, &TWO[..3])),
            Bytes(Write, carried(1, &TWO[3..])),
            Bytes(Write, carried(1, BYE)),
            Bytes(Write, last(1, "")),
            Bytes(Read, carried(1, &[ONE, BYE, ONE].concat())),
            Bytes(Read, [carried(1, ONE), last(1, "")].concat()),
            // What it was in is read on.
            Bytes(Write, frame(1, 5, 3, POST)),
            Bytes(Read, frame(1, 5, 3, OK)),
            Close,
        ],
    );
    assert_eq!(
        lines,
        [
            "0 Response says Some(\"one\")",
            "0 Request says Some(\"two\")",
            "0 Response says Some(\"one\")",
            "0 Response Whole",
            "1 Client Post h /a",
            "1 Request Whole",
            "1 200",
            "1 Response Whole",
        ]
    );
}

#[test]
fn a_session_ends_with_its_stream() {
    for (act, ending) in [
        (Bytes(Read, last(1, "")), "Closed"),
        (Bytes(Read, frame(1, 5, 1, b"\x00\x01t\x01v")), "Closed"),
        (Bytes(Read, frame(3, 0, 1, &[0; 4])), "Closed"),
        (Bytes(Write, frame(3, 0, 1, &[0; 4])), "Closed"),
        (Bytes(Read, frame(7, 0, 0, &[0; 8])), "Closed"),
        (Close, "Closed"),
        (Bytes(Read, carried(1, BYE)), "Whole"),
    ] {
        // Whoever has said all that it wanted to may still be answered.
        let asked = Bytes(Write, frame(0, 1, 1, &[TWO, b"\x81"].concat()));
        let lines = session(OK, &[asked, Bytes(Read, carried(1, ONE)), act.clone(), Close]);
        let said = ["0 Request says Some(\"two\")", "0 Response says Some(\"one\")"];
        assert_eq!(lines[..2], said);
        assert_eq!(lines[2..], [format!("0 Response {ending}")], "{act:?}");
    }
}

#[test]
fn a_hole_costs_a_session_what_it_hits() {
    let (one, none, two) =
        ("0 Response says Some(\"one\")", "0 Response says None", "0 Request says Some(\"two\")");
    let after = || [Bytes(Read, carried(1, ONE)), Bytes(Write, carried(1, TWO))];
    let padded = frame(0, 8, 1, b"\x02\x81\x03one\0\0");
    for (acts, lines) in [
        // Inside a frame of the session, to its end.
        (
            vec![Bytes(Read, carried(1, ONE)[..11].to_vec()), Hole(Read, 3)],
            vec!["0 Response lost 3", none, one, two],
        ),
        // Padding is none of it.
        (vec![Bytes(Read, padded[..15].to_vec()), Hole(Read, 2)], vec![one, one, two]),
        // Without the length of the padding nobody knows how much of it is missing.
        (
            vec![Bytes(Read, padded[..9].to_vec()), Hole(Read, 8)],
            vec!["0 Response lost 8", none, two],
        ),
        // Across frames, be they of this stream or not.
        (vec![Hole(Read, 30)], vec!["0 Response lost 30", none, two]),
        (vec![Hole(Write, 30)], vec!["0 Request lost 30", "0 Request says None", one]),
    ] {
        let acts: Vec<Act> = acts.into_iter().chain(after()).collect();
        assert_eq!(session(OK, &acts), lines, "{acts:?}");
    }
    // Where neither side can be read any more, it is over for us.
    let lines = session(OK, &[Hole(Read, 9), Hole(Write, 9), Close]);
    assert_eq!(lines.last().map(String::as_str), Some("0 Response Lost"));
    assert_eq!(lines.len(), 5);
}

#[test]
fn what_comes_before_the_answer_is_not_read_as_frames() {
    for (early, lines) in [
        (Bytes(Write, carried(1, TWO)), &[][..]),
        (Bytes(Write, last(1, "")), &[]),
        (Hole(Write, 20), &["0 Request lost 20"]),
    ] {
        let log = run(&[
            Bytes(Write, [PREFACE, &offer(1)].concat()),
            early,
            Bytes(Read, ok(1)),
            Bytes(Write, carried(1, TWO)),
            Bytes(Read, carried(1, ONE)),
        ]);
        let ended: Vec<&str> = log.lines.iter().map(String::as_str).collect();
        let said = ["0 200", "0 Request says None", "0 Response says Some(\"one\")"];
        assert_eq!(ended[1..=lines.len()], *lines);
        assert_eq!(ended[lines.len() + 2..], said);
    }
}

#[test]
fn only_what_is_agreed_to_is_read_as_frames() {
    let other = |protocol: &[u8]| {
        let length = u8::try_from(protocol.len()).unwrap();
        [&b"\x02\x07CONNECT\x00\x09:protocol"[..], &[length], protocol, b"\x87\x01\x01h"].concat()
    };
    let strange = [OK, b"\x00\x18sec-websocket-extensions\x01x"].concat();
    for (request, answer, body) in [
        (CONNECT.to_vec(), OK.to_vec(), ""),
        // What may change how frames look, and what is no WebSocket at all.
        (CONNECT.to_vec(), strange, ""),
        (other(b"connect-udp"), OK.to_vec(), "\u{fffd}\u{3}one"),
        (b"\x02\x07CONNECT\x01\x01h".to_vec(), OK.to_vec(), "\u{fffd}\u{3}one"),
        (POST.to_vec(), OK.to_vec(), "\u{fffd}\u{3}one"),
        // It is refused.
        (CONNECT.to_vec(), b"\x8d".to_vec(), "\u{fffd}\u{3}one"),
    ] {
        let log = run(&[
            Bytes(Write, [PREFACE, &frame(1, 4, 1, &request)].concat()),
            Bytes(Read, [frame(1, 4, 1, &answer), carried(1, ONE)].concat()),
            Close,
        ]);
        let said = log.lines.iter().any(|line| line.contains("says"));
        assert_eq!((said, log.body(0, Side::Response)), (request == CONNECT && answer == OK, body));
        assert_eq!(log.lines.last().map(String::as_str), Some("0 Response Closed"));
    }
}

#[test]
fn what_is_not_known_of_a_session_its_frames_tell() {
    // Of what was sent before anybody looked, the request's protocol and the answer's extensions.
    let request = b"\x02\x07CONNECT\x87\xbe\x01\x01h";
    let frames = compressed(&[("one one", true), ("plain", false), ("one two", true)]);
    let log = run(&[
        Bytes(Write, frame(1, 4, 9, request)),
        Bytes(Read, [frame(1, 4, 9, b"\x88\xbe"), carried(9, &frames)].concat()),
    ]);
    let said =
        ["one one", "plain", "one two"].map(|text| format!("0 Response says Some({text:?})"));
    assert_eq!(log.lines[3..], said);
}

#[test]
fn a_session_of_no_use_is_passed_over() {
    let key = FingerprintKey::new(KEY);
    let mut connection = Connection::new(0);
    let mut log = Log::default();
    let asked = [PREFACE, &offer(1), &frame(1, 5, 3, POST)].concat();
    connection.feed(Write, &asked, &key, |event| log.add(event));
    let begun = [ok(1), carried(1, ONE), carried(1, b"\x81\x0fsome")].concat();
    connection.feed(Read, &begun, &key, |event| log.add(event));
    connection.pass_over(0);
    connection.pass_over(1);
    let rest = [carried(1, b"thing"), ok(3), carried(1, ONE), last(3, "a"), last(1, "")].concat();
    connection.feed(Read, &rest, &key, |event| log.add(event));
    assert_eq!(
        log.lines[5..],
        ["0 Response says Some(\"one\")", "1 200", "1 Response Whole", "0 Response Whole",]
    );
}

#[test]
fn sessions_hold_no_more_than_they_say() {
    let key = FingerprintKey::new(KEY);
    let mut connection = Connection::new(0);
    let ids: Vec<u32> = (0..40).map(|number| 2 * number + 1).collect();
    let offers: Vec<u8> = ids.iter().flat_map(|&id| offer(id)).collect();
    connection.feed(Write, &[PREFACE, &offers].concat(), &key, |_| {});
    for &id in &ids {
        connection.feed(Read, &frame(1, 4, id, DEFLATE), &key, |_| {});
    }
    let before = connection.footprint();
    for &id in &ids {
        connection.feed(Read, &carried(id, b"\x01\x7e\x40\x00"), &key, |_| {});
        connection.feed(Read, &carried(id, &[b'x'; 0x4000]), &key, |_| {});
    }
    assert!(connection.footprint() >= before + ids.len() * 0x4000);
    // Of a message that is too long nothing is held.
    for _ in 0..2 * MAX_MESSAGE / 0x4000 {
        connection.feed(Read, &carried(1, b"\0\x7e\x40\x00"), &key, |_| {});
        connection.feed(Read, &carried(1, &[b'x'; 0x4000]), &key, |_| {});
        assert!(connection.footprint() <= before + 2 * MAX_MESSAGE + ids.len() * 0x8000);
    }
    connection.close(|_| {});
    assert!(connection.footprint() <= before);
}

/// The frames of messages as a server sends them, compressed where that is said, each with the ones
/// before as context.
fn compressed(messages: &[(&str, bool)]) -> Vec<u8> {
    let mut deflate = Compress::new(Compression::default(), false);
    let mut bytes = Vec::new();
    for (text, is_compressed) in messages {
        let mut payload = text.as_bytes().to_vec();
        if *is_compressed {
            payload = Vec::with_capacity(text.len() + 1024);
            deflate.compress_vec(text.as_bytes(), &mut payload, FlushCompress::Sync).unwrap();
            payload.truncate(payload.len() - 4);
        }
        let flags = if *is_compressed { 0xc1 } else { 0x81 };
        bytes.extend([flags, u8::try_from(payload.len()).unwrap()]);
        bytes.extend(payload);
    }
    bytes
}

/// A session in DATA frames that end where `cuts` says, some of them padded, with another stream's in
/// between.
fn woven(frames: &[u8], cuts: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    let mut ends: Vec<(usize, u8)> =
        cuts.iter().map(|(cut, padding)| (cut.index(frames.len() + 1), *padding)).collect();
    ends.push((frames.len(), 0));
    ends.sort_unstable();
    let mut bytes = Vec::new();
    let mut from = 0;
    for (to, padding) in ends {
        let part = &frames[from..to];
        from = to;
        if padding % 3 == 0 {
            bytes.extend(carried(1, part));
        } else {
            let zeros = vec![0; usize::from(padding)];
            bytes.extend(frame(0, 8, 1, &[&[padding], part, &zeros].concat()));
            bytes.extend(data(3, "x"));
        }
    }
    bytes
}

const MESSAGES: [(&str, bool); 5] = [
    ("one one one one", true),
    ("plain", false),
    ("one two one two", true),
    ("", true),
    ("two three one plain two", true),
];

/// What is said of the session, the rest of both streams included.
fn spoken_in(parts: Vec<Act>) -> Log {
    let mut acts = vec![
        Bytes(Write, [PREFACE, &offer(1), &frame(1, 5, 3, POST)].concat()),
        Bytes(Read, [frame(1, 4, 1, DEFLATE), ok(3)].concat()),
    ];
    acts.extend(parts);
    acts.push(Close);
    run(&acts)
}

proptest! {
    #[test]
    fn any_frames_and_any_segments_give_the_same_session(
        frames in prop::collection::vec((any::<prop::sample::Index>(), 0u8..9), 0..20),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let bytes = woven(&compressed(&MESSAGES), &frames);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let parts = cuts.windows(2).map(|pair| Bytes(Read, bytes[pair[0]..pair[1]].to_vec()));
        let log = spoken_in(parts.collect());
        let said: Vec<String> =
            MESSAGES.iter().map(|(text, _)| format!("0 Response says Some({text:?})")).collect();
        prop_assert_eq!(&log.lines[6..11], said);
        prop_assert_eq!(&log.lines[11..], ["0 Response Closed", "1 Response Closed"]);
        let padded = bytes.windows(9).filter(|head| head.starts_with(b"\0\0\x01\0\0\0\0\0\x03"));
        prop_assert_eq!(log.body(1, Side::Response).len(), padded.count());
    }

    /// Whatever is missing, nothing is said that was not.
    #[test]
    fn a_hole_in_a_session_makes_no_message(
        frames in prop::collection::vec((any::<prop::sample::Index>(), 0u8..9), 0..20),
        from: prop::sample::Index,
        length in 1usize..60,
    ) {
        let bytes = woven(&compressed(&MESSAGES), &frames);
        let from = from.index(bytes.len());
        let to = bytes.len().min(from + length);
        let log = spoken_in(vec![
            Bytes(Read, bytes[..from].to_vec()),
            Hole(Read, (to - from) as u64),
            Bytes(Read, bytes[to..].to_vec()),
        ]);
        let mut whole = MESSAGES.iter().map(|(text, _)| format!("0 Response says Some({text:?})"));
        for line in log.lines.iter().filter(|line| line.contains("says Some")) {
            prop_assert!(whole.any(|said| said == *line), "{log:?}");
        }
    }
}
