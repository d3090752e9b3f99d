//! The API over a real Unix socket, answering from a real ledger.

#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};
use support::{Daemon, call};
use weir::control::{Client, ClientError};
use weir_core::meter::UsageRecord;

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

/// The kernel gives the connecting thread's user id to the other end, and a thread of root's can
/// take on another (credentials(7)); without root there is nobody else to be.
#[test]
fn another_user_of_the_group_may_read_but_not_everything() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can be another user");
        return;
    }
    let mut daemon = Daemon::shared_with("root");
    daemon.store(&[call(1, "ann", "gpt-5")]);
    let daemon = daemon;
    let directory = daemon.directory.path();
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o711)).unwrap();
    let as_nobody = |target: &str| {
        let (socket, target) = (daemon.socket(), target.to_owned());
        let asking = std::thread::spawn(move || {
            rustix::thread::set_thread_uid(rustix::thread::Uid::from_raw(65_534)).unwrap();
            let mut stream = UnixStream::connect(socket).unwrap();
            let request =
                format!("GET {target} HTTP/1.1\r\nhost: weir\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        });
        asking.join().unwrap()
    };
    let usage = as_nobody("/v1/usage");
    assert!(usage.starts_with("HTTP/1.1 200 "), "{usage}");
    let verify = as_nobody("/v1/ledger/verify");
    assert!(verify.starts_with("HTTP/1.1 403 "), "{verify}");
    assert!(verify.contains(r#"{"error":{"code":"forbidden","message":"#), "{verify}");
    for others in ["pid=812", "name=bot", "name=user/ann"] {
        let target = format!("/v1/identity/explain?{others}");
        let explained = as_nobody(&target);
        assert!(explained.starts_with("HTTP/1.1 403 "), "{explained}");
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
