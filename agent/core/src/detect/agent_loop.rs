//! An agent asks the same again and again.
//!
//! Counted are requests of one process, each made after the one before was answered and within
//! [`Settings::pause_minutes`]: those with the same body, and those in which the model's latest word, its
//! calls of tools with their arguments, is the same. Three in a row are what frameworks warn of, five what they
//! stop at; all of them cost something whether the tool succeeds or not. Answers that are asked for side by side,
//! as best-of-n does, are no loop. A conversation that has only grown for [`Settings::growing`] requests is one,
//! too. Below [`Settings::tokens`] nothing is said. (OWASP LLM10.)

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::watch::{Call, Calls, Report, Say, Table, Watch, Whose, minutes};
use super::{Amount, Detector, Evidence, Severity, Subject};
use crate::secret::Fingerprint;
use crate::units::Timestamp;

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// So many in a row are low.
    pub warn: u32,
    /// So many in a row are medium.
    pub alert: u32,
    /// So many in a row are high.
    pub runaway: u32,
    /// So many requests, each with more input than the one before, are medium.
    pub growing: u32,
    /// Fewer tokens in all don't matter.
    pub tokens: u64,
    /// A longer pause ends a row, in minutes.
    pub pause_minutes: u32,
    /// So many minutes without a further one, and it is over.
    pub quiet_minutes: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            warn: 3,
            alert: 5,
            runaway: 50,
            growing: 200,
            tokens: 50_000,
            pause_minutes: 5,
            quiet_minutes: 30,
        }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct AgentLoop(Table<Row>);

/// What a process asked last.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Row {
    ended: Option<Timestamp>,
    body: Run,
    step: Run,
    growing: u32,
    grown_tokens: u64,
    input: u64,
}

/// How often the same came in a row.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Run {
    of: Option<Fingerprint>,
    count: u32,
    tokens: u64,
    since: Option<Timestamp>,
    calls: Calls,
}

impl Run {
    fn take(&mut self, print: Option<&Fingerprint>, call: &Call<'_>, goes_on: bool) {
        if print.is_none() || print != self.of.as_ref() || !goes_on {
            *self = Self { of: print.cloned(), since: Some(call.record.time), ..Self::default() };
        }
        if print.is_some() {
            self.count = self.count.saturating_add(1);
            self.tokens = self.tokens.saturating_add(call.tokens());
            self.calls.push(&call.record.id);
        }
    }

    fn severity(&self, settings: &Settings) -> Option<Severity> {
        if self.tokens < settings.tokens {
            return None;
        }
        match self.count {
            count if count >= settings.runaway => Some(Severity::High),
            count if count >= settings.alert => Some(Severity::Medium),
            count if count >= settings.warn => Some(Severity::Low),
            _ => None,
        }
    }
}

impl Watch for AgentLoop {
    type Settings = Settings;
    const DETECTOR: Detector = Detector::AgentLoop;

    fn quiet(settings: &Settings) -> SignedDuration {
        minutes(settings.quiet_minutes)
    }

    fn call(&mut self, settings: &Settings, call: &Call<'_>, say: &mut Say<'_>) {
        let record = call.record;
        // What failed is the retry storm's.
        if !call.is_live || !call.succeeded() {
            return;
        }
        let row = self.0.row(&format!("{}\0{}", record.identity, record.process.pid));
        let goes_on = row.ended.is_some_and(|ended| {
            let pause = record.time.duration_since(ended);
            !pause.is_negative() && pause <= minutes(settings.pause_minutes)
        });
        row.ended = Some(row.ended.map_or(call.now, |ended| ended.max(call.now)));
        row.body.take(record.request_fp.as_ref(), call, goes_on);
        row.step.take(record.step_fp.as_ref(), call, goes_on);
        let input = record.tokens.input_total();
        if goes_on && input > row.input {
            row.growing = row.growing.saturating_add(1);
            row.grown_tokens = row.grown_tokens.saturating_add(call.tokens());
        } else {
            (row.growing, row.grown_tokens) = (0, 0);
        }
        row.input = input;

        let grows = row.growing >= settings.growing && row.grown_tokens >= settings.tokens;
        let ways = [
            (row.body.severity(settings), &row.body, "the same request"),
            (row.step.severity(settings), &row.step, "the same step"),
        ];
        let worst = ways.into_iter().max_by_key(|(severity, ..)| *severity);
        let (severity, count, tokens, since, calls, what) = match worst {
            Some((Some(severity), run, what)) => {
                (severity, run.count, run.tokens, run.since, run.calls.to_vec(), what)
            }
            Some((None, ..)) | None if grows => {
                let calls = vec![record.id.clone()];
                let what = "a conversation that only grows";
                (Severity::Medium, row.growing, row.grown_tokens, None, calls, what)
            }
            Some((None, ..)) | None => return,
        };
        let subject = Subject::Identity(record.identity.clone());
        say.holds(
            subject,
            "",
            severity,
            || Whose::call(record),
            || Report {
                summary: format!(
                    "{} goes in a circle: {what}, {count} times in a row, {tokens} tokens",
                    record.identity
                ),
                evidence: Evidence {
                    observed: Some(Amount::Count(u64::from(count))),
                    limit: Some(Amount::Count(u64::from(settings.warn))),
                    from: since,
                    until: Some(call.now),
                    calls,
                    details: BTreeMap::from([
                        ("pid".to_owned(), record.process.pid.to_string()),
                        ("tokens".to_owned(), tokens.to_string()),
                    ]),
                    ..Evidence::default()
                },
                next_step: format!(
                    "Stop process {} if it gets nowhere, and give the agent a limit of steps",
                    record.process.pid
                ),
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Log, firing};
    use super::super::watch::Watches;
    use super::*;
    use crate::units::Tokens;

    fn check(log: Log, expected: &[Severity]) {
        let mut watches = Watches::default();
        watches.add::<AgentLoop>(Some(Settings::default()));
        let expected: Vec<_> = expected.iter().map(|severity| ("a", *severity)).collect();
        assert_eq!(log.firing(watches), firing(&expected));
    }

    /// Calls of that many tokens.
    fn asks(tokens: u64) -> Log {
        Log::new().with(|like| {
            like.request_fp = Some(Log::print(1));
            like.tokens = Tokens { input_uncached: tokens, ..Tokens::default() };
        })
    }

    #[test]
    fn the_same_in_a_row_is_found() {
        check(asks(20_000).calls("a", 2), &[]);
        check(asks(20_000).calls("a", 3), &[Severity::Low]);
        check(asks(20_000).calls("a", 5), &[Severity::Low, Severity::Medium]);
        check(asks(20_000).calls("a", 60), &[Severity::Low, Severity::Medium, Severity::High]);
        check(asks(100).calls("a", 60), &[]);
        check(asks(20_000).pause(minutes(6)).calls("a", 20), &[]);
        let at_once = asks(20_000).pause(SignedDuration::from_millis(10));
        check(at_once.calls("a", 20), &[]);
        let other = |log: Log, key| log.with(|like| like.request_fp = Some(Log::print(key)));
        let mut turns = asks(20_000);
        for number in 0..20 {
            turns = other(turns, number).calls("a", 1);
        }
        check(turns, &[]);
    }

    #[test]
    fn the_same_step_is_found_in_a_conversation_that_goes_on() {
        let mut log = asks(20_000).with(|like| like.step_fp = Some(Log::print(0)));
        for number in 1..=5 {
            log = log.with(|like| like.request_fp = Some(Log::print(number))).calls("a", 1);
        }
        check(log, &[Severity::Low, Severity::Medium]);
    }

    #[test]
    fn what_only_grows_is_found_late() {
        for (calls, expected) in [(200, &[] as &[_]), (201, &[Severity::Medium])] {
            let mut log = asks(1000);
            for number in 0..calls {
                log = log
                    .with(|like| {
                        like.request_fp = None;
                        like.tokens.input_uncached += number;
                    })
                    .calls("a", 1);
            }
            check(log, expected);
        }
    }
}
