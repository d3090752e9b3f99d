//! The event ABI: what the probes in the kernel and the daemon that reads them agree on.
//!
//! Nothing here is versioned, because both halves are always built from one source tree and the
//! object is embedded in the binary. Every layout is asserted at compile time, on both targets.

#![no_std]
#![forbid(unsafe_code)]

pub mod block;
pub mod flow;
pub mod limit;
pub mod loss;
pub mod name;
pub mod policy;
pub mod record;
pub mod sealed;
