//! Where identities are named: the fixed front of every id.

use super::segment::segment;

/// Longest trust domain name that SPIFFE allows, in bytes.
const MAX_TRUST_DOMAIN: usize = 255;

/// The front of every identity that one daemon gives: `spiffe://<trust-domain>/host/<host>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    domain: String,
    prefix: String,
}

/// Why a trust domain and a host name can't name identities.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NamespaceError {
    /// Not what SPIFFE allows.
    #[error(
        "the trust domain {0:?} is not 1 to {MAX_TRUST_DOMAIN} characters of a-z, 0-9, '.', '-' and '_'"
    )]
    TrustDomain(String),
    /// Identities of several hosts would be one.
    #[error("the host name is empty")]
    Host,
}

impl Namespace {
    /// The namespace of `host` in `trust_domain`. The host name is escaped like every other name.
    ///
    /// # Errors
    ///
    /// If the trust domain is not what SPIFFE allows, or the host name is empty.
    pub fn new(trust_domain: &str, host: &str) -> Result<Self, NamespaceError> {
        let allowed =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
        if !(1..=MAX_TRUST_DOMAIN).contains(&trust_domain.len())
            || !trust_domain.bytes().all(allowed)
        {
            return Err(NamespaceError::TrustDomain(trust_domain.to_owned()));
        }
        if host.is_empty() {
            return Err(NamespaceError::Host);
        }
        let domain = format!("spiffe://{trust_domain}");
        Ok(Self { prefix: format!("{domain}/host/{}", segment(host)), domain })
    }

    /// `spiffe://<trust-domain>`, without a slash at the end: what all its hosts have in common.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// `spiffe://<trust-domain>/host/<host>`, without a slash at the end.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_a_spiffe_path() {
        let prefix = |domain, host| Namespace::new(domain, host).unwrap().prefix;
        assert_eq!(prefix("example.org", "web-1"), "spiffe://example.org/host/web-1");
        assert_eq!(prefix("weir", "../x"), "spiffe://weir/host/.._x2fx");
    }

    #[test]
    fn what_spiffe_does_not_allow_is_refused() {
        for domain in ["", "Example.org", "a/b", "a:1", "ä", &"a".repeat(256)] {
            assert!(
                matches!(Namespace::new(domain, "h"), Err(NamespaceError::TrustDomain(_))),
                "{domain:?}"
            );
        }
        assert_eq!(Namespace::new("d", ""), Err(NamespaceError::Host));
    }
}
