//! Where a webhook is: its URL, of which only scheme and host may be shown. What follows may be a secret.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use hyper::Uri;
use tokio_rustls::rustls::pki_types::ServerName;
use zeroize::Zeroizing;

/// Longest URL, in bytes.
const URL_MAX: usize = 2048;

/// How a webhook is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// HTTP over verified TLS.
    Https,
    /// HTTP in clear, to a literal loopback address.
    Http,
    /// Syslog over verified TLS.
    SyslogTls,
    /// Syslog over TCP in clear, to a literal loopback address.
    SyslogTcp,
    /// Syslog over UDP, to a literal loopback address.
    SyslogUdp,
}

/// A URL that is of a known scheme and has neither user nor password.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// How it is spoken to.
    pub scheme: Scheme,
    /// A name, or an address; one of IPv6 has no brackets.
    pub host: String,
    /// Its port, or that of the scheme.
    pub port: u16,
    /// What follows the host, from the first `/` on. May be a secret.
    pub path: Zeroizing<String>,
}

/// Why a text is no [`Endpoint`]. Never has the text in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseEndpointError {
    /// It is no URL at all, or a strange one.
    #[error("a URL such as https://alerts.example/hook, without user, password or fragment")]
    Malformed,
    /// It is of a scheme that isn't known.
    #[error(
        "a URL of https://, syslog+tls://, or http://, syslog+tcp:// or syslog+udp:// to loopback"
    )]
    Scheme,
    /// What it says could be read on the way.
    #[error(
        "encryption: without TLS only a literal loopback address such as 127.0.0.1 or [::1] is sent to"
    )]
    Clear,
}

impl Scheme {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
            Self::SyslogTls => "syslog+tls",
            Self::SyslogTcp => "syslog+tcp",
            Self::SyslogUdp => "syslog+udp",
        }
    }

    const ALL: [Self; 5] =
        [Self::Https, Self::Http, Self::SyslogTls, Self::SyslogTcp, Self::SyslogUdp];

    const fn port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
            // RFC 5425, RFC 6587 and RFC 5426.
            Self::SyslogTls => 6514,
            Self::SyslogTcp => 601,
            Self::SyslogUdp => 514,
        }
    }

    /// Whether what is said can't be read on the way.
    #[must_use]
    pub const fn is_encrypted(self) -> bool {
        match self {
            Self::Https | Self::SyslogTls => true,
            Self::Http | Self::SyslogTcp | Self::SyslogUdp => false,
        }
    }

    /// Whether it is HTTP.
    #[must_use]
    pub const fn is_http(self) -> bool {
        match self {
            Self::Https | Self::Http => true,
            Self::SyslogTls | Self::SyslogTcp | Self::SyslogUdp => false,
        }
    }
}

impl Endpoint {
    /// Its host and port, as they stand in the header `Host`.
    #[must_use]
    pub fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        if *port == self.scheme.port() { host } else { format!("{host}:{port}") }
    }
}

impl FromStr for Endpoint {
    type Err = ParseEndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        use ParseEndpointError::{Clear, Malformed};
        if text.len() > URL_MAX || text.contains('#') {
            return Err(Malformed);
        }
        let uri: Uri = text.parse().map_err(|_invalid| Malformed)?;
        let scheme = uri.scheme_str().ok_or(Malformed)?;
        let scheme = Scheme::ALL.into_iter().find(|known| known.as_str() == scheme);
        let scheme = scheme.ok_or(ParseEndpointError::Scheme)?;
        let authority = uri.authority().ok_or(Malformed)?;
        let host = authority.host();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        ServerName::try_from(bare).map_err(|_invalid| Malformed)?;
        let port = match authority.as_str().strip_prefix(host) {
            Some("") => scheme.port(),
            Some(rest) => {
                let digits = rest.strip_prefix(':').ok_or(Malformed)?;
                let port = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok());
                port.flatten().filter(|port| *port != 0).ok_or(Malformed)?
            }
            // A user stands before the host.
            None => return Err(Malformed),
        };
        let is_loopback = bare.parse().is_ok_and(|address: IpAddr| address.is_loopback());
        if !scheme.is_encrypted() && !is_loopback {
            return Err(Clear);
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        if !scheme.is_http() && path != "/" && !path.is_empty() {
            return Err(Malformed);
        }
        let path = Zeroizing::new(path.to_owned());
        Ok(Self { scheme, host: bare.to_owned(), port, path })
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/…", self.scheme.as_str(), self.authority())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_are_of_tls_or_loopback() {
        for (text, host, port, path) in [
            ("https://alerts.example", "alerts.example", 443, "/"),
            ("https://alerts.example:8443/a/b?c=d", "alerts.example", 8443, "/a/b?c=d"),
            ("http://127.0.0.1:9000/hook", "127.0.0.1", 9000, "/hook"),
            ("http://[::1]:9000", "::1", 9000, "/"),
            ("syslog+tls://siem.example", "siem.example", 6514, "/"),
            ("syslog+tcp://127.0.0.1", "127.0.0.1", 601, "/"),
            ("syslog+udp://[::1]:5514", "::1", 5514, "/"),
        ] {
            let endpoint: Endpoint = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((&*endpoint.host, endpoint.port, &**endpoint.path), (host, port, path));
        }
        for (text, error) in [
            ("", ParseEndpointError::Malformed),
            ("/hook", ParseEndpointError::Malformed),
            ("https://", ParseEndpointError::Malformed),
            ("https://user:password@alerts.example/", ParseEndpointError::Malformed),
            ("https://alerts.example/#a", ParseEndpointError::Malformed),
            ("https://alerts.example:0/", ParseEndpointError::Malformed),
            ("https://alerts.example:65536/", ParseEndpointError::Malformed),
            ("https://a b/", ParseEndpointError::Malformed),
            ("syslog+tls://siem.example/path", ParseEndpointError::Malformed),
            ("ftp://alerts.example/", ParseEndpointError::Scheme),
            ("file:///etc/passwd", ParseEndpointError::Malformed),
            ("http://alerts.example/", ParseEndpointError::Clear),
            ("http://localhost/", ParseEndpointError::Clear),
            ("http://10.0.0.1/", ParseEndpointError::Clear),
            ("syslog+udp://10.0.0.1", ParseEndpointError::Clear),
        ] {
            assert_eq!(text.parse::<Endpoint>(), Err(error), "{text}");
        }
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        let endpoint: Endpoint = "https://hooks.example:444/services/T0/B0/s3cr3t".parse().unwrap();
        assert_eq!(format!("{endpoint:?}"), "https://hooks.example:444/…");
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(
            text in "(https?|syslog\\+(tls|tcp|udp))://[a-z0-9.:\\[\\]/@%?#-]{0,30}",
            any in any::<String>(),
        ) {
            let _ = any.parse::<Endpoint>();
            if let Ok(endpoint) = text.parse::<Endpoint>() {
                let loopback =
                    endpoint.host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
                prop_assert!(endpoint.scheme.is_encrypted() || loopback);
            }
        }
    }
}
