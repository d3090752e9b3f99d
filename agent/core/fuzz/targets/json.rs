//! JSON: any cut gives the same values, of one text and of several in a row, and a text that
//! `serde_json` takes is whole.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_core::provider::fuzzing::{json, texts};
use weir_fuzz::parts;

fuzz_target!(|data: &[u8]| {
    let parts = parts(data);
    let whole = json(&[data], false);
    assert_eq!(whole, json(&parts, false));
    assert_eq!(json(&[data], true), json(&parts, true));
    assert_eq!(texts(&[data]), texts(&parts));
    // A number at the very end has none: more digits could come.
    if matches!(data.trim_ascii_start().first(), Some(b'{' | b'['))
        && serde_json::from_slice::<serde_json::Value>(data).is_ok()
        && !is_deep(data)
    {
        assert!(whole.1);
    }
});

/// Whether it may be nested more deeply than is read.
fn is_deep(data: &[u8]) -> bool {
    data.iter().filter(|byte| matches!(byte, b'{' | b'[')).count() > 60
}
