//! One question to the kubelet, over TLS that is verified.
//!
//! The files with certificates, key and token are read each time, because they are replaced now and then.
//! Redirects are not followed and no proxy is used, so what is asked, and who is shown the token, is what
//! the configuration says.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, HOST, HeaderValue};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};
use zeroize::Zeroizing;

use super::pods::{self, NodePod};
use crate::config::Kubernetes;

/// How long one question may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Largest answer, in bytes. A pod has some 10 KB.
const ANSWER_MAX: usize = 32 << 20;
/// Largest file with certificates, a key or a token, in bytes.
const FILE_MAX: u64 = 1 << 20;

/// Why the kubelet has not told its pods.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// A file of the configuration can't be used.
    #[error("{path} can't be read")]
    File { path: PathBuf, source: io::Error },
    /// It is no file of certificates or of a key.
    #[error("{path} is not PEM")]
    Pem { path: PathBuf, source: rustls::pki_types::pem::Error },
    /// The token has bytes that no header may have.
    #[error("the token is no text")]
    Token,
    /// The files don't fit together.
    #[error("the certificates can't be used")]
    Tls(#[from] rustls::Error),
    /// Its name is neither one nor an address.
    #[error("the kubelet's name is none")]
    Name(#[from] rustls::pki_types::InvalidDnsNameError),
    /// No connection, or none that is verified.
    #[error("no verified connection")]
    Connect(#[source] io::Error),
    /// No answer in HTTP.
    #[error("no answer")]
    Http(#[from] hyper::Error),
    /// The answer is too long, or ended too early.
    #[error("the answer can't be read")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It refuses to tell.
    #[error("it answers {0}")]
    Status(StatusCode),
    /// It tells something else.
    #[error("the answer is no list of pods")]
    Json(#[from] serde_json::Error),
    /// It takes too long.
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    Late,
}

/// Asks for all pods of the node.
pub(super) async fn pods(access: &Kubernetes) -> Result<Vec<NodePod>, AskError> {
    let answer =
        tokio::time::timeout(TIMEOUT, ask(access)).await.map_err(|_late| AskError::Late)?;
    Ok(pods::parse(&answer?)?)
}

async fn ask(access: &Kubernetes) -> Result<Zeroizing<Vec<u8>>, AskError> {
    let tls = TlsConnector::from(Arc::new(tls(access)?));
    let host = access.kubelet.host.as_str();
    let name = ServerName::try_from(host.to_owned())?;
    let tcp = TcpStream::connect((host, access.kubelet.port)).await.map_err(AskError::Connect)?;
    let stream = tls.connect(name, tcp).await.map_err(AskError::Connect)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;

    let mut request = Request::get("/pods")
        .header(HOST, access.kubelet.to_string())
        .header(ACCEPT, "application/json")
        .body(Empty::<Bytes>::new())
        .map_err(|error| AskError::Body(error.into()))?;
    if let Some(path) = &access.token_file {
        let token = read(path)?;
        let header = Zeroizing::new([b"Bearer ", token.trim_ascii()].concat());
        let mut header = HeaderValue::from_bytes(&header).map_err(|_invalid| AskError::Token)?;
        header.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, header);
    }
    let exchange = async {
        let answer = sender.send_request(request).await?;
        if answer.status() != StatusCode::OK {
            return Err(AskError::Status(answer.status()));
        }
        // Pods have secrets in their environment, where people are careless.
        let mut content = Zeroizing::new(Vec::new());
        let mut body = Limited::new(answer.into_body(), ANSWER_MAX);
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.map_err(AskError::Body)?.into_data() {
                content.extend_from_slice(&data);
            }
        }
        Ok(content)
    };
    // The connection has to be driven for the exchange to go on; its own end says nothing new.
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        content = &mut exchange => content,
        ended = connection => {
            ended?;
            exchange.await
        }
    }
}

fn tls(access: &Kubernetes) -> Result<ClientConfig, AskError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&access.ca_file)? {
        roots.add(certificate)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    Ok(match &access.client {
        Some(client) => {
            let path = &client.key_file;
            let key = PrivateKeyDer::from_pem_slice(&read(path)?)
                .map_err(|source| AskError::Pem { path: path.clone(), source })?;
            config.with_client_auth_cert(certificates(&client.cert_file)?, key)?
        }
        None => config.with_no_client_auth(),
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, AskError> {
    CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<_, _>>()
        .map_err(|source| AskError::Pem { path: path.to_owned(), source })
}

/// Reads a file that the configuration names. Wiped on drop: it may be a key or a token.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, AskError> {
    let failed = |source| AskError::File { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len().min(FILE_MAX);
    let mut content = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 32));
    file.take(FILE_MAX).read_to_end(&mut content).map_err(failed)?;
    Ok(content)
}
