//! End-to-end tests of `weir`: real clients make real TLS calls to a model server of ours that
//! remembers what it answered, and what `weir` says afterwards is compared with that, call by call.
//!
//! - [`server`]: the model server. It speaks each provider's wire form and keeps the [`truth`].
//! - [`play`]: how a request tells the server what to do.
//! - [`harness`]: starts the daemon and the clients, under several identities, and compares.
//!
//! None of these uses a type of `weir`: an error there can't hide by being shared. [`ledger`] does:
//! it serves the crash tests of that room.

pub mod harness;
pub mod ledger;
pub mod play;
pub mod server;
pub mod truth;
