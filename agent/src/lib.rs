//! Placeholder.

pub mod host;
