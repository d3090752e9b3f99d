//! Answers in every framing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

fn answer(content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 X\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A message of Amazon's event stream; `headers` are names and values.
fn message(headers: &[(&str, &str)], payload: &str) -> Vec<u8> {
    let mut coded = Vec::new();
    for (name, value) in headers {
        coded.push(u8::try_from(name.len()).unwrap());
        coded.extend(name.as_bytes());
        coded.push(7);
        coded.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        coded.extend(value.as_bytes());
    }
    let total = u32::try_from(16 + coded.len() + payload.len()).unwrap();
    let mut out = total.to_be_bytes().to_vec();
    out.extend(u32::try_from(coded.len()).unwrap().to_be_bytes());
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out.extend(coded);
    out.extend(payload.as_bytes());
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out
}

/// What Bedrock makes of an event of the model's own.
fn chunk(inner: &str) -> Vec<u8> {
    let payload = format!(r#"{{"bytes":"{}","p":"abc"}}"#, STANDARD.encode(inner));
    message(&[(":event-type", "chunk"), (":message-type", "event")], &payload)
}

const CHUNKS: [&str; 3] = [
    r#"{"object":"chat.completion.chunk","model":"m","choices":[{"delta":{"content":"Hi"}}]}"#,
    r#"{"object":"chat.completion.chunk","model":"m","choices":[{"finish_reason":"stop"}]}"#,
    r#"{"object":"chat.completion.chunk","usage":{"prompt_tokens":7,"completion_tokens":2}}"#,
];

const EVENTS: [&str; 3] = [
    r#"{"type":"message_start","message":{"model":"claude","usage":{"input_tokens":7}}}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}"#,
    r#"{"type":"message_stop"}"#,
];

fn check(call: &ModelCall, model: &str) {
    assert_eq!(call.model_served.as_deref(), Some(model));
    let tokens = call.usage.as_ref().map(|usage| usage.tokens);
    assert_eq!(tokens, Some(Tokens { input_uncached: 7, output_visible: 2, ..Tokens::default() }));
    assert_eq!((call.state, call.streamed), (CallState::Complete, true));
}

#[test]
fn lines_and_arrays_are_streams_of_texts() {
    let chat = request("/v1/chat/completions", CHAT);
    for (content_type, body) in [
        ("application/x-ndjson", CHUNKS.join("\n") + "\n"),
        ("application/jsonl", CHUNKS.join("\r\n")),
        ("application/json; charset=UTF-8", format!("[{}]", CHUNKS.join(",\r\n"))),
    ] {
        let answer = answer(content_type, body.as_bytes());
        let call = exchange(&chat, &String::from_utf8(answer).unwrap()).only();
        check(&call, "m");
    }
}

#[test]
fn amazons_event_stream_holds_the_events_of_the_model() {
    let body: Vec<u8> = EVENTS.iter().flat_map(|event| chunk(event)).collect();
    for content_type in ["application/vnd.amazon.eventstream", ""] {
        let mut bench = Bench::new();
        bench.bytes(Write, request("/v1/messages", CHAT).as_bytes());
        bench.bytes(Read, &answer(content_type, &body));
        check(&bench.only(), "claude");
    }
}

#[test]
fn a_message_of_failure_fails_the_call() {
    let fail = message(
        &[(":exception-type", "throttlingException"), (":message-type", "exception")],
        r#"{"message":"slow down"}"#,
    );
    let mut bench = Bench::new();
    bench.bytes(Write, request("/v1/messages", CHAT).as_bytes());
    let body = [chunk(EVENTS[0]), fail].concat();
    bench.bytes(Read, &answer("application/vnd.amazon.eventstream", &body));
    let call = bench.only();
    assert_eq!(call.state, CallState::Error);
    assert_eq!(call.error_type.as_deref(), Some("throttlingException"));
    assert_eq!(call.usage.map(|usage| usage.tokens.input_uncached), Some(7));
}

#[test]
fn a_hole_in_a_framed_stream_costs_what_it_hits() {
    let lines = CHUNKS.join("\n") + "\n";
    let messages: Vec<u8> = EVENTS.iter().flat_map(|event| chunk(event)).collect();
    // The model and the input are said again in the lines and not in the messages.
    for (path, content_type, body, model, input) in [
        ("/v1/chat/completions", "application/x-ndjson", lines.as_bytes(), Some("m"), Some(7)),
        ("/v1/messages", "application/vnd.amazon.eventstream", &messages, None, None),
    ] {
        let answer = answer(content_type, body);
        let hole = answer.len() - body.len() + 40..answer.len() - body.len() + 50;
        let mut bench = Bench::new();
        bench.bytes(Write, request(path, CHAT).as_bytes());
        bench.bytes(Read, &answer[..hole.start]);
        bench.hole(Read, 10);
        bench.bytes(Read, &answer[hole.end..]);
        let call = bench.only();
        assert_eq!((call.state, call.lost_bytes), (CallState::Truncated, 10), "{path}");
        assert_eq!(call.model_served.as_deref(), model, "{path}");
        assert_eq!(call.usage.map(|usage| usage.tokens.input_uncached), input, "{path}");
    }
}

/// An image in an event may be longer than any event that is held. What is said behind it counts, and
/// what isn't said for want of the event's end is not taken for said.
#[test]
fn an_event_of_any_length_is_read_to_its_end() {
    let long = format!(
        r#"{{"type":"image_generation.completed","b64_json":"{}","usage":{{"input_tokens":7,"output_tokens":2}}}}"#,
        "A".repeat(12 << 20)
    );
    let stream = events(&[r#"{"type":"image_generation.partial_image"}"#, &long], true);
    let asked = request(
        "/v1/images/generations",
        r#"{"model":"gpt-image-1","prompt":"a cat","stream":true}"#,
    );
    let end = stream.len() - 40;
    for (seen, hole, state, has_usage) in [
        (0..stream.len(), 0, CallState::Complete, true),
        (0..end, 0, CallState::Aborted, false),
        (0..end - 100, 100, CallState::Truncated, false),
        (0..11 << 20, 10, CallState::Truncated, false),
    ] {
        let mut bench = Bench::new();
        bench.bytes(Write, asked.as_bytes());
        for part in stream.as_bytes()[seen.clone()].chunks(16 * 1024) {
            bench.bytes(Read, part);
            assert!(bench.pipeline.footprint < 40 << 20);
        }
        bench.hole(Read, hole);
        if hole > 0 {
            let after = seen.end + usize::try_from(hole).unwrap();
            bench.bytes(Read, &stream.as_bytes()[after..]);
        }
        bench.close();
        let call = bench.only();
        assert_eq!((call.state, call.usage.is_some()), (state, has_usage), "{seen:?} {hole}");
        if let Some(usage) = call.usage {
            let tokens = Tokens { input_uncached: 7, output_image: 2, ..Tokens::default() };
            assert_eq!(usage.tokens, tokens);
        }
    }
}
