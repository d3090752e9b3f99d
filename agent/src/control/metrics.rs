//! The daemon's counters as OpenMetrics text. They are those of the doctor's report: what one says
//! the other says too.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use weir_core::detect::Amount;
use weir_core::detect::budget::BudgetReport;
use weir_core::units::Timestamp;

use super::doctor::DoctorReport;

/// What the text is, for whoever asks over HTTP.
pub(super) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Most limits of budgets that there are numbers of: each is several series for Prometheus to keep.
const BUDGETS_MAX: usize = 1_000;

/// The one label of a counter, and its value.
type Labels = [(&'static str, String); 1];
type Gauges = Family<Vec<(&'static str, String)>, Gauge<f64, AtomicU64>>;
type Counters = Family<Labels, Counter<u64, AtomicU64>>;

/// All there is. `started` is when the counters began.
pub(super) fn text(report: &DoctorReport, budgets: &BudgetReport, started: Timestamp) -> String {
    let mut registry = Registry::with_prefix("weir");
    let start: Gauge = Gauge::default();
    start.set(started.as_second());
    registry.register("start_time_seconds", "When the daemon started, since 1970", start);
    let mut one = |name: &str, help: &str, count: u64| {
        let counter: Counter = Counter::default();
        counter.inc_by(count);
        registry.register(name, help, counter);
    };
    one("calls", "Model calls that were read", report.calls);
    one(
        "served_connections",
        "Connections that a process of this host answers",
        report.served_connections,
    );
    let mut many = |name: &str, help: &str, label, counts: &BTreeMap<String, u64>| {
        let counters = Counters::default();
        for (value, count) in counts {
            counters.get_or_create(&[(label, value.clone())]).inc_by(*count);
        }
        registry.register(name, help, counters);
    };
    many("lost_records", "What was lost, by where", "cause", &report.losses);
    many(
        "attach",
        "Files that were looked at and processes that were gone, by what came of it",
        "outcome",
        &report.attach,
    );
    many(
        "blind_connections",
        "Connections to model endpoints that nothing was read of",
        "reason",
        &report.blind_connections,
    );
    many(
        "unsupported_connections",
        "Connections whose protocol is not understood",
        "protocol",
        &report.unsupported,
    );
    many("unpriced_calls", "Calls to models without a price", "model", &report.unpriced);
    self::budgets(&mut registry, budgets);
    let mut text = String::new();
    // Writing to a string can't fail.
    let _ = encode(&mut text, &registry);
    text
}

/// How each limit of each budget stands; of those that have an account for each of many, the ones of which
/// the most is used.
fn budgets(registry: &mut Registry, report: &BudgetReport) {
    let mut rows: Vec<_> = report.rows.iter().collect();
    rows.sort_by(|a, b| b.used_ratio.total_cmp(&a.used_ratio));
    let (used, burn) = (Gauges::default(), Gauges::default());
    for row in rows.into_iter().take(BUDGETS_MAX) {
        let mut labels = vec![
            ("budget", row.budget.clone()),
            ("window", row.window.to_string()),
            ("unit", unit(&row.limit).to_owned()),
        ];
        if let (Some(per), Some(whom)) = (row.per, &row.whom) {
            labels.push((per.as_str(), whom.clone()));
        }
        used.get_or_create(&labels).set(row.used_ratio);
        burn.get_or_create(&labels).set(row.burn_rate);
    }
    registry.register("budget_used_ratio", "Which part of a limit is used, 1 being all", used);
    registry.register("budget_burn_rate", "How fast, 1 using up the limit in the window", burn);
}

const fn unit(amount: &Amount) -> &'static str {
    match amount {
        Amount::Usd(_) => "usd",
        Amount::Tokens(_) => "tokens",
        Amount::Calls(_) => "calls",
        Amount::Bytes(_) => "bytes",
        Amount::Seconds(_) => "seconds",
        Amount::Count(_) => "count",
        Amount::Thousandths(_) => "thousandths",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_counter_is_there() {
        let row = json!({
            "budget": "everything", "window": "hour", "per": "team", "whom": "support",
            "limit": {"usd": "25.00"}, "used": {"usd": "10.00"}, "used_ratio": 0.4, "burn_rate": 1.5,
            "from": "2026-11-26T19:00:00Z", "state": "ok",
        });
        let budgets = json!({"time": "2026-11-26T19:40:00Z", "current": true, "rows": [row]});
        let budgets = serde_json::from_value(budgets).unwrap();
        let counts = |name: &str, count| BTreeMap::from([(name.to_owned(), count)]);
        let report = DoctorReport {
            calls: 12,
            served_connections: 1,
            losses: counts("ring_full", 3),
            attach: counts("attached", 4),
            blind_connections: counts("jvm", 5),
            unsupported: counts("grpc", 6),
            unpriced: counts("a \"model\"\n", 7),
            ..DoctorReport::default()
        };
        insta::assert_snapshot!(text(&report, &budgets, Timestamp::UNIX_EPOCH));
    }
}
