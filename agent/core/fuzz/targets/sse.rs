//! Event streams: any cut gives the same events, and no more is held than the longest event.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_core::http::sse::{MAX_EVENT, Splitter};
use weir_fuzz::parts;

fn read(parts: &[&[u8]]) -> (Vec<Vec<u8>>, u64) {
    let mut splitter = Splitter::default();
    let mut events = Vec::new();
    for part in parts {
        splitter.feed(part, |data| events.push(data.to_vec()));
        assert!(splitter.footprint() <= 4 * MAX_EVENT);
    }
    (events, splitter.dropped())
}

fuzz_target!(|data: &[u8]| {
    let whole = read(&[data]);
    assert_eq!(whole, read(&parts(data)));
    assert!(whole.0.iter().map(Vec::len).sum::<usize>() <= data.len());
});
