use std::io::Write as _;

use flate2::{Compress, Compression as Level, FlushCompress};
use proptest::prelude::*;

use super::extensions::Compression;
use super::*;

const PLAIN: Extensions = Extensions { compression: None };

const fn deflate(server_no_context_takeover: bool) -> Extensions {
    let compression = Compression { server_no_context_takeover, client_no_context_takeover: false };
    Extensions { compression: Some(compression) }
}

enum Step<'a> {
    Bytes(&'a [u8]),
    Hole(u64),
}
use Step::{Bytes, Hole};

/// What the server says, the frames of `steps`; `None` for a message that can't be read. Says too
/// whether the frames were lost.
fn run(extensions: Extensions, steps: &[Step<'_>]) -> (Vec<Option<String>>, bool) {
    let mut session = Session::new(extensions);
    let mut said = Vec::new();
    for step in steps {
        let mut add = |text: Option<&[u8]>| {
            said.push(text.map(|text| String::from_utf8_lossy(text).into_owned()));
        };
        match step {
            Bytes(data) => session.feed(Side::Response, data, &mut add),
            Hole(bytes) => session.lose(Side::Response, *bytes, &mut add),
        }
    }
    (said, session.is_lost(Side::Response))
}

/// A frame of a length below 126, not masked.
fn frame(flags: u8, payload: &[u8]) -> Vec<u8> {
    [&[flags, u8::try_from(payload.len()).unwrap()], payload].concat()
}

fn masked(flags: u8, key: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let length = u64::try_from(payload.len()).unwrap().to_be_bytes();
    let payload = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key);
    [&[flags, 0x80 | 127], &length[..], &key[..]].concat().into_iter().chain(payload).collect()
}

/// Compresses the messages of one side, each with the ones before as context.
struct Deflater(Compress);

impl Deflater {
    fn new() -> Self {
        Self(Compress::new(Level::default(), false))
    }

    fn message(&mut self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len() + 1024);
        self.0.compress_vec(text, &mut out, FlushCompress::Sync).unwrap();
        out.truncate(out.len() - 4);
        out
    }
}

fn said(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| Some((*text).to_owned())).collect()
}

#[test]
fn messages_come_in_frames() {
    let key = [0x12, 0x34, 0x56, 0x78];
    let long = "x".repeat(10_000);
    let bytes = [
        frame(0x81, b"one"),
        frame(0x02, b"t"),
        frame(0x89, b"ping"),
        masked(0x00, key, b"w"),
        frame(0x00, b""),
        frame(0x80, b"o"),
        masked(0x82, key, long.as_bytes()),
        frame(0x81, b""),
        frame(0x88, b""),
        frame(0x81, b"nothing comes after the end"),
    ];
    assert_eq!(run(PLAIN, &[Bytes(&bytes.concat())]), (said(&["one", "two", &long, ""]), false));
}

#[test]
fn what_no_frame_looks_like_ends_the_reading() {
    for wrong in [
        &[0x83, 0][..],
        &[0xa1, 0],
        &[0xc1, 0],
        &[0x80, 0],
        &[0x09, 0],
        &[0x89, 126, 0, 126],
        &[0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 0],
        &[0x01, 0, 0x01, 0],
    ] {
        let bytes = [&frame(0x81, b"one")[..], wrong, &frame(0x81, b"two")].concat();
        let (messages, lost) = run(PLAIN, &[Bytes(&bytes)]);
        assert_eq!((messages, lost), ([said(&["one"]), vec![None]].concat(), true), "{wrong:?}");
    }
    assert!(run(deflate(false), &[Bytes(&[0xc1, 0, 0x01, 0, 0xc0, 0])]).1);
}

#[test]
fn a_hole_inside_a_payload_costs_its_message_only() {
    let two = masked(0x81, [1, 2, 3, 4], b"two");
    let three = frame(0x81, b"three");
    for (steps, messages, lost) in [
        (
            vec![Bytes(b"\x81\x05o"), Hole(3), Bytes(b"e"), Bytes(&two)],
            vec![None, said(&["two"])[0].clone()],
            false,
        ),
        (
            vec![Bytes(b"\x81\x05o"), Hole(4), Bytes(&two)],
            vec![None, said(&["two"])[0].clone()],
            false,
        ),
        (
            vec![Bytes(b"\x01\x05o"), Hole(4), Bytes(b"\x80\x01x"), Bytes(&three)],
            vec![None, said(&["three"])[0].clone()],
            false,
        ),
        (vec![Bytes(b"\x89\x05p"), Hole(4), Bytes(&three)], said(&["three"]), false),
        (
            vec![Bytes(&two[..16]), Hole(1), Bytes(&three)],
            vec![None, said(&["three"])[0].clone()],
            false,
        ),
        (vec![Bytes(b"\x81\x05o"), Hole(5), Bytes(&three)], vec![None], true),
        (
            vec![Bytes(&three), Hole(1), Bytes(&three)],
            vec![said(&["three"])[0].clone(), None],
            true,
        ),
        (vec![Bytes(b"\x81"), Hole(1), Bytes(&three)], vec![None], true),
    ] {
        assert_eq!(run(PLAIN, &steps), (messages, lost));
    }
}

#[test]
fn after_a_hole_nothing_that_refers_to_it_is_read() {
    let mut deflater = Deflater::new();
    let parts =
        ["one one one", "one two", "two three"].map(|text| deflater.message(text.as_bytes()));
    let frames = parts.each_ref().map(|part| frame(0xc1, part));
    let plain = frame(0x81, b"plain");
    let whole: Vec<Step<'_>> = frames.iter().map(|frame| Bytes(frame)).collect();
    assert_eq!(
        run(deflate(false), &whole),
        (said(&["one one one", "one two", "two three"]), false)
    );
    let one = said(&["one one one"])[0].clone();
    let cut = [
        Bytes(&frames[0]),
        Bytes(&frames[1][..3]),
        Hole(frames[1].len() as u64 - 3),
        Bytes(&plain),
        Bytes(&frames[2]),
    ];
    let expected = vec![one, None, said(&["plain"])[0].clone(), None];
    assert_eq!(run(deflate(false), &cut), (expected, false));
}

#[test]
fn without_context_each_message_stands_for_itself() {
    let message = |text: &str| frame(0xc1, &Deflater::new().message(text.as_bytes()));
    let (one, two) = (message("one one one"), message("two"));
    let steps = [Bytes(&one[..3]), Hole(one.len() as u64 - 3), Bytes(&two), Bytes(&one)];
    let read = said(&["two", "one one one"]);
    assert_eq!(run(deflate(true), &steps), ([vec![None], read].concat(), false));
}

#[test]
fn a_last_block_ends_the_context_and_not_the_message() {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), Level::default());
    encoder.write_all(b"last").unwrap();
    // RFC 7692, section 7.2.3.5: an empty block follows, whose end is left out.
    let last = [encoder.finish().unwrap(), vec![0]].concat();
    let steps = [frame(0xc1, &last), frame(0xc1, &last)].concat();
    assert_eq!(run(deflate(false), &[Bytes(&steps)]), (said(&["last", "last"]), false));
}

#[test]
fn an_example_of_the_standard_is_read() {
    // RFC 7692, sections 7.2.3.1 and 7.2.3.2.
    let bytes = b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00";
    assert_eq!(run(deflate(false), &[Bytes(bytes)]), (said(&["Hello", "Hello"]), false));
}

#[test]
fn a_length_beyond_all_bounds_holds_nothing() {
    let mut session = Session::new(PLAIN);
    session.feed(Side::Response, b"\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", |_| panic!("none"));
    let part = vec![b'x'; 1024 * 1024];
    for _ in 0..20 {
        session.feed(Side::Response, &part, |_| panic!("none"));
        assert!(session.footprint() <= 2 * MAX_MESSAGE);
    }
    let mut damaged = 0;
    let mut count = |text: Option<&[u8]>| damaged += u32::from(text.is_none());
    session.lose(Side::Response, (1 << 63) - 1 - 20 * 1024 * 1024, &mut count);
    session.feed(Side::Response, &frame(0x81, b"next"), &mut count);
    assert_eq!((damaged, session.is_lost(Side::Response)), (1, false));
    assert!(session.footprint() <= 64 * 1024);
}

#[test]
fn empty_fragments_hold_nothing() {
    let mut session = Session::new(deflate(false));
    session.feed(Side::Request, &frame(0x41, b""), |_| panic!("none"));
    let empty = frame(0x00, b"").repeat(100_000);
    session.feed(Side::Request, &empty, |_| panic!("none"));
    assert!(session.footprint() < 100_000);
    let mut messages = 0;
    session.feed(Side::Request, &frame(0x80, b""), |text| messages += text.map_or(0, |_| 1));
    assert_eq!(messages, 1);
}

#[test]
fn a_bomb_is_stopped() {
    for server_no_context_takeover in [false, true] {
        let bomb = Deflater::new().message(&vec![0; 64 * 1024 * 1024]);
        let bomb = masked(0xc1, [0; 4], &bomb);
        let mut session = Session::new(deflate(server_no_context_takeover));
        let mut read = 0;
        for _ in 0..3 {
            session.feed(Side::Response, &bomb, |text| read += text.map_or(0, <[u8]>::len));
            assert!(session.footprint() <= 3 * MAX_MESSAGE);
        }
        assert_eq!(read, 0);
    }
}

fn frames() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop::collection::vec(prop::sample::select(b"abc".to_vec()), 0..40);
    let one = (
        prop::sample::select(vec![0x81, 0x01, 0x00, 0x80, 0x89, 0xc1, 0x41, 0x82]),
        any::<bool>(),
        payload,
    );
    prop::collection::vec(one, 0..12).prop_map(|frames| {
        let mut deflater = Deflater::new();
        let mut bytes = Vec::new();
        for (flags, mask, payload) in frames {
            let payload = if flags & 0x40 == 0 { payload } else { deflater.message(&payload) };
            let plain = || frame(flags, &payload);
            bytes.extend(if mask { masked(flags, [9, 8, 7, 6], &payload) } else { plain() });
        }
        bytes
    })
}

proptest! {
    #[test]
    fn any_split_gives_the_same(
        bytes in frames(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        no_context: bool,
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let parts: Vec<Step<'_>> =
            cuts.windows(2).map(|pair| Bytes(&bytes[pair[0]..pair[1]])).collect();
        prop_assert_eq!(
            run(deflate(no_context), &parts),
            run(deflate(no_context), &[Bytes(&bytes)])
        );
    }

    /// A hole of any size makes nothing that was not said.
    #[test]
    fn a_hole_makes_no_message(bytes in frames(), from: prop::sample::Index, length in 1usize..60) {
        let from = from.index(bytes.len() + 1);
        let to = bytes.len().min(from + length);
        let holed = [Bytes(&bytes[..from]), Hole((to - from) as u64), Bytes(&bytes[to..])];
        let (whole, _) = run(deflate(false), &[Bytes(&bytes)]);
        let (rest, _) = run(deflate(false), &holed);
        let mut whole = whole.into_iter();
        for text in rest.into_iter().flatten() {
            prop_assert!(whole.any(|said| said.as_deref() == Some(&text)));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(
        steps in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..60), 0u64..5), 0..10),
    ) {
        let steps: Vec<Step<'_>> =
            steps.iter().flat_map(|(bytes, hole)| [Bytes(bytes), Hole(*hole)]).collect();
        run(deflate(false), &steps);
        run(PLAIN, &steps);
    }
}
