//! One attempt to tell a webhook something.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use weir_core::alert::{Answer, Notification, Problem, retry_after};
use weir_core::units::Timestamp;

use super::address::resolve;
use super::format::{Message, Telling};
use super::secret::{SecretError, Secrets};
use super::syslog;
use crate::config::{Endpoint, Place, Scheme, Webhook};
use crate::https;

/// How long one attempt may take, from the name to the head of the answer.
pub(super) const TIMEOUT: Duration = Duration::from_secs(20);

/// A connection, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Tells `webhook` something, as the host of this name.
pub(crate) async fn attempt(
    webhook: Arc<Webhook>,
    host: Arc<str>,
    notification: Notification,
) -> Answer {
    attempt_within(TIMEOUT, webhook, host, notification).await
}

/// The same, within this time.
pub(super) async fn attempt_within(
    timeout: Duration,
    webhook: Arc<Webhook>,
    host: Arc<str>,
    notification: Notification,
) -> Answer {
    let answer = tokio::time::timeout(timeout, tell(webhook, host, notification)).await;
    let answer = answer.unwrap_or(Err(Problem::Timeout));
    answer.unwrap_or_else(Answer::None)
}

/// What is to be sent, where, and by which TLS if that is encrypted.
struct Prepared {
    endpoint: Endpoint,
    message: Message,
    tls: Option<ClientConfig>,
}

async fn tell(
    webhook: Arc<Webhook>,
    host: Arc<str>,
    notification: Notification,
) -> Result<Answer, Problem> {
    // Reads files.
    let prepared =
        tokio::task::spawn_blocking(move || prepare(&webhook, &host, &notification)).await;
    let Prepared { endpoint, message, tls } = prepared.map_err(|_panicked| Problem::File)??;
    let addresses = resolve(&endpoint).await?;
    if endpoint.scheme == Scheme::SyslogUdp {
        return syslog::datagrams(&addresses, &message).await;
    }
    let tcp = connect(&addresses).await?;
    let stream: Box<dyn Stream> = match tls {
        None => Box::new(tcp),
        Some(config) => {
            let name = ServerName::try_from(endpoint.host.clone());
            let name = name.map_err(|_invalid| Problem::Resolve)?;
            let connector = TlsConnector::from(Arc::new(config));
            Box::new(connector.connect(name, tcp).await.map_err(|_refused| Problem::Tls)?)
        }
    };
    match endpoint.scheme {
        Scheme::Http | Scheme::Https => post(stream, &endpoint, message).await,
        Scheme::SyslogTls | Scheme::SyslogTcp | Scheme::SyslogUdp => {
            syslog::frames(stream, &message).await
        }
    }
}

fn prepare(
    webhook: &Webhook,
    host: &str,
    notification: &Notification,
) -> Result<Prepared, Problem> {
    let name = webhook.route.webhook.as_str();
    let unusable = |what: &'static str| {
        move |error: SecretError| {
            tracing::warn!(webhook = name, %error, "the {what} of a webhook can't be used");
            Problem::File
        }
    };
    let endpoint = match &webhook.place {
        Place::Url(endpoint) => endpoint.clone(),
        Place::File(path) => {
            Secrets::read(path).and_then(|url| url.endpoint()).map_err(unusable("url_file"))?
        }
    };
    let secrets = webhook.secret_file.as_deref().map_or(Ok(Secrets::default()), Secrets::read);
    let secrets = secrets.map_err(unusable("secret_file"))?;
    let telling = Telling { notification, host, now: Timestamp::now(), secrets: &secrets };
    let message = telling.message(webhook.format).map_err(unusable("secret_file"))?;
    let tls = if endpoint.scheme.is_encrypted() { Some(tls(webhook)?) } else { None };
    Ok(Prepared { endpoint, message, tls })
}

/// TLS that believes whom the webhook's `ca_file` does, or else this host.
fn tls(webhook: &Webhook) -> Result<ClientConfig, Problem> {
    let builder = match &webhook.ca_file {
        Some(path) => {
            let certificates = https::certificates(path).map_err(|error| {
                tracing::warn!(webhook = webhook.route.webhook, %error, "a ca_file can't be used");
                Problem::File
            })?;
            https::believing(certificates)
        }
        None => {
            let mut roots = RootCertStore::empty();
            // Some systems have roots that rustls won't take; it does without them.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            https::rooted(roots)
        }
    };
    Ok(builder.map_err(|_invalid| Problem::File)?.with_no_client_auth())
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, Problem> {
    for address in addresses {
        if let Ok(stream) = TcpStream::connect(address).await {
            return Ok(stream);
        }
    }
    Err(Problem::Connect)
}

/// Why there is no status.
struct NoAnswer;

impl From<hyper::Error> for NoAnswer {
    fn from(_error: hyper::Error) -> Self {
        Self
    }
}

async fn post(
    stream: Box<dyn Stream>,
    endpoint: &Endpoint,
    message: Message,
) -> Result<Answer, Problem> {
    let Message { content_type, headers, body } = message;
    let mut request = Request::post(endpoint.path.as_str())
        .header(HOST, endpoint.authority())
        .header(USER_AGENT, concat!("weir/", env!("CARGO_PKG_VERSION")))
        .header(CONTENT_TYPE, content_type)
        .body(Full::new(Bytes::from_owner(body)))
        .map_err(|_invalid| Problem::File)?;
    for (name, value) in headers {
        let name = HeaderName::from_static(name);
        let mut value = HeaderValue::from_str(&value).map_err(|_invalid| Problem::File)?;
        value.set_sensitive(true);
        request.headers_mut().insert(name, value);
    }
    let answer = https::exchange(stream, request, async |answer| Ok::<_, NoAnswer>(read(&answer)));
    answer.await.map_err(|NoAnswer| Problem::Answer)
}

/// What the head of an answer says. What follows it doesn't matter.
fn read<B>(answer: &Response<B>) -> Answer {
    let header = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    Answer::Status {
        status: answer.status().as_u16(),
        retry_after: header.and_then(|text| retry_after(text, Timestamp::now())),
    }
}
