//! What is said of connections that something is read of.

use super::*;

fn host(name: &str) -> Option<String> {
    Some(name.to_owned())
}

#[test]
fn a_connection_is_said_to_be_read_once() {
    let mut bench = Bench::new();
    for _ in 0..3 {
        bench.bytes(Write, request("/v1/anything", "{}").as_bytes());
        bench.bytes(Read, json(200, "{}").as_bytes());
    }
    assert_eq!(bench.spoken, [host("localhost:8443")]);
}

#[test]
fn a_request_that_is_dull_was_read_too() {
    let mut bench = Bench::new();
    bench.bytes(Write, b"GET /favicon.ico HTTP/1.1\r\nhost: a.example:8443\r\n\r\n");
    assert_eq!(bench.spoken, [host("a.example:8443")]);
}

#[test]
fn an_answer_whose_request_nobody_saw_is_of_any_host() {
    let mut bench = Bench::new();
    bench.bytes(Read, json(200, CHAT_ANSWER).as_bytes());
    assert_eq!(bench.spoken, [None]);
}

#[test]
fn who_answers_is_no_client() {
    let mut bench = Bench::new();
    bench.bytes(Read, request("/v1/chat/completions", CHAT).as_bytes());
    assert!(bench.spoken.is_empty());
}
