//! `weir identity show`: all that is known of one identity.
//!
//! ```text
//! $ weir identity show unit/support.service
//! identity     unit/support.service
//! kind         unit
//! state        active
//! …
//! ```

use std::fmt::Write as _;
use std::io::Write as _;

use weir_core::units::Timestamp;

use super::say::sentence;
use crate::cli::connection::{Connection, converse, explain, health, read};
use crate::cli::identities::{owner, spent, state};
use crate::cli::name::{Names, printable};
use crate::cli::output::{counted, grouped};
use crate::cli::span::target;
use crate::exit::Exit;
use crate::ledger::{IdentityDetail, Sightings, Values};

/// Show all that is known of one identity, and what was said of it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir identity show unit/support.service
  weir identity show spiffe://weir.local/host/web-1/unit/support.service --format json")]
pub(super) struct Arguments {
    /// Its name, as tables show it or in full
    #[arg(value_name = "NAME")]
    name: String,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For reading
    Text,
    /// Exact and complete, as the API answers it
    Json,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let client = self.connection.client()?;
        let (names, body) = converse(async {
            let names = Names::of(&health(&client).await?);
            let target = target("/v1/identity", &[("identity", Some(names.long(&self.name)))]);
            Ok((names, client.get(&target).await.map_err(explain)?))
        })?;
        let text = match self.format {
            Format::Text => text(&read(&body)?, &names),
            Format::Json => format!("{}\n", String::from_utf8_lossy(&body)),
        };
        std::io::stdout().write_all(text.as_bytes())?;
        Ok(Exit::Ok)
    }
}

fn text(detail: &IdentityDetail, names: &Names) -> String {
    let identity = &detail.identity;
    let mut text = String::new();
    let mut line = |title: &str, value: &str| {
        if !value.is_empty() {
            // Writing to a string can't fail.
            let _ = writeln!(text, "{title:<14}{value}");
        }
    };
    line("identity", &printable(names.short(&identity.identity.0)));
    let old = identity.renamed_from.iter().map(|name| printable(names.short(name)));
    line("known as", &old.collect::<Vec<_>>().join(", "));
    line("kind", identity.kind.as_str());
    line("state", &state(identity));
    line("owner", &owner(identity));
    if let Some(assigned) = &identity.assigned {
        let said = [
            ("rule", Some(&assigned.rule)),
            ("team", assigned.team.as_ref()),
            ("product line", assigned.product_line.as_ref()),
            ("cost centre", assigned.cost_center.as_ref()),
            ("environment", assigned.environment.as_ref()),
        ];
        for (title, value) in said {
            line(title, &printable(value.map_or("", String::as_str)));
        }
        let labels = assigned.labels.iter().map(|(name, value)| format!("{name}={value}"));
        line("labels", &printable(&labels.collect::<Vec<_>>().join(", ")));
    }
    line("first seen", &second(identity.first_seen));
    line("last seen", &second(identity.last_seen));
    line("hosts", &identity.hosts.join(", "));
    let uids: Vec<_> = identity.uids.iter().map(ToString::to_string).collect();
    line("uids", &uids.join(", "));
    line("providers", &all(&identity.providers));
    line("endpoints", &all(&identity.endpoints));
    line("models", &all(&identity.models));
    line("credentials", &all(&identity.credentials));
    line("plain HTTP", &plain(identity.plain_http.network.as_ref(), ""));
    line("plain HTTP", &plain(identity.plain_http.loopback.as_ref(), " on loopback"));
    line("calls", &grouped(identity.usage.calls));
    line("errors", &grouped(identity.usage.errors));
    line("input", &grouped(identity.usage.tokens.input_total()));
    line("output", &grouped(identity.usage.tokens.output_total()));
    line("cost", &spent(&identity.usage));
    for change in &detail.changes {
        let reason = change.reason.as_deref().map(|reason| format!(": {}", printable(reason)));
        let said = format!(
            "{} by uid {}{}",
            sentence(change, names),
            change.uid,
            reason.unwrap_or_default()
        );
        line("", &format!("{}  {said}", second(change.time)));
    }
    text
}

fn all(values: &Values) -> String {
    let mut all: Vec<_> = values.values.iter().map(|value| printable(value)).collect();
    if values.others > 0 {
        all.push("and others".to_owned());
    }
    all.join(", ")
}

/// `3 connections on loopback, not metered, from … to …`; empty if there were none.
fn plain(sightings: Option<&Sightings>, place: &str) -> String {
    let Some(Sightings { connections, first_seen, last_seen, places: _ }) = sightings else {
        return String::new();
    };
    let connections = counted(*connections, "connection", "connections");
    let (first, last) = (second(*first_seen), second(*last_seen));
    format!("{connections}{place}, not metered, from {first} to {last}")
}

fn second(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
