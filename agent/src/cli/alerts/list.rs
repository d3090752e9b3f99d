//! `weir alerts list` and `show`: findings, silences and webhooks.

use std::fmt::Write as _;
use std::io::Write as _;

use comfy_table::Cell;
use weir_core::alert::{AlertView, AlertsReport, Phase, Sent, SilenceView, ToldView, WebhookView};
use weir_core::detect::Finding;
use weir_core::units::Timestamp;

use super::Connection;
use crate::cli::connection::{converse, explain, health, read};
use crate::cli::name::{Names, printable};
use crate::cli::output::table as blank_table;
use crate::cli::span::target;
use crate::exit::Exit;

/// Digits of an id that tell it from others well enough.
const ID_SHOWN: usize = 8;

/// List what is wrong, who was told of it, what is silenced, and how it goes with webhooks.
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// With what is over, of the last week
    #[arg(long)]
    all: bool,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

/// Show one finding: its evidence, what to do, and who was told.
#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// Its id, or the start of it
    id: String,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For reading
    Table,
    /// Exact and complete, as the API answers it
    Json,
}

impl List {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let parameters = [("all", self.all.then(|| "true".to_owned()))];
        print(&self.connection, &target("/v1/alerts", &parameters), self.format, |body, names| {
            Ok(tables(&read(body)?, names))
        })
    }
}

impl Show {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let target = target("/v1/alert", &[("id", Some(self.id))]);
        print(&self.connection, &target, self.format, |body, names| Ok(shown(&read(body)?, names)))
    }
}

fn print(
    connection: &Connection,
    target: &str,
    format: Format,
    text: impl FnOnce(&[u8], &Names) -> anyhow::Result<String>,
) -> anyhow::Result<Exit> {
    let client = connection.client()?;
    let (names, body) = converse(async {
        let names = Names::of(&health(&client).await?);
        Ok((names, client.get(target).await.map_err(explain)?))
    })?;
    let text = match format {
        Format::Table => text(&body, &names)?,
        Format::Json => format!("{}\n", String::from_utf8_lossy(&body)),
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(Exit::Ok)
}

fn tables(report: &AlertsReport, names: &Names) -> String {
    let AlertsReport { alerts, silences, webhooks, forgotten } = report;
    let mut text = if alerts.is_empty() {
        "Nothing is wrong.\n".to_owned()
    } else {
        let titles = ["ID", "SINCE", "SEVERITY", "STATE", "DETECTOR", "WHO", "TOLD", "WHAT"];
        let rows = alerts.iter().map(|alert| row(alert, names));
        lines(&titles, rows)
    };
    if *forgotten > 0 {
        let _ = writeln!(text, "{forgotten} more were forgotten for want of room.");
    }
    if !silences.is_empty() {
        let rows = silences.iter().map(silenced);
        text += "\n";
        text += &lines(&["SILENCE", "UNTIL", "OF", "WHY"], rows);
    }
    if !webhooks.is_empty() {
        let titles = ["WEBHOOK", "TAKEN", "WAITING", "DEAD", "DROPPED", "HOW IT IS"];
        text += "\n";
        text += &lines(&titles, webhooks.iter().map(webhook));
    }
    let dead = webhooks.iter().flat_map(|webhook| {
        webhook.dead.iter().map(|letter| {
            let notification = printable(&letter.notification.0);
            [notification, webhook.webhook.clone(), moment(letter.time), letter.problem.to_string()]
        })
    });
    let dead: Vec<_> = dead.collect();
    if !dead.is_empty() {
        text += "\n";
        text += &lines(&["DEAD", "WEBHOOK", "GIVEN UP", "WHY"], dead.into_iter());
    }
    text
}

fn row(alert: &AlertView, names: &Names) -> [String; 8] {
    let Finding { id, since, severity, detector, summary, .. } = &alert.finding;
    let told: Vec<_> = alert.told.iter().map(told).collect();
    [
        printable(id.0.get(..ID_SHOWN).unwrap_or(&id.0)),
        moment(*since),
        severity.to_string(),
        phase(alert.phase).to_owned(),
        detector.to_string(),
        whom(&alert.finding, names),
        if told.is_empty() { "-".to_owned() } else { told.join(", ") },
        printable(summary),
    ]
}

fn silenced(SilenceView { id, silence }: &SilenceView) -> [String; 4] {
    let of: Vec<_> = silence.matchers.iter().map(ToString::to_string).collect();
    [
        printable(id.get(..ID_SHOWN).unwrap_or(id)),
        moment(silence.until),
        printable(&of.join(" ")),
        silence.comment.as_deref().map_or_else(|| "-".to_owned(), printable),
    ]
}

fn webhook(webhook: &WebhookView) -> [String; 6] {
    let how = match (webhook.gone, webhook.failing_since, webhook.last_success) {
        (Some(since), ..) => format!("wants nothing since {}", moment(since)),
        (None, Some(since), _) => {
            let why = webhook.problem.map_or_else(String::new, |problem| format!(": {problem}"));
            format!("fails since {}{why}", moment(since))
        }
        (None, None, Some(last)) => format!("took something at {}", moment(last)),
        (None, None, None) => "was not told anything yet".to_owned(),
    };
    [
        webhook.webhook.clone(),
        webhook.delivered.to_string(),
        webhook.waiting.to_string(),
        (webhook.dead.len() as u64 + webhook.dead_forgotten).to_string(),
        webhook.dropped.to_string(),
        how,
    ]
}

/// One finding with all that is known of it.
fn shown(alert: &AlertView, names: &Names) -> String {
    let Finding { id, time, since, severity, detector, summary, evidence, next_step, .. } =
        &alert.finding;
    let mut text = String::new();
    let mut say = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<11}{}", printable(value));
    };
    say("id", &id.0);
    say("what", summary);
    say("next step", next_step);
    say("detector", detector.as_str());
    say("severity", severity.as_str());
    say("state", phase(alert.phase));
    say("who", &whom(&alert.finding, names));
    let (kind, name) = alert.finding.subject.parts();
    say("about", &format!("{kind} {name}"));
    for (name, value) in [("owner", &alert.finding.owner), ("team", &alert.finding.team)] {
        if let Some(value) = value {
            say(name, value);
        }
    }
    say("since", &moment(*since));
    say("seen", &moment(*time));
    let standards: Vec<_> = detector.owasp().iter().chain(detector.nist_csf()).copied().collect();
    say("standards", &standards.join(", "));
    for (name, value) in &evidence.details {
        say("evidence", &format!("{name}: {value}"));
    }
    for call in &evidence.calls {
        say("call", &call.0);
    }
    if let Some(silence) = &alert.silenced_by {
        say("silence", silence);
    }
    if let Some(critical) = &alert.inhibited_by {
        say("behind", &critical.0);
    }
    if let (Some(time), Some(uid)) = (alert.acked, alert.acked_by) {
        let comment = alert.comment.as_deref().unwrap_or_default();
        say("acked", &format!("{} by user {uid} {comment}", moment(time)));
    }
    for view in &alert.told {
        say("told", &format!("{} at {}", told(view), moment(view.time)));
    }
    text
}

fn told(ToldView { webhook, sent, resolved, .. }: &ToldView) -> String {
    match (sent, resolved) {
        (Sent::Done, false) => webhook.clone(),
        (Sent::Done, true) => format!("{webhook} (over)"),
        (Sent::Waiting, _) => format!("{webhook} (waiting)"),
        (Sent::Dead, _) => format!("{webhook} (dead)"),
    }
}

fn whom(finding: &Finding, names: &Names) -> String {
    let name = match &finding.identity {
        Some(identity) => names.short(&identity.0),
        None => finding.subject.parts().1,
    };
    printable(name)
}

const fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Firing => "firing",
        Phase::Acknowledged => "acked",
        Phase::Silenced => "silenced",
        Phase::Inhibited => "inhibited",
        Phase::Resolved => "over",
    }
}

/// A time to the minute, in UTC.
fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M").to_string()
}

fn lines<const N: usize>(titles: &[&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut table = blank_table(titles, &[]);
    for row in rows {
        table.add_row(row.map(Cell::new));
    }
    let lines = table.lines().map(|line| format!("{}\n", line.trim_end()));
    lines.collect()
}
