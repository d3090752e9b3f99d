//! Placeholder.

pub mod config;
pub mod exit;
pub mod ledger;
