//! Amazon's event streams: any cut gives the same messages, before and after a hole. The sums that a
//! fuzzer can't guess are set right first.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_core::http::event_stream::{MAX_MESSAGE, Reader};
use weir_fuzz::parts;

fn read(before: &[&[u8]], lost: u64, after: &[&[u8]]) -> (Vec<String>, u64) {
    let mut reader = Reader::default();
    let mut seen = Vec::new();
    for part in before {
        reader.feed(part, |message| seen.push(format!("{message:?}")));
        assert!(reader.footprint() <= 2 * MAX_MESSAGE);
    }
    if lost > 0 {
        reader.lose(lost);
    }
    for part in after {
        reader.feed(part, |message| seen.push(format!("{message:?}")));
        assert!(reader.footprint() <= 2 * MAX_MESSAGE);
    }
    (seen, reader.dropped())
}

/// Sets the sums of every message whose length can be true.
fn mend(data: &mut [u8]) {
    let mut rest = data;
    while rest.len() >= 16 {
        let total = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
        if !(16..=rest.len()).contains(&total) {
            return;
        }
        let (message, after) = rest.split_at_mut(total);
        let prelude = crc32(&message[..8]);
        message[8..12].copy_from_slice(&prelude.to_be_bytes());
        let sum = crc32(&message[..total - 4]);
        message[total - 4..].copy_from_slice(&sum.to_be_bytes());
        rest = after;
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            sum >> 1 ^ (0xedb8_8320 & 0u32.wrapping_sub(sum & 1))
        })
    })
}

fuzz_target!(|data: &[u8]| {
    assert_eq!(read(&[data], 0, &[]), read(&parts(data), 0, &[]));
    let mut data = data.to_vec();
    mend(&mut data);
    let whole = read(&[&data], 0, &[]);
    assert_eq!(whole, read(&parts(&data), 0, &[]));
    let (before, after) = data.split_at(data.len() / 2);
    let lost = u64::from(data.first().copied().unwrap_or(0)) + 1;
    assert_eq!(read(&[before], lost, &[after]), read(&parts(before), lost, &parts(after)));
});
