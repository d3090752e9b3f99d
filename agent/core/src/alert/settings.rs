//! What the configuration says of alerts, as far as it is about whom and when.

use std::time::Duration;

use super::group::Label;
use crate::detect::Severity;

/// How findings become notifications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What findings of one notification have in common. With nothing in it, all are one group.
    pub group_by: Vec<Label>,
    /// How long the first finding of a group waits for others.
    pub group_wait: Duration,
    /// The least time between two notifications of a group.
    pub group_interval: Duration,
    /// How often what goes on, and nobody has acknowledged, is told again.
    pub repeat_interval: Duration,
    /// Who is told.
    pub routes: Vec<Route>,
}

/// A webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its name; no other has it.
    pub webhook: String,
    /// Findings below it are none of its business.
    pub min_severity: Severity,
    /// It is told of ends, too.
    pub send_resolved: bool,
    /// Most attempts in a minute, on average; at least 1.
    pub per_minute: u32,
    /// How often it is told that weir is there; `None` for never.
    pub heartbeat: Option<Duration>,
}

impl Default for Settings {
    /// Alertmanager's times.
    fn default() -> Self {
        Self {
            group_by: vec![Label::Detector, Label::Identity],
            group_wait: Duration::from_secs(30),
            group_interval: Duration::from_mins(5),
            repeat_interval: Duration::from_hours(4),
            routes: Vec::new(),
        }
    }
}
