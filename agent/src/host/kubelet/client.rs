//! One question to the kubelet, over TLS that is verified.
//!
//! The files with certificates, key and token are read each time, because they are replaced now and then.
//! Redirects are not followed and no proxy is used, so what is asked, and who is shown the token, is what
//! the configuration says.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, HOST, HeaderValue};
use hyper::{Request, StatusCode};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{self, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig};
use zeroize::Zeroizing;

use super::pods::{self, NodePod};
use crate::config::Kubernetes;
use crate::https::{FileError, believing, certificates, exchange, read};

/// How long one question may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Largest answer, in bytes. A pod has some 10 KB.
const ANSWER_MAX: usize = 32 << 20;

/// Why the kubelet has not told its pods.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// A file of the configuration can't be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The token has bytes that no header may have.
    #[error("the token is no text")]
    Token,
    /// The files don't fit together.
    #[error("the certificates can't be used")]
    Tls(#[from] rustls::Error),
    /// Its name is neither one nor an address.
    #[error("the kubelet's name is none")]
    Name(#[from] pki_types::InvalidDnsNameError),
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
    exchange(stream, request, async |answer| {
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
    })
    .await
}

fn tls(access: &Kubernetes) -> Result<ClientConfig, AskError> {
    let config = believing(certificates(&access.ca_file)?)?;
    Ok(match &access.client {
        Some(client) => {
            let path = &client.key_file;
            let key = PrivateKeyDer::from_pem_slice(&read(path)?)
                .map_err(|source| FileError::Pem { path: path.clone(), source })?;
            config.with_client_auth_cert(certificates(&client.cert_file)?, key)?
        }
        None => config.with_no_client_auth(),
    })
}
