//! Connections that were forgotten and are seen again.

use super::*;

/// A connection is joined while an answer is on its way, rests, is forgotten, and then the first
/// request that is seen of it begins at the first offset of its direction, as the answer did.
#[test]
fn no_two_calls_of_a_connection_have_one_number() {
    let answer = json(
        200,
        r#"{"object":"chat.completion","model":"m","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
    );
    let mut bench = Bench::new();
    bench.bytes(Read, answer.as_bytes());
    bench.now = Timestamp::from_second(IDLE_SECONDS + 1).unwrap();
    bench.handle(Input::Tick { time: bench.now });
    assert_eq!(bench.pipeline.stats().connections, 0);
    bench
        .bytes(Write, request("/v1/chat/completions", r#"{"model":"m","messages":[]}"#).as_bytes());
    bench.bytes(Read, answer.as_bytes());
    let numbers: HashSet<u64> = bench.calls.iter().map(|call| call.ordinal).collect();
    assert_eq!((bench.calls.len(), numbers.len()), (2, 2));
}

#[test]
fn memory_is_bounded_and_what_is_evicted_is_said() {
    let mut bench = Bench::new();
    let body = format!(
        r#"{{"model":"gpt-5","messages":[{{"role":"user","content":"{}"}}"#,
        "x".repeat(4 << 20)
    );
    for handle in 0..50 {
        let connection = ConnectionId { handle, ..CONNECTION };
        let text =
            request("/v1/chat/completions", &body).replace("Content-Length: ", "Content-Length: 9");
        let time = bench.now;
        bench.handle(Input::Segment {
            connection,
            cgroup: 1,
            direction: Write,
            offset: 0,
            time,
            data: text.as_bytes(),
        });
    }
    assert!(bench.pipeline.footprint <= MAX_MEMORY);
    let evicted = bench.pipeline.stats().evicted;
    assert!(evicted > 10);
    assert_eq!(bench.calls.len() as u64, evicted);
    assert!(bench.calls.iter().all(|call| call.state == CallState::Truncated));
}

#[test]
fn a_greedy_cgroup_pushes_out_nobody_else() {
    let mut bench = Bench::new();
    let segment = |handle, cgroup| {
        let connection = ConnectionId { handle, ..CONNECTION };
        let time = Timestamp::UNIX_EPOCH;
        let data = b"POST /v1/messages HTTP/1.1\r\n";
        Input::Segment { connection, cgroup, direction: Write, offset: 0, time, data }
    };
    bench.handle(segment(0, 7));
    for handle in 1..=2 * MAX_CONNECTIONS as u64 {
        bench.handle(segment(handle, 8));
    }
    assert_eq!(bench.pipeline.connections.len(), MAX_CONNECTIONS);
    assert!(bench.pipeline.connections.contains(&ConnectionId { handle: 0, ..CONNECTION }));
}
