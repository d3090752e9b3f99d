//! Placeholder.

pub mod cli;
pub mod config;
pub mod control;
pub mod exit;
pub mod ledger;
pub mod log;
pub mod preflight;
