//! Logs for the tests of detectors, line by line.

use jiff::SignedDuration;

use super::{Detect, Finding, Lost, Seen, Severity, State, Watches};
use crate::blind::{BlindSpot, KnownBy, PlainRequest, Reason, Transport};
use crate::identity::{Assigned, IdentityId, Process, Workload};
use crate::meter::{CallId, CostSource, EdgeRecord, UsageRecord, UsageSource};
use crate::provider::{Api, CallState};
use crate::secret::{Fingerprint, FingerprintKey};
use crate::units::{Counts, PicoUsd, Role, Timestamp, Tokens};

/// A line of a log that owns what it says.
#[derive(Clone, Debug)]
pub(super) enum Line {
    Call(Box<UsageRecord>),
    Lost(Lost),
    Blind(Box<BlindSpot>),
    Edge(Box<EdgeRecord>),
    Offboarded(IdentityId, Timestamp),
    Restored(IdentityId, Timestamp),
    Renamed(IdentityId, IdentityId, Timestamp),
    Started(Timestamp),
    Stopped(Timestamp),
}

impl Line {
    pub(super) fn seen(&self) -> Seen<'_> {
        match self {
            Self::Call(record) => Seen::Call(record),
            Self::Lost(lost) => Seen::Lost(lost),
            Self::Blind(spot) => Seen::Blind(spot),
            Self::Edge(edge) => Seen::Edge(edge),
            Self::Offboarded(identity, time) => Seen::Offboarded(identity, *time),
            Self::Restored(identity, time) => Seen::Restored(identity, *time),
            Self::Renamed(from, to, time) => Seen::Renamed(from, to, *time),
            Self::Started(time) => Seen::Started(*time),
            Self::Stopped(time) => Seen::Stopped(*time),
        }
    }
}

impl Line {
    /// A model call by plain HTTP.
    pub(super) fn plain(time: Timestamp, loopback: bool, key: Option<u8>) -> Self {
        Self::Blind(Box::new(BlindSpot {
            time,
            until: time,
            identity: IdentityId("a".to_owned()),
            process: Process { pid: 1, exe: None, uid: 0 },
            unit: None,
            container: None,
            host: "models".to_owned(),
            known_by: KnownBy::Request,
            remote: "10.0.0.7:80".parse().unwrap(),
            transport: Transport::Http,
            reason: Reason::PlainHttp,
            connections: 1,
            written: 400,
            read: Some(0),
            plain_http: Some(Box::new(PlainRequest {
                loopback,
                provider: None,
                api: None,
                credential: key.map(Log::print),
                credential_kind: None,
                credential_in: None,
                credential_ids: std::collections::BTreeMap::new(),
                assigned: None,
            })),
        }))
    }
}

/// A log that is being written.
#[derive(Clone)]
pub(super) struct Log {
    pub(super) lines: Vec<Line>,
    pub(super) now: Timestamp,
    /// What the next calls are like.
    pub(super) like: UsageRecord,
    /// Between two calls.
    pub(super) pause: SignedDuration,
    number: u64,
}

impl Log {
    /// Begins on Monday, 5 January 2026, at nine.
    pub(super) fn new() -> Self {
        let now: Timestamp = "2026-01-05T09:00:00Z".parse().unwrap();
        Self {
            lines: Vec::new(),
            now,
            like: record(now),
            pause: SignedDuration::from_secs(1),
            number: 0,
        }
    }

    /// What stands for a key of that number.
    pub(super) fn print(key: u8) -> Fingerprint {
        FingerprintKey::new([1; 32]).fingerprint("bearer", &[key])
    }

    /// The next calls use that key.
    pub(super) fn key(self, key: u8) -> Self {
        self.with(|record| record.credential = Some(Self::print(key)))
    }

    /// The next calls are like this.
    pub(super) fn with(mut self, change: impl FnOnce(&mut UsageRecord)) -> Self {
        change(&mut self.like);
        self
    }

    /// The next calls come under a rule, with this environment.
    pub(super) fn rule(self, rule: &str, environment: Option<&str>) -> Self {
        self.with(|record| {
            record.workload.assigned = Some(Assigned {
                rule: rule.to_owned(),
                owner: Some("ann".to_owned()),
                environment: environment.map(str::to_owned),
                ..Assigned::default()
            });
        })
    }

    pub(super) fn after(mut self, time: SignedDuration) -> Self {
        self.now += time;
        self
    }

    pub(super) fn after_hours(self, hours: i64) -> Self {
        self.after(SignedDuration::from_hours(hours))
    }

    pub(super) fn pause(mut self, pause: SignedDuration) -> Self {
        self.pause = pause;
        self
    }

    /// So many calls.
    pub(super) fn calls(mut self, who: &str, count: usize) -> Self {
        for _ in 0..count {
            self.number += 1;
            let record = UsageRecord {
                id: CallId(format!("{:032x}", self.number)),
                time: self.now,
                identity: IdentityId(who.to_owned()),
                ..self.like.clone()
            };
            self.lines.push(Line::Call(Box::new(record)));
            self.now += self.pause;
        }
        self
    }

    /// So many calls that are answered with an error.
    pub(super) fn errors(mut self, who: &str, status: u16, count: usize) -> Self {
        let like = self.like.clone();
        self.like.status = Some(status);
        self.like.state = CallState::Error;
        self.like.tokens = Tokens::default();
        self = self.calls(who, count);
        self.like = like;
        self
    }

    /// So many calls, one each so many hours.
    pub(super) fn each_hours(mut self, who: &str, hours: i64, count: usize) -> Self {
        let pause = self.pause;
        self.pause = SignedDuration::from_hours(hours);
        self = self.calls(who, count);
        self.pause = pause;
        self
    }

    pub(super) fn line(mut self, line: impl FnOnce(Timestamp) -> Line) -> Self {
        self.lines.push(line(self.now));
        self
    }

    pub(super) fn offboard(self, who: &str) -> Self {
        self.line(|now| Line::Offboarded(IdentityId(who.to_owned()), now))
    }

    pub(super) fn restore(self, who: &str) -> Self {
        self.line(|now| Line::Restored(IdentityId(who.to_owned()), now))
    }

    /// What is found in it.
    pub(super) fn found(&self, watches: Watches) -> Vec<Finding> {
        let mut detect = Detect::new(vec![Box::new(watches)]);
        self.lines.iter().flat_map(|line| detect.take(&line.seen())).collect()
    }

    /// What begins or gets worse in it: of what, and how bad.
    pub(super) fn firing(&self, watches: Watches) -> Vec<(String, Severity)> {
        let found = self.found(watches).into_iter();
        let firing = found.filter(|finding| finding.state == State::Firing);
        firing.map(|finding| (finding.subject.parts().1.to_owned(), finding.severity)).collect()
    }
}

/// What [`Log::firing`] is expected to be.
pub(super) fn firing(expected: &[(&str, Severity)]) -> Vec<(String, Severity)> {
    expected.iter().map(|(subject, severity)| ((*subject).to_owned(), *severity)).collect()
}

/// What is said to be over.
pub(super) fn resolved(found: &[Finding]) -> Vec<&Finding> {
    found.iter().filter(|finding| finding.state == State::Resolved).collect()
}

/// An ordinary call.
pub(super) fn record(time: Timestamp) -> UsageRecord {
    UsageRecord {
        id: CallId(String::new()),
        time,
        identity: IdentityId(String::new()),
        process: Process { pid: 100, exe: None, uid: 1000 },
        container: None,
        unit: None,
        workload: Workload::default(),
        role: Role::Client,
        provider: "openai".to_owned(),
        api: Api::ChatCompletions,
        host: Some("api.openai.com".to_owned()),
        model_requested: Some("gpt-5".to_owned()),
        model: Some("gpt-5".to_owned()),
        status: Some(200),
        streamed: false,
        state: CallState::Complete,
        tokens: Tokens { input_uncached: 1000, output_visible: 100, ..Tokens::default() },
        usage_source: UsageSource::Reported,
        bounds: None,
        cost_usd: Some(PicoUsd(2_250_000_000)),
        cost_source: CostSource::Table,
        credential: None,
        credential_kind: None,
        credential_in: None,
        credential_ids: std::collections::BTreeMap::new(),
        latency_ms: 100,
        ttft_ms: None,
        lost_bytes: 0,
        response_id: None,
        error_type: None,
        service_tier: None,
        batch: false,
        speed: None,
        region: None,
        traffic_type: None,
        spilled_over: false,
        counts: Counts::default(),
        parts: Vec::new(),
        inconsistent: false,
        retrieved: false,
        retrieved_by: None,
        retrieved_with: None,
        result_of: None,
        duplicate_of: None,
        settles: None,
        retry: None,
        request_fp: None,
        step_fp: None,
        trace_id: None,
        parent_id: None,
        user_agent: None,
        gateway: false,
        on_behalf_of: None,
        price_version: None,
    }
}
