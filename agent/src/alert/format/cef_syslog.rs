//! CEF (ArcSight's Common Event Format, version 0) in lines of syslog (RFC 5424), one for each finding.

use weir_core::alert::Notification;
use weir_core::detect::{Finding, Severity, State};

use super::{Message, Telling, short, state, whom};

/// Most characters of a value; the specification has 1,023 for most.
const VALUE_MAX: usize = 1000;
/// Facility "log audit" (13).
const FACILITY: u8 = 13;

pub(super) fn message(telling: &Telling<'_>) -> Message {
    let Notification { id, time, reason, findings, .. } = telling.notification;
    let mut lines: Vec<_> = findings
        .iter()
        .map(|finding| {
            let head = header(telling, severity(finding), &finding.time.to_string());
            format!("{head}{}", event(telling, finding))
        })
        .collect();
    if lines.is_empty() {
        let head = header(telling, Severity::Informational, &time.to_string());
        let name = reason.as_str();
        let title = extension(&telling.title());
        let version = env!("CARGO_PKG_VERSION");
        lines.push(format!(
            "{head}CEF:0|weir|weir|{version}|{name}|weir {name}|0|externalId={} msg={title}",
            id.0
        ));
    }
    let body = lines.join("\n").into_bytes().into();
    Message { content_type: "text/plain", headers: Vec::new(), body }
}

fn event(telling: &Telling<'_>, finding: &Finding) -> String {
    let (kind, name) = finding.subject.parts();
    let detector = finding.detector.as_str();
    let version = env!("CARGO_PKG_VERSION");
    let mut event = format!(
        "CEF:0|weir|weir|{version}|{detector}|{}|{}|",
        detector.replace('_', " "),
        number(severity(finding))
    );
    let summary = extension(&finding.summary);
    for (key, value) in [
        ("externalId", finding.id.0.as_str()),
        ("act", state(finding.state)),
        ("dvchost", telling.host),
        ("suser", whom(finding)),
        ("start", &finding.since.as_millisecond().to_string()),
        ("end", &finding.time.as_millisecond().to_string()),
        ("cs1Label", "subject"),
        ("cs1", &format!("{kind}:{name}")),
        ("cs2Label", "owner"),
        ("cs2", finding.owner.as_deref().unwrap_or_default()),
        ("cs3Label", "team"),
        ("cs3", finding.team.as_deref().unwrap_or_default()),
        ("cs4Label", "nextStep"),
        ("cs4", &finding.next_step),
        ("cs5Label", "notification"),
        ("cs5", &telling.notification.id.0),
    ] {
        if !value.is_empty() {
            event.push_str(&format!("{key}={} ", extension(value)));
        }
    }
    event + "msg=" + &summary
}

/// Of what is over only that is worth knowing.
const fn severity(finding: &Finding) -> Severity {
    match finding.state {
        State::Firing => finding.severity,
        State::Resolved => Severity::Informational,
    }
}

/// `<priority>1 time host app process message-id structured-data `.
fn header(telling: &Telling<'_>, severity: Severity, time: &str) -> String {
    let level = match severity {
        Severity::Critical => 2,
        Severity::High => 3,
        Severity::Medium => 4,
        Severity::Low => 5,
        Severity::Informational => 6,
    };
    let host: String = telling.host.chars().filter(char::is_ascii_graphic).take(255).collect();
    format!("<{}>1 {time} {host} weir - finding - ", FACILITY * 8 + level)
}

/// From 0 to 10.
const fn number(severity: Severity) -> u8 {
    match severity {
        Severity::Informational => 0,
        Severity::Low => 3,
        Severity::Medium => 5,
        Severity::High => 8,
        Severity::Critical => 10,
    }
}

/// A value of an extension: what would end it, or begin another, is escaped.
fn extension(text: &str) -> String {
    let mut escaped = String::new();
    for character in short(text, VALUE_MAX).chars() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            '=' => escaped.push_str("\\="),
            '\n' | '\r' => escaped.push_str("\\n"),
            other if other.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}
