//! Transcripts through the whole pipeline.

use super::Transcript;
use crate::identity::{Namespace, resolve};
use crate::meter::{Batches, EdgeRecord, Habits, Meter, Once, Relays, Traces, UsageRecord};
use crate::pipeline::{Input, Output, Pipeline};
use crate::secret::FingerprintKey;

/// The key that credentials of transcripts are fingerprinted under. It is no secret: fingerprints
/// of replayed calls can be compared with each other and with nothing else.
const KEY: [u8; 32] = *b"weir transcripts: not a secret\0\0";
/// Stands for the boot in the ids of replayed calls.
const BOOT: &str = "replay";
/// The trust domain of the identities that replayed calls are billed to.
pub const TRUST_DOMAIN: &str = "weir.local";
/// The host of the identities that replayed calls are billed to.
pub const HOST: &str = "replay";

impl Transcript {
    /// The usage record of every call, in the order in which they are settled.
    #[must_use]
    pub fn records(&self, meter: &Meter) -> Vec<UsageRecord> {
        let (mut habits, mut once) = (Habits::default(), Once::default());
        let (mut batches, mut relays) = (Batches::default(), Relays::default());
        let mut traces = Traces::default();
        let mut records = Vec::new();
        self.run(self.inputs(), |output| match output {
            Output::Call { call, attribution, serves } => {
                let now = call.ended;
                let on_behalf_of = traces.follow(call.hints.trace_id.as_deref(), &attribution);
                let record = meter.measure(*call, &attribution, BOOT, &mut habits);
                let record = UsageRecord { on_behalf_of, gateway: serves, ..record };
                let record = batches.charge(record, |_, _| None);
                let mut due = relays.due(now);
                due.extend(relays.take(record, now));
                records.extend(due.into_iter().map(|record| once.settle(record, |_none| None)));
            }
            Output::Batch { news, attribution } => {
                batches.learn(&news, &attribution, |_, _| None);
            }
            Output::Edge { edge, attribution } => {
                traces.follow(edge.trace_id.as_deref(), &attribution);
            }
            Output::Asked { trace_id, caller, callee } => {
                traces.asked(&trace_id, &caller, &callee);
            }
            Output::NeedFacts(_) | Output::Spoke { .. } | Output::Steer { .. } => {}
        });
        records.extend(relays.finish().into_iter().map(|record| once.settle(record, |_none| None)));
        records
    }

    /// The usage record of every call that comes of `inputs`, whose processes are those of this
    /// transcript. Each is metered by itself: nothing is learnt, and neither an answer nor the creator
    /// of a batch is looked for in what came before.
    #[must_use]
    pub fn records_of<'a>(
        &self,
        inputs: impl IntoIterator<Item = Input<'a>>,
        meter: &Meter,
    ) -> Vec<UsageRecord> {
        let mut records = Vec::new();
        self.run(inputs, |output| {
            if let Output::Call { call, attribution, .. } = output {
                records.push(meter.measure(*call, &attribution, BOOT, &mut Habits::default()));
            }
        });
        records
    }

    /// The record of every step to another agent, in the order in which they were handed out.
    #[must_use]
    pub fn edges(&self) -> Vec<EdgeRecord> {
        let mut edges = Vec::new();
        self.run(self.inputs(), |output| {
            if let Output::Edge { edge, attribution } = output {
                edges.push(EdgeRecord::new(*edge, &attribution, BOOT));
            }
        });
        edges
    }

    /// Runs `inputs` through the pipeline and answers what it asks. `take` is given the rest.
    fn run<'a>(&self, inputs: impl IntoIterator<Item = Input<'a>>, mut take: impl FnMut(Output)) {
        let namespace = match Namespace::new(TRUST_DOMAIN, HOST) {
            Ok(namespace) => namespace,
            Err(_impossible) => unreachable!("both names are well formed"),
        };
        let mut pipeline = Pipeline::new(FingerprintKey::new(KEY));
        for input in inputs {
            pipeline.handle(input);
            while let Some(output) = pipeline.poll() {
                let Output::NeedFacts(process) = output else {
                    take(output);
                    continue;
                };
                if let Some(facts) = self.facts(process) {
                    let attribution = resolve(facts, &namespace);
                    let attribution = attribution.into();
                    pipeline.handle(Input::Facts { process, attribution });
                }
            }
        }
    }
}
