//! The API over a real Unix socket, answering from a real ledger.

#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};
use support::{Daemon, call, finding};
use weir::control::{Client, ClientError};
use weir_core::detect::Severity;
use weir_core::meter::UsageRecord;
use weir_core::secret::FingerprintKey;

fn ask<T>(conversation: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async { tokio::time::timeout(Duration::from_secs(20), conversation).await })
        .expect("an answer within 20 s")
}

fn get(daemon: &Daemon, target: &str) -> Result<Value, ClientError> {
    let body = ask(Client::new(&daemon.socket()).get(target))?;
    Ok(serde_json::from_slice(&body).unwrap())
}

fn refusal(daemon: &Daemon, target: &str) -> (u16, String, String) {
    match get(daemon, target) {
        Err(ClientError::Refused { status, code, message }) => (status, code, message),
        other => panic!("{target} was not refused: {other:?}"),
    }
}

#[test]
fn usage_is_summed_as_asked() {
    let mut daemon = Daemon::start();
    daemon.store(&[call(1, "ann", "gpt-5"), call(2, "ann", "gpt-5"), call(3, "bob", "gpt-5")]);
    let report = get(&daemon, "/v1/usage?by=identity&since=1h").unwrap();
    assert_eq!(report["by"], json!(["identity"]));
    assert_eq!(report["rows"][0]["identity"], "spiffe://weir.local/host/host-1/user/ann");
    assert_eq!(report["rows"][0]["calls"], 2);
    assert_eq!(report["rows"][0]["input_total"], 2_400);
    assert_eq!(report["rows"][0]["cost_usd"], "0.0025");
    assert_eq!(report["totals"]["calls"], 3);
    assert_eq!(report["complete"], true);
}

#[test]
fn what_is_asked_wrongly_is_refused_with_the_reason() {
    let daemon = Daemon::start();
    let refusals: Vec<_> = [
        "/v1/usage?by=colour",
        "/v1/usage?by=model,model",
        "/v1/usage?sinse=24h",
        "/v1/usage?since=yesterday",
        "/v1/calls?follow=yes",
        "/v1/calls?follow=true&until=now",
        "/v1/health?verbose=1",
        "/v1/budgets?name=unknown",
        "/v1/identity/explain",
        "/v1/identity/explain?pid=1&name=a",
        "/v1/identity/explain?pid=x",
        "/v1/identity/explain?pid=7",
        "/v1/identity/explain?pid=813",
        "/v2/usage",
    ]
    .iter()
    .map(|target| {
        let (status, code, message) = refusal(&daemon, target);
        format!("{target}\n  {status} {code}: {message}")
    })
    .collect();
    insta::assert_snapshot!(refusals.join("\n"));
    let posted = ask(Client::new(&daemon.socket()).post("/v1/usage"));
    assert!(matches!(posted, Err(ClientError::Refused { status: 405, .. })), "{posted:?}");
}

#[test]
fn more_calls_than_fit_one_piece_come_whole_and_in_order() {
    let mut daemon = Daemon::start();
    let calls: Vec<_> = (0..1_000).map(|number| call(number, "ann", "gpt-5")).collect();
    daemon.store(&calls);
    let seen = ask(async {
        let mut lines = Client::new(&daemon.socket()).lines("/v1/calls").await.unwrap();
        let mut seen: Vec<UsageRecord> = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            seen.push(serde_json::from_slice(&line).unwrap());
        }
        seen
    });
    assert_eq!(seen, calls);
}

#[test]
fn a_followed_stream_gives_each_new_call_once() {
    let mut daemon = Daemon::start();
    daemon.store(&[call(1, "ann", "gpt-5")]);
    let socket = daemon.socket();
    ask(async {
        let client = Client::new(&socket);
        let mut all = client.lines("/v1/calls?follow=true&since=1h").await.unwrap();
        let mut new = client.lines("/v1/calls?follow=true&identity=nobody").await.unwrap();
        let mut ids = Vec::new();
        for number in 2..5 {
            ids.push(id(&all.next().await.unwrap().unwrap()));
            let mut other = call(100 + number, "ann", "gpt-5");
            other.identity.0 = "nobody".to_owned();
            daemon.store(&[call(number, "ann", "gpt-5"), other]);
            ids.push(id(&all.next().await.unwrap().unwrap()));
            assert_eq!(id(&new.next().await.unwrap().unwrap()), 100 + u64::from(number));
        }
        assert_eq!(ids, [1, 2, 102, 3, 103, 4]);
    });
}

fn id(line: &[u8]) -> u64 {
    let call: Value = serde_json::from_slice(line).unwrap();
    u64::from_str_radix(call["id"].as_str().unwrap(), 16).unwrap()
}

#[test]
fn it_is_explained_who_a_process_and_what_an_identity_is() {
    let mut daemon = Daemon::start();
    let mut named = call(1, "ann", "gpt-5");
    named.identity.0 = "spiffe://weir.local/workload/bot".to_owned();
    daemon.store(&[named, call(2, "ann", "gpt-5"), call(3, "ann", "gpt-5")]);

    let process = get(&daemon, "/v1/identity/explain?pid=812").unwrap();
    assert_eq!(process["identity"], "spiffe://weir.local/workload/bot");
    assert_eq!(process["resolved"], "spiffe://weir.local/host/host-1/unit/bot.service");
    assert_eq!(process["assigned"]["owner"], "ann@example.org");
    assert_eq!(process["rules"][0]["outcome"], "failed");
    assert_eq!(process["rules"][1]["outcome"], "matched");
    let fact = json!({
        "selector": "systemd:id:bot.service", "source": "cgroup", "hint": false, "sufficient": true,
    });
    assert!(process["facts"].as_array().unwrap().contains(&fact), "{process}");

    for name in ["bot", "workload/bot", "spiffe:%2F%2Fweir.local/workload/bot"] {
        let identity = get(&daemon, &format!("/v1/identity/explain?name={name}")).unwrap();
        assert_eq!(identity["identity"], "spiffe://weir.local/workload/bot");
        assert_eq!(identity["rule"]["match"][0], "systemd:id:bot.service");
        assert_eq!(identity["latest"]["id"], format!("{:032x}", 1));
    }
    let ann = get(&daemon, "/v1/identity/explain?name=user/ann").unwrap();
    assert_eq!(ann["latest"]["id"], format!("{:032x}", 3));
    assert_eq!(ann.get("rule"), None);
}

#[test]
fn the_daemon_says_who_and_how_it_is() {
    let mut daemon = Daemon::start();
    daemon.store(&[call(1, "ann", "gpt-5")]);
    let health = get(&daemon, "/v1/health").unwrap();
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(health["pid"], std::process::id());
    let doctor = get(&daemon, "/v1/doctor").unwrap();
    assert_eq!(doctor["checks"][0]["status"], "fail");
    let verification = get(&daemon, "/v1/ledger/verify").unwrap();
    assert_eq!(verification["whole"], true);
}

/// The kernel gives the connecting thread's user and groups to the other end, and a thread of root's can
/// take on others (credentials(7)); without root there is nobody else to be.
fn ask_as(daemon: &Daemon, uid: u32, group: Option<u32>, request: &str) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can be another user");
        return None;
    }
    let directory = daemon.directory.path();
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o711)).unwrap();
    let socket = daemon.socket();
    let request = format!("{request} HTTP/1.1\r\nhost: weir\r\nconnection: close\r\n\r\n");
    let asking = std::thread::spawn(move || {
        let groups: Vec<_> = group.into_iter().map(rustix::thread::Gid::from_raw).collect();
        rustix::thread::set_thread_groups(&groups).unwrap();
        rustix::thread::set_thread_uid(rustix::thread::Uid::from_raw(uid)).unwrap();
        let mut stream = UnixStream::connect(socket).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    Some(asking.join().unwrap())
}

/// The JSON of an answer that is one.
fn body(answer: &str) -> Value {
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// Two users, one of whom shares an identity with the other.
fn of_two_users() -> Daemon {
    let mut daemon = Daemon::with_auditors("root", Some(4711));
    let mut other = call(2, "ann", "secret-model");
    other.process.uid = 1001;
    other.credential = Some(FingerprintKey::new([1; 32]).fingerprint("bearer", b"key"));
    daemon.store(&[call(1, "ann", "gpt-5"), other]);
    daemon
}

#[test]
fn a_viewer_sees_what_concerns_the_own_user_and_nothing_else() {
    let daemon = of_two_users();
    for path in ["/v1/usage", "/v1/calls", "/v1/identities", "/v1/credentials", "/v1/doctor"] {
        let Some(mine) = ask_as(&daemon, 1000, None, &format!("GET {path}")) else { return };
        assert!(mine.starts_with("HTTP/1.1 200 "), "{path}: {mine}");
        assert!(!mine.contains("secret-model") && !mine.contains("1001"), "{path}: {mine}");
        let nobodys = ask_as(&daemon, 1002, None, &format!("GET {path}")).unwrap();
        assert!(!nobodys.contains("gpt-5") && !nobodys.contains("user/ann"), "{path}: {nobodys}");
    }
    let usage = ask_as(&daemon, 1000, None, "GET /v1/usage").unwrap();
    assert_eq!(body(&usage)["totals"]["calls"], 1);
    let shown = "GET /v1/identity?identity=spiffe://weir.local/host/host-1/user/ann";
    assert_eq!(body(&ask_as(&daemon, 1001, None, shown).unwrap())["calls"], 1);
    let none = ask_as(&daemon, 1002, None, shown).unwrap();
    assert!(none.starts_with("HTTP/1.1 404 ") && none.contains("unknown_identity"), "{none}");
    let own = ask_as(&daemon, 1000, None, "GET /v1/identity/explain?pid=812").unwrap();
    assert_eq!(body(&own)["identity"], "spiffe://weir.local/workload/bot");
    for asked in ["pid=812", "name=bot", "name=user/ann"] {
        let target = format!("GET /v1/identity/explain?{asked}");
        let refused = ask_as(&daemon, 1002, None, &target).unwrap();
        assert!(refused.starts_with("HTTP/1.1 403 "), "{asked}: {refused}");
    }
    for path in ["/v1/budgets", "/v1/metrics", "/v1/ledger/verify"] {
        let refused = ask_as(&daemon, 1000, None, &format!("GET {path}")).unwrap();
        assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");
        assert!(refused.contains(r#"{"error":{"code":"forbidden","message":"#), "{refused}");
    }
}

#[test]
fn an_auditor_may_read_everything_and_change_nothing() {
    let daemon = of_two_users();
    let Some(usage) = ask_as(&daemon, 1002, Some(4711), "GET /v1/usage") else { return };
    assert_eq!(body(&usage)["totals"]["calls"], 2);
    let metrics = ask_as(&daemon, 1002, Some(4711), "GET /v1/metrics").unwrap();
    assert!(metrics.starts_with("HTTP/1.1 200 "), "{metrics}");
    for request in [
        "GET /v1/ledger/verify",
        "POST /v1/identity/offboard?identity=spiffe://weir.local/host/host-1/user/ann",
    ] {
        for group in [Some(4711), None] {
            let refused = ask_as(&daemon, 1002, group, request).unwrap();
            assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");
        }
    }
}

#[test]
fn what_an_administrator_says_is_kept_with_who_said_it() {
    let mut daemon = Daemon::start();
    daemon.store(&[call(1, "ann", "gpt-5")]);
    let ann = "spiffe://weir.local/host/host-1/user/ann";
    let post = |target: &str| ask(Client::new(&daemon.socket()).post(target));
    let said: Value = serde_json::from_slice(
        &post(&format!("/v1/identity/offboard?identity={ann}&reason=left")).unwrap(),
    )
    .unwrap();
    assert_eq!((&said["deed"], &said["reason"]), (&json!("offboard"), &json!("left")));
    assert_eq!(said["uid"], rustix::process::geteuid().as_raw());
    assert_eq!(said["pid"], std::process::id());
    let report = get(&daemon, "/v1/identities?state=offboarded").unwrap();
    assert_eq!(report["identities"][0]["offboarded"]["reason"], "left");
    assert_eq!(report["identities"][0]["hosts"], json!(["host-1"]));
    assert_eq!(get(&daemon, "/v1/identities?state=active").unwrap()["identities"], json!([]));
    let renamed = post(&format!("/v1/identity/rename?identity={ann}&to=spiffe://a/b"));
    assert!(renamed.is_ok(), "{renamed:?}");
    let usage = get(&daemon, "/v1/usage?by=identity").unwrap();
    assert_eq!(usage["rows"][0]["identity"], "spiffe://a/b");
    let shown = get(&daemon, &format!("/v1/identity?identity={ann}")).unwrap();
    assert_eq!(shown["changes"].as_array().unwrap().len(), 2);
    for wrong in [
        "/v1/identity/offboard?identity=nobody".to_owned(),
        format!("/v1/identity/rename?identity={ann}&to=bob"),
        format!("/v1/identity/rename?identity={ann}&to=spiffe://a/%0a"),
        format!("/v1/identity/restore?identity={ann}&reason=%1b"),
        "/v1/identity/restore".to_owned(),
    ] {
        let refused = post(&wrong);
        assert!(
            matches!(refused, Err(ClientError::Refused { status: 400 | 404, .. })),
            "{wrong}: {refused:?}"
        );
    }
}

#[test]
fn what_is_said_of_alerts_is_kept_and_counts() {
    let daemon = Daemon::start();
    daemon.find(finding(0xab, Severity::High));
    daemon.find(finding(0xac, Severity::Critical));
    let post = |target: &str| ask(Client::new(&daemon.socket()).post(target));
    let said = |target: &str| -> Value { serde_json::from_slice(&post(target).unwrap()).unwrap() };
    let phases = || {
        let report = get(&daemon, "/v1/alerts").unwrap();
        let alerts = report["alerts"].as_array().unwrap().clone();
        alerts.iter().map(|alert| alert["phase"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(phases(), ["firing", "firing"]);
    said("/v1/alerts/ack?id=ac&comment=mine");
    assert_eq!(phases(), ["acknowledged", "firing"]);
    let uid = rustix::process::geteuid().as_raw();
    assert_eq!(get(&daemon, "/v1/alert?id=ac").unwrap()["acked_by"], uid);
    let silence = said(
        "/v1/alerts/silence?match=severity%3Dhigh%0Adetector%3Dbudget&until=2027-01-01T00:00:00Z",
    );
    let silence = silence["id"].as_str().unwrap();
    assert_eq!(phases(), ["acknowledged", "silenced"]);
    said(&format!("/v1/alerts/unsilence?id={}", &silence[..6]));
    assert_eq!(phases(), ["acknowledged", "firing"]);
    let tests = said("/v1/alerts/test");
    assert_eq!(tests["tests"][0]["webhook"], "security");
    assert_eq!(get(&daemon, "/v1/alerts").unwrap()["webhooks"][0]["waiting"], 1);
    for wrong in [
        "/v1/alerts/ack?id=a",
        "/v1/alerts/ack?id=",
        "/v1/alerts/ack?id=ab&comment=%0a",
        "/v1/alerts/silence?match=&until=2027-01-01T00:00:00Z",
        "/v1/alerts/silence?match=colour%3Dred&until=2027-01-01T00:00:00Z",
        "/v1/alerts/silence?match=severity%3Dhigh&until=2020-01-01T00:00:00Z",
        "/v1/alerts/silence?match=severity%3Dhigh&until=2099-01-01T00:00:00Z",
        "/v1/alerts/silence?match=severity%3Dhigh&until=soon",
        "/v1/alerts/unsilence?id=0",
        "/v1/alerts/test?webhook=nobody",
        "/v1/alerts/replay",
        "/v1/alerts/replay?id=msg_1",
    ] {
        let refused = post(wrong);
        assert!(
            matches!(refused, Err(ClientError::Refused { status: 400 | 404, .. })),
            "{wrong}: {refused:?}"
        );
    }
    let daemon = of_two_users();
    for (user, group, request, status) in [
        (1000, None, "GET /v1/alerts", "403"),
        (1000, None, "GET /v1/alert?id=ab", "403"),
        (1002, Some(4711), "GET /v1/alerts", "200"),
        (1002, Some(4711), "POST /v1/alerts/test", "403"),
        (1002, Some(4711), "POST /v1/alerts/replay", "403"),
        (1000, None, "POST /v1/alerts/unsilence?id=ab", "403"),
    ] {
        let Some(answer) = ask_as(&daemon, user, group, request) else { return };
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
    }
}

#[test]
fn bytes_that_are_not_http_are_survived() {
    let daemon = Daemon::start();
    for nonsense in [&b"\0\0\0"[..], b"GET\r\n\r\n", b"GET /v1/health HTTP/1.1\r\nX"] {
        let mut stream = UnixStream::connect(daemon.socket()).unwrap();
        stream.write_all(nonsense).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
    }
    get(&daemon, "/v1/health").unwrap();
}

#[test]
fn a_socket_that_nobody_answers_on_is_told_apart() {
    let client = Client::new(std::path::Path::new("/nonexistent/weir.sock"));
    let error = ask(client.get("/v1/health")).unwrap_err();
    assert!(matches!(error, ClientError::NotRunning { .. }), "{error}");
}
