//! `weir-alert`: follows the log, and tells webhooks what the book of alerts says that they should be told.
//!
//! Nothing is sent before it is on the disk that it is to be, and what came of it is put there, too. What
//! this thread proposes it waits to read again; until then it proposes nothing else.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use weir_core::alert::{AlertEvent, Answer, Delivery};
use weir_core::units::Timestamp;

use super::vitals::Vitals;
use crate::alert::{Alerts, attempt};
use crate::config::Webhook;
use crate::ledger::{Checkpoint, Checkpoints, Entry, Follow, Position, Reader};

/// How often it is looked at what is to be done.
const TICK: Duration = Duration::from_secs(1);
/// The same where there is nobody to tell.
const IDLE: Duration = Duration::from_secs(60);
/// How often what is known is written down. What is stored in between is read again.
const SAVE: Duration = Duration::from_secs(300);
/// The one part of a checkpoint.
const PART: &str = "book";

/// An attempt, and what came of it.
type Answered = (Delivery, Answer);

/// The state of `weir-alert`.
pub(super) struct Alerting {
    alerts: Alerts,
    webhooks: HashMap<String, Arc<Webhook>>,
    host: Arc<str>,
    follow: Follow,
    ledger: Reader,
    checkpoints: Checkpoints,
    entries: SyncSender<Entry>,
    vitals: Arc<Vitals>,
    /// Where attempts are made: one for each webhook at a time.
    runtime: Runtime,
    /// Where attempts say what came of them. There is room for one from each webhook.
    answers: SyncSender<Answered>,
    answered: Receiver<Answered>,
    /// What there was no room for in the ledger's queue.
    unsaid: VecDeque<AlertEvent>,
    /// What was handed to the ledger and isn't read again yet, by id.
    unread: HashSet<String>,
}

impl Alerting {
    /// Goes on from the last checkpoint, or reads all of the log.
    ///
    /// # Errors
    /// If no thread can be made.
    pub(super) fn new(
        alerts: Alerts,
        webhooks: Vec<Webhook>,
        host: &str,
        ledger: Reader,
        checkpoints: Checkpoints,
        entries: SyncSender<Entry>,
        vitals: Arc<Vitals>,
    ) -> std::io::Result<Self> {
        let last = checkpoints.load().unwrap_or_else(|error| {
            tracing::warn!(%error, "what is known of alerts can't be read");
            None
        });
        let from = last.and_then(|Checkpoint { position, parts }| {
            let (_, saved) = parts.iter().find(|(name, _)| name == PART)?;
            alerts.book().restore(saved).ok().map(|()| position)
        });
        let follow = ledger.follow(from.unwrap_or(Position::START));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(4)
            .thread_name("weir-post")
            .enable_all()
            .build()?;
        let (answers, answered) = sync_channel(webhooks.len().max(1));
        let webhooks = webhooks.into_iter();
        Ok(Self {
            alerts,
            webhooks: webhooks
                .map(|webhook| (webhook.route.webhook.clone(), Arc::new(webhook)))
                .collect(),
            host: host.into(),
            follow,
            ledger,
            checkpoints,
            entries,
            vitals,
            runtime,
            answers,
            answered,
            unsaid: VecDeque::new(),
            unread: HashSet::new(),
        })
    }

    /// Runs until the daemon stops. Attempts that are under way then are made again after the next start.
    pub(super) fn run(mut self) {
        let mut saved = Instant::now();
        let patience = if self.webhooks.is_empty() { IDLE } else { TICK };
        while !self.vitals.is_stopping() {
            self.read();
            self.take_answers();
            self.propose();
            self.send();
            if saved.elapsed() >= SAVE {
                saved = Instant::now();
                self.save();
            }
            self.follow.wait(patience);
        }
        self.save();
        self.runtime.shutdown_background();
    }

    /// Takes what was stored meanwhile.
    fn read(&mut self) {
        let Self { alerts, follow, vitals, unread, .. } = self;
        let entries = match follow.read() {
            Ok(entries) => entries,
            Err(error) => {
                tracing::warn!(%error, "alerts can't read the log");
                return;
            }
        };
        for entry in entries {
            if vitals.is_stopping() {
                break;
            }
            match entry {
                Ok(entry) => {
                    alerts.take(&entry);
                    if let Some(name) = entry.name() {
                        unread.remove(name);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "alerts can't read the log");
                    break;
                }
            }
        }
    }

    /// Has it stored what came of attempts.
    fn take_answers(&mut self) {
        while let Ok((delivery, answer)) = self.answered.try_recv() {
            let event = self.alerts.book().outcome(&delivery, answer, Timestamp::now());
            tracing::info!(
                webhook = delivery.notification.webhook,
                notification = %delivery.notification.id,
                attempt = delivery.attempt,
                ?answer,
                "told",
            );
            self.unsaid.push_back(event);
        }
        self.say();
    }

    /// Has it stored what is to be done, once everything said before has been read again.
    fn propose(&mut self) {
        if self.unsaid.is_empty() && self.unread.is_empty() {
            self.unsaid = self.alerts.book().propose(Timestamp::now()).into();
            self.say();
        }
    }

    /// Hands over what is to be stored. While the ledger's queue is full it waits.
    fn say(&mut self) {
        while let Some(event) = self.unsaid.pop_front() {
            let id = event.id.clone();
            match self.entries.try_send(Entry::Alert(Box::new(event))) {
                Ok(()) => drop(self.unread.insert(id)),
                Err(TrySendError::Full(Entry::Alert(event))) => {
                    self.unsaid.push_front(*event);
                    return;
                }
                // The ledger's thread outlives this one.
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => return,
            }
        }
    }

    /// Begins the attempts that are due.
    fn send(&self) {
        let due = self.alerts.book().due(Timestamp::now());
        for delivery in due {
            let Some(webhook) = self.webhooks.get(&delivery.notification.webhook) else { continue };
            let (webhook, host) = (Arc::clone(webhook), Arc::clone(&self.host));
            let (answers, ledger) = (self.answers.clone(), self.ledger.clone());
            self.runtime.spawn(async move {
                let answer = attempt(webhook, host, delivery.notification.clone()).await;
                // Who waits for it is this thread, which may have ended.
                let _ended = answers.try_send((delivery, answer));
                ledger.wake();
            });
        }
    }

    /// Writes down what is known up to what was read.
    fn save(&self) {
        let position = self.follow.position();
        let book = match self.alerts.book().save() {
            Ok(book) => book,
            Err(error) => {
                tracing::warn!(%error, "what is known of alerts can't be written down");
                return;
            }
        };
        let parts = vec![(PART.to_owned(), book)];
        if let Err(error) = self.checkpoints.save(&Checkpoint { position, parts }) {
            tracing::warn!(%error, "what is known of alerts can't be written down");
        }
    }
}

#[cfg(test)]
mod tests;
