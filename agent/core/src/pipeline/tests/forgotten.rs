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
