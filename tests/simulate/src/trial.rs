//! Shows a world to the detectors, and compares what they find with what is true.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use weir_core::detect::{Detect, Detector, Finding, Settings, Severity, State, Subject, Watches};
use weir_core::identity::Rules;

use crate::habit::Habit;
use crate::incident::{Incident, KINDS, Strength};
use crate::world::{DAY, Event, HOUR, What, World};

/// How large a trial is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Days of the world: 42 at least, so that there is a month to rest.
    pub days: i64,
    /// How many follow each habit to whom nothing happens.
    pub benign: usize,
}

/// What came of a trial.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Of each detector.
    pub by_detector: BTreeMap<Detector, Score>,
    /// Thirty days of one identity each.
    pub identity_months: f64,
    /// Lines of the log.
    pub lines: usize,
}

/// What came of a detector.
#[derive(Clone, Debug, Default)]
pub struct Score {
    /// Of each strength: how many there were, and how many were found in time and of whom they were.
    pub incidents: BTreeMap<Strength, (usize, usize)>,
    /// Seconds from the incidents' beginnings, of those that were found.
    pub delays: Vec<i64>,
    /// What is true of what it found.
    pub right: usize,
    /// What isn't, each in words.
    pub wrong: Vec<String>,
    /// What of clear strength, or more, it didn't find, in words.
    pub missed: Vec<String>,
}

/// What goes on in a world of that seed, and what is wrong there.
#[must_use]
pub fn world(seed: u64, size: Size, strength: Strength) -> (World, Vec<Incident>) {
    let mut world = World::new(seed, size.days);
    for habit in Habit::ALL {
        for number in 0..size.benign {
            let name = format!("{habit:?}-{number}").to_lowercase();
            let group = (number % 3 == 0).then_some(("benign", "production"));
            let who = world.settle(&name, group);
            if habit == Habit::Interactive {
                world.at_terminal(who);
            }
            // Every fourth comes later.
            let from = if number % 4 == 3 { size.days / 3 } else { 0 };
            habit.follow(&mut world, who, from..size.days);
        }
    }
    let incidents = KINDS.into_iter().map(|kind| kind.happen(&mut world, strength)).collect();
    // The daemon is restarted now and then, and is down for half a day once.
    for week in 1..size.days / 7 {
        let at = (week * 7 * DAY + world.rng.i64(0..5 * DAY)) * 1000;
        let down = if week == 2 { 12 * HOUR * 1000 } else { 5000 };
        world.events.retain(|event| !(at..at + down).contains(&event.at));
        world.events.push(Event { at, what: What::Stop });
        world.events.push(Event { at: at + down, what: What::Start });
    }
    world.events.sort_by_key(|event| event.at);
    (world, incidents)
}

/// Shows a world of that seed to the detectors.
#[must_use]
pub fn run(seed: u64, size: Size, strength: Strength) -> Outcome {
    let (world, incidents) = world(seed, size, strength);
    let found = found(&world);
    let mut outcome = judge(&world, &incidents, &found);
    let months = world.people.len() as f64 * size.days as f64 / 30.0;
    outcome.identity_months = months;
    outcome.lines = world.events.len();
    outcome
}

fn detect() -> Detect {
    Detect::new(vec![Box::new(Watches::of(Settings::default(), &Rules::default()))])
}

/// All that detectors find in a world.
fn found(world: &World) -> Vec<Finding> {
    let mut detect = detect();
    let mut found = Vec::new();
    let mut ticked = world.start;
    for (number, event) in world.events.iter().enumerate() {
        let time = world.time(event.at);
        if time.duration_since(ticked) >= SignedDuration::from_secs(60) {
            ticked = time;
            found.extend(detect.tick(time));
        }
        found.extend(world.show(number, event, |seen| detect.take(seen)).unwrap_or_default());
        if matches!(event.what, What::Start)
            && let Ok(memory) = detect.save()
        {
            detect = self::detect();
            detect.restore(&memory);
        }
    }
    found
}

/// Compares what was found with what is true. What is informational is right or nothing.
fn judge(world: &World, incidents: &[Incident], found: &[Finding]) -> Outcome {
    let mut outcome = Outcome::default();
    let news: Vec<_> = found.iter().filter(|finding| finding.state == State::Firing).collect();
    for incident in incidents {
        let kind = incident.kind;
        let hit = news
            .iter()
            .find(|finding| finding.detector == kind.detector && names(world, incident, finding));
        let delay = hit.map(|finding| {
            finding.time.duration_since(world.time(incident.during.start)).as_secs().max(0)
        });
        let in_time = delay.is_some_and(|delay| delay <= kind.promise);
        let score = outcome.by_detector.entry(kind.detector).or_default();
        let (all, hits) = score.incidents.entry(incident.strength).or_default();
        *all += 1;
        *hits += usize::from(in_time);
        score.delays.extend(delay.filter(|_| in_time));
        if !in_time && incident.strength >= Strength::Clear {
            score.missed.push(format!("{}: found after {delay:?} s", kind.words));
        }
    }
    for finding in news {
        let explained = incidents.iter().any(|incident| explains(world, incident, finding));
        let score = outcome.by_detector.entry(finding.detector).or_default();
        if explained {
            score.right += 1;
        } else if finding.severity > Severity::Informational {
            score.wrong.push(format!("{} {}", finding.time, finding.summary));
        }
    }
    outcome
}

/// Whether a finding in the time of an incident is about whom it should be.
fn names(world: &World, incident: &Incident, finding: &Finding) -> bool {
    let guilty = world.people.get(usize::from(incident.guilty)).map(|someone| &someone.identity);
    let about_nobody = matches!(finding.subject, Subject::Host(_) | Subject::Model(_));
    let is_guilty =
        about_nobody && finding.identity.is_none() || finding.identity.as_ref() == guilty;
    is_guilty && is_during(world, incident, finding)
}

fn explains(world: &World, incident: &Incident, finding: &Finding) -> bool {
    let kind = incident.kind;
    let by = kind.detector == finding.detector || kind.also.contains(&finding.detector);
    let about_nobody = finding.identity.is_none() && kind.detector == finding.detector;
    by && is_during(world, incident, finding)
        && (about_nobody || is_involved(world, incident, finding))
}

fn is_involved(world: &World, incident: &Incident, finding: &Finding) -> bool {
    incident.involved.iter().any(|who| {
        let someone = world.people.get(usize::from(*who));
        someone.is_some_and(|someone| finding.identity.as_ref() == Some(&someone.identity))
    })
}

fn is_during(world: &World, incident: &Incident, finding: &Finding) -> bool {
    // What a call shows is found when it ends.
    let from = world.time(incident.during.start - 5000);
    (from..=world.time(incident.during.end)).contains(&finding.time)
}

impl Outcome {
    /// Adds what came of another trial.
    pub fn add(&mut self, other: Self) {
        self.identity_months += other.identity_months;
        self.lines += other.lines;
        for (detector, other) in other.by_detector {
            let score = self.by_detector.entry(detector).or_default();
            for (strength, (all, hits)) in other.incidents {
                let sum = score.incidents.entry(strength).or_default();
                *sum = (sum.0 + all, sum.1 + hits);
            }
            score.delays.extend(other.delays);
            score.right += other.right;
            score.wrong.extend(other.wrong);
            score.missed.extend(other.missed);
        }
    }

    /// What is missed, and what is found that shouldn't be, each in words.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let scores = self.by_detector.iter();
        scores
            .flat_map(|(detector, score)| {
                let missed =
                    score.missed.iter().map(move |what| format!("{detector} missed {what}"));
                missed.chain(
                    score.wrong.iter().map(move |what| format!("{detector} wrongly: {what}")),
                )
            })
            .collect()
    }

    /// Whether it is as good as it must be: everything clear was found of whom it was and in time, and there is
    /// at most one false finding in 50 months of identities.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let missed: usize = self.by_detector.values().map(|score| score.missed.len()).sum();
        missed == 0 && self.false_findings() * 50.0 <= self.identity_months
    }

    /// How many findings are false.
    #[must_use]
    pub fn false_findings(&self) -> f64 {
        let wrong: usize = self.by_detector.values().map(|score| score.wrong.len()).sum();
        wrong as f64
    }
}
