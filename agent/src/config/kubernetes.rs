//! `[kubernetes]`: where the kubelet is, whom to believe that it is it, and what to show it.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::str::FromStr;

use tokio_rustls::rustls::pki_types::ServerName;
use toml::de::DeValue;

use super::read::absolute_path;
use super::section::{Section, text};

/// The kubelet's port, if none is said.
const DEFAULT_PORT: u16 = 10_250;

/// `[kubernetes]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubernetes {
    /// Where the kubelet is.
    pub kubelet: KubeletAddress,
    /// The certificates, in PEM, one of which must have signed the kubelet's.
    pub ca_file: PathBuf,
    /// A file with a token that may read the pods of the node.
    pub token_file: Option<PathBuf>,
    /// A certificate that may.
    pub client: Option<ClientCertificate>,
}

/// A certificate to show, and its key, both in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, and those between it and one that the kubelet knows.
    pub cert_file: PathBuf,
    /// Its key.
    pub key_file: PathBuf,
}

/// `https://<name or address>[:<port>]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubeletAddress {
    /// A name or an address that its certificate has. One of IPv6 has no brackets.
    pub host: String,
    /// 10250 by default.
    pub port: u16,
}

/// Why a text is no [`KubeletAddress`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no address such as https://127.0.0.1:10250")]
pub struct ParseAddressError;

impl FromStr for KubeletAddress {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix("https://").ok_or(ParseAddressError)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or(ParseAddressError)?;
                host.parse::<Ipv6Addr>().map_err(|_invalid| ParseAddressError)?;
                (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')) })
            }
            None => match rest.split_once(':') {
                Some((host, port)) => (host, Some(Some(port))),
                None => (rest, None),
            },
        };
        let port = match port {
            None => DEFAULT_PORT,
            Some(port) => port
                .filter(|port| port.bytes().all(|b| b.is_ascii_digit()))
                .and_then(|port| port.parse().ok())
                .filter(|&port| port != 0)
                .ok_or(ParseAddressError)?,
        };
        ServerName::try_from(host).map_err(|_invalid| ParseAddressError)?;
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for KubeletAddress {
    /// As it stands in the header `Host`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// Reads the table. Without `kubelet_url` nothing else has a meaning; with it, the kubelet has to be
/// known by its certificate and has to be shown something.
pub(super) fn read(section: &mut Section<'_, '_>) -> Option<Kubernetes> {
    let kubelet = section.take("kubelet_url", address);
    let ca_file = section.take("ca_file", absolute_path);
    let token_file = section.take("token_file", absolute_path);
    let cert_file = section.take("client_cert_file", absolute_path);
    let key_file = section.take("client_key_file", absolute_path);
    if !section.has("kubelet_url") {
        for key in ["ca_file", "token_file", "client_cert_file", "client_key_file"] {
            if section.has(key) {
                section.refuse_key(key, "has no meaning without `kubelet_url`");
            }
        }
        return None;
    }
    if !section.has("ca_file") {
        section.refuse_key("kubelet_url", "needs `ca_file`: the kubelet is always verified");
    }
    for (key, other, message) in [
        ("client_cert_file", "client_key_file", "needs `client_key_file`"),
        ("client_key_file", "client_cert_file", "needs `client_cert_file`"),
    ] {
        if section.has(key) && !section.has(other) {
            section.refuse_key(key, message);
        }
    }
    if !section.has("token_file") && !section.has("client_cert_file") {
        section.refuse_key("kubelet_url", "needs `token_file` or `client_cert_file`");
    }
    let client = cert_file.zip(key_file);
    let client = client.map(|(cert_file, key_file)| ClientCertificate { cert_file, key_file });
    Some(Kubernetes { kubelet: kubelet?, ca_file: ca_file?, token_file, client })
}

fn address(value: &DeValue<'_>) -> Result<KubeletAddress, String> {
    text(value)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| "an address such as \"https://127.0.0.1:10250\"".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_of_https_alone() {
        for (text, host, port) in [
            ("https://127.0.0.1:10250", "127.0.0.1", 10_250),
            ("https://node-1.example/", "node-1.example", 10_250),
            ("https://[::1]:1", "::1", 1),
            ("https://[fe80::1]", "fe80::1", 10_250),
        ] {
            let expected = KubeletAddress { host: host.to_owned(), port };
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in [
            "",
            "http://127.0.0.1:10255",
            "127.0.0.1:10250",
            "https://",
            "https://a b",
            "https://h:0",
            "https://h:99999",
            "https://h:+1",
            "https://u:p@h",
            "https://h/pods",
            "https://[::1",
            "https://[::1]1",
            "https://[h]:1",
            "https://::1",
        ] {
            assert_eq!(text.parse::<KubeletAddress>(), Err(ParseAddressError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "(https://)?[a-z0-9.:\\[\\]/@%-]{0,30}", any in any::<String>()) {
            let _ = any.parse::<KubeletAddress>();
            if let Ok(address) = text.parse::<KubeletAddress>() {
                prop_assert_eq!(format!("https://{address}").parse(), Ok(address));
            }
        }
    }
}
