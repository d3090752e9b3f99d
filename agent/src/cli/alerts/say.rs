//! `weir alerts ack`, `silence`, `unsilence` and `replay`: what an administrator says. Each returns once it
//! is on the disk.

use std::io::Write as _;

use anyhow::Context as _;
use weir_core::alert::{AlertEvent, Matcher};
use weir_core::units::Timestamp;

use super::Connection;
use crate::cli::connection::{converse, explain, read};
use crate::cli::span::target;
use crate::control::when;
use crate::exit::Exit;

/// Say that somebody takes care of a finding: it isn't told again while it goes on. For root only.
#[derive(Debug, clap::Args)]
pub(super) struct Ack {
    /// Its id, or the start of it
    id: String,
    /// Who takes care, or how
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Have nobody told of some findings for a while. For root only.
///
/// Whoever was told of a beginning is told of the end anyway.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Conditions are LABEL=VALUE or LABEL!=VALUE, all of which must be fulfilled. Labels are
detector, severity, identity, subject, owner, team and finding; a * at the end of a value stands
for anything.

Example:
  weir alerts silence detector=off_hours team=support --for 8h --comment 'night shift'"
)]
pub(super) struct Silence {
    /// Of which findings
    #[arg(value_name = "CONDITION", required = true)]
    matchers: Vec<Matcher>,
    /// For how long: 90m, 24h, 7d
    #[arg(long = "for", value_name = "TIME", default_value = "1h")]
    lasting: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// End a silence before its time. For root only.
#[derive(Debug, clap::Args)]
pub(super) struct Unsilence {
    /// Its id, or the start of it, as `weir alerts` shows it
    id: String,
    #[command(flatten)]
    connection: Connection,
}

/// Have told again what could not be told. For root only.
#[derive(Debug, clap::Args)]
pub(super) struct Replay {
    /// One notification, as `weir alerts` shows it [default: all]
    id: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

impl Ack {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let parameters = [("id", Some(self.id)), ("comment", self.comment)];
        say(&self.connection, &target("/v1/alerts/ack", &parameters), |_event| {
            "acknowledged: it isn't repeated".to_owned()
        })
    }
}

impl Silence {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let now = Timestamp::now();
        // A date is a time, too, but not how long something lasts.
        let is_lasting = !self.lasting.contains('-');
        let ago = when::parse(&self.lasting, now).ok().filter(|ago| is_lasting && *ago < now);
        let lasting = ago.map(|ago| now.duration_since(ago));
        let until = lasting.and_then(|lasting| now.checked_add(lasting).ok());
        let until = until
            .with_context(|| format!("{:?} is not a time such as 90m, 24h or 7d", self.lasting))
            .context(Exit::Usage)?;
        let matchers: Vec<_> = self.matchers.iter().map(ToString::to_string).collect();
        let parameters = [
            ("match", Some(matchers.join("\n"))),
            ("until", Some(until.to_string())),
            ("comment", self.comment),
        ];
        say(&self.connection, &target("/v1/alerts/silence", &parameters), |event| {
            format!("silenced until {}: {}", until.strftime("%Y-%m-%d %H:%M UTC"), event.id)
        })
    }
}

impl Unsilence {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let target = target("/v1/alerts/unsilence", &[("id", Some(self.id))]);
        say(&self.connection, &target, |_event| "the silence is over".to_owned())
    }
}

impl Replay {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let target = target("/v1/alerts/replay", &[("id", self.id)]);
        say(&self.connection, &target, |_event| "it is told again".to_owned())
    }
}

fn say(
    connection: &Connection,
    target: &str,
    sentence: impl FnOnce(&AlertEvent) -> String,
) -> anyhow::Result<Exit> {
    let client = connection.client()?;
    let body = converse(async { client.post(target).await.map_err(explain) })?;
    writeln!(std::io::stdout(), "{}", sentence(&read(&body)?))?;
    Ok(Exit::Ok)
}
