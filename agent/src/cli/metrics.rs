//! `weir metrics`: the daemon's counters in the form that Prometheus reads (OpenMetrics text).
//!
//! ```text
//! $ weir metrics > /var/lib/node_exporter/textfile/weir.prom
//! $ weir metrics | grep blind
//! weir_blind_connections_total{reason="jvm"} 4
//! ```
//!
//! The same is at `/v1/metrics` of the socket.

use std::io::Write;

use super::connection::{Connection, converse, explain};
use crate::exit::Exit;

/// Print the daemon's counters in the form that Prometheus reads.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir metrics
  weir metrics > /var/lib/node_exporter/textfile/weir.prom")]
pub(super) struct Arguments {
    #[command(flatten)]
    connection: Connection,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let client = self.connection.client()?;
        let text = converse(async { client.get("/v1/metrics").await.map_err(explain) })?;
        std::io::stdout().write_all(&text)?;
        Ok(Exit::Ok)
    }
}
