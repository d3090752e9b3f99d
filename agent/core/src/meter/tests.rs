use proptest::prelude::*;

use super::*;
use crate::http::Hints;
use crate::identity::{IdentityId, Process};
use crate::provider::{Api, Countable, PriceContext};
use crate::secret::Payload;
use crate::units::{ProcessKey, Role, Tokens};

fn call() -> ModelCall {
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
        response_id: None,
        error_type: None,
        context: PriceContext::default(),
        max_output: None,
        retrieved: false,
        credential: None,
        hints: Hints::default(),
        started: second(100),
        first_output: Some(second(101)),
        ended: second(103),
        lost_bytes: 0,
    }
}

fn measure(call: ModelCall) -> UsageRecord {
    let attribution = Attribution {
        identity: IdentityId("spiffe://test/host/h/user/u".to_owned()),
        process: Process { pid: 7, exe: None, uid: 0 },
        container: None,
        unit: None,
    };
    Meter::new(Catalogue::builtin().unwrap()).measure(call, &attribution, "boot")
}

fn reported() -> Option<Usage> {
    Some(Tokens { input_uncached: 1_000_000, ..Tokens::default() }.into())
}

fn hello() -> Option<Countable> {
    let output = Payload::from("hello world".to_owned());
    Some(Countable { input: Vec::new(), output, cut: false })
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
