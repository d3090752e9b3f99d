//! Whole exchanges through the whole pipeline.

mod batches;
mod edges;
mod forgeries;
mod forgotten;
mod framings;
mod renewal;
mod samples;
mod serving;
mod sessions;
mod spoken;

use proptest::prelude::*;

use super::*;
use crate::identity::{IdentityId, Process as Maker};
use crate::provider::{Api, CallState, Usage};
use crate::units::{Role, Tokens};
use Direction::{Read, Write};

const PROCESS: ProcessKey = ProcessKey { pid: 42, start_ns: 1 };
const CONNECTION: ConnectionId = ConnectionId { process: PROCESS, handle: 0x7f00, generation: 9 };

/// A pipeline and everything it has put out, with facts given as soon as they are asked for.
struct Bench {
    pipeline: Pipeline,
    calls: Vec<ModelCall>,
    edges: Vec<Edge>,
    batches: Vec<BatchNews>,
    steering: Vec<Steering>,
    spoken: Vec<Option<String>>,
    asked: usize,
    offsets: [u64; 2],
    now: Timestamp,
}

impl Bench {
    fn new() -> Self {
        Self {
            pipeline: Pipeline::new(FingerprintKey::new([3; 32])),
            calls: Vec::new(),
            edges: Vec::new(),
            batches: Vec::new(),
            steering: Vec::new(),
            spoken: Vec::new(),
            asked: 0,
            offsets: [0; 2],
            now: Timestamp::UNIX_EPOCH,
        }
    }

    fn handle(&mut self, input: Input<'_>) {
        self.pipeline.handle(input);
        while let Some(output) = self.pipeline.poll() {
            match output {
                Output::NeedFacts(process) => {
                    self.asked += 1;
                    let process_facts = Maker { pid: process.pid, exe: None, uid: 0 };
                    self.pipeline.handle(Input::Facts {
                        process,
                        attribution: Attribution::new(
                            IdentityId("spiffe://weir/host/h/user/root".to_owned()),
                            process_facts,
                        )
                        .into(),
                    });
                }
                Output::Call { call, .. } => self.calls.push(*call),
                Output::Edge { edge, .. } => self.edges.push(*edge),
                Output::Batch { news, .. } => self.batches.push(*news),
                Output::Asked { .. } => {}
                Output::Spoke { host, .. } => self.spoken.push(host),
                Output::Steer { steering, .. } => self.steering.push(steering),
            }
        }
    }

    fn bytes(&mut self, direction: Direction, data: &[u8]) {
        let offset = self.offsets[usize::from(direction == Read)];
        self.offsets[usize::from(direction == Read)] += data.len() as u64;
        let time = self.now;
        let (connection, cgroup) = (CONNECTION, 1);
        self.handle(Input::Segment { connection, cgroup, direction, offset, time, data });
    }

    fn hole(&mut self, direction: Direction, bytes: u64) {
        self.offsets[usize::from(direction == Read)] += bytes;
    }

    fn close(&mut self) {
        let [write_total, read_total] = self.offsets;
        let time = self.now;
        self.handle(Input::Closed { connection: CONNECTION, time, read_total, write_total });
    }

    fn only(mut self) -> ModelCall {
        assert_eq!(self.calls.len(), 1, "{:?}", self.calls);
        self.calls.remove(0)
    }
}

fn request(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost:8443\r\nAuthorization: Bearer sk-test\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn json(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A chunked event stream, one chunk an event; unfinished unless `finished`.
fn events(data: &[&str], finished: bool) -> String {
    let mut out = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\
                   Transfer-Encoding: chunked\r\n\r\n"
        .to_owned();
    for one in data {
        out.push_str(&format!("{:x}\r\ndata: {one}\n\n\r\n", one.len() + 8));
    }
    if finished {
        out.push_str("0\r\n\r\n");
    }
    out
}

fn exchange(request: &str, response: &str) -> Bench {
    let mut bench = Bench::new();
    bench.bytes(Write, request.as_bytes());
    bench.bytes(Read, response.as_bytes());
    bench
}

const CHAT: &str = r#"{"messages":[{"role":"user","content":"hello"}],"model":"gpt-5"}"#;
const CHAT_STREAM: &str =
    r#"{"messages":[{"role":"user","content":"hello"}],"model":"gpt-5","stream":true}"#;
const CHAT_ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-5-2025-08-07",
    "choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],
    "usage":{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,
    "prompt_tokens_details":{"cached_tokens":64,"audio_tokens":0},
    "completion_tokens_details":{"reasoning_tokens":12}},"service_tier":"default"}"#;
const MESSAGE: &str = r#"{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[{"role":"user","content":[{"type":"text","text":"hello"}]}]}"#;
const MESSAGE_START: &str = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5-20250929","content":[],"stop_reason":null,"usage":{"input_tokens":3,"cache_creation_input_tokens":30,"cache_read_input_tokens":7,"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},"output_tokens":1,"service_tier":"standard"}}}"#;

fn buckets(input: u64, read: u64, output: u64, reasoning: u64) -> Option<Usage> {
    let tokens = Tokens {
        input_uncached: input,
        cache_read: read,
        output_visible: output,
        reasoning,
        ..Tokens::default()
    };
    Some(tokens.into())
}

#[test]
fn chat_completion() {
    let bench = exchange(&request("/v1/chat/completions", CHAT), &json(200, CHAT_ANSWER));
    assert_eq!(bench.asked, 1);
    let call = bench.only();
    assert_eq!(
        (call.api, call.provider, call.role),
        (Api::ChatCompletions, "openai", Role::Client)
    );
    assert_eq!(call.host.as_deref(), Some("localhost:8443"));
    assert_eq!(call.model_requested.as_deref(), Some("gpt-5"));
    assert_eq!(call.model_served.as_deref(), Some("gpt-5-2025-08-07"));
    assert_eq!((call.status, call.streamed, call.state), (Some(200), false, CallState::Complete));
    assert_eq!(call.usage, buckets(36, 64, 8, 12));
    assert_eq!(call.response_id.as_deref(), Some("chatcmpl-1"));
    assert_eq!(call.context.service_tier.as_deref(), Some("default"));
    assert!(call.credential.is_some() && call.countable.is_none() && call.lost_bytes == 0);
}

#[test]
fn chat_stream_with_usage_in_its_last_chunk() {
    let call = exchange(
        &request("/v1/chat/completions", CHAT_STREAM),
        &events(
            &[
                r#"{"id":"c","object":"chat.completion.chunk","model":"gpt-5","choices":[{"delta":{"role":"assistant","content":""}}],"usage":null}"#,
                r#"{"id":"c","object":"chat.completion.chunk","choices":[{"delta":{"content":"hi"},"finish_reason":null}],"usage":null}"#,
                r#"{"id":"c","object":"chat.completion.chunk","choices":[{"delta":{},"finish_reason":"stop"}],"usage":null}"#,
                r#"{"id":"c","object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#,
                "[DONE]",
            ],
            true,
        ),
    )
    .only();
    assert_eq!((call.streamed, call.state), (true, CallState::Complete));
    assert_eq!(call.usage, buckets(9, 0, 2, 0));
    assert!(call.countable.is_none() && call.first_output.is_some());
}

#[test]
fn usage_on_every_frame_counts_once() {
    let frame = |n: u64| {
        format!(
            r#"{{"id":"c","object":"chat.completion.chunk","choices":[{{"delta":{{"content":"x"}}}}],"usage":{{"prompt_tokens":5,"completion_tokens":{n},"total_tokens":{}}}}}"#,
            n + 5
        )
    };
    let frames: Vec<String> = (1..=4).map(frame).collect();
    let mut all: Vec<&str> = frames.iter().map(String::as_str).collect();
    all.push("[DONE]");
    let answer = events(&all, true);
    let call = exchange(&request("/v1/chat/completions", CHAT_STREAM), &answer).only();
    assert_eq!(call.usage, buckets(5, 0, 4, 0));
}

#[test]
fn without_usage_there_is_text_to_count() {
    let chunk = r#"{"id":"c","object":"chat.completion.chunk","choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}"#;
    let answer = events(&[chunk, "[DONE]"], true);
    let call = exchange(&request("/v1/chat/completions", CHAT_STREAM), &answer).only();
    let text = call.countable.unwrap();
    assert_eq!((call.state, call.usage, text.cut), (CallState::Complete, None, false));
    assert_eq!((text.input[0].role.as_str(), text.input[0].text.expose()), ("user", "hello"));
    assert_eq!(text.output.expose(), "hi");
}

#[test]
fn messages_stream() {
    let answer = events(
        &[
            MESSAGE_START,
            r#"{"type":"ping"}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi"}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":50,"output_tokens_details":{"thinking_tokens":30}}}"#,
            r#"{"type":"message_stop"}"#,
        ],
        true,
    );
    let call = exchange(&request("/v1/messages?beta=true", MESSAGE), &answer).only();
    assert_eq!((call.api, call.provider), (Api::Messages, "anthropic"));
    assert_eq!(
        call.usage.map(|usage| usage.tokens),
        Some(Tokens {
            input_uncached: 3,
            cache_read: 7,
            cache_write_5m: 10,
            cache_write_1h: 20,
            output_visible: 20,
            reasoning: 30,
            ..Tokens::default()
        })
    );
    assert!(call.countable.is_none());
}

#[test]
fn an_aborted_stream_keeps_what_was_said() {
    let delta = r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"half"}}"#;
    let mut bench =
        exchange(&request("/v1/messages", MESSAGE), &events(&[MESSAGE_START, delta], false));
    bench.close();
    let call = bench.only();
    assert_eq!((call.state, call.status), (CallState::Aborted, Some(200)));
    assert_eq!(call.usage.unwrap().tokens.input_uncached, 3);
    let text = call.countable.unwrap();
    assert!(text.cut && text.input.is_empty());
    assert_eq!(text.output.expose(), "half");
}

#[test]
fn iterations_are_what_is_billed() {
    let answer = r#"{"type":"message","id":"m","model":"claude","stop_reason":"end_turn","content":[],
        "usage":{"input_tokens":10,"output_tokens":20,"cache_read_input_tokens":0,"iterations":[
        {"type":"compaction","input_tokens":100,"output_tokens":5},
        {"type":"message","input_tokens":10,"output_tokens":20}]}}"#;
    let call = exchange(&request("/v1/messages", MESSAGE), &json(200, answer)).only();
    assert_eq!(call.usage, buckets(110, 0, 25, 0));
}

#[test]
fn an_unsplit_cache_write_has_the_lifetime_that_was_asked_for() {
    let answer = r#"{"type":"message","id":"m","usage":{"input_tokens":3,"cache_creation_input_tokens":12304,"output_tokens":550}}"#;
    for (ttl, five, hour) in [("", 12304, 0), (r#","ttl":"1h""#, 0, 12304)] {
        let body = format!(
            r#"{{"model":"claude","max_tokens":1,"system":[{{"text":"s","cache_control":{{"type":"ephemeral"{ttl}}}}}],"messages":[]}}"#
        );
        let tokens = exchange(&request("/v1/messages", &body), &json(200, answer)).only().usage;
        let tokens = tokens.unwrap().tokens;
        assert_eq!((tokens.cache_write_5m, tokens.cache_write_1h), (five, hour));
        assert_eq!((tokens.input_uncached, tokens.output_visible), (3, 550));
    }
}

#[test]
fn responses_stream_repeats_the_answer_in_its_last_event() {
    let answer = events(
        &[
            r#"{"type":"response.created","response":{"id":"resp_1","object":"response","status":"in_progress","model":"gpt-5","error":null,"usage":null}}"#,
            r#"{"type":"response.output_text.delta","delta":"hi"}"#,
            r#"{"type":"response.completed","response":{"id":"resp_1","object":"response","status":"completed","model":"gpt-5","error":null,"output":[{"content":[{"text":"hi"}]}],"usage":{"input_tokens":30,"input_tokens_details":{"cached_tokens":10,"cache_write_tokens":5},"output_tokens":9,"output_tokens_details":{"reasoning_tokens":4},"total_tokens":39}}}"#,
        ],
        true,
    );
    let body = r#"{"model":"gpt-5","input":"hello","stream":true}"#;
    let call = exchange(&request("/v1/responses", body), &answer).only();
    assert_eq!((call.api, call.state), (Api::Responses, CallState::Complete));
    assert_eq!(call.response_id.as_deref(), Some("resp_1"));
    let tokens = call.usage.unwrap().tokens;
    assert_eq!((tokens.input_uncached, tokens.cache_read, tokens.cache_write_other), (15, 10, 5));
    assert_eq!((tokens.output_visible, tokens.reasoning), (5, 4));
}

#[test]
fn embeddings_of_any_size() {
    let row = format!(r#"{{"object":"embedding","embedding":[{}0.5]}}"#, "0.25,".repeat(2000));
    let answer = format!(
        r#"{{"object":"list","data":[{}{row}],"model":"text-embedding-3-small","usage":{{"prompt_tokens":8,"total_tokens":8}}}}"#,
        format!("{row},").repeat(1000)
    );
    assert!(answer.len() > 8 << 20);
    let body = r#"{"model":"text-embedding-3-small","input":["a","b"]}"#;
    let call = exchange(&request("/v1/embeddings", body), &json(200, &answer)).only();
    assert_eq!((call.api, call.usage), (Api::Embeddings, buckets(8, 0, 0, 0)));
}

#[test]
fn any_path_will_do_if_the_bodies_speak_the_form() {
    for (body, answer, api) in [
        (CHAT, CHAT_ANSWER, Api::ChatCompletions),
        (
            MESSAGE,
            r#"{"type":"message","usage":{"input_tokens":1,"output_tokens":1}}"#,
            Api::Messages,
        ),
    ] {
        let call = exchange(&request("/gateway/llm", body), &json(200, answer)).only();
        assert_eq!(call.api, api);
    }
}

#[test]
fn what_is_no_model_call_is_none() {
    for (path, body, answer) in [
        ("/v1/messages", r#"{"to":"bob"}"#, r#"{"id":7}"#),
        ("/api/search", r#"{"model":"x","messages":[]}"#, r#"{"hits":[]}"#),
        ("/v1/messages/batches", MESSAGE, r#"{"id":"msgbatch_1","type":"message_batch"}"#),
    ] {
        let bench = exchange(&request(path, body), &json(200, answer));
        assert!(bench.calls.is_empty(), "{path}");
    }
}

#[test]
fn errors_name_themselves() {
    for (answer, error) in [
        (
            r#"{"error":{"message":"m","type":"insufficient_quota","code":"credit_balance_exhausted"}}"#,
            "credit_balance_exhausted",
        ),
        (
            r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#,
            "overloaded_error",
        ),
    ] {
        let (path, body) = if answer.contains("quota") {
            ("/v1/chat/completions", CHAT)
        } else {
            ("/v1/messages", MESSAGE)
        };
        let call = exchange(&request(path, body), &json(429, answer)).only();
        assert_eq!((call.state, call.status), (CallState::Error, Some(429)));
        assert_eq!(call.error_type.as_deref(), Some(error));
        assert!(call.usage.is_none() && call.countable.is_none());
    }
}

#[test]
fn a_stream_that_fails_after_200_is_an_error() {
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#;
    let call = exchange(&request("/v1/messages", MESSAGE), &events(&[error], true)).only();
    assert_eq!((call.state, call.status), (CallState::Error, Some(200)));
    assert!(call.countable.is_none());
}

#[test]
fn an_answer_whose_request_was_not_seen_is_metered() {
    let mut bench = Bench::new();
    bench.bytes(Read, json(200, CHAT_ANSWER).as_bytes());
    let call = bench.only();
    assert_eq!((call.model_requested, call.usage), (None, buckets(36, 64, 8, 12)));
}

#[test]
fn a_hole_in_a_stream_is_owned_up_to() {
    let first =
        r#"{"id":"c","object":"chat.completion.chunk","choices":[{"delta":{"content":"hi"}}]}"#;
    let usage = r#"{"id":"c","object":"chat.completion.chunk","choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#;
    let answer = events(&[first, first, usage, "[DONE]"], true);
    let cut = answer.find("hi").unwrap();
    let mut bench = Bench::new();
    bench.bytes(Write, request("/v1/chat/completions", CHAT_STREAM).as_bytes());
    bench.bytes(Read, &answer.as_bytes()[..cut]);
    bench.hole(Read, 2);
    bench.bytes(Read, &answer.as_bytes()[cut + 2..]);
    let call = bench.only();
    assert_eq!((call.state, call.lost_bytes), (CallState::Truncated, 2));
    assert_eq!(call.usage, buckets(9, 0, 2, 0));
    assert!(call.countable.is_none(), "the usage is final whatever was lost before it");
}

#[test]
fn a_dull_answer_is_skipped_and_the_next_call_is_not() {
    let get = "GET /big.iso HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut bench = Bench::new();
    bench.bytes(Write, get.as_bytes());
    assert_eq!(bench.steering, [Steering::SkipReadsUntilWriteBeyond(get.len() as u64)]);
    bench.bytes(Read, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\nxx");
    bench.hole(Read, 1 << 30);
    bench.bytes(Write, request("/v1/chat/completions", CHAT).as_bytes());
    bench.bytes(Read, json(200, CHAT_ANSWER).as_bytes());
    assert_eq!(bench.asked, 1);
    assert_eq!(bench.only().lost_bytes, 0);
}

#[test]
fn useless_connections_are_ignored() {
    for (direction, data) in [
        (Read, &b"GET / HTTP/1.1\r\n\r\n"[..]),
        (Read, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x03\x01\x05\0\0\0\x01\x82\x84\x87"),
        (Write, b"\0\0\x01\x01\x04\0\0\0\x01\x88"),
    ] {
        let mut bench = Bench::new();
        bench.bytes(direction, data);
        bench.bytes(direction, data);
        assert_eq!(bench.steering, [Steering::Ignore]);
    }
}

#[test]
fn grpc_is_counted_once_a_connection_and_nothing_of_http_2_is_skipped() {
    // `content-type: application/grpc`, inserted and referred to.
    let begin = b"\0\0\x15\x01\x05\0\0\0\x01\x83\x87\x84\x5f\x10application/grpc";
    let again = b"\0\0\x04\x01\x05\0\0\0\x03\x83\x87\x84\xbe";
    let mut bench = Bench::new();
    bench.bytes(Write, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    bench.bytes(Write, begin);
    bench.bytes(Write, again);
    assert_eq!(bench.pipeline.stats().grpc, 1);
    assert!(bench.steering.is_empty() && bench.asked == 0);
}

#[test]
fn a_resting_connection_of_http_2_keeps_what_its_next_head_refers_to() {
    let mut bench = Bench::new();
    bench.bytes(Write, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    for (after, connections) in [(IDLE_SECONDS + 1, 1), (SILENT_SECONDS + 1, 0)] {
        let time = bench.now + jiff::SignedDuration::from_secs(after);
        bench.handle(Input::Tick { time });
        assert_eq!(bench.pipeline.stats().connections, connections);
    }
}

#[test]
fn silence_ends_an_exchange_and_a_dead_process_its_connections() {
    let mut bench = Bench::new();
    bench.bytes(Write, request("/v1/chat/completions", CHAT).as_bytes());
    for (after, calls) in [(SILENT_SECONDS, 0), (SILENT_SECONDS + 1, 1)] {
        let time = bench.now + jiff::SignedDuration::from_secs(after);
        bench.handle(Input::Tick { time });
        assert_eq!(bench.calls.len(), calls);
    }
    assert_eq!(bench.calls[0].state, CallState::Truncated);

    let mut bench = Bench::new();
    bench.bytes(Write, request("/v1/chat/completions", CHAT).as_bytes());
    bench.handle(Input::Exited { process: PROCESS, time: bench.now });
    assert!(bench.pipeline.processes.is_empty() && bench.pipeline.footprint == 0);
    assert_eq!(bench.only().state, CallState::Aborted);
}

/// What must not depend on how the bytes were cut.
fn essence(calls: &[ModelCall]) -> Vec<String> {
    calls
        .iter()
        .map(|call| {
            let text = [&call.countable, &call.sample].map(|text| {
                let text = text.as_ref()?;
                let input: Vec<_> = text.input.iter().map(|one| one.text.expose()).collect();
                Some((input.join("|"), text.output.expose().to_owned(), text.cut))
            });
            format!(
                "{} {:?} {:?} {:?} {:?} {:?} {:?} {text:?} {}",
                call.ordinal,
                call.api,
                call.model_served,
                call.state,
                call.usage,
                call.response_id,
                call.error_type,
                call.lost_bytes
            )
        })
        .collect()
}

proptest! {
    #[test]
    fn any_split_gives_the_same_calls(
        request_cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
        answer_cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
    ) {
        let delta = r#"{"type":"content_block_delta","delta":{"text":"hé"}}"#;
        let stop = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":50}}"#;
        let chunk = r#"{"id":"c","object":"chat.completion.chunk","choices":[{"delta":{"content":"hi"}}]}"#;
        let pairs = [
            (request("/v1/chat/completions", CHAT_STREAM), events(&[chunk, "[DONE]"], true)),
            (request("/v1/chat/completions", CHAT), json(200, CHAT_ANSWER)),
            (request("/v1/messages", MESSAGE), events(&[MESSAGE_START, delta, stop], true)),
            (request("/v1/messages", MESSAGE), json(529, r#"{"type":"error","error":{"type":"overloaded_error"}}"#)),
        ];
        let mut whole = Bench::new();
        let mut cut = Bench::new();
        for (question, answer) in &pairs {
            whole.bytes(Write, question.as_bytes());
            whole.bytes(Read, answer.as_bytes());
            for (direction, text, cuts) in [(Write, question, &request_cuts), (Read, answer, &answer_cuts)] {
                let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
                at.extend([0, text.len()]);
                at.sort_unstable();
                for pair in at.windows(2) {
                    cut.bytes(direction, &text.as_bytes()[pair[0]..pair[1]]);
                }
            }
        }
        prop_assert_eq!(whole.calls.len(), pairs.len());
        prop_assert_eq!(essence(&cut.calls), essence(&whole.calls));
    }

    /// Holes anywhere: nothing panics, no call is counted twice, memory is given back.
    #[test]
    fn no_loss_breaks_anything(
        steps in prop::collection::vec((any::<bool>(), 0usize..4, 0u64..60, any::<prop::sample::Index>()), 0..25),
    ) {
        let texts = [
            request("/v1/chat/completions", CHAT),
            json(200, CHAT_ANSWER),
            events(&[MESSAGE_START], false),
            "GET / HTTP/1.1\r\n\r\n".to_owned(),
        ];
        let mut bench = Bench::new();
        for (read, which, hole, end) in steps {
            let direction = if read { Read } else { Write };
            let text = texts[which].as_bytes();
            bench.bytes(direction, &text[..end.index(text.len() + 1)]);
            bench.hole(direction, hole);
        }
        bench.close();
        let ordinals: HashSet<u64> = bench.calls.iter().map(|call| call.ordinal).collect();
        prop_assert_eq!(ordinals.len(), bench.calls.len());
        prop_assert_eq!(bench.pipeline.footprint, 0);
        prop_assert!(bench.pipeline.processes.is_empty());
    }
}
