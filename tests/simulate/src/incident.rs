//! What goes wrong: one thing of each kind, at several strengths, to somebody who is otherwise benign.

use std::ops::Range;

use weir_core::detect::Detector;

use crate::habit::Habit;
use crate::world::{Call, DAY, Event, HOUR, Other, What, World};

/// How much of it there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// So little that it may well be overlooked.
    Weak,
    /// Enough that it must be found.
    Clear,
    /// More than enough.
    Strong,
}

impl Strength {
    /// Every strength.
    pub const ALL: [Self; 3] = [Self::Weak, Self::Clear, Self::Strong];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Weak => "weak",
            Self::Clear => "clear",
            Self::Strong => "strong",
        }
    }

    const fn pick<T: Copy>(self, of: [T; 3]) -> T {
        match self {
            Self::Weak => of[0],
            Self::Clear => of[1],
            Self::Strong => of[2],
        }
    }
}

/// What goes wrong, by who must find it.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Who must find it.
    pub detector: Detector,
    /// Within so many seconds, where it is clear.
    pub promise: i64,
    /// What it is at each strength.
    pub words: &'static str,
    /// Who may well find it, too.
    pub also: &'static [Detector],
    habit: Habit,
    happen: fn(&mut World, &Place, Strength),
}

/// Who it happens to, and when.
struct Place {
    who: u16,
    /// Somebody else, who does nothing else.
    other: u16,
    /// Milliseconds after the start.
    at: i64,
}

/// What went wrong in a world.
#[derive(Clone, Debug)]
pub struct Incident {
    /// Of which kind.
    pub kind: Kind,
    /// How much of it.
    pub strength: Strength,
    /// Who must be named.
    pub guilty: u16,
    /// Findings about these are of it.
    pub involved: Vec<u16>,
    /// From when to when, in milliseconds after the start.
    pub during: Range<i64>,
}

/// How long after an incident it may still be spoken of, in milliseconds.
const AFTER: i64 = 2 * DAY * 1000;

impl Kind {
    /// Has it happen to somebody new.
    pub fn happen(self, world: &mut World, strength: Strength) -> Incident {
        let name = self.detector.as_str().replace('_', "-");
        let in_group = matches!(self.detector, Detector::EnvironmentCrossing);
        let who = world.settle(&name, in_group.then_some(("bots", "production")));
        let other = world.settle(&format!("{name}-other"), in_group.then_some(("tests", "dev")));
        let days = world.days;
        let day = world.rng.i64(days - 10..days - 4);
        // On a working day, in the afternoon.
        let day = day - (day.rem_euclid(7) - 4).max(0);
        let mut at = (day * DAY + 14 * HOUR + world.rng.i64(0..HOUR)) * 1000;
        let mut until = at + AFTER;
        match self.detector {
            Detector::DormantRevival => {
                self.habit.follow(world, who, 0..4);
                at = at.max(35 * DAY * 1000);
                until = at + AFTER;
            }
            Detector::CostDrift => {
                at = (days - 12) * DAY * 1000;
                self.habit.follow(world, who, 0..days);
                until = days * DAY * 1000 + AFTER;
            }
            Detector::OffHours => {
                self.habit.follow(world, who, 0..days);
                // At three in the night.
                at = (day * DAY + 3 * HOUR) * 1000 + world.rng.i64(0..60_000);
                until = at + AFTER;
            }
            Detector::LongLivedCredential => {
                // It was first seen long before, on the same host.
                let early = -(96 - days) * DAY * 1000;
                calls(world, early, who, 3, 20 * DAY * 1000, SMALL);
                self.habit.follow(world, who, 0..days);
                at = early + 90 * DAY * 1000;
                until = days * DAY * 1000;
            }
            _ => self.habit.follow(world, who, 0..days),
        }
        (self.happen)(world, &Place { who, other, at }, strength);
        let by_other = matches!(
            self.detector,
            Detector::CredentialShared | Detector::CredentialLeaked | Detector::HumanUse
        );
        let guilty = if by_other { other } else { who };
        Incident { kind: self, strength, guilty, involved: vec![who, other], during: at..until }
    }
}

/// Calls, one each so many milliseconds.
fn calls(world: &mut World, from: i64, who: u16, count: i64, pause: i64, like: Call) {
    for number in 0..count {
        let body = if like.body == 0 { world.rng.u32(1..) } else { like.body };
        let took = if like.took == 0 { 500 } else { like.took };
        world.call(from + number * pause, who, Call { body, took, ..like });
    }
}

const SMALL: Call = Call {
    took: 500,
    input: 2000,
    output: 200,
    status: 0,
    retry: 0,
    body: 0,
    step: 0,
    pid: 1,
    key: 0,
    through: 0,
    other: None,
};

/// A call of another kind.
const fn other(other: Other) -> Call {
    Call { other: Some(other), ..SMALL }
}

/// The key of somebody.
fn key_of(who: u16) -> u32 {
    1000 + u32::from(who)
}

/// Every kind of incident, in the order of the detectors' names.
pub const KINDS: [Kind; 22] = [
    Kind {
        detector: Detector::TokenSpike,
        promise: 15 * 60,
        words: "for 20 minutes 3, 10 or 50 times the tokens of a usual peak",
        also: &[Detector::CostSpike, Detector::CostDrift, Detector::UnsafeCost],
        habit: Habit::Retrieval,
        happen: |world, place, strength| {
            let input = strength.pick([6000, 10_000, 25_000]);
            let pause = strength.pick([15_000, 8000, 4000]);
            let like = Call { input, output: 400, took: 3000, ..SMALL };
            calls(world, place.at, place.who, 20 * 60_000 / pause, pause, like);
        },
    },
    Kind {
        detector: Detector::CostSpike,
        promise: 15 * 60,
        words: "for 20 minutes $3, $10 or $34 in five minutes, where 4 cents are usual",
        also: &[Detector::TokenSpike, Detector::CostDrift, Detector::UnsafeCost],
        habit: Habit::Cron,
        happen: |world, place, strength| {
            let output = strength.pick([2000, 8000, 30_000]);
            let like = Call { input: 3000, output, took: 3000, ..SMALL };
            calls(world, place.at, place.who, 300, 4000, like);
        },
    },
    Kind {
        detector: Detector::CostDrift,
        promise: 8 * DAY,
        words: "for 12 days 1.3, 3 or 6 times the usual cost, evenly",
        also: &[Detector::TokenSpike, Detector::CostSpike],
        habit: Habit::Retrieval,
        happen: |world, place, strength| {
            let more = strength.pick([70, 450, 1100]);
            let days = world.days - place.at / 1000 / DAY;
            let pause = DAY * 1000 / more;
            let like = Call { input: 8000, output: 500, took: 3000, ..SMALL };
            calls(world, place.at, place.who, days * more, pause, like);
        },
    },
    Kind {
        detector: Detector::OffHours,
        promise: 60 * 60,
        words: "15, 60 or 200 calls at three in the night by somebody who works by day",
        also: &[],
        habit: Habit::Agent,
        happen: |world, place, strength| {
            let count = strength.pick([15, 60, 200]);
            calls(world, place.at, place.who, count, 8000, SMALL);
        },
    },
    Kind {
        detector: Detector::RetryStorm,
        promise: 5 * 60,
        words: "2, 10 or 100 tries of one request that is refused, a second apart",
        also: &[],
        habit: Habit::Deployed,
        happen: |world, place, strength| {
            let body = world.rng.u32(1..);
            let like = Call { status: 401, retry: 1, body, input: 0, output: 0, ..SMALL };
            calls(world, place.at, place.who, strength.pick([2, 10, 100]), 1000, like);
        },
    },
    Kind {
        detector: Detector::AgentLoop,
        promise: 10 * 60,
        words: "3, 10 or 80 steps in a row in which the model calls the same tool with the same arguments",
        also: &[Detector::TokenSpike, Detector::CostSpike],
        habit: Habit::Agent,
        happen: |world, place, strength| {
            let like = Call { step: world.rng.u32(1..), input: 20_000, pid: 7777, ..SMALL };
            calls(world, place.at, place.who, strength.pick([3, 10, 80]), 15_000, like);
        },
    },
    Kind {
        detector: Detector::CredentialShared,
        promise: 60,
        words: "1, 10 or 100 calls of somebody else with a key that was one's alone, hours apart",
        also: &[Detector::CredentialLeaked, Detector::DormantRevival],
        habit: Habit::Batch,
        happen: |world, place, strength| {
            let like = Call { key: key_of(place.who), ..SMALL };
            calls(world, place.at, place.other, strength.pick([1, 10, 100]), 5000, like);
        },
    },
    Kind {
        detector: Detector::CredentialLeaked,
        promise: 15 * 60,
        words: "1, 10 or 100 calls of somebody else with a key while its holder uses it",
        also: &[Detector::CredentialShared],
        habit: Habit::Retrieval,
        happen: |world, place, strength| {
            let like = Call { key: key_of(place.who), ..SMALL };
            calls(world, place.at, place.who, 10, 60_000, like);
            calls(world, place.at + 1000, place.other, strength.pick([1, 10, 100]), 5000, like);
        },
    },
    Kind {
        detector: Detector::UseAfterOffboarding,
        promise: 60,
        words: "goes on as before once it is offboarded (at each strength)",
        also: &[],
        habit: Habit::Retrieval,
        happen: |world, place, _strength| {
            let what = What::Offboarded(place.who);
            world.events.push(Event { at: place.at - 1000, what });
            calls(world, place.at, place.who, 3, 1000, SMALL);
        },
    },
    Kind {
        detector: Detector::DormantRevival,
        promise: 60 * 60,
        words: "5, 30 or 300 calls after a month without one",
        also: &[Detector::OffHours],
        habit: Habit::Cron,
        happen: |world, place, strength| {
            let count = strength.pick([5, 30, 300]);
            calls(world, place.at, place.who, count, 5000, SMALL);
        },
    },
    Kind {
        detector: Detector::NewModel,
        promise: 60,
        words: "1, 10 or 100 calls of a model that was never used",
        also: &[],
        habit: Habit::Deployed,
        happen: |world, place, strength| {
            let count = strength.pick([1, 10, 100]);
            calls(world, place.at, place.who, count, 5000, other(Other::Model(9)));
        },
    },
    Kind {
        detector: Detector::NewProvider,
        promise: 60,
        words: "1, 10 or 100 calls to a provider that was never used",
        also: &[Detector::NewModel],
        habit: Habit::Deployed,
        happen: |world, place, strength| {
            let count = strength.pick([1, 10, 100]);
            calls(world, place.at, place.who, count, 5000, other(Other::Provider));
        },
    },
    Kind {
        detector: Detector::EnvironmentCrossing,
        promise: 60,
        words: "1, 10 or 100 calls in `dev` with a key of `production`",
        also: &[Detector::CredentialShared, Detector::CredentialLeaked],
        habit: Habit::Retrieval,
        happen: |world, place, strength| {
            let like = Call { key: key_of(place.other), ..SMALL };
            calls(world, place.at - 3000, place.other, 1, 1000, like);
            calls(world, place.at, place.who, strength.pick([1, 10, 100]), 5000, like);
        },
    },
    Kind {
        detector: Detector::HumanUse,
        promise: 60,
        words: "1, 10 or 100 calls from a terminal with a service's key",
        also: &[Detector::CredentialShared, Detector::CredentialLeaked],
        habit: Habit::Cron,
        happen: |world, place, strength| {
            let like = Call { key: key_of(place.who), ..other(Other::Terminal) };
            calls(world, place.at, place.other, strength.pick([1, 10, 100]), 5000, like);
        },
    },
    Kind {
        detector: Detector::LongLivedCredential,
        promise: DAY,
        words: "a key that is used for more than 90 days (at each strength)",
        also: &[Detector::DormantRevival],
        habit: Habit::Retrieval,
        happen: |world, place, _strength| {
            let like = Call { key: key_of(place.who), ..SMALL };
            // Its key isn't rotated.
            calls(world, 0, place.who, world.days, DAY * 1000, like);
        },
    },
    Kind {
        detector: Detector::ExposedCredential,
        promise: 60,
        words: "1, 10 or 100 calls with the key in the URL",
        also: &[],
        habit: Habit::Deployed,
        happen: |world, place, strength| {
            let count = strength.pick([1, 10, 100]);
            calls(world, place.at, place.who, count, 5000, other(Other::KeyInUrl));
        },
    },
    Kind {
        detector: Detector::Llmjacking,
        promise: 15 * 60,
        words: "2, 5 or 20 models refuse a cloud's key, then one answers in a new region",
        also: &[
            Detector::NewModel,
            Detector::NewProvider,
            Detector::RetryStorm,
            Detector::LongLivedCredential,
        ],
        habit: Habit::Deployed,
        happen: |world, place, strength| {
            let key = 5000 + u32::from(place.who);
            let known = Call { key, ..other(Other::Cloud(0, 0)) };
            calls(world, DAY * 1000, place.who, 2, DAY * 1000, known);
            let tries = strength.pick([2, 5, 20]);
            for model in 1..=tries {
                let like = Call { key, status: 403, ..other(Other::Cloud(model, 0)) };
                calls(world, place.at + i64::from(model) * 5000, place.who, 1, 1000, like);
            }
            let taken = Call { key, ..other(Other::Cloud(tries + 1, 0)) };
            calls(world, place.at + 200_000, place.who, 20, 3000, taken);
        },
    },
    Kind {
        detector: Detector::AgentChain,
        promise: 5 * 60,
        words: "agents 4, 7 or 15 deep",
        also: &[],
        habit: Habit::Agent,
        happen: |world, place, strength| {
            let like = Call { through: strength.pick([3, 6, 14]), ..SMALL };
            calls(world, place.at, place.who, 5, 5000, like);
        },
    },
    Kind {
        detector: Detector::UnsafeCost,
        promise: 30 * 60,
        words: "3, 10 or 40 calls with 150,000 tokens of input each, a minute apart",
        also: &[Detector::TokenSpike, Detector::CostSpike],
        habit: Habit::Cron,
        happen: |world, place, strength| {
            let like = Call { input: 150_000, ..SMALL };
            calls(world, place.at, place.who, strength.pick([3, 10, 40]), 60_000, like);
        },
    },
    Kind {
        detector: Detector::UnpricedModel,
        promise: 60,
        words: "1, 10 or 200 calls of a model without a price",
        also: &[Detector::NewModel],
        habit: Habit::Deployed,
        happen: |world, place, strength| {
            let count = strength.pick([1, 10, 200]);
            calls(world, place.at, place.who, count, 5000, other(Other::Unpriced));
        },
    },
    Kind {
        detector: Detector::BlindSpot,
        promise: 60,
        words: "1, 10 or 100 connections that nothing is read of",
        also: &[],
        habit: Habit::Deployed,
        happen: |world, place, strength| {
            for number in 0..strength.pick([1, 10, 100]) {
                let what = What::Blind(place.who);
                world.events.push(Event { at: place.at + number * 60_000, what });
            }
        },
    },
    Kind {
        detector: Detector::Loss,
        promise: 60,
        words: "1, 10 or 100 losses of 100 KB each",
        also: &[],
        habit: Habit::Deployed,
        happen: |world, place, strength| {
            for number in 0..strength.pick([1, 10, 100]) {
                let what = What::Lost(100_000);
                world.events.push(Event { at: place.at + number * 1000, what });
            }
        },
    },
];
