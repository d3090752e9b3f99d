//! One call is tried again and again.
//!
//! Clients try a call twice more at most (the defaults of OpenAI's and Anthropic's SDKs), so within
//! [`Settings::window_minutes`] it is no accident if
//! - there are [`Settings::calls`] calls and so many thousandths of them say that they are retries, or
//! - one body failed more than [`Settings::same_body`] times, or
//! - a client tried [`Settings::hopeless`] times more what can't succeed: a refused key, a wrong request, an
//!   exhausted quota. That is high. (OWASP LLM10.)

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::watch::{Call, Calls, Report, Say, Table, Watch, Whose, ago, minutes};
use super::{Amount, Detector, Evidence, Severity, Subject};
use crate::meter::UsageRecord;
use crate::units::Timestamp;

/// Most bodies that are told apart at a time.
const BODIES_MAX: usize = 8;

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The window, in minutes.
    pub window_minutes: u32,
    /// Fewer calls in a window show nothing.
    pub calls: u32,
    /// So many retries for 1000 calls are too many.
    pub retries_thousandths: u32,
    /// One body may fail so often in a window.
    pub same_body: u32,
    /// What can't succeed may be tried fewer times than this.
    pub hopeless: u32,
    /// So many minutes without a sign of it, and it is over.
    pub quiet_minutes: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window_minutes: 5,
            calls: 20,
            retries_thousandths: 500,
            same_body: 3,
            hopeless: 3,
            quiet_minutes: 30,
        }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct RetryStorm(Table<Window>);

/// What an identity did in a window, which begins with its first call.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Window {
    since: Option<Timestamp>,
    count: u64,
    retries: u64,
    hopeless: u64,
    /// How often bodies failed.
    bodies: BTreeMap<String, u64>,
    calls: Calls,
}

impl Window {
    fn take(&mut self, call: &Call<'_>, settings: &Settings) {
        let record = call.record;
        let is_over =
            self.since.is_none_or(|since| ago(call.now, since) >= minutes(settings.window_minutes));
        if is_over {
            *self = Self { since: Some(call.now), ..Self::default() };
        }
        self.count = self.count.saturating_add(1);
        // What one call says of itself counts as one try.
        let retried = record.retry.is_some_and(|tries| tries > 0);
        self.retries = self.retries.saturating_add(u64::from(retried));
        if retried && is_hopeless(record) {
            self.hopeless = self.hopeless.saturating_add(1);
        }
        if let Some(body) = record.request_fp.as_ref().filter(|_| !call.succeeded()) {
            if self.bodies.len() < BODIES_MAX || self.bodies.contains_key(body.as_str()) {
                *self.bodies.entry(body.as_str().to_owned()).or_default() += 1;
            }
        } else if let Some(body) = &record.request_fp {
            self.bodies.remove(body.as_str());
        }
        if retried || !call.succeeded() {
            self.calls.push(&record.id);
        }
    }

    fn severity(&self, settings: &Settings) -> Option<Severity> {
        let too_many = self.count >= u64::from(settings.calls)
            && self.retries.saturating_mul(1000)
                > self.count.saturating_mul(u64::from(settings.retries_thousandths));
        let same = self.bodies.values().any(|count| *count > u64::from(settings.same_body));
        let hopeless = self.hopeless >= u64::from(settings.hopeless);
        match (hopeless, too_many || same) {
            (true, _) => Some(Severity::High),
            (false, true) => Some(Severity::Medium),
            (false, false) => None,
        }
    }
}

impl Watch for RetryStorm {
    type Settings = Settings;
    const DETECTOR: Detector = Detector::RetryStorm;

    fn quiet(settings: &Settings) -> SignedDuration {
        minutes(settings.quiet_minutes)
    }

    fn call(&mut self, settings: &Settings, call: &Call<'_>, say: &mut Say<'_>) {
        if !call.is_live {
            return;
        }
        let window = self.0.row(call.identity());
        window.take(call, settings);
        let Some(severity) = window.severity(settings) else { return };
        let record = call.record;
        let subject = Subject::Identity(record.identity.clone());
        say.holds(subject, "", severity, || Whose::call(record), || Report {
            summary: format!(
                "{} tries calls again and again: {} of {} are retries, {} of them of what can't succeed",
                record.identity, window.retries, window.count, window.hopeless
            ),
            evidence: Evidence {
                observed: Some(Amount::Calls(window.retries)),
                limit: Some(Amount::Thousandths(i64::from(settings.retries_thousandths))),
                from: window.since,
                until: Some(call.now),
                calls: window.calls.to_vec(),
                details: details(record),
                ..Evidence::default()
            },
            next_step: "Look at the errors with `weir calls`, and have the program wait longer, or stop, \
                        after one that won't go away"
                .to_owned(),
        });
    }

    fn rename(&mut self, from: &str, to: &str) {
        self.0.rename(from, to);
    }
}

/// Whether trying again can't help: the request itself is wrong or not allowed, or there is no money left.
fn is_hopeless(record: &UsageRecord) -> bool {
    let by_status = matches!(record.status, Some(400 | 401 | 402 | 403 | 404 | 405 | 413 | 422));
    let by_word = record.error_type.as_deref().is_some_and(|word| {
        matches!(word, "insufficient_quota" | "billing_hard_limit_reached" | "invalid_api_key")
    });
    by_status || by_word
}

fn details(record: &UsageRecord) -> BTreeMap<String, String> {
    let mut details = BTreeMap::from([("provider".to_owned(), record.provider.clone())]);
    if let Some(status) = record.status {
        details.insert("status".to_owned(), status.to_string());
    }
    if let Some(word) = &record.error_type {
        details.insert("error_type".to_owned(), word.clone());
    }
    details
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Log, firing};
    use super::super::watch::Watches;
    use super::*;

    fn check(log: Log, expected: &[(&str, Severity)]) {
        let mut watches = Watches::default();
        watches.add::<RetryStorm>(Some(Settings::default()));
        assert_eq!(log.firing(watches), firing(expected));
    }

    #[test]
    fn storms_of_retries_are_found() {
        let medium: &[_] = &[("a", Severity::Medium)];
        let again = |count| Log::new().with(|like| like.retry = Some(1)).calls("a", count);
        check(again(19), &[]);
        check(again(20), medium);
        check(again(10).with(|like| like.retry = None).calls("a", 10), &[]);
        let slow = Log::new().pause(SignedDuration::from_secs(16));
        check(slow.with(|like| like.retry = Some(1)).calls("a", 50), &[]);
        let body = |log: Log| log.with(|like| like.request_fp = Some(Log::print(1)));
        check(body(Log::new()).errors("a", 500, 3), &[]);
        check(body(Log::new()).errors("a", 500, 4), medium);
        check(body(Log::new()).calls("a", 4), &[]);
        let refused = Log::new().with(|like| like.retry = Some(1));
        check(refused.clone().errors("a", 401, 2), &[]);
        check(refused.clone().errors("a", 401, 3), &[("a", Severity::High)]);
        check(refused.errors("a", 503, 3), &[]);
    }
}
