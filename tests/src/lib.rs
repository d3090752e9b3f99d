//! Placeholder.

pub mod ledger;
