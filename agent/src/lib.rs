//! Placeholder.

pub mod config;
pub mod exit;
