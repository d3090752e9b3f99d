//! What people see of alerts.

use serde::{Deserialize, Serialize};

use super::book::{Acked, Book, Known, Told, inhibitor};
use super::event::{NotificationId, Problem};
use super::outbox::Receiver;
use super::silence::Silence;
use crate::detect::{Finding, FindingId, Severity};
use crate::units::Timestamp;

/// Everything at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertsReport {
    /// The worst first, and of those the latest.
    pub alerts: Vec<AlertView>,
    /// Those that hold.
    pub silences: Vec<SilenceView>,
    /// Those of the configuration, in its order.
    pub webhooks: Vec<WebhookView>,
    /// How many findings were forgotten while they went on, for want of room.
    pub forgotten: u64,
}

/// A finding, and who knows of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertView {
    /// What was said of it last.
    pub finding: Finding,
    /// Whether anybody is told of it.
    pub phase: Phase,
    /// The silence that it comes under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silenced_by: Option<String>,
    /// The critical finding of the same subject that stands for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inhibited_by: Option<FindingId>,
    /// The user who takes care of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acked_by: Option<u32>,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acked: Option<Timestamp>,
    /// What that user said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Who was told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<ToldView>,
}

/// Whether anybody is told of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It goes on.
    Firing,
    /// And somebody takes care of it.
    Acknowledged,
    /// And is silenced.
    Silenced,
    /// And a critical one stands for it.
    Inhibited,
    /// It is over.
    Resolved,
}

/// What a webhook was told of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldView {
    /// Which webhook.
    pub webhook: String,
    /// When that was decided.
    pub time: Timestamp,
    /// How bad it was then.
    pub severity: Severity,
    /// It was told that it is over.
    pub resolved: bool,
    /// Whether it has arrived.
    pub sent: Sent,
}

/// How far a notification has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sent {
    /// It is on its way.
    Waiting,
    /// The webhook has taken it, or it gave way to worse ones.
    Done,
    /// It isn't tried any more.
    Dead,
}

/// A silence and its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilenceView {
    /// Its name.
    pub id: String,
    /// What it is.
    #[serde(flatten)]
    pub silence: Silence,
}

/// How it goes with a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookView {
    /// Its name.
    pub webhook: String,
    /// How many notifications are on their way.
    pub waiting: u64,
    /// When the next of them is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<Timestamp>,
    /// How many it has taken.
    pub delivered: u64,
    /// How many gave way to worse ones.
    pub dropped: u64,
    /// What isn't tried any more, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dead: Vec<DeadView>,
    /// How many more there were, which are forgotten.
    pub dead_forgotten: u64,
    /// When it last took something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success: Option<Timestamp>,
    /// Since when every attempt has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// Why the last has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// Since when it wants nothing any more (410).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<Timestamp>,
    /// The last test that came to an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<TestView>,
}

/// What came of a test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestView {
    /// Which one.
    pub notification: NotificationId,
    /// What went wrong, if anything has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// A notification that isn't tried any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadView {
    /// Which one.
    pub notification: NotificationId,
    /// When it was given up.
    pub time: Timestamp,
    /// Why.
    pub problem: Problem,
    /// What it says.
    pub findings: Vec<FindingId>,
}

impl Book {
    /// Everything; findings that are over only if `all` are wanted.
    #[must_use]
    pub fn report(&self, all: bool, now: Timestamp) -> AlertsReport {
        let known = self.memory.findings.values();
        let wanted = known.filter(|known| all || known.resolved.is_none());
        let mut alerts: Vec<_> = wanted.map(|known| self.view(known, now)).collect();
        alerts.sort_by_key(|alert| {
            let Finding { severity, since, .. } = &alert.finding;
            std::cmp::Reverse((alert.phase != Phase::Resolved, *severity, *since))
        });
        let silences = self.memory.silences.iter().filter(|(_, silence)| now < silence.until);
        AlertsReport {
            alerts,
            silences: silences
                .map(|(id, silence)| SilenceView { id: id.clone(), silence: silence.clone() })
                .collect(),
            webhooks: self.webhooks(now),
            forgotten: self.memory.forgotten,
        }
    }

    /// The finding of this name, or the only one whose name begins so.
    #[must_use]
    pub fn alert(&self, id: &str, now: Timestamp) -> Option<AlertView> {
        let mut found = self
            .memory
            .findings
            .iter()
            .filter(|(known, _)| !id.is_empty() && known.0.starts_with(id));
        let (_, known) = found.next()?;
        found.next().is_none().then(|| self.view(known, now))
    }

    /// How it goes with the webhooks of the configuration, in its order.
    #[must_use]
    pub fn webhooks(&self, now: Timestamp) -> Vec<WebhookView> {
        let unknown = Receiver::new(now);
        let routes = self.settings.routes.iter();
        routes
            .map(|route| {
                let receiver = self.memory.receivers.get(&route.webhook).unwrap_or(&unknown);
                webhook(&route.webhook, receiver)
            })
            .collect()
    }

    /// The silence of this name, or the only one whose name begins so.
    #[must_use]
    pub fn silence_named(&self, id: &str) -> Option<String> {
        let mut found = self.memory.silences.keys().filter(|known| known.starts_with(id));
        let first = found.next()?;
        (!id.is_empty() && found.next().is_none()).then(|| first.clone())
    }

    /// How many silences there are.
    #[must_use]
    pub fn silence_count(&self) -> usize {
        self.memory.silences.len()
    }

    fn view(&self, known: &Known, now: Timestamp) -> AlertView {
        let criticals = self.criticals();
        let silenced_by = self.silence(known, now).cloned();
        let inhibited_by = inhibitor(known, &criticals).cloned();
        let phase = match (&known.resolved, &silenced_by, &inhibited_by, &known.acked) {
            (Some(_), ..) => Phase::Resolved,
            (None, Some(_), ..) => Phase::Silenced,
            (None, None, Some(_), _) => Phase::Inhibited,
            (None, None, None, Some(_)) => Phase::Acknowledged,
            (None, None, None, None) => Phase::Firing,
        };
        let (acked, acked_by, comment) = match &known.acked {
            Some(Acked { time, uid, comment }) => (Some(*time), Some(*uid), comment.clone()),
            None => (None, None, None),
        };
        let told = known.told.iter().filter(|(_, told)| !told.muted);
        let told = told.map(|(webhook, told)| self.told(known, webhook, told));
        AlertView {
            finding: known.latest().clone(),
            phase,
            silenced_by,
            inhibited_by,
            acked_by,
            acked,
            comment,
            told: told.collect(),
        }
    }

    fn told(&self, known: &Known, webhook: &str, told: &Told) -> ToldView {
        let names =
            |findings: &[Finding]| findings.iter().any(|finding| finding.id == known.firing.id);
        let sent = match self.memory.receivers.get(webhook) {
            Some(receiver) if receiver.outbox.values().any(|w| names(&w.notification.findings)) => {
                Sent::Waiting
            }
            Some(receiver) if receiver.dead.iter().any(|l| names(&l.notification.findings)) => {
                Sent::Dead
            }
            Some(_) | None => Sent::Done,
        };
        let Told { time, severity, resolved, muted: _ } = told;
        let webhook = webhook.to_owned();
        ToldView { webhook, time: *time, severity: *severity, resolved: *resolved, sent }
    }
}

fn webhook(name: &str, receiver: &Receiver) -> WebhookView {
    let dead = receiver.dead.iter().map(|letter| DeadView {
        notification: letter.notification.id.clone(),
        time: letter.time,
        problem: letter.problem,
        findings: letter.notification.findings.iter().map(|finding| finding.id.clone()).collect(),
    });
    WebhookView {
        webhook: name.to_owned(),
        waiting: receiver.outbox.len() as u64,
        next_attempt: receiver.next_due(),
        delivered: receiver.delivered,
        dropped: receiver.dropped,
        dead: dead.collect(),
        dead_forgotten: receiver.dead_forgotten,
        last_success: receiver.last_success,
        failing_since: receiver.failing_since,
        problem: receiver.problem,
        gone: receiver.gone,
        test: receiver
            .test
            .clone()
            .map(|(notification, problem)| TestView { notification, problem }),
    }
}
