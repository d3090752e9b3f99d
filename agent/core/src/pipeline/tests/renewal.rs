//! What is known of a process is asked for again while it goes on calling.

use super::*;

#[test]
fn facts_are_asked_for_again_after_a_minute() {
    let mut bench = Bench::new();
    let mut call = |seconds: i64| {
        bench.now = Timestamp::from_second(seconds).unwrap();
        bench.bytes(Write, request("/v1/chat/completions", CHAT).as_bytes());
        bench.bytes(Read, json(200, CHAT_ANSWER).as_bytes());
        (bench.asked, bench.calls.len())
    };
    assert_eq!(call(0), (1, 1));
    assert_eq!(call(59), (1, 2));
    assert_eq!(call(60), (2, 3), "and no call waits or is lost for it");
    assert_eq!(call(119), (2, 4));
    assert_eq!(call(600), (3, 5));
}
