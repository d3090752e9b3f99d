//! What fuzz targets have in common: cutting bytes into parts, sequences of pipeline inputs as bytes,
//! and what holds of the exchanges of any connection.

#![forbid(unsafe_code)]

pub mod exchanges;
pub mod traffic;

/// Cuts `data` into parts, the same way whenever it is the same: where depends on all of its bytes,
/// so that the fuzzer finds its own cuts and seeds need nothing in front. There is at least one part.
#[must_use]
pub fn parts(data: &[u8]) -> Vec<&[u8]> {
    // FNV-1a, and then the generator of Knuth's MMIX.
    let mut state = data.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut rest = data;
    let mut parts = Vec::new();
    loop {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Short parts and long ones.
        let bits = 1 + (state >> 60) % 9;
        let length = 1 + usize::try_from((state >> 40) & ((1 << bits) - 1)).unwrap_or(0);
        let (part, after) = rest.split_at(length.min(rest.len()));
        parts.push(part);
        rest = after;
        if rest.is_empty() {
            return parts;
        }
    }
}
