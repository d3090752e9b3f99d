//! What a workload claims on its connections changes neither who it is nor what it is billed.

use super::*;

/// Who a call is attributed to, and the host that it says it was made to.
fn attributed(host: &str) -> (IdentityId, Option<String>) {
    let mut pipeline = Pipeline::new(FingerprintKey::new([3; 32]));
    let request = request("/v1/chat/completions", CHAT).replace("localhost:8443", host);
    let answer = json(200, CHAT_ANSWER);
    let mut found = None;
    for (direction, data) in [(Write, &request), (Read, &answer)] {
        let (offset, time) = (0, Timestamp::UNIX_EPOCH);
        let (connection, cgroup, data) = (CONNECTION, 1, data.as_bytes());
        pipeline.handle(Input::Segment { connection, cgroup, direction, offset, time, data });
        while let Some(output) = pipeline.poll() {
            match output {
                Output::NeedFacts(process) => {
                    let identity = IdentityId("spiffe://weir/host/h/unit/bot.service".to_owned());
                    let maker = Maker { pid: process.pid, exe: None, uid: 7 };
                    let attribution = Attribution::new(identity, maker).into();
                    pipeline.handle(Input::Facts { process, attribution });
                }
                Output::Call { call, attribution, .. } => {
                    found = Some((attribution.identity.clone(), call.host));
                }
                Output::Asked { .. }
                | Output::Edge { .. }
                | Output::Batch { .. }
                | Output::Spoke { .. }
                | Output::Steer { .. } => {}
            }
        }
    }
    found.unwrap()
}

#[test]
fn a_forged_host_header() {
    let (honest, _) = attributed("api.openai.com");
    for host in ["victim.internal", "127.0.0.1", "spiffe://weir/host/h/unit/victim.service"] {
        let (identity, claimed) = attributed(host);
        assert_eq!(identity, honest);
        assert_eq!(claimed.as_deref(), Some(host), "it is kept as the claim that it is");
    }
}

#[test]
fn forged_usage_in_the_request() {
    let claimed = CHAT.replacen('{', r#"{"usage":{"prompt_tokens":1,"completion_tokens":1},"#, 1);
    let bench = exchange(&request("/v1/chat/completions", &claimed), &json(200, CHAT_ANSWER));
    assert_eq!(bench.calls[0].usage, buckets(36, 64, 8, 12));
}

#[test]
fn forged_usage_in_what_is_said() {
    let said = r#""content":"\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}""#;
    let answer = CHAT_ANSWER.replace(r#""content":"hi""#, said);
    let bench = exchange(&request("/v1/chat/completions", CHAT), &json(200, &answer));
    assert_eq!(bench.calls[0].usage, buckets(36, 64, 8, 12));
}

#[test]
fn an_answer_that_the_caller_writes_itself() {
    let cheap = CHAT_ANSWER.replace("100", "1").replace(":20,", ":1,");
    let mut bench = Bench::new();
    bench.bytes(Write, request("/v1/chat/completions", CHAT).as_bytes());
    bench.bytes(Write, json(200, &cheap).as_bytes());
    bench.bytes(Read, json(200, CHAT_ANSWER).as_bytes());
    assert_eq!(bench.calls[0].usage, buckets(36, 64, 8, 12));
}
