//! Content codings: any cut decodes to the same, and nothing grows beyond its bound.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_core::http::coding::{Decoder, Undecodable};
use weir_fuzz::parts;

const CODINGS: [&str; 6] = ["gzip", "deflate", "br", "zstd", "identity", "gzip, br"];
/// Of what is no bomb, as the room says.
const FREE_OUTPUT: usize = 8 * 1024 * 1024;
const MAX_RATIO: usize = 100;

/// What it decodes to, and how it ended. What comes before an error may depend on the cut.
fn decode(coding: &str, parts: &[&[u8]]) -> (Vec<u8>, Result<(), Undecodable>) {
    let mut decoder = Decoder::new(coding);
    let mut out = Vec::new();
    for part in parts {
        let result = decoder.feed(part, |plain| out.extend_from_slice(plain));
        if result.is_err() {
            return (out, result);
        }
    }
    (out, Ok(()))
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, data)) = data.split_first() else { return };
    let coding = CODINGS[usize::from(first) % CODINGS.len()];
    let (whole, ended) = decode(coding, &[data]);
    assert!(whole.len() <= FREE_OUTPUT.max(data.len() * MAX_RATIO));
    let (cut, also_ended) = decode(coding, &parts(data));
    if whole.len().max(cut.len()) >= FREE_OUTPUT {
        // How much a body may become depends on how much of it has come.
        return;
    }
    assert_eq!(ended, also_ended, "{coding}");
    if ended.is_ok() {
        assert!(whole == cut, "{coding}: {} bytes, or {}", whole.len(), cut.len());
    }
});
