//! Sessions over a WebSocket.

use super::*;

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";

fn upgrade(host: &str, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n\r\n")
}

/// A message in one frame, as the side that goes this way sends it.
fn message(direction: Direction, text: &str) -> Vec<u8> {
    let mask = if direction == Write { 0x80 } else { 0 };
    let length = u16::try_from(text.len()).unwrap().to_be_bytes();
    let key: &[u8] = if direction == Write { &[0; 4] } else { &[] };
    [&[0x81, mask | 126], &length[..], key, text.as_bytes()].concat()
}

fn session(host: &str, path: &str) -> Bench {
    let mut bench = Bench::new();
    bench.bytes(Write, upgrade(host, path).as_bytes());
    bench.bytes(Read, SWITCH.as_bytes());
    bench
}

impl Bench {
    fn says(&mut self, direction: Direction, text: &str) {
        self.bytes(direction, &message(direction, text));
    }
}

const CREATE: &str = r#"{"type":"response.create","model":"gpt-5","input":"hello"}"#;
const COMPLETED: &str = r#"{"type":"response.completed","response":{"id":"resp_1","object":"response",
    "status":"completed","model":"gpt-5-2025-08-07","usage":{"input_tokens":7,"output_tokens":2}}}"#;

#[test]
fn calls_are_handed_out_while_the_session_goes_on() {
    let mut bench = session("api.openai.com", "/v1/responses");
    for calls in 1..=3 {
        bench.says(Write, CREATE);
        bench.says(Read, COMPLETED);
        assert_eq!(bench.calls.len(), calls);
    }
    bench.says(Write, CREATE);
    bench.close();
    assert_eq!(bench.steering, []);
    let indexes: Vec<u64> = bench.calls.iter().map(|call| call.index).collect();
    assert_eq!(indexes, [0, 1, 2, 3]);
    for call in &bench.calls[..3] {
        assert_eq!((call.api, call.provider), (Api::Responses, "openai"));
        assert_eq!(call.model_requested.as_deref(), Some("gpt-5"));
        assert_eq!((call.usage.clone(), call.state), (buckets(7, 0, 2, 0), CallState::Complete));
    }
    assert_eq!(bench.calls[3].state, CallState::Aborted);
}

/// Of a session only output is learnt from: the provider holds what was said before.
#[test]
fn the_output_of_a_session_has_something_to_teach() {
    let mut bench = session("api.openai.com", "/v1/responses");
    let text = r#"{"type":"response.output_text.delta","delta":"a low dam"}"#;
    let thought = r#"{"type":"response.reasoning_text.delta","delta":"a dam?"}"#;
    let silent = COMPLETED.replace("usage", "unused");
    for (said, completed) in [(text, &*silent), (text, COMPLETED), (thought, COMPLETED)] {
        bench.says(Write, CREATE);
        bench.says(Read, r#"{"type":"response.created","response":{"id":"resp_1"}}"#);
        bench.says(Read, said);
        bench.says(Read, completed);
    }
    let taught = |call: &ModelCall| {
        call.sample.as_ref().map(|text| (text.input.len(), text.output.expose().to_owned()))
    };
    let taught: Vec<_> = bench.calls.iter().map(taught).collect();
    assert_eq!(taught, [None, Some((0, "a low dam".to_owned())), None]);
}

#[test]
fn a_session_of_no_known_form_is_ignored_after_a_few_messages() {
    for path in ["/socket", "/realtime"] {
        let mut bench = session("chat.example", path);
        for number in 0..8 {
            assert_eq!(bench.steering, [], "{number}");
            bench.says(
                if number % 2 == 0 { Read } else { Write },
                r#"{"type":"message","text":"hi"}"#,
            );
        }
        assert_eq!(bench.steering, [Steering::Ignore]);
        assert_eq!(bench.pipeline.stats().upgraded, 1);
        bench.says(Write, CREATE);
        bench.says(Read, COMPLETED);
        bench.close();
        assert_eq!(bench.calls.len(), 0);
    }
}

/// A frame of HTTP/2 of a length below 64 KiB.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[0, length[0], length[1], kind, flags, 0, 0, 0, stream], payload].concat()
}

/// `POST https://h/v1/chat/completions` in a stream, with its body.
fn post(stream: u8) -> Vec<u8> {
    let block = b"\x83\x87\x01\x01h\x04\x14/v1/chat/completions\x0f\x10\x10application/json";
    [frame(1, 4, stream, block), frame(0, 1, stream, CHAT.as_bytes())].concat()
}

/// The answer to it.
fn answer(stream: u8) -> Vec<u8> {
    let block = b"\x88\x0f\x10\x10application/json";
    [frame(1, 4, stream, block), frame(0, 1, stream, CHAT_ANSWER.as_bytes())].concat()
}

#[test]
fn a_session_of_no_use_in_a_stream_leaves_the_others() {
    let connect = b"\x02\x07CONNECT\x00\x09:protocol\x09websocket\x87\x04\x02/s\x01\x01h";
    let mut bench = Bench::new();
    bench.bytes(Write, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    bench.bytes(Write, &frame(1, 4, 1, connect));
    bench.bytes(Read, &frame(1, 4, 1, b"\x88"));
    for _ in 0..20 {
        bench.bytes(Read, &frame(0, 0, 1, &message(Read, r#"{"type":"message"}"#)));
    }
    let room = vec![b'x'; 60_000];
    for _ in 0..20 {
        bench.bytes(Read, &frame(0, 0, 1, &[b"\x01\x7f\0\0\0\0\0\0\xea\x60", &room[..]].concat()));
    }
    assert!(bench.pipeline.footprint < 100_000);
    bench.bytes(Write, &post(3));
    bench.bytes(Read, &answer(3));
    assert_eq!(bench.steering, []);
    assert_eq!(bench.only().api, Api::ChatCompletions);
}

#[test]
fn what_a_dull_request_may_turn_into_is_not_skipped() {
    let ask = |upgrade| format!("GET /health HTTP/1.1\r\nHost: h\r\n{upgrade}\r\n");
    let mut bench = Bench::new();
    bench.bytes(Write, ask("").as_bytes());
    assert_eq!(bench.steering.len(), 1);
    let mut bench = Bench::new();
    bench.bytes(Write, ask("Upgrade: h2c\r\n").as_bytes());
    assert_eq!(bench.steering, []);
    bench.bytes(Read, b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n");
    bench.bytes(Read, &frame(4, 0, 0, b""));
    bench.bytes(Write, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    bench.bytes(Write, &post(3));
    bench.bytes(Read, &[frame(1, 5, 1, b"\x88"), answer(3)].concat());
    assert_eq!(bench.only().state, CallState::Complete);
}

#[test]
fn a_session_on_a_host_that_is_not_known_is_recognised_by_its_messages() {
    for (asked, answered, api) in [
        (CREATE, COMPLETED, Api::Responses),
        (
            r#"{"type":"session.update","session":{}}"#,
            r#"{"type":"session.created","session":{"object":"realtime.session","model":"gpt-realtime"}}"#,
            Api::Realtime,
        ),
        (r#"{"setup":{"model":"models/gemini-live"}}"#, r#"{"setupComplete":{}}"#, Api::Live),
    ] {
        let mut bench = session("gateway.example", "/socket");
        bench.says(Write, asked);
        bench.says(Read, answered);
        for _ in 0..20 {
            bench.says(Read, r#"{"type":"rate_limits.updated"}"#);
        }
        assert_eq!(bench.steering, [], "{api:?}");
        bench.says(Read, r#"{"type":"response.done","response":{"id":"r"}}"#);
        bench.says(Read, r#"{"serverContent":{"turnComplete":true},"usageMetadata":{}}"#);
        assert_eq!(bench.only().api, api);
    }
}

#[test]
fn whoever_serves_a_session_is_not_billed_for_it() {
    let mut bench = Bench::new();
    bench.bytes(Read, upgrade("api.openai.com", "/v1/responses").as_bytes());
    assert_eq!(bench.steering, [Steering::Ignore]);
}

#[test]
fn a_session_forgotten_is_told_of_as_far_as_it_was_seen() {
    let mut bench = session("api.openai.com", "/v1/responses");
    bench.says(Write, CREATE);
    bench.says(Read, r#"{"type":"response.created","response":{"id":"resp_1"}}"#);
    bench.handle(Input::Stop { time: Timestamp::UNIX_EPOCH });
    let call = bench.only();
    assert_eq!((call.state, call.response_id.as_deref()), (CallState::Truncated, Some("resp_1")));
}

#[test]
fn as_many_answers_as_are_remembered_go_on_at_once() {
    let mut bench = session("api.openai.com", "/v1/responses");
    for lane in 0..100 {
        let event = |kind: &str| format!(r#"{{"type":"{kind}","stream_id":"{lane}","model":"m"}}"#);
        bench.says(Write, &event("response.create"));
        bench.says(Read, &event("response.created"));
    }
    assert_eq!(bench.calls.len(), 100 - 64);
    bench.close();
    assert_eq!(bench.calls.len(), 100);
    assert!(bench.calls.iter().all(|call| call.state == CallState::Aborted));
}

fn events() -> impl Strategy<Value = Vec<(bool, &'static str)>> {
    let one = prop::sample::select(vec![
        CREATE,
        COMPLETED,
        r#"{"type":"response.create"}"#,
        r#"{"type":"response.created","response":{"id":"a"}}"#,
        r#"{"type":"response.created","stream_id":"x","response":{"id":"b"}}"#,
        r#"{"type":"response.output_text.delta","delta":"x","response_id":"a"}"#,
        r#"{"type":"response.done","response":{"id":"a","status":"failed","usage":{"input_tokens":1}}}"#,
        r#"{"type":"error","status":99999999,"error":{"code":"c"}}"#,
        r#"{"type":"session.created","session":{"object":"realtime.session","model":"m"}}"#,
        r#"{"type":"conversation.item.input_audio_transcription.completed","usage":{"seconds":1e308}}"#,
        r#"{"setup":{"model":"models/m"}}"#,
        r#"{"clientContent":{"turnComplete":true}}"#,
        r#"{"serverContent":{"modelTurn":{}},"usageMetadata":{"promptTokenCount":1}}"#,
        r#"{"serverContent":{"turnComplete":true}}"#,
        r#"{"usageMetadata":{"responseTokenCount":18446744073709551615}}"#,
        r#"{"type":"#,
        "[]",
    ]);
    prop::collection::vec((any::<bool>(), one), 0..40)
}

proptest! {
    /// Whatever is said, each answer is handed out once, and only those that were asked for, began or
    /// ended.
    #[test]
    fn no_messages_make_it_panic(
        events in events(),
        host in prop::sample::select(vec!["api.openai.com", "elsewhere"]),
        path in prop::sample::select(vec![
            "/v1/responses",
            "/v1/realtime",
            "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent",
            "/socket",
        ]),
        hole in any::<prop::sample::Index>(),
    ) {
        let mut bench = session(host, path);
        let hole = hole.index(events.len() + 1);
        for (number, (asked, event)) in events.iter().enumerate() {
            let direction = if *asked { Write } else { Read };
            let bytes = message(direction, event);
            if number == hole {
                bench.bytes(direction, &bytes[..bytes.len() - 1]);
                bench.hole(direction, 1);
            } else {
                bench.bytes(direction, &bytes);
            }
        }
        bench.close();
        prop_assert!(bench.calls.len() <= events.len());
        let indexes: Vec<u64> = bench.calls.iter().map(|call| call.index).collect();
        prop_assert!(indexes.iter().copied().eq(0..indexes.len() as u64));
    }
}
