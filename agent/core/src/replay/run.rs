//! Transcripts through the whole pipeline.

use super::Transcript;
use crate::identity::{Attribution, Namespace, resolve};
use crate::meter::{EdgeRecord, Habits, Meter, Once, UsageRecord};
use crate::pipeline::{Input, Output, Pipeline};
use crate::provider::{Edge, ModelCall};
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
    /// The usage record of every call, in the order in which they ended.
    #[must_use]
    pub fn records(&self, meter: &Meter) -> Vec<UsageRecord> {
        let (mut habits, mut once) = (Habits::default(), Once::default());
        let measured = |(call, maker): (ModelCall, Attribution)| {
            let record = meter.measure(call, &maker, BOOT, &mut habits);
            once.settle(record, |_nothing_is_kept| None)
        };
        self.run(self.inputs()).calls.into_iter().map(measured).collect()
    }

    /// The usage record of every call that comes of `inputs`, whose processes are those of this
    /// transcript. Each is metered by itself: nothing is learnt, and no answer is looked for in
    /// another record.
    #[must_use]
    pub fn records_of<'a>(
        &self,
        inputs: impl IntoIterator<Item = Input<'a>>,
        meter: &Meter,
    ) -> Vec<UsageRecord> {
        let measured = |(call, maker): (ModelCall, Attribution)| {
            meter.measure(call, &maker, BOOT, &mut Habits::default())
        };
        self.run(inputs).calls.into_iter().map(measured).collect()
    }

    /// The record of every step to another agent, in the order in which they were handed out.
    #[must_use]
    pub fn edges(&self) -> Vec<EdgeRecord> {
        let recorded = |(edge, maker): (Edge, Attribution)| EdgeRecord::new(edge, &maker, BOOT);
        self.run(self.inputs()).edges.into_iter().map(recorded).collect()
    }

    fn run<'a>(&self, inputs: impl IntoIterator<Item = Input<'a>>) -> Made {
        let namespace = match Namespace::new(TRUST_DOMAIN, HOST) {
            Ok(namespace) => namespace,
            Err(_impossible) => unreachable!("both names are well formed"),
        };
        let mut pipeline = Pipeline::new(FingerprintKey::new(KEY));
        let mut made = Made::default();
        for input in inputs {
            pipeline.handle(input);
            while let Some(output) = pipeline.poll() {
                match output {
                    Output::NeedFacts(process) => {
                        if let Some(facts) = self.facts(process) {
                            let attribution = resolve(facts, &namespace);
                            pipeline.handle(Input::Facts { process, attribution });
                        }
                    }
                    Output::Call { call, attribution } => made.calls.push((*call, attribution)),
                    Output::Edge { edge, attribution } => made.edges.push((*edge, attribution)),
                    Output::Steer { .. } => {}
                }
            }
        }
        made
    }
}

/// What comes of a transcript.
#[derive(Default)]
struct Made {
    calls: Vec<(ModelCall, Attribution)>,
    edges: Vec<(Edge, Attribution)>,
}
