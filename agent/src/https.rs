//! What clients of HTTP over verified TLS have in common: the kubelet's and those of webhooks.
//!
//! Redirects are not followed and no proxy is used: what is said, and who is shown a secret, is what the
//! configuration says. Files are read each time, because they are replaced now and then.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::body::{Body, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::rustls::client::WantsClientCert;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::{self, ClientConfig, ConfigBuilder, RootCertStore};
use zeroize::Zeroizing;

/// Largest file with certificates, a key or a token, in bytes.
const FILE_MAX: u64 = 1 << 20;

/// Why a file that the configuration names can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It can't be read.
    #[error("{path} can't be read")]
    Unreadable { path: PathBuf, source: io::Error },
    /// It is no file of certificates or of a key.
    #[error("{path} is not PEM")]
    Pem { path: PathBuf, source: pem::Error },
}

/// Reads a file that the configuration names. Wiped on drop: it may be a key or a token.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let failed = |source| FileError::Unreadable { path: path.to_owned(), source };
    content(&File::open(path).map_err(failed)?).map_err(failed)
}

/// The content of a file, as far as it is no longer than a file should be. Wiped on drop.
pub(crate) fn content(file: &File) -> io::Result<Zeroizing<Vec<u8>>> {
    let size = file.metadata()?.len().min(FILE_MAX);
    let mut content = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 32));
    file.take(FILE_MAX).read_to_end(&mut content)?;
    Ok(content)
}

/// The certificates in a file, in PEM.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<_, _>>()
        .map_err(|source| FileError::Pem { path: path.to_owned(), source })
}

/// TLS that believes whoever one of these certificates has signed.
pub(crate) fn believing(
    certificates: impl IntoIterator<Item = CertificateDer<'static>>,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate)?;
    }
    rooted(roots)
}

/// The same, of a store.
pub(crate) fn rooted(
    roots: RootCertStore,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, rustls::Error> {
    Ok(ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots))
}

/// Sends one request over a connection, and has `take` read the answer while the connection is driven.
pub(crate) async fn exchange<S, B, T, E>(
    stream: S,
    request: Request<B>,
    take: impl AsyncFnOnce(Response<Incoming>) -> Result<T, E>,
) -> Result<T, E>
where
    S: AsyncRead + AsyncWrite + Unpin,
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    E: From<hyper::Error>,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let answer = sender.send_request(request).await?;
        take(answer).await
    };
    // The connection has to be driven for the exchange to go on. Its own end says nothing new, not even where
    // it is an early one: whether the answer was whole the exchange sees.
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        taken = &mut exchange => taken,
        _ended = connection => exchange.await,
    }
}
