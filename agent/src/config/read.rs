//! From the text of a configuration file to a [`Config`].

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};
use weir_core::alert::Settings;
use weir_core::blind::HostPattern;
use weir_core::detect::budget::Budget;
use weir_core::identity::Rules;

use super::budget::budgets;
use super::detect;
use super::enforce::{self, Enforce};
use super::kubernetes::{self, Kubernetes};
use super::problem::{ConfigError, Found};
use super::rules::rules;
use super::section::{Section, count, shares_line, text as string};
use super::units::{ByteSize, Days, Seconds};
use super::webhook::{Webhook, alerts, webhooks};
use super::{Config, LogFormat, LogLevel, Overrides, default_fingerprint_key_file};

/// A configuration is a page; what is longer is not one.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// What a file says; `None` where it leaves the default.
#[derive(Default)]
pub(super) struct Draft {
    state_dir: Option<PathBuf>,
    socket: Option<PathBuf>,
    host: Option<String>,
    trust_domain: Option<String>,
    ring_bytes: Option<ByteSize>,
    programs: Option<Vec<PathBuf>>,
    sweep_seconds: Option<Seconds>,
    watch: Option<bool>,
    hosts: Option<Vec<HostPattern>>,
    after_seconds: Option<Seconds>,
    retention_days: Option<Days>,
    fingerprint_key_file: Option<PathBuf>,
    enforce: Enforce,
    kubernetes: Option<Kubernetes>,
    prices_dir: Option<PathBuf>,
    group: Option<String>,
    auditor_group: Option<String>,
    level: Option<LogLevel>,
    format: Option<LogFormat>,
    detect: weir_core::detect::Settings,
    rules: Rules,
    budgets: Vec<Budget>,
    alerts: Settings,
    webhooks: Vec<Webhook>,
}

pub(super) fn file(path: &Path, overrides: Overrides) -> Result<Config, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let mut content = String::new();
    file.take(MAX_FILE_BYTES).read_to_string(&mut content).map_err(unreadable)?;
    text(&content, path, overrides)
}

pub(super) fn text(
    content: &str,
    path: &Path,
    overrides: Overrides,
) -> Result<Config, ConfigError> {
    let (table, syntax) = DeTable::parse_recoverable(content);
    let broken: Vec<_> = syntax.iter().map(|error| error.span().unwrap_or(0..0)).collect();
    let mut found = Vec::new();
    let draft = draft(table.into_inner(), &mut found);
    found.retain(|problem| !shares_line(content, &problem.span, &broken));
    found.extend(syntax.iter().zip(broken).map(|(error, span)| Found {
        span,
        key: None,
        message: error.message().to_owned(),
    }));
    if found.is_empty() {
        return Ok(merge(draft, overrides));
    }
    found.sort_by_key(|problem| problem.span.start);
    let problems = found.into_iter().map(|problem| problem.locate(content)).collect();
    Err(ConfigError::Invalid { path: path.to_owned(), problems })
}

/// Flags over file over defaults.
pub(super) fn merge(draft: Draft, overrides: Overrides) -> Config {
    let mut config = Config::default();
    set(&mut config.state_dir, overrides.state_dir.or(draft.state_dir));
    config.identity.fingerprint_key_file = default_fingerprint_key_file(&config.state_dir);
    set(&mut config.identity.fingerprint_key_file, draft.fingerprint_key_file);
    set(&mut config.socket, overrides.socket.or(draft.socket));
    set(&mut config.host, draft.host);
    set(&mut config.trust_domain, draft.trust_domain);
    set(&mut config.capture.ring_bytes, draft.ring_bytes);
    set(&mut config.capture.programs, draft.programs);
    set(&mut config.capture.sweep_seconds, draft.sweep_seconds);
    set(&mut config.blind_spots.watch, draft.watch);
    set(&mut config.blind_spots.hosts, draft.hosts);
    set(&mut config.blind_spots.after_seconds, draft.after_seconds);
    set(&mut config.ledger.retention_days, draft.retention_days);
    config.enforce = draft.enforce;
    config.kubernetes = draft.kubernetes;
    set(&mut config.prices.dir, draft.prices_dir);
    set(&mut config.control.group, draft.group);
    set(&mut config.control.auditor_group, draft.auditor_group);
    set(&mut config.log.level, draft.level);
    set(&mut config.log.format, draft.format);
    config.detect = draft.detect;
    config.rules = draft.rules;
    config.budgets = draft.budgets;
    config.alerts = draft.alerts;
    config.alerts.routes = draft.webhooks.iter().map(|webhook| webhook.route.clone()).collect();
    config.webhooks = draft.webhooks;
    config
}

/// Whether `text` can be one segment of an identity's path (SPIFFE-ID, section 2.2).
pub(super) fn is_path_segment(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !text.is_empty() && !matches!(text, "." | "..") && text.bytes().all(allowed)
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn draft(table: DeTable<'_>, found: &mut Vec<Found>) -> Draft {
    let mut top = Section::top(table, found);
    let mut draft = Draft {
        state_dir: top.take("state_dir", absolute_path),
        socket: top.take("socket", socket_path),
        host: top.take("host", host),
        trust_domain: top.take("trust_domain", trust_domain),
        ..Draft::default()
    };
    (draft.ring_bytes, draft.programs, draft.sweep_seconds) = top.table("capture", |section| {
        let bytes = section.take("ring_bytes", ring_bytes);
        (bytes, section.take("programs", programs), section.take("sweep_seconds", seconds))
    });
    (draft.watch, draft.hosts, draft.after_seconds) = top.table("blind_spots", |section| {
        let watch = section.take("watch", switch);
        (watch, section.take("hosts", hosts), section.take("after_seconds", seconds))
    });
    draft.retention_days = top.table("ledger", |section| section.take("retention_days", days));
    draft.fingerprint_key_file =
        top.table("identity", |section| section.take("fingerprint_key_file", absolute_path));
    draft.enforce = top.table("enforce", enforce::read);
    draft.kubernetes = top.table("kubernetes", kubernetes::read);
    draft.prices_dir = top.table("prices", |section| section.take("dir", absolute_path));
    (draft.group, draft.auditor_group) = top.table("control", |section| {
        (section.take("group", group), section.take("auditor_group", group))
    });
    (draft.level, draft.format) = top.table("log", |section| {
        (section.take("level", log_level), section.take("format", log_format))
    });
    draft.detect = top.table("detect", detect::read);
    draft.rules = rules(&mut top);
    draft.budgets = budgets(&mut top);
    draft.alerts = alerts(&mut top);
    draft.webhooks = webhooks(&mut top);
    top.finish();
    draft
}

pub(super) fn absolute_path(value: &DeValue<'_>) -> Result<PathBuf, String> {
    string(value)
        .filter(|path| path.starts_with('/') && !path.contains('\0'))
        .map(PathBuf::from)
        .ok_or_else(|| "an absolute path such as \"/var/lib/weir\"".to_owned())
}

fn socket_path(value: &DeValue<'_>) -> Result<PathBuf, String> {
    /// `sun_path` has 108 bytes, the last of which is 0 (unix(7)).
    const LONGEST: usize = 107;
    let path = absolute_path(value)?;
    if path.as_os_str().len() > LONGEST {
        return Err(format!("a path of at most {LONGEST} bytes"));
    }
    Ok(path)
}

fn host(value: &DeValue<'_>) -> Result<String, String> {
    string(value)
        .filter(|host| is_path_segment(host))
        .map(str::to_owned)
        .ok_or_else(|| "a name of letters, digits, `.`, `-` and `_`".to_owned())
}

fn trust_domain(value: &DeValue<'_>) -> Result<String, String> {
    string(value)
        .filter(|name| is_path_segment(name) && !name.bytes().any(|b| b.is_ascii_uppercase()))
        .map(str::to_owned)
        .ok_or_else(|| "a name of lower case letters, digits, `.`, `-` and `_`".to_owned())
}

fn ring_bytes(value: &DeValue<'_>) -> Result<ByteSize, String> {
    let size = count(value).map(ByteSize).or_else(|| string(value)?.parse().ok());
    size.filter(|size| size.0.is_power_of_two() && (1 << 16..=1 << 30).contains(&size.0))
        .ok_or_else(|| "a power of two from \"64KiB\" to \"1GiB\"".to_owned())
}

fn programs(value: &DeValue<'_>) -> Result<Vec<PathBuf>, String> {
    /// So many programs are no selection any more.
    const MOST: usize = 256;
    let DeValue::Array(paths) = value else {
        return Err("a list of absolute paths".to_owned());
    };
    if paths.len() > MOST {
        return Err(format!("at most {MOST} paths"));
    }
    paths.iter().map(|path| absolute_path(path.get_ref())).collect()
}

pub(super) fn switch(value: &DeValue<'_>) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| "true or false".to_owned())
}

fn hosts(value: &DeValue<'_>) -> Result<Vec<HostPattern>, String> {
    const MOST: usize = 256;
    let DeValue::Array(hosts) = value else {
        return Err("a list of hosts".to_owned());
    };
    if hosts.len() > MOST {
        return Err(format!("at most {MOST} hosts"));
    }
    let pattern = |host: &DeValue<'_>| string(host)?.parse().ok();
    let expected = || "hosts such as \"gateway.example\" or \"*.gateway.example\", or addresses";
    hosts.iter().map(|host| pattern(host.get_ref()).ok_or_else(|| expected().to_owned())).collect()
}

fn seconds(value: &DeValue<'_>) -> Result<Seconds, String> {
    count(value)
        .and_then(|count| u32::try_from(count).ok())
        .filter(|count| (1..=3600).contains(count))
        .map(Seconds)
        .ok_or_else(|| "a number of seconds from 1 to 3600".to_owned())
}

fn days(value: &DeValue<'_>) -> Result<Days, String> {
    count(value)
        .and_then(|count| u32::try_from(count).ok())
        .filter(|count| (1..=36_500).contains(count))
        .map(Days)
        .ok_or_else(|| "a number of days from 1 to 36500".to_owned())
}

fn group(value: &DeValue<'_>) -> Result<String, String> {
    string(value)
        .filter(|name| is_path_segment(name))
        .map(str::to_owned)
        .ok_or_else(|| "the name of a group such as \"weir\"".to_owned())
}

fn log_level(value: &DeValue<'_>) -> Result<LogLevel, String> {
    match string(value) {
        Some("error") => Ok(LogLevel::Error),
        Some("warn") => Ok(LogLevel::Warn),
        Some("info") => Ok(LogLevel::Info),
        Some("debug") => Ok(LogLevel::Debug),
        Some("trace") => Ok(LogLevel::Trace),
        Some(_) | None => Err("\"error\", \"warn\", \"info\", \"debug\" or \"trace\"".to_owned()),
    }
}

fn log_format(value: &DeValue<'_>) -> Result<LogFormat, String> {
    match string(value) {
        Some("text") => Ok(LogFormat::Text),
        Some("json") => Ok(LogFormat::Json),
        Some(_) | None => Err("\"text\" or \"json\"".to_owned()),
    }
}
