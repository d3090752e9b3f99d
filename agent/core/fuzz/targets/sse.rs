//! Event streams: any cut gives the same events, and no more is held than the longest that is handed
//! out as a whole. An input of this fuzzer is shorter than that.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_core::http::sse::{MAX_WHOLE, Piece, Splitter};
use weir_fuzz::parts;

fn read(parts: &[&[u8]]) -> (Vec<Vec<u8>>, u64) {
    let mut splitter = Splitter::default();
    let mut events = Vec::new();
    for part in parts {
        splitter.feed(part, |piece| match piece {
            Piece::Whole(data) => events.push(data.to_vec()),
            Piece::Begin | Piece::Part(_) | Piece::End => unreachable!("{piece:?}"),
        });
        assert!(splitter.footprint() <= 2 * MAX_WHOLE);
    }
    (events, splitter.dropped())
}

fuzz_target!(|data: &[u8]| {
    let whole = read(&[data]);
    assert_eq!(whole, read(&parts(data)));
    assert!(whole.0.iter().map(Vec::len).sum::<usize>() <= data.len());
});
