//! A kubelet of our own behind TLS, and what is believed of it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use weir_core::identity::Placement;

use super::*;
use crate::config::{ClientCertificate, KubeletAddress};

const ID: &str = "3f29a1cc0b6d4e8f9a7b5c3d1e2f40516273849506a7b8c9d0e1f2a3b4c5d6e7";
const UID: &str = "2c48913c-b29f-11e7-9350-020968147796";

type Authority = CertifiedIssuer<'static, KeyPair>;

/// Certificates of one cluster, as files.
struct Cluster {
    files: TempDir,
    authority: Authority,
}

/// A kubelet that answers every question with the same bytes.
struct Fake {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Cluster {
    fn new() -> Self {
        let files = tempfile::tempdir().unwrap();
        let authority = authority();
        std::fs::write(files.path().join("ca.crt"), authority.pem()).unwrap();
        std::fs::write(files.path().join("token"), "t0ken\n").unwrap();
        let cluster = Self { files, authority };
        let (certificate, key) = cluster.certificate("weir");
        std::fs::write(cluster.at("client.crt"), certificate.pem()).unwrap();
        std::fs::write(cluster.at("client.key"), key.serialize_pem()).unwrap();
        cluster
    }

    fn at(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    fn certificate(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.authority).unwrap(), key)
    }

    fn access(&self, kubelet: &Fake) -> Kubernetes {
        Kubernetes {
            kubelet: KubeletAddress { host: "127.0.0.1".to_owned(), port: kubelet.port },
            ca_file: self.at("ca.crt"),
            token_file: Some(self.at("token")),
            client: None,
        }
    }

    /// Starts a kubelet whose certificate has `name`. It wants to see a certificate, if `verifies`.
    fn kubelet(&self, name: &str, verifies: bool, answer: Vec<u8>) -> Fake {
        let (certificate, key) = self.certificate(name);
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if verifies {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from(self.authority.der().to_vec())).unwrap();
            let provider = Arc::new(ring::default_provider());
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        Fake::start(Arc::new(config), answer)
    }
}

impl Fake {
    fn start(config: Arc<ServerConfig>, answer: Vec<u8>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
                if let Some(true) = reply(StreamOwned::new(tls, stream), &answer) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self { port, asked }
    }
}

/// Answers one question; says whether it was the right one.
fn reply(mut stream: StreamOwned<ServerConnection, TcpStream>, answer: &[u8]) -> Option<bool> {
    let mut question = Vec::new();
    let mut piece = [0; 1024];
    while !question.ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut piece).ok().filter(|&read| read > 0)?;
        question.extend_from_slice(&piece[..read]);
    }
    stream.write_all(answer).ok()?;
    stream.conn.send_close_notify();
    stream.flush().ok()?;
    let question = String::from_utf8(question).unwrap().to_lowercase();
    let is_authorized = question.contains("authorization: bearer t0ken\r\n");
    Some(question.starts_with("get /pods http/1.1\r\n") && is_authorized)
}

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn http(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn list() -> String {
    format!(
        r#"{{"items":[{{"metadata":{{"name":"web-0","namespace":"shop","uid":"{UID}"}},
        "spec":{{"serviceAccountName":"bot"}},
        "status":{{"containerStatuses":[{{"containerID":"containerd://{ID}"}}]}}}}]}}"#
    )
}

/// What one question gives, as the number of pods or the error with its causes.
fn ask(access: &Kubernetes) -> Result<usize, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let pods = runtime.block_on(client::pods(access)).map(|pods| pods.len());
    pods.map_err(|error| format!("{:#}", anyhow::Error::from(error)))
}

#[test]
fn what_the_kubelet_says_is_found_by_uid_and_by_container() {
    let cluster = Cluster::new();
    let fake = cluster.kubelet("127.0.0.1", false, http("200 OK", &list()));
    let kubelet = Kubelet::start(cluster.access(&fake)).unwrap();
    let cgroup = format!("/kubepods/burstable/pod{UID}/{ID}");
    let placement = Placement::of(&cgroup);
    let (uid, container) = (placement.pod.unwrap(), placement.container.unwrap().id);
    let begun = Instant::now();
    let pod = loop {
        assert!(begun.elapsed() < Duration::from_secs(20), "never told");
        match kubelet.pod(Some(&uid), &container) {
            Some(pod) => break pod,
            None => thread::sleep(Duration::from_millis(10)),
        }
    };
    assert_eq!(pod.uid, UID);
    assert_eq!(pod.service_account.as_deref(), Some("bot"));
    assert_eq!(kubelet.pod(None, &container), Some(pod));
    assert!(fake.asked.load(Ordering::Relaxed) > 0, "with the token");
    assert_eq!(kubelet.health().latest(), Some(Ok(1)));
    let other = Placement::of(&format!("/kubepods/pod{}/{ID}", UID.replace('2', "3"))).pod;
    assert_eq!(kubelet.pod(other.as_ref(), &container), None, "the uid is the cgroup's");
}

#[test]
fn a_certificate_can_be_shown_instead_of_a_token() {
    let cluster = Cluster::new();
    let fake = cluster.kubelet("127.0.0.1", true, http("200 OK", &list()));
    let client = ClientCertificate {
        cert_file: cluster.at("client.crt"),
        key_file: cluster.at("client.key"),
    };
    let access = Kubernetes { client: Some(client), token_file: None, ..cluster.access(&fake) };
    assert_eq!(ask(&access), Ok(1));
    let without = Kubernetes { client: None, ..access };
    assert!(ask(&without).is_err());
}

#[test]
fn nobody_else_is_believed() {
    let cluster = Cluster::new();
    let answer = || http("200 OK", &list());
    #[track_caller]
    fn refused(access: &Kubernetes, reason: &str) {
        let error = ask(access).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
    let fake = cluster.kubelet("other.example", false, answer());
    refused(&cluster.access(&fake), "not valid for name");
    assert_eq!(fake.asked.load(Ordering::Relaxed), 0, "it saw no token");

    let fake = Cluster::new().kubelet("127.0.0.1", false, answer());
    refused(&cluster.access(&fake), "no verified connection");

    let moved = b"HTTP/1.1 302 Found\r\nlocation: https://127.0.0.1/\r\ncontent-length: 0\r\n\r\n";
    for (answer, reason) in [
        (http("401 Unauthorized", "{}"), "it answers 401"),
        (moved.to_vec(), "it answers 302"),
        (http("200 OK", "{}"), "no list of pods"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec(), "the answer can't be read"),
        (b"SSH-2.0-x\r\n\r\n".to_vec(), "no answer"),
    ] {
        let fake = cluster.kubelet("127.0.0.1", false, answer);
        refused(&cluster.access(&fake), reason);
    }
    let head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
    let endless = [head, vec![b' '; (32 << 20) + 1]].concat();
    let fake = cluster.kubelet("127.0.0.1", false, endless);
    refused(&cluster.access(&fake), "the answer can't be read");
}

#[test]
fn files_that_are_none_are_said() {
    let cluster = Cluster::new();
    let fake = cluster.kubelet("127.0.0.1", false, http("200 OK", &list()));
    let good = cluster.access(&fake);
    let absent = Path::new("/absent/file").to_owned();
    let error = ask(&Kubernetes { ca_file: absent.clone(), ..good.clone() }).unwrap_err();
    assert!(error.contains("/absent/file can't be read"), "{error}");
    let error = ask(&Kubernetes { token_file: Some(absent), ..good.clone() }).unwrap_err();
    assert!(error.contains("/absent/file can't be read"), "{error}");
    let client =
        ClientCertificate { cert_file: cluster.at("token"), key_file: cluster.at("token") };
    let error = ask(&Kubernetes { client: Some(client), ..good }).unwrap_err();
    assert!(error.contains("is not PEM"), "{error}");
}
