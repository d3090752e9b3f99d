//! The IO shell of `weir`: everything that touches the kernel, the disk, a socket or a clock.
//! `ARCHITECTURE.md` beside this crate's manifest has the rooms and the flow between them.

pub mod alert;
pub mod capture;
pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod enforce;
pub mod exit;
pub mod host;
mod https;
pub mod ledger;
pub mod log;
pub mod preflight;
pub mod prices;
