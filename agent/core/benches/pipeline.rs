//! What the pure pipeline costs: from the segments of a call to the call.
//!
//! `cargo xtask bench` runs it. Compare ratios within one run, not times between machines: `copy`
//! is the same bytes merely copied, the least that any reader has to do.

mod traffic;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use weir_core::pipeline::Pipeline;
use weir_core::secret::FingerprintKey;
use weir_core::units::Timestamp;

fn pipeline(criterion: &mut Criterion) {
    for (group, exchanges) in
        [("model call", traffic::model_calls()), ("other traffic", traffic::other_traffic())]
    {
        let mut group = criterion.benchmark_group(group);
        for exchange in &exchanges {
            group.throughput(Throughput::Bytes(exchange.size()));
            group.bench_function(BenchmarkId::new("meter", exchange.name), |bencher| {
                bencher.iter(|| {
                    let mut pipeline = Pipeline::new(FingerprintKey::new([1; 32]));
                    let calls = black_box(exchange).run(&mut pipeline, 1, Timestamp::UNIX_EPOCH);
                    assert_eq!(calls, exchange.calls);
                });
            });
            group.bench_function(BenchmarkId::new("copy", exchange.name), |bencher| {
                let exchange = black_box(exchange);
                bencher.iter(|| (exchange.request.clone(), exchange.answer.clone()));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, pipeline);
criterion_main!(benches);
