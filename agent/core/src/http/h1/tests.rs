use proptest::prelude::*;

use super::*;
use crate::http::{Event, Side};
use Direction::{Read, Write};

/// One line an event; consecutive body pieces joined.
#[derive(Default)]
struct Log {
    lines: Vec<String>,
    body: Option<(u64, Side, String)>,
}

impl Log {
    fn add(&mut self, event: Event<'_>) {
        if let Event::Body { exchange, side, data } = &event {
            let text = String::from_utf8_lossy(data);
            match &mut self.body {
                Some((e, s, body)) if (*e, *s) == (*exchange, *side) => body.push_str(&text),
                _ => {
                    self.flush();
                    self.body = Some((*exchange, *side, text.into_owned()));
                }
            }
            return;
        }
        self.flush();
        self.lines.push(match event {
            Event::Request { exchange, head, .. } => {
                format!("{exchange} {:?} {}", head.method, head.path)
            }
            Event::Response { exchange, head, .. } => format!("{exchange} {}", head.status),
            Event::Message { exchange, side, text } => {
                format!("{exchange} {side:?} says {:?}", text.map(String::from_utf8_lossy))
            }
            Event::Lost { exchange, side, bytes } => format!("{exchange} {side:?} lost {bytes}"),
            Event::End { exchange, side, ending } => format!("{exchange} {side:?} {ending:?}"),
            Event::Unreadable(why) => why.as_str().to_owned(),
            Event::Body { .. } => unreachable!("handled above"),
        });
    }

    fn flush(&mut self) {
        if let Some((exchange, side, body)) = self.body.take() {
            self.lines.push(format!("{exchange} {side:?} {body:?}"));
        }
    }
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Bytes(Direction, &'a str),
    Raw(Direction, &'a [u8]),
    Hole(Direction, u64),
    Close,
}
use Step::{Bytes, Close, Hole, Raw};

fn run(steps: &[Step<'_>]) -> Vec<String> {
    let key = FingerprintKey::new([0; 32]);
    let mut connection = Connection::new(0);
    let mut log = Log::default();
    for step in steps {
        match step {
            Bytes(direction, text) => {
                connection.feed(*direction, text.as_bytes(), &key, |event| log.add(event));
            }
            Raw(direction, bytes) => {
                connection.feed(*direction, bytes, &key, |event| log.add(event));
            }
            Hole(direction, bytes) => {
                connection.lose(*direction, *bytes, &key, |event| log.add(event));
            }
            Close => connection.close(|event| log.add(event)),
        }
    }
    log.flush();
    log.lines
}

const GET: &str = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

#[test]
fn keep_alive_and_pipelining() {
    let lines = run(&[
        Bytes(Write, GET),
        Bytes(Write, "POST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /c HTTP/1.1\r\n\r\n"),
        Bytes(Read, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 204 No\r\n\r\n"),
        Bytes(
            Read,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nT: x\r\n\r\n",
        ),
    ]);
    assert_eq!(
        lines,
        [
            "0 Get /a",
            "0 Request Whole",
            "1 Post /b",
            "1 Request \"abc\"",
            "1 Request Whole",
            "2 Get /c",
            "2 Request Whole",
            "0 200",
            "0 Response \"hi\"",
            "0 Response Whole",
            "1 204",
            "1 Response Whole",
            "2 200",
            "2 Response \"abcd\"",
            "2 Response Whole",
        ]
    );
}

#[test]
fn interim_answers_and_head() {
    let lines = run(&[
        Bytes(Write, "HEAD / HTTP/1.1\r\n\r\n"),
        Bytes(Read, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"),
        Bytes(Read, "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"),
        Bytes(Write, GET),
        Bytes(Read, "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"),
    ]);
    assert_eq!(
        lines,
        [
            "0 Head /",
            "0 Request Whole",
            "0 200",
            "0 Response Whole",
            "1 Get /a",
            "1 Request Whole",
            "1 304",
            "1 Response Whole",
        ]
    );
}

#[test]
fn an_answer_may_end_with_the_connection() {
    let lines = run(&[Bytes(Write, GET), Bytes(Read, "HTTP/1.0 200 OK\r\n\r\nall of it"), Close]);
    assert_eq!(
        lines[2..],
        ["0 200".to_owned(), "0 Response \"all of it\"".into(), "0 Response Whole".into()]
    );
    let cut = run(&[
        Bytes(Write, GET),
        Bytes(Read, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nall"),
        Close,
    ]);
    assert_eq!(cut[3..], ["0 Response \"all\"".to_owned(), "0 Response Closed".into()]);
}

#[test]
fn the_server_end_is_read_too() {
    let lines =
        run(&[Bytes(Read, GET), Bytes(Write, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")]);
    assert_eq!(lines, ["0 Get /a", "0 Request Whole", "0 200", "0 Response Whole"]);
}

#[test]
fn a_connection_is_joined_in_the_middle() {
    let lines = run(&[
        Bytes(Read, "the rest of some body"),
        Bytes(Read, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        Bytes(Write, GET),
    ]);
    assert_eq!(
        lines,
        ["0 200", "0 Response \"ok\"", "0 Response Whole", "1 Get /a", "1 Request Whole"]
    );
}

#[test]
fn a_hole_inside_a_body_costs_its_bytes_only() {
    for head in ["Content-Length: 8", "Transfer-Encoding: chunked"] {
        let chunked = head.starts_with('T');
        let (start, end) = if chunked { ("8\r\nab", "gh\r\n0\r\n\r\n") } else { ("ab", "gh") };
        let head = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{start}");
        let lines = run(&[Bytes(Write, GET), Bytes(Read, &head), Hole(Read, 4), Bytes(Read, end)]);
        assert_eq!(
            lines[2..],
            [
                "0 200".to_owned(),
                "0 Response \"ab\"".into(),
                "0 Response lost 4".into(),
                "0 Response \"gh\"".into(),
                "0 Response Whole".into(),
            ]
        );
    }
}

#[test]
fn a_hole_to_the_very_end_of_a_body_ends_it() {
    let lines = run(&[
        Bytes(Write, GET),
        Bytes(Read, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nab"),
        Hole(Read, 6),
    ]);
    assert_eq!(lines[4..], ["0 Response lost 6".to_owned(), "0 Response Whole".into()]);
}

#[test]
fn after_a_hole_across_messages_the_next_one_is_found() {
    let lines = run(&[
        Bytes(Write, GET),
        Bytes(Read, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nab"),
        Hole(Read, 500),
        Bytes(Read, "rubbish"),
        Bytes(Write, GET),
        Bytes(Read, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"),
    ]);
    assert_eq!(
        lines[4..],
        [
            "0 Response lost 500",
            "0 Response Lost",
            "1 Get /a",
            "1 Request Whole",
            "1 201",
            "1 Response Whole",
        ]
    );
}

#[test]
fn what_is_not_http_1_is_said_once() {
    for (steps, why) in [
        (
            vec![
                Bytes(Write, GET),
                Bytes(Read, "HTTP/1.1 101 Switching\r\n\r\n"),
                Bytes(Write, GET),
            ],
            "upgraded",
        ),
        (
            vec![
                Bytes(Write, "CONNECT h:443 HTTP/1.1\r\n\r\n"),
                Bytes(Read, "HTTP/1.1 200 OK\r\n\r\n\x16\x03"),
                Bytes(Write, GET),
            ],
            "tunnel",
        ),
    ] {
        assert_eq!(run(&steps).last().map(String::as_str), Some(why));
    }
}

#[test]
fn an_endless_head_is_dropped() {
    let endless = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(70_000));
    assert_eq!(run(&[Bytes(Write, &endless), Bytes(Write, GET)]), ["0 Get /a", "0 Request Whole"]);
}

fn cut<'a>(text: &'a str, direction: Direction, cuts: &[prop::sample::Index]) -> Vec<Step<'a>> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
    cuts.extend([0, text.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| Bytes(direction, &text[pair[0]..pair[1]])).collect()
}

proptest! {
    #[test]
    fn any_split_gives_the_same(
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        answer_cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        const REQUESTS: &str = "POST /x HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello\r\n\
            POST /y HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\nGET /z HTTP/1.1\r\n\r\n";
        const ANSWERS: &str = "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
            a\r\n0123456789\r\n5;q\r\nabcde\r\n0\r\nTrailer: t\r\n\r\nHTTP/1.1 200 OK\nContent-Length: 3\n\nxyz\
            HTTP/1.1 404 No\r\nContent-Length: 1\r\n\r\n!";
        let whole = run(&[Bytes(Write, REQUESTS), Bytes(Read, ANSWERS)]);
        let mut steps = cut(REQUESTS, Write, &cuts);
        steps.extend(cut(ANSWERS, Read, &answer_cuts));
        prop_assert_eq!(run(&steps), whole);
    }

    /// Every exchange's messages begin before they end, and each ends once.
    #[test]
    fn no_bytes_break_the_order(
        steps in prop::collection::vec(
            (any::<bool>(), prop_oneof![
                Just("GET / HTTP/1.1\r\n\r\n".to_owned()),
                Just("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab".to_owned()),
                Just("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n".to_owned()),
                Just("HTTP/1.1 200 OK\r\n\r\n".to_owned()),
                "[0-9a-f\r\nPOSTH/1. ]{0,30}",
            ], 0u64..8),
            0..40,
        ),
    ) {
        let key = FingerprintKey::new([0; 32]);
        let mut connection = Connection::new(0);
        let mut ended = std::collections::HashSet::new();
        let mut begun = 0;
        let mut check = |event: Event<'_>| match event {
            Event::Request { exchange, .. } => { assert_eq!(exchange, begun); begun += 1; }
            Event::Response { exchange, .. } => begun = begun.max(exchange + 1),
            Event::Body { exchange, side, .. }
            | Event::Message { exchange, side, .. }
            | Event::Lost { exchange, side, .. } => {
                assert!(exchange < begun && !ended.contains(&(exchange, side == Side::Request)));
            }
            Event::End { exchange, side, .. } => {
                assert!(exchange < begun && ended.insert((exchange, side == Side::Request)));
            }
            Event::Unreadable(_) => {}
        };
        for (read, text, hole) in &steps {
            let direction = if *read { Read } else { Write };
            connection.feed(direction, text.as_bytes(), &key, &mut check);
            if *hole > 0 {
                connection.lose(direction, *hole, &key, &mut check);
            }
        }
        connection.close(&mut check);
        prop_assert_eq!(ended.iter().filter(|(_, request)| !request).count() as u64, begun);
    }
}

const UPGRADE: &str = "GET /s HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching\r\nUpgrade: WebSocket\r\n\r\n";
const ONE: &[u8] = b"\x81\x03one";
/// Masked with zeros.
const TWO: &[u8] = b"\x81\x83\0\0\0\0two";
const BYE: &[u8] = b"\x88\0";

/// What becomes of an upgraded connection, after the request and its answer.
fn session(steps: &[Step<'_>]) -> Vec<String> {
    let begin = [Bytes(Write, UPGRADE), Bytes(Read, SWITCH)];
    let steps: Vec<Step<'_>> = begin.into_iter().chain(steps.iter().copied()).collect();
    let lines = run(&steps);
    assert_eq!(lines[..3], ["0 Get /s", "0 Request Whole", "0 101"]);
    lines[3..].to_vec()
}

#[test]
fn an_exchange_turns_into_a_session() {
    let lines = session(&[
        Raw(Read, ONE),
        Raw(Write, TWO),
        Raw(Write, BYE),
        Raw(Read, ONE),
        Raw(Read, BYE),
        Bytes(Read, SWITCH),
        Close,
    ]);
    assert_eq!(
        lines,
        [
            "0 Response says Some(\"one\")",
            "0 Request says Some(\"two\")",
            "0 Response says Some(\"one\")",
            "0 Response Whole",
        ]
    );
}

#[test]
fn a_session_may_begin_in_the_segment_of_its_answer() {
    let both = [SWITCH.as_bytes(), ONE, b"\x81"].concat();
    let lines = run(&[Bytes(Read, UPGRADE), Raw(Write, &both), Raw(Write, &ONE[1..]), Close]);
    let said = "0 Response says Some(\"one\")";
    assert_eq!(lines, ["0 Get /s", "0 Request Whole", "0 101", said, said, "0 Response Closed"]);
}

#[test]
fn a_session_goes_on_for_what_is_asked_until_nothing_can_be_read() {
    let lines = session(&[
        Raw(Read, &ONE[..4]),
        Hole(Read, 1),
        Hole(Read, 9),
        Raw(Read, ONE),
        Raw(Write, TWO),
        Raw(Write, b"\x83\x00"),
        Raw(Write, TWO),
        Close,
    ]);
    assert_eq!(
        lines,
        [
            "0 Response lost 1",
            "0 Response says None",
            "0 Response lost 9",
            "0 Response says None",
            "0 Request says Some(\"two\")",
            "0 Request says None",
            "0 Response Lost",
            "upgraded",
        ]
    );
    assert_eq!(
        session(&[Hole(Read, 1), Close]),
        ["0 Response lost 1", "0 Response says None", "0 Response Lost"]
    );
}

#[test]
fn what_is_no_websocket_for_certain_is_not_read_as_one() {
    for (request, answer) in [
        (UPGRADE, "HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n"),
        (UPGRADE, "HTTP/1.1 101 Switching\r\nUpgrade: websocket, h2c\r\n\r\n"),
        (
            UPGRADE,
            "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Extensions: x-webkit-deflate-frame\r\n\r\n",
        ),
        // Its body has not ended, or something that is no request came after it.
        ("GET / HTTP/1.1\r\nContent-Length: 9\r\n\r\n", SWITCH),
        ("GET / HTTP/1.1\r\n\r\n\x01", SWITCH),
        ("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n", SWITCH),
    ] {
        let lines = run(&[Bytes(Write, request), Bytes(Read, answer), Raw(Read, ONE)]);
        assert_eq!(lines.last().map(String::as_str), Some("upgraded"), "{request} {answer}");
    }
    assert_eq!(run(&[Bytes(Read, SWITCH), Raw(Read, ONE)]), ["upgraded"]);
}
