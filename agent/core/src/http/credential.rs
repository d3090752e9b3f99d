//! Credentials, as far as they may be known: a keyed fingerprint, what kind of credential it is and
//! the ids beside it that are no secrets. The secret itself goes no further than this parser.

mod aws;
mod jwt;
mod kind;
mod query;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::kind::CredentialKind;
pub(super) use self::query::Query;
use super::head::{Field, field, fields_named};
use crate::secret::{Fingerprint, FingerprintKey};

/// Longest id that is kept, in bytes. Longer ones are dropped whole.
const MAX_ID: usize = 256;

/// What is known of the credential that a request carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Stands for it.
    pub fingerprint: Fingerprint,
    /// What it is, by its form.
    pub kind: CredentialKind,
    /// Where it was.
    pub place: CredentialPlace,
    /// Ids beside or inside it that are no secrets, by name: `openai_organization`,
    /// `aws_access_key_id`, … Names that begin with `claim_` are claims of a token whose signature
    /// nobody here has verified.
    pub ids: BTreeMap<&'static str, String>,
}

/// Where a request carries its credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CredentialPlace {
    /// In a header field.
    Header,
    /// In the query of the URL, where logs of proxies have it too.
    Url,
}

/// Header fields that name whom a request is for, and the ids that they are.
const ID_FIELDS: [(&str, &str); 6] = [
    ("openai-organization", "openai_organization"),
    ("openai-project", "openai_project"),
    ("anthropic-workspace-id", "anthropic_workspace"),
    ("chatgpt-account-id", "chatgpt_account"),
    ("x-goog-user-project", "google_user_project"),
    ("copilot-integration-id", "copilot_integration"),
];

/// What a browser, which can set no header fields for a WebSocket, puts in front of its key, and of
/// ids, among the subprotocols (OpenAI Realtime).
const SUBPROTOCOL_KEY: &[u8] = b"openai-insecure-api-key.";
const SUBPROTOCOL_IDS: [(&[u8], &str); 2] =
    [(b"openai-organization.", "openai_organization"), (b"openai-project.", "openai_project")];

/// A secret that was found, and how.
struct Found<'a> {
    /// What its place calls it: the scheme of its fingerprint, where its kind has no other.
    scheme: &'a str,
    secret: &'a [u8],
    place: CredentialPlace,
}

impl Credential {
    /// The credential among a request's header fields or in its query: the first of `Authorization`,
    /// `api-key`, `x-api-key`, `x-goog-api-key`, a WebSocket's subprotocols and the query.
    pub(super) fn find(
        fields: &[Field<'_>],
        query: &Query<'_>,
        key: &FingerprintKey,
    ) -> Option<Self> {
        let mut found = authorization(fields, key)
            .or_else(|| header(fields).map(|found| Self::of(&found, key)))
            .or_else(|| query.credential(key))?;
        for (name, id) in ID_FIELDS {
            found.add(id, field(fields, name).unwrap_or_default());
        }
        for (prefix, id) in SUBPROTOCOL_IDS {
            let value = subprotocols(fields).find_map(|one| one.strip_prefix(prefix));
            found.add(id, value.unwrap_or_default());
        }
        Some(found)
    }

    /// What is known of a bearer token, wherever it was handed out: as of a request that carries it
    /// in `Authorization`.
    pub(crate) fn of_bearer(token: &[u8], key: &FingerprintKey) -> Self {
        let place = CredentialPlace::Header;
        Self::of(&Found { scheme: "bearer", secret: token, place }, key)
    }

    /// Adds an id, if it is one that fits a record.
    pub fn add(&mut self, name: &'static str, value: &[u8]) {
        if let Some(value) = id(value) {
            self.ids.insert(name, value);
        }
    }

    fn of(found: &Found<'_>, key: &FingerprintKey) -> Self {
        let Found { scheme, secret, place } = *found;
        let kind = CredentialKind::of(scheme, secret);
        if kind == CredentialKind::BedrockApiKey
            && let Some(scope) = aws::Scope::of_bedrock_key(secret)
        {
            return Self::of_aws(&scope, kind, place, key);
        }
        let fingerprint = key.fingerprint(kind.scheme().unwrap_or(scheme), secret);
        let mut credential = Self { fingerprint, kind, place, ids: BTreeMap::new() };
        credential.add("key_class", kind::class(secret).unwrap_or_default().as_bytes());
        if kind == CredentialKind::Jwt {
            for (name, claim) in jwt::claims(secret) {
                credential.add(name, claim.as_bytes());
            }
        }
        credential
    }

    /// The identity behind an AWS signature: one fingerprint for its access key, however it signs.
    fn of_aws(
        scope: &aws::Scope,
        kind: CredentialKind,
        place: CredentialPlace,
        key: &FingerprintKey,
    ) -> Self {
        let fingerprint = key.fingerprint(aws::SCHEME, scope.access_key.as_bytes());
        let mut credential = Self { fingerprint, kind, place, ids: BTreeMap::new() };
        credential.add("aws_access_key_id", scope.access_key.as_bytes());
        credential.add("aws_region", scope.region.as_bytes());
        credential.add("aws_service", scope.service.as_bytes());
        credential.add("aws_key_term", scope.term().unwrap_or_default().as_bytes());
        credential
    }
}

/// The credential in `Authorization`.
fn authorization(fields: &[Field<'_>], key: &FingerprintKey) -> Option<Credential> {
    let value = field(fields, "authorization")?.trim_ascii();
    let end = value.iter().position(|&byte| byte == b' ').unwrap_or(value.len());
    let scheme = String::from_utf8_lossy(&value[..end]).to_ascii_lowercase();
    let secret = value[end..].trim_ascii();
    let place = CredentialPlace::Header;
    if let Some(scope) = aws::Scope::of_authorization(&scheme, secret) {
        return Some(Credential::of_aws(&scope, CredentialKind::AwsSigv4, place, key));
    }
    (!secret.is_empty()).then(|| Credential::of(&Found { scheme: &scheme, secret, place }, key))
}

/// The key in any other header field. Foundry's clients send theirs as `api-key` and `x-api-key`.
fn header<'a>(fields: &[Field<'a>]) -> Option<Found<'a>> {
    let place = CredentialPlace::Header;
    let named = ["api-key", "x-api-key", "x-goog-api-key"].into_iter().find_map(|scheme| {
        let secret = field(fields, scheme)?.trim_ascii();
        (!secret.is_empty()).then_some(Found { scheme, secret, place })
    });
    named.or_else(|| {
        let secret = subprotocols(fields).find_map(|one| one.strip_prefix(SUBPROTOCOL_KEY))?;
        Some(Found { scheme: "bearer", secret, place })
    })
}

fn subprotocols<'a>(fields: &[Field<'a>]) -> impl Iterator<Item = &'a [u8]> {
    fields_named(fields, "sec-websocket-protocol")
        .flat_map(|value| value.split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
}

/// What a token that is handed in for another claims of whose it is: apart from what the other one
/// claims.
pub(crate) fn subject_claims(token: &[u8]) -> impl Iterator<Item = (&'static str, String)> {
    jwt::claims(token).into_iter().filter_map(|(name, claim)| {
        let name = match name {
            "claim_iss" => "claim_subject_iss",
            "claim_sub" => "claim_subject_sub",
            _ => return None,
        };
        Some((name, id(claim.as_bytes())?))
    })
}

/// A value as an id: bounded, and nothing that could disturb a terminal.
pub(crate) fn id(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?.trim();
    let fits = !text.is_empty() && text.len() <= MAX_ID && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}
