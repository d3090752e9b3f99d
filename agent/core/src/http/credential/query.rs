//! The query of a URL, which goes no further than this: it may hold secrets.

use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use super::{Credential, Found, aws, id};
use crate::http::credential::{CredentialKind, CredentialPlace};
use crate::secret::FingerprintKey;

/// Most parameters that are read.
const MAX_PARAMETERS: usize = 64;

/// Parameters that hold a key or a token, and the scheme of its fingerprint: that of the header
/// field which can hold it too (Gemini's `key`, Gemini Live's `access_token`, Azure's `api-key`).
const SECRETS: [(&str, &str); 3] =
    [("key", "x-goog-api-key"), ("access_token", "bearer"), ("api-key", "api-key")];

/// A query, without its question mark.
#[derive(Clone, Copy)]
pub(in crate::http) struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    pub(in crate::http) const fn new(query: &'a str) -> Self {
        Self(query)
    }

    /// The value of a parameter that may be kept.
    pub(in crate::http) fn keep(&self, name: &str) -> Option<String> {
        id(self.value(name)?.as_bytes())
    }

    /// The credential in it.
    pub(super) fn credential(&self, key: &FingerprintKey) -> Option<Credential> {
        let place = CredentialPlace::Url;
        if let Some(scope) = self.aws() {
            return Some(Credential::of_aws(&scope, CredentialKind::AwsSigv4, place, key));
        }
        SECRETS.into_iter().find_map(|(name, scheme)| {
            let secret = self.value(name).filter(|secret| !secret.is_empty())?;
            Some(Credential::of(&Found { scheme, secret: secret.as_bytes(), place }, key))
        })
    }

    /// Who signed it, if it is that of a presigned URL.
    pub(super) fn aws(&self) -> Option<aws::Scope> {
        aws::Scope::parse(&self.value("X-Amz-Credential")?)
    }

    fn value(&self, name: &str) -> Option<Zeroizing<String>> {
        let mut parameters = self.0.split('&').take(MAX_PARAMETERS);
        let value = parameters.find_map(|one| {
            let (key, value) = one.split_once('=')?;
            (key == name).then_some(value)
        })?;
        let decoded = percent_decode_str(value).decode_utf8().ok()?;
        Some(Zeroizing::new(decoded.into_owned()))
    }
}
