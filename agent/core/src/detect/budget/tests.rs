use jiff::tz::TimeZone;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::detect::{Amount, Cause, Detector, Enforcement, Severity, State as FindingState};
use crate::identity::IdentityId;
use crate::meter::{CallId, CostSource, Dimension, Settlement};
use crate::units::{PicoUsd, Tokens};

/// 2026-11-26T00:00:00Z, a Thursday.
const MIDNIGHT: i64 = 1_795_651_200;
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const DOLLAR: i128 = 1_000_000_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(MIDNIGHT + second).unwrap()
}

/// A call, so many seconds after midnight, that took no time.
fn call(second: i64, who: &str, dollars: i128) -> UsageRecord {
    let record = json!({
        "id": format!("{second}-{who}-{dollars}"),
        "time": at(second),
        "identity": format!("spiffe://weir.local/host/h/unit/{who}"),
        "process": {"pid": 7, "uid": 1000, "exe": null},
        "role": "client",
        "provider": "openai",
        "api": "chat_completions",
        "streamed": false,
        "state": "complete",
        "tokens": Tokens { input_uncached: 900, reasoning: 100, ..Tokens::default() },
        "usage_source": "reported",
        "cost_usd": PicoUsd(dollars * DOLLAR),
        "cost_source": "table",
        "model": "gpt-5",
        "latency_ms": 0,
        "lost_bytes": 0,
        "assigned": {"rule": "r", "team": "t", "owner": "ann", "labels": {"tier": "gold"}},
    });
    serde_json::from_value(record).unwrap()
}

fn budget(window: &str, measure: Measure, most: i128) -> Budget {
    Budget {
        name: "b".to_owned(),
        all: Vec::new(),
        per: None,
        limits: vec![Limit { window: window.parse().unwrap(), measure, most }],
        warn_at: vec![800],
        enforce: Enforcement::Off,
        zone: Zone { name: "UTC".to_owned(), rules: TimeZone::UTC },
    }
}

fn dollars(window: &str, most: i128) -> Budget {
    budget(window, Measure::Usd, most * DOLLAR)
}

fn take(budgets: &mut Budgets, record: &UsageRecord) -> Vec<Finding> {
    let mut found = Vec::new();
    budgets.take(&Seen::Call(record), &mut found);
    found
}

fn tick(budgets: &mut Budgets, second: i64) -> Vec<Finding> {
    let mut found = Vec::new();
    budgets.tick(at(second), &mut found);
    found
}

/// What findings about use, not pace, say in short.
fn said(found: &[Finding]) -> Vec<(FindingState, Severity)> {
    let of_use = found.iter().filter(|finding| finding.detector == Detector::Budget);
    of_use.map(|finding| (finding.state, finding.severity)).collect()
}

fn used(budgets: &Budgets, second: i64) -> Vec<(Option<String>, Amount)> {
    budgets.report(at(second)).rows.into_iter().map(|row| (row.whom, row.used)).collect()
}

use FindingState::{Firing, Resolved};
use Severity::{High, Informational, Low, Medium};

#[test]
fn each_threshold_is_told_once_and_the_end_too() {
    let mut budgets =
        Budgets::new(vec![Budget { warn_at: vec![250, 500, 800], ..dollars("day", 100) }]);
    let late = 23 * HOUR;
    for (second, spent, expected) in [
        (late, 24, vec![]),
        (late + 1, 1, vec![(Firing, Informational)]),
        (late + 2, 10, vec![]),
        (late + 3, 20, vec![(Firing, Low)]),
        (late + 4, 25, vec![(Firing, Medium)]),
        (late + 5, 30, vec![(Firing, High)]),
        (late + 6, 500, vec![]),
        (DAY + 1, 1, vec![(Resolved, High)]),
        (DAY + 2, 24, vec![(Firing, Informational)]),
    ] {
        assert_eq!(said(&take(&mut budgets, &call(second, "a", spent))), expected, "{second}");
    }
    assert_eq!(said(&tick(&mut budgets, 2 * DAY + 9)), [], "records of the day may still come");
    assert_eq!(said(&tick(&mut budgets, 2 * DAY + 10)), [(Resolved, Informational)]);
    assert_eq!(tick(&mut budgets, 2 * DAY + 11), []);
}

#[test]
fn a_finding_says_what_is_used_and_what_has_no_price() {
    let limits = Budget { per: Some(Dimension::Identity), ..dollars("hour", 25) };
    let mut budgets = Budgets::new(vec![limits]);
    let unpriced =
        UsageRecord { cost_usd: None, cost_source: CostSource::Unpriced, ..call(10, "a", 0) };
    assert_eq!(take(&mut budgets, &unpriced), []);
    let found = take(&mut budgets, &call(20, "a", 26));
    let [finding] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(
        finding.summary,
        "The budget b (hour) of spiffe://weir.local/host/h/unit/a is used up: $26.00 of $25.00; 1 call has no \
         price and counts as nothing"
    );
    assert_eq!(finding.identity, Some(IdentityId("spiffe://weir.local/host/h/unit/a".to_owned())));
    assert_eq!(finding.team.as_deref(), Some("t"));
    assert_eq!(finding.owner.as_deref(), Some("ann"));
    assert_eq!(finding.evidence.observed, Some(Amount::Usd(PicoUsd(26 * DOLLAR))));
    assert_eq!(finding.evidence.from, Some(at(0)));
    assert_eq!(finding.evidence.until, Some(at(HOUR)));
    assert_eq!(finding.evidence.details["unpriced_calls"], "1");
    assert_eq!(finding.evidence.calls.len(), 2);
    let [row] = &budgets.report(at(30)).rows[..] else { panic!("one row") };
    assert_eq!((row.state, row.used_ratio, row.unpriced_calls), (BudgetState::Exceeded, 1.04, 1));
}

#[test]
fn what_counts_is_what_counts_in_reports() {
    for (measure, expected) in [
        (Measure::Usd, Amount::Usd(PicoUsd(5 * DOLLAR))),
        (Measure::Tokens, Amount::Tokens(3_000)),
        (Measure::Calls, Amount::Calls(2)),
    ] {
        let mut budgets = Budgets::new(vec![budget("day", measure, 1 << 80)]);
        let first = call(0, "a", 1);
        let repeat = UsageRecord { duplicate_of: Some(first.id.clone()), ..call(1, "a", 50) };
        let settles = Settlement { call: CallId("x".to_owned()), tokens: Tokens::default() };
        let settlement = UsageRecord { settles: Some(settles), ..call(2, "a", 2) };
        let answered = UsageRecord { role: Role::Server, ..call(3, "a", 100) };
        for record in [first, repeat, settlement, answered, call(4, "b", 2)] {
            take(&mut budgets, &record);
        }
        assert_eq!(used(&budgets, 10), [(None, expected)]);
    }
}

#[test]
fn conditions_choose_whose_calls_count() {
    for (conditions, expected) in [
        (&[][..], 2),
        (&["team:t"], 2),
        (&["team:u"], 0),
        (&["team:u", "team:t"], 2),
        (&["team:t", "identity:unit/a"], 1),
        (&["label:tier:g*", "identity:unit/b", "identity:unit/a"], 2),
        (&["label:tier:silver"], 0),
        (&["model:gpt-5*", "provider:openai", "api:chat_completions"], 2),
        (&["credential:*"], 0),
    ] {
        let all = conditions.iter().map(|condition| condition.parse().unwrap()).collect();
        let mut budgets = Budgets::new(vec![Budget { all, ..budget("day", Measure::Calls, 9) }]);
        take(&mut budgets, &call(0, "a", 1));
        take(&mut budgets, &call(0, "b", 1));
        assert_eq!(used(&budgets, 1), [(None, Amount::Calls(expected))], "{conditions:?}");
    }
}

#[test]
fn a_budget_that_will_be_used_up_is_told_before() {
    let mut budgets = Budgets::new(vec![dollars("day", 240)]);
    let mut found = Vec::new();
    // 20 dollars an hour are used up at noon; of the first hours nothing is concluded.
    for hour in 0..6 {
        found.extend(take(&mut budgets, &call(hour * HOUR, "a", 20)));
    }
    let first = &found[0];
    assert_eq!((first.detector, first.severity, first.time), (Detector::Budget, Low, at(3 * HOUR)));
    assert_eq!(said(&found), [(Firing, Low)]);
    let exhausted = budgets.report(at(6 * HOUR)).rows[0].exhausted_at;
    assert_eq!(exhausted, Some(at(13 * HOUR + 720)), "at the rate of the last 2.4 hours");
    // Nothing more is used: on average, it would last for longer than the day.
    assert_eq!(said(&tick(&mut budgets, 11 * HOUR)), []);
    assert_eq!(said(&tick(&mut budgets, 12 * HOUR + 600)), [(Resolved, Low)]);
}

#[test]
fn a_burst_burns_and_a_plan_does_not() {
    let burns = |found: &[Finding]| -> Vec<_> {
        let burns = found.iter().filter(|finding| finding.detector == Detector::BudgetBurn);
        burns.map(|finding| (finding.state, finding.severity)).collect()
    };
    // All of a month's budget in the month, evenly.
    let mut budgets = Budgets::new(vec![budget("month", Measure::Calls, 30 * 24 * 6)]);
    let mut found = Vec::new();
    for call_no in 0..4 * 24 * 6 {
        found.extend(take(&mut budgets, &call(call_no * 600, "a", 0)));
    }
    assert_eq!(burns(&found), []);
    let mut found = Vec::new();
    for call_no in 0..200 {
        found.extend(take(&mut budgets, &call(4 * DAY + call_no, "a", 0)));
    }
    assert_eq!(burns(&found), [(Firing, High)]);
    assert_eq!(burns(&tick(&mut budgets, 4 * DAY + 300)), []);
    assert_eq!(burns(&tick(&mut budgets, 5 * DAY)), [(Resolved, High)]);
}

#[test]
fn what_leaves_a_rolling_window_gives_room() {
    let enforce = Enforcement::Block;
    let mut budgets = Budgets::new(vec![Budget { enforce, ..dollars("24h", 100) }]);
    assert_eq!(said(&take(&mut budgets, &call(0, "a", 60))), []);
    assert_eq!(said(&take(&mut budgets, &call(12 * HOUR, "b", 50))), [(Firing, High)]);
    let blocks = budgets.blocks();
    let [of_a, of_b] = blocks.as_slice() else { panic!("{blocks:?}") };
    assert_eq!((of_a.since, of_b.dry_run), (at(12 * HOUR), false));
    assert_eq!(of_a.until, Some(at(DAY + 900)), "the piece of 15 minutes counts as a whole");
    assert_eq!(used(&budgets, DAY), [(None, Amount::Usd(PicoUsd(110 * DOLLAR)))]);
    assert_eq!(said(&tick(&mut budgets, DAY + 910)), [(Resolved, High)]);
    assert_eq!(budgets.blocks(), []);
    assert_eq!(used(&budgets, DAY + 910), [(None, Amount::Usd(PicoUsd(50 * DOLLAR)))]);
}

#[test]
fn who_used_a_budget_up_is_blocked_until_its_window_ends() {
    let with = |enforce| Budget { enforce, ..budget("hour", Measure::Calls, 2) };
    let mut budgets = Budgets::new(vec![with(Enforcement::Block)]);
    take(&mut budgets, &call(-1, "before", 0));
    take(&mut budgets, &call(0, "a", 0));
    assert_eq!(budgets.blocks(), []);
    take(&mut budgets, &call(1, "b", 0));
    take(&mut budgets, &call(2, "c", 0));
    let blocks = budgets.blocks();
    let who: Vec<_> = blocks.iter().map(|block| block.identity.0.rsplit('/').next()).collect();
    assert_eq!(who, [Some("a"), Some("b"), Some("c")]);
    for block in blocks {
        assert_eq!((block.since, block.until), (at(1), Some(at(HOUR))));
        assert_eq!((block.cause, block.dry_run), (Cause::Budget("b".to_owned()), false));
    }
    tick(&mut budgets, HOUR);
    assert_eq!(budgets.blocks(), [], "at once, though the finding ends later");
    for (enforce, expected) in [(Enforcement::Off, None), (Enforcement::DryRun, Some(true))] {
        let mut budgets = Budgets::new(vec![with(enforce)]);
        take(&mut budgets, &call(0, "a", 0));
        take(&mut budgets, &call(1, "a", 0));
        assert_eq!(budgets.blocks().first().map(|block| block.dry_run), expected);
    }
}

#[test]
fn a_renamed_identity_keeps_what_it_has_used() {
    let per = Some(Dimension::Identity);
    let mut budgets = Budgets::new(vec![Budget { per, ..dollars("day", 100) }]);
    take(&mut budgets, &call(HOUR, "a", 90));
    take(&mut budgets, &call(HOUR, "b", 20));
    let id = |name: &str| IdentityId(format!("spiffe://weir.local/host/h/unit/{name}"));
    let mut found = Vec::new();
    budgets.take(&Seen::Renamed(&id("a"), &id("b"), at(2 * HOUR)), &mut found);
    assert_eq!(said(&found), [(Resolved, Medium), (Firing, High)]);
    take(&mut budgets, &call(3 * HOUR, "a", 1));
    assert_eq!(used(&budgets, 3 * HOUR), [(Some(id("b").0), Amount::Usd(PicoUsd(111 * DOLLAR)))]);
}

#[test]
fn a_clock_that_was_wrong_counts_nothing_twice() {
    let mut budgets = Budgets::new(vec![dollars("day", 1_000)]);
    take(&mut budgets, &call(HOUR, "a", 1));
    take(&mut budgets, &call(400 * DAY, "a", 10));
    take(&mut budgets, &call(2 * HOUR, "a", 100));
    take(&mut budgets, &call(2 * HOUR - 60, "a", 100));
    assert_eq!(used(&budgets, 3 * HOUR), [(None, Amount::Usd(PicoUsd(201 * DOLLAR)))]);
    assert_eq!(used(&budgets, 400 * DAY), [(None, Amount::Usd(PicoUsd(10 * DOLLAR)))]);
}

#[test]
fn accounts_are_bounded() {
    let per = Some(Dimension::Identity);
    let mut budgets = Budgets::new(vec![Budget { per, ..dollars("day", 1) }]);
    let mut open = 0_i64;
    for number in 0..ACCOUNTS_MAX + 10 {
        for (state, _) in said(&take(&mut budgets, &call(0, &number.to_string(), 1))) {
            open += if state == Firing { 1 } else { -1 };
        }
    }
    let report = budgets.report(at(1));
    assert_eq!((report.rows.len(), report.forgotten), (ACCOUNTS_MAX, 10));
    assert_eq!(open, 10_000, "what is forgotten isn't left open");
}

#[test]
fn other_budgets_begin_anew() {
    let mut budgets = Budgets::new(vec![dollars("day", 100)]);
    take(&mut budgets, &call(0, "a", 1));
    let saved = budgets.save().unwrap();
    for (budget, same) in [
        (dollars("day", 100), true),
        (dollars("day", 101), false),
        (dollars("24h", 100), false),
        (Budget { enforce: Enforcement::Block, ..dollars("day", 100) }, false),
    ] {
        let mut other = Budgets::new(vec![budget]);
        assert_eq!(other.restore(&saved).is_ok(), same);
        let count = if same { DOLLAR } else { 0 };
        assert_eq!(used(&other, 1), [(None, Amount::Usd(PicoUsd(count)))]);
    }
}

/// Several budgets at once, and these calls.
fn budgets_of(calls: &[UsageRecord]) -> Budgets {
    let per = Some(Dimension::Identity);
    let mut budgets = Budgets::new(vec![
        Budget { enforce: Enforcement::Block, ..dollars("day", 20) },
        Budget { name: "c".to_owned(), per, ..dollars("hour", 5) },
        Budget { name: "d".to_owned(), ..dollars("24h", 30) },
    ]);
    for record in calls {
        take(&mut budgets, record);
    }
    budgets
}

prop_compose! {
    fn calls()(
        calls in prop::collection::vec((0..3 * DAY, 0..3u8, 0..4i128), 1..60),
    ) -> Vec<UsageRecord> {
        calls.iter().map(|(second, who, dollars)| call(*second, &who.to_string(), *dollars)).collect()
    }
}

/// The calls in the order of time, as a log has them.
fn in_order(mut calls: Vec<UsageRecord>) -> Vec<UsageRecord> {
    calls.sort_by_key(|record| record.time);
    calls
}

fn sum(calls: &[UsageRecord], from: i64, until: i64) -> i128 {
    let within = |record: &&UsageRecord| (at(from)..=at(until)).contains(&record.time);
    calls.iter().filter(within).map(|record| record.cost_usd.unwrap().0).sum()
}

proptest! {
    #[test]
    fn what_is_counted_is_what_was_spent(calls in calls(), second in 2 * DAY..3 * DAY) {
        let seen: Vec<_> =
            calls.iter().filter(|record| record.time <= at(second)).cloned().collect();
        // In any order, as long as it is not so late that the clock must have been set back.
        let mut day = Budgets::new(vec![dollars("day", 1_000), Budget { name: "d".to_owned(), ..dollars("24h", 1_000) }]);
        for record in &seen {
            take(&mut day, record);
        }
        let rows = day.report(at(second)).rows;
        let spent = |row: &BudgetRow| match row.used {
            Amount::Usd(PicoUsd(amount)) => amount,
            _ => panic!("dollars"),
        };
        prop_assert_eq!(spent(&rows[0]), sum(&seen, 2 * DAY, second));
        let rolling = spent(&rows[1]);
        prop_assert!(rolling >= sum(&seen, second - DAY, second));
        prop_assert!(rolling <= sum(&seen, second - DAY - 900, second));
    }

    #[test]
    fn a_restart_changes_nothing(calls in calls(), places in prop::collection::vec(0..60usize, 0..4)) {
        let calls = in_order(calls);
        let mut through = budgets_of(&[]);
        let mut restarted = budgets_of(&[]);
        for (place, record) in calls.iter().enumerate() {
            if places.contains(&place) {
                let saved = restarted.save().unwrap();
                restarted = budgets_of(&[]);
                restarted.restore(&saved).unwrap();
            }
            prop_assert_eq!(take(&mut through, record), take(&mut restarted, record));
            prop_assert_eq!(through.blocks(), restarted.blocks());
        }
        prop_assert_eq!(through.report(at(3 * DAY)), restarted.report(at(3 * DAY)));
    }

    #[test]
    fn what_begins_does_so_with_or_without_a_clock(calls in calls()) {
        let calls = in_order(calls);
        let (mut live, mut replayed) = (budgets_of(&[]), budgets_of(&[]));
        let mut ends = [0, 0];
        let mut tell = |budgets: usize, found: Vec<Finding>| -> Vec<_> {
            let (begin, end): (Vec<_>, Vec<_>) =
                found.into_iter().partition(|finding| finding.state == Firing);
            ends[budgets] += end.len();
            begin.into_iter().map(|finding| (finding.id, finding.severity)).collect()
        };
        for record in &calls {
            let second = record.time.as_second() - MIDNIGHT;
            // Once shortly before the record is stored, and once long after the one before.
            prop_assert_eq!(tell(0, tick(&mut live, second - 1)), []);
            let begun = tell(0, take(&mut live, record));
            prop_assert_eq!(begun, tell(1, take(&mut replayed, record)));
        }
        for budgets in [0, 1] {
            let end = if budgets == 0 { &mut live } else { &mut replayed };
            prop_assert_eq!(tell(budgets, tick(end, 40 * DAY)), []);
            prop_assert_eq!(end.blocks(), []);
        }
        prop_assert_eq!(ends[0], ends[1], "each is over once");
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut budgets = budgets_of(&[]);
        prop_assert!(budgets.restore(&bytes).is_err());
    }

    #[test]
    fn no_amount_and_no_time_is_too_large(
        calls in prop::collection::vec((any::<i64>(), any::<i64>(), any::<u64>()), 1..20),
    ) {
        let mut budgets = budgets_of(&[]);
        for (second, amount, latency_ms) in calls {
            let time = Timestamp::from_second(second % 253_402_207_200).unwrap();
            let cost_usd = Some(PicoUsd(i128::from(amount) << 62));
            let record = UsageRecord { time, cost_usd, latency_ms, ..call(0, "a", 0) };
            take(&mut budgets, &record);
            budgets.blocks();
            drop(budgets.report(time));
        }
    }
}
