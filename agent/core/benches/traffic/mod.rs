//! What crosses a connection, as real clients and servers put it, and a pipeline that takes it.

use weir_core::identity::{Attribution, IdentityId, Process};
use weir_core::pipeline::{Input, Output, Pipeline};
use weir_core::units::{ConnectionId, Direction, ProcessKey, Timestamp};

/// As much as one TLS record carries, and so the most that one segment does.
const RECORD: usize = 16 * 1024;

/// One exchange.
pub(crate) struct Exchange {
    /// What it is called in the benchmarks' names.
    pub(crate) name: &'static str,
    /// What the process sends.
    pub(crate) request: Vec<u8>,
    /// What it receives.
    pub(crate) answer: Vec<u8>,
    /// Where the segments of the answer end.
    pub(crate) cuts: Vec<usize>,
    /// How many model calls it is.
    pub(crate) calls: usize,
}

impl Exchange {
    /// How many bytes cross.
    pub(crate) fn size(&self) -> u64 {
        (self.request.len() + self.answer.len()) as u64
    }

    /// Sends it through `pipeline` on a connection of its own, which then closes. Returns how many
    /// calls came of it.
    pub(crate) fn run(&self, pipeline: &mut Pipeline, handle: u64, time: Timestamp) -> usize {
        let calls = self.begin(pipeline, handle, time, self.cuts.len());
        let (connection, read_total) = (connection(handle), self.answer.len() as u64);
        let write_total = self.request.len() as u64;
        calls + handle_all(pipeline, Input::Closed { connection, time, read_total, write_total })
    }

    /// Sends the request and the first `answers` segments of the answer on a connection that stays
    /// open.
    pub(crate) fn begin(
        &self,
        pipeline: &mut Pipeline,
        handle: u64,
        time: Timestamp,
        answers: usize,
    ) -> usize {
        let requests = (RECORD..self.request.len()).step_by(RECORD).chain([self.request.len()]);
        let requests: Vec<usize> = requests.collect();
        let sides = [
            (Direction::Write, &self.request, requests.as_slice()),
            (Direction::Read, &self.answer, &self.cuts[..answers]),
        ];
        let (connection, cgroup) = (connection(handle), 1);
        let mut calls = 0;
        for (direction, bytes, cuts) in sides {
            let mut start = 0;
            for &end in cuts {
                let (offset, data) = (start as u64, &bytes[start..end]);
                let segment = Input::Segment { connection, cgroup, direction, offset, time, data };
                calls += handle_all(pipeline, segment);
                start = end;
            }
        }
        calls
    }

    fn new(name: &'static str, request: Vec<u8>, answer: Vec<u8>, calls: usize) -> Self {
        let cuts = (RECORD..answer.len()).step_by(RECORD).chain([answer.len()]).collect();
        Self { name, request, answer, cuts, calls }
    }
}

fn connection(handle: u64) -> ConnectionId {
    ConnectionId { process: ProcessKey { pid: 1, start_ns: 1 }, handle, generation: 1 }
}

/// Gives the pipeline `input` and takes what it puts out. Returns how many calls that was.
pub(crate) fn handle_all(pipeline: &mut Pipeline, input: Input<'_>) -> usize {
    let mut calls = 0;
    pipeline.handle(input);
    while let Some(output) = pipeline.poll() {
        match output {
            Output::NeedFacts(process) => {
                pipeline.handle(Input::Facts { process, attribution: nobody().into() });
            }
            Output::Call { .. } => calls += 1,
            Output::Asked { .. }
            | Output::Batch { .. }
            | Output::Edge { .. }
            | Output::Spoke { .. }
            | Output::Steer { .. } => {}
        }
    }
    calls
}

fn nobody() -> Attribution {
    Attribution::new(
        IdentityId("spiffe://weir.local/host/bench/user/nobody".to_owned()),
        Process { pid: 1, exe: None, uid: 65534 },
    )
}

/// Model calls.
pub(crate) fn model_calls() -> Vec<Exchange> {
    const CHAT: &str = "/v1/chat/completions";
    let ask = |path| {
        post(
            "api.example.com",
            path,
            r#"{"model":"m-1","input":"hi","messages":[{"role":"user","content":"hi"}]}"#,
        )
    };
    let long = format!(
        r#"{{"messages":[{{"role":"user","content":"{}"}}],"model":"gpt-5"}}"#,
        "all work and no play ".repeat(50_000)
    );
    let mut flushed = Exchange::new("chat stream, an event a record", ask(CHAT), chat_stream(), 1);
    flushed.cuts = ends_of_events(&flushed.answer);
    vec![
        Exchange::new("short", ask(CHAT), json(CHAT_ANSWER), 1),
        Exchange::new(
            "megabyte request",
            post("api.openai.com", CHAT, &long),
            json(CHAT_ANSWER),
            1,
        ),
        Exchange::new("chat stream", ask(CHAT), chat_stream(), 1),
        flushed,
        Exchange::new("chat stream of HTTP/2", h2_request(), h2_answer(), 1),
        Exchange::new("chat stream, unknown path", ask("/ask"), chat_stream(), 1),
        Exchange::new("messages stream", ask("/v1/messages"), messages_stream(), 1),
        Exchange::new("responses stream", ask("/v1/responses"), responses_stream(), 1),
    ]
}

/// What is no model call.
pub(crate) fn other_traffic() -> Vec<Exchange> {
    let get = b"GET /file HTTP/1.1\r\nHost: example.com\r\n\r\n".to_vec();
    let binary: Vec<u8> =
        (0..2_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let rows = rows();
    let query = post("example.com", "/graphql", r#"{"query":"{ rows { id } }","variables":{}}"#);
    vec![
        Exchange::new("download", get.clone(), answer("application/octet-stream", &binary), 0),
        Exchange::new("page in chunks", get.clone(), chunked("text/html", &binary, 4000), 0),
        Exchange::new("JSON got", get, answer("application/json", rows.as_bytes()), 0),
        Exchange::new(
            "JSON got in chunks by POST",
            query,
            chunked("application/json", rows.as_bytes(), 4000),
            0,
        ),
        Exchange::new("JSON posted", post("example.com", "/v1/traces", &rows), json("{}"), 0),
    ]
}

const CHAT_ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-5","choices":[{"message":{"role":"assistant","content":"hello there"},"finish_reason":"stop"}],"usage":{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120}}"#;

/// Words of an answer, one an event.
const WORDS: [&str; 8] =
    [" the", " river", ",", " measured", "\\n", " without", " stopping", " it."];
const EVENTS: usize = 5000;

fn words() -> impl Iterator<Item = &'static str> {
    WORDS.into_iter().cycle().take(EVENTS)
}

fn chat_stream() -> Vec<u8> {
    events(chat_events().into_iter())
}

fn chat_events() -> Vec<String> {
    let chunk = |choices: &str, usage: &str| {
        format!(
            r#"{{"id":"chatcmpl-C1x2Y3z4A5b6C7d8E9f0G1h2I3j4K","object":"chat.completion.chunk","created":1764000000,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_560af6e559","choices":[{choices}],"usage":{usage}}}"#
        )
    };
    let delta = |word| {
        chunk(
            &format!(
                r#"{{"index":0,"delta":{{"content":"{word}"}},"logprobs":null,"finish_reason":null}}"#
            ),
            "null",
        )
    };
    let end = [
        chunk(r#"{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}"#, "null"),
        chunk("", r#"{"prompt_tokens":100,"completion_tokens":5000,"total_tokens":5100}"#),
        "[DONE]".to_owned(),
    ];
    words().map(delta).chain(end).map(|data| format!("data: {data}\n\n")).collect()
}

/// The same call as of HTTP/1.1, its head not compressed.
fn h2_request() -> Vec<u8> {
    let head =
        b"\x83\x87\x44\x14/v1/chat/completions\x41\x0fapi.example.com\x5f\x10application/json";
    let body = br#"{"model":"m-1","messages":[{"role":"user","content":"hi"}]}"#;
    let settings = frame(4, 0, 0, b"");
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &settings[..],
        &frame(1, 4, 1, head),
        &frame(0, 1, 1, body),
    ]
    .concat()
}

/// One DATA frame an event, as servers flush them.
fn h2_answer() -> Vec<u8> {
    let mut out = frame(4, 0, 0, b"");
    out.extend(frame(1, 4, 1, b"\x88\x5f\x11text/event-stream"));
    out.extend(chat_events().iter().flat_map(|event| frame(0, 0, 1, event.as_bytes())));
    out.extend(frame(0, 1, 1, b""));
    out
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = (payload.len() as u32).to_be_bytes();
    [&length[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn messages_stream() -> Vec<u8> {
    let start = [
        ("message_start", r#"{"type":"message_start","message":{"id":"msg_01","type":"message","role":"assistant","model":"claude-sonnet-4-5-20250929","content":[],"stop_reason":null,"usage":{"input_tokens":3,"output_tokens":1}}}"#.to_owned()),
        ("content_block_start", r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#.to_owned()),
    ];
    let deltas = words().map(|word| {
        let data = format!(r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{word}"}}}}"#);
        ("content_block_delta", data)
    });
    let end = [
        ("content_block_stop", r#"{"type":"content_block_stop","index":0}"#.to_owned()),
        ("message_delta", r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":5000}}"#.to_owned()),
        ("message_stop", r#"{"type":"message_stop"}"#.to_owned()),
    ];
    let all = start.into_iter().chain(deltas).chain(end);
    events(all.map(|(kind, data)| format!("event: {kind}\ndata: {data}\n\n")))
}

fn responses_stream() -> Vec<u8> {
    let deltas = words().enumerate().map(|(number, word)| {
        let data = format!(
            r#"{{"type":"response.output_text.delta","sequence_number":{number},"item_id":"msg_68f0a1b2c3d4e5f60718293a4b5c6d7e","output_index":0,"content_index":0,"delta":"{word}","logprobs":[],"obfuscation":"Xy12Zq"}}"#
        );
        ("response.output_text.delta", data)
    });
    let text: String = words().collect();
    let end = format!(
        r#"{{"type":"response.completed","sequence_number":5000,"response":{{"id":"resp_1","object":"response","status":"completed","model":"gpt-5","output":[{{"type":"message","content":[{{"type":"output_text","text":"{text}"}}]}}],"usage":{{"input_tokens":100,"output_tokens":5000,"total_tokens":5100}}}}}}"#
    );
    let all = deltas.chain([("response.completed", end)]);
    events(all.map(|(kind, data)| format!("event: {kind}\ndata: {data}\n\n")))
}

/// What a telemetry exporter or a database's web interface sends: many short values.
fn rows() -> String {
    let row = |n: usize| {
        format!(
            r#"{{"id":{n},"traceId":"5b8efff798038103d269b633813fc60c","name":"GET /users","kind":2,"startTimeUnixNano":"1544712660000000000","attributes":[{{"key":"http.status","value":{{"intValue":200}}}},{{"key":"http.url","value":{{"stringValue":"https://example.com/users?page={n}"}}}}],"ok":true,"score":-1.5e3,"error":null}}"#
        )
    };
    let rows: Vec<String> = (0..5000).map(row).collect();
    format!(r#"{{"resource":"x","rows":[{}]}}"#, rows.join(","))
}

fn post(host: &str, path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer sk-x\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn json(body: &str) -> Vec<u8> {
    answer("application/json", body.as_bytes())
}

fn answer(kind: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn chunked(kind: &str, body: &[u8], size: usize) -> Vec<u8> {
    in_chunks(kind, body.chunks(size))
}

/// One chunk an event, as servers flush them.
fn events(events: impl Iterator<Item = String>) -> Vec<u8> {
    let events: Vec<String> = events.collect();
    in_chunks("text/event-stream", events.iter().map(String::as_bytes))
}

fn in_chunks<'a>(kind: &str, chunks: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut out = head.into_bytes();
    for chunk in chunks {
        out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

/// Where a server that flushes every event ends its records.
fn ends_of_events(stream: &[u8]) -> Vec<usize> {
    let end = b"\n\n\r\n";
    let ends = stream.windows(end.len()).enumerate().filter(|(_, window)| window == end);
    ends.map(|(at, _)| at + end.len()).chain([stream.len()]).collect()
}
