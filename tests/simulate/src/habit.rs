//! What benign workloads do: nothing of it should be found.

use crate::world::{Call, DAY, HOUR, World};

/// What somebody does, week for week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// A person at a terminal, on working days; now and then on a Saturday or in the evening.
    Interactive,
    /// A job of a few calls each hour.
    Cron,
    /// Hundreds of calls each night, and twice as many on Sundays.
    Batch,
    /// Answers questions with large prompts around the clock, more by day, less on weekends, a little more
    /// each week.
    Retrieval,
    /// A small service that is deployed a few times a week: then its caches are filled again.
    Deployed,
    /// An agent whose conversations grow, call by call, several an hour on working days.
    Agent,
}

impl Habit {
    /// Every habit.
    pub const ALL: [Self; 6] =
        [Self::Interactive, Self::Cron, Self::Batch, Self::Retrieval, Self::Deployed, Self::Agent];

    /// Has somebody follow it from one day to another.
    pub fn follow(self, world: &mut World, who: u16, days: std::ops::Range<i64>) {
        // Somebody's key is rotated half way through, now and then.
        let rotated = world.rng.bool().then(|| (days.start + days.end) / 2);
        for day in days {
            let key = match rotated {
                Some(rotated) if day >= rotated => 100_000 + u32::from(who),
                Some(_) | None => 0,
            };
            match self {
                Self::Interactive => interactive(world, who, day, key),
                Self::Cron => cron(world, who, day, key),
                Self::Batch => batch(world, who, day, key),
                Self::Retrieval => retrieval(world, who, day, key),
                Self::Deployed => deployed(world, who, day, key),
                Self::Agent => agent(world, who, day, key),
            }
        }
    }
}

/// Calls with a body of their own, at that second of the day. One in a hundred fails first and is tried again.
fn call(
    world: &mut World,
    who: u16,
    day: i64,
    second: i64,
    (input, output): (f64, f64),
    like: Call,
) {
    let took = world.about(4000.0) as u32;
    let (input, output) = (world.about(input) as u32, world.about(output) as u32);
    let body = world.rng.u32(1..);
    let at = (day * DAY + second) * 1000 + world.rng.i64(0..1000);
    let call = Call { took, input, output, body, ..like };
    if world.rng.u32(0..100) == 0 {
        let status = [429, 500, 503][world.rng.usize(0..3)];
        world.call(at - 2000, who, Call { took: 300, status, input: 0, output: 0, ..call });
        world.call(at, who, Call { retry: 1, ..call });
    } else {
        world.call(at, who, call);
    }
}

fn is_weekend(day: i64) -> bool {
    day.rem_euclid(7) >= 5
}

fn interactive(world: &mut World, who: u16, day: i64, key: u32) {
    let chance = world.rng.u32(0..100);
    let (begin, end) = match is_weekend(day) {
        true if chance < 15 => (11, 14),
        true => return,
        false if chance < 5 => return,
        false if chance < 20 => (9, 20),
        false => (9, 17),
    };
    for hour in begin..end {
        for _ in 0..world.rng.i64(0..4) {
            let begins = hour * HOUR + world.rng.i64(0..3000);
            let pid = world.rng.u32(1..20_000);
            for step in 0..world.rng.i64(1..8) {
                let like = Call { key, pid, ..Call::default() };
                call(world, who, day, begins + step * 40, (6000.0, 400.0), like);
            }
        }
    }
}

fn cron(world: &mut World, who: u16, day: i64, key: u32) {
    for hour in 0..24 {
        for number in 0..3 {
            let like = Call { key, pid: u32::from(who), ..Call::default() };
            call(world, who, day, hour * HOUR + 300 + number * 10, (3000.0, 300.0), like);
        }
    }
}

fn batch(world: &mut World, who: u16, day: i64, key: u32) {
    let calls = if day.rem_euclid(7) == 6 { 300 } else { 150 };
    let delay = world.rng.i64(0..600);
    for number in 0..calls {
        let like = Call { key, pid: 1 + u32::try_from(number % 4).unwrap_or(0), ..Call::default() };
        call(world, who, day, 2 * HOUR + delay + number * 8, (4000.0, 800.0), like);
    }
}

fn retrieval(world: &mut World, who: u16, day: i64, key: u32) {
    let growth = 1.02f64.powi(i32::try_from(day / 7).unwrap_or(0));
    for hour in 0..24 {
        let by_day = if (7..19).contains(&hour) { 1.0 } else { 0.3 };
        let by_week = if is_weekend(day) { 0.5 } else { 1.0 };
        let calls = world.about(12.0 * by_day * by_week * growth) as i64;
        for _ in 0..calls {
            let second = hour * HOUR + world.rng.i64(0..HOUR);
            let like = Call { key, pid: 1, ..Call::default() };
            call(world, who, day, second, (8000.0, 500.0), like);
        }
    }
}

fn deployed(world: &mut World, who: u16, day: i64, key: u32) {
    for hour in 0..24 {
        for _ in 0..world.rng.i64(1..4) {
            let second = hour * HOUR + world.rng.i64(0..HOUR);
            call(world, who, day, second, (2000.0, 200.0), Call { key, pid: 1, ..Call::default() });
        }
    }
    if !is_weekend(day) && world.rng.u32(0..5) < 2 {
        let begins = world.rng.i64(9..16) * HOUR;
        for number in 0..world.rng.i64(60..120) {
            let like = Call { key, pid: 2, ..Call::default() };
            call(world, who, day, begins + number * 7, (3000.0, 50.0), like);
        }
    }
}

fn agent(world: &mut World, who: u16, day: i64, key: u32) {
    if is_weekend(day) {
        return;
    }
    for hour in 8..18 {
        for _ in 0..world.rng.i64(0..3) {
            let begins = hour * HOUR + world.rng.i64(0..1800);
            let pid = world.rng.u32(1..20_000);
            let steps = world.rng.i64(4..30);
            for step in 0..steps {
                let said = world.rng.u32(1..);
                let like = Call { key, pid, step: said, through: 1, ..Call::default() };
                let input = 3000.0 + 600.0 * step as f64;
                call(world, who, day, begins + step * 20, (input, 300.0), like);
            }
        }
    }
}
