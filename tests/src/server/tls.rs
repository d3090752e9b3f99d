//! The server's certificate, made at its start, and the TLS it offers: 1.2 and 1.3, HTTP/2 and HTTP/1.1.

use std::sync::Arc;

use anyhow::Context as _;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::rustls::{DEFAULT_VERSIONS, ServerConfig};

/// A key pair's public side that clients can trust, and the server's configuration.
pub(super) struct Identity {
    /// The certificate authority, PEM.
    pub(super) authority: String,
    /// The server's certificate and its key, PEM.
    pub(super) credentials: String,
    /// What the server offers.
    pub(super) config: Arc<ServerConfig>,
}

/// Makes an authority and a certificate for `localhost`, `127.0.0.1` and `gateway.test`.
pub(super) fn identity() -> anyhow::Result<Identity> {
    let authority_key = KeyPair::generate()?;
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    authority.distinguished_name.push(DnType::CommonName, "weir test authority");
    let authority_certificate = authority.self_signed(&authority_key)?;

    let key = KeyPair::generate()?;
    let names = ["localhost", "127.0.0.1", "gateway.test"].map(str::to_owned);
    let mut certificate = CertificateParams::new(names)?;
    // Python 3.13 and later trust no certificate that doesn't name the key that signed it.
    certificate.use_authority_key_identifier_extension = true;
    let certificate =
        certificate.signed_by(&key, &Issuer::from_params(&authority, &authority_key))?;

    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(DEFAULT_VERSIONS)?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .context("the certificate and the key don't fit together")?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let credentials = certificate.pem() + &key.serialize_pem();
    Ok(Identity { authority: authority_certificate.pem(), credentials, config: Arc::new(config) })
}
