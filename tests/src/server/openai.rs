//! OpenAI's forms: chat completions, responses, embeddings, and its errors.

use serde_json::{Value, json};

use super::script::{Events, Scene, Script};
use crate::play::Failure;
use crate::truth::Tokens;

const CREATED: u64 = 1_763_900_000;

/// `POST …/chat/completions`.
pub(super) fn chat(script: &Script, stream: bool, include_usage: bool) -> Scene {
    let tokens = with_unnamed_cache_writes(script.tokens);
    let id = format!("chatcmpl-{}", script.id);
    let usage = json!({
        "prompt_tokens": tokens.input(),
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input() + tokens.output,
        "prompt_tokens_details": {
            "cached_tokens": tokens.cache_read,
            "cache_write_tokens": tokens.cache_write_other,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": tokens.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    });
    if !stream {
        let body = json!({
            "id": id, "object": "chat.completion", "created": CREATED, "model": script.model,
            "choices": [{
                "index": 0,
                "message": {
                    "role": "assistant", "content": script.text(), "refusal": null,
                    "annotations": [],
                },
                "logprobs": null, "finish_reason": "stop",
            }],
            "usage": usage, "service_tier": "default", "system_fingerprint": "fp_44709d6fcb",
        });
        return Scene::body(script, Some(id), tokens, body.to_string());
    }

    let chunk = |choices: Value, usage: &Value| {
        let mut chunk = json!({
            "id": id, "object": "chat.completion.chunk", "created": CREATED,
            "model": script.model, "service_tier": "default",
            "system_fingerprint": "fp_44709d6fcb", "choices": choices,
        });
        if include_usage {
            chunk["usage"] = usage.clone();
        }
        chunk
    };
    let choice = |delta: Value, finish: Value| json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]);
    let mut events = Events::default();
    let opening = json!({"role": "assistant", "content": "", "refusal": null});
    events.data(&chunk(choice(opening, Value::Null), &Value::Null));
    for piece in &script.pieces {
        let delta = choice(json!({"content": piece.text}), Value::Null);
        events.data(&chunk(delta, &Value::Null)).words = piece.words;
    }
    if script.fail == Some(Failure::InStream) {
        let error = error_body("server_error", Some("server_error"));
        events.data(&error);
        events.failed(&["server_error"]);
        return Scene::stream(script, id, tokens, events);
    }
    events.data(&chunk(choice(json!({}), "stop".into()), &Value::Null));
    if include_usage {
        events.data(&chunk(json!([]), &usage)).tells_usage = true;
    }
    events.data(&"[DONE]");
    Scene::stream(script, id, tokens, events)
}

/// `POST …/responses`.
pub(super) fn responses(script: &Script, stream: bool) -> Scene {
    let tokens = with_long_cache_writes(script.tokens);
    let id = format!("resp_{}", script.id);
    let usage = json!({
        "input_tokens": tokens.input(),
        "input_tokens_details": {
            "cached_tokens": tokens.cache_read,
            "cache_write_tokens": tokens.cache_write(),
            "cache_write_tokens_details": {
                "ttl_30m_tokens": tokens.cache_write_30m,
                "ttl_12h_tokens": tokens.cache_write_12h,
            },
        },
        "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.input() + tokens.output,
    });
    let message = |status: &str, content: Value| {
        json!({
            "type": "message", "id": format!("msg_{}", script.id), "status": status,
            "role": "assistant", "content": content,
        })
    };
    let text_part = |text: &str| json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
    let response = |status: &str, output: Value, usage: &Value, error: Value| {
        json!({
            "id": id, "object": "response", "created_at": CREATED, "status": status,
            "background": false, "error": error, "incomplete_details": null, "instructions": null,
            "max_output_tokens": null, "model": script.model, "output": output,
            "parallel_tool_calls": true, "previous_response_id": null,
            "reasoning": {"effort": "medium", "summary": null}, "service_tier": "default",
            "store": true, "temperature": 1.0, "text": {"format": {"type": "text"}},
            "tool_choice": "auto", "tools": [], "top_p": 1.0, "truncation": "disabled",
            "usage": usage, "user": null, "metadata": {},
        })
    };
    let full = script.text();
    let whole = |usage: &Value| {
        let output = json!([message("completed", json!([text_part(&full)]))]);
        response("completed", output, usage, Value::Null)
    };
    if !stream {
        return Scene::body(script, Some(id.clone()), tokens, whole(&usage).to_string());
    }

    let mut events = Numbered::default();
    let item = format!("msg_{}", script.id);
    let place = json!({"item_id": item, "output_index": 0, "content_index": 0});
    let begun = response("in_progress", json!([]), &Value::Null, Value::Null);
    events.push("response.created", json!({"response": begun}), &json!({}));
    events.push("response.in_progress", json!({"response": begun}), &json!({}));
    let added = json!({"output_index": 0, "item": message("in_progress", json!([]))});
    events.push("response.output_item.added", added, &json!({}));
    events.push("response.content_part.added", json!({"part": text_part("")}), &place);
    for piece in &script.pieces {
        let delta = json!({"delta": piece.text, "logprobs": [], "obfuscation": "x7Gq"});
        events.push("response.output_text.delta", delta, &place).words = piece.words;
    }
    if script.fail == Some(Failure::InStream) {
        let error = json!({"code": "server_error", "message": "The model failed."});
        let failed = response("failed", json!([]), &Value::Null, error);
        events.push("response.failed", json!({"response": failed}), &json!({}));
        events.events.failed(&["server_error"]);
        return Scene::stream(script, id.clone(), tokens, events.events);
    }
    events.push("response.output_text.done", json!({"text": full, "logprobs": []}), &place);
    events.push("response.content_part.done", json!({"part": text_part(&full)}), &place);
    let done = json!({"output_index": 0, "item": message("completed", json!([text_part(&full)]))});
    events.push("response.output_item.done", done, &json!({}));
    let last = json!({"response": whole(&usage)});
    events.push("response.completed", last, &json!({})).tells_usage = true;
    Scene::stream(script, id.clone(), tokens, events.events)
}

/// `POST …/embeddings`.
pub(super) fn embeddings(script: &Script, base64: bool) -> Scene {
    let tokens = Tokens { input_uncached: script.tokens.input_uncached, ..Tokens::default() };
    // Both forms of one vector of single-precision numbers; SDKs ask for the first.
    let embedding =
        if base64 { json!("AACAPgAAAD8AAEA/AACAPw==") } else { json!([0.25, 0.5, 0.75, 1.0]) };
    let body = json!({
        "object": "list", "model": script.model,
        "data": [{"object": "embedding", "index": 0, "embedding": embedding}],
        "usage": {"prompt_tokens": tokens.input(), "total_tokens": tokens.input()},
    });
    let mut scene = Scene::body(script, None, tokens, body.to_string());
    scene.parts.iter_mut().for_each(|part| part.words = 0);
    scene
}

/// An answer that is an error from the start.
pub(super) fn error(failure: Failure) -> Scene {
    let (status, kind, code) = match failure {
        Failure::BadRequest => (400, "invalid_request_error", "context_length_exceeded"),
        Failure::Unauthorized => (401, "invalid_request_error", "invalid_api_key"),
        Failure::RateLimited => (429, "tokens", "rate_limit_exceeded"),
        Failure::Overloaded => (503, "server_error", "slow_down"),
        Failure::InStream => (500, "server_error", "server_error"),
    };
    Scene::error(status, &[kind, code], error_body(kind, Some(code)).to_string())
}

fn error_body(kind: &str, code: Option<&str>) -> Value {
    json!({"error": {"message": "It did not work.", "type": kind, "param": null, "code": code}})
}

/// Chat completions say how much was written to the cache, but not for how long.
const fn with_unnamed_cache_writes(drawn: Tokens) -> Tokens {
    Tokens {
        cache_write_5m: 0,
        cache_write_1h: 0,
        cache_write_other: drawn.cache_write_5m,
        ..drawn
    }
}

/// Responses have lifetimes of their own.
const fn with_long_cache_writes(drawn: Tokens) -> Tokens {
    Tokens {
        cache_write_5m: 0,
        cache_write_1h: 0,
        cache_write_30m: drawn.cache_write_5m,
        cache_write_12h: drawn.cache_write_1h,
        ..drawn
    }
}

/// Events of the responses API carry their name and a number in their data, too.
#[derive(Default)]
struct Numbered {
    events: Events,
    count: u64,
}

impl Numbered {
    fn push(&mut self, name: &str, mut data: Value, place: &Value) -> &mut super::script::Part {
        data["type"] = name.into();
        data["sequence_number"] = self.count.into();
        for (key, value) in place.as_object().into_iter().flatten() {
            data[key] = value.clone();
        }
        self.count += 1;
        self.events.named(name, &data)
    }
}
