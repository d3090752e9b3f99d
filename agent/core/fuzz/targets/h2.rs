//! HTTP/2 connections.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_core::http::h2::Connection;
use weir_fuzz::exchanges::{drive, drive_raw};

/// Both directions may hold the longest header block and the largest table.
const MAX_FOOTPRINT: usize = 1024 * 1024;

fuzz_target!(|data: &[u8]| {
    drive(Connection::new(0), MAX_FOOTPRINT, data);
    drive_raw(Connection::new(0), data);
});
