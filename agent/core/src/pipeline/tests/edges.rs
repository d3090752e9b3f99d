//! Steps of agents, from the bytes of a request on.

use super::*;

const STEP: &str = r#"{"method":"tools/call","params":{"name":"search","arguments":{"q":"x"}},"jsonrpc":"2.0","id":1}"#;

#[test]
fn a_step_is_handed_out_with_its_answers_head_and_the_rest_is_skipped() {
    let mut bench = Bench::new();
    bench.bytes(Write, request("/mcp", STEP).as_bytes());
    assert!(bench.edges.is_empty());
    let answer = events(&[r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#], false);
    bench.bytes(Read, answer.as_bytes());
    let written = bench.offsets[0];
    assert_eq!(bench.steering, [Steering::SkipReadsUntilWriteBeyond(written)]);
    let [edge] = bench.edges.as_slice() else { panic!("{:?}", bench.edges) };
    assert_eq!((edge.tool.as_deref(), edge.status), (Some("search"), Some(200)));
    bench.close();
    assert_eq!((bench.edges.len(), bench.calls.len()), (1, 0));
}

#[test]
fn a_step_without_an_answer_is_one() {
    let mut bench = Bench::new();
    bench.bytes(Write, request("/mcp", STEP).as_bytes());
    bench.handle(Input::Stop { time: bench.now });
    assert_eq!(bench.edges.len(), 1);
    assert_eq!((bench.edges[0].status, bench.pipeline.stats().edges), (None, 1));
}
