use super::*;
use crate::http::{CredentialKind, CredentialPlace};
use proptest::prelude::*;

const CHAT: &str = "POST /v1/chat/completions HTTP/1.1\r\nHost: 10.0.0.7:8000\r\n\
                    Authorization: Bearer sk-sekret\r\nContent-Type: application/json\r\n\
                    Content-Length: 40\r\n\r\n";

fn key() -> FingerprintKey {
    FingerprintKey::new([7; 32])
}

fn read(bytes: &[u8]) -> Option<Request> {
    Request::read(bytes, &key())
}

/// What is made of a request with this head, without its `Host` and the blank line, and this body: the
/// provider and the form.
#[track_caller]
fn check(head: &str, host: &str, body: &str, expected: Option<(&'static str, Option<Api>)>) {
    let length = body.len();
    let text = format!("{head}\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{body}");
    let request = read(text.as_bytes()).unwrap();
    assert_eq!(request.host.as_deref(), Some(host));
    assert_eq!(request.provider, expected.map(|(provider, _)| provider), "{text}");
    assert_eq!(request.api, expected.and_then(|(_, api)| api), "{text}");
}

#[test]
fn a_model_call_is_told_by_what_nobody_else_says() {
    const WITHIN: &str = "10.0.0.7:8000";
    let asked = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    for (head, host, body, expected) in [
        (
            "POST /v1/chat/completions HTTP/1.1",
            WITHIN,
            "",
            Some(("openai", Some(Api::ChatCompletions))),
        ),
        ("POST /v1/embeddings HTTP/1.1", WITHIN, "", Some(("openai", Some(Api::Embeddings)))),
        ("POST /embeddings HTTP/1.1", WITHIN, "", None),
        ("POST /completions HTTP/1.1", WITHIN, "", None),
        // Words that anybody may use: a body may tell, and so may a header.
        ("POST /messages HTTP/1.1", WITHIN, "", None),
        ("POST /messages HTTP/1.1", WITHIN, asked, Some(("anthropic", Some(Api::Messages)))),
        (
            "POST /v1/messages HTTP/1.1\r\nanthropic-version: 2023-06-01",
            WITHIN,
            "",
            Some(("anthropic", Some(Api::Messages))),
        ),
        ("POST /api/chat HTTP/1.1", WITHIN, r#"{"text":"hi"}"#, None),
        ("POST /api/chat HTTP/1.1", WITHIN, asked, Some(("ollama", Some(Api::OllamaChat)))),
        ("POST /v1/responses HTTP/1.1", WITHIN, r#"{"answers":[1]}"#, None),
        (
            "POST /v1/responses HTTP/1.1",
            WITHIN,
            r#"{"model":"m","input":"hi","st"#,
            Some(("openai", Some(Api::Responses))),
        ),
        (
            "POST /v1beta/models/gemini-3:generateContent HTTP/1.1",
            WITHIN,
            "",
            Some(("gcp.gemini", Some(Api::GenerateContent))),
        ),
        // So may the host.
        (
            "POST /api/generate HTTP/1.1",
            "localhost:11434",
            "",
            Some(("ollama", Some(Api::OllamaGenerate))),
        ),
        ("GET /api/tags HTTP/1.1", "localhost:11434", "", Some(("ollama", None))),
        ("GET /v1/models HTTP/1.1", "api.openai.com", "", Some(("openai", None))),
        (
            "GET /v1/responses/resp_1 HTTP/1.1",
            "api.openai.com",
            "",
            Some(("openai", Some(Api::Responses))),
        ),
        ("GET /v1/responses/resp_1 HTTP/1.1", WITHIN, "", None),
        ("GET /v1/chat/completions HTTP/1.1", WITHIN, "", None),
        (
            "GET /v1/realtime?model=m HTTP/1.1\r\nUpgrade: websocket",
            WITHIN,
            "",
            Some(("openai", Some(Api::Realtime))),
        ),
        ("GET /realtime HTTP/1.1\r\nUpgrade: websocket", WITHIN, "", None),
        ("POST /login HTTP/1.1", WITHIN, "", None),
        ("POST /chat/completions HTTP/1.1\r\nContent-Type: application/grpc", WITHIN, "", None),
        // As curl has it where nobody says.
        (
            "POST /api/generate HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded",
            "localhost:11434",
            r#"{"model":"m","prompt":"hi"}"#,
            Some(("ollama", Some(Api::OllamaGenerate))),
        ),
    ] {
        check(head, host, body, expected);
    }
}

#[test]
fn a_credential_is_known_as_that_of_a_call_that_is_read() {
    let request = read(CHAT.as_bytes()).unwrap();
    assert!(!format!("{request:?}").contains("sekret"));
    let credential = request.credential.unwrap();
    assert_eq!(credential.fingerprint, key().fingerprint("bearer", b"sk-sekret"));
    assert_eq!(credential.place, CredentialPlace::Header);
    let text = "POST /v1beta/models/m:generateContent?key=AIzasekret HTTP/1.1\r\n\r\n";
    let credential = read(text.as_bytes()).unwrap().credential.unwrap();
    let expected = (CredentialPlace::Url, CredentialKind::GoogleApiKey);
    assert_eq!((credential.place, credential.kind), expected);
}

/// A chunked body is taken apart.
#[test]
fn bodies_are_read_however_they_are_framed() {
    let text = "POST /messages HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
                1f\r\n{\"model\":\"m\",\"messages\":[{\"role\r\n";
    assert_eq!(read(text.as_bytes()).unwrap().api, Some(Api::Messages));
}

/// Where the segment that begins it has the first request too.
#[test]
fn http2_is_read_too() {
    let literal = |name: &str, value: &str| {
        let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        [&[0][..], &text(name), &text(value)].concat()
    };
    let block = [
        literal(":method", "POST"),
        literal(":scheme", "http"),
        literal(":path", "/v1/chat/completions"),
        literal(":authority", "10.0.0.7:8000"),
        literal("authorization", "Bearer sk-sekret"),
    ]
    .concat();
    let length = u8::try_from(block.len()).unwrap();
    let headers = [&[0, 0, length, 1, 4, 0, 0, 0, 1][..], &block].concat();
    let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[0, 0, 0, 4, 0, 0, 0, 0, 0][..]].concat();
    assert_eq!(read(&preface), None);
    let request = read(&[preface, headers].concat()).unwrap();
    assert_eq!(request.host.as_deref(), Some("10.0.0.7:8000"));
    assert_eq!(request.api, Some(Api::ChatCompletions));
    let credential = request.credential.unwrap();
    assert_eq!(credential.fingerprint, key().fingerprint("bearer", b"sk-sekret"));
}

/// What is cut off is neither a credential nor part of one.
#[test]
fn a_head_may_be_cut_anywhere() {
    let whole = read(CHAT.as_bytes()).unwrap();
    let line = CHAT.find('\n').unwrap() + 1;
    let credential_ends = CHAT.find("Content-Type").unwrap();
    for cut in 0..CHAT.len() {
        let request = read(&CHAT.as_bytes()[..cut]);
        assert_eq!(request.is_some(), cut >= line, "{cut}");
        let Some(request) = request else { continue };
        assert_eq!(request.api, Some(Api::ChatCompletions), "{cut}");
        let expected = whole.credential.as_ref().filter(|_| cut >= credential_ends);
        assert_eq!(request.credential.as_ref(), expected, "{cut}");
    }
}

#[test]
fn what_is_no_request_is_none() {
    for bytes in
        [&b""[..], b"\x16\x03\x01\x02\x00\x01", b"HTTP/1.1 200 OK\r\n\r\n", b"EHLO a\r\n", b"POST "]
    {
        assert_eq!(read(bytes), None);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _any = read(&bytes);
        for front in [&b"POST /v1/chat/completions HTTP/1.1\r\n"[..], CHAT.as_bytes(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
            let _any = read(&[front, &bytes].concat());
        }
    }

    /// The path of no other service makes a call, whatever its body is.
    #[test]
    fn a_path_that_is_none_is_no_call(name in "[a-z]{1,8}", body in "\\PC{0,60}") {
        let text = format!("POST /{name}/x HTTP/1.1\r\nHost: a.example\r\n\r\n{body}");
        prop_assert_eq!(read(text.as_bytes()).map(|request| request.api), Some(None));
    }
}
