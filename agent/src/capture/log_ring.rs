//! The probes' own log goes on to `tracing`.

use log::{Level, Log, Metadata, Record};
use tracing::{debug, error, info, trace, warn};

/// What aya hands log records to.
#[derive(Clone, Copy, Debug)]
pub(super) struct ToTracing;

impl Log for ToTracing {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let message = record.args();
        let module = record.target();
        match record.level() {
            Level::Error => error!(module, "{message}"),
            Level::Warn => warn!(module, "{message}"),
            Level::Info => info!(module, "{message}"),
            Level::Debug => debug!(module, "{message}"),
            Level::Trace => trace!(module, "{message}"),
        }
    }

    fn flush(&self) {}
}
