//! The binary as people and scripts meet it: what it prints and how it exits.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use support::{Daemon, call, finding};
use weir_core::detect::Severity;
use weir_core::http::{CredentialKind, CredentialPlace};
use weir_core::identity::Assigned;
use weir_core::meter::UsageRecord;
use weir_core::secret::FingerprintKey;

fn weir(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(arguments).env_remove("WEIR_SOCKET").env("COLUMNS", "100");
    command
}

/// Everything that came out, and the exit code.
fn shown(output: &Output) -> String {
    format!(
        "{}{}[exit {}]",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        output.status.code().unwrap(),
    )
}

fn asked(daemon: &Daemon, arguments: &[&str]) -> Output {
    weir(arguments).env("WEIR_SOCKET", daemon.socket()).output().unwrap()
}

#[test]
fn help_teaches() {
    for command in [
        "",
        "run",
        "usage",
        "budget",
        "calls",
        "identities",
        "blocks",
        "identity show",
        "identity explain",
        "identity offboard",
        "identity rename",
        "credentials",
        "alerts",
        "alerts silence",
        "alerts test",
        "doctor",
        "metrics",
        "config check",
        "ledger verify",
        "prices show",
        "prices check",
        "prices import",
        "prices rerate",
        "replay",
    ] {
        let arguments: Vec<_> = command.split_whitespace().chain(["--help"]).collect();
        let name = format!("help {command}").trim_end().replace(' ', "_");
        insta::assert_snapshot!(name, shown(&weir(&arguments).output().unwrap()));
    }
}

#[test]
fn wrong_arguments_are_usage_errors() {
    for arguments in [
        &["usage", "--by", "colour"][..],
        &["usage", "--since", "yesterday"],
        &["calls", "--follow", "--until", "now"],
        &["frobnicate"],
    ] {
        assert_eq!(weir(arguments).output().unwrap().status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn without_a_daemon_it_says_how_to_start_one() {
    let output = weir(&["usage", "--socket", "/nonexistent/weir.sock"]).output().unwrap();
    insta::assert_snapshot!(shown(&output));
}

#[test]
fn alerts_are_listed_shown_and_acknowledged() {
    let daemon = Daemon::start();
    assert!(shown(&asked(&daemon, &["alerts"])).starts_with("Nothing is wrong."));
    daemon.find(finding(0xab, Severity::High));
    let acked = asked(&daemon, &["alerts", "ack", "abab", "--comment", "mine"]);
    assert_eq!(acked.status.code(), Some(0), "{}", shown(&acked));
    insta::assert_snapshot!("alerts", shown(&asked(&daemon, &["alerts", "list"])));
    let text = shown(&asked(&daemon, &["alerts", "show", "ab"]));
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("acked")).collect();
    insta::assert_snapshot!("alert", lines.join("\n"));
    let silenced = asked(&daemon, &["alerts", "silence", "severity=high", "--for", "2h"]);
    assert_eq!(silenced.status.code(), Some(0), "{}", shown(&silenced));
    assert!(shown(&asked(&daemon, &["alerts"])).contains("silenced"));
    for (arguments, code) in [
        (&["alerts", "silence", "severity=high", "--for", "2026-11-01"][..], 2),
        (&["alerts", "silence", "colour=red"], 2),
        (&["alerts", "silence"], 2),
        (&["alerts", "show", "cd"], 1),
        (&["alerts", "test", "nobody"], 1),
    ] {
        assert_eq!(asked(&daemon, arguments).status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn the_table_of_a_daemon() {
    let mut daemon = Daemon::start();
    daemon.store(&[call(1, "ann", "gpt-5"), call(2, "ann", "gpt-5"), call(3, "bob", "own")]);
    let output = asked(&daemon, &["usage"]);
    let text = shown(&output);
    let rows: Vec<_> = text.lines().take_while(|line| !line.is_empty()).collect();
    insta::assert_snapshot!(rows.join("\n"));
    assert!(text.contains(", complete"), "{text}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn budgets_are_shown() {
    let daemon = Daemon::start();
    insta::assert_snapshot!("budgets", shown(&asked(&daemon, &["budget"])));
    let csv = asked(&daemon, &["budget", "teams", "--format", "csv"]);
    insta::assert_snapshot!("budgets_csv", shown(&csv));
    insta::assert_snapshot!("budget_unused", shown(&asked(&daemon, &["budget", "unused"])));
    let json = asked(&daemon, &["budget", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(report["rows"][0]["used"]["usd"], "20.50");
    insta::assert_snapshot!("budget_unknown", shown(&asked(&daemon, &["budget", "nobody's"])));
}

#[test]
fn json_and_csv_of_a_daemon() {
    let mut daemon = Daemon::start();
    daemon.store(&[call(1, "ann", "gpt-5")]);
    let output = asked(&daemon, &["usage", "--by", "model", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["rows"][0]["model"], "gpt-5");
    assert_eq!(report["rows"][0]["cost_usd"], "0.00125");
    let output = asked(&daemon, &["usage", "--by", "model,api", "--format", "csv"]);
    insta::assert_snapshot!(shown(&output));
}

/// A call of that day by a known identity with a credential.
fn known(number: u32, user: &str, model: &str, day: &str, key: &[u8]) -> UsageRecord {
    let mut record = call(number, user, model);
    record.time = day.parse().unwrap();
    record.credential = Some(FingerprintKey::new([1; 32]).fingerprint("bearer", key));
    record.credential_kind = Some(CredentialKind::OpenaiKey);
    record.credential_in =
        Some(if key == b"b" { CredentialPlace::Url } else { CredentialPlace::Header });
    record.credential_ids = BTreeMap::from([("openai_project".to_owned(), "proj_7".to_owned())]);
    record
}

fn with_inventory() -> Daemon {
    let mut daemon = Daemon::start();
    let mut owned = known(1, "ann", "gpt-5", "2020-01-02T03:04:05Z", b"a");
    owned.workload.assigned = Some(Assigned {
        rule: "people".to_owned(),
        owner: Some("ann@example.org".to_owned()),
        labels: BTreeMap::from([("tier".to_owned(), "1".to_owned())]),
        ..Assigned::default()
    });
    daemon.store(&[
        owned,
        known(2, "bob", "own\u{1b}[2J", "2020-02-02T03:04:05Z", b"a"),
        known(3, "bob", "gpt-5", "2020-02-03T03:04:05Z", b"b"),
        known(4, "bob", "gpt-5-mini", "2020-02-03T03:04:06Z", b"b"),
    ]);
    daemon
}

#[test]
fn identities_are_listed_shown_and_changed() {
    let mut daemon = with_inventory();
    insta::assert_snapshot!("identities", shown(&asked(&daemon, &["identities"])));
    let csv = shown(&asked(&daemon, &["identities", "--state", "dormant", "--format", "csv"]));
    insta::assert_snapshot!("identities_csv", csv);
    let changes = [
        &["identity", "offboard", "user/bob", "--reason", "left"][..],
        &["identity", "rename", "user/bob", "user/rob"],
        &["identity", "rename", "user/rob", "user/rob"],
        &["identity", "restore", "user/nobody"],
    ];
    let said: Vec<_> = changes.map(|arguments| shown(&asked(&daemon, arguments))).into();
    insta::assert_snapshot!("identity_changes", said.join("\n"));
    daemon.store(&[known(5, "bob", "gpt-5", "2020-02-04T00:00:00Z", b"b")]);
    insta::assert_snapshot!("identities_after", shown(&asked(&daemon, &["identities"])));
    let text = shown(&asked(&daemon, &["identity", "show", "user/bob"]));
    // When it was said and by whom differs from run to run.
    let text: Vec<_> = text.lines().filter(|line| !line.contains(" by uid ")).collect();
    insta::assert_snapshot!("identity_show", text.join("\n"));
    let json = asked(&daemon, &["identity", "show", "user/ann", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["assigned"]["owner"], "ann@example.org");
}

#[test]
fn credentials_are_listed() {
    let daemon = with_inventory();
    // How old they are differs from day to day.
    let ageless = |text: String| {
        let words = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let words = words.map(|mut words| {
            if let Some(at) = words.iter().position(|word| *word == "d") {
                words[at - 1] = "…";
            }
            words.join(" ")
        });
        words.collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!("credentials", ageless(shown(&asked(&daemon, &["credentials"]))));
    for (arguments, lines) in [
        (&["credentials", "--provider", "anthropic"][..], 0),
        (&["credentials", "--identity", "user/ann"], 1),
        (&["credentials", "--identity", "user/bob", "--provider", "openai"], 2),
    ] {
        let arguments: Vec<_> = arguments.iter().copied().chain(["--format", "json"]).collect();
        let output = asked(&daemon, &arguments);
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["credentials"].as_array().unwrap().len(), lines, "{arguments:?}");
    }
    let csv = shown(&asked(&daemon, &["credentials", "--format", "csv"]));
    assert!(csv.contains(",url,"), "{csv}");
}

#[test]
fn calls_are_listed_and_followed() {
    let mut daemon = Daemon::start();
    daemon.store(&[call(1, "ann", "gpt-5")]);
    let listed = shown(&asked(&daemon, &["calls"]));
    assert!(listed.contains("user/ann") && listed.contains("$0.0012"), "{listed}");
    let mut follower = weir(&["calls", "--follow", "--since", "1h", "--format", "json"])
        .env("WEIR_SOCKET", daemon.socket())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    for number in 1..4 {
        let line: serde_json::Value =
            serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(line["id"], format!("{number:032x}"));
        daemon.store(&[call(number + 1, "ann", "gpt-5")]);
    }
    // Its reader goes away: the next line it writes ends it, quietly.
    drop(lines);
    daemon.store(&[call(9, "ann", "gpt-5")]);
    assert_eq!(follower.wait().unwrap().code(), Some(0));
}

#[test]
fn an_identity_is_explained() {
    let mut daemon = Daemon::start();
    let mut latest = call(1, "ann", "gpt-5");
    latest.identity.0 = "spiffe://weir.local/workload/bot".to_owned();
    latest.time = "2026-01-01T00:00:00Z".parse().unwrap();
    daemon.store(&[latest]);
    let of_process = shown(&asked(&daemon, &["identity", "explain", "812"]));
    insta::assert_snapshot!("explain_a_process", of_process);
    let of_name = shown(&asked(&daemon, &["identity", "explain", "bot"]));
    insta::assert_snapshot!("explain_a_name", of_name);
    let nobody = shown(&asked(&daemon, &["identity", "explain", "7"]));
    assert_eq!(nobody, "weir: the daemon refused: no process has the id 7\n[exit 1]");
}

#[test]
fn transcripts_are_replayed() {
    let transcripts = format!("{}/../tests/transcripts", env!("CARGO_MANIFEST_DIR"));
    let chat = format!("{transcripts}/openai/chat.weir");
    let message = format!("{transcripts}/anthropic/message.weir");
    insta::assert_snapshot!(shown(&weir(&["replay", &chat, &message]).output().unwrap()));
    let text = std::fs::File::open(&chat).unwrap();
    let output = weir(&["replay", "--format", "json", "-"]).stdin(text).output().unwrap();
    let call: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(call["tokens"]["cache_read"], 1024);
}

#[test]
fn a_wrong_transcript_is_named_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("wrong.weir"), "weir transcript 1\n\n> htp\n").unwrap();
    for (arguments, said) in [
        (["replay", "wrong.weir"], "weir: wrong.weir:3: \"htp\" is not known here\n[exit 1]"),
        (
            ["replay", "none.weir"],
            "weir: can't read none.weir: No such file or directory (os error 2)\n[exit 1]",
        ),
    ] {
        let output = weir(&arguments).current_dir(&directory).output().unwrap();
        assert_eq!(shown(&output), said);
    }
}

#[test]
fn a_failing_check_fails_the_doctor() {
    let daemon = Daemon::start();
    insta::assert_snapshot!(shown(&asked(&daemon, &["doctor"])));
}

#[test]
fn a_doctor_without_a_daemon_looks_for_itself() {
    let output = weir(&["doctor", "--socket", "/nonexistent/weir.sock"]).output().unwrap();
    let text = shown(&output);
    assert!(text.contains("kernel types"), "{text}");
    assert!(text.contains("nothing answers on /nonexistent/weir.sock"), "{text}");
    assert!(text.contains("Not known without a daemon"), "{text}");
    assert_eq!(output.status.code(), Some(10));
}

#[test]
fn configurations_are_checked() {
    let data = |name| format!("{}/tests/data/config/{name}", env!("CARGO_MANIFEST_DIR"));
    let good = weir(&["config", "check", &data("good/full.toml")]).output().unwrap();
    assert_eq!(good.status.code(), Some(0));
    let bad = weir(&["config", "check", "bad/duplicate_key.toml"])
        .current_dir(data(""))
        .output()
        .unwrap();
    insta::assert_snapshot!("config_check_bad", shown(&bad));
    let absent = weir(&["config", "check", "/nonexistent/weir.toml"]).output().unwrap();
    insta::assert_snapshot!("config_check_absent", shown(&absent));
    let run = weir(&["run", "--config", &data("bad/syntax.toml")]).output().unwrap();
    assert_eq!(run.status.code(), Some(6));
}

#[test]
fn the_ledger_is_verified_beside_the_daemon_and_rebuilt_without_it() {
    let mut daemon = Daemon::start();
    daemon.store(&[call(1, "ann", "gpt-5"), call(2, "ann", "gpt-5")]);
    let state_dir = daemon.directory.path().join("state");
    let state = state_dir.to_str().unwrap();
    let verified = weir(&["ledger", "verify", "--state-dir", state]).output().unwrap();
    assert_eq!(shown(&verified), "1 file, 2 lines (1 to 2): whole\n[exit 0]");
    let refused = weir(&["ledger", "rebuild", "--state-dir", state]).output().unwrap();
    assert_eq!(refused.status.code(), Some(7), "{}", shown(&refused));

    let copy = tempfile::tempdir().unwrap();
    copy_log(&state_dir, copy.path());
    let copied = copy.path().to_str().unwrap();
    let rebuilt = weir(&["ledger", "rebuild", "--state-dir", copied]).output().unwrap();
    assert_eq!(shown(&rebuilt), "the index was made anew from 2 lines\n[exit 0]");
    damage(copy.path());
    let damaged = weir(&["ledger", "verify", "--state-dir", copied]).output().unwrap();
    assert_eq!(damaged.status.code(), Some(9), "{}", shown(&damaged));
}

fn copy_log(from: &Path, to: &Path) {
    std::fs::create_dir(to.join("log")).unwrap();
    for file in std::fs::read_dir(from.join("log")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join("log").join(file.file_name())).unwrap();
    }
}

/// Makes one call somebody else's.
fn damage(state_dir: &Path) {
    for file in std::fs::read_dir(state_dir.join("log")).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replacen("user/ann", "user/bob", 1)).unwrap();
    }
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    let output = weir(&["manual", folder.path().to_str().unwrap()]).output().unwrap();
    assert!(output.status.success(), "{}", shown(&output));
    for (page, word) in
        [("weir.1", "ledger"), ("weir-run.1", "WEIR_SOCKET"), ("weir-usage.1", "since")]
    {
        let text = std::fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(text.starts_with(".ie") && text.contains(word), "{page}: {text}");
    }
}

const IMPORTED: &str = r#"{"groq/llama-x": {"litellm_provider": "groq", "mode": "chat",
    "input_cost_per_token": 1.5e-7, "output_cost_per_token": 6e-7}, "x": {"litellm_provider": "y"}}"#;

#[test]
fn prices_are_imported_checked_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(place("map.json"), IMPORTED).unwrap();
    let import = ["prices", "import", "--format", "litellm", &place("map.json")];
    let output = weir(&import).output().unwrap();
    assert!(output.status.success(), "{}", shown(&output));
    std::fs::create_dir(place("prices.d")).unwrap();
    std::fs::write(place("prices.d/50.json"), &output.stdout).unwrap();
    let own = "[[price]]\nprovider = 'groq'\ndiscount_percent = '10'\n";
    std::fs::write(place("prices.d/10.toml"), own).unwrap();
    std::fs::write(place("weir.toml"), format!("prices.dir = '{}'\n", place("prices.d"))).unwrap();

    let files = [place("prices.d/10.toml"), place("prices.d/50.json")];
    let output = weir(&["prices", "check", &files[0], &files[1]]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let config = ["--config", &place("weir.toml")];
    let show = [&["prices", "show", "--format", "json", "gpt-4o"][..], &config].concat();
    let output = weir(&show).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["own"].as_array().unwrap().len(), 1, "{report}");
    assert_eq!(report["own_models"][0]["standard"][0]["input"], "0.15");
    let models = report["models"].as_array().unwrap();
    let gpt = models.iter().find(|row| row["provider"] == "openai").unwrap();
    assert_eq!(gpt["standard"][0]["input"], "2.50");

    std::fs::write(place("prices.d/60.toml"), "[[price]]\nincluded = true\n").unwrap();
    let output = weir(&["prices", "check", &place("prices.d/60.toml")]).output().unwrap();
    assert_eq!(output.status.code(), Some(6), "{}", shown(&output));
    assert_eq!(weir(&show).output().unwrap().status.code(), Some(6));
}

#[test]
fn a_table_of_prices_is_imported_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ours.csv");
    std::fs::write(&file, "provider,model,input,output\nopenai,Ours,1,2\nopenai,more,1,\n")
        .unwrap();
    let import = ["prices", "import", "--format", "csv", file.to_str().unwrap()];
    let output = weir(&import).output().unwrap();
    let rows: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(rows["models"][1]["standard"][0]["output"], "2.00", "{rows}");
    assert_eq!(rows["models"][0]["id"], "more");
    std::fs::write(&file, "provider,model,inptu\nopenai,ours,1\nopenai,,1\n").unwrap();
    let output = weir(&import).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = shown(&output);
    assert!(
        said.contains("line 2: unknown field `inptu`") && said.contains("line 3: no model"),
        "{said}"
    );
}

#[test]
fn history_is_priced_again() {
    let mut daemon = Daemon::start();
    daemon.store(&[call(1, "ann", "gpt-4o"), call(2, "ann", "own")]);
    let rerate = ["prices", "rerate", "--since", "2000-01-01", "--format", "json"];
    let output = asked(&daemon, &rerate);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = report["rows"].as_array().unwrap();
    let of = |model: &str| rows.iter().find(|row| row["model"] == model).unwrap();
    assert_eq!((&of("gpt-4o")["calls"], &of("gpt-4o")["unpriced_after"]), (&1.into(), &0.into()));
    assert_eq!(of("own")["unpriced_after"], 1, "{report}");
    let output = asked(&daemon, &["prices", "rerate", "--version", "2000-01-01-00000000"]);
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
}
