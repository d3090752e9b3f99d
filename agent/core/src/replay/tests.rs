use proptest::prelude::*;

use super::*;

fn segments(text: &str) -> Vec<(Direction, u64, String)> {
    let transcript = Transcript::parse(&format!("{FIRST_LINE}\n{text}")).unwrap();
    let segment = |step: Step| match step.event {
        Event::Segment { direction, offset, data, .. } => {
            Some((direction, offset, data.escape_ascii().to_string()))
        }
        _ => None,
    };
    transcript.steps.into_iter().filter_map(segment).collect()
}

fn only(text: &str) -> String {
    let mut all = segments(text);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0).2
}

#[test]
fn every_way_to_write_bytes() {
    for (text, bytes) in [
        (r#"> "GET / HTTP/1.1\r\n\x00\\""#, r"GET / HTTP/1.1\r\n\x00\\"),
        ("> hex 00 fF 10", r"\x00\xff\x10"),
        ("> hex\n  00 ff\n  10", r"\x00\xff\x10"),
        ("> raw\n  a\n\n    b\n\n", r"a\n\n  b"),
        ("> quoted\n  \"a\\n\"\n  \"b\"", r"a\nb"),
        ("> lines\n  {}\n  []", r"{}\n[]\n"),
        ("> sse\n  data: 1\n\n  data: 2", r"data: 1\n\ndata: 2\n\n"),
        ("> head\n  A /\n  B: c", r"A /\r\nB: c\r\n\r\n"),
        ("> chunk\n  twelve bytes", r"c\r\ntwelve bytes\r\n"),
        ("> chunk sse\n  data: 1", r"9\r\ndata: 1\n\n\r\n"),
        ("> last-chunk", r"0\r\n\r\n"),
    ] {
        assert_eq!(only(text), bytes, "{text}");
    }
}

#[test]
fn a_message_says_how_long_it_is() {
    for (text, bytes) in [
        ("> http\n  GET / HTTP/1.1\n  Host: h", r"GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
        ("> http\n  POST / HTTP/1.1\n\n  {}", r"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"),
        ("< http\n  HTTP/1.1 200 OK", r"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("< http\n  HTTP/1.1 204 No Content", r"HTTP/1.1 204 No Content\r\n\r\n"),
        ("< http until-close\n  HTTP/1.1 200 OK\n\n  {}", r"HTTP/1.1 200 OK\r\n\r\n{}"),
        (
            "< http\n  HTTP/1.1 200 OK\n  content-length: 9\n\n  {}",
            r"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}",
        ),
        (
            "< http sse\n  HTTP/1.1 200 OK\n  Transfer-Encoding: chunked\n\n  data: 1",
            r"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n0\r\n\r\n",
        ),
    ] {
        assert_eq!(only(text), bytes, "{text}");
    }
    let apart = segments("> http apart\n  POST / HTTP/1.1\n\n  {}");
    assert_eq!(apart.len(), 2);
    assert_eq!(apart[1], (Direction::Write, 38, "{}".to_owned()));
}

#[test]
fn offsets_follow_each_other_and_jump() {
    let text = "> \"ab\"\n< \"c\"\n> lost 10\n> \"d\"\n> @40 \"e\"\nclose";
    let offsets: Vec<u64> = segments(text).iter().map(|(_, offset, _)| *offset).collect();
    assert_eq!(offsets, [0, 0, 12, 40]);
    let transcript = Transcript::parse(&format!("{FIRST_LINE}\n{text}")).unwrap();
    assert!(matches!(
        transcript.steps.last().map(|step| &step.event),
        Some(Event::Close { read_total: 1, write_total: 41, .. })
    ));
}

#[test]
fn frames_have_their_lengths_sums_and_masks() {
    // The masked "Hello" and the compressed ones are examples of RFC 6455 and RFC 7692.
    for (text, bytes) in [
        ("> ws text\n  Hello", r"\x81\x857\xfa!=\x7f\x9fMQX"),
        ("< ws text\n  Hello", r"\x81\x05Hello"),
        ("< ws text more\n  Hel", r"\x01\x03Hel"),
        ("< ws text deflate\n  Hello", r"\xc1\x07\xf2H\xcd\xc9\xc9\x07\x00"),
        ("< ws close hex 03e8", r"\x88\x02\x03\xe8"),
        // The smallest message of the AWS SDK's own test vectors.
        ("< eventstream", r"\x00\x00\x00\x10\x00\x00\x00\x00\x05\xc2H\xeb}\x98\xc8\xff"),
    ] {
        assert_eq!(only(text), bytes, "{text}");
    }
    let again = segments("< ws text deflate-context\n  Hello\n< ws text deflate-context\n  Hello");
    assert_eq!(again[1].2, r"\xc1\x05\xf2\x00\x11\x00\x00");
}

#[test]
fn frames_of_http_2_have_their_lengths_flags_and_tables() {
    for (text, bytes) in [
        ("> h2 preface", r"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        (
            "> h2 settings max_frame_size=16384",
            r"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00@\x00",
        ),
        ("< h2 settings ack", r"\x00\x00\x00\x04\x01\x00\x00\x00\x00"),
        ("> h2 data stream=3 end", r"\x00\x00\x00\x00\x01\x00\x00\x00\x03"),
        ("> h2 data stream=3 pad=2\n  hi", r"\x00\x00\x05\x00\x08\x00\x00\x00\x03\x02hi\x00\x00"),
        ("> h2 rst stream=3 code=8", r"\x00\x00\x04\x03\x00\x00\x00\x00\x03\x00\x00\x00\x08"),
        (
            "< h2 goaway last=5",
            r"\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00",
        ),
        ("> h2 window add=1", r"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x01"),
        // RFC 7541, appendix C.4.1.
        (
            "> h2 headers stream=1 end\n  :method: GET\n  :scheme: http\n  :path: /\n  \
             :authority: www.example.com",
            r"\x00\x00\x11\x01\x05\x00\x00\x00\x01\x82\x86\x84A\x8c\xf1\xe3\xc2\xe5\xf2:k\xa0\xab\x90\xf4\xff",
        ),
        (
            "> h2 headers stream=1 more priority table=4096\n  authorization: x",
            r"\x00\x00\x0c\x01 \x00\x00\x00\x01\x00\x00\x00\x00\x0f?\xe1\x1f\x1f\x08\x01x",
        ),
        ("> h2 push stream=1 promised=2", r"\x00\x00\x04\x05\x04\x00\x00\x00\x01\x00\x00\x00\x02"),
    ] {
        assert_eq!(only(text), bytes, "{text}");
    }
    // What was sent before is referred to, each direction by itself.
    let again = "h2 headers stream=1\n  a: b";
    let frames = segments(&format!("> {again}\n> {again}\n< {again}"));
    assert!(frames[0].2.ends_with(r"@\x01a\x01b") && frames[2].2.ends_with(r"@\x01a\x01b"));
    assert!(frames[1].2.ends_with(r"\x01\xbe"));
    let partly = segments("> h2 ping lost=9..12\n> h2 ping lost\n> h2 window add=1");
    let offsets: Vec<(u64, usize)> =
        partly.iter().map(|(_, offset, data)| (*offset, data.matches("\\x").count())).collect();
    assert_eq!(offsets, [(0, 9), (12, 5), (34, 13)]);
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    for (text, line, problem) in [
        ("", 1, "a transcript begins with \"weir transcript 1\""),
        ("weir transcript 2\n", 1, "a transcript begins with \"weir transcript 1\""),
        ("weir transcript 1\nfoo", 2, "\"foo\" is not known here"),
        ("weir transcript 1\n\n# note\n> b \"x\"", 4, "\"b\" is not known here"),
        ("weir transcript 1\nclose b", 2, "\"b\" was not declared before"),
        ("weir transcript 1\ntick\n  x", 2, "no indented lines can follow this"),
        ("weir transcript 1\n  x", 2, "an indented line belongs to a line before it"),
        ("weir transcript 1\n> hex 0", 2, "\"0\" is no hexadecimal bytes"),
        ("weir transcript 1\n> h2 foo", 2, "\"foo\" is not known here"),
        ("weir transcript 1\n> h2 data foo=1", 2, "\"foo=1\" is not known here"),
        ("weir transcript 1\n> h2 ping lost=3..1", 2, "\"3..1\" is no range of bytes"),
        ("weir transcript 1\n> h2 headers\n  a", 2, "\"a\" is no field `name: value`"),
        ("weir transcript 1\n> h2 ping\n  a", 2, "no indented lines can follow this"),
        ("weir transcript 1\nafter 3x", 2, "\"3x\" is no time span"),
        ("weir transcript 1\nat noon", 2, "\"noon\" is no time in UTC"),
        ("weir transcript 1\nexpect {\"a\":}", 2, "\"expect {\\\"a\\\":}\" is no JSON object"),
        ("weir transcript 1\nprocess 1\nprocess 1", 3, "\"1\" is there already"),
    ] {
        let error = Transcript::parse(text).unwrap_err();
        assert_eq!(error.line, line, "{text:?}");
        assert!(error.to_string().contains(problem), "{error}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(lines in prop::collection::vec(
        prop_oneof![
            "\\PC{0,30}",
            "[<>] (a |b |@[0-9]{1,20} |)(http|head|chunk|ws|h2 data|h2 headers|hex|lost|eventstream)( [a-z0-9]{1,5}){0,3}",
            "  \\PC{0,20}",
            "(process|connection|at|after|close|exit|expect) \\PC{0,12}",
        ], 0..12,
    )) {
        drop(Transcript::parse(&format!("{FIRST_LINE}\n{}", lines.join("\n"))));
    }

    /// What is written is what is read.
    #[test]
    fn a_transcript_survives_its_text(
        steps in prop::collection::vec(
            (any::<bool>(), 0u64..100, prop::collection::vec(any::<u8>(), 0..80), 0u64..5000), 0..12,
        ),
        text in "\\PC{0,40}",
    ) {
        let mut transcript =
            Transcript::parse(&format!("{FIRST_LINE}\nprocess p user=ann unit=b.service\nconnection b")).unwrap();
        let connection = transcript.connections[0].id;
        let mut next = [0; 2];
        for (read, hole, data, pause) in steps {
            let direction = if read { Direction::Read } else { Direction::Write };
            let offset = next[usize::from(read)] + hole;
            let data = if pause % 2 == 0 { data } else { text.clone().into_bytes() };
            next[usize::from(read)] = offset + data.len() as u64;
            let time = START + jiff::SignedDuration::from_millis(i64::try_from(pause).unwrap());
            let event = Event::Segment { connection, direction, offset, data };
            transcript.steps.push(Step { time, event });
        }
        let [write_total, read_total] = next;
        let close = Event::Close { connection, read_total, write_total };
        transcript.steps.push(Step { time: START, event: close });
        prop_assert_eq!(Transcript::parse(&transcript.to_string()), Ok(transcript));
    }
}
