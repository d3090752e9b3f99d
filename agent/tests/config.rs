//! The configuration as files: what is accepted, and what is said of what is not.

use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use weir::config::{
    ByteSize, Config, Days, Format, LogFormat, LogLevel, Overrides, Place, Seconds,
};
use weir_core::alert::{Label, Settings};
use weir_core::detect::budget::{Limit, Measure, Window};
use weir_core::detect::{Enforcement, Severity};
use weir_core::meter::Dimension;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("weir.toml"), Overrides::default())
        .map_err(|error| error.to_string())
}

#[test]
fn nothing_said_means_the_defaults() {
    assert_eq!(parse(include_str!("data/config/good/empty.toml")), Ok(Config::default()));
}

#[test]
fn everything_can_be_said() {
    let config = parse(include_str!("data/config/good/full.toml")).unwrap();
    assert_eq!(config.state_dir, PathBuf::from("/srv/weir"));
    assert_eq!(config.socket, PathBuf::from("/srv/weir.sock"));
    assert_eq!(config.host, "build-7");
    assert_eq!(config.trust_domain, "example.org");
    assert_eq!(config.capture.ring_bytes, ByteSize(65_536));
    assert_eq!(config.capture.programs, [PathBuf::from("/srv/agents/bun")]);
    assert!(!config.blind_spots.watch);
    let hosts = ["gateway.example", "*.inside.example", "10.0.0.7"];
    assert_eq!(config.blind_spots.hosts, hosts.map(|host| host.parse().unwrap()));
    assert_eq!(config.blind_spots.after_seconds, Seconds(60));
    assert_eq!(config.ledger.retention_days, Days(30));
    assert_eq!(config.identity.fingerprint_key_file, PathBuf::from("/etc/weir/fleet.key"));
    let kubernetes = config.kubernetes.unwrap();
    assert_eq!(kubernetes.kubelet.to_string(), "node-1.example:10251");
    assert_eq!(kubernetes.ca_file, PathBuf::from("/etc/weir/kubelet-ca.crt"));
    assert_eq!(kubernetes.token_file, Some(PathBuf::from("/etc/weir/kubelet.token")));
    let client = kubernetes.client.unwrap();
    assert_eq!(client.cert_file, PathBuf::from("/etc/weir/client.crt"));
    assert_eq!(client.key_file, PathBuf::from("/etc/weir/client.key"));
    assert_eq!(config.prices.dir, PathBuf::from("/srv/prices"));
    assert_eq!(config.control.group, "metering");
    assert_eq!(config.control.auditor_group, "audit");
    assert_eq!(config.log.level, LogLevel::Debug);
    assert_eq!(config.log.format, LogFormat::Json);
    let rules: Vec<_> = config.rules.iter().collect();
    let [bot, people] = rules.as_slice() else { panic!("{rules:?}") };
    let print = "0123456789abcdef0123456789abcdef".parse().unwrap();
    assert_eq!(bot.label(), "support-bot");
    assert_eq!(bot.spec().all.len(), 2);
    assert_eq!(bot.spec().credentials, [print]);
    assert_eq!(bot.spec().assigned.cost_center.as_deref(), Some("4711"));
    assert_eq!(bot.spec().assigned.labels["tier"], "gold");
    assert_eq!(bot.spec().approved_models, ["gpt-5*"]);
    assert_eq!(people.label(), "unix:user:*, unix:gid:100");
    assert_eq!(people.spec().assigned.team.as_deref(), Some("people"));
    let [security, chat, siem] = config.webhooks.as_slice() else { panic!("three webhooks") };
    let routes: Vec<_> = config.webhooks.iter().map(|webhook| webhook.route.clone()).collect();
    let expected = Settings {
        group_by: vec![Label::Team],
        group_wait: Duration::ZERO,
        group_interval: Duration::from_secs(60),
        repeat_interval: Duration::from_secs(86_400),
        routes,
    };
    assert_eq!(config.alerts, expected);
    assert_eq!(security.secret_file, Some(PathBuf::from("/etc/weir/webhook.secret")));
    assert_eq!(security.route.min_severity, Severity::Low);
    assert!(security.route.send_resolved);
    assert_eq!(chat.place, Place::File(PathBuf::from("/etc/weir/slack.url")));
    assert_eq!((chat.format, chat.route.per_minute), (Format::Slack, 5));
    assert!(!chat.route.send_resolved);
    assert_eq!(siem.route.heartbeat, Some(Duration::from_secs(300)));
    assert_eq!(siem.ca_file, Some(PathBuf::from("/etc/weir/siem-ca.crt")));
}

#[test]
fn the_smallest_budget_has_a_name_a_window_and_a_limit() {
    let text = "[[budget]]\nname = 'everything'\nwindow = 'hour'\nlimit_usd = 25.0";
    let budgets = parse(text).unwrap().budgets;
    let [budget] = budgets.as_slice() else { panic!("{budgets:?}") };
    assert_eq!(budget.name, "everything");
    assert_eq!((budget.all.len(), budget.per, budget.enforce), (0, None, Enforcement::Off));
    assert_eq!((budget.warn_at.as_slice(), budget.zone.name.as_str()), (&[800][..], "UTC"));
    let most = 25_000_000_000_000;
    assert_eq!(budget.limits, [Limit { window: Window::Hour, measure: Measure::Usd, most }]);
}

#[test]
fn a_budget_can_have_several_windows() {
    let budgets = parse(include_str!("data/config/good/budgets.toml")).unwrap().budgets;
    let [all, teams] = budgets.as_slice() else { panic!("{budgets:?}") };
    assert_eq!(all.limits.len(), 1);
    assert_eq!(teams.all.len(), 3);
    assert_eq!(teams.per, Some(Dimension::Team));
    assert_eq!(teams.warn_at, [500, 800, 955]);
    assert_eq!(teams.enforce, Enforcement::DryRun);
    assert_eq!(teams.zone.name, "UTC");
    let limit = |window, measure, most| Limit { window, measure, most };
    assert_eq!(
        teams.limits,
        [
            limit(Window::Day, Measure::Usd, 500_000_000),
            limit(Window::Day, Measure::Calls, 1_000),
            limit(Window::Month, Measure::Usd, 300_000_000_000_000),
            limit(Window::Rolling(168), Measure::Tokens, 2_000_000),
        ]
    );
}

#[test]
fn detectors_have_parameters() {
    let config = parse(include_str!("data/config/good/detect.toml")).unwrap();
    let detect = config.detect;
    assert_eq!(detect.loss, None);
    let spike = detect.token_spike.unwrap();
    assert_eq!((spike.z_thousandths, spike.factor_thousandths, spike.effect), (4250, 5000, 10_000));
    assert_eq!(detect.cost_spike.unwrap().effect, 25_000);
    assert_eq!(detect.blind_spot.unwrap().bytes, 1 << 16);
    assert_eq!(detect.dormant_revival, Config::default().detect.dormant_revival);
    for (text, problem) in [
        ("[detect.lost]", "detect.lost: no such key; did you mean `loss`?"),
        ("[detect.loss]\nbytes = -1", "detect.loss.bytes: expected a number of bytes"),
        ("[detect.token_spike]\nz = 0", "detect.token_spike.z: expected a number from 0.1 to 100"),
        ("[detect.cost_spike]\neffect_usd = nan", "detect.cost_spike.effect_usd: expected dollars"),
        ("[detect.off_hours]\ncalls = 2.5", "detect.off_hours.calls: expected a number from 1"),
        ("[detect.off_hours]\nenabled = 1", "detect.off_hours.enabled: expected true or false"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(problem), "{text}: {error}");
    }
}

#[test]
fn the_kubelet_is_verified_and_shown_something() {
    let url = "kubelet_url = 'https://127.0.0.1'";
    for (text, problem) in [
        ("ca_file = '/ca'", "kubernetes.ca_file: has no meaning without `kubelet_url`"),
        ("kubelet_url = 'http://127.0.0.1'", "kubernetes.kubelet_url: expected an address"),
        (&format!("{url}\ntoken_file = '/t'"), "kubernetes.kubelet_url: needs `ca_file`"),
        (&format!("{url}\nca_file = '/ca'"), "needs `token_file` or `client_cert_file`"),
        (
            &format!("{url}\nca_file = '/ca'\nclient_cert_file = '/c'"),
            "kubernetes.client_cert_file: needs `client_key_file`",
        ),
        (
            &format!("{url}\nca_file = '/ca'\ntoken_file = '/t'\nclient_key_file = '/k'"),
            "kubernetes.client_key_file: needs `client_cert_file`",
        ),
        ("skip_verification = true", "kubernetes.skip_verification: no such key"),
    ] {
        let error = parse(&format!("[kubernetes]\n{text}\n")).unwrap_err();
        assert!(error.contains(problem), "{text}: {error}");
    }
}

#[test]
fn sizes_have_units() {
    let config = parse(include_str!("data/config/good/size_in_units.toml")).unwrap();
    assert_eq!(config.capture.ring_bytes, ByteSize(64 << 20));
}

#[test]
fn programs_are_a_list_of_absolute_paths() {
    for wrong in ["\"/usr/bin/bun\"", "[\"bun\"]", "[1]"] {
        let error = parse(&format!("capture.programs = {wrong}")).unwrap_err().to_string();
        assert!(error.contains("1:20: capture.programs: expected"), "{error}");
    }
}

#[test]
fn hosts_are_a_list_of_names() {
    for wrong in ["\"gateway.example\"", "[\"https://gateway.example\"]", "[1]"] {
        let error = parse(&format!("blind_spots.hosts = {wrong}")).unwrap_err().to_string();
        assert!(error.contains("1:21: blind_spots.hosts: expected"), "{error}");
    }
    for wrong in ["after_seconds = 0", "after_seconds = \"5s\"", "watch = 1"] {
        let error = parse(&format!("blind_spots.{wrong}")).unwrap_err().to_string();
        assert!(error.contains("expected"), "{error}");
    }
}

#[test]
fn all_errors_are_reported_at_once() {
    let bad = |text| parse(text).unwrap_err();
    insta::assert_snapshot!("many_errors", bad(include_str!("data/config/bad/many_errors.toml")));
    insta::assert_snapshot!("rules", bad(include_str!("data/config/bad/rules.toml")));
    insta::assert_snapshot!("budgets", bad(include_str!("data/config/bad/budgets.toml")));
    let webhooks = bad(include_str!("data/config/bad/webhooks.toml"));
    assert!(!webhooks.contains("s3cr3t"), "{webhooks}");
    insta::assert_snapshot!("webhooks", webhooks);
    insta::assert_snapshot!("syntax", bad(include_str!("data/config/bad/syntax.toml")));
    insta::assert_snapshot!("wrong_shapes", bad(include_str!("data/config/bad/wrong_shapes.toml")));
    insta::assert_snapshot!(
        "duplicate_key",
        bad(include_str!("data/config/bad/duplicate_key.toml"))
    );
}

#[test]
fn flags_win_over_the_file_and_move_what_depends_on_them() {
    let overrides =
        Overrides { state_dir: Some("/tmp/state".into()), socket: Some("/tmp/socket".into()) };
    let text = "state_dir = '/srv/weir'\nsocket = '/srv/weir.sock'";
    let config = Config::parse(text, Path::new("weir.toml"), overrides).unwrap();
    assert_eq!(config.state_dir, PathBuf::from("/tmp/state"));
    assert_eq!(config.socket, PathBuf::from("/tmp/socket"));
    let key_file = PathBuf::from("/tmp/state/fingerprint.key");
    assert_eq!(config.identity.fingerprint_key_file, key_file);
}

/// Explanations begin with `# `, settings with `#` alone: with the latter uncommented, the packaged
/// file must say exactly the defaults, and all of them.
#[test]
fn the_packaged_file_shows_the_defaults() {
    let packaged = include_str!("../../packaging/weir.toml");
    assert_eq!(parse(packaged), Ok(Config::default()));
    let setting = |line: &str| line.starts_with('#') && !line.starts_with("# ");
    let host = |line: &str| line.starts_with("#host = ");
    let said: String = packaged
        .lines()
        .filter(|line| !host(line))
        .map(|line| format!("{}\n", if setting(line) { &line[1..] } else { line }))
        .collect();
    assert_eq!(parse(&said), Ok(Config::default()));
    let settings = packaged.lines().filter(|line| setting(line)).count();
    assert_eq!(settings, 120, "a key is missing from packaging/weir.toml or from this count");
}

#[test]
fn a_file_that_is_not_there_is_an_error_when_it_was_named() {
    let error = Config::load(Some(Path::new("/nonexistent/weir.toml")), Overrides::default());
    assert_eq!(error.unwrap_err().to_string(), "/nonexistent/weir.toml can't be read");
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC*") {
        let _ = parse(&text);
    }

    #[test]
    fn nothing_like_a_configuration_makes_it_panic(
        pieces in prop::collection::vec(prop::sample::select(&[
            "[", "]", "[[", "]]", "=", "==", ".", ",", "\n", " ", "\"", "'", "\"\"\"", "{", "}",
            "#", "rule", "match", "name", "labels", "budget", "window", "\"day\"", "limit_usd", "warn_at",
            "webhook", "url", "alerts", "\"https://a/\"", "\"unix:uid:7\"", "ledger", "log", "host",
            "retention_days", "ring_bytes", "level", "1", "-1", "0x",
            "1e9", "2026-11-23", "true", "\"16MiB\"", "\\u0000", "ö",
        ][..]), 0..40)
    ) {
        let _ = parse(&pieces.concat());
    }
}
