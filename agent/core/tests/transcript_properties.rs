//! What holds of every transcript of `tests/transcripts`, however its bytes come: cut anywhere,
//! mixed with those of others, or with a part missing.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;
use support::{goldens, meter};
use weir_core::meter::{Meter, UsageRecord, UsageSource};
use weir_core::pipeline::Input;
use weir_core::provider::CallState;
use weir_core::replay::{Event, Step, Transcript};
use weir_core::units::Timestamp;

/// How often each property is tried, over all transcripts together.
const CASES: u32 = 10_000;

struct Case {
    name: String,
    transcript: Transcript,
    /// What comes of it as it is.
    truth: Vec<UsageRecord>,
}

static METER: LazyLock<Meter> = LazyLock::new(meter);

static ALL: LazyLock<Vec<Case>> = LazyLock::new(|| {
    let case = |golden: support::Golden| {
        let transcript = golden.transcript();
        let truth = replayed(&transcript);
        Case { name: golden.name, transcript, truth }
    };
    goldens().into_iter().map(case).collect()
});

/// Records without what depends on when bytes came.
fn without_time(records: Vec<UsageRecord>) -> Vec<UsageRecord> {
    let timeless = |record: UsageRecord| UsageRecord {
        time: Timestamp::UNIX_EPOCH,
        latency_ms: 0,
        ttft_ms: None,
        ..record
    };
    records.into_iter().map(timeless).collect()
}

fn replayed(transcript: &Transcript) -> Vec<UsageRecord> {
    without_time(transcript.records_of(transcript.inputs(), &METER))
}

/// The transcript with each segment cut at some of `cuts`.
fn cut(transcript: &Transcript, cuts: &[(Index, Index)]) -> Transcript {
    let mut at: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let lengths: Vec<(usize, usize)> = (0..)
        .zip(&transcript.steps)
        .filter_map(|(number, step)| match &step.event {
            Event::Segment { data, .. } if data.len() > 1 => Some((number, data.len())),
            _ => None,
        })
        .collect();
    for (step, place) in cuts {
        if !lengths.is_empty() {
            let (number, length) = *step.get(&lengths);
            at.entry(number).or_default().push(1 + place.index(length - 1));
        }
    }
    let mut steps = Vec::new();
    for (number, step) in (0..).zip(&transcript.steps) {
        let Event::Segment { connection, direction, offset, data } = &step.event else {
            steps.push(step.clone());
            continue;
        };
        let mut places = at.remove(&number).unwrap_or_default();
        places.extend([0, data.len()]);
        places.sort_unstable();
        places.dedup();
        for pair in places.windows(2) {
            let event = Event::Segment {
                connection: *connection,
                direction: *direction,
                offset: offset + pair[0] as u64,
                data: data[pair[0]..pair[1]].to_vec(),
            };
            steps.push(Step { time: step.time, event });
        }
    }
    Transcript { steps, ..transcript.clone() }
}

/// The transcript without the step at `place`, if that is a segment.
fn without(transcript: &Transcript, place: Index) -> Transcript {
    let segments: Vec<usize> = (0..transcript.steps.len())
        .filter(|&number| matches!(transcript.steps[number].event, Event::Segment { .. }))
        .collect();
    let mut lossy = transcript.clone();
    if !segments.is_empty() {
        lossy.steps.remove(*place.get(&segments));
    }
    lossy
}

/// Whether a record claims that its numbers are all there is.
fn claims_all(record: &UsageRecord) -> bool {
    matches!(record.usage_source, UsageSource::Reported | UsageSource::Counted)
        && record.state == CallState::Complete
        && record.lost_bytes == 0
}

/// The transcript with process ids of its own.
fn moved(transcript: &Transcript, number: u32) -> Transcript {
    let mut moved = transcript.clone();
    let shift = |key: &mut weir_core::units::ProcessKey| key.start_ns += u64::from(number) << 32;
    for maker in &mut moved.processes {
        shift(&mut maker.key);
    }
    for wire in &mut moved.connections {
        shift(&mut wire.id.process);
    }
    for step in &mut moved.steps {
        match &mut step.event {
            Event::Segment { connection, .. } | Event::Close { connection, .. } => {
                shift(&mut connection.process);
            }
            Event::Exit { process } => shift(process),
            Event::Tick => {}
        }
    }
    moved
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cuts_give_the_same_calls(
        which: Index,
        cuts in prop::collection::vec(any::<(Index, Index)>(), 1..40),
    ) {
        let case = which.get(&ALL);
        prop_assert_eq!(replayed(&cut(&case.transcript, &cuts)), case.truth.clone(), "{}", case.name);
    }

    #[test]
    fn any_mixture_of_connections_gives_the_same_calls(
        which in prop::collection::vec(any::<Index>(), 2..5),
        turns in prop::collection::vec(any::<Index>(), 0..60),
    ) {
        let cases: Vec<&Case> = which.iter().map(|which| which.get(&ALL)).collect();
        let transcripts: Vec<Transcript> =
            (0..).zip(&cases).map(|(number, case)| moved(&case.transcript, number)).collect();
        let mut all = Transcript::default();
        let mut queues: Vec<_> = Vec::new();
        for transcript in &transcripts {
            all.processes.extend(transcript.processes.clone());
            queues.push(transcript.inputs().filter(|input| !matches!(input, Input::Stop { .. })));
        }
        // Whose turn it is, and then the rest of each.
        let mut inputs = Vec::new();
        for turn in turns {
            let place = turn.index(queues.len());
            inputs.extend(queues[place].next());
        }
        for queue in &mut queues {
            inputs.extend(queue);
        }
        inputs.push(Input::Stop { time: Timestamp::UNIX_EPOCH });
        let mixed = without_time(all.records_of(inputs, &METER));
        let mut expected: Vec<UsageRecord> =
            transcripts.iter().flat_map(replayed).collect();
        let mut mixed: Vec<UsageRecord> = mixed;
        mixed.sort_by(|one, other| one.id.cmp(&other.id));
        expected.sort_by(|one, other| one.id.cmp(&other.id));
        prop_assert_eq!(mixed, expected);
    }

    /// A loss never makes a wrong number that claims to be right, nor a call that was not there.
    #[test]
    fn any_loss_is_marked(
        which: Index,
        cuts in prop::collection::vec(any::<(Index, Index)>(), 0..20),
        lost: Index,
    ) {
        let case = which.get(&ALL);
        let records = replayed(&without(&cut(&case.transcript, &cuts), lost));
        let claims: Vec<&UsageRecord> = records.iter().filter(|record| claims_all(record)).collect();
        let mut truths: Vec<&UsageRecord> =
            case.truth.iter().filter(|record| claims_all(record)).collect();
        for claim in claims {
            let same = |truth: &&UsageRecord| {
                truth.tokens == claim.tokens && truth.cost_usd == claim.cost_usd
            };
            let place = truths.iter().position(same);
            prop_assert!(place.is_some(), "{}: {claim:?} is in no truth", case.name);
            truths.remove(place.unwrap());
        }
    }
}
