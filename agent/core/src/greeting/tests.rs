use super::*;
use proptest::prelude::*;

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    let mut bytes = kind.to_be_bytes().to_vec();
    bytes.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
    bytes.extend(content);
    bytes
}

fn name_of(name: &[u8]) -> Vec<u8> {
    let length = u16::try_from(name.len()).unwrap();
    let mut content = (length + 3).to_be_bytes().to_vec();
    content.push(HOST_NAME);
    content.extend(length.to_be_bytes());
    content.extend(name);
    extension(SERVER_NAME, &content)
}

/// A message with these extensions; `None` for one of before there were any.
fn message(extensions: Option<&[Vec<u8>]>) -> Vec<u8> {
    let mut body = vec![3; FIXED];
    body.push(32);
    body.extend([7; 32]);
    body.extend([0, 4, 0x13, 1, 0x13, 2]);
    body.extend([1, 0]);
    if let Some(extensions) = extensions {
        let all = extensions.concat();
        body.extend(u16::try_from(all.len()).unwrap().to_be_bytes());
        body.extend(all);
    }
    let mut message = vec![CLIENT_HELLO];
    message.extend(&u32::try_from(body.len()).unwrap().to_be_bytes()[1..]);
    message.extend(body);
    message
}

/// The message in records of at most `size` bytes.
fn records(message: &[u8], size: usize) -> Vec<u8> {
    let record = |part: &[u8]| {
        let length = u16::try_from(part.len()).unwrap().to_be_bytes();
        [&[HANDSHAKE, 3, 1], &length[..], part].concat()
    };
    message.chunks(size).flat_map(record).collect()
}

#[test]
fn hosts_are_named() {
    let other = extension(0x2b, &[2, 3, 4]);
    let padding = extension(21, &[0; 700]);
    let openai = name_of(b"API.OpenAI.com");
    let named = |name: &str| Greeting::Named(name.to_owned());
    for (extensions, expected, what) in [
        (Some(vec![openai.clone()]), named("api.openai.com"), "alone"),
        (
            Some(vec![other.clone(), padding.clone(), openai.clone()]),
            named("api.openai.com"),
            "last",
        ),
        (Some(vec![other.clone(), padding]), Greeting::Nameless, "without a name"),
        (Some(Vec::new()), Greeting::Nameless, "without extensions"),
        (None, Greeting::Nameless, "before there were extensions"),
        (Some(vec![name_of(b"")]), Greeting::Foreign, "an empty name"),
        (Some(vec![name_of(b"a\0b")]), Greeting::Foreign, "no name"),
        (Some(vec![name_of(&[b'a'; 254])]), Greeting::Foreign, "a name that is too long"),
        (Some(vec![extension(SERVER_NAME, &[0, 9, 0])]), Greeting::Foreign, "a cut name"),
    ] {
        let message = message(extensions.as_deref());
        for size in [16384, 100, 1] {
            assert_eq!(Greeting::read(&records(&message, size)), expected, "{what}, {size}");
        }
    }
}

#[test]
fn what_is_no_greeting_is_foreign() {
    let other_message = records(&[2, 0, 0, 1, 0], 100);
    let mut too_short = message(None);
    too_short[3] = 20;
    for (bytes, what) in [
        (&b"GET / HTTP/1.1\r\n"[..], "HTTP"),
        (b"\x16\x02\x01\0\x05\x01", "another version"),
        (b"\x17\x03\x03\0\x01\x01", "data"),
        (&other_message, "another message"),
        (&records(&too_short, 100), "a message that is shorter than it says"),
    ] {
        assert_eq!(Greeting::read(bytes), Greeting::Foreign, "{what}");
    }
    assert_eq!(Greeting::read(b""), Greeting::Unfinished);
}

#[test]
fn data_after_a_greeting_is_ignored() {
    let mut bytes = records(&message(Some(&[name_of(b"a.example")])), 16384);
    bytes.extend(b"\x14\x03\x03\0\x01\x01\x17\x03\x03\0\x01");
    assert_eq!(Greeting::read(&bytes), Greeting::Named("a.example".to_owned()));
}

proptest! {
    #[test]
    fn any_beginning_is_unfinished(cut in any::<prop::sample::Index>(), size in 1usize..600) {
        let padding = extension(21, &[0; 300]);
        let whole = records(&message(Some(&[padding, name_of(b"a.example")])), size);
        let part = Greeting::read(&whole[..cut.index(whole.len())]);
        prop_assert_eq!(part, Greeting::Unfinished);
    }

    #[test]
    fn no_damage_panics(
        size in 1usize..600,
        noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
    ) {
        let mut bytes = records(&message(Some(&[name_of(b"a.example")])), size);
        for (at, byte) in noise {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let whole = Greeting::read(&bytes);
        if let Greeting::Named(name) = &whole {
            prop_assert!(!name.is_empty() && name.len() <= NAME_MAX);
        }
        // What the beginning says holds, whatever follows.
        for cut in 0..bytes.len() {
            let part = Greeting::read(&bytes[..cut]);
            prop_assert!(part == Greeting::Unfinished || part == whole, "{:?} of {:?}", part, whole);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _any = Greeting::read(&bytes);
    }
}
