//! Alerts under a simulated clock: what is told, when, in which order, and after which crashes.

mod crashes;
mod rules;
mod telling;

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::detect::{Detector, Evidence, Finding, FindingId, Severity, State, Subject};
use crate::identity::IdentityId;
use crate::units::Timestamp;

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_mins(1);
pub(super) const HOUR: Duration = Duration::from_hours(1);

/// A line of the simulated log.
#[derive(Clone, Debug)]
pub(super) enum Logged {
    Finding(Box<Finding>),
    Alert(AlertEvent),
}

/// A daemon, its log and the receivers, with a clock that tests turn.
pub(super) struct World {
    pub(super) settings: Settings,
    pub(super) log: Vec<Logged>,
    pub(super) book: Book,
    pub(super) now: Timestamp,
    /// What receivers answer; 200 if nothing is said.
    pub(super) answers: BTreeMap<String, Answer>,
    /// What was sent, and what came of it.
    pub(super) sent: Vec<(Notification, Answer, Timestamp)>,
}

pub(super) const fn status(status: u16) -> Answer {
    Answer::Status { status, retry_after: None }
}

pub(super) fn route(webhook: &str) -> Route {
    Route {
        webhook: webhook.to_owned(),
        min_severity: Severity::Low,
        send_resolved: true,
        per_minute: 600,
        heartbeat: None,
    }
}

/// What somebody (`id` is its first letter) is found to do.
pub(super) fn finding(id: &str, state: State, severity: Severity, time: Timestamp) -> Finding {
    let who = id.chars().next().unwrap().to_string();
    Finding {
        id: FindingId(id.to_owned()),
        time,
        since: time,
        state,
        detector: Detector::Budget,
        severity,
        subject: Subject::Budget(who.clone()),
        identity: Some(IdentityId(who)),
        owner: None,
        team: None,
        summary: format!("{id} is {state:?}"),
        evidence: Evidence::default(),
        next_step: "Look.".to_owned(),
    }
}

impl World {
    pub(super) fn new(routes: Vec<Route>) -> Self {
        let settings = Settings { routes, ..Settings::default() };
        let mut world = Self {
            book: Book::new(settings.clone()),
            settings,
            log: Vec::new(),
            now: "2026-11-26T00:00:00Z".parse().unwrap(),
            answers: BTreeMap::new(),
            sent: Vec::new(),
        };
        // Webhooks join.
        world.step();
        world
    }

    pub(super) fn append(&mut self, line: Logged) {
        self.book.take(match &line {
            Logged::Finding(finding) => Line::Finding(finding),
            Logged::Alert(event) => Line::Alert(event),
        });
        self.log.push(line);
    }

    pub(super) fn find(&mut self, id: &str, state: State, severity: Severity) {
        let finding = finding(id, state, severity, self.now);
        self.append(Logged::Finding(Box::new(finding)));
    }

    pub(super) fn fires(&mut self, id: &str, severity: Severity) {
        self.find(id, State::Firing, severity);
    }

    pub(super) fn ends(&mut self, id: &str) {
        self.find(id, State::Resolved, Severity::High);
    }

    pub(super) fn say(&mut self, event: What) {
        let event = AlertEvent::new(self.now, event);
        self.append(Logged::Alert(event));
    }

    /// Everything that is to be done at this moment.
    pub(super) fn step(&mut self) {
        loop {
            let proposed = self.book.propose(self.now);
            for event in proposed.clone() {
                self.append(Logged::Alert(event));
            }
            let due = self.book.due(self.now);
            if proposed.is_empty() && due.is_empty() {
                return;
            }
            for delivery in due {
                self.attempt(&delivery);
            }
        }
    }

    pub(super) fn attempt(&mut self, delivery: &Delivery) {
        let answer = self.post(delivery);
        let event = self.book.outcome(delivery, answer, self.now);
        self.append(Logged::Alert(event));
    }

    pub(super) fn post(&mut self, delivery: &Delivery) -> Answer {
        let notification = &delivery.notification;
        let answer = self.answers.get(&notification.webhook).copied().unwrap_or(status(200));
        self.sent.push((notification.clone(), answer, self.now));
        answer
    }

    /// Lets time go by in steps of a second, or of a minute where there is much of it.
    pub(super) fn wait(&mut self, wait: Duration) {
        let pace = if wait > HOUR { MINUTE } else { SECOND };
        let until = self.now.checked_add(wait).unwrap();
        while self.now < until {
            self.now = self.now.checked_add(pace).unwrap();
            self.step();
        }
    }

    /// The daemon dies, and starts again with nothing but the log.
    pub(super) fn crash(&mut self) {
        self.book = Book::new(self.settings.clone());
        let log = std::mem::take(&mut self.log);
        log.into_iter().for_each(|line| self.append(line));
    }

    pub(super) fn silence(&mut self, matcher: &str, wait: Duration) {
        let until = self.now.checked_add(wait).unwrap();
        let matchers = vec![matcher.parse().unwrap()];
        self.say(What::Silence(Silence { matchers, until, uid: 0, comment: None }));
    }

    /// What was taken by all, in order: `reason finding+ finding-`, where `+` is a beginning.
    pub(super) fn told(&self) -> Vec<String> {
        let taken = self.sent.iter().filter(|(_, answer, _)| *answer == status(200));
        taken
            .map(|(notification, ..)| {
                let findings = notification.findings.iter().map(|finding| {
                    let sign = match finding.state {
                        State::Firing => '+',
                        State::Resolved => '-',
                    };
                    format!(" {}{sign}", finding.id)
                });
                format!("{}{}", notification.reason.as_str(), findings.collect::<String>())
            })
            .collect()
    }
}
