//! What one webhook is still to be told, and how telling it goes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{Notification, NotificationId, Problem, Reason, Tried, What};
use super::group::GroupId;
use super::schedule::{ATTEMPTS_MAX, Answer, WAIT_MAX, delay, is_over, later};
use super::settings::Route;
use crate::detect::Severity;
use crate::units::Timestamp;

/// Most notifications on their way to one webhook. Beyond, the least severe give way.
pub const OUTBOX_MAX: usize = 1000;
/// Most dead notifications of one webhook that are kept; the oldest go first.
pub const DEAD_MAX: usize = 256;
/// Most attempts at once, after a time with fewer than a webhook takes.
const BURST: u32 = 10;
/// Who has failed so long ago is tried at once when the receiver is back.
const AGAIN_AFTER: Duration = Duration::from_mins(5);

/// An attempt that is to be made now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// What to tell.
    pub notification: Notification,
    /// How often that was tried at its time and has failed.
    pub attempt: u32,
}

/// What is remembered of a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Receiver {
    /// What was over by then is none of its business.
    pub(super) since: Timestamp,
    /// What it was last told of each group.
    pub(super) groups: BTreeMap<GroupId, GroupTold>,
    /// What it is still to be told, in order.
    pub(super) outbox: BTreeMap<u64, Waiting>,
    next: u64,
    /// What it could not be told, the oldest first.
    pub(super) dead: VecDeque<Letter>,
    /// How many of those were forgotten.
    pub(super) dead_forgotten: u64,
    /// How many have given way to worse ones.
    pub(super) dropped: u64,
    /// How many it has taken.
    pub(super) delivered: u64,
    pub(super) last_success: Option<Timestamp>,
    /// Since when every attempt has failed.
    pub(super) failing_since: Option<Timestamp>,
    pub(super) problem: Option<Problem>,
    /// It wants nothing any more, since then.
    pub(super) gone: Option<Timestamp>,
    /// It wants to be left alone until then.
    held: Option<Timestamp>,
    /// When the attempts made so far would have been over at the rate that is allowed.
    paid_until: Timestamp,
    pub(super) heartbeat: Option<Timestamp>,
    /// The last test, and what came of it.
    pub(super) test: Option<(NotificationId, Option<Problem>)>,
}

/// What was last told of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GroupTold {
    /// When it was decided, or taken.
    pub(super) last: Timestamp,
    /// There was no room for all of it.
    pub(super) more: bool,
}

/// A notification on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub(super) notification: Notification,
    /// How many attempts at their time have failed: less than [`ATTEMPTS_MAX`].
    pub(super) attempt: u32,
    /// When it is tried.
    pub(super) due: Timestamp,
    tried: Option<Timestamp>,
    pub(super) problem: Option<Problem>,
    /// When it would have been tried, if it is tried before, because the receiver is back.
    parked: Option<Timestamp>,
}

/// A notification that isn't tried any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Letter {
    pub(super) notification: Notification,
    pub(super) time: Timestamp,
    pub(super) problem: Problem,
}

impl Receiver {
    pub(super) const fn new(since: Timestamp) -> Self {
        Self {
            since,
            groups: BTreeMap::new(),
            outbox: BTreeMap::new(),
            next: 0,
            dead: VecDeque::new(),
            dead_forgotten: 0,
            dropped: 0,
            delivered: 0,
            last_success: None,
            failing_since: None,
            problem: None,
            gone: None,
            held: None,
            paid_until: since,
            heartbeat: None,
            test: None,
        }
    }

    /// Has something told, after what is told of the same group already.
    pub(super) fn queue(&mut self, notification: Notification) {
        let due = notification.time;
        match notification.reason {
            Reason::News | Reason::Repeat => {
                let told = GroupTold { last: due, more: notification.more > 0 };
                self.groups.insert(notification.group.clone(), told);
            }
            Reason::Heartbeat => self.heartbeat = Some(due),
            Reason::Test => {}
        }
        self.put(notification, due);
    }

    fn put(&mut self, notification: Notification, due: Timestamp) {
        let waiting =
            Waiting { notification, attempt: 0, due, tried: None, problem: None, parked: None };
        self.outbox.insert(self.next, waiting);
        self.next += 1;
    }

    fn take_out(&mut self, id: &NotificationId) -> Option<Waiting> {
        let place = self.outbox.iter().find(|(_, waiting)| waiting.notification.id == *id)?.0;
        let place = *place;
        self.outbox.remove(&place)
    }

    /// It has taken something. Whatever waits because it was down is tried now.
    pub(super) fn delivered(&mut self, id: &NotificationId, time: Timestamp) {
        let Some(taken) = self.take_out(id) else { return };
        self.delivered += 1;
        self.last_success = Some(time);
        self.failing_since = None;
        self.problem = None;
        self.gone = None;
        if taken.notification.reason == Reason::Test {
            self.test = Some((id.clone(), None));
        }
        if let Some(told) = self.groups.get_mut(&taken.notification.group) {
            told.last = time;
        }
        for waiting in self.outbox.values_mut() {
            let is_old = waiting.tried.is_some_and(|tried| is_over(tried, AGAIN_AFTER, time));
            if is_old && waiting.problem.is_some_and(Problem::is_outage) {
                waiting.hurry(time);
            }
        }
    }

    /// An attempt has failed, and there will be another.
    pub(super) fn failed(
        &mut self,
        id: &NotificationId,
        problem: Problem,
        not_before: Option<Timestamp>,
        time: Timestamp,
    ) {
        self.went_wrong(problem, time);
        self.held = not_before.or(self.held);
        let mut all = self.outbox.values_mut();
        let Some(waiting) = all.find(|waiting| waiting.notification.id == *id) else { return };
        waiting.tried = Some(time);
        waiting.problem = Some(problem);
        waiting.due = match waiting.parked.take() {
            Some(due) => due,
            None => {
                waiting.attempt = (waiting.attempt + 1).min(ATTEMPTS_MAX - 1);
                let wait = delay(id, waiting.attempt).unwrap_or(WAIT_MAX);
                later(time, wait).max(not_before.unwrap_or(time))
            }
        };
    }

    /// An attempt has failed, and there won't be another.
    pub(super) fn died(&mut self, id: &NotificationId, problem: Problem, time: Timestamp) {
        let Some(waiting) = self.take_out(id) else { return };
        self.went_wrong(problem, time);
        match waiting.notification.reason {
            Reason::News | Reason::Repeat => {
                let letter = Letter { notification: waiting.notification, time, problem };
                self.dead.push_back(letter);
                if self.dead.len() > DEAD_MAX {
                    self.dead.pop_front();
                    self.dead_forgotten += 1;
                }
            }
            Reason::Test => self.test = Some((id.clone(), Some(problem))),
            Reason::Heartbeat => {}
        }
    }

    /// It wants nothing any more. What waits goes on to wait.
    pub(super) fn is_gone(&mut self, time: Timestamp) {
        self.went_wrong(Problem::Status(410), time);
        self.gone = Some(time);
    }

    /// A notification has given way.
    pub(super) fn dropped(&mut self, id: &NotificationId) {
        if self.take_out(id).is_some() {
            self.dropped += 1;
        }
    }

    /// Dead notifications, or one of them, are to be told after all. What waits is tried at once, too, for
    /// whoever asks believes that the receiver is back.
    pub(super) fn replay(&mut self, wanted: Option<&NotificationId>, time: Timestamp) {
        let is_meant =
            |letter: &Letter| wanted.is_none_or(|wanted| letter.notification.id == *wanted);
        if wanted.is_none() || self.dead.iter().any(is_meant) {
            self.outbox.values_mut().for_each(|waiting| waiting.hurry(time));
        }
        for letter in std::mem::take(&mut self.dead) {
            if is_meant(&letter) {
                self.put(letter.notification, time);
            } else {
                self.dead.push_back(letter);
            }
        }
    }

    fn went_wrong(&mut self, problem: Problem, time: Timestamp) {
        self.failing_since.get_or_insert(time);
        self.problem = Some(problem);
    }

    /// An attempt was made, which counts for the rate.
    pub(super) fn pay(&mut self, route: &Route, time: Timestamp) {
        self.paid_until = later(self.paid_until.max(time), pause(route));
    }

    /// What is to be tried now: of the worst the oldest, of each group the first.
    pub(super) fn due(&self, route: &Route, now: Timestamp) -> Option<Delivery> {
        let ahead = pause(route) * (BURST.min(route.per_minute) - 1).min(BURST);
        let slack = later(now, ahead);
        let is_paid = self.paid_until <= slack || self.paid_until > later(slack, ahead * 2);
        // A time that is too far away is one from before the clock was set back.
        let is_held = self.held.is_some_and(|held| held > now && held <= later(now, WAIT_MAX));
        if !is_paid {
            return None;
        }
        let mut groups = BTreeSet::new();
        let first = self.outbox.values().filter(|waiting| {
            let is_first = groups.insert(&waiting.notification.group);
            let is_due = waiting.due <= now || waiting.due > later(now, WAIT_MAX);
            let may = match waiting.notification.reason {
                Reason::Test => true,
                Reason::News | Reason::Repeat | Reason::Heartbeat => {
                    self.gone.is_none() && !is_held
                }
            };
            is_first && is_due && may
        });
        // Of equals `max_by_key` takes the last.
        let oldest_first: Vec<_> = first.collect();
        let worst = oldest_first.into_iter().rev().max_by_key(|waiting| rank(waiting))?;
        Some(Delivery { notification: worst.notification.clone(), attempt: worst.attempt })
    }

    /// When something may be due next, as far as that is known; `None` if nothing waits.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.outbox.values().map(|waiting| waiting.due).min()
    }

    /// What an answer means for the notification that was tried.
    pub(super) fn outcome(&self, delivery: &Delivery, answer: Answer, now: Timestamp) -> What {
        let Notification { id, webhook, reason, .. } = &delivery.notification;
        let tried = Tried { webhook: webhook.clone(), notification: id.clone() };
        let (problem, not_before) = match answer {
            Answer::Taken | Answer::Status { status: 200..=299, .. } => {
                return What::Delivered(tried);
            }
            Answer::Status { status, retry_after } => {
                let not_before = retry_after
                    .filter(|_| matches!(status, 429 | 502 | 503 | 504))
                    .map(|wait| later(now, wait));
                (Problem::Status(status), not_before)
            }
            Answer::None(problem) => (problem, None),
        };
        let waiting = self.outbox.values().find(|waiting| waiting.notification.id == *id);
        let is_extra = waiting.is_some_and(|waiting| waiting.parked.is_some());
        let is_last = !is_extra && delivery.attempt + 1 >= ATTEMPTS_MAX;
        match (reason, problem) {
            (Reason::News | Reason::Repeat | Reason::Heartbeat, Problem::Status(410)) => {
                What::Gone(tried)
            }
            (Reason::News | Reason::Repeat, problem) if !is_last => {
                What::Failed { tried, problem, not_before }
            }
            (Reason::News | Reason::Repeat | Reason::Test | Reason::Heartbeat, problem) => {
                What::Dead { tried, problem }
            }
        }
    }

    /// The groups that it is still to be told something of.
    pub(super) fn groups_on_their_way(&self) -> impl Iterator<Item = &GroupId> {
        self.outbox.values().map(|waiting| &waiting.notification.group)
    }

    /// The notification that would give way to a worse one: of the least severe the oldest.
    pub(super) fn weakest(&self, except: Option<&NotificationId>) -> Option<(Severity, Tried)> {
        let others =
            self.outbox.values().filter(|waiting| except != Some(&waiting.notification.id));
        let weakest = others.min_by_key(|waiting| rank(waiting))?;
        let Notification { id, webhook, .. } = &weakest.notification;
        let tried = Tried { webhook: webhook.clone(), notification: id.clone() };
        Some((weakest.notification.severity(), tried))
    }
}

impl Waiting {
    /// Has it tried now, which doesn't count as one of its attempts.
    fn hurry(&mut self, now: Timestamp) {
        if self.due > now {
            self.parked.get_or_insert(self.due);
            self.due = now;
        }
    }
}

/// What goes first. A test is waited for, and a heartbeat is worth nothing later.
fn rank(waiting: &Waiting) -> (bool, Severity) {
    match waiting.notification.reason {
        Reason::Test | Reason::Heartbeat => (true, Severity::Informational),
        Reason::News | Reason::Repeat => (false, waiting.notification.severity()),
    }
}

/// The time between two attempts at the rate that is allowed.
fn pause(route: &Route) -> Duration {
    Duration::from_mins(1) / route.per_minute.max(1)
}
