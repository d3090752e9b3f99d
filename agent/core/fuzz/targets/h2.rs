//! HTTP/2 connections.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_core::http::h2::Connection;
use weir_fuzz::exchanges::{drive, drive_raw};

/// Both directions may hold the longest header block and the largest table, and each of a few
/// sessions, as many as fit an input, two messages of 8 MiB in buffers that have grown by doubling.
const MAX_FOOTPRINT: usize = 1024 * 1024 + 8 * 2 * 2 * 8 * 1024 * 1024;

fuzz_target!(|data: &[u8]| {
    drive(Connection::new(0), MAX_FOOTPRINT, data);
    drive_raw(Connection::new(0), data);
});
