//! Tokens that say whose they are (RFC 7519). Nothing is verified: what is read are claims.

use base64::Engine as _;
use serde_json::{Map, Value};

/// Longest set of claims that is read, in bytes of Base64.
const MAX_CLAIMS: usize = 16 * 1024;

/// The claims that are wanted and their names among the ids. Entra names an application `appid` in
/// one version of its tokens and `azp` in the other.
const CLAIMS: [(&str, &str); 6] = [
    ("iss", "claim_iss"),
    ("tid", "claim_tid"),
    ("azp", "claim_appid"),
    ("appid", "claim_appid"),
    ("oid", "claim_oid"),
    ("sub", "claim_sub"),
];

/// Whether it has the form of one.
pub(super) fn is_one(token: &[u8]) -> bool {
    payload(token).is_some()
}

/// What a token says of whose it is.
pub(super) fn claims(token: &[u8]) -> Vec<(&'static str, String)> {
    let claims = payload(token)
        .filter(|payload| payload.len() <= MAX_CLAIMS)
        .and_then(|payload| base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).ok())
        .and_then(|json| serde_json::from_slice::<Map<String, Value>>(&json).ok());
    let Some(mut claims) = claims else { return Vec::new() };
    let wanted = CLAIMS.into_iter();
    wanted
        .filter_map(|(name, id)| match claims.remove(name) {
            Some(Value::String(value)) => Some((id, value)),
            _ => None,
        })
        .collect()
}

/// The middle one of its three parts. The first begins `{"`.
fn payload(token: &[u8]) -> Option<&[u8]> {
    let mut parts = token.split(|&byte| byte == b'.');
    let (head, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
    let is_jwt = head.starts_with(b"eyJ") && parts.next().is_none() && !signature.is_empty();
    is_jwt.then_some(payload.trim_ascii_end())
}
