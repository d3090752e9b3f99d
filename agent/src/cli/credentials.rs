//! `weir credentials`: which credentials were used, by whom, and how they travelled.
//!
//! ```text
//! $ weir credentials
//! FINGERPRINT                       KIND        PROVIDERS  ACCOUNT    AGE  LAST SEEN   CALLS  IN           IDENTITIES
//! 5c1f0a2b7d3e4f60a1b2c3d4e5f60718  openai_key  openai     proj_abc  12 d  2026-11-23  1,204  header       unit/support.service
//! 0b9d8c7e6f5a4b3c2d1e0f9a8b7c6d5e  bearer      openai     -          1 d  2026-11-23     17  header, url  unit/a.service, unit/b.service
//! ```
//!
//! A fingerprint stands for a credential, which can't be found from it. AGE is since it was first seen
//! here: it may be older. A credential in a URL is also in the logs of proxies. One in plain HTTP could be
//! read by whoever was on the way, unless it was on loopback.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use comfy_table::Cell;
use weir_core::http::{CredentialKind, CredentialPlace};

use super::connection::{Connection, converse, explain, health, read};
use super::identities::{Format, day, footer, joined, listed};
use super::name::{Names, printable};
use super::output::{grouped, table as blank_table};
use super::span::target;
use crate::exit::Exit;
use crate::ledger::{KnownCredential, KnownCredentials, Values};

/// Ids that say whose account a credential belongs to, the most telling first.
const ACCOUNTS: [&str; 8] = [
    "openai_project",
    "openai_organization",
    "anthropic_workspace",
    "google_user_project",
    "chatgpt_account",
    "aws_access_key_id",
    "claim_sub",
    "claim_iss",
];

/// Show which credentials were used, by whom, and how they travelled.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir credentials
  weir credentials --provider openai --format csv
  weir credentials --format json | jq '.credentials[] | select(.places.url)'")]
pub(super) struct Arguments {
    /// Only those that were used with this provider
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Only those that this identity used
    #[arg(long, value_name = "ID")]
    identity: Option<String>,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let client = self.connection.client()?;
        let (names, body) = converse(async {
            let names = Names::of(&health(&client).await?);
            let identity = self.identity.map(|identity| names.long(&identity));
            let parameters = [("provider", self.provider), ("identity", identity)];
            let body =
                client.get(&target("/v1/credentials", &parameters)).await.map_err(explain)?;
            Ok((names, body))
        })?;
        let text = match self.format {
            Format::Table => table(&read(&body)?, &names),
            Format::Json => format!("{}\n", String::from_utf8_lossy(&body)),
            Format::Csv => csv(&read(&body)?)?,
        };
        std::io::stdout().write_all(text.as_bytes())?;
        Ok(Exit::Ok)
    }
}

fn table(report: &KnownCredentials, names: &Names) -> String {
    if report.credentials.is_empty() {
        return format!("No credentials.\n{}", footer(report.begins, report.forgotten));
    }
    let mut table = blank_table(
        &[
            "FINGERPRINT",
            "KIND",
            "PROVIDERS",
            "ACCOUNT",
            "AGE",
            "LAST SEEN",
            "CALLS",
            "IN",
            "IDENTITIES",
        ],
        &["AGE", "CALLS"],
    );
    for credential in &report.credentials {
        let short = credential.identities.values.iter().map(|name| names.short(name).to_owned());
        let identities = Values { values: short.collect(), others: credential.identities.others };
        table.add_row([
            Cell::new(printable(&credential.fingerprint)),
            Cell::new(kind(credential.kind)),
            Cell::new(listed(&credential.providers)),
            Cell::new(account(&credential.ids)),
            Cell::new(age(credential.age_seconds)),
            Cell::new(day(credential.last_seen)),
            Cell::new(grouped(credential.usage.calls)),
            Cell::new(places(credential, ", ", ["plain HTTP", "plain HTTP on loopback"])),
            Cell::new(listed(&identities)),
        ]);
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    format!("{text}\n{}", footer(report.begins, report.forgotten))
}

fn csv(report: &KnownCredentials) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([
        "fingerprint",
        "kind",
        "providers",
        "ids",
        "first_seen",
        "last_seen",
        "age_seconds",
        "in",
        "identities",
        "calls",
        "cost_usd",
    ])?;
    for credential in &report.credentials {
        let ids = credential.ids.iter().map(|(name, id)| format!("{name}={id}"));
        writer.write_record([
            printable(&credential.fingerprint),
            kind(credential.kind),
            joined(&credential.providers),
            printable(&ids.collect::<Vec<_>>().join(" ")),
            credential.first_seen.to_string(),
            credential.last_seen.to_string(),
            credential.age_seconds.to_string(),
            places(credential, " ", ["plain_http", "plain_http_loopback"]),
            joined(&credential.identities),
            credential.usage.calls.to_string(),
            credential.usage.cost.to_string(),
        ])?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// Its kind, as the API writes it.
fn kind(kind: Option<CredentialKind>) -> String {
    let name = kind.and_then(|kind| serde_json::to_value(kind).ok());
    name.as_ref().and_then(|name| name.as_str()).unwrap_or("-").to_owned()
}

fn account(ids: &BTreeMap<String, String>) -> String {
    let id = ACCOUNTS.iter().find_map(|name| ids.get(*name));
    id.map_or_else(|| "-".to_owned(), |id| printable(id))
}

/// Where it was, and how it was seen to travel without encryption.
fn places(credential: &KnownCredential, between: &str, ways: [&'static str; 2]) -> String {
    let plain = &credential.plain_http;
    let places: BTreeSet<_> = credential.places.keys().copied().chain(plain.places()).collect();
    let places = places.into_iter().map(|place| match place {
        CredentialPlace::Header => "header",
        CredentialPlace::Url => "url",
    });
    let seen = [plain.network.is_some(), plain.loopback.is_some()];
    let ways = ways.into_iter().zip(seen).filter_map(|(way, is_seen)| is_seen.then_some(way));
    places.chain(ways).collect::<Vec<_>>().join(between)
}

/// In the largest unit that fits.
fn age(seconds: u64) -> String {
    match seconds {
        0..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", grouped(seconds / 86_400)),
    }
}
