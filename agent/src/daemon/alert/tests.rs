//! `kill -9` at any moment: a child runs the ledger and this thread until it is killed, again and again, and
//! a receiver in this process notes what it is told.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread::{self, sleep};

use weir_core::alert::{Route, Settings};
use weir_core::detect::{Detector, Evidence, Finding, FindingId, Severity, State, Subject};

use super::super::changes::Changes;
use super::super::settle::{BATCH_TIME, Keeper};
use super::*;
use crate::config::{Format, Place};
use crate::ledger::{Ledger, Options};

/// The variables that make a test run the child: the folder, the receiver's port and the round.
const VARIABLES: [&str; 3] = ["WEIR_ALERT_DIR", "WEIR_ALERT_PORT", "WEIR_ALERT_ROUND"];
const ROUNDS: u64 = 12;

fn finding(round: u64) -> Finding {
    // One subject, so one group: the order counts.
    Finding {
        id: FindingId(format!("round-{round:02}")),
        time: Timestamp::now(),
        since: Timestamp::now(),
        state: State::Firing,
        detector: Detector::Budget,
        severity: Severity::High,
        subject: Subject::Budget("everything".to_owned()),
        identity: None,
        owner: None,
        team: None,
        summary: "used up".to_owned(),
        evidence: Evidence::default(),
        next_step: "Look.".to_owned(),
    }
}

/// Stores what is found in this round, and tells of it until somebody kills it.
fn live(dir: &Path, port: &str, round: u64) {
    let options = Options { retain_days: None, probe: None };
    let (mut ledger, _) = Ledger::open(dir, Timestamp::now(), options).unwrap();
    ledger.append(Timestamp::now(), &[Entry::Finding(Box::new(finding(round)))]).unwrap();
    println!("stored");
    let route = Route {
        webhook: "w".to_owned(),
        min_severity: Severity::Low,
        send_resolved: true,
        per_minute: 600,
        heartbeat: None,
    };
    let webhook = Webhook {
        route: route.clone(),
        place: Place::Url(format!("http://127.0.0.1:{port}/").parse().unwrap()),
        format: Format::Ocsf,
        secret_file: None,
        ca_file: None,
    };
    let settings = Settings {
        group_wait: Duration::ZERO,
        group_interval: Duration::from_millis(100),
        routes: vec![route],
        ..Settings::default()
    };
    let (entries, kept) = sync_channel(64);
    let vitals = Arc::<Vitals>::default();
    let alerting = Alerting::new(
        Alerts::new(settings),
        vec![webhook],
        "host-1",
        ledger.reader(),
        Checkpoints::new(dir, "alert"),
        entries,
        Arc::clone(&vitals),
    )
    .unwrap();
    let keeper = Keeper {
        ledger,
        entries: kept,
        changes: Changes::default(),
        patience: BATCH_TIME,
        vitals,
        turn: None,
    };
    thread::spawn(move || keeper.run());
    alerting.run();
}

/// Notes the findings of each notification by its id, and refuses every third attempt.
fn receive(listener: &TcpListener, told: &Mutex<Vec<(String, bool)>>) {
    for (number, stream) in listener.incoming().flatten().enumerate() {
        let Some(body) = body(&stream) else { continue };
        let is_taken = number % 3 != 2;
        told.lock().unwrap().push((body, is_taken));
        let answer = if is_taken { "200 OK" } else { "500 Oh" };
        let answer = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        // Whoever asked may be dead.
        let _ = (&stream).write_all(answer.as_bytes());
    }
}

fn body(stream: &TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        if line == "\r\n" {
            break;
        }
        if let Some(digits) = line.to_lowercase().strip_prefix("content-length: ") {
            length = digits.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    String::from_utf8(body).ok()
}

fn child(dir: &Path, port: u16, round: u64) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "daemon::alert::tests::whoever_is_killed_tells_all_of_it_once_it_lives_again",
        ])
        .arg("--nocapture")
        .env(VARIABLES[0], dir)
        .env(VARIABLES[1], port.to_string())
        .env(VARIABLES[2], round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().ends_with("stored")));
    child
}

#[test]
fn whoever_is_killed_tells_all_of_it_once_it_lives_again() {
    if let [Ok(dir), Ok(port), Ok(round)] = VARIABLES.map(std::env::var) {
        live(Path::new(&dir), &port, round.parse().unwrap());
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let told = Arc::<Mutex<Vec<(String, bool)>>>::default();
    thread::spawn({
        let told = Arc::clone(&told);
        move || receive(&listener, &told)
    });
    for round in 0..ROUNDS {
        let mut child = child(dir.path(), port, round);
        // Another moment each time, from at once to after a few writes to the disk.
        sleep(Duration::from_millis(round * 577 % 1400));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let mut last = child(dir.path(), port, ROUNDS);
    let named = |text: &str, round: u64| text.contains(&format!("round-{round:02}"));
    let deadline = Instant::now() + Duration::from_secs(40);
    while !(0..=ROUNDS)
        .all(|round| told.lock().unwrap().iter().any(|(body, taken)| *taken && named(body, round)))
    {
        assert!(Instant::now() < deadline, "{:?}", told.lock().unwrap());
        sleep(Duration::from_millis(100));
    }
    last.kill().unwrap();
    last.wait().unwrap();
    // One id is one notification, however often it was tried.
    let told = told.lock().unwrap();
    let mut bodies: HashMap<String, &str> = HashMap::new();
    let mut order = Vec::new();
    for (body, _) in told.iter() {
        let events: serde_json::Value = serde_json::from_str(body).unwrap();
        let id = events[0]["metadata"]["uid"].as_str().unwrap().to_owned();
        if !bodies.contains_key(&id) {
            order.push(id.clone());
        }
        assert_eq!(bodies.entry(id.clone()).or_insert(body), body);
        // Nothing of this group is tried again once a later one was.
        assert_eq!(order.last(), Some(&id));
    }
}
