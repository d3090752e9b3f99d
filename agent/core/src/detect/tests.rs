//! What holds of all detectors together.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::testing::{Line, Log};
use super::{Detect, Finding, Lost, Settings, Watches};
use crate::identity::{IdentityId, Rules};
use crate::units::Tokens;

fn detect() -> Detect {
    Detect::new(vec![Box::new(Watches::of(Settings::default(), &Rules::default()))])
}

/// A log of what a seed comes to: days of calls of a few identities with a few credentials, some of which fail,
/// losses, changes, stops, and now and then a clock that is set.
fn log(seeds: &[(u8, u8, u16)]) -> Log {
    let mut log = Log::new();
    for (kind, who, size) in seeds {
        let name = format!("i{}", who % 4);
        let hours = i64::from(*size % 40);
        log = log.key(who % 3).with(|like| {
            like.tokens = Tokens { input_uncached: u64::from(*size) * 100, ..Tokens::default() };
            like.request_fp = Some(Log::print(who % 5));
            like.model = Some(format!("m{}", who % 7));
            like.workload.interactive = Some(who % 5 == 0);
        });
        log = match kind % 12 {
            0 => log.errors(&name, 401, usize::from(size % 5)),
            1 => log.offboard(&name),
            2 => log.restore(&name),
            3 => log.line(|now| {
                let to = IdentityId(format!("i{}", size % 4));
                Line::Renamed(IdentityId(name.clone()), to, now)
            }),
            4 => log.line(|now| {
                let bytes = u64::from(*size);
                Line::Lost(Lost { from: now, to: now, bytes, records: 1, cause: "ring".to_owned() })
            }),
            5 => log.line(Line::Stopped).after_hours(hours).line(Line::Started),
            6 => log.after_hours(24 * 20),
            7 => log.after_hours(-hours),
            8 => log.pause(SignedDuration::from_mins(hours)).calls(&name, 5),
            _ => log.after_hours(hours).pause(SignedDuration::from_secs(1)).calls(&name, 8),
        };
    }
    log
}

/// What is found if detectors are ended after each of these lines, and go on from what they wrote down.
fn found(log: &Log, restarts: &[usize], ticks: bool) -> Vec<Finding> {
    let mut detect = detect();
    let mut found = Vec::new();
    for (number, line) in log.lines.iter().enumerate() {
        if restarts.contains(&number) {
            let memory = detect.save().unwrap();
            detect = self::detect();
            assert_eq!(detect.restore(&memory), Vec::<&str>::new());
        }
        let seen = line.seen();
        if ticks {
            found.extend(detect.tick(seen.time()));
        }
        found.extend(detect.take(&seen));
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_restart_anywhere_changes_nothing(
        seeds in prop::collection::vec(any::<(u8, u8, u16)>(), 1..60),
        restarts in prop::collection::vec(0..300usize, 0..4),
    ) {
        let log = log(&seeds);
        prop_assert_eq!(found(&log, &restarts, false), found(&log, &[], false));
    }

    #[test]
    fn the_same_is_found_with_and_without_ticks(
        seeds in prop::collection::vec(any::<(u8, u8, u16)>(), 1..60),
    ) {
        // While the clock isn't set, a tick is never later than what is stored next.
        let seeds: Vec<_> = seeds.into_iter().filter(|(kind, ..)| kind % 12 != 7).collect();
        let log = log(&seeds);
        prop_assert_eq!(found(&log, &[], true), found(&log, &[], false));
    }

    #[test]
    fn what_is_found_begins_once_and_ends_once(
        seeds in prop::collection::vec(any::<(u8, u8, u16)>(), 1..60),
    ) {
        let found = found(&log(&seeds), &[], false);
        let mut open = std::collections::BTreeMap::new();
        for finding in found {
            match finding.state {
                super::State::Firing => {
                    let before = open.insert(finding.id.clone(), finding.severity);
                    prop_assert!(before.is_none_or(|before| before < finding.severity));
                }
                super::State::Resolved => prop_assert!(open.remove(&finding.id).is_some()),
            }
        }
    }
}

#[test]
fn a_hundred_thousand_hostile_identities_take_bounded_room() {
    let mut detect = detect();
    let mut log = Log::new();
    let mut sizes = Vec::new();
    for number in 0..100_000u32 {
        log = log.key((number % 251) as u8).with(|like| like.process.pid = number);
        log = log.calls(&format!("hostile-{number}"), 1);
        for line in log.lines.drain(..) {
            detect.take(&line.seen());
        }
        if number % 25_000 == 24_999 {
            sizes.push(detect.save().unwrap()[0].1.len());
        }
    }
    let (first, last) = (sizes[0], sizes[3]);
    assert!(last < first + first / 10 && last < 64 << 20, "{sizes:?} bytes");
}
