//! Batches, from the bytes of what creates one on.

use super::*;

const ASKED: &str = r#"{"requests":[{"custom_id":"a","params":{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[{"role":"user","content":"x"}]}}]}"#;
const CREATED: &str = r#"{"id":"msgbatch_1","type":"message_batch","results_url":null}"#;

#[test]
fn a_creation_is_handed_out_and_is_no_call() {
    let bench = exchange(&request("/v1/messages/batches", ASKED), &json(200, CREATED));
    let [news] = bench.batches.as_slice() else { panic!("{:?}", bench.batches) };
    assert_eq!((news.id.as_str(), news.created), ("msgbatch_1", true));
    assert!(news.credential.is_some());
    assert_eq!((bench.calls.len(), bench.steering.len()), (0, 0));
}

#[test]
fn a_refusal_creates_nothing() {
    let bench = exchange(&request("/v1/messages/batches", ASKED), &json(400, CREATED));
    assert_eq!((bench.batches.len(), bench.calls.len()), (0, 0));
}

#[test]
fn a_creation_with_a_hole_in_its_answer_creates_nothing() {
    let mut bench = Bench::new();
    bench.bytes(Write, request("/v1/messages/batches", ASKED).as_bytes());
    let answer = json(200, CREATED);
    let (seen, unseen) = answer.split_at(answer.len() - 20);
    bench.bytes(Read, seen.as_bytes());
    bench.hole(Read, unseen.len() as u64);
    bench.close();
    assert_eq!((bench.batches.len(), bench.calls.len()), (0, 0));
}

#[test]
fn news_without_facts_wait_and_what_has_no_room_is_counted() {
    let mut pipeline = Pipeline::new(FingerprintKey::new([3; 32]));
    let mut offsets = [0; 2];
    for _ in 0..=MAX_WAITING {
        let sides = [request("/v1/messages/batches", ASKED), json(200, CREATED)];
        for (side, (direction, bytes)) in [Write, Read].into_iter().zip(sides).enumerate() {
            let (connection, offset, data) = (CONNECTION, offsets[side], bytes.as_bytes());
            offsets[side] += bytes.len() as u64;
            let time = Timestamp::UNIX_EPOCH;
            pipeline.handle(Input::Segment {
                connection,
                cgroup: 1,
                direction,
                offset,
                time,
                data,
            });
        }
    }
    assert_eq!(pipeline.stats().batches_dropped, 1);
}
