//! Usage as a table and as CSV.

use std::fmt::Write;

use comfy_table::Cell;
use weir_core::blind::Transport;
use weir_core::units::Timestamp;

use super::report::{Report, Sums};
use crate::cli::name::{Names, printable};
use crate::cli::output::{counted, dollars, grouped, table as blank_table};

const NUMBERS: [&str; 6] = ["CALLS", "ERRORS", "INPUT", "CACHED", "OUTPUT", "COST"];

/// The rows, their total, and what is not in them.
pub(super) fn table(report: &Report, names: &Names) -> String {
    let by: Vec<String> = report.by.iter().map(|key| key.to_uppercase()).collect();
    let titles: Vec<&str> = by.iter().map(String::as_str).chain(NUMBERS).collect();
    let mut table = blank_table(&titles, &NUMBERS);
    for row in &report.rows {
        let keys = report.by.iter().map(|key| match row.key(key) {
            Some(identity) if key == "identity" => printable(names.short(identity)),
            Some(value) => printable(value),
            None => "-".to_owned(),
        });
        table.add_row(keys.chain(numbers(&row.sums)).map(Cell::new));
    }
    if report.rows.len() > 1 && !by.is_empty() {
        let keys = report.by.iter().enumerate();
        let keys = keys.map(|(index, _)| if index == 0 { "TOTAL" } else { "" }.to_owned());
        table.add_row(keys.chain(numbers(&report.totals)).map(Cell::new));
    }
    let mut text = String::new();
    if report.rows.is_empty() {
        text.push_str("No calls.\n");
    } else {
        for line in table.lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text.push('\n');
    text.push_str(&footer(report));
    text
}

/// The rows with exact numbers. What is not known is an empty field.
pub(super) fn csv(report: &Report) -> anyhow::Result<String> {
    const COLUMNS: [&str; 12] = [
        "calls",
        "errors",
        "input_uncached",
        "cache_read",
        "cache_write",
        "output",
        "reasoning",
        "input_total",
        "output_total",
        "cost_usd",
        "unpriced_calls",
        "lost_bytes",
    ];
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(report.by.iter().map(String::as_str).chain(COLUMNS))?;
    for row in &report.rows {
        let Sums { calls, errors, tokens, cost_usd, unpriced_calls, lost_bytes } = &row.sums;
        let keys = report.by.iter().map(|key| printable(row.key(key).unwrap_or_default()));
        let numbers = [
            calls.to_string(),
            errors.to_string(),
            tokens.input_uncached.to_string(),
            tokens.cache_read.to_string(),
            tokens.cache_write().to_string(),
            tokens.output_total().to_string(),
            tokens.reasoning.to_string(),
            tokens.input_total().to_string(),
            tokens.output_total().to_string(),
            cost_usd.clone(),
            unpriced_calls.to_string(),
            lost_bytes.to_string(),
        ];
        writer.write_record(keys.chain(numbers))?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

fn numbers(sums: &Sums) -> [String; 6] {
    let all_unpriced =
        sums.calls > 0 && sums.unpriced_calls == sums.calls && sums.cost_usd == "0.00";
    let more = if sums.unpriced_calls > 0 { "+?" } else { "" };
    [
        grouped(sums.calls),
        grouped(sums.errors),
        grouped(sums.tokens.input_total()),
        grouped(sums.tokens.cache_read),
        grouped(sums.tokens.output_total()),
        if all_unpriced { "?".to_owned() } else { format!("{}{more}", dollars(&sums.cost_usd)) },
    ]
}

/// Whether everything is in the sums, and if not, what is missing.
fn footer(report: &Report) -> String {
    let whole = if report.complete { "complete" } else { "not complete:" };
    let mut text = format!("{} to {}, {whole}\n", second(report.since), second(report.until));
    let mut note = |line: String| {
        // Writing to a string can't fail.
        let _ = writeln!(text, "  {line}");
    };
    let lost: u64 = report.losses.iter().map(|loss| loss.bytes).fold(0, u64::saturating_add);
    let from = report.losses.iter().map(|loss| loss.from).min();
    let to = report.losses.iter().map(|loss| loss.to).max();
    if let (Some(from), Some(to)) = (from, to) {
        let bytes = counted(lost, "byte", "bytes");
        note(format!("at least {bytes} lost between {} and {}", second(from), second(to)));
    }
    if report.totals.lost_bytes > 0 {
        let bytes = counted(report.totals.lost_bytes, "byte", "bytes");
        note(format!("{bytes} of these calls could not be seen"));
    }
    for gap in &report.gaps {
        note(format!("the daemon was not running from {} to {}", second(gap.from), second(gap.to)));
    }
    let connections = |is_plain: bool| {
        let spots = report.blind_spots.iter();
        let spots = spots.filter(|spot| (spot.transport == Transport::Http) == is_plain);
        spots.map(|spot| spot.connections).reduce(u64::saturating_add)
    };
    if let Some(unread) = connections(false) {
        let unread = counted(unread, "connection", "connections");
        note(format!("nothing was read of {unread} to model endpoints: see `weir doctor`"));
    }
    if let Some(plain) = connections(true) {
        let plain = counted(plain, "connection", "connections");
        note(format!("{plain} in plain HTTP: not metered, see `weir doctor`"));
    }
    if report.omitted > 0 {
        note(format!("and {}", counted(report.omitted, "more interval", "more intervals")));
    }
    if report.damaged_lines > 0 {
        let lines = counted(report.damaged_lines, "line", "lines");
        note(format!("{lines} of the usage log can't be read: see `weir ledger verify`"));
    }
    if let Some(begins) = report.begins.filter(|begins| *begins > report.since) {
        note(format!("the ledger begins at {}", second(begins)));
    }
    let unpriced = report.totals.unpriced_calls;
    if unpriced > 0 {
        let calls = counted(unpriced, "call has", "calls have");
        note(format!(
            "{calls} no known cost, or not all of it, and COST lacks that: see `weir doctor`"
        ));
    }
    text
}

/// A time to the second.
fn second(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::control::Health;

    fn sums(calls: u64, unpriced: u64, cost: &str) -> serde_json::Value {
        json!({
            "calls": calls, "errors": 1, "input_uncached": 1_000_000, "cache_read": 24_000,
            "cache_write": 0, "output": 90_110, "reasoning": 110, "input_total": 1_024_000,
            "output_total": 90_110, "cost_usd": cost, "unpriced_calls": unpriced, "lost_bytes": 0
        })
    }

    fn row(identity: &str, model: Option<&str>, sums: serde_json::Value) -> serde_json::Value {
        let mut row = json!({"identity": identity, "model": model});
        row.as_object_mut().unwrap().extend(sums.as_object().unwrap().clone());
        row
    }

    fn report() -> serde_json::Value {
        json!({
            "by": ["identity", "model"],
            "since": "2026-11-22T12:00:00Z", "until": "2026-11-23T12:00:00.5Z", "complete": true,
            "rows": [
                row("spiffe://weir.local/host/a/unit/bot.service", Some("gpt-5"), sums(1204, 0, "1.2345678")),
                row("spiffe://weir.local/host/b/user/root", Some("own\u{1b}[2J"), sums(3, 3, "0.00")),
                row("spiffe://weir.local/host/a/user/ann", None, sums(2, 1, "0.00001")),
            ],
            "totals": sums(1209, 4, "1.2345778"),
            "losses": [], "gaps": [], "omitted": 0, "damaged_lines": 0,
            "begins": "2026-11-01T00:00:00Z"
        })
    }

    fn names() -> Names {
        Names::of(&Health {
            version: "0.1.0".to_owned(),
            pid: 1,
            started: Timestamp::UNIX_EPOCH,
            host: "a".to_owned(),
            trust_domain: "weir.local".to_owned(),
        })
    }

    fn shown(report: serde_json::Value) -> String {
        table(&serde_json::from_value(report).unwrap(), &names())
    }

    #[test]
    fn a_complete_report() {
        insta::assert_snapshot!(shown(report()));
    }

    #[test]
    fn a_report_with_everything_missing() {
        let mut report = report();
        report["complete"] = json!(false);
        report["losses"] = json!([{
            "from": "2026-11-23T01:00:00Z", "to": "2026-11-23T01:00:02Z",
            "bytes": 81920, "records": 4, "cause": "ring_full"
        }]);
        report["blind_spots"] = json!([{
            "time": "2026-11-23T01:00:00Z", "until": "2026-11-23T01:01:00Z",
            "identity": "spiffe://weir.local/host/a/user/ann",
            "process": {"pid": 7, "exe": null, "uid": 1000}, "host": "api.openai.com",
            "known_by": "name", "remote": "192.0.2.1:443", "transport": "tcp", "reason": "jvm",
            "connections": 12, "written": 1, "read": 2
        }, {
            "time": "2026-11-23T01:00:00Z", "until": "2026-11-23T01:01:00Z",
            "identity": "spiffe://weir.local/host/a/user/ann",
            "process": {"pid": 7, "exe": null, "uid": 1000}, "host": "localhost",
            "known_by": "request", "remote": "127.0.0.1:8000", "transport": "http",
            "reason": "plain_http", "connections": 2, "written": 1, "read": 2,
            "plain_http": {"loopback": true, "provider": "openai", "api": "chat_completions"}
        }]);
        report["gaps"] = json!([{"from": "2026-11-22T20:00:00Z", "to": "2026-11-22T20:05:00Z"}]);
        report["omitted"] = json!(1);
        report["damaged_lines"] = json!(1);
        report["begins"] = json!("2026-11-22T18:00:00Z");
        report["totals"]["lost_bytes"] = json!(4096);
        insta::assert_snapshot!(shown(report));
    }

    #[test]
    fn an_empty_report() {
        let mut report = report();
        report["rows"] = json!([]);
        report["totals"] = sums(0, 0, "0.00");
        insta::assert_snapshot!(shown(report));
    }

    #[test]
    fn csv_is_exact() {
        insta::assert_snapshot!(csv(&serde_json::from_value(report()).unwrap()).unwrap());
    }
}
