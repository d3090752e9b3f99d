//! Message heads. Only allow-listed fields are kept; a credential is turned into its fingerprint
//! here, at the first parser that sees it (`credential.rs`).

use super::credential::{Credential, Query};
use super::hints::Hints;
use super::remarks::Remarks;
use super::websocket;
use crate::secret::FingerprintKey;

/// Most header fields a head may have.
pub const MAX_HEADERS: usize = 256;
/// Longest value that is kept of any field, in bytes. Longer ones are dropped whole.
const MAX_VALUE: usize = 1024;

/// A request's method, as far as it matters to whoever reads along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Its answer has a head only.
    Head,
    /// Reads something back, or asks for a WebSocket.
    Get,
    /// What every model call is.
    Post,
    /// Its answer turns the connection into a tunnel, or a stream of HTTP/2 into a WebSocket.
    Connect,
    /// Any other.
    Other,
}

/// What is kept of a request's head.
#[derive(Clone, Debug)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// The path, without the query: that may hold secrets.
    pub path: String,
    /// The query's parameter `model`: sessions name theirs there.
    pub query_model: Option<String>,
    /// The query's parameter `api-version`.
    pub query_api_version: Option<String>,
    /// `Host`, the port included where it is there.
    pub host: Option<String>,
    /// Whether it asks for a WebSocket.
    pub websocket: bool,
    /// Whether it offers to go on as HTTP/2 (RFC 7540, section 3.2).
    pub(super) offers_http2: bool,
    /// Whether `anthropic-version` is there.
    pub anthropic_version: bool,
    /// Whether it says a version or a session of the Model Context Protocol.
    pub mcp: bool,
    /// Whether it says a version of the Agent2Agent protocol.
    pub a2a: bool,
    /// What is known of its credential.
    pub credential: Option<Box<Credential>>,
    /// What it says of the caller's doings beside the call.
    pub hints: Box<Hints>,
    /// What the body is.
    pub body: BodyHead,
    /// What the body is fingerprinted with.
    pub key: FingerprintKey,
}

/// What is kept of an answer's head.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// The status code.
    pub status: u16,
    /// What it says of the call beside the body.
    pub remarks: Box<Remarks>,
    /// What follows is a WebSocket, and how it is spoken.
    pub websocket: Option<websocket::Extensions>,
    /// What follows is HTTP/2, as the request has offered.
    pub(super) http2: bool,
    /// What the body is.
    pub body: BodyHead,
}

/// What a head says of the body that follows.
#[derive(Clone, Debug)]
pub struct BodyHead {
    /// By `Content-Type`.
    pub kind: BodyKind,
    /// `Content-Encoding` in lower case, empty for none.
    pub coding: String,
    pub(super) length: Option<u64>,
    pub(super) chunked: bool,
}

/// What a body holds, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// `application/json` and `…+json`.
    Json,
    /// `text/event-stream`.
    EventStream,
    /// `application/x-ndjson` and its other names: a JSON text on each line.
    Lines,
    /// `application/vnd.amazon.eventstream`.
    AmazonEventStream,
    /// `multipart/form-data`: fields and files.
    Form,
    /// `application/grpc` and its variants: messages of gRPC, which nobody here reads.
    Grpc,
    /// Nothing is said of it.
    Unsaid,
    /// Anything else.
    Other,
}

/// Either head.
#[derive(Debug)]
pub enum Head {
    /// A request's.
    Request(RequestHead),
    /// An answer's.
    Response(ResponseHead),
}

/// A header field: its name, in any case, and its value.
pub(super) type Field<'a> = (&'a [u8], &'a [u8]);

/// The bytes are not a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an HTTP/1 message head")]
pub struct HeadError;

impl Head {
    /// Parses a whole head, up to and including its blank line.
    ///
    /// # Errors
    /// If it isn't one, has more than [`MAX_HEADERS`] fields, or frames its body in two ways.
    pub fn parse(bytes: &[u8], key: &FingerprintKey) -> Result<Self, HeadError> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
        if bytes.starts_with(b"HTTP/") {
            let mut response = httparse::Response::new(&mut fields);
            let complete = response.parse(bytes).map_err(|_error| HeadError)?.is_complete();
            let status = response.code.filter(|_| complete).ok_or(HeadError)?;
            return Ok(Self::Response(ResponseHead::new(status, &pairs(response.headers))?));
        }
        let mut request = httparse::Request::new(&mut fields);
        let complete = request.parse(bytes).map_err(|_error| HeadError)?.is_complete();
        let target = request.path.filter(|_| complete).ok_or(HeadError)?;
        let method = Method::of(request.method.unwrap_or_default().as_bytes());
        let (authority, path) = split_target(target);
        let fields = pairs(request.headers);
        Ok(Self::Request(RequestHead::new(method, path, authority, &fields, key)?))
    }
}

impl Method {
    /// The method of that name.
    pub(super) const fn of(name: &[u8]) -> Self {
        match name {
            b"HEAD" => Self::Head,
            b"GET" => Self::Get,
            b"POST" => Self::Post,
            b"CONNECT" => Self::Connect,
            _ => Self::Other,
        }
    }
}

impl RequestHead {
    /// What is kept of a request for `target`. An `authority` that the protocol gives apart from
    /// the fields names the host before `Host` does.
    pub(super) fn new(
        method: Method,
        target: &str,
        authority: Option<&str>,
        fields: &[Field<'_>],
        key: &FingerprintKey,
    ) -> Result<Self, HeadError> {
        let target = target.split('#').next().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query = Query::new(query);
        let has = |name| field(fields, name).is_some();
        Ok(Self {
            method,
            path: bounded(path.as_bytes()).unwrap_or_default(),
            query_model: query.keep("model"),
            query_api_version: query.keep("api-version"),
            host: authority
                .and_then(|host| bounded(host.as_bytes()))
                .or_else(|| field(fields, "host").and_then(bounded)),
            websocket: upgrades_to(fields, b"websocket"),
            offers_http2: offers_http2(fields),
            anthropic_version: has("anthropic-version"),
            mcp: has("mcp-protocol-version") || has("mcp-session-id"),
            a2a: has("a2a-version"),
            credential: Credential::find(fields, &query, key).map(Box::new),
            hints: Box::new(Hints::new(fields)),
            body: BodyHead::new(fields)?,
            key: key.clone(),
        })
    }
}

impl ResponseHead {
    /// The head that every session begins with on HTTP/1.1, where it was not seen.
    pub(super) fn of_session() -> Self {
        let body = BodyHead {
            kind: BodyKind::Unsaid,
            coding: String::new(),
            length: None,
            chunked: false,
        };
        let websocket = Some(websocket::Extensions::default());
        Self { status: 101, remarks: Box::default(), websocket, http2: false, body }
    }

    /// What is kept of an answer.
    pub(super) fn new(status: u16, fields: &[Field<'_>]) -> Result<Self, HeadError> {
        let switches_to = |protocol| status == 101 && upgrades_to(fields, protocol);
        let websocket = switches_to(b"websocket");
        Ok(Self {
            status,
            remarks: Box::new(Remarks::new(fields)),
            websocket: websocket.then(|| websocket::Extensions::agreed(fields)).flatten(),
            http2: switches_to(b"h2c"),
            body: BodyHead::new(fields)?,
        })
    }
}

impl BodyHead {
    fn new(fields: &[Field<'_>]) -> Result<Self, HeadError> {
        let mut length = None;
        for (_, value) in fields.iter().filter(|field| named(field, "content-length")) {
            let value = std::str::from_utf8(value).map_err(|_error| HeadError)?;
            for one in value.split(',') {
                let parsed: u64 = one.trim().parse().map_err(|_error| HeadError)?;
                if length.is_some_and(|length| length != parsed) {
                    return Err(HeadError);
                }
                length = Some(parsed);
            }
        }
        let chunked = fields
            .iter()
            .rfind(|field| named(field, "transfer-encoding"))
            .is_some_and(|(_, value)| value.to_ascii_lowercase().ends_with(b"chunked"));
        let content_type = field(fields, "content-type").unwrap_or_default();
        Ok(Self {
            kind: BodyKind::of(content_type),
            coding: field(fields, "content-encoding")
                .and_then(bounded)
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase(),
            length,
            chunked,
        })
    }
}

impl BodyKind {
    fn of(content_type: &[u8]) -> Self {
        let essence = content_type.split(|&byte| byte == b';').next().unwrap_or_default();
        let essence = essence.trim_ascii().to_ascii_lowercase();
        match essence.as_slice() {
            b"" => Self::Unsaid,
            b"text/event-stream" => Self::EventStream,
            b"application/json" => Self::Json,
            b"application/x-ndjson"
            | b"application/ndjson"
            | b"application/jsonl"
            | b"application/x-jsonl"
            | b"application/jsonlines"
            | b"application/x-jsonlines"
            | b"application/jsonlines+json" => Self::Lines,
            b"application/vnd.amazon.eventstream" => Self::AmazonEventStream,
            b"multipart/form-data" => Self::Form,
            other if other.starts_with(b"application/grpc") => Self::Grpc,
            other if other.ends_with(b"+json") => Self::Json,
            _ => Self::Other,
        }
    }
}

/// Splits `http://host/path?query` or `/path?query` into host and the rest.
fn split_target(target: &str) -> (Option<&str>, &str) {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = path.split_once("://") else {
        return (None, target);
    };
    let host = rest.split('/').next().unwrap_or_default();
    let rest = &target[scheme.len() + "://".len() + host.len()..];
    (Some(host), if path.len() == target.len() && rest.is_empty() { "/" } else { rest })
}

/// Whether `Upgrade` names that protocol and no other.
fn upgrades_to(fields: &[Field<'_>], protocol: &[u8]) -> bool {
    field(fields, "upgrade").is_some_and(|value| value.trim_ascii().eq_ignore_ascii_case(protocol))
}

/// Whether `Upgrade` names HTTP/2 without TLS among others.
fn offers_http2(fields: &[Field<'_>]) -> bool {
    let names = fields_named(fields, "upgrade").flat_map(|value| value.split(|&byte| byte == b','));
    names.map(<[u8]>::trim_ascii).any(|name| name.eq_ignore_ascii_case(b"h2c"))
}

fn pairs<'a>(headers: &[httparse::Header<'a>]) -> Vec<Field<'a>> {
    headers.iter().map(|header| (header.name.as_bytes(), header.value)).collect()
}

/// The value of the first field of that name.
pub(super) fn field<'a>(fields: &[Field<'a>], name: &str) -> Option<&'a [u8]> {
    fields.iter().find(|field| named(field, name)).map(|(_, value)| *value)
}

/// The values of every field of that name.
pub(super) fn fields_named<'a>(
    fields: &[Field<'a>],
    name: &'static str,
) -> impl Iterator<Item = &'a [u8]> {
    fields.iter().filter(move |field| named(field, name)).map(|(_, value)| *value)
}

const fn named((field, _): &Field<'_>, name: &str) -> bool {
    field.eq_ignore_ascii_case(name.as_bytes())
}

/// The value as text, if it is not too long and has nothing that could disturb a terminal.
pub(super) fn bounded(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    (text.len() <= MAX_VALUE && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> FingerprintKey {
        FingerprintKey::new([7; 32])
    }

    fn request(head: &str) -> RequestHead {
        match Head::parse(head.as_bytes(), &key()) {
            Ok(Head::Request(head)) => head,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_keeps_no_secret() {
        let head = request(
            "POST /v1/chat/completions?key=sekret HTTP/1.1\r\nHost: api.openai.com\r\n\
             Authorization: Bearer sk-sekret\r\nCookie: sekret\r\n\
             Content-Type: application/json; charset=utf-8\r\nContent-Length: 12\r\n\r\n",
        );
        assert_eq!(head.method, Method::Post);
        assert_eq!(head.path, "/v1/chat/completions");
        assert_eq!(head.host.as_deref(), Some("api.openai.com"));
        assert_eq!(head.body.kind, BodyKind::Json);
        assert_eq!(head.body.length, Some(12));
        let credential = head.credential.as_ref().map(|one| &one.fingerprint);
        assert_eq!(credential, Some(&key().fingerprint("bearer", b"sk-sekret")));
        assert!(!format!("{head:?}").contains("sekret"));
    }

    #[test]
    fn an_absolute_target_names_the_host() {
        for (target, host, path) in [
            ("http://gateway:8080/v1/models?model=m#f", "gateway:8080", "/v1/models"),
            ("http://gateway?model=m", "gateway", ""),
            ("http://gateway", "gateway", "/"),
            ("/a?u=http://b/c&model=m", "other", "/a"),
        ] {
            let head = request(&format!("GET {target} HTTP/1.1\r\nHost: other\r\n\r\n"));
            assert_eq!((head.host.as_deref(), head.path.as_str()), (Some(host), path));
            assert_eq!(head.query_model.is_some(), target.contains("model="), "{target}");
        }
    }

    #[test]
    fn content_types_tell_what_a_body_holds() {
        for (content_type, kind) in [
            ("application/json", BodyKind::Json),
            ("Application/Problem+JSON; charset=utf-8", BodyKind::Json),
            ("text/event-stream;charset=utf-8", BodyKind::EventStream),
            ("application/x-ndjson", BodyKind::Lines),
            ("application/jsonlines+json", BodyKind::Lines),
            ("application/vnd.amazon.eventstream", BodyKind::AmazonEventStream),
            ("multipart/form-data; boundary=b", BodyKind::Form),
            ("application/grpc", BodyKind::Grpc),
            ("application/grpc+json", BodyKind::Grpc),
            ("application/grpc-web-text; charset=utf-8", BodyKind::Grpc),
            ("text/html", BodyKind::Other),
            ("", BodyKind::Unsaid),
        ] {
            assert_eq!(BodyKind::of(content_type.as_bytes()), kind, "{content_type}");
        }
    }

    #[test]
    fn an_answer_may_name_its_service_tier() {
        for (field, tier) in [
            ("X-Gemini-Service-Tier: flex", Some("flex")),
            ("X-Gemini-Service-Tier:", None),
            ("X-Service-Tier: flex", None),
        ] {
            match Head::parse(format!("HTTP/1.1 200 OK\r\n{field}\r\n\r\n").as_bytes(), &key()) {
                Ok(Head::Response(head)) => assert_eq!(head.remarks.service_tier.as_deref(), tier),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_body_framed_in_two_ways_is_refused() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n";
        assert!(Head::parse(head, &key()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Head::parse(&bytes, &key());
            let _ = Head::parse(&[b"POST / HTTP/1.1\r\n", &bytes[..], b"\r\n\r\n"].concat(), &key());
            let _ = Head::parse(&[b"HTTP/1.1 200 OK\r\n", &bytes[..], b"\r\n\r\n"].concat(), &key());
        }
    }
}
