//! Placeholder.
pub mod ledger;
