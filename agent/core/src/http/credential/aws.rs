//! Signatures of AWS: who signed, which is no secret.

use base64::Engine as _;
use zeroize::Zeroizing;

use super::query::Query;

/// The scheme of the fingerprint of an access key id. Whatever an access key signs has this one.
pub(super) const SCHEME: &str = "aws-access-key-id";
/// What a short-term key of Bedrock begins with. Base64 of a presigned URL follows.
pub(super) const BEDROCK_PREFIX: &str = "bedrock-api-key-";

/// Length of an access key id, in bytes (IAM, `AccessKeyId`).
const ACCESS_KEY: std::ops::RangeInclusive<usize> = 16..=128;
/// Longest name of a region or a service, in bytes.
const MAX_NAME: usize = 64;

/// What a signature is good for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) access_key: String,
    /// Empty where the signature is not for one region (SigV4a).
    pub(super) region: String,
    pub(super) service: String,
}

impl Scope {
    /// Reads `AKID/date/region/service/aws4_request`, where SigV4a has no region.
    pub(super) fn parse(scope: &str) -> Option<Self> {
        let parts: Vec<&str> = scope.splitn(6, '/').collect();
        let (access_key, region, service) = match parts[..] {
            [access_key, _date, region, service, "aws4_request"] => (access_key, region, service),
            [access_key, _date, service, "aws4_request"] => (access_key, "", service),
            _ => return None,
        };
        let upper = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        let is_key = ACCESS_KEY.contains(&access_key.len()) && access_key.bytes().all(upper);
        let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_name = |name: &str| name.len() <= MAX_NAME && name.bytes().all(lower);
        (is_key && is_name(region) && is_name(service)).then(|| Self {
            access_key: access_key.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
        })
    }

    /// Reads what follows the scheme in `Authorization: AWS4-…`.
    pub(super) fn of_authorization(scheme: &str, value: &[u8]) -> Option<Self> {
        if !scheme.starts_with("aws4-") {
            return None;
        }
        let mut parts = value.split(|byte| matches!(byte, b',' | b' '));
        let scope = parts.find_map(|part| part.strip_prefix(b"Credential="))?;
        Self::parse(std::str::from_utf8(scope).ok()?)
    }

    /// Reads a short-term key of Bedrock.
    pub(super) fn of_bedrock_key(key: &[u8]) -> Option<Self> {
        let encoded = key.strip_prefix(BEDROCK_PREFIX.as_bytes())?;
        let end = encoded.iter().rposition(|&byte| byte != b'=').map_or(0, |last| last + 1);
        let engine = base64::engine::general_purpose::STANDARD_NO_PAD;
        let url = Zeroizing::new(engine.decode(&encoded[..end]).ok()?);
        let (_, query) = std::str::from_utf8(&url).ok()?.split_once('?')?;
        Query::new(query).aws()
    }

    /// Whether the key is a lasting one or goes with a session token, by its prefix.
    pub(super) fn term(&self) -> Option<&'static str> {
        match self.access_key.get(..4) {
            Some("AKIA") => Some("long_term"),
            Some("ASIA") => Some("temporary"),
            _ => None,
        }
    }
}
