//! Messages whole, cut and damaged.

use proptest::prelude::*;

use super::*;

fn message(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let total = u32::try_from(PRELUDE + headers.len() + payload.len() + SUM).unwrap();
    let mut out = total.to_be_bytes().to_vec();
    out.extend(u32::try_from(headers.len()).unwrap().to_be_bytes());
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out.extend(headers);
    out.extend(payload);
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out
}

fn text(name: &str, value: &str) -> Vec<u8> {
    let mut out = vec![u8::try_from(name.len()).unwrap()];
    out.extend(name.as_bytes());
    out.push(7);
    out.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
    out.extend(value.as_bytes());
    out
}

fn event(kind: &str, payload: &str) -> Vec<u8> {
    let headers = [
        text(":event-type", kind),
        text(":content-type", "application/json"),
        text(":message-type", "event"),
    ];
    message(&headers.concat(), payload.as_bytes())
}

fn read(reader: &mut Reader, part: &[u8]) -> Vec<(String, String)> {
    let mut seen = Vec::new();
    reader.feed(part, |message| {
        let payload = String::from_utf8_lossy(message.payload).into_owned();
        seen.push((message.event_type.to_owned(), payload));
    });
    seen
}

fn pair(kind: &str, payload: &str) -> (String, String) {
    (kind.to_owned(), payload.to_owned())
}

/// The published test vector for a message with one header and a JSON payload.
const VECTOR: &[u8] = b"\x00\x00\x00\x3d\x00\x00\x00\x20\x07\xfd\x83\x96\x0ccontent-type\x07\x00\
    \x10application/json{'foo':'bar'}\x8d\x9c\x08\xb1";

#[test]
fn the_published_vector_is_read() {
    assert_eq!(read(&mut Reader::default(), VECTOR), [pair("", "{'foo':'bar'}")]);
}

#[test]
fn headers_of_every_type_are_passed_over() {
    let mut headers = Vec::new();
    for (kind, value) in [
        (0, &b""[..]),
        (1, b""),
        (2, b"\x01"),
        (3, b"\x01\x02"),
        (4, b"\x01\x02\x03\x04"),
        (5, b"12345678"),
        (6, b"\x00\x03abc"),
        (8, b"12345678"),
        (9, b"0123456789abcdef"),
    ] {
        headers.extend(b"\x01x");
        headers.push(kind);
        headers.extend(value);
    }
    headers.extend(text(":exception-type", "throttlingException"));
    headers.extend(text(":message-type", "exception"));
    let mut failures = Vec::new();
    Reader::default().feed(&message(&headers, b"{}"), |message| {
        assert!(message.is_failure());
        failures.push(message.exception_type.to_owned());
    });
    assert_eq!(failures, ["throttlingException"]);
}

#[test]
fn a_hole_inside_a_message_costs_that_message() {
    let (one, two, three) = (event("a", "{\"n\":1}"), event("b", "{\"n\":2}"), event("c", "{}"));
    for (from, to) in [(PRELUDE, two.len()), (PRELUDE + 3, PRELUDE + 4), (40, two.len() - 1)] {
        let mut reader = Reader::default();
        let mut seen = read(&mut reader, &[&one[..], &two[..from]].concat());
        reader.lose((to - from) as u64);
        seen.extend(read(&mut reader, &[&two[to..], &three[..]].concat()));
        assert_eq!(seen, [pair("a", "{\"n\":1}"), pair("c", "{}")], "{from}..{to}");
        assert_eq!(reader.dropped(), 1, "{from}..{to}");
    }
}

#[test]
fn after_a_hole_across_messages_the_next_one_is_found() {
    let stream = [event("a", "{}"), event("b", "{}"), event("c", "{}")].concat();
    let length = event("a", "{}").len();
    for (from, to) in [(5, length), (5, length + 20), (length, 2 * length + 1), (30, length + 1)] {
        let mut reader = Reader::default();
        let mut seen = read(&mut reader, &stream[..from]);
        reader.lose((to - from) as u64);
        seen.extend(read(&mut reader, &stream[to..]));
        let whole = |index: usize| to <= index * length || (index + 1) * length <= from;
        let expected: Vec<_> = ["a", "b", "c"]
            .iter()
            .enumerate()
            .filter(|(index, _)| whole(*index))
            .map(|(_, kind)| pair(kind, "{}"))
            .collect();
        assert_eq!(seen, expected, "{from}..{to}");
        assert!(reader.dropped() > 0, "{from}..{to}");
    }
}

#[test]
fn a_message_that_is_too_long_is_passed_over() {
    let total = u32::try_from(MAX_MESSAGE + 1).unwrap();
    let mut prelude = total.to_be_bytes().to_vec();
    prelude.extend([0; 4]);
    prelude.extend(crc32fast::hash(&prelude).to_be_bytes());
    let mut reader = Reader::default();
    assert_eq!(read(&mut reader, &prelude), []);
    let mut left = MAX_MESSAGE + 1 - PRELUDE;
    let block = vec![0; 1 << 20];
    while left > 0 {
        let take = left.min(block.len());
        read(&mut reader, &block[..take]);
        left -= take;
        assert!(reader.footprint() < 1024);
    }
    assert_eq!(read(&mut reader, &event("next", "{}")), [pair("next", "{}")]);
    assert_eq!(reader.dropped(), 1);
}

proptest! {
    #[test]
    fn any_split_gives_the_same(
        payloads in prop::collection::vec("[a-z]{0,20}", 0..5),
        junk in prop::collection::vec(any::<u8>(), 0..30),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut stream: Vec<u8> = payloads.iter().flat_map(|text| event("e", text)).collect();
        stream.extend(&junk);
        stream.extend(event("last", "{}"));
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let (mut whole, mut cut) = (Reader::default(), Reader::default());
        let expected = read(&mut whole, &stream);
        let parts = cuts.windows(2).flat_map(|pair| read(&mut cut, &stream[pair[0]..pair[1]]));
        prop_assert_eq!(parts.collect::<Vec<_>>(), expected.clone());
        prop_assert_eq!(cut.dropped(), whole.dropped());
        let known: Vec<_> = payloads.iter().map(|text| pair("e", text)).collect();
        prop_assert_eq!(&expected[..known.len()], &known[..]);
        prop_assert!(expected.len() > known.len(), "the last one is found behind the junk");
    }

    #[test]
    fn a_hole_never_makes_a_message_that_was_not_sent(
        payloads in prop::collection::vec("[a-z]{0,20}", 1..5),
        from in any::<prop::sample::Index>(),
        length in 1usize..100,
    ) {
        let stream: Vec<u8> = payloads.iter().flat_map(|text| event("e", text)).collect();
        let from = from.index(stream.len());
        let to = (from + length).min(stream.len());
        let mut reader = Reader::default();
        let mut seen = read(&mut reader, &stream[..from]);
        reader.lose((to - from) as u64);
        seen.extend(read(&mut reader, &stream[to..]));
        let mut sent = payloads.iter().map(|text| pair("e", text));
        for one in &seen {
            prop_assert!(sent.any(|message| message == *one), "{seen:?}");
        }
        prop_assert!(reader.dropped() > 0);
    }

    #[test]
    fn no_bytes_make_it_panic(
        headers in prop::collection::vec(any::<u8>(), 0..60),
        bytes in prop::collection::vec(any::<u8>(), 0..100),
        hole in any::<u64>(),
    ) {
        let mut reader = Reader::default();
        read(&mut reader, &message(&headers, &bytes));
        read(&mut reader, &bytes);
        reader.lose(hole);
        read(&mut reader, &bytes);
    }
}
