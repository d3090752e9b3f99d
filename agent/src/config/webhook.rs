//! `[alerts]` and `[[webhook]]`: how findings are put together, and who is told of them in which form.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;
use weir_core::alert::{Label, Route, Settings};
use weir_core::detect::Severity;

use super::endpoint::Endpoint;
use super::read::{absolute_path, is_path_segment};
use super::section::{Section, count, text};

/// Most webhooks.
const WEBHOOKS_MAX: usize = 32;
/// Longest name of one, in bytes.
const NAME_MAX: usize = 64;

/// `[[webhook]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Its name, and what it is told.
    pub route: Route,
    /// Where it is.
    pub place: Place,
    /// In which form it is told.
    pub format: Format,
    /// A file with what it knows us by: keys to sign with, or a token. Its owner's alone.
    pub secret_file: Option<PathBuf>,
    /// The certificates, in PEM, one of which must have signed its own; those of the system if absent.
    pub ca_file: Option<PathBuf>,
}

/// Where a webhook is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Here.
    Url(Endpoint),
    /// Where this file says, because that is a secret. Its owner's alone.
    File(PathBuf),
}

/// In which form a webhook is told something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Standard Webhooks, signed.
    Standard,
    /// An incoming webhook of Slack.
    Slack,
    /// The Events API v2 of PagerDuty.
    Pagerduty,
    /// What Alertmanager sends to webhooks, version 4.
    Alertmanager,
    /// Detection Findings of OCSF.
    Ocsf,
    /// Splunk's HTTP Event Collector.
    SplunkHec,
    /// CEF in lines of syslog.
    CefSyslog,
}

impl Format {
    const ALL: [Self; 7] = [
        Self::Standard,
        Self::Slack,
        Self::Pagerduty,
        Self::Alertmanager,
        Self::Ocsf,
        Self::SplunkHec,
        Self::CefSyslog,
    ];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Slack => "slack",
            Self::Pagerduty => "pagerduty",
            Self::Alertmanager => "alertmanager",
            Self::Ocsf => "ocsf",
            Self::SplunkHec => "splunk-hec",
            Self::CefSyslog => "cef-syslog",
        }
    }

    /// Whether it needs a secret; `None` if it may have one.
    const fn needs_secret(self) -> Option<bool> {
        match self {
            Self::Standard | Self::Pagerduty | Self::SplunkHec => Some(true),
            Self::Alertmanager | Self::Ocsf => None,
            Self::Slack | Self::CefSyslog => Some(false),
        }
    }

    /// Whether it is for people, whom a heartbeat would wake.
    const fn is_for_people(self) -> bool {
        match self {
            Self::Slack | Self::Pagerduty => true,
            Self::Standard
            | Self::Alertmanager
            | Self::Ocsf
            | Self::SplunkHec
            | Self::CefSyslog => false,
        }
    }
}

/// Reads `[alerts]`.
pub(super) fn alerts(top: &mut Section<'_, '_>) -> Settings {
    let default = Settings::default();
    top.table("alerts", |section| {
        let given = section.take("group_by", group_by);
        let wait = section.take("group_wait_seconds", |value| seconds(value, 0, 3_600));
        let interval = section.take("group_interval_seconds", |value| seconds(value, 1, 86_400));
        let repeat = section.take("repeat_interval_seconds", |value| seconds(value, 60, 2_592_000));
        Some(Settings {
            group_by: given.unwrap_or_else(|| default.group_by.clone()),
            group_wait: wait.unwrap_or(default.group_wait),
            group_interval: interval.unwrap_or(default.group_interval),
            repeat_interval: repeat.unwrap_or(default.repeat_interval),
            routes: Vec::new(),
        })
    })
    .unwrap_or_default()
}

/// Reads the webhooks. Those that are wrong are noted and left out.
pub(super) fn webhooks(top: &mut Section<'_, '_>) -> Vec<Webhook> {
    let mut names = HashSet::new();
    let webhooks = top.tables("webhook", WEBHOOKS_MAX, |section| {
        let faults = section.faults();
        let webhook = webhook(section, faults);
        if let Some(webhook) = &webhook
            && !names.insert(webhook.route.webhook.clone())
        {
            section
                .refuse(format!("another webhook is called {:?} already", webhook.route.webhook));
        }
        webhook
    });
    webhooks.into_iter().flatten().collect()
}

fn webhook(section: &mut Section<'_, '_>, faults: usize) -> Option<Webhook> {
    let name = section.take("name", name);
    let url = section.take_unshown("url", endpoint);
    let url_file = section.take("url_file", absolute_path);
    let format = section.take("format", format);
    let secret_file = section.take("secret_file", absolute_path);
    let ca_file = section.take("ca_file", absolute_path);
    let min_severity = section.take("min_severity", severity);
    let send_resolved = section
        .take("send_resolved", |value| value.as_bool().ok_or_else(|| "true or false".to_owned()));
    let per_minute = section.take("per_minute", |value| {
        let count = count(value).and_then(|count| u32::try_from(count).ok());
        let count = count.filter(|count| (1..=600).contains(count));
        count.ok_or_else(|| "a number from 1 to 600".to_owned())
    });
    let heartbeat = section.take("heartbeat_seconds", |value| seconds(value, 60, 86_400));
    for key in ["name", "format"] {
        if !section.has(key) {
            section.refuse(format!("needs `{key}`"));
        }
    }
    match (section.has("url"), section.has("url_file")) {
        (true, true) => section.refuse_key("url_file", "has no meaning beside `url`"),
        (false, false) => section.refuse("needs `url` or `url_file`".to_owned()),
        (true, false) | (false, true) => {}
    }
    if let Some(format) = format {
        let has_secret = section.has("secret_file");
        match format.needs_secret() {
            Some(true) if !has_secret => section.refuse_key("format", "needs `secret_file`"),
            Some(false) if has_secret => {
                section.refuse_key("secret_file", "has no meaning with this format");
            }
            Some(_) | None => {}
        }
        if format.is_for_people() && heartbeat.is_some() {
            section.refuse_key("heartbeat_seconds", "would wake people: not with this format");
        }
        let is_syslog = url.as_ref().map(|url| !url.scheme.is_http());
        if is_syslog.is_some_and(|is_syslog| is_syslog != (format == Format::CefSyslog)) {
            section.refuse_key("url", "is syslog with `cef-syslog`, and HTTP with other formats");
        }
        if url.as_ref().is_some_and(|url| !url.scheme.is_encrypted()) && ca_file.is_some() {
            section.refuse_key("ca_file", "has no meaning without TLS");
        }
    }
    if section.faults() > faults {
        return None;
    }
    let place = url.map(Place::Url).or_else(|| url_file.map(Place::File))?;
    let route = Route {
        webhook: name?,
        min_severity: min_severity.unwrap_or(Severity::Low),
        send_resolved: send_resolved.unwrap_or(true),
        per_minute: per_minute.unwrap_or(30),
        heartbeat,
    };
    Some(Webhook { route, place, format: format?, secret_file, ca_file })
}

fn name(value: &DeValue<'_>) -> Result<String, String> {
    text(value)
        .filter(|name| is_path_segment(name) && name.len() <= NAME_MAX)
        .map(str::to_owned)
        .ok_or_else(|| format!("at most {NAME_MAX} letters, digits, `.`, `-` and `_`"))
}

fn endpoint(value: &DeValue<'_>) -> Result<Endpoint, String> {
    let url = text(value).ok_or_else(|| "a URL".to_owned())?;
    url.parse().map_err(|error: super::ParseEndpointError| error.to_string())
}

fn format(value: &DeValue<'_>) -> Result<Format, String> {
    let name = text(value).unwrap_or_default();
    Format::ALL.into_iter().find(|format| format.as_str() == name).ok_or_else(|| {
        let names: Vec<_> = Format::ALL.iter().map(|format| format.as_str()).collect();
        format!("one of {}", names.join(", "))
    })
}

fn severity(value: &DeValue<'_>) -> Result<Severity, String> {
    let name = text(value).unwrap_or_default();
    let found = Severity::ALL.into_iter().find(|severity| severity.as_str() == name);
    found.ok_or_else(|| {
        let names: Vec<_> = Severity::ALL.iter().map(|severity| severity.as_str()).collect();
        format!("one of {}", names.join(", "))
    })
}

fn group_by(value: &DeValue<'_>) -> Result<Vec<Label>, String> {
    let expected = || {
        let names: Vec<_> = Label::ALL.iter().map(|label| label.as_str()).collect();
        format!("a list of {}", names.join(", "))
    };
    let DeValue::Array(labels) = value else { return Err(expected()) };
    let mut known = Vec::new();
    for label in labels {
        let label = text(label.get_ref()).and_then(|label| label.parse().ok());
        let label = label.filter(|label| !known.contains(label)).ok_or_else(expected)?;
        known.push(label);
    }
    Ok(known)
}

fn seconds(value: &DeValue<'_>, least: u64, most: u64) -> Result<Duration, String> {
    let count = count(value).filter(|count| (least..=most).contains(count));
    count
        .map(Duration::from_secs)
        .ok_or_else(|| format!("a number of seconds from {least} to {most}"))
}
