//! Steps of one agent to the next (wire.md, 1.6): a tool that is called by the Model Context Protocol,
//! and a message that is sent by Agent2Agent. They cost nothing themselves; they say who made whom
//! spend. Of what is said in them, nothing is kept but the name of the tool.

use serde::{Deserialize, Serialize};

use super::aside::Seen;
use super::json::{Item, Texts, Token};
use crate::http::coding::Decoder;
use crate::http::{BodyKind, Method, RequestHead, ResponseHead};
use crate::units::{ConnectionId, Timestamp};

/// Most steps of one request: the protocols had batches once. Further ones are passed over.
const MAX_STEPS: usize = 64;
/// Longest name of a tool that is kept, in bytes, as the protocol has it.
const MAX_TOOL: usize = 128;
/// How far a body is read that neither a header field nor itself says to be of a protocol, in bytes.
/// Most of what a host posts is of none.
const MAX_UNSAID: usize = 64 * 1024;
/// The keys of a message whose values are looked at.
const KEYS: &[&str] = &["jsonrpc", "method", "params"];

/// A protocol of agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// The Model Context Protocol.
    Mcp,
    /// Agent2Agent.
    A2a,
}

impl Protocol {
    /// The name in records and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mcp => "mcp",
            Self::A2a => "a2a",
        }
    }
}

/// The methods that are steps: A2A's by their names in version 1.0 and in 0.3.
const METHODS: [(&str, Protocol); 5] = [
    ("tools/call", Protocol::Mcp),
    ("SendMessage", Protocol::A2a),
    ("SendStreamingMessage", Protocol::A2a),
    ("message/send", Protocol::A2a),
    ("message/stream", Protocol::A2a),
];

/// Where an agent says what it can do, and what looking it up is called.
const CARDS: [&str; 2] = ["/.well-known/agent-card.json", "/.well-known/agent.json"];
const LOOK_UP: &str = "agent-card";

/// One step, and nothing of what was said in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The connection it crossed.
    pub connection: ConnectionId,
    /// Numbers the exchanges of that connection.
    pub ordinal: u64,
    /// Numbers the steps of that exchange.
    pub index: u64,
    /// When the request's first byte was seen.
    pub time: Timestamp,
    /// By which protocol.
    pub protocol: Protocol,
    /// What the request's `Host` says. A claim of the caller.
    pub host: Option<String>,
    /// What was asked: a method of the protocol, or `agent-card` for a look at what an agent can do.
    pub method: &'static str,
    /// The tool that was called, if its name is one that the protocol allows: up to 128 letters,
    /// digits, `_`, `-`, `.` and `/`.
    pub tool: Option<String>,
    /// The trace that the caller says it belongs to.
    pub trace_id: Option<String>,
    /// The caller's place in that trace.
    pub parent_id: Option<String>,
    /// HTTP status; absent if no answer came.
    pub status: Option<u16>,
}

/// Reads along in a request that may hold steps.
#[derive(Debug)]
pub(super) struct EdgeReader {
    /// The body, while there may be steps in it.
    body: Option<Body>,
    found: Vec<Step>,
    status: Option<u16>,
}

#[derive(Debug)]
struct Body {
    decoder: Decoder,
    texts: Texts,
    current: Current,
    /// The header fields say that it is of a protocol, or it does so itself.
    said: bool,
    taken: usize,
}

/// What the current JSON-RPC message says.
#[derive(Debug, Default)]
struct Current {
    is_rpc: bool,
    method: Option<(&'static str, Protocol)>,
    tool: Option<String>,
}

#[derive(Debug)]
struct Step {
    method: &'static str,
    protocol: Protocol,
    tool: Option<String>,
}

impl EdgeReader {
    /// A reader for an exchange that begins so, if there can be a step in it. `is_model` says that
    /// host or path are those of a model API.
    pub(super) fn of(head: &RequestHead, is_model: bool) -> Option<Self> {
        let said = head.mcp || head.a2a;
        let (body, found) = match head.method {
            Method::Get if CARDS.iter().any(|card| head.path.ends_with(card)) => {
                (None, vec![Step { method: LOOK_UP, protocol: Protocol::A2a, tool: None }])
            }
            Method::Post if head.body.kind == BodyKind::Json && (said || !is_model) => {
                let (decoder, texts) = (Decoder::new(&head.body.coding), Texts::only(KEYS));
                let current = Current::default();
                (Some(Body { decoder, texts, current, said, taken: 0 }), Vec::new())
            }
            Method::Post | Method::Get | Method::Head | Method::Connect | Method::Other => {
                return None;
            }
        };
        Some(Self { body, found, status: None })
    }

    /// The answer began.
    pub(super) const fn response(&mut self, head: &ResponseHead) {
        self.status = Some(head.status);
    }

    /// Part of the request's body came.
    pub(super) fn feed(&mut self, data: &[u8]) {
        let Some(Body { decoder, texts, current, said, taken }) = &mut self.body else { return };
        let found = &mut self.found;
        let decoded = decoder.feed(data, |plain| {
            let unsaid = MAX_UNSAID.saturating_sub(*taken).min(plain.len());
            let (near, far) = plain.split_at(unsaid);
            let mut is_rpc = false;
            for part in [near, far] {
                *taken = taken.saturating_add(part.len());
                if *said || *taken <= MAX_UNSAID {
                    texts.feed(part, |item| match item {
                        Item::Value(path, token) => {
                            current.read(path, token);
                            is_rpc |= current.is_rpc;
                        }
                        Item::End => {
                            let step = std::mem::take(current).step();
                            found.extend(step.filter(|_| found.len() < MAX_STEPS));
                        }
                    });
                    *said |= is_rpc;
                }
            }
        });
        if decoded.is_err() || *taken > MAX_UNSAID && !*said {
            self.body = None;
        }
    }

    /// Bytes are missing from the exchange. What was read stands.
    pub(super) fn lose(&mut self) {
        self.body = None;
    }

    /// The request ended.
    pub(super) fn request_ended(&mut self) {
        self.body = None;
    }

    /// Whether the answer's head is still of use.
    pub(super) fn needs_answer(&self) -> bool {
        self.status.is_none() && (self.body.is_some() || !self.found.is_empty())
    }

    /// Whether all is known that there is to know.
    pub(super) const fn is_over(&self) -> bool {
        self.status.is_some() && self.body.is_none()
    }

    /// The bytes held back.
    pub(super) fn footprint(&self) -> usize {
        let names = self.found.iter().map(|step| step.tool.as_ref().map_or(0, String::len));
        self.body.as_ref().map_or(0, |body| body.texts.footprint()) + names.sum::<usize>()
    }

    /// The steps that were seen.
    pub(super) fn finish(self, seen: &Seen<'_>) -> Vec<Edge> {
        let Self { found, status, body: _ } = self;
        let edge = |(index, step): (u64, Step)| Edge {
            connection: seen.connection,
            ordinal: seen.ordinal,
            index,
            time: seen.started,
            protocol: step.protocol,
            host: seen.head.and_then(|head| head.host.clone()),
            method: step.method,
            tool: step.tool,
            trace_id: seen.head.and_then(|head| head.hints.trace_id.clone()),
            parent_id: seen.head.and_then(|head| head.hints.parent_id.clone()),
            status,
        };
        (0..).zip(found).map(edge).collect()
    }
}

impl Current {
    fn read(&mut self, path: &str, token: Token<'_>) {
        match (path, token) {
            ("jsonrpc", Token::Text(version)) => self.is_rpc = version == "2.0",
            ("method", Token::Text(method)) => {
                self.method = METHODS.into_iter().find(|(name, _)| *name == method);
            }
            ("params.name", Token::Text(name)) => {
                self.tool = is_tool(name).then(|| name.to_owned());
            }
            _ => {}
        }
    }

    fn step(self) -> Option<Step> {
        let (method, protocol) = self.method.filter(|_| self.is_rpc)?;
        let tool = self.tool.filter(|_| protocol == Protocol::Mcp);
        Some(Step { method, protocol, tool })
    }
}

/// Whether it is the name of a tool. What isn't could be anything, and is not kept.
fn is_tool(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte);
    (1..=MAX_TOOL).contains(&name.len()) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::Head;
    use crate::secret::FingerprintKey;
    use crate::units::ProcessKey;
    use proptest::prelude::*;

    fn begin(head: &str, is_model: bool) -> Option<EdgeReader> {
        match Head::parse(head.as_bytes(), &FingerprintKey::new([0; 32])) {
            Ok(Head::Request(head)) => EdgeReader::of(&head, is_model),
            other => panic!("{other:?}"),
        }
    }

    /// The methods and tools of what a body in these parts holds.
    fn steps(fields: &str, is_model: bool, parts: &[&[u8]]) -> Vec<(&'static str, Option<String>)> {
        let head =
            format!("POST /mcp HTTP/1.1\r\nContent-Type: application/json\r\n{fields}\r\n\r\n");
        let head = head.replace("\r\n\r\n\r\n", "\r\n\r\n");
        let Some(mut reader) = begin(&head, is_model) else { return Vec::new() };
        parts.iter().for_each(|part| reader.feed(part));
        reader.request_ended();
        let process = ProcessKey { pid: 1, start_ns: 1 };
        let connection = ConnectionId { process, handle: 1, generation: 1 };
        let (ordinal, started) = (0, Timestamp::UNIX_EPOCH);
        let edges = reader.finish(&Seen { connection, ordinal, started, head: None });
        edges.into_iter().map(|edge| (edge.method, edge.tool)).collect()
    }

    const CALL: &str = r#"{"method":"tools/call","params":{"name":"get_weather","arguments":{"name":"secret","city":"Graz"}},"jsonrpc":"2.0","id":1}"#;

    #[test]
    fn steps_are_told_from_what_else_is_posted() {
        let tool = |name: &str| Some(name.to_owned());
        let mcp = "Mcp-Session-Id: s";
        for (fields, is_model, body, expected) in [
            ("", false, CALL.to_owned(), vec![("tools/call", tool("get_weather"))]),
            (mcp, true, CALL.to_owned(), vec![("tools/call", tool("get_weather"))]),
            ("", true, CALL.to_owned(), vec![]),
            (mcp, false, CALL.replace("tools/call", "tools/list"), vec![]),
            (mcp, false, CALL.replace("2.0", "1.0"), vec![]),
            (mcp, false, CALL.replace("get_weather", "a b"), vec![("tools/call", None)]),
            (mcp, false, CALL[..CALL.len() - 1].to_owned(), vec![]),
            (
                "A2A-Version: 1.0",
                false,
                CALL.replace("tools/call", "SendMessage"),
                vec![("SendMessage", None)],
            ),
            (
                mcp,
                false,
                format!("[{CALL},{}]", CALL.replace("get_weather", "b")),
                vec![("tools/call", tool("get_weather")), ("tools/call", tool("b"))],
            ),
            ("", false, format!("{}{CALL}", " ".repeat(2 * MAX_UNSAID)), vec![]),
            (
                "",
                false,
                format!(r#"{{"jsonrpc":"2.0","id":"{}",{}"#, "1".repeat(MAX_UNSAID), &CALL[1..]),
                vec![("tools/call", tool("get_weather"))],
            ),
            (
                mcp,
                false,
                format!("{}{CALL}", " ".repeat(MAX_UNSAID)),
                vec![("tools/call", tool("get_weather"))],
            ),
        ] {
            let found = steps(fields, is_model, &body.as_bytes().chunks(4096).collect::<Vec<_>>());
            assert_eq!(found, expected, "{fields} {}", &body[body.len().saturating_sub(200)..]);
        }
    }

    #[test]
    fn a_batch_has_a_bound() {
        let calls = vec![CALL; MAX_STEPS + 9].join(",");
        assert_eq!(steps("", false, &[format!("[{calls}]").as_bytes()]).len(), MAX_STEPS);
    }

    #[test]
    fn only_a_card_is_looked_up() {
        for (line, is_one) in [
            ("GET /.well-known/agent-card.json", true),
            ("GET /agents/a/.well-known/agent.json", true),
            ("POST /.well-known/agent-card.json", false),
            ("GET /", false),
        ] {
            let reader = begin(&format!("{line} HTTP/1.1\r\n\r\n"), false);
            assert_eq!(reader.is_some_and(|reader| reader.needs_answer()), is_one, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(
            batch: bool,
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let body = if batch { format!("[{CALL}, {CALL}]") } else { CALL.to_owned() };
            let bytes = body.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let parts: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(steps("", false, &parts), steps("", false, &[bytes]));
        }

        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(br#"{}[]",:\1tn"#.to_vec())], 0..100,
        )) {
            steps("Mcp-Session-Id: s", false, &[&body]);
        }
    }
}
