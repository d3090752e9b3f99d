//! Receivers of our own, as hostile as they come, and what an attempt makes of them.

use std::io::Read as _;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};
use weir_core::alert::{Answer, Notification, Problem, Reason, Route};
use weir_core::detect::Severity;
use weir_core::units::Timestamp;

use super::post::attempt_within;
use super::*;
use crate::config::{Format, Place, Webhook};

/// Long enough for loopback, short enough to wait for.
const PATIENCE: Duration = Duration::from_secs(2);

/// A stream that is read and written.
trait Both: std::io::Read + std::io::Write {}
impl<S: std::io::Read + std::io::Write> Both for S {}

/// Somebody who takes one request after another.
struct Fake {
    port: u16,
    /// The requests, whole.
    requests: Receiver<String>,
}

impl Fake {
    /// Does `answer` with each connection, after its request.
    fn start(answer: impl Fn(&mut dyn Both) + Send + 'static) -> Self {
        Self::with(None, answer)
    }

    fn with(
        tls: Option<Arc<ServerConfig>>,
        answer: impl Fn(&mut dyn Both) + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (taken, requests) = sync_channel(16);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut stream: Box<dyn Both> = match &tls {
                    None => Box::new(stream),
                    Some(config) => {
                        let tls = ServerConnection::new(Arc::clone(config)).unwrap();
                        Box::new(StreamOwned::new(tls, stream))
                    }
                };
                if let Some(request) = request(&mut *stream) {
                    taken.send(request).unwrap();
                    answer(&mut *stream);
                }
            }
        });
        Self { port, requests }
    }
}

/// Reads a request to the end that its head announces.
fn request(stream: &mut dyn Both) -> Option<String> {
    let mut content = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&content).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok()
            });
            if body.len() >= length.unwrap_or(0usize) {
                return Some(text);
            }
        }
        let read = stream.read(&mut piece).ok().filter(|read| *read > 0)?;
        content.extend_from_slice(&piece[..read]);
    }
}

fn webhook(url: &str, format: Format) -> Webhook {
    Webhook {
        route: Route {
            webhook: "w".to_owned(),
            min_severity: Severity::Low,
            send_resolved: true,
            per_minute: 60,
            heartbeat: None,
        },
        place: Place::Url(url.parse().unwrap_or_else(|error| panic!("{error}"))),
        format,
        secret_file: None,
        ca_file: None,
    }
}

fn send(webhook: Webhook) -> Answer {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let test = Notification::without_findings("w", Reason::Test, Timestamp::UNIX_EPOCH, "");
    runtime.block_on(attempt_within(PATIENCE, Arc::new(webhook), "host-1".into(), test))
}

const fn status(status: u16) -> Answer {
    Answer::Status { status, retry_after: None }
}

fn check(answer: impl Fn(&mut dyn Both) + Send + 'static, expected: Answer) {
    let fake = Fake::start(answer);
    let url = format!("http://127.0.0.1:{}/hook", fake.port);
    let began = Instant::now();
    assert_eq!(send(webhook(&url, Format::Slack)), expected);
    assert!(began.elapsed() < PATIENCE + Duration::from_secs(1));
    assert!(fake.requests.recv().unwrap().starts_with("POST /hook HTTP/1.1\r\n"));
    // A redirect leads nowhere, and nothing is sent twice.
    assert!(fake.requests.try_recv().is_err());
}

fn says(text: &'static str) -> impl Fn(&mut dyn Both) + Send {
    // Whoever was told to go away may have gone.
    move |stream| drop(stream.write_all(text.as_bytes()))
}

#[test]
fn what_a_receiver_answers_is_what_counts() {
    check(says("HTTP/1.1 204 No Content\r\n\r\n"), status(204));
    check(says("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n"), status(500));
    check(says("HTTP/1.1 302 Found\r\nlocation: /other\r\ncontent-length: 0\r\n\r\n"), status(302));
    let put_off = Answer::Status { status: 429, retry_after: Some(Duration::from_secs(120)) };
    check(says("HTTP/1.1 429 Busy\r\nretry-after: 120\r\ncontent-length: 0\r\n\r\n"), put_off);
    check(says("HTTP/1.1 429 Busy\r\nretry-after: soon\r\ncontent-length: 0\r\n\r\n"), status(429));
}

#[test]
fn no_answer_holds_us_up_or_fills_memory() {
    // A body that never ends, slow or fast, is not read.
    check(
        |stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n");
            while stream.write_all(&[b'a'; 65_536]).is_ok() {}
        },
        status(200),
    );
    check(|_stream| thread::sleep(2 * PATIENCE), Answer::None(Problem::Timeout));
    // A head that comes byte by byte.
    check(
        |stream| {
            for byte in b"HTTP/1.1 200 OK\r\nx: ".iter().chain(&[b'a'; 100]) {
                if stream.write_all(&[*byte]).and_then(|()| stream.flush()).is_err() {
                    return;
                }
                thread::sleep(Duration::from_millis(100));
            }
        },
        Answer::None(Problem::Timeout),
    );
    check(
        |stream| while stream.write_all(b"HTTP/1.1 200 OK\r\nx: aaaaaaaaaaaa").is_ok() {},
        Answer::None(Problem::Answer),
    );
    check(says("SSH-2.0-OpenSSH\r\n\r\n"), Answer::None(Problem::Answer));
    check(says("HTTP/1.1 200"), Answer::None(Problem::Answer));
    check(says(""), Answer::None(Problem::Answer));
}

#[test]
fn nobody_there_is_said() {
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let down = webhook(&format!("http://127.0.0.1:{free}/"), Format::Slack);
    assert_eq!(send(down), Answer::None(Problem::Connect));
    for (url, problem) in [
        ("https://no-such-name.invalid/", Problem::Resolve),
        ("https://169.254.169.254/latest", Problem::Forbidden),
        ("https://[fe80::1]/", Problem::Forbidden),
        ("https://0.0.0.0/", Problem::Forbidden),
        ("https://[::ffff:169.254.169.254]/", Problem::Forbidden),
    ] {
        assert_eq!(send(webhook(url, Format::Slack)), Answer::None(problem), "{url}");
    }
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn serving(authority: &Authority, name: &str) -> Arc<ServerConfig> {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    Arc::new(config)
}

fn secret(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn receivers_are_verified() {
    let files = tempfile::tempdir().unwrap();
    let (ours, theirs) = (authority(), authority());
    let ca_file = files.path().join("ca.crt");
    std::fs::write(&ca_file, ours.pem()).unwrap();
    let ok = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    for (signer, name, ca, expected) in [
        (&ours, "127.0.0.1", Some(&ca_file), status(200)),
        (&ours, "other.example", Some(&ca_file), Answer::None(Problem::Tls)),
        (&theirs, "127.0.0.1", Some(&ca_file), Answer::None(Problem::Tls)),
        // This host doesn't know them.
        (&ours, "127.0.0.1", None, Answer::None(Problem::Tls)),
        (&ours, "127.0.0.1", Some(&files.path().join("absent")), Answer::None(Problem::File)),
    ] {
        let fake = Fake::with(Some(serving(signer, name)), says(ok));
        let url = format!("https://127.0.0.1:{}/hook", fake.port);
        let webhook = Webhook { ca_file: ca.cloned(), ..webhook(&url, Format::Slack) };
        assert_eq!(send(webhook), expected, "{name}");
        assert_eq!(fake.requests.try_recv().is_ok(), expected == status(200));
    }
    // What speaks no TLS is no receiver of https.
    let clear = Fake::start(says(ok));
    let url = format!("https://127.0.0.1:{}/hook", clear.port);
    assert_eq!(send(webhook(&url, Format::Slack)), Answer::None(Problem::Timeout));
}

#[test]
fn secrets_come_from_files_that_are_their_owners_alone() {
    let files = tempfile::tempdir().unwrap();
    let [secret_file, url_file] = ["secret", "url"].map(|name| files.path().join(name));
    let fake = Fake::start(says("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
    secret(&secret_file, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
    secret(&url_file, &format!("http://127.0.0.1:{}/s3cr3t\n", fake.port));
    let webhook = Webhook {
        place: Place::File(url_file.clone()),
        secret_file: Some(secret_file.clone()),
        ..webhook("http://127.0.0.1:1/", Format::Standard)
    };
    assert_eq!(send(webhook.clone()), status(200));
    let request = fake.requests.recv().unwrap();
    assert!(request.starts_with("POST /s3cr3t HTTP/1.1\r\n"));
    assert!(request.contains("webhook-signature: v1,"), "{request}");
    assert!(!request.contains("whsec"), "{request}");
    for file in [&secret_file, &url_file] {
        let before = std::fs::read_to_string(file).unwrap();
        secret(file, "neither a key nor a URL");
        assert_eq!(send(webhook.clone()), Answer::None(Problem::File));
        secret(file, &before);
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(send(webhook.clone()), Answer::None(Problem::File));
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    assert_eq!(send(webhook), status(200));
}

#[test]
fn lines_of_syslog_have_their_length_before_them() {
    let files = tempfile::tempdir().unwrap();
    let ours = authority();
    let ca_file = files.path().join("ca.crt");
    std::fs::write(&ca_file, ours.pem()).unwrap();
    for tls in [None, Some(serving(&ours, "127.0.0.1"))] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let scheme = if tls.is_some() { "syslog+tls" } else { "syslog+tcp" };
        let taker = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut text = String::new();
            match tls {
                None => stream.read_to_string(&mut text).unwrap(),
                Some(config) => {
                    let tls = ServerConnection::new(config).unwrap();
                    StreamOwned::new(tls, stream).read_to_string(&mut text).unwrap()
                }
            };
            text
        });
        let webhook = webhook(&format!("{scheme}://127.0.0.1:{port}"), Format::CefSyslog);
        let webhook = Webhook { ca_file: Some(ca_file.clone()), ..webhook };
        assert_eq!(send(webhook), Answer::Taken);
        let text = taker.join().unwrap();
        let (length, line) = text.split_once(' ').unwrap();
        assert_eq!(length.parse(), Ok(line.len()));
        assert!(line.starts_with("<110>1 ") && line.contains("CEF:0|weir|"), "{line}");
    }
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    let url = format!("syslog+udp://127.0.0.1:{port}");
    assert_eq!(send(webhook(&url, Format::CefSyslog)), Answer::Taken);
    let mut datagram = [0; 4096];
    let length = socket.recv(&mut datagram).unwrap();
    assert!(datagram[..length].starts_with(b"<110>1 "));
}
