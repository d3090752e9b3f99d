//! Whole exchanges about batches, and broken ones.

use proptest::prelude::*;

use super::*;
use crate::http::head::Head;
use crate::secret::FingerprintKey;
use crate::units::{ConnectionId, ProcessKey};

fn request(line: &str, host: &str) -> RequestHead {
    let head = format!("{line} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer sk-x\r\n\r\n");
    match Head::parse(head.as_bytes(), &FingerprintKey::new([0; 32])) {
        Ok(Head::Request(head)) => head,
        other => panic!("{other:?}"),
    }
}

fn answer(reader: &mut BatchReader, status: u16) {
    let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n\r\n");
    match Head::parse(head.as_bytes(), &FingerprintKey::new([0; 32])) {
        Ok(Head::Response(head)) => reader.response(&head),
        other => panic!("{other:?}"),
    }
}

/// What comes of a request and of an answer in these parts.
fn run(line: &str, status: u16, parts: &[&[u8]]) -> Vec<BatchNews> {
    let head = request(line, "api.openai.com");
    let mut reader = BatchReader::of(&head).unwrap();
    answer(&mut reader, status);
    parts.iter().for_each(|part| reader.feed(part));
    let process = ProcessKey { pid: 1, start_ns: 1 };
    let connection = ConnectionId { process, handle: 1, generation: 1 };
    let (ordinal, started) = (0, Timestamp::UNIX_EPOCH);
    reader.finish(&Seen { connection, ordinal, started, head: Some(&head) })
}

/// `batch: file file` of each.
fn said(line: &str, status: u16, body: &str) -> Vec<String> {
    let news = run(line, status, &[body.as_bytes()]);
    news.iter().map(|one| format!("{}: {}", one.id, one.files.join(" "))).collect()
}

const CREATE: &str = "POST /v1/batches";
const ASK: &str = "GET /v1/batches/batch_1";
const DONE: &str = r#"{"id":"batch_1","object":"batch","errors":null,"input_file_id":"file-1","output_file_id":"file-2","error_file_id":"file-3","metadata":{"id":"x","object":"y"}}"#;

#[test]
fn what_creates_a_batch_and_what_asks_after_it_are_told_apart() {
    for (line, host, expected) in [
        (CREATE, "api.openai.com", Some((true, "openai"))),
        ("POST /openai/v1/batches", "api.groq.com", Some((true, "groq"))),
        (
            "POST /openai/batches?api-version=1",
            "x.openai.azure.com",
            Some((true, "azure.ai.openai")),
        ),
        ("POST /v1/batches", "localhost:4000", Some((true, "openai"))),
        ("POST /v1/batch/jobs", "api.mistral.ai", Some((true, "mistral_ai"))),
        ("POST /v1/messages/batches/", "api.anthropic.com", Some((true, "anthropic"))),
        ("POST /v1/messages/batches", "localhost:4000", Some((true, "anthropic"))),
        (ASK, "api.openai.com", Some((false, "openai"))),
        ("GET /v1/batches?limit=9", "api.openai.com", Some((false, "openai"))),
        ("POST /v1/batches/batch_1/cancel", "api.openai.com", Some((false, "openai"))),
        ("GET /v1/batch/jobs/j", "api.mistral.ai", Some((false, "mistral_ai"))),
        // Their results name the batch itself.
        ("GET /v1/messages/batches/b", "api.anthropic.com", None),
        ("GET /v1/messages/batches/b/results", "api.anthropic.com", None),
        ("POST /v1/messages/batches/b/cancel", "api.anthropic.com", None),
        ("POST /v1/batches/batch_1", "api.openai.com", None),
        ("DELETE /v1/batches/batch_1", "api.openai.com", None),
        ("GET /v1/batches/batch_1/x", "api.openai.com", None),
        ("POST /batches", "api.openai.com", None),
        ("POST /v1/chat/completions", "api.openai.com", None),
    ] {
        let reader = BatchReader::of(&request(line, host));
        let found = reader.map(|reader| (reader.created, reader.provider));
        assert_eq!(found, expected, "{line} {host}");
    }
}

#[test]
fn an_answer_names_a_batch_and_its_files() {
    let [news] = &run(ASK, 200, &[DONE.as_bytes()])[..] else { panic!("one batch") };
    assert_eq!(
        (news.id.as_str(), news.created, news.host.as_str()),
        ("batch_1", false, "api.openai.com")
    );
    assert_eq!(news.files, ["file-2", "file-3"]);
    assert!(news.credential.is_some());
    let created = r#"{"output_file_id":null,"object":"batch","id":"batch_1"}"#;
    assert_eq!(said(CREATE, 200, created), ["batch_1: "]);
}

#[test]
fn a_list_names_several() {
    let list = r#"{"object":"list","data":[{"id":"b1","object":"batch","output_file_id":"f1"},{"object":"batch","errors":{"data":[{"id":"x","object":"batch"}]},"id":"b2"},{"id":"f","object":"file"}],"first_id":"b1","has_more":false}"#;
    assert_eq!(said("GET /v1/batches", 200, list), ["b1: f1", "b2: "]);
    assert!(said(CREATE, 200, list).is_empty(), "a creation makes one");
}

#[test]
fn what_is_not_whole_and_plain_says_nothing() {
    let one = |more: &str| format!(r#"{{"id":"b","object":"batch"{more}}}"#);
    let files = |count| (0..count).map(|_| r#","output_file_id":"f""#).collect::<String>();
    let many = vec![one(""); MAX_BATCHES + 1].join(",");
    let most = vec![one(""); MAX_BATCHES].join(",");
    for (status, body, batches) in [
        (200, one(""), 1),
        (404, one(""), 0),
        (200, one("")[1..].to_owned(), 0),
        (200, one("").trim_end_matches('}').to_owned(), 0),
        (200, one(r#","id":"c""#), 0),
        (200, one(&files(2)), 1),
        (200, one(&files(3)), 0),
        (200, r#"{"id":"b","object":"file"}"#.to_owned(), 0),
        (200, r#"{"id":"","object":"batch"}"#.to_owned(), 0),
        (200, format!(r#"{{"id":"{}","object":"batch"}}"#, "i".repeat(300)), 0),
        (200, format!(r#"{{"data":[{most}]}}"#), MAX_BATCHES),
        (200, format!(r#"{{"data":[{many}]}}"#), 0),
        (200, format!("{}{}", one(""), " ".repeat(MAX_BODY)), 0),
    ] {
        assert_eq!(said(ASK, status, &body).len(), batches, "{status} {:.80}", body);
    }
}

#[test]
fn a_loss_says_nothing_and_frees_the_rest() {
    let mut reader = BatchReader::of(&request(ASK, "api.openai.com")).unwrap();
    answer(&mut reader, 200);
    reader.feed(DONE.as_bytes());
    assert!(reader.needs_answer());
    reader.lose();
    assert!(!reader.needs_answer());
}

proptest! {
    #[test]
    fn any_split_gives_the_same(cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        let bytes = DONE.as_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let parts: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(run(ASK, 200, &parts), run(ASK, 200, &[bytes]));
    }

    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(
        prop_oneof![any::<u8>(), prop::sample::select(br#"{}[]",:\1tn"#.to_vec())], 0..100,
    )) {
        run(ASK, 200, &[&body]);
    }
}
