use proptest::prelude::*;

use super::*;
use crate::http::{Credential, CredentialKind, CredentialPlace, Hints};
use crate::identity::{IdentityId, Namespace, Process, ProcessFacts, Rule, RuleSpec, Rules};
use crate::provider::{Api, CallState, Countable, PriceContext};
use crate::secret::{Fingerprint, Payload};
use crate::units::{ProcessKey, Role, Unit};

pub(super) fn call() -> ModelCall {
    let second = |second| Timestamp::from_second(second).unwrap();
    ModelCall {
        connection: ConnectionId {
            process: ProcessKey { pid: 7, start_ns: 8 },
            handle: 9,
            generation: 10,
        },
        ordinal: 0,
        index: 0,
        role: Role::Client,
        provider: "openai",
        api: Api::ChatCompletions,
        host: None,
        model_requested: Some("gpt-4o".to_owned()),
        model_served: Some("gpt-4o-mini-2024-07-18".to_owned()),
        status: Some(200),
        streamed: false,
        state: CallState::Complete,
        usage: None,
        countable: None,
        sample: None,
        response_id: None,
        error_type: None,
        context: PriceContext::default(),
        max_output: None,
        retrieved: false,
        result_of: None,
        request_fp: None,
        step_fp: None,
        credential: None,
        hints: Hints::default(),
        started: second(100),
        first_output: Some(second(101)),
        ended: second(103),
        lost_bytes: 0,
    }
}

fn attribution() -> Attribution {
    Attribution::new(
        IdentityId("spiffe://test/host/h/user/u".to_owned()),
        Process { pid: 7, exe: None, uid: 0 },
    )
}

fn measure(call: ModelCall) -> UsageRecord {
    let attribution = attribution();
    let meter = Meter::new(Catalogue::builtin().unwrap());
    meter.measure(call, &attribution, "boot", &mut Habits::default())
}

#[test]
fn a_rule_with_credentials_decides_call_by_call() {
    let print: Fingerprint = "1".repeat(32).parse().unwrap();
    let rule = Rule::new(RuleSpec {
        name: Some("bot".to_owned()),
        all: vec!["unix:uid:7".parse().unwrap()],
        credentials: vec![print.clone()],
        ..RuleSpec::default()
    });
    let facts = ProcessFacts::new(Process { pid: 7, exe: None, uid: 7 });
    let namespace = Namespace::new("test", "h").unwrap();
    let maker = Rules::new(vec![rule.unwrap()]).attribute(&facts, &namespace);
    let credential = |fingerprint| Credential {
        fingerprint,
        kind: CredentialKind::OpenaiKey,
        place: CredentialPlace::Header,
        ids: [].into(),
    };
    let meter = Meter::new(Catalogue::builtin().unwrap());
    for (used, identity) in [
        (Some(print), "spiffe://test/workload/bot"),
        (Some("2".repeat(32).parse().unwrap()), "spiffe://test/host/h/user/uid-7"),
        (None, "spiffe://test/host/h/user/uid-7"),
    ] {
        let call = ModelCall { credential: used.map(credential), ..call() };
        let record = meter.measure(call, &maker, "boot", &mut Habits::default());
        assert_eq!(record.identity.0, identity);
        let rule = record.workload.assigned.map(|assigned| assigned.rule);
        assert_eq!(rule.as_deref(), identity.ends_with("bot").then_some("bot"));
    }
}

fn reported() -> Option<Usage> {
    Some(Tokens { input_uncached: 1_000_000, ..Tokens::default() }.into())
}

fn hello() -> Option<Countable> {
    let output = Payload::from("hello world".to_owned());
    Some(Countable { output, ..Countable::default() })
}

#[track_caller]
fn check(call: ModelCall, usage: UsageSource, cost: CostSource, dollars: Option<&str>) {
    let record = measure(call);
    let paid = record.cost_usd.map(|cost| cost.to_string());
    assert_eq!((record.usage_source, record.cost_source), (usage, cost));
    assert_eq!(paid.as_deref(), dollars);
}

#[test]
fn the_served_model_is_priced() {
    let record = measure(ModelCall { usage: reported(), ..call() });
    assert_eq!(record.cost_usd.unwrap().to_string(), "0.15");
    assert_eq!(record.model.as_deref(), Some("gpt-4o-mini-2024-07-18"));
    assert_eq!(record.model_requested.as_deref(), Some("gpt-4o"));
    assert_eq!((record.latency_ms, record.ttft_ms), (3000, Some(1000)));
    assert!(record.price_version.is_some());
    let usage = reported();
    let unnamed = ModelCall { usage, model_served: None, ..call() };
    check(unnamed, UsageSource::Reported, CostSource::Table, Some("2.50"));
}

/// Each row of the record says where its numbers came from, and what isn't known isn't 0.
#[test]
fn what_is_not_known_is_not_zero() {
    use {CostSource as C, UsageSource as U};
    let usage = reported();
    let model_served = Some("nobody-knows".to_owned());
    check(
        ModelCall { usage: usage.clone(), model_served, ..call() },
        U::Reported,
        C::Unpriced,
        None,
    );
    let nameless =
        ModelCall { usage: usage.clone(), model_served: None, model_requested: None, ..call() };
    check(nameless, U::Reported, C::Unpriced, None);
    let service_tier = Some("scale".to_owned());
    let context = PriceContext { service_tier, ..PriceContext::default() };
    check(ModelCall { usage, context, ..call() }, U::Reported, C::Unpriced, None);
    check(call(), U::None, C::Unknown, None);
    let state = CallState::Aborted;
    check(ModelCall { state, ..call() }, U::None, C::Unknown, None);
}

#[test]
fn what_was_refused_is_free() {
    use {CostSource as C, UsageSource as U};
    let state = CallState::Error;
    let (status, free) = (Some(429), Some("0.00"));
    check(ModelCall { status, state, ..call() }, U::None, C::Free, free);
    check(ModelCall { status, state, countable: hello(), ..call() }, U::None, C::Free, free);
    let streamed = true;
    let first_output = None;
    check(ModelCall { state, streamed, first_output, ..call() }, U::None, C::Free, free);
    // It had begun to speak, so it will be billed for something.
    check(ModelCall { state, streamed, ..call() }, U::None, C::Unknown, None);
    // A failure that says what it used is billed for that.
    let failed = ModelCall { state, usage: reported(), ..call() };
    check(failed, U::Reported, C::Table, Some("0.15"));
}

#[test]
fn without_usage_the_text_is_counted() {
    use {CostSource as C, UsageSource as U};
    // 2 of output.
    let cost = Some("0.0000012");
    let whole = || ModelCall { countable: hello(), ..call() };
    check(whole(), U::Counted, C::Table, cost);
    check(ModelCall { lost_bytes: 1, ..whole() }, U::Estimated, C::Table, cost);
    check(ModelCall { state: CallState::Aborted, ..whole() }, U::Estimated, C::Table, cost);
    let nothing = ModelCall { countable: Some(Countable::default()), ..call() };
    check(nothing, U::None, C::Unknown, None);
    let failed = ModelCall { state: CallState::Error, streamed: true, ..whole() };
    check(failed, U::Estimated, C::Table, cost);
}

/// The bounds of an estimate, as `input output cost`, with `?` for an end that isn't known.
#[track_caller]
fn check_bounds(call: ModelCall, expected: &str) {
    let record = measure(call);
    let bounds = record.bounds.unwrap();
    let end = |end: Option<String>| end.unwrap_or_else(|| "?".to_owned());
    let tokens = |least: u64, most: Option<u64>| {
        format!("{least}..{}", end(most.map(|most| most.to_string())))
    };
    let (least, most) = (bounds.cost_usd_min, bounds.cost_usd_max);
    let found = format!(
        "{} {} {}..{}",
        tokens(bounds.input_min, bounds.input_max),
        tokens(bounds.output_min, bounds.output_max),
        end(least.map(|cost| cost.to_string())),
        end(most.map(|cost| cost.to_string())),
    );
    assert_eq!(found, expected);
    assert_eq!(record.usage_source, UsageSource::Estimated);
    let (input, output) = (record.tokens.input_total(), record.tokens.output_total());
    assert!(bounds.input_min <= input && bounds.input_max.is_none_or(|most| input <= most));
    assert!(bounds.output_min <= output && bounds.output_max.is_none_or(|most| output <= most));
    if let Some(cost) = record.cost_usd {
        assert!(least.is_none_or(|least| least <= cost) && most.is_none_or(|most| cost <= most));
    }
}

fn asked() -> Option<Countable> {
    let text = Payload::from("hello world".to_owned());
    let message = crate::provider::Message { role: "user".to_owned(), text };
    Some(Countable { input: vec![message], ..hello().unwrap() })
}

/// wire.md §7, vector 7. At $0.15 of input, $0.075 from the cache and $0.60 of output a million.
#[test]
fn an_aborted_stream_lies_between_what_was_seen_and_what_was_allowed() {
    let aborted = || ModelCall {
        state: CallState::Aborted,
        countable: asked(),
        streamed: true,
        max_output: Some(1_000),
        ..call()
    };
    check_bounds(aborted(), "9..9 2..1000 0.000001875..0.00060135");
    check_bounds(ModelCall { max_output: None, ..aborted() }, "9..9 2..? 0.000001875..?");
    let countable = asked().map(|text| Countable { images: 1, ..text });
    check_bounds(ModelCall { countable, ..aborted() }, "9..? 2..1000 0.000001875..?");
    // The provider doesn't keep to its own bound.
    check_bounds(
        ModelCall { max_output: Some(1), ..aborted() },
        "9..9 2..2 0.000001875..0.00000255",
    );
    let model_served = Some("nobody-knows".to_owned());
    check_bounds(ModelCall { model_served, ..aborted() }, "6..14 1..1000 ?..?");
}

/// The answer is whole, but its usage wasn't asked for, and reasoning isn't seen.
#[test]
fn reasoning_that_nobody_saw_is_within_the_bounds() {
    let model_served = Some("gpt-5-mini".to_owned());
    let whole = ModelCall { model_served, countable: asked(), max_output: Some(50), ..call() };
    check_bounds(whole, "9..9 2..50 0.000004225..0.00010225");
    check(
        ModelCall { countable: asked(), ..call() },
        UsageSource::Counted,
        CostSource::Table,
        Some("0.00000255"),
    );
}

/// Anthropic says the input at once, and the output as it grows.
#[test]
fn what_was_said_of_an_unfinished_answer_bounds_it() {
    let said = Tokens { input_uncached: 1_000, output_visible: 1, ..Tokens::default() };
    let growing = ModelCall {
        provider: "anthropic",
        api: Api::Messages,
        model_served: Some("claude-opus-4-5-20251101".to_owned()),
        state: CallState::Aborted,
        usage: Some(said.into()),
        countable: hello(),
        max_output: Some(100),
        ..call()
    };
    // 2 of o200k are 2 to 3 of Claude's; $5 and $25 a million.
    check_bounds(growing, "1000..1000 2..100 0.00505..0.0075");
}

/// BerriAI/litellm#13245, #36008: Bedrock lets the model finish when its caller has gone.
#[test]
fn where_the_model_goes_on_an_aborted_answer_is_as_long_as_others() {
    let meter = Meter::new(Catalogue::builtin().unwrap());
    let mut habits = Habits::default();
    let mut output = |call: ModelCall| {
        let attribution = attribution();
        meter.measure(call, &attribution, "boot", &mut habits).tokens.output_visible
    };
    let usage = Tokens { output_visible: 700, ..Tokens::default() };
    let aborted = |provider, max_output| ModelCall {
        provider,
        max_output,
        state: CallState::Aborted,
        countable: hello(),
        ..call()
    };
    assert_eq!(output(aborted("aws.bedrock", None)), 2);
    for provider in ["aws.bedrock", "openai"] {
        for _ in 0..10 {
            output(ModelCall { provider, usage: Some(usage.into()), ..call() });
        }
    }
    assert_eq!(output(aborted("aws.bedrock", None)), 700);
    assert_eq!(output(aborted("aws.bedrock", Some(300))), 300);
    assert_eq!(output(aborted("openai", None)), 2);
}

/// Searches, pages and the like are charged beside the tokens. Without a price of them the cost is a
/// part.
#[test]
fn what_is_charged_by_the_piece_is_priced_or_makes_the_cost_a_part() {
    let with = |tokens: Tokens, unit| {
        let mut usage = Usage::from(tokens);
        usage.counts.set(unit, 3);
        ModelCall { usage: Some(usage), ..call() }
    };
    use {CostSource as C, UsageSource as U};
    let tokens = reported().unwrap().tokens;
    check(with(tokens, Unit::WebSearch), U::Reported, C::Table, Some("0.18"));
    check(with(tokens, Unit::Maps), U::Reported, C::Partial, Some("0.15"));
    check(with(tokens, Unit::WebFetch), U::Reported, C::Table, Some("0.15"));
    check(with(Tokens::default(), Unit::SearchUnit), U::Reported, C::Unpriced, None);
    let mut usage = Usage::from(tokens);
    usage.counts.set(Unit::WebSearch, 3);
    usage.cost = Some(PicoUsd(1));
    let said = ModelCall { usage: Some(usage), ..call() };
    check(said, U::Reported, C::Provider, Some("0.000000000001"));
}

/// A record is priced again as it was, by the same catalogue.
#[test]
fn a_record_can_be_priced_again() {
    let mut usage = Usage::from(reported().unwrap().tokens);
    usage.counts.set(Unit::WebSearch, 3);
    let record = measure(ModelCall { usage: Some(usage), ..call() });
    let again = price_again(&record, &Catalogue::builtin().unwrap()).unwrap();
    assert_eq!(Some(again.cost), record.cost_usd);
    let unknown = UsageRecord { model: Some("own".to_owned()), ..record };
    assert_eq!(price_again(&unknown, &Catalogue::builtin().unwrap()), None);
}

#[test]
fn what_a_subscription_covers_costs_nothing_and_says_so() {
    let own = serde_json::json!({"price": [{"provider": "openai", "included": true}]});
    let own = catalogue::own::read(own).unwrap();
    let catalogue = Catalogue::builtin().unwrap().with_own(vec![own], "x").unwrap();
    let mut usage = reported().unwrap();
    usage.cost = Some(PicoUsd(1));
    let said = ModelCall { usage: Some(usage), ..call() };
    let record =
        Meter::new(catalogue).measure(said, &attribution(), "boot", &mut Habits::default());
    assert_eq!((record.cost_usd, record.cost_source), (Some(PicoUsd::ZERO), CostSource::Included));
}

#[test]
fn a_clock_set_back_makes_no_negative_time() {
    let record = measure(ModelCall { ended: Timestamp::UNIX_EPOCH, ..call() });
    assert_eq!(record.latency_ms, 0);
}

proptest! {
    /// One sighting has one id, and two have two.
    #[test]
    fn ids_tell_sightings_apart(handle in any::<u64>(), ordinal in any::<u64>(), boot in ".{0,9}") {
        let connection = ConnectionId { handle, ..call().connection };
        let one = ModelCall { connection, ordinal, ..call() };
        let id = call_id(&boot, &one);
        prop_assert_eq!(id.0.len(), 32);
        prop_assert_eq!(&id, &call_id(&boot, &one));
        prop_assert_ne!(&id, &call_id(&boot, &ModelCall { ordinal: ordinal ^ 1, ..call() }));
        prop_assert_ne!(&id, &call_id(&format!("{boot}x"), &one));
    }
}
