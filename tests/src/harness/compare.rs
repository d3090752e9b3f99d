//! The truth against what `weir` says, call by call.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::client::Caller;
use crate::truth::{State, Tokens, Truth};

/// Field by field, what a call has to be. Fields that can't be known are not there.
type Expected = BTreeMap<&'static str, Value>;

/// How many differences are spelt out.
const SHOWN: usize = 20;

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Calls of the truth.
    pub expected: usize,
    /// Calls that are not there.
    pub missing: Vec<String>,
    /// Calls that are there and should not be.
    pub extra: Vec<String>,
    /// Calls of which something is wrong.
    pub wrong: Vec<String>,
}

impl Verdict {
    /// Fails if anything differs, and says all of it.
    ///
    /// # Errors
    /// If anything differs.
    pub fn into_result(self) -> anyhow::Result<()> {
        anyhow::ensure!(self.is_clean(), "{self}");
        Ok(())
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.wrong.is_empty()
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { expected, missing, extra, wrong } = self;
        let counts = [missing.len(), extra.len(), wrong.len()];
        let [absent, surplus, differing] = counts;
        writeln!(f, "{expected} calls: {absent} missing, {surplus} too many, {differing} wrong")?;
        for (what, list) in [("missing", missing), ("too many", extra), ("wrong", wrong)] {
            for line in list.iter().take(SHOWN) {
                writeln!(f, "  {what}: {line}")?;
            }
            if list.len() > SHOWN {
                writeln!(f, "  {what}: … and {} more", list.len() - SHOWN)?;
            }
        }
        Ok(())
    }
}

/// Compares. Calls are matched by the id of their answers where they have one, else each with one
/// that agrees in every field.
#[must_use]
pub fn compare(truth: &[Truth], callers: &[Caller], calls: &[Value]) -> Verdict {
    let callers: HashMap<&str, &Caller> =
        callers.iter().map(|caller| (caller.label.as_str(), caller)).collect();
    let mut verdict = Verdict { expected: truth.len(), ..Verdict::default() };
    let mut by_id: HashMap<&str, Vec<&Value>> = HashMap::new();
    let mut anonymous = Vec::new();
    for call in calls {
        match call["response_id"].as_str() {
            Some(id) => by_id.entry(id).or_default().push(call),
            None => anonymous.push(call),
        }
    }
    let mut without_id = Vec::new();
    let mut fingerprints: HashMap<&str, &Value> = HashMap::new();
    for expected in truth {
        let Some(caller) = callers.get(expected.label.as_str()) else {
            verdict.wrong.push(format!("a call of {}, whom nobody started", expected.label));
            continue;
        };
        let fields = fields(expected, caller);
        match visible_id(expected) {
            None => without_id.push((expected, fields)),
            Some(id) => match by_id.remove(id).unwrap_or_default().as_slice() {
                [] => verdict.missing.push(describe(expected)),
                [call, more @ ..] => {
                    verdict.extra.extend(more.iter().map(|call| surplus(call, &callers)));
                    let mut differences = differences(&fields, call);
                    let known = fingerprints.entry(&expected.label).or_insert(&call["credential"]);
                    let unknown = call["credential"].is_null() && !caller.joined_late;
                    if unknown || **known != call["credential"] {
                        let _ = write!(differences, " credential is {}", call["credential"]);
                    }
                    if !differences.is_empty() {
                        verdict.wrong.push(format!("{}:{differences}", describe(expected)));
                    }
                }
            },
        }
    }
    for (expected, fields) in without_id {
        match anonymous.iter().position(|call| differences(&fields, call).is_empty()) {
            Some(place) => drop(anonymous.swap_remove(place)),
            None => verdict.missing.push(describe(expected)),
        }
    }
    let rest = anonymous.into_iter().chain(by_id.into_values().flatten());
    verdict.extra.extend(rest.map(|call| surplus(call, &callers)));
    verdict
}

/// The id of the answer, if anybody who watched can have seen it.
fn visible_id(truth: &Truth) -> Option<&str> {
    truth.response_id.as_deref().filter(|_| truth.state != State::Aborted || truth.streamed)
}

fn describe(truth: &Truth) -> String {
    let Truth { label, api, status, streamed, state, words, response_id, coding, .. } = truth;
    let streamed = if *streamed { ", streamed" } else { "" };
    let id = response_id.as_deref().unwrap_or("no id");
    format!("{label} {api} {status}{streamed} {state:?} ({words} words, {coding}, {id})")
}

/// A call that should not be there, and whose process made it.
fn surplus(call: &Value, callers: &HashMap<&str, &Caller>) -> String {
    let maker = callers.values().find(|caller| call["process"]["pid"] == caller.pid);
    format!("{}: {call}", maker.map_or("nobody's", |caller| &caller.label))
}

fn fields(truth: &Truth, caller: &Caller) -> Expected {
    let state = match truth.state {
        State::Open | State::Aborted => "aborted",
        State::Complete => "complete",
        State::Error => "error",
    };
    let mut fields = Expected::from([
        ("/role", json!("client")),
        ("/provider", json!(truth.provider)),
        ("/api", json!(truth.api)),
        ("/model_requested", json!(truth.model_requested)),
        ("/status", json!(truth.status)),
        ("/streamed", json!(truth.streamed)),
        ("/state", json!(state)),
        ("/lost_bytes", json!(0)),
        ("/process/pid", json!(caller.pid)),
        ("/process/uid", json!(caller.uid)),
        ("/process/exe", json!(caller.exe)),
    ]);
    let unknown = caller.joined_late.then_some(Value::Null);
    fields.insert(HOST, [json!(truth.host)].into_iter().chain(unknown).collect());
    if let Some(container) = &caller.container {
        fields.insert("/container/name", json!(container.name));
        fields.insert("/container/image", json!(container.image));
        fields.insert("/container/runtime", "podman".into());
        fields.insert(IDENTITY, format!("/container/{}", container.name).into());
    } else {
        fields.insert("/container", Value::Null);
        if let Some(suffix) = caller.who.identity() {
            fields.insert("/unit", json!(caller.who.unit()));
            fields.insert(IDENTITY, suffix.into());
        }
    }
    if visible_id(truth).is_some() || truth.state == State::Complete {
        let model = truth.model.as_ref().unwrap_or(&truth.model_requested);
        fields.insert("/model", json!(model));
    }
    if let Some(tokens) = truth.usage {
        fields.insert("/usage_source", "reported".into());
        fields.extend(token_fields(tokens));
    }
    let refused = truth.state == State::Error && truth.status != 200;
    if refused {
        fields.insert("/usage_source", "none".into());
        fields.insert("/cost_source", "free".into());
        fields.insert("/cost_usd", "0.00".into());
        fields.extend(token_fields(Tokens::default()));
    }
    if !truth.errors.is_empty() {
        fields.insert(ERROR, json!(truth.errors));
    }
    fields
}

/// Compared by how it ends: what is before depends on the host.
const IDENTITY: &str = "/identity";

/// Compared with each of several: it may be unknown.
const HOST: &str = "/host";

/// Compared with each of several: a provider has more than one word for what went wrong.
const ERROR: &str = "/error_type";

fn token_fields(tokens: Tokens) -> impl Iterator<Item = (&'static str, Value)> {
    [
        ("/tokens/input_uncached", tokens.input_uncached),
        ("/tokens/cache_read", tokens.cache_read),
        ("/tokens/cache_write", tokens.cache_write()),
        ("/tokens/cache_write_5m", tokens.cache_write_5m),
        ("/tokens/cache_write_30m", tokens.cache_write_30m),
        ("/tokens/cache_write_1h", tokens.cache_write_1h),
        ("/tokens/cache_write_12h", tokens.cache_write_12h),
        ("/tokens/output", tokens.output),
        ("/tokens/reasoning", tokens.reasoning),
        ("/tokens/input_total", tokens.input()),
        ("/tokens/output_total", tokens.output),
    ]
    .into_iter()
    .map(|(field, count)| (field, json!(count)))
}

/// The fields that are not as they should be, or nothing.
fn differences(fields: &Expected, call: &Value) -> String {
    let mut text = String::new();
    for (&field, expected) in fields {
        let found = call.pointer(field).unwrap_or(&Value::Null);
        let agrees = match field {
            IDENTITY => found
                .as_str()
                .zip(expected.as_str())
                .is_some_and(|(id, end)| id.starts_with("spiffe://") && id.ends_with(end)),
            ERROR | HOST => expected.as_array().is_some_and(|words| words.contains(found)),
            // A lifetime that has no tokens need not be mentioned.
            _ if field.starts_with("/tokens/") && found.is_null() => *expected == json!(0),
            _ => found == expected,
        };
        if !agrees {
            let name = field[1..].replace('/', ".");
            let _ = write!(text, " {name} is {found}, not {expected};");
        }
    }
    text
}

/// What is wrong with a usage report as the sum of `calls`, if anything: its totals and the sum of
/// its rows must be theirs, to the last token and the last fraction of a dollar.
#[must_use]
pub fn sums_differ(usage: &Value, calls: &[Value]) -> Vec<String> {
    let empty = Vec::new();
    let rows = usage["rows"].as_array().unwrap_or(&empty);
    let totals = std::slice::from_ref(&usage["totals"]);
    let mut wrong = Vec::new();
    let of_calls = |field: &str| sum(calls, &[&format!("/tokens/{field}")]);
    for field in ["input_uncached", "cache_read", "cache_write", "output", "reasoning"] {
        let places = [format!("/tokens/{field}"), format!("/{field}")];
        let places = [places[0].as_str(), places[1].as_str()];
        let (expected, in_rows, total) =
            (of_calls(field), sum(rows, &places), sum(totals, &places));
        if (expected, expected) != (in_rows, total) {
            wrong.push(format!("{field}: calls {expected}, rows {in_rows}, totals {total}"));
        }
    }
    let number = calls.len() as u128;
    let errors = calls.iter().filter(|call| call["state"] == "error").count() as u128;
    let unpriced = calls.iter().filter(|call| call["cost_source"] == "unpriced").count() as u128;
    for (field, expected) in [("calls", number), ("errors", errors), ("unpriced_calls", unpriced)] {
        let place = format!("/{field}");
        let (in_rows, total) = (sum(rows, &[&place]), sum(totals, &[&place]));
        if (expected, expected) != (in_rows, total) {
            wrong.push(format!("{field}: calls {expected}, rows {in_rows}, totals {total}"));
        }
    }
    let dollars = ["/cost_usd"];
    let costs = [sum(calls, &dollars), sum(rows, &dollars), sum(totals, &dollars)];
    if costs[0] != costs[1] || costs[0] != costs[2] {
        let [calls, rows, totals] = costs;
        wrong.push(format!("pico-dollars: calls {calls}, rows {rows}, totals {totals}"));
    }
    if usage["complete"] != true {
        wrong.push(format!("complete is {}", usage["complete"]));
    }
    wrong
}

/// The sum over `items` of the first of `places` that each has: counts, or dollars as text, which
/// are summed in pico-dollars.
fn sum(items: &[Value], places: &[&str]) -> u128 {
    items
        .iter()
        .filter_map(|item| places.iter().find_map(|place| item.pointer(place)))
        .map(|value| match value {
            Value::String(dollars) => pico_dollars(dollars),
            other => u128::from(other.as_u64().unwrap_or(0)),
        })
        .sum()
}

/// An amount in decimal notation; 0 for what is not one.
#[must_use]
pub fn pico_dollars(text: &str) -> u128 {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{decimals:0<12}").parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::Who;

    fn truth(id: Option<&str>) -> Truth {
        Truth {
            label: "curl".to_owned(),
            provider: "openai".to_owned(),
            api: "chat_completions".to_owned(),
            host: "localhost:1".to_owned(),
            model_requested: "gpt-4o".to_owned(),
            model: None,
            status: 200,
            streamed: false,
            state: State::Complete,
            usage: Some(Tokens { input_uncached: 7, output: 5, ..Tokens::default() }),
            words: 5,
            response_id: id.map(str::to_owned),
            errors: Vec::new(),
            request_bytes: 0,
            response_bytes: 0,
            coding: "identity".to_owned(),
        }
    }

    fn caller() -> Caller {
        Caller {
            label: "curl".to_owned(),
            pid: 17,
            uid: 33,
            exe: "/usr/bin/curl".into(),
            who: Who::User("www-data"),
            container: None,
            joined_late: false,
        }
    }

    fn call(id: Option<&str>) -> Value {
        json!({
            "response_id": id, "role": "client", "provider": "openai", "api": "chat_completions",
            "host": "localhost:1", "model_requested": "gpt-4o", "model": "gpt-4o", "status": 200,
            "streamed": false, "state": "complete", "lost_bytes": 0, "unit": null,
            "container": null, "process": {"pid": 17, "uid": 33, "exe": "/usr/bin/curl"},
            "identity": "spiffe://weir/host/vm/user/www-data", "usage_source": "reported",
            "credential": "ab", "cost_usd": "0.0001",
            "tokens": {
                "input_uncached": 7, "cache_read": 0, "cache_write": 0, "output": 5,
                "reasoning": 0, "input_total": 7, "output_total": 5,
            },
        })
    }

    #[test]
    fn what_agrees_is_clean() {
        for id in [Some("a"), None] {
            let verdict = compare(&[truth(id)], &[caller()], &[call(id)]);
            assert!(verdict.is_clean(), "{verdict}");
        }
    }

    #[test]
    fn every_difference_shows() {
        for (field, value) in [
            ("/tokens/output", json!(6)),
            ("/process/pid", json!(18)),
            ("/identity", json!("spiffe://weir/host/vm/user/root")),
            ("/lost_bytes", json!(1)),
            ("/credential", Value::Null),
        ] {
            let mut changed = call(Some("a"));
            *changed.pointer_mut(field).unwrap() = value;
            let verdict = compare(&[truth(Some("a"))], &[caller()], &[changed]);
            assert_eq!(verdict.wrong.len(), 1, "{field}: {verdict}");
        }
    }

    #[test]
    fn missing_and_doubled_calls_show() {
        for id in [Some("a"), None] {
            let verdict = compare(&[truth(id)], &[caller()], &[]);
            assert_eq!((verdict.missing.len(), verdict.extra.len()), (1, 0), "{verdict}");
            let verdict = compare(&[truth(id)], &[caller()], &[call(id), call(id)]);
            assert_eq!((verdict.missing.len(), verdict.extra.len()), (0, 1), "{verdict}");
        }
    }

    #[test]
    fn sums_are_exact() {
        let row = json!({
            "calls": 2, "errors": 0, "unpriced_calls": 0, "cost_usd": "0.0002",
            "tokens": {"input_uncached": 14, "cache_read": 0, "cache_write": 0, "output": 10,
                       "reasoning": 0},
        });
        let mut usage = json!({"rows": [row], "totals": row, "complete": true});
        let calls = [call(None), call(None)];
        assert_eq!(sums_differ(&usage, &calls), Vec::<String>::new());
        usage["totals"]["cost_usd"] = "0.000200000001".into();
        assert_eq!(sums_differ(&usage, &calls).len(), 1);
    }
}
