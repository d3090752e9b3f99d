//! HTTP/1.1 connections, and the WebSockets that they turn into.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_core::http::h1::Connection;
use weir_fuzz::exchanges::{drive, drive_raw};

/// Both directions may hold the longest head, or a message of a session and what it was before it
/// was compressed, in buffers that have grown by doubling.
const MAX_FOOTPRINT: usize = 2 * 2 * 2 * 8 * 1024 * 1024;

fuzz_target!(|data: &[u8]| {
    drive(Connection::new(0), MAX_FOOTPRINT, data);
    drive_raw(Connection::new(0), data);
});
