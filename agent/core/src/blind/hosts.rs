//! Which hosts are model endpoints: those that the provider room knows, and those that somebody has
//! named.

use std::net::IpAddr;
use std::str::FromStr;

use crate::provider::provider_of;

/// A host that somebody has named: `gateway.example`, `*.gateway.example` or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// This name, in lower case.
    Name(String),
    /// Every name that ends with this, which begins with a dot.
    Suffix(String),
    /// This address.
    Address(IpAddr),
}

/// Why a text is no [`HostPattern`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a host such as gateway.example, *.gateway.example or 10.0.0.7")]
pub struct ParseHostError;

impl FromStr for HostPattern {
    type Err = ParseHostError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Address(super::plain(address)));
        }
        let (name, is_suffix) = match text.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text, false),
        };
        let is_label = |label: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            !label.is_empty() && label.bytes().all(allowed)
        };
        if name.len() > 253 || !name.split('.').all(is_label) {
            return Err(ParseHostError);
        }
        let name = name.to_ascii_lowercase();
        Ok(if is_suffix { Self::Suffix(format!(".{name}")) } else { Self::Name(name) })
    }
}

/// The hosts that count.
#[derive(Clone, Debug, Default)]
pub struct Hosts(Vec<HostPattern>);

impl Hosts {
    /// Those of the providers, and `named`.
    #[must_use]
    pub const fn new(named: Vec<HostPattern>) -> Self {
        Self(named)
    }

    /// Whether a host of this name, in lower case, is a model endpoint.
    pub(super) fn has_name(&self, name: &str) -> bool {
        let named = self.0.iter().any(|pattern| match pattern {
            HostPattern::Name(known) => known == name,
            HostPattern::Suffix(suffix) => name.ends_with(suffix),
            HostPattern::Address(_) => false,
        });
        named || provider_of(name).is_some()
    }

    /// Whether an address was named.
    pub(super) fn has_address(&self, address: IpAddr) -> bool {
        self.0.contains(&HostPattern::Address(address))
    }
}
