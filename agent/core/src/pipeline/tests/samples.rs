//! Text that goes with calls which say their usage, to learn from.

use super::*;
use crate::provider::Countable;

const ASKED: &str = r#"{"model":"claude-opus-4-7","messages":[{"role":"user","content":"hello"}]}"#;

/// A bench on which a call had to be counted already.
fn counting() -> Bench {
    let mut bench = exchange(
        &request("/v1/messages", ASKED),
        &events(&[MESSAGE_START, r#"{"type":"content_block_delta","delta":{"text":"hi"}}"#], true),
    );
    assert!(bench.calls.pop().unwrap().countable.is_some());
    bench
}

/// What the call that comes of `question` and `answer` has to teach: its input and its output.
#[track_caller]
fn check(path: &str, question: &str, answer: &str, expected: (&str, &str)) {
    let mut bench = counting();
    bench.bytes(Write, request(path, question).as_bytes());
    bench.bytes(Read, answer.as_bytes());
    let call = bench.only();
    assert!(call.countable.is_none() && call.usage.is_some(), "{answer}");
    let Countable { input, output, .. } = call.sample.unwrap_or_default();
    let input: Vec<&str> = input.iter().map(|message| message.text.expose()).collect();
    assert_eq!((input.concat().as_str(), output.expose()), expected, "{answer}");
}

fn message(content: &str, usage: &str) -> String {
    json(
        200,
        &format!(
            r#"{{"type":"message","stop_reason":"end_turn","content":[{content}],
            "usage":{{"input_tokens":9,"output_tokens":90{usage}}}}}"#
        ),
    )
}

const TEXT: &str = r#"{"type":"text","text":"a low dam"}"#;

/// Text is held for a call that has its usage only where others have not.
#[test]
fn nothing_is_handed_on_before_a_call_had_to_be_counted() {
    let call = exchange(&request("/v1/messages", ASKED), &message(TEXT, "")).only();
    assert!(call.usage.is_some() && call.sample.is_none() && call.countable.is_none());
    check("/v1/messages", ASKED, &message(TEXT, ""), ("hello", "a low dam"));
}

#[test]
fn only_visible_output_is_learnt_from() {
    let thinking = r#"{"type":"thinking","thinking":"a dam?"}"#;
    let hidden = r#"{"type":"redacted_thinking","data":"x"}"#;
    let tool = r#"{"type":"tool_use","name":"f","input":{"x":1}}"#;
    let told = r#","output_tokens_details":{"thinking_tokens":30}"#;
    for (content, usage, output) in [
        (thinking, "", ""),
        (thinking, told, ""),
        (hidden, "", ""),
        (hidden, told, "a low dam"),
        (tool, "", ""),
    ] {
        let answer = message(&format!("{content},{TEXT}"), usage);
        check("/v1/messages", ASKED, &answer, ("hello", output));
    }
    let searched = r#","server_tool_use":{"web_search_requests":1}"#;
    check("/v1/messages", ASKED, &message(TEXT, searched), ("", ""));
}

#[test]
fn every_form_tells_reasoning_from_text() {
    let chat = |message: &str| {
        json(
            200,
            &format!(
                r#"{{"object":"chat.completion","choices":[{{"finish_reason":"stop","message":{{{message}}}}}],
                "usage":{{"prompt_tokens":9,"completion_tokens":90}}}}"#
            ),
        )
    };
    let asked = r#"{"model":"grok","messages":[{"role":"user","content":"hello"}]}"#;
    let path = "/v1/chat/completions";
    check(path, asked, &chat(r#""content":"a dam""#), ("hello", "a dam"));
    check(path, asked, &chat(r#""content":"a dam","reasoning_content":"h""#), ("hello", ""));

    let responses = |output: &str| {
        json(
            200,
            &format!(
                r#"{{"object":"response","status":"completed","output":[{output}],
                "usage":{{"input_tokens":9,"output_tokens":90}}}}"#
            ),
        )
    };
    let asked = r#"{"model":"gpt-6","input":"hello"}"#;
    let text = r#"{"type":"message","content":[{"type":"output_text","text":"a dam"}]}"#;
    check("/v1/responses", asked, &responses(text), ("hello", "a dam"));
    for other in
        [r#"{"type":"reasoning","summary":[]}"#, r#"{"type":"custom_tool_call","input":"x"}"#]
    {
        let answer = responses(&format!("{other},{text}"));
        check("/v1/responses", asked, &answer, ("hello", ""));
    }

    let gemini = |parts: &str| {
        json(
            200,
            &format!(
                r#"{{"candidates":[{{"content":{{"parts":[{parts}]}},"finishReason":"STOP"}}],
                "usageMetadata":{{"promptTokenCount":9,"candidatesTokenCount":90,"thoughtsTokenCount":4}}}}"#
            ),
        )
    };
    let asked = r#"{"contents":[{"role":"user","parts":[{"text":"hello"}]}]}"#;
    let path = "/v1beta/models/gemini-3-pro:generateContent";
    // Whether there is more to the input than text isn't known of this form.
    check(path, asked, &gemini(r#"{"text":"a dam"}"#), ("", "a dam"));
    check(path, asked, &gemini(r#"{"text":"h","thought":true},{"text":"a dam"}"#), ("", ""));
    check(path, asked, &gemini(r#"{"functionCall":{"name":"f","args":{"x":"y"}}}"#), ("", ""));
}

/// Tools, images and long texts are no lesson: the one side may still be.
#[test]
fn only_input_that_is_all_text_is_learnt_from() {
    let with = |more: &str| ASKED.replacen('{', &format!("{{{more},"), 1);
    let tools = with(r#""tools":[{"name":"f"}]"#);
    check("/v1/messages", &tools, &message(TEXT, ""), ("", "a low dam"));
    let image = ASKED.replace(
        r#""content":"hello""#,
        r#""content":[{"type":"image"},{"type":"text","text":"hello"}]"#,
    );
    check("/v1/messages", &image, &message(TEXT, ""), ("", "a low dam"));
    let long = with(&format!(r#""system":"{}""#, "long ".repeat(4_000)));
    check("/v1/messages", &long, &message(TEXT, ""), ("", "a low dam"));
    let long = TEXT.replace("dam", &"dam ".repeat(5_000));
    check("/v1/messages", ASKED, &message(&long, ""), ("hello", ""));
}

#[test]
fn an_answer_that_was_not_seen_as_a_whole_is_no_lesson() {
    let mut bench = counting();
    bench.bytes(Write, request("/v1/messages", ASKED).as_bytes());
    let answer = message(TEXT, "");
    let (first, rest) = answer.split_at(answer.len() - 30);
    bench.bytes(Read, first.as_bytes());
    bench.hole(Read, 9);
    bench.bytes(Read, &rest.as_bytes()[9..]);
    bench.close();
    assert!(bench.only().sample.is_none());
}

/// What waits for the facts of its process, and nobody knows for how long, holds no such text.
#[test]
fn whoever_waits_holds_no_text_to_learn_from() {
    let mut pipeline = counting().pipeline;
    let process = ProcessKey { pid: 43, start_ns: 1 };
    let connection = ConnectionId { process, ..CONNECTION };
    let time = Timestamp::UNIX_EPOCH;
    let (question, answer) = (request("/v1/messages", ASKED), message(TEXT, ""));
    for (direction, data) in [(Write, question.as_bytes()), (Read, answer.as_bytes())] {
        pipeline.handle(Input::Segment { connection, cgroup: 1, direction, offset: 0, time, data });
    }
    let waiting = &pipeline.processes[&process].waiting;
    assert!(matches!(&waiting[..], [Made::Call(call)] if call.sample.is_none()));
}
