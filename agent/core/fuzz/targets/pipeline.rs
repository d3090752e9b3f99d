//! The whole pipeline and the meter, with anything that can happen on a host, in any order: nothing
//! panics, no call is counted twice, what is held back is counted right and gone in the end, and the
//! kernel is told nothing that would make it skip what was not seen.

#![no_main]

use std::collections::HashSet;
use std::sync::LazyLock;

use arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;
use weir_core::identity::{Attribution, IdentityId, Process};
use weir_core::meter::{Batches, Catalogue, Creator, EdgeRecord, Habits, Meter};
use weir_core::pipeline::{Input, Output, Pipeline, Steering};
use weir_core::secret::FingerprintKey;
use weir_core::units::ProcessKey;
use weir_fuzz::traffic::{Host, PROCESSES, Step};

static METER: LazyLock<Meter> = LazyLock::new(|| match Catalogue::builtin() {
    Ok(catalogue) => Meter::new(catalogue),
    Err(error) => panic!("{error}"),
});

struct Watch {
    pipeline: Pipeline,
    host: Host,
    /// The processes whose facts are given as soon as they are asked for.
    known: [bool; PROCESSES],
    /// The ids of calls and edges.
    calls: HashSet<String>,
    edges: u64,
    batches: Batches,
}

impl Watch {
    fn handle(&mut self, input: Input<'_>) {
        self.pipeline.handle(input);
        self.drain();
        self.pipeline.check();
    }

    fn drain(&mut self) {
        while let Some(output) = self.pipeline.poll() {
            match output {
                Output::NeedFacts(process) => {
                    let place = (0..PROCESSES).find(|place| self.host.process(*place) == process);
                    if place.is_some_and(|place| self.known[place]) {
                        self.pipeline.handle(facts(process));
                    }
                }
                Output::Call { call, attribution, .. } => {
                    assert!(call.started <= call.ended, "{call:?}");
                    assert!(call.ended <= self.host.now(), "{call:?}");
                    let record = METER.measure(*call, &attribution, "fuzz", &mut Habits::default());
                    assert!(self.calls.insert(record.id.0.clone()), "counted twice: {record:?}");
                    assert!(serde_json::to_string(&record).is_ok());
                    let charged = self.batches.charge(record.clone(), |_, _| None);
                    let seen = charged
                        .result_of
                        .as_ref()
                        .is_some_and(|result| result.creator == Creator::Seen);
                    assert!(seen || charged == record, "billed to a stranger: {charged:?}");
                }
                Output::Edge { edge, attribution } => {
                    let record = EdgeRecord::new(*edge, &attribution, "fuzz");
                    assert!(self.calls.insert(record.id.0.clone()), "counted twice: {record:?}");
                    self.edges += 1;
                }
                Output::Asked { trace_id, .. } => assert_eq!(trace_id.len(), 32),
                Output::Batch { news, attribution } => {
                    assert!(!news.id.is_empty() && news.time <= self.host.now(), "{news:?}");
                    for record in self.batches.learn(&news, &attribution, |_, _| None) {
                        assert!(serde_json::to_string(&record).is_ok());
                    }
                }
                Output::Spoke { process, time, .. } => {
                    assert!(time <= self.host.now(), "{process:?} spoke in the future");
                }
                Output::Steer { connection, steering } => {
                    if let Steering::SkipReadsUntilWriteBeyond(until) = steering
                        && let Some(sent) = self.host.sent(connection)
                    {
                        assert!(until <= sent, "skips until {until} of {sent}");
                    }
                }
            }
        }
    }
}

fn facts(process: ProcessKey) -> Input<'static> {
    let attribution = Attribution::new(IdentityId("spiffe://weir.local/host/fuzz/user/root".to_owned()), Process { pid: process.pid, exe: None, uid: 0 });
    Input::Facts { process, attribution: attribution.into() }
}

fuzz_target!(|data: &[u8]| {
    let pipeline = Pipeline::new(FingerprintKey::new([7; 32]));
    let (host, known, calls) = (Host::default(), [false; PROCESSES], HashSet::new());
    let batches = Batches::default();
    let mut watch = Watch { pipeline, host, known, calls, edges: 0, batches };
    let mut bytes = Unstructured::new(data);
    while let Ok(step) = Step::next(&mut bytes) {
        if let Step::Facts { process } = step {
            watch.known[process] = true;
            let process = watch.host.process(process);
            watch.handle(facts(process));
        } else if let Some(input) = watch.host.input(&step) {
            watch.handle(input);
        }
    }
    let time = watch.host.now();
    watch.handle(Input::Stop { time });
    let stats = watch.pipeline.stats();
    let made = watch.calls.len() as u64;
    assert_eq!((stats.connections, stats.calls, stats.edges), (0, made - watch.edges, watch.edges));
});
