//! Anthropic's form: messages, and its errors.

use serde_json::{Value, json};

use super::script::{Events, Scene, Script};
use crate::play::Failure;

/// `POST …/messages`.
pub(super) fn messages(script: &Script, stream: bool) -> Scene {
    let tokens = script.tokens;
    let id = format!("msg_{}", script.id);
    let input = json!({
        "input_tokens": tokens.input_uncached,
        "cache_creation_input_tokens": tokens.cache_write(),
        "cache_read_input_tokens": tokens.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": tokens.cache_write_5m,
            "ephemeral_1h_input_tokens": tokens.cache_write_1h,
        },
        "service_tier": "standard",
        "output_tokens": 1,
    });
    let message = |content: Value, stop: Value, usage: Value| {
        json!({
            "id": id, "type": "message", "role": "assistant", "model": script.model,
            "content": content, "stop_reason": stop, "stop_sequence": null, "usage": usage,
        })
    };
    if !stream {
        let mut usage = input;
        usage["output_tokens"] = tokens.output.into();
        usage["output_tokens_details"] = json!({"thinking_tokens": tokens.reasoning});
        let mut content = vec![json!({"type": "text", "text": script.text()})];
        if tokens.reasoning > 0 {
            content.insert(0, json!({"type": "thinking", "thinking": "Hm.", "signature": "Eq8="}));
        }
        let body = message(content.into(), "end_turn".into(), usage);
        return Scene::body(script, Some(id.clone()), tokens, body.to_string());
    }

    let mut events = Events::default();
    let opening = message(json!([]), Value::Null, input);
    events.named("message_start", &json!({"type": "message_start", "message": opening}));
    let mut index = 0;
    if tokens.reasoning > 0 {
        let block = json!({"type": "thinking", "thinking": "", "signature": ""});
        start(&mut events, index, &block);
        delta(&mut events, index, &json!({"type": "thinking_delta", "thinking": "Hm."}));
        delta(&mut events, index, &json!({"type": "signature_delta", "signature": "Eq8="}));
        stop(&mut events, index);
        index += 1;
    }
    start(&mut events, index, &json!({"type": "text", "text": ""}));
    events.named("ping", &json!({"type": "ping"}));
    for piece in &script.pieces {
        let text = json!({"type": "text_delta", "text": piece.text});
        delta(&mut events, index, &text).words = piece.words;
    }
    if script.fail == Some(Failure::InStream) {
        events.named("error", &error_body("overloaded_error"));
        events.failed(&["overloaded_error"]);
        return Scene::stream(script, id.clone(), tokens, events);
    }
    stop(&mut events, index);
    // As the stable API has it: cumulative totals, without the split by lifetime.
    let last = json!({
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": null},
        "usage": {
            "input_tokens": tokens.input_uncached,
            "cache_creation_input_tokens": tokens.cache_write(),
            "cache_read_input_tokens": tokens.cache_read,
            "output_tokens": tokens.output,
            "output_tokens_details": {"thinking_tokens": tokens.reasoning},
        },
    });
    events.named("message_delta", &last).tells_usage = true;
    events.named("message_stop", &json!({"type": "message_stop"}));
    Scene::stream(script, id.clone(), tokens, events)
}

/// An answer that is an error from the start.
pub(super) fn error(failure: Failure) -> Scene {
    let (status, kind) = match failure {
        Failure::BadRequest => (400, "invalid_request_error"),
        Failure::Unauthorized => (401, "authentication_error"),
        Failure::RateLimited => (429, "rate_limit_error"),
        Failure::Overloaded => (529, "overloaded_error"),
        Failure::InStream => (500, "api_error"),
    };
    Scene::error(status, &[kind], error_body(kind).to_string())
}

fn error_body(kind: &str) -> Value {
    json!({
        "type": "error", "error": {"type": kind, "message": "It did not work."},
        "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy",
    })
}

fn start(events: &mut Events, index: u64, block: &Value) {
    let data = json!({"type": "content_block_start", "index": index, "content_block": block});
    events.named("content_block_start", &data);
}

fn delta<'a>(events: &'a mut Events, index: u64, delta: &Value) -> &'a mut super::script::Part {
    let data = json!({"type": "content_block_delta", "index": index, "delta": delta});
    events.named("content_block_delta", &data)
}

fn stop(events: &mut Events, index: u64) {
    let data = json!({"type": "content_block_stop", "index": index});
    events.named("content_block_stop", &data);
}
