//! Lines: any cut gives the same ones, and no more is held than the longest.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_core::http::ndjson::{Lines, MAX_LINE};
use weir_fuzz::parts;

fn read(parts: &[&[u8]]) -> (Vec<Vec<u8>>, u64) {
    let mut lines = Lines::default();
    let mut seen = Vec::new();
    for part in parts {
        lines.feed(part, |line| seen.push(line.to_vec()));
        assert!(lines.footprint() <= 2 * MAX_LINE);
    }
    lines.end(|line| seen.push(line.to_vec()));
    (seen, lines.dropped())
}

fuzz_target!(|data: &[u8]| {
    let whole = read(&[data]);
    assert_eq!(whole, read(&parts(data)));
    assert!(whole.0.iter().map(Vec::len).sum::<usize>() <= data.len());
});
