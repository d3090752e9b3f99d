//! Who is on a host, and what happens there.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use weir_core::blind::{BlindSpot, KnownBy, Reason, Transport};
use weir_core::detect::{Lost, Seen};
use weir_core::identity::{Agent, Assigned, IdentityId, Process, Workload};
use weir_core::meter::{CallId, CostSource, UsageRecord, UsageSource};
use weir_core::provider::{Api, CallState};
use weir_core::secret::{Fingerprint, FingerprintKey};
use weir_core::units::{Counts, PicoUsd, Role, Tokens};

/// Seconds of a day.
pub const DAY: i64 = 86_400;
/// Seconds of an hour.
pub const HOUR: i64 = 3600;
/// Dollars for a million tokens of input and of output, in pico-dollars a token.
const PRICE: (i128, i128) = (3_000_000, 15_000_000);

/// A host over some weeks.
pub struct World {
    /// The first moment, a Monday at 00:00 UTC.
    pub start: Timestamp,
    /// How many days.
    pub days: i64,
    /// Who is there.
    pub people: Vec<Someone>,
    /// What happens, in no order.
    pub events: Vec<Event>,
    /// All chance.
    pub rng: Rng,
}

/// An identity.
pub struct Someone {
    /// Its name.
    pub identity: IdentityId,
    /// A call of its, but for what is in [`Call`].
    like: UsageRecord,
}

/// Something that happens.
pub struct Event {
    /// When it is stored, in milliseconds after the start: for a call, when it ends.
    pub at: i64,
    /// What it is.
    pub what: What,
}

/// What can happen.
pub enum What {
    /// A call of somebody.
    Call(u16, Call),
    /// Connections that nothing is read of.
    Blind(u16),
    /// Something is lost.
    Lost(u64),
    /// Somebody is offboarded.
    Offboarded(u16),
    /// The daemon stops: detectors are made anew from what they wrote down.
    Stop,
    /// It starts again.
    Start,
}

/// A call as far as it differs from others of whoever makes it. 0 is what it usually is.
#[derive(Clone, Copy, Default)]
pub struct Call {
    /// Milliseconds until the answer's end.
    pub took: u32,
    /// Tokens of input.
    pub input: u32,
    /// Tokens of output.
    pub output: u32,
    /// HTTP status.
    pub status: u16,
    /// What the client says of earlier tries.
    pub retry: u8,
    /// Names the body of the request.
    pub body: u32,
    /// Names what the model said last.
    pub step: u32,
    /// The process.
    pub pid: u32,
    /// Names the credential.
    pub key: u32,
    /// How many agents are between.
    pub through: u8,
    /// The call is one of another kind.
    pub other: Option<Other>,
}

/// In what a call differs from others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Other {
    /// In its model.
    Model(u8),
    /// In its provider.
    Provider,
    /// In where its key is.
    KeyInUrl,
    /// There is a terminal.
    Terminal,
    /// There is no price.
    Unpriced,
    /// It is made on Bedrock with a long-term key: with that model, in that region.
    Cloud(u8, u8),
}

impl World {
    /// A host on which nobody is yet.
    #[must_use]
    pub fn new(seed: u64, days: i64) -> Self {
        let start = Timestamp::from_second(1_767_571_200).unwrap_or(Timestamp::UNIX_EPOCH);
        let (people, events) = (Vec::new(), Vec::new());
        Self { start, days, people, events, rng: Rng::with_seed(seed) }
    }

    /// Somebody comes. `group` is a rule that several come under.
    pub fn settle(&mut self, name: &str, group: Option<(&str, &str)>) -> u16 {
        let identity = IdentityId(format!("spiffe://weir.local/host/sim/unit/{name}.service"));
        let number = u16::try_from(self.people.len()).unwrap_or(u16::MAX);
        let mut like = ordinary(identity.clone(), number);
        like.unit = Some(format!("{name}.service"));
        like.workload.interactive = Some(false);
        like.workload.assigned = group.map(|(rule, environment)| Assigned {
            rule: rule.to_owned(),
            owner: Some(format!("{rule}@example.org")),
            environment: Some(environment.to_owned()),
            ..Assigned::default()
        });
        self.people.push(Someone { identity, like });
        number
    }

    /// Somebody sits at a terminal.
    pub fn at_terminal(&mut self, who: u16) {
        if let Some(someone) = self.people.get_mut(usize::from(who)) {
            someone.like.workload.interactive = Some(true);
        }
    }

    /// A call that begins so many milliseconds after the start.
    pub fn call(&mut self, at: i64, who: u16, call: Call) {
        self.events.push(Event { at: at + i64::from(call.took), what: What::Call(who, call) });
    }

    /// A random number with this median, seldom more than three times as large: log-normal, σ = 0.5.
    pub fn about(&mut self, median: f64) -> f64 {
        // Irwin and Hall: the sum of twelve is nearly normal.
        let normal: f64 = (0..12).map(|_| self.rng.f64()).sum::<f64>() - 6.0;
        median * (normal * 0.5).exp()
    }

    /// The time of an event.
    #[must_use]
    pub fn time(&self, at: i64) -> Timestamp {
        self.start.saturating_add(SignedDuration::from_millis(at)).unwrap_or(self.start)
    }

    /// The record of a call, as the log would have it.
    #[must_use]
    pub fn record(
        &self,
        number: usize,
        event: &Event,
        who: u16,
        call: Call,
    ) -> Option<UsageRecord> {
        let someone = self.people.get(usize::from(who))?;
        let mut record = someone.like.clone();
        record.id = CallId(format!("{number:032x}"));
        record.time = self.time(event.at - i64::from(call.took));
        record.latency_ms = u64::from(call.took);
        record.process.pid = 1000 + call.pid;
        record.retry = (call.retry > 0).then_some(u32::from(call.retry));
        record.request_fp = (call.body > 0).then(|| print(call.body));
        record.step_fp = (call.step > 0).then(|| print(call.step));
        if call.key > 0 {
            record.credential = Some(print(call.key));
        }
        if call.through > 0 {
            record.workload.agent = Some(Agent {
                name: "planner".to_owned(),
                pid: 900,
                depth: u32::from(call.through) + 1,
                through: vec!["worker".to_owned(); usize::from(call.through) - 1],
                recursive: false,
            });
        }
        if call.status > 0 {
            record.status = Some(call.status);
            record.state = CallState::Error;
            record.usage_source = UsageSource::None;
            record.cost_source = CostSource::Free;
            record.cost_usd = Some(PicoUsd::ZERO);
        } else {
            let (input, output) = (u64::from(call.input), u64::from(call.output));
            record.tokens =
                Tokens { input_uncached: input, output_visible: output, ..Tokens::default() };
            record.cost_usd =
                Some(PicoUsd(i128::from(input) * PRICE.0 + i128::from(output) * PRICE.1));
        }
        if let Some(other) = call.other {
            other.change(&mut record);
        }
        Some(record)
    }

    /// Connections of somebody that nothing was read of.
    #[must_use]
    pub fn blind(&self, event: &Event, who: u16) -> Option<BlindSpot> {
        let someone = self.people.get(usize::from(who))?;
        Some(BlindSpot {
            time: self.time(event.at),
            until: self.time(event.at),
            identity: someone.identity.clone(),
            process: someone.like.process.clone(),
            unit: someone.like.unit.clone(),
            container: None,
            host: "api.openai.com".to_owned(),
            known_by: KnownBy::Name,
            remote: SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 443)),
            transport: Transport::Tcp,
            reason: Reason::UnknownTls,
            connections: 1,
            written: 2000,
            read: None,
            plain_http: None,
        })
    }

    /// Shows an event to `take` as the log would have it. Stops and starts are not among them.
    pub fn show<T>(
        &self,
        number: usize,
        event: &Event,
        take: impl FnOnce(&Seen<'_>) -> T,
    ) -> Option<T> {
        let time = self.time(event.at);
        Some(match &event.what {
            What::Call(who, call) => take(&Seen::Call(&self.record(number, event, *who, *call)?)),
            What::Blind(who) => take(&Seen::Blind(&self.blind(event, *who)?)),
            What::Lost(bytes) => {
                let lost = Lost {
                    from: time,
                    to: time,
                    bytes: *bytes,
                    records: 1,
                    cause: "ring_full".to_owned(),
                };
                take(&Seen::Lost(&lost))
            }
            What::Offboarded(who) => {
                take(&Seen::Offboarded(&self.people.get(usize::from(*who))?.identity, time))
            }
            What::Stop => take(&Seen::Stopped(time)),
            What::Start => take(&Seen::Started(time)),
        })
    }
}

impl Other {
    fn change(self, record: &mut UsageRecord) {
        use weir_core::http::{CredentialKind, CredentialPlace};
        match self {
            Self::Model(number) => record.model = Some(format!("model-{number}")),
            Self::Provider => record.provider = "deepseek".to_owned(),
            Self::KeyInUrl => record.credential_in = Some(CredentialPlace::Url),
            Self::Terminal => record.workload.interactive = Some(true),
            Self::Unpriced => {
                record.model = Some("of-our-own".to_owned());
                record.cost_usd = None;
                record.cost_source = CostSource::Unpriced;
            }
            Self::Cloud(model, region) => {
                record.provider = "aws.bedrock".to_owned();
                record.model = Some(format!("bedrock-{model}"));
                record.region = Some(format!("region-{region}"));
                record.credential_kind = Some(CredentialKind::AwsSigv4);
                record
                    .credential_ids
                    .insert("aws_access_key_id".to_owned(), "AKIASIMULATED".to_owned());
            }
        }
    }
}

/// What stands for something of that number.
#[must_use]
pub fn print(number: u32) -> Fingerprint {
    FingerprintKey::new([7; 32]).fingerprint("simulated", &number.to_le_bytes())
}

fn ordinary(identity: IdentityId, number: u16) -> UsageRecord {
    UsageRecord {
        id: CallId(String::new()),
        time: Timestamp::UNIX_EPOCH,
        identity,
        process: Process { pid: 1000, exe: None, uid: 1000 },
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
        streamed: true,
        state: CallState::Complete,
        tokens: Tokens::default(),
        usage_source: UsageSource::Reported,
        bounds: None,
        cost_usd: None,
        cost_source: CostSource::Table,
        credential: Some(print(1000 + u32::from(number))),
        credential_kind: Some(weir_core::http::CredentialKind::OpenaiKey),
        credential_in: None,
        credential_ids: BTreeMap::new(),
        latency_ms: 0,
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
