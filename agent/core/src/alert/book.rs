//! What is remembered of findings, silences and webhooks, and what follows from it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{AlertEvent, Notification, NotificationId, Problem, Reason, Tried, What};
use super::group::GroupId;
use super::news::GroupView;
use super::outbox::{Delivery, OUTBOX_MAX, Receiver};
use super::schedule::{Answer, is_over, later};
use super::settings::{Route, Settings};
use super::silence::{SILENCES_MAX, Silence};
use crate::detect::{Finding, FindingId, Severity, State, Subject};
use crate::units::Timestamp;

/// Most findings that are remembered. Beyond, those that are over go first, then the least severe.
const FINDINGS_MAX: usize = 4096;
/// How long what is over is remembered.
const OVER_FOR: Duration = Duration::from_hours(7 * 24);

/// A line of the log that is about alerts.
#[derive(Clone, Copy, Debug)]
pub enum Line<'a> {
    /// A detector has found something.
    Finding(&'a Finding),
    /// Something was said or done of alerts.
    Alert(&'a AlertEvent),
}

/// All there is to know of alerts.
#[derive(Clone, Debug, Default)]
pub struct Book {
    pub(super) settings: Settings,
    pub(super) memory: Memory,
    /// Attempts that are under way, by webhook: one of each.
    pub(super) busy: BTreeMap<String, NotificationId>,
}

/// What follows from the lines of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memory {
    pub(super) findings: BTreeMap<FindingId, Known>,
    pub(super) silences: BTreeMap<String, Silence>,
    pub(super) receivers: BTreeMap<String, Receiver>,
    /// How many findings were forgotten while they went on, for want of room.
    pub(super) forgotten: u64,
}

/// What is remembered of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    /// What was said of it last, while it went on.
    pub(super) firing: Finding,
    /// What it belongs to, as the configuration has it.
    #[serde(skip)]
    group: GroupId,
    /// What was said when it was over.
    pub(super) resolved: Option<Finding>,
    pub(super) acked: Option<Acked>,
    /// What each webhook was told of it.
    pub(super) told: BTreeMap<String, Told>,
}

/// Who takes care of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Acked {
    pub(super) time: Timestamp,
    pub(super) uid: u32,
    pub(super) comment: Option<String>,
}

/// What a webhook was told last of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) time: Timestamp,
    pub(super) severity: Severity,
    /// It was told that it is over, or need not be.
    pub(super) resolved: bool,
    /// It was told nothing at all, because nobody was.
    #[serde(default)]
    pub(super) muted: bool,
}

impl Known {
    /// The latest that was said.
    pub(super) fn latest(&self) -> &Finding {
        self.resolved.as_ref().unwrap_or(&self.firing)
    }
}

impl Book {
    /// One that remembers nothing.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, memory: Memory::default(), busy: BTreeMap::new() }
    }

    /// What there is to remember over a restart.
    ///
    /// # Errors
    /// If that can't be written down.
    pub fn save(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&self.memory)
    }

    /// Remembers what [`Self::save`] gave.
    ///
    /// # Errors
    /// If it is nothing of its own. Then it remembers what it did before.
    pub fn restore(&mut self, saved: &[u8]) -> serde_json::Result<()> {
        self.memory = serde_json::from_slice(saved)?;
        for known in self.memory.findings.values_mut() {
            known.group = GroupId::of(&self.settings.group_by, &known.firing);
        }
        Ok(())
    }

    /// Takes the next line of the log.
    pub fn take(&mut self, line: Line<'_>) {
        match line {
            Line::Finding(finding) => self.found(finding),
            Line::Alert(event) => self.happened(event),
        }
    }

    fn found(&mut self, finding: &Finding) {
        let group = GroupId::of(&self.settings.group_by, finding);
        let Memory { findings, .. } = &mut self.memory;
        match (finding.state, findings.get_mut(&finding.id)) {
            (State::Firing, Some(known)) => {
                known.firing = finding.clone();
                known.group = group;
                // It wasn't over after all: who was told that it is, is told again.
                if known.resolved.take().is_some() {
                    known.told.retain(|_webhook, told| !told.resolved);
                    known.acked = None;
                }
            }
            (State::Firing, None) => {
                let known = Known {
                    firing: finding.clone(),
                    group,
                    resolved: None,
                    acked: None,
                    told: BTreeMap::new(),
                };
                findings.insert(finding.id.clone(), known);
                self.make_room(finding.time);
            }
            (State::Resolved, Some(known)) => {
                known.resolved = Some(finding.clone());
                self.pass_over(finding);
            }
            // Its beginning is forgotten, so nobody need be told of its end.
            (State::Resolved, None) => {}
        }
    }

    /// What was muted until it was over is nobody's news.
    fn pass_over(&mut self, finding: &Finding) {
        let criticals = self.criticals();
        let Some(known) = self.memory.findings.get(&finding.id) else { return };
        if !self.is_muted(known, &criticals, finding.time) {
            return;
        }
        let untold: Vec<_> = self.memory.receivers.keys().cloned().collect();
        let (time, severity) = (finding.time, finding.severity);
        let told = Told { time, severity, resolved: true, muted: true };
        if let Some(known) = self.memory.findings.get_mut(&finding.id) {
            for webhook in untold {
                known.told.entry(webhook).or_insert_with(|| told.clone());
            }
        }
    }

    fn make_room(&mut self, now: Timestamp) {
        let Memory { findings, forgotten, .. } = &mut self.memory;
        if findings.len() <= FINDINGS_MAX {
            return;
        }
        findings.retain(|_, known| !is_past(known, now));
        while findings.len() > FINDINGS_MAX {
            let weakest = findings.iter().min_by_key(|(_, known)| {
                (known.resolved.is_none(), known.firing.severity, known.latest().time)
            });
            let Some((id, known)) = weakest else { break };
            let (id, goes_on) = (id.clone(), known.resolved.is_none());
            findings.remove(&id);
            *forgotten += u64::from(goes_on);
        }
    }

    fn happened(&mut self, AlertEvent { id, time, event }: &AlertEvent) {
        let time = *time;
        match event {
            What::Joined { webhook } => {
                let receivers = &mut self.memory.receivers;
                receivers.entry(webhook.clone()).or_insert_with(|| Receiver::new(time));
            }
            What::Queued(notification) => self.queued(notification),
            What::Delivered(tried) => {
                self.tried(tried, time, |receiver, id| receiver.delivered(id, time));
            }
            What::Failed { tried, problem, not_before } => {
                self.tried(tried, time, |receiver, id| {
                    receiver.failed(id, *problem, *not_before, time);
                })
            }
            What::Dead { tried, problem } => {
                self.tried(tried, time, |receiver, id| receiver.died(id, *problem, time));
            }
            What::Gone(tried) => self.tried(tried, time, |receiver, _id| receiver.is_gone(time)),
            What::Dropped(Tried { webhook, notification }) => {
                if let Some(receiver) = self.memory.receivers.get_mut(webhook) {
                    receiver.dropped(notification);
                }
            }
            What::Ack { finding, uid, comment } => {
                if let Some(known) = self.memory.findings.get_mut(finding) {
                    known.acked = Some(Acked { time, uid: *uid, comment: comment.clone() });
                }
            }
            What::Silence(silence) => {
                self.memory.silences.retain(|_, silence| time < silence.until);
                if self.memory.silences.len() < SILENCES_MAX {
                    self.memory.silences.insert(id.clone(), silence.clone());
                }
            }
            What::Unsilence { silence, uid: _ } => drop(self.memory.silences.remove(silence)),
            What::Replay { notification, uid: _ } => {
                for receiver in self.memory.receivers.values_mut() {
                    receiver.replay(notification.as_ref(), time);
                }
            }
        }
    }

    fn queued(&mut self, notification: &Notification) {
        let Notification { webhook, time, .. } = notification;
        for finding in &notification.findings {
            if let Some(known) = self.memory.findings.get_mut(&finding.id) {
                let resolved = finding.state == State::Resolved;
                let severity = finding.severity;
                let told = Told { time: *time, severity, resolved, muted: false };
                known.told.insert(webhook.clone(), told);
            }
        }
        let receivers = &mut self.memory.receivers;
        let receiver = receivers.entry(webhook.clone()).or_insert_with(|| Receiver::new(*time));
        receiver.queue(notification.clone());
    }

    /// An attempt is over.
    fn tried(
        &mut self,
        Tried { webhook, notification }: &Tried,
        time: Timestamp,
        then: impl FnOnce(&mut Receiver, &NotificationId),
    ) {
        if self.busy.get(webhook) == Some(notification) {
            self.busy.remove(webhook);
        }
        let Some(receiver) = self.memory.receivers.get_mut(webhook) else { return };
        if let Some(route) = self.settings.routes.iter().find(|route| route.webhook == *webhook) {
            receiver.pay(route, time);
        }
        then(receiver, notification);
    }

    /// Attempts that are to be made now, one for each webhook at most. They count as under way until a line
    /// of the log says what came of them.
    pub fn due(&mut self, now: Timestamp) -> Vec<Delivery> {
        let Self { settings, memory, busy } = self;
        let mut due = Vec::new();
        for route in &settings.routes {
            if busy.contains_key(&route.webhook) {
                continue;
            }
            let receiver = memory.receivers.get(&route.webhook);
            if let Some(delivery) = receiver.and_then(|receiver| receiver.due(route, now)) {
                busy.insert(route.webhook.clone(), delivery.notification.id.clone());
                due.push(delivery);
            }
        }
        due
    }

    /// What is to be logged of an attempt that is over.
    #[must_use]
    pub fn outcome(&self, delivery: &Delivery, answer: Answer, now: Timestamp) -> AlertEvent {
        let webhook = &delivery.notification.webhook;
        let unknown = Receiver::new(now);
        let receiver = self.memory.receivers.get(webhook).unwrap_or(&unknown);
        AlertEvent::new(now, receiver.outcome(delivery, answer, now))
    }

    /// What is to be done now, as lines for the log. It is proposed again and again until it is there, so
    /// whoever asks waits for that.
    #[must_use]
    pub fn propose(&mut self, now: Timestamp) -> Vec<AlertEvent> {
        self.memory.findings.retain(|_, known| !is_past(known, now));
        self.memory.silences.retain(|_, silence| now < silence.until);
        self.forget_groups();
        let criticals = self.criticals();
        let mut groups: BTreeMap<&GroupId, Vec<&Known>> = BTreeMap::new();
        for known in self.memory.findings.values() {
            groups.entry(&known.group).or_default().push(known);
        }
        let mut events = self.leavings();
        for route in &self.settings.routes {
            let Some(receiver) = self.memory.receivers.get(&route.webhook) else {
                events.push(What::Joined { webhook: route.webhook.clone() });
                continue;
            };
            let busy: HashSet<_> = receiver.groups_on_their_way().collect();
            events.extend(self.heartbeat(route, receiver, &busy, now));
            let mut room = OUTBOX_MAX.saturating_sub(receiver.outbox.len());
            let muted = |known: &Known| self.is_muted(known, &criticals, now);
            for (group, members) in groups.iter().filter(|(group, _)| !busy.contains(**group)) {
                let view = GroupView { settings: &self.settings, route, receiver, group, members };
                let Some(notification) = view.notification(&muted, now) else { continue };
                if room == 0 {
                    // One at a time gives way: the next look finds the next.
                    let weakest = receiver.weakest(self.busy.get(&route.webhook));
                    let Some((severity, tried)) = weakest else { continue };
                    if severity >= notification.severity() {
                        continue;
                    }
                    events.push(What::Dropped(tried));
                    events.push(What::Queued(Box::new(notification)));
                    break;
                }
                room -= 1;
                events.push(What::Queued(Box::new(notification)));
            }
        }
        events.into_iter().map(|event| AlertEvent::new(now, event)).collect()
    }

    /// Those that wait for a webhook that isn't configured any more, and so won't be told.
    fn leavings(&self) -> Vec<What> {
        let known: HashSet<_> = self.settings.routes.iter().map(|route| &route.webhook).collect();
        let left = self.memory.receivers.iter().filter(|(webhook, _)| !known.contains(webhook));
        let left = left.flat_map(|(webhook, receiver)| {
            receiver.outbox.values().map(|waiting| Tried {
                webhook: webhook.clone(),
                notification: waiting.notification.id.clone(),
            })
        });
        left.map(|tried| What::Dead { tried, problem: Problem::Removed }).collect()
    }

    fn heartbeat(
        &self,
        route: &Route,
        receiver: &Receiver,
        busy: &HashSet<&GroupId>,
        now: Timestamp,
    ) -> Option<What> {
        let interval = route.heartbeat?;
        let group = GroupId(Reason::Heartbeat.as_str().to_owned());
        let is_time = receiver.heartbeat.is_none_or(|last| is_over(last, interval, now));
        if !is_time || receiver.gone.is_some() || busy.contains(&group) {
            return None;
        }
        let webhook = &route.webhook;
        let beat = Notification::without_findings(webhook, Reason::Heartbeat, now, "");
        Some(What::Queued(Box::new(beat)))
    }

    /// Groups of which no finding is known any more begin anew.
    fn forget_groups(&mut self) {
        let known = self.memory.findings.values();
        let known: HashSet<_> = known.map(|known| &known.group).collect();
        for receiver in self.memory.receivers.values_mut() {
            receiver.groups.retain(|group, _| known.contains(group));
        }
    }

    /// What critical findings are about: they stand for whatever else is wrong with that.
    pub(super) fn criticals(&self) -> HashMap<Subject, FindingId> {
        let known = self.memory.findings.iter();
        known
            .filter(|(_, known)| {
                known.resolved.is_none() && known.firing.severity == Severity::Critical
            })
            .map(|(id, known)| (known.firing.subject.clone(), id.clone()))
            .collect()
    }

    /// Whether nobody is told of a finding: it is silenced, or a critical one of the same subject goes on.
    pub(super) fn is_muted(
        &self,
        known: &Known,
        criticals: &HashMap<Subject, FindingId>,
        now: Timestamp,
    ) -> bool {
        self.silence(known, now).is_some() || inhibitor(known, criticals).is_some()
    }

    /// The silence that a finding comes under.
    pub(super) fn silence(&self, known: &Known, now: Timestamp) -> Option<&String> {
        let mut silences = self.memory.silences.iter();
        silences.find(|(_, silence)| silence.mutes(&known.firing, now)).map(|(id, _)| id)
    }
}

/// The critical finding that stands for a lesser one.
pub(super) fn inhibitor<'a>(
    known: &Known,
    criticals: &'a HashMap<Subject, FindingId>,
) -> Option<&'a FindingId> {
    let critical = criticals.get(&known.firing.subject)?;
    (known.firing.severity < Severity::Critical).then_some(critical)
}

/// Whether it is over for so long that it is forgotten.
fn is_past(known: &Known, now: Timestamp) -> bool {
    known.resolved.as_ref().is_some_and(|over| now >= later(over.time, OVER_FOR))
}
