//! What a webhook is to be told of a group, by what it was told before.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::book::Known;
use super::event::{Notification, NotificationId, Reason, digest, fitting};
use super::group::{GroupId, labels};
use super::outbox::Receiver;
use super::schedule::is_over;
use super::settings::{Route, Settings};
use crate::detect::{Finding, State};
use crate::units::Timestamp;

/// A group as one webhook sees it.
pub(super) struct GroupView<'a> {
    pub(super) settings: &'a Settings,
    pub(super) route: &'a Route,
    pub(super) receiver: &'a Receiver,
    pub(super) group: &'a GroupId,
    pub(super) members: &'a [&'a Known],
}

impl GroupView<'_> {
    /// What the webhook is to be told of it now.
    pub(super) fn notification(
        &self,
        muted: &dyn Fn(&Known) -> bool,
        now: Timestamp,
    ) -> Option<Notification> {
        let told = self.receiver.groups.get(self.group);
        let mut news: Vec<&Finding> = self.news(muted).collect();
        let first = news.iter().map(|finding| finding.time).min();
        let (reason, findings) = match first {
            Some(first) => {
                let Settings { group_wait, group_interval, .. } = self.settings;
                let waited = is_over(first, *group_wait, now);
                let rested =
                    told.is_none_or(|told| told.more || is_over(told.last, *group_interval, now));
                if !(waited && rested) {
                    return None;
                }
                news.sort_by_key(|finding| Reverse(finding.severity));
                (Reason::News, news)
            }
            None => {
                let last = told?.last;
                let open = self.open(muted);
                let is_time = is_over(last, self.settings.repeat_interval, now);
                if open.is_empty() || !is_time {
                    return None;
                }
                (Reason::Repeat, open)
            }
        };
        let count = findings.len();
        let findings = fitting(findings);
        let more = match reason {
            Reason::News => (count - findings.len()) as u64,
            Reason::Repeat | Reason::Test | Reason::Heartbeat => 0,
        };
        Some(self.made(reason, findings, more, now))
    }

    /// What it was not told yet.
    fn news(&self, muted: &dyn Fn(&Known) -> bool) -> impl Iterator<Item = &Finding> {
        self.members.iter().filter_map(move |known| {
            let Route { webhook, min_severity, send_resolved, .. } = self.route;
            let Some(told) = known.told.get(webhook) else {
                let over_before =
                    known.resolved.as_ref().is_some_and(|over| over.time < self.receiver.since);
                let wanted = known.firing.severity >= *min_severity && !over_before;
                return (wanted && !muted(known)).then_some(&known.firing);
            };
            match &known.resolved {
                Some(over) => (*send_resolved && !told.resolved).then_some(over),
                None => {
                    let is_worse = known.firing.severity > told.severity;
                    (is_worse && !muted(known)).then_some(&known.firing)
                }
            }
        })
    }

    /// What it was told of, goes on, and nobody takes care of; the worst first.
    fn open(&self, muted: &dyn Fn(&Known) -> bool) -> Vec<&Finding> {
        let open = self.members.iter().filter(|known| {
            known.resolved.is_none()
                && known.acked.is_none()
                && known.told.contains_key(&self.route.webhook)
                && !muted(known)
        });
        let mut open: Vec<_> = open.map(|known| &known.firing).collect();
        open.sort_by_key(|finding| Reverse(finding.severity));
        open
    }

    fn made(
        &self,
        reason: Reason,
        findings: Vec<Finding>,
        more: u64,
        now: Timestamp,
    ) -> Notification {
        let webhook = &self.route.webhook;
        let by = &self.settings.group_by;
        let of_these: HashMap<_, _> =
            findings.iter().map(|finding| (&finding.id, finding.state)).collect();
        let goes_on = |known: &&&Known| match of_these.get(&known.firing.id) {
            Some(state) => *state == State::Firing,
            None => {
                let told = known.told.get(webhook).is_some_and(|told| !told.resolved);
                told && (known.resolved.is_none() || self.route.send_resolved)
            }
        };
        let firing = self.members.iter().filter(goes_on).count() as u64;
        let moment = now.as_nanosecond().to_string();
        let mut parts = vec![webhook.clone(), self.group.0.clone(), moment];
        for Finding { id, state, severity, .. } in &findings {
            let state = match state {
                State::Firing => "firing",
                State::Resolved => "resolved",
            };
            parts.extend([id.0.clone(), state.to_owned(), severity.to_string()]);
        }
        let id = digest(parts.iter().map(String::as_str));
        Notification {
            id: NotificationId(format!("msg_{id}")),
            webhook: webhook.clone(),
            time: now,
            reason,
            group: self.group.clone(),
            labels: self.members.first().map(|known| labels(by, &known.firing)).unwrap_or_default(),
            findings,
            more,
            firing,
        }
    }
}
