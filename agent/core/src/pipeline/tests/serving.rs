//! Processes that answer requests of others.

use super::*;

/// What one process reads and writes on one of its connections, and of each call that comes of it
/// whether it may have been asked for.
fn play(pipeline: &mut Pipeline, handle: u64, talk: &[(Direction, String)]) -> Vec<bool> {
    let connection = ConnectionId { handle, ..CONNECTION };
    let (mut offsets, mut serves) = ([0, 0], Vec::new());
    for (direction, data) in talk {
        let offset = &mut offsets[usize::from(*direction == Read)];
        let (data, time) = (data.as_bytes(), Timestamp::UNIX_EPOCH);
        let (direction, cgroup) = (*direction, 1);
        let at = std::mem::replace(offset, *offset + data.len() as u64);
        pipeline.handle(Input::Segment { connection, cgroup, direction, offset: at, time, data });
        while let Some(output) = pipeline.poll() {
            match output {
                Output::NeedFacts(process) => {
                    pipeline.handle(Input::Facts { process, attribution: of(process).into() });
                }
                Output::Call { serves: one, .. } => serves.push(one),
                Output::Asked { .. }
                | Output::Edge { .. }
                | Output::Batch { .. }
                | Output::Steer { .. }
                | Output::Spoke { .. } => {}
            }
        }
    }
    serves
}

fn of(process: ProcessKey) -> Attribution {
    Attribution::new(
        IdentityId("spiffe://weir/host/h/user/root".to_owned()),
        Maker { pid: process.pid, exe: None, uid: 0 },
    )
}

#[test]
fn the_calls_of_a_process_that_serves_say_so() {
    let asked = request("/v1/chat/completions", r#"{"model":"gpt-4o","messages":[]}"#);
    let answer =
        json(200, r#"{"id":"a","object":"chat.completion","model":"gpt-4o","choices":[]}"#);
    let call = [(Write, asked.clone()), (Read, answer)];
    let mut pipeline = Pipeline::new(FingerprintKey::new([3; 32]));
    assert_eq!(play(&mut pipeline, 1, &call), [false]);
    assert_eq!(play(&mut pipeline, 2, &[(Read, asked)]), [false; 0]);
    assert_eq!(play(&mut pipeline, 3, &call), [true]);
    let time = Timestamp::UNIX_EPOCH;
    pipeline.handle(Input::Exited { process: PROCESS, time });
    assert_eq!(play(&mut pipeline, 4, &call), [false], "that is another program");
}

#[test]
fn who_is_asked_for_a_trace_is_told_apart_from_who_asks() {
    let trace = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
    let asked = request("/v1/chat/completions", r#"{"model":"gpt-4o","messages":[]}"#).replacen(
        "\r\n",
        &format!("\r\n{trace}"),
        1,
    );
    let (caller, callee) = (PROCESS, ProcessKey { pid: PROCESS.pid + 1, ..PROCESS });
    for order in [[(caller, Write), (callee, Read)], [(callee, Read), (caller, Write)]] {
        let mut pipeline = Pipeline::new(FingerprintKey::new([3; 32]));
        let mut steps = Vec::new();
        for (process, direction) in order {
            let connection = ConnectionId { process, ..CONNECTION };
            let (data, time) = (asked.as_bytes(), Timestamp::UNIX_EPOCH);
            pipeline.handle(Input::Segment {
                connection,
                cgroup: 1,
                direction,
                offset: 0,
                time,
                data,
            });
            while let Some(output) = pipeline.poll() {
                match output {
                    Output::NeedFacts(wanted) => {
                        assert_eq!(wanted, process, "facts are of whom something is seen now");
                        let attribution = of(process).into();
                        pipeline.handle(Input::Facts { process, attribution });
                    }
                    Output::Asked { trace_id, caller, callee } => {
                        steps.push((trace_id, caller.process.pid, callee.process.pid));
                    }
                    Output::Call { .. }
                    | Output::Edge { .. }
                    | Output::Batch { .. }
                    | Output::Steer { .. }
                    | Output::Spoke { .. } => {}
                }
            }
        }
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736".to_owned();
        assert_eq!(steps, [(trace, caller.pid, callee.pid)], "{order:?}");
    }
}
