//! JSON whole, in pieces and damaged.

use proptest::prelude::*;
use serde_json::Value;

use super::place::MAX_KEY;
use super::*;

fn scan_with(mut scanner: Scanner, parts: &[&[u8]]) -> (Vec<String>, bool) {
    let mut seen = Vec::new();
    for part in parts {
        scanner.feed(part, |path, token| seen.push(format!("{path} {token:?}")));
    }
    (seen, scanner.is_whole())
}

fn scan(parts: &[&[u8]]) -> (Vec<String>, bool) {
    scan_with(Scanner::default(), parts)
}

#[test]
fn values_come_with_their_paths() {
    let (seen, whole) = scan(&[
        br#" {"a":1 , "b":[{"c":"x\u00e4"},{"c":null}],"d.e":true,"f":{"g":-1.5},"h":[[2]],"i":{}}"#,
    ]);
    assert!(whole);
    assert_eq!(
        seen,
        [
            " Begin",
            "a Count(1)",
            "b Begin",
            "b[] Begin",
            "b[].c Text(\"xä\")",
            "b[] Begin",
            "b[].c Other",
            "? Flag(true)",
            "f Begin",
            "f.g Number(\"-1.5\")",
            "h Begin",
            "h[] Begin",
            "h[][] Count(2)",
            "i Begin",
        ]
    );
}

#[test]
fn damage_keeps_what_came_before() {
    for text in [
        "{\"a\":1,\"b",
        "{\"a\":1,}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1,\"b\"}",
        "{\"a\":1]",
        "{\"a\":1,\"\x01\":2}",
        "{\"a\":1,\"\\x\":2}",
        "{\"a\":1,\"b\":nil}",
        "{\"a\":1,\"b\":01}",
        "{\"a\":1,b:2}",
    ] {
        let (seen, whole) = scan(&[text.as_bytes()]);
        assert_eq!(seen, [" Begin", "a Count(1)"], "{text}");
        assert!(!whole, "{text}");
    }
}

#[test]
fn text_that_is_not_utf8_is_something_else() {
    let (seen, whole) = scan(&[b"{\"a\":\"\xff\",\"\xff\":1}"]);
    assert_eq!((seen.join(", ").as_str(), whole), (" Begin, a Other, ? Count(1)", true));
}

#[test]
fn a_hole_ends_the_reading() {
    let mut scanner = Scanner::default();
    scanner.feed(br#"{"a":"x"#, |_, _| {});
    scanner.lose();
    scanner.feed(br#"y","b":1}"#, |path, token| panic!("{path} {token:?}"));
    assert!(!scanner.is_whole());
    scanner.restart();
    scanner.feed(b"[]", |_, _| {});
    scanner.lose();
    assert!(scanner.is_whole());
}

#[test]
fn only_what_was_asked_for_is_read() {
    let text = br#"{"a":{"x":"}\"]"},"m":{"a":[1]},"b":[[],{}],"c":"\\","d":-1,"k":"v"}"#;
    for size in [1, 2, text.len()] {
        let parts: Vec<&[u8]> = text.chunks(size).collect();
        let (seen, whole) = scan_with(Scanner::only(&["m", "k"]), &parts);
        let expected = [" Begin", "m Begin", "m.a Begin", "m.a[] Count(1)", "k Text(\"v\")"];
        assert_eq!((seen.as_slice(), whole), (&expected.map(str::to_owned)[..], true));
    }
}

#[test]
fn depth_is_bounded() {
    assert!(scan(&["[".repeat(64).as_bytes(), "]".repeat(64).as_bytes()]).1);
    assert!(!scan(&["[".repeat(65).as_bytes(), "]".repeat(65).as_bytes()]).1);
}

#[test]
fn length_is_bounded() {
    for (length, is_read) in [(MAX_VALUE - 1, true), (MAX_VALUE, false), (MAX_VALUE + 9, false)] {
        for size in [1 << 20, (1 << 20) + 1, usize::MAX] {
            let text = ["[\"", &"x".repeat(length - 2), "\\n\",7]"].concat();
            let mut scanner = Scanner::default();
            let (mut tokens, mut held) = (Vec::new(), 0);
            for part in text.as_bytes().chunks(size.min(text.len())) {
                scanner.feed(part, |_, token| {
                    tokens.push(match token {
                        Token::Text(_) => "text",
                        Token::Count(7) => "count",
                        Token::Other => "other",
                        _ => "begin",
                    });
                });
                held = held.max(scanner.footprint());
            }
            assert_eq!(tokens, ["begin", if is_read { "text" } else { "other" }, "count"]);
            assert_eq!((scanner.is_whole(), scanner.left_out()), (true, !is_read));
            assert!(held <= 2 * MAX_VALUE);
        }
    }
}

#[test]
fn a_number_that_is_too_long_ends_the_reading() {
    let mut scanner = Scanner::default();
    scanner.feed(b"[1", |_, _| {});
    for _ in 0..9 {
        scanner.feed(&vec![b'1'; 1 << 20], |_, token| assert!(token == Token::Begin));
    }
    scanner.feed(b"]", |_, _| panic!("it is broken"));
    assert!(!scanner.is_whole() && scanner.footprint() == 0);
}

#[test]
fn what_is_passed_over_is_not_held() {
    let mut scanner = Scanner::only(&["model"]);
    scanner.feed(b"{\"image\":\"", |_, _| {});
    for _ in 0..20 {
        scanner.feed(&vec![b'x'; 1 << 20], |_, _| {});
    }
    assert_eq!(scanner.footprint(), 0);
    scanner.feed(b"\"}", |_, _| {});
    assert!(scanner.is_whole());
}

/// What another reader of JSON makes of it, in our words.
fn walk(path: &str, value: &Value, seen: &mut Vec<String>) {
    let written = value.to_string();
    let token = match value {
        Value::Null => Token::Other,
        Value::Bool(flag) => Token::Flag(*flag),
        Value::Number(number) => number.as_u64().map_or(Token::Number(&written), Token::Count),
        Value::String(text) => Token::Text(text),
        Value::Array(_) | Value::Object(_) => Token::Begin,
    };
    seen.push(format!("{path} {token:?}"));
    match value {
        Value::Array(values) => {
            values.iter().for_each(|value| walk(&format!("{path}[]"), value, seen));
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                let key =
                    if key.len() > MAX_KEY || key.contains(['.', '[', ']']) { "?" } else { key };
                let dot = if path.is_empty() { "" } else { "." };
                walk(&format!("{path}{dot}{key}"), value, seen);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        "[a\"\\\\\u{8}\n😀]{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map("[a-c.\"ä]{0,3}|x{60,70}", inner, 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn cut_at<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

/// Bytes that make up JSON more often than chance would.
fn json_like() -> impl Strategy<Value = Vec<u8>> {
    let bit = prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        prop::sample::select(br#"{}[]",:\u0dD8e1-tfn "#.to_vec()).prop_map(|byte| vec![byte]),
        prop::sample::select(vec![
            r#""a":"#,
            r#""\ud83d\ude00","#,
            "null",
            "[1,",
            "{\"k\":",
            "\"\\"
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop::collection::vec(bit, 0..60).prop_map(|bits| bits.concat())
}

fn cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..12)
}

proptest! {
    #[test]
    fn it_reads_what_others_read(value in any_value(), pretty in any::<bool>()) {
        let value = Value::from(vec![value]);
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let mut seen = Vec::new();
        walk("", &value, &mut seen);
        prop_assert_eq!(scan(&[text.unwrap().as_bytes()]), (seen, true));
    }

    #[test]
    fn it_refuses_what_others_refuse(value in any_value(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut text = serde_json::to_vec(&vec![value]).unwrap();
        let at = at.index(text.len());
        text[at] = byte;
        // Where both accept the beginning, others also look at what follows it.
        let mut others = serde_json::Deserializer::from_slice(&text).into_iter::<Value>();
        let theirs = others.next().is_some_and(|value| value.is_ok());
        let ours = scan(&[&text]).1;
        // Text that isn't UTF-8, half pairs and numbers beyond a double's range are let pass here.
        let lenient = std::str::from_utf8(&text).is_err() || b"u+eE0123456789".contains(&byte);
        prop_assert!(ours == theirs || lenient && ours, "{}", String::from_utf8_lossy(&text));
    }

    #[test]
    fn any_split_gives_the_same(value in any_value(), cuts in cuts()) {
        let text = serde_json::to_vec(&vec![value]).unwrap();
        prop_assert_eq!(scan(&cut_at(&text, &cuts)), scan(&[&text]));
    }

    #[test]
    fn any_split_of_damage_gives_the_same(text in json_like(), cuts in cuts()) {
        let parts = cut_at(&text, &cuts);
        prop_assert_eq!(scan(&parts), scan(&[&text]));
        let only = || Scanner::only(&["k"]);
        prop_assert_eq!(scan_with(only(), &parts), scan_with(only(), &[&text]));
    }

    /// Passing over what isn't asked for changes nothing about what is.
    #[test]
    fn what_is_passed_over_is_all_that_is_missing(
        fields in prop::collection::hash_map("[a-c]", any_value(), 0..4),
    ) {
        let text = serde_json::to_vec(&fields).unwrap();
        let (all, whole) = scan(&[&text]);
        let is_asked = |seen: &String| {
            matches!(seen.split([' ', '.', '[']).next(), Some("" | "a"))
        };
        let expected: Vec<String> = all.into_iter().filter(is_asked).collect();
        prop_assert_eq!(scan_with(Scanner::only(&["a"]), &[&text]), (expected, whole));
    }
}
