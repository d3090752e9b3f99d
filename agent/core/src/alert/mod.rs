//! Alerts: whom to tell of findings, when and how often.
//!
//! All that is remembered follows from lines of the log: findings, and what this room and administrators
//! have said ([`AlertEvent`]). [`Book`] goes through them. What is to be done next it proposes as such
//! events, and a proposal means nothing until it comes back as a line. So whoever dies between any two steps
//! goes on from what is on the disk:
//!
//! ```text
//! finding ──▶ Book ──propose──▶ queued ──(log)──▶ Book ──due──▶ POST ──outcome──▶ delivered ──(log)──▶ Book
//! ```
//!
//! These are Alertmanager's words with its meaning, but for two rules: a receiver is told of each beginning
//! before it is told of the end, also when both lie within one wait; and who was told of the beginning is told
//! of the end, whatever is silenced meanwhile.
//!
//! Of one group a webhook has at most one notification on its way. What happens meanwhile is in the next, so
//! the order is kept without a queue that grows while a receiver is down.

mod book;
mod event;
mod group;
mod news;
mod outbox;
mod report;
mod schedule;
mod settings;
mod silence;
#[cfg(test)]
mod tests;

pub use book::{Book, Line};
pub use event::{AlertEvent, Notification, NotificationId, Problem, Reason, Tried, What};
pub use group::{GroupId, Label, ParseLabelError};
pub use outbox::{DEAD_MAX, Delivery, OUTBOX_MAX};
pub use report::{
    AlertView, AlertsReport, DeadView, Phase, Sent, SilenceView, TestView, ToldView, WebhookView,
};
pub use schedule::{ATTEMPTS_MAX, Answer, retry_after};
pub use settings::{Route, Settings};
pub use silence::{MATCHERS_MAX, Matcher, ParseMatcherError, SILENCES_MAX, Silence};
