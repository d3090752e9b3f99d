use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::identity::{IdentityId, Process, Workload};
use crate::meter::Bounds;
use crate::provider::{Api, CallState};

/// A call by a process of its own pid, in seconds of the test's time.
fn seen(pid: u32, host: &str, seconds: std::ops::Range<u64>) -> UsageRecord {
    let started = i64::try_from(seconds.start).unwrap();
    UsageRecord {
        id: CallId(format!("{pid:016x}{:016x}", seconds.start)),
        time: Timestamp::from_second(started).unwrap(),
        identity: IdentityId(format!("spiffe://test/host/h/user/u{pid}")),
        process: Process { pid, exe: None, uid: pid },
        container: None,
        unit: None,
        workload: Workload::default(),
        role: Role::Client,
        provider: "openai".to_owned(),
        api: Api::Responses,
        host: Some(host.to_owned()),
        model_requested: None,
        model: Some("gpt-4o".to_owned()),
        status: Some(200),
        streamed: false,
        state: CallState::Complete,
        tokens: Tokens { input_uncached: 100, output_visible: 20, ..Tokens::default() },
        usage_source: UsageSource::Reported,
        bounds: None,
        cost_usd: Some(PicoUsd(450_000_000)),
        cost_source: CostSource::Table,
        credential: None,
        credential_kind: None,
        credential_in: None,
        credential_ids: BTreeMap::new(),
        latency_ms: (seconds.end - seconds.start) * 1000,
        ttft_ms: None,
        lost_bytes: 0,
        response_id: Some("resp_1".to_owned()),
        error_type: None,
        service_tier: None,
        batch: false,
        speed: None,
        region: None,
        traffic_type: None,
        spilled_over: false,
        counts: Counts::default(),
        parts: Vec::new(),
        inconsistent: false,
        retrieved: false,
        retrieved_by: None,
        retrieved_with: None,
        result_of: None,
        duplicate_of: None,
        settles: None,
        retry: None,
        request_fp: None,
        step_fp: None,
        trace_id: None,
        parent_id: None,
        user_agent: None,
        gateway: false,
        on_behalf_of: None,
        price_version: None,
    }
}

const API: &str = "api.openai.com";
const GATEWAY: &str = "localhost:4000";

fn read_back(record: UsageRecord) -> UsageRecord {
    UsageRecord { retrieved: true, ..record }
}

/// The call went on in the background: nothing was said of its usage, and its input was counted.
fn unfinished(record: UsageRecord, input: u64, pico: Option<i128>) -> UsageRecord {
    let usage_source = if input == 0 { UsageSource::None } else { UsageSource::Estimated };
    UsageRecord {
        tokens: Tokens { input_uncached: input, ..Tokens::default() },
        usage_source,
        cost_usd: pico.map(PicoUsd),
        cost_source: CostSource::Unknown,
        ..record
    }
}

fn without_numbers(record: UsageRecord) -> UsageRecord {
    unfinished(record, 0, None)
}

/// What becomes of records that come in this order: `bill`, `repeat of N` or `settles N` (counted
/// from 0).
#[track_caller]
fn check(records: Vec<UsageRecord>, expected: &[&str]) -> Vec<UsageRecord> {
    let mut once = Once::default();
    let ids: Vec<CallId> = records.iter().map(|record| record.id.clone()).collect();
    let number = |id: &CallId| ids.iter().position(|other| other == id).unwrap();
    let settled: Vec<UsageRecord> =
        records.into_iter().map(|record| once.settle(record, |_| None)).collect();
    let found: Vec<String> = settled
        .iter()
        .map(|record| match (&record.duplicate_of, &record.settles) {
            (Some(call), _) => format!("repeat of {}", number(call)),
            (None, Some(settled)) => format!("settles {}", number(&settled.call)),
            (None, None) => "bill".to_owned(),
        })
        .collect();
    assert_eq!(found, expected);
    settled
}

/// wire.md §1.5: results can be fetched repeatedly, by another identity.
#[test]
fn what_is_read_back_again_is_billed_once() {
    let records = check(
        vec![
            read_back(seen(1, API, 0..1)),
            read_back(seen(1, API, 5..6)),
            read_back(seen(2, API, 90_000..90_001)),
        ],
        &["bill", "repeat of 0", "repeat of 0"],
    );
    let again = &records[2];
    assert_eq!((again.tokens, again.cost_usd), (Tokens::default(), Some(PicoUsd::ZERO)));
    assert_eq!((again.cost_source, again.usage_source), (CostSource::Repeat, UsageSource::None));
    assert!(again.identity.0.ends_with("u2"), "one can see who fetched it");
}

#[test]
fn an_answer_read_back_after_its_call_is_billed_with_the_call() {
    check(vec![seen(1, API, 0..9), read_back(seen(2, API, 20..21))], &["bill", "repeat of 0"]);
}

#[test]
fn what_was_queued_is_billed_when_it_is_read_back_and_to_who_made_it() {
    let records = check(
        vec![
            without_numbers(seen(1, API, 0..1)),
            read_back(without_numbers(seen(2, API, 5..6))),
            read_back(seen(2, API, 10..11)),
            read_back(seen(1, API, 15..16)),
        ],
        &["bill", "repeat of 0", "settles 0", "repeat of 2"],
    );
    let bill = &records[2];
    assert_eq!((bill.tokens.input_total(), bill.cost_usd), (100, Some(PicoUsd(450_000_000))));
    assert!(bill.identity.0.ends_with("u1"), "{}", bill.identity.0);
    assert!(bill.retrieved_by.as_ref().unwrap().0.ends_with("u2"));
    assert_eq!(bill.process.pid, 1);
}

/// Results of a batch come with their creator already billed.
#[test]
fn who_has_fetched_a_result_stays_known_when_it_settles_another() {
    let fetched = UsageRecord {
        retrieved_by: Some(seen(2, API, 0..1).identity),
        ..read_back(seen(1, API, 10..11))
    };
    let open = read_back(without_numbers(seen(1, API, 0..1)));
    let records =
        check(vec![open, fetched.clone(), fetched], &["bill", "settles 0", "repeat of 1"]);
    for record in &records[1..] {
        assert!(record.identity.0.ends_with("u1"), "{}", record.identity.0);
        assert!(record.retrieved_by.as_ref().unwrap().0.ends_with("u2"));
    }
}

/// The caller hung up, was billed an estimate, and fetched the answer afterwards.
#[test]
fn an_estimate_is_made_up_for_not_doubled() {
    let estimated = unfinished(seen(1, API, 0..1), 90, Some(225_000_000));
    let records = check(vec![estimated, read_back(seen(1, API, 5..6))], &["bill", "settles 0"]);
    let (first, rest) = (&records[0], &records[1]);
    assert_eq!((rest.tokens.input_uncached, rest.tokens.output_visible), (10, 20));
    assert_eq!(rest.cost_usd, Some(PicoUsd(225_000_000)));
    assert_eq!(first.tokens.saturating_add(&rest.tokens), rest.settles.as_ref().unwrap().tokens);
    assert_eq!(rest.retrieved_by, None);
    // An estimate that was too high is not paid back, but nothing is added to it.
    let high = unfinished(seen(1, API, 0..1), 500, Some(900_000_000));
    let records = check(vec![high, read_back(seen(1, API, 5..6))], &["bill", "settles 0"]);
    assert_eq!(records[1].cost_usd, Some(PicoUsd::ZERO));
    assert_eq!(records[1].tokens.input_total(), 0);
}

/// wire.md §7, vector 10. Whichever of the two ends first.
#[test]
fn the_same_answer_at_a_gateway_and_behind_it_is_one_bill() {
    let (app, egress) = (seen(1, GATEWAY, 0..10), seen(2, API, 1..9));
    check(vec![egress.clone(), app.clone()], &["bill", "repeat of 0"]);
    check(vec![app.clone(), egress.clone()], &["bill", "repeat of 0"]);
    // Two gateways, one behind the other.
    let between = seen(3, "litellm.internal", 1..10);
    check(vec![egress.clone(), between, app.clone()], &["bill", "repeat of 0", "repeat of 0"]);
    // The gateway asks for usage and keeps it to itself.
    let bounds = |least| Bounds {
        input_min: 1,
        input_max: None,
        output_min: 1,
        output_max: None,
        cost_usd_min: Some(PicoUsd(least)),
        cost_usd_max: None,
        calibrated: false,
    };
    let estimate = |least| UsageRecord {
        bounds: Some(bounds(least)),
        ..unfinished(app.clone(), 101, Some(460_000_000))
    };
    check(vec![egress.clone(), estimate(440_000_000)], &["bill", "repeat of 0"]);
    check(vec![egress.clone(), estimate(450_000_001)], &["bill", "bill"]);
    let records = check(vec![estimate(440_000_000), egress], &["bill", "settles 0"]);
    assert!(records[1].identity.0.ends_with("u2"), "a gateway's own call stays its own");
}

/// Servers that give every answer the same id; processes that use one again to hide what they spend.
#[test]
fn an_id_alone_proves_nothing() {
    let one = || seen(1, GATEWAY, 0..10);
    for other in [
        // The same process, at the same time and elsewhere, or later.
        seen(1, API, 1..9),
        seen(1, GATEWAY, 1..9),
        seen(1, GATEWAY, 20..30),
        // Another worker that asks the same server the same.
        seen(2, GATEWAY, 1..9),
        // Another process, at another time.
        seen(2, API, 11..12),
        seen(2, API, 5..15),
        // Other numbers.
        UsageRecord { tokens: Tokens::default(), ..seen(2, API, 1..9) },
        // It was dearer, so the other bill doesn't cover it.
        UsageRecord { cost_usd: Some(PicoUsd(450_000_001)), ..seen(2, API, 1..9) },
        // Nobody knows what it cost.
        UsageRecord {
            tokens: Tokens::default(),
            cost_usd: None,
            usage_source: UsageSource::None,
            ..seen(2, API, 1..9)
        },
        UsageRecord { response_id: Some("resp_2".to_owned()), ..seen(2, API, 1..9) },
        UsageRecord { provider: "azure.ai.openai".to_owned(), ..read_back(seen(2, API, 20..21)) },
        // What was read back says other numbers: it is something else.
        UsageRecord { tokens: Tokens::default(), ..read_back(seen(2, API, 20..21)) },
    ] {
        let (pid, host, time) = (other.process.pid, other.host.clone(), other.time);
        let mut once = Once::default();
        let _first = once.settle(one(), |_| None);
        let record = once.settle(other, |_| None);
        assert_eq!((record.duplicate_of, record.settles), (None, None), "{pid} {host:?} {time}");
    }
    for id in [None, Some(String::new())] {
        let nameless = |record| UsageRecord { response_id: id.clone(), ..record };
        check(vec![nameless(one()), nameless(seen(2, API, 1..9))], &["bill", "bill"]);
    }
    // Once it has turned up twice, it links nothing any more.
    check(
        vec![seen(3, API, 0..1), seen(2, API, 11..19), seen(1, GATEWAY, 10..20)],
        &["bill", "bill", "bill"],
    );
}

/// A process must be seen to pay for the dearest of what it claims to be one call.
#[test]
fn an_unpriced_bill_covers_no_priced_call() {
    let free = UsageRecord { cost_usd: None, ..seen(2, "evil.example", 1..9) };
    check(vec![free, seen(1, API, 0..10)], &["bill", "bill"]);
}

#[test]
fn whoever_answers_is_not_billed_and_repeats_nothing() {
    let server = UsageRecord { role: Role::Server, ..seen(2, GATEWAY, 0..10) };
    check(vec![server, seen(1, API, 0..10)], &["bill", "bill"]);
}

/// A daemon that was started anew remembers nothing: the ledger does.
#[test]
fn what_is_kept_is_asked_for_what_was_read_back() {
    let kept = seen(1, API, 0..1);
    let again = Once::default().settle(read_back(seen(2, API, 50..51)), |id| {
        assert_eq!(id, "resp_1");
        Some(kept.clone())
    });
    assert_eq!(again.duplicate_of, Some(kept.id.clone()));
    let queued = without_numbers(kept);
    let bill = Once::default().settle(read_back(seen(2, API, 50..51)), |_| Some(queued.clone()));
    assert_eq!(bill.settles.as_ref().map(|settled| &settled.call), Some(&queued.id));
    assert!(bill.identity.0.ends_with("u1"));
    // What has been settled stays so.
    let later = Once::default().settle(read_back(seen(3, API, 70..71)), |_| Some(bill.clone()));
    assert_eq!(later.duplicate_of, Some(bill.id));
    let _asked_only_then = Once::default().settle(seen(1, API, 0..1), |_| unreachable!());
}

proptest! {
    /// Whatever comes, what is billed is never less than the dearest record of each id, nor more
    /// than all of them; and each record is settled once.
    #[test]
    fn no_repeat_hides_what_was_spent(
        calls in prop::collection::vec(
            (0..3u32, 0..2usize, 0..12u64, 1..8u64, 0..3u64, any::<[bool; 2]>(), 0..3u8),
            1..12,
        ),
    ) {
        let (mut relays, mut once) = (Relays::default(), Once::default());
        let (mut dearest, mut all, made) = (0, 0, calls.len());
        let mut settled = Vec::new();
        for (pid, host, start, length, amount, [back, serves], id) in calls {
            let mut record = seen(pid, [API, GATEWAY][host], start..start + length);
            record.tokens.output_visible = amount;
            record.cost_usd = Some(PicoUsd(i128::from(amount)));
            record.retrieved = back;
            record.response_id = (id > 0).then(|| "resp_1".to_owned());
            dearest = dearest.max(amount);
            all += amount;
            let now = Sighting::of(&record).to;
            settled.extend(relays.due(now));
            settled.extend(relays.take(UsageRecord { gateway: serves, ..record }, now));
        }
        settled.extend(relays.finish());
        prop_assert_eq!(settled.len(), made);
        let bills = settled.into_iter().map(|record| once.settle(record, |_| None).cost_usd.unwrap().0);
        prop_assert!((i128::from(dearest)..=i128::from(all)).contains(&bills.sum()));
    }
}

#[test]
fn what_is_remembered_has_a_bound() {
    let mut once = Once::default();
    for number in 0..IDS.get() + 10 {
        let response_id = Some(number.to_string());
        let record = UsageRecord { response_id, ..without_numbers(seen(1, API, 0..1)) };
        let _bill = once.settle(record, |_| None);
    }
    assert_eq!((once.answers.len(), once.open.len()), (IDS.get(), OPEN.get()));
    for second in 0..10 {
        let _bill = once.settle(seen(1, API, second..second + 1), |_| None);
    }
    assert!(once.answers.iter().all(|(_, known)| known.len() <= SIGHTINGS));
}

/// What becomes of records that come in this order, the second of each being whether its process
/// serves others, and when nobody waits any more: who is billed, who repeats.
#[track_caller]
fn check_relayed(records: Vec<(UsageRecord, bool)>, expected: &[&str]) {
    let (mut relays, mut once) = (Relays::default(), Once::default());
    let mut settled = Vec::new();
    for (record, serves) in records {
        let now = Sighting::of(&record).to;
        settled.extend(relays.due(now));
        settled.extend(relays.take(UsageRecord { gateway: serves, ..record }, now));
    }
    settled.extend(relays.finish());
    let said = settled.into_iter().map(|record| {
        let record = once.settle(record, |_| None);
        let what = if record.duplicate_of.is_some() { "repeats" } else { "pays" };
        let caller = record.on_behalf_of.map(|caller| caller.identity.0);
        let caller = caller.as_deref().and_then(|id| id.rsplit('u').next());
        let caller = caller.map(|pid| format!(" for {pid}")).unwrap_or_default();
        format!("{} {what}{caller}", record.process.pid)
    });
    assert_eq!(said.collect::<Vec<_>>(), expected);
}

#[test]
fn the_caller_of_a_gateway_is_billed() {
    let (app, egress) = (seen(1, GATEWAY, 0..10), seen(2, API, 1..9));
    let with = |output, cost| UsageRecord {
        tokens: Tokens { output_visible: output, ..app.tokens },
        cost_usd: Some(PicoUsd(cost)),
        ..app.clone()
    };
    let both = |app: &UsageRecord| vec![(egress.clone(), true), (app.clone(), false)];
    check_relayed(both(&app), &["1 pays", "2 repeats for 1"]);
    check_relayed(
        vec![(app.clone(), false), (egress.clone(), true)],
        &["1 pays", "2 repeats for 1"],
    );
    // Two gateways, one behind the other.
    let between = seen(3, "litellm.internal", 1..10);
    check_relayed(
        vec![(egress.clone(), true), (between, true), (app.clone(), false)],
        &["1 pays", "2 repeats for 1", "3 repeats for 1"],
    );
    // What the caller would be billed doesn't cover the gateway's own call.
    check_relayed(both(&with(20, 449_999_999)), &["2 pays", "1 repeats"]);
    check_relayed(both(&UsageRecord { cost_usd: None, ..app.clone() }), &["2 pays", "1 repeats"]);
    // They say different things, or nothing links them.
    check_relayed(both(&with(19, 450_000_000)), &["2 pays", "1 pays"]);
    check_relayed(
        both(&UsageRecord { response_id: Some("resp_2".to_owned()), ..app.clone() }),
        &["1 pays", "2 pays"],
    );
    // It passed nothing on, or too late.
    check_relayed(vec![(egress.clone(), true)], &["2 pays"]);
    check_relayed(
        vec![(egress.clone(), true), (seen(1, GATEWAY, 0..12), false)],
        &["2 pays", "1 repeats"],
    );
    // A process that serves nobody waits for nobody.
    check_relayed(vec![(egress, false), (app, false)], &["2 pays", "1 repeats"]);
}

#[test]
fn a_gateway_with_ids_of_its_own_is_known_by_its_trace() {
    let of_trace = |record: UsageRecord, id: &str| UsageRecord {
        response_id: Some(id.to_owned()),
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
        ..record
    };
    let app = of_trace(seen(1, GATEWAY, 0..10), "own");
    let egress = of_trace(seen(2, API, 1..9), "upstream");
    check_relayed(
        vec![(egress.clone(), true), (app.clone(), false)],
        &["1 pays", "2 repeats for 1"],
    );
    check_relayed(
        vec![(app.clone(), false), (egress.clone(), true)],
        &["1 pays", "2 repeats for 1"],
    );
    // Asked twice upstream, it is billed twice there.
    let again = of_trace(seen(2, API, 2..9), "again");
    check_relayed(
        vec![(egress.clone(), true), (again, true), (app.clone(), false)],
        &["1 pays", "2 repeats for 1", "2 pays"],
    );
    // Who answers nobody, is of another trace, says something else or isn't called meanwhile, passes
    // nothing on.
    let both = |egress: UsageRecord| vec![(egress, true), (app.clone(), false)];
    check_relayed(vec![(egress.clone(), false), (app.clone(), false)], &["2 pays", "1 pays"]);
    let trace_id = Some("00000000000000000000000000000001".to_owned());
    check_relayed(both(UsageRecord { trace_id, ..egress.clone() }), &["1 pays", "2 pays"]);
    let tokens = Tokens { output_visible: 21, ..egress.tokens };
    check_relayed(both(UsageRecord { tokens, ..egress.clone() }), &["1 pays", "2 pays"]);
    let late = of_trace(seen(2, API, 11..12), "upstream");
    check_relayed(vec![(app.clone(), false), (late, true)], &["1 pays", "2 pays"]);
}

#[test]
fn few_records_wait_and_not_for_long() {
    let mut relays = Relays::default();
    let now = Timestamp::UNIX_EPOCH;
    for number in 0..2000 {
        let response_id = Some(number.to_string());
        let record = UsageRecord { response_id, ..seen(1, API, 0..1) };
        let record = UsageRecord { gateway: true, ..record };
        assert_eq!(relays.take(record, now).len(), usize::from(number >= 1024), "{number}");
    }
    let until = relays.next().unwrap();
    assert_eq!(until.duration_since(now), SignedDuration::from_secs(2));
    assert!(relays.due(now).is_empty());
    assert_eq!((relays.due(until).len(), relays.next()), (1024, None));
}
