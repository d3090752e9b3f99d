//! A small trial with a fixed seed, which must be perfect.

use weir_simulate::incident::Strength;
use weir_simulate::trial::{Size, run};

#[test]
fn everything_clear_is_found_and_nothing_else() {
    let outcome = run(1, Size { days: 42, benign: 1 }, Strength::Clear);
    let faults = outcome.faults();
    assert!(outcome.is_good(), "{} lines: {faults:#?}", outcome.lines);
}
