//! What a call's record is compared with: `docs/transcripts.md` has the rules.

use serde_json::{Map, Value};
use weir_core::meter::{EdgeRecord, UsageRecord};
use weir_core::replay::Transcript;

/// Fields that every expectation has: without them it would say next to nothing.
const REQUIRED: [&str; 6] = ["provider", "api", "model", "state", "usage_source", "tokens"];

/// Everything in which records differ from what a transcript expects.
pub(crate) fn differences(transcript: &Transcript, records: &[UsageRecord]) -> Vec<String> {
    let expected = &transcript.expected;
    let mut found = Vec::new();
    if records.len() != expected.len() {
        found.push(format!("{} calls, not {}", records.len(), expected.len()));
    }
    for (number, (expected, record)) in (1..).zip(expected.iter().zip(records)) {
        let place = format!("call {number} (expected in line {})", expected.line);
        for field in REQUIRED.iter().filter(|field| !expected.fields.contains_key(**field)) {
            found.push(format!("{place}: nothing is expected of {field:?}"));
        }
        let Value::Object(actual) = serde_json::to_value(record).unwrap() else { unreachable!() };
        compare(&place, &expected.fields, &actual, &mut found);
    }
    for record in records.iter().skip(expected.len()) {
        found.push(format!("not expected: {}", serde_json::to_string(record).unwrap()));
    }
    found
}

/// Everything in which steps to other agents differ from what a transcript expects.
pub(crate) fn edge_differences(transcript: &Transcript, records: &[EdgeRecord]) -> Vec<String> {
    let expected = &transcript.expected_edges;
    let mut found = Vec::new();
    if records.len() != expected.len() {
        found.push(format!("{} edges, not {}", records.len(), expected.len()));
    }
    for (number, (expected, record)) in (1..).zip(expected.iter().zip(records)) {
        let place = format!("edge {number} (expected in line {})", expected.line);
        for field in ["protocol", "method"] {
            if !expected.fields.contains_key(field) {
                found.push(format!("{place}: nothing is expected of {field:?}"));
            }
        }
        let Value::Object(actual) = serde_json::to_value(record).unwrap() else { unreachable!() };
        compare(&place, &expected.fields, &actual, &mut found);
    }
    for record in records.iter().skip(expected.len()) {
        found.push(format!("not expected: {}", serde_json::to_string(record).unwrap()));
    }
    found
}

/// Every field that is expected must be there and equal; of objects, the same is asked of their
/// fields. What is expected to be `null` may be absent.
fn compare(
    place: &str,
    expected: &Map<String, Value>,
    actual: &Map<String, Value>,
    found: &mut Vec<String>,
) {
    for (field, expected) in expected {
        let place = format!("{place}: {field}");
        let actual = actual.get(field).unwrap_or(&Value::Null);
        match (expected, actual) {
            (Value::Object(expected), Value::Object(actual)) => {
                compare(&place, expected, actual, found);
                if field == "tokens" {
                    unexpected_tokens(&place, expected, actual, found);
                }
            }
            _ if expected == actual => {}
            _ => found.push(format!("{place} is {actual}, not {expected}")),
        }
    }
}

/// A bucket that isn't listed must be empty. Sums need not be listed.
fn unexpected_tokens(
    place: &str,
    expected: &Map<String, Value>,
    actual: &Map<String, Value>,
    found: &mut Vec<String>,
) {
    let is_split = expected.keys().any(|bucket| bucket.starts_with("cache_write_"));
    for (bucket, count) in actual {
        let is_sum = matches!(bucket.as_str(), "input_total" | "output_total")
            || bucket == "cache_write" && is_split;
        if !is_sum && !expected.contains_key(bucket) && count.as_u64() != Some(0) {
            found.push(format!("{place}: {bucket} is {count}, and is not listed"));
        }
    }
}
