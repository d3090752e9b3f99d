//! Weeks of labelled traffic in seconds, under a simulated clock.
//!
//! - [`world`]: who is on a host, and what happens there, line by line of the log.
//! - [`habit`]: what benign workloads do.
//! - [`incident`]: what goes wrong, and what must be found then, of whom and how soon.
//! - [`trial`]: shows a world to the detectors, and compares what they find with what is true.
//! - [`table`]: what came of trials, in numbers.
//!
//! All of it follows from a seed. Detectors see what they see in the daemon: records as the log has them,
//! ticks, and restarts from what they wrote down.

pub mod habit;
pub mod incident;
pub mod table;
pub mod trial;
pub mod world;
