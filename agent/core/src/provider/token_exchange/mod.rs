//! Exchanges of a workload's own token for one of a provider (wire.md, 1.3): OpenAI's token
//! exchange (RFC 8693) and Anthropic's JWT bearer grant (RFC 7523).
//!
//! Of the request, the ids that are no secrets are kept, and what the workload's token claims; of
//! the answer, the token that it issues, until the pipeline has its fingerprint.

mod parameters;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use self::parameters::Parameters;
use super::json::{Scanner, Token};
use crate::http::coding::Decoder;
use crate::http::{Ending, Method, RequestHead, ResponseHead, Side, credential_id, subject_claims};
use crate::secret::Payload;

/// Longest body of either side that is read, in bytes.
const MAX_BODY: usize = 64 * 1024;
/// Longest token that is kept until it is fingerprinted, in bytes.
const MAX_TOKEN: usize = 16 * 1024;

/// Somebody who issues tokens to workloads.
#[derive(Debug)]
struct Issuer {
    host: &'static str,
    path: &'static str,
    grant: &'static str,
    /// The parameter that holds the workload's own token.
    subject: &'static str,
    /// Parameters that are ids, and what these are called beside a credential.
    ids: [(&'static str, &'static str); 2],
    /// Every parameter above and `grant_type`.
    keys: &'static [&'static str],
}

const ISSUERS: &[Issuer] = &[
    Issuer {
        host: "auth.openai.com",
        path: "/oauth/token",
        grant: "urn:ietf:params:oauth:grant-type:token-exchange",
        subject: "subject_token",
        ids: [
            ("identity_provider_id", "openai_identity_provider"),
            ("service_account_id", "openai_service_account"),
        ],
        keys: &["grant_type", "identity_provider_id", "service_account_id", "subject_token"],
    },
    Issuer {
        host: "api.anthropic.com",
        path: "/v1/oauth/token",
        grant: "urn:ietf:params:oauth:grant-type:jwt-bearer",
        subject: "assertion",
        ids: [
            ("federation_rule_id", "anthropic_federation_rule"),
            ("service_account_id", "anthropic_service_account"),
        ],
        keys: &["assertion", "federation_rule_id", "grant_type", "service_account_id"],
    },
];

/// A token that was issued for another, as the two ends of a connection said. Claims, all of it:
/// who speaks on a connection can name any host as the one that it speaks to.
#[derive(Debug)]
pub struct IssuedToken {
    /// The token. To be fingerprinted and dropped.
    pub token: Payload,
    /// Whom it was issued to, by the name of each id. At least one.
    pub ids: BTreeMap<&'static str, String>,
    /// How long it is good for, in seconds, if that was said.
    pub expires_in: Option<u64>,
}

/// One exchange as it goes on.
#[derive(Debug)]
pub(super) struct TokenExchange {
    request: Request,
    answer: Option<Answer>,
    /// Something is missing, too long, contradictory or no token exchange: nothing comes of it.
    broken: bool,
}

#[derive(Debug)]
struct Request {
    issuer: &'static Issuer,
    decoder: Decoder,
    body: RequestBody,
    taken: usize,
    ended: bool,
    said: Said,
}

enum RequestBody {
    /// Its first byte will tell.
    Unknown,
    Json(Scanner),
    Form(Parameters),
}

/// What the request says.
#[derive(Debug, Default)]
struct Said {
    /// The parameters that were given, by their place in [`Issuer::keys`]. One that is given twice
    /// may mean either of its values.
    given: u8,
    contradictory: bool,
    /// It is the grant that the issuer issues tokens for.
    granted: bool,
    ids: BTreeMap<&'static str, String>,
}

#[derive(Debug)]
struct Answer {
    decoder: Decoder,
    scanner: Scanner,
    taken: usize,
    token: Option<Payload>,
    expires_in: Option<u64>,
}

impl TokenExchange {
    /// A reader for an exchange that begins so, if it can be one.
    pub(super) fn of(head: &RequestHead) -> Option<Self> {
        let host = head.host.as_deref()?;
        let name = host.strip_suffix(":443").unwrap_or(host);
        let issuer = ISSUERS.iter().find(|issuer| {
            head.method == Method::Post
                && head.path == issuer.path
                && name.eq_ignore_ascii_case(issuer.host)
        })?;
        let request = Request {
            issuer,
            decoder: Decoder::new(&head.body.coding),
            body: RequestBody::Unknown,
            taken: 0,
            ended: false,
            said: Said::default(),
        };
        Some(Self { request, answer: None, broken: false })
    }

    /// The answer began.
    pub(super) fn response(&mut self, head: &ResponseHead) {
        self.broken |= !(200..300).contains(&head.status);
        self.answer = Some(Answer {
            decoder: Decoder::new(&head.body.coding),
            scanner: Scanner::only(&["access_token", "expires_in"]),
            taken: 0,
            token: None,
            expires_in: None,
        });
    }

    /// Part of a body came.
    pub(super) fn feed(&mut self, side: Side, data: &[u8]) {
        if self.broken {
            return;
        }
        let read = match (side, &mut self.answer) {
            (Side::Request, _) => self.request.feed(data),
            (Side::Response, Some(answer)) => answer.feed(data),
            (Side::Response, None) => None,
        };
        self.broken |= read.is_none();
    }

    /// Bytes are missing: what is left can't be trusted to be said of the same token.
    pub(super) const fn lose(&mut self) {
        self.broken = true;
    }

    /// The request ended.
    pub(super) fn request_ended(&mut self, ending: Ending) {
        self.broken |= ending != Ending::Whole;
        if !self.broken {
            self.request.end();
        }
    }

    /// The bytes held back.
    pub(super) fn footprint(&self) -> usize {
        let request = match &self.request.body {
            RequestBody::Unknown => 0,
            RequestBody::Json(scanner) => scanner.footprint(),
            RequestBody::Form(parameters) => parameters.footprint(),
        };
        let answer = self.answer.as_ref().map_or(0, |answer| {
            let token = answer.token.as_ref().map_or(0, |token| token.expose().len());
            answer.scanner.footprint() + token
        });
        request + answer
    }

    /// The token that was issued, once the exchange is over.
    pub(super) fn finish(self) -> Option<IssuedToken> {
        let Self { request, answer, broken } = self;
        let answer = answer.filter(|answer| answer.scanner.is_whole())?;
        let said = request.said;
        let issued = !broken && request.ended && said.granted && !said.contradictory;
        let token = answer.token.filter(|_| issued && !said.ids.is_empty())?;
        Some(IssuedToken { token, ids: said.ids, expires_in: answer.expires_in })
    }
}

impl Request {
    /// Takes part of the body, if it can be read.
    fn feed(&mut self, data: &[u8]) -> Option<()> {
        let Self { issuer, decoder, body, taken, said, .. } = self;
        let mut readable = true;
        let decoded = decoder.feed(data, |plain| {
            *taken = taken.saturating_add(plain.len());
            if *taken > MAX_BODY {
                readable = false;
                return;
            }
            if matches!(body, RequestBody::Unknown) {
                match plain.trim_ascii_start().first() {
                    Some(b'{') => *body = RequestBody::Json(Scanner::only(issuer.keys)),
                    Some(_) => *body = RequestBody::Form(Parameters::default()),
                    None => {}
                }
            }
            match body {
                RequestBody::Unknown => {}
                RequestBody::Json(scanner) => scanner.feed(plain, |key, token| {
                    if let Token::Text(value) = token {
                        said.read(issuer, key, value);
                    }
                }),
                RequestBody::Form(parameters) => {
                    let read = parameters.feed(plain, |key, value| said.read(issuer, key, value));
                    readable &= read.is_ok();
                }
            }
        });
        (decoded.is_ok() && readable).then_some(())
    }

    fn end(&mut self) {
        let Self { issuer, body, said, ended, .. } = self;
        *ended = match body {
            RequestBody::Unknown => false,
            RequestBody::Json(scanner) => scanner.is_whole(),
            RequestBody::Form(parameters) => {
                parameters.end(|key, value| said.read(issuer, key, value));
                true
            }
        };
    }
}

impl Said {
    fn read(&mut self, issuer: &Issuer, key: &str, value: &str) {
        let Some(place) = issuer.keys.iter().position(|known| *known == key) else { return };
        let flag = 1 << place;
        self.contradictory |= self.given & flag != 0;
        self.given |= flag;
        if key == "grant_type" {
            self.granted = value == issuer.grant;
        } else if key == issuer.subject {
            self.ids.extend(subject_claims(value.as_bytes()));
        } else if let Some((_, name)) = issuer.ids.iter().find(|(parameter, _)| *parameter == key)
            && let Some(id) = credential_id(value.as_bytes())
        {
            self.ids.insert(name, id);
        }
    }
}

impl Answer {
    fn feed(&mut self, data: &[u8]) -> Option<()> {
        let Self { decoder, scanner, taken, token, expires_in } = self;
        let mut readable = true;
        let decoded = decoder.feed(data, |plain| {
            *taken = taken.saturating_add(plain.len());
            if *taken > MAX_BODY {
                readable = false;
                return;
            }
            scanner.feed(plain, |key, value| match (key, value) {
                ("access_token", Token::Text(text)) => {
                    readable &= token.is_none() && !text.is_empty() && text.len() <= MAX_TOKEN;
                    *token = Some(Payload::from(text.to_owned()));
                }
                ("expires_in", Token::Count(seconds)) => {
                    readable &= expires_in.is_none();
                    *expires_in = Some(seconds);
                }
                _ => {}
            });
        });
        (decoded.is_ok() && readable).then_some(())
    }
}

impl std::fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unknown => "Unknown",
            Self::Json(_) => "Json",
            Self::Form(_) => "Form",
        })
    }
}
