//! What the pure pipeline costs: from the segments of a call to the call.
//!
//! `cargo xtask bench` runs it. Compare ratios within one run, not times between machines: `copy`
//! is the same bytes merely copied, the least that any reader has to do.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use weir_core::identity::{Attribution, IdentityId, Process};
use weir_core::pipeline::{Input, Output, Pipeline};
use weir_core::secret::FingerprintKey;
use weir_core::units::{ConnectionId, Direction, ProcessKey, Timestamp};

/// As much as one TLS record carries, and so the most that one segment does.
const SEGMENT: usize = 16 * 1024;

fn request(body: &str) -> Vec<u8> {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: api.openai.com\r\nAuthorization: Bearer sk-x\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn plain_answer() -> Vec<u8> {
    let body = r#"{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-5","choices":[{"message":{"role":"assistant","content":"hello there"},"finish_reason":"stop"}],"usage":{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120}}"#;
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn streamed_answer(events: usize) -> Vec<u8> {
    let mut out = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                   Transfer-Encoding: chunked\r\n\r\n"
        .to_owned();
    let mut push =
        |data: &str| out.push_str(&format!("{:x}\r\ndata: {data}\n\n\r\n", data.len() + 8));
    for _ in 0..events {
        push(
            r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","model":"gpt-5","choices":[{"index":0,"delta":{"content":" token"},"finish_reason":null}],"usage":null}"#,
        );
    }
    push(
        r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","model":"gpt-5","choices":[],"usage":{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120}}"#,
    );
    push("[DONE]");
    out.push_str("0\r\n\r\n");
    out.into_bytes()
}

/// Runs one exchange and returns how many calls came of it.
fn meter(request: &[u8], answer: &[u8]) -> usize {
    let process = ProcessKey { pid: 1, start_ns: 1 };
    let connection = ConnectionId { process, handle: 1, generation: 1 };
    let time = Timestamp::UNIX_EPOCH;
    let mut pipeline = Pipeline::new(FingerprintKey::new([1; 32]));
    let mut calls = 0;
    for (direction, bytes) in [(Direction::Write, request), (Direction::Read, answer)] {
        let mut offset = 0;
        for data in bytes.chunks(SEGMENT) {
            pipeline.handle(Input::Segment {
                connection,
                cgroup: 1,
                direction,
                offset,
                time,
                data,
            });
            offset += data.len() as u64;
            while let Some(output) = pipeline.poll() {
                match output {
                    Output::NeedFacts(process) => {
                        pipeline.handle(Input::Facts { process, attribution: nobody() });
                    }
                    Output::Call { .. } => calls += 1,
                    Output::Steer { .. } => {}
                }
            }
        }
    }
    calls
}

fn nobody() -> Attribution {
    Attribution {
        identity: IdentityId("spiffe://weir.local/host/bench/user/nobody".to_owned()),
        process: Process { pid: 1, exe: None, uid: 65534 },
        container: None,
        unit: None,
    }
}

fn pipeline(criterion: &mut Criterion) {
    let short = request(r#"{"model":"gpt-5","messages":[{"role":"user","content":"hi"}]}"#);
    let long = request(&format!(
        r#"{{"messages":[{{"role":"user","content":"{}"}}],"model":"gpt-5"}}"#,
        "all work and no play ".repeat(50_000)
    ));
    let cases = [
        ("short", short.clone(), plain_answer()),
        ("megabyte request", long, plain_answer()),
        ("thousand events", short, streamed_answer(1000)),
    ];
    let mut group = criterion.benchmark_group("exchange");
    for (name, request, answer) in &cases {
        group.throughput(Throughput::Bytes((request.len() + answer.len()) as u64));
        group.bench_function(BenchmarkId::new("meter", name), |bencher| {
            bencher.iter(|| assert_eq!(meter(black_box(request), black_box(answer)), 1));
        });
        group.bench_function(BenchmarkId::new("copy", name), |bencher| {
            bencher.iter(|| (black_box(request).clone(), black_box(answer).clone()));
        });
    }
    group.finish();
}

criterion_group!(benches, pipeline);
criterion_main!(benches);
