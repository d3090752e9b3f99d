//! HTTP/2 frames, from what they mean (RFC 9113, section 6).

use std::collections::{HashMap, VecDeque};

use super::Problem;
use super::encode::Payload;
use super::frames::Frames;
use super::words::{Words, value};
use crate::http::h2::STATIC;
use crate::units::Direction;

/// What a client says first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How many bytes the fields that a direction has sent may take until it says otherwise.
const DEFAULT_TABLE: usize = 4096;
/// Fields whose values clients ask never to be kept by anybody.
const SECRET: [&str; 4] = ["authorization", "api-key", "x-api-key", "x-goog-api-key"];

/// Settings by name (RFC 9113, section 6.5.2).
const SETTINGS: [(&str, u16); 6] = [
    ("header_table_size", 1),
    ("enable_push", 2),
    ("max_concurrent_streams", 3),
    ("initial_window_size", 4),
    ("max_frame_size", 5),
    ("max_header_list_size", 6),
];

/// The bytes of a frame.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) bytes: Vec<u8>,
    /// The part of them that nobody saw.
    pub(super) lost: Option<(usize, usize)>,
}

/// Writes the frames of one direction.
#[derive(Debug)]
pub(super) struct Encoder {
    direction: Direction,
    /// Newest first.
    sent: VecDeque<(String, String)>,
    /// How many bytes `sent` may take.
    capacity: usize,
    /// Those of WebSockets, by stream.
    frames: HashMap<u32, Frames>,
}

/// What may follow the type of a frame.
#[derive(Default)]
struct Options {
    stream: u32,
    end: bool,
    more: bool,
    ack: bool,
    priority: bool,
    padding: Option<u8>,
    code: u32,
    last: u32,
    add: u32,
    promised: u32,
    table: Option<usize>,
    settings: Vec<(u16, u32)>,
    lost: Option<(usize, usize)>,
}

impl Options {
    /// Reads words as long as they are options.
    fn read(words: &mut Words<'_>) -> Result<Self, Problem> {
        let mut options = Self::default();
        while let Some(word) = words.peek() {
            match word.split_once('=') {
                None => match word {
                    "end" => options.end = true,
                    "more" => options.more = true,
                    "ack" => options.ack = true,
                    "priority" => options.priority = true,
                    "lost" => options.lost = Some((0, usize::MAX)),
                    _form => break,
                },
                Some(("stream", text)) => options.stream = value(text, "stream")?,
                Some(("pad", text)) => options.padding = Some(value(text, "length below 256")?),
                Some(("code", text)) => options.code = value(text, "error code")?,
                Some(("last", text)) => options.last = value(text, "stream")?,
                Some(("add", text)) => options.add = value(text, "number of bytes")?,
                Some(("promised", text)) => options.promised = value(text, "stream")?,
                Some(("table", text)) => options.table = Some(value(text, "number of bytes")?),
                Some(("lost", text)) => options.lost = Some(range(text)?),
                Some((name, text)) => {
                    let known = SETTINGS.iter().find(|(known, _)| *known == name);
                    let (_, id) = known.ok_or_else(|| Problem::Unknown(word.to_owned()))?;
                    options.settings.push((*id, value(text, "number")?));
                }
            }
            words.next();
        }
        Ok(options)
    }

    /// The flags and the payload of a frame that has `content`.
    fn wrap(&self, before: &[u8], content: &[u8]) -> (u8, Vec<u8>) {
        let padding = self.padding.map(usize::from).unwrap_or_default();
        let mut payload: Vec<u8> = self.padding.into_iter().collect();
        payload.extend_from_slice(before);
        payload.extend_from_slice(content);
        payload.resize(payload.len() + padding, 0);
        (u8::from(self.padding.is_some()) << 3, payload)
    }
}

impl Encoder {
    pub(super) fn new(direction: Direction) -> Self {
        let (sent, frames) = (VecDeque::new(), HashMap::new());
        Self { direction, sent, capacity: DEFAULT_TABLE, frames }
    }

    /// A frame: `TYPE [OPTION…] [FORM]` and its block. Of a header block, the lines are
    /// `name: value`.
    pub(super) fn frame(&mut self, mut words: Words<'_>, block: &[&str]) -> Result<Frame, Problem> {
        let word = words.need("a type of frame")?;
        let options = Options::read(&mut words)?;
        let lost = options.lost;
        let takes_form = word == "data";
        let takes_block = takes_form || matches!(word, "headers" | "continuation" | "push");
        if !takes_form {
            words.end()?;
        }
        if !takes_block && !block.is_empty() {
            return Err(Problem::Block);
        }
        let end_headers = u8::from(!options.more) << 2;
        let (kind, flags, payload) = match word {
            "preface" => return Ok(Frame { bytes: PREFACE.to_vec(), lost }),
            "data" => {
                let (flags, payload) =
                    options.wrap(&[], &self.content(options.stream, words, block)?);
                (0, flags | u8::from(options.end), payload)
            }
            "headers" => {
                let priority: &[u8] = if options.priority { &[0, 0, 0, 0, 15] } else { &[] };
                let block = self.block(block, options.table)?;
                let (flags, payload) = options.wrap(priority, &block);
                let flags = flags | u8::from(options.end) | end_headers;
                (1, flags | u8::from(options.priority) << 5, payload)
            }
            "push" => {
                let promised = options.promised.to_be_bytes();
                let block = self.block(block, options.table)?;
                let (flags, payload) = options.wrap(&promised, &block);
                (5, flags | end_headers, payload)
            }
            "continuation" => (9, end_headers, self.block(block, None)?),
            "rst" => (3, 0, options.code.to_be_bytes().to_vec()),
            "settings" => {
                let pairs = options.settings.iter();
                let bytes = |(id, value): &(u16, u32)| {
                    id.to_be_bytes().into_iter().chain(value.to_be_bytes())
                };
                (4, u8::from(options.ack), pairs.flat_map(bytes).collect())
            }
            "ping" => (6, u8::from(options.ack), vec![0; 8]),
            "goaway" => (7, 0, [options.last.to_be_bytes(), options.code.to_be_bytes()].concat()),
            "window" => (8, 0, options.add.to_be_bytes().to_vec()),
            other => return Err(Problem::Unknown(other.to_owned())),
        };
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
        let mut bytes = vec![length[1], length[2], length[3], kind, flags];
        bytes.extend(options.stream.to_be_bytes());
        bytes.extend(payload);
        Ok(Frame { bytes, lost })
    }

    /// What a DATA frame carries: `ws` and a WebSocket frame, or a form.
    fn content(
        &mut self,
        stream: u32,
        mut words: Words<'_>,
        block: &[&str],
    ) -> Result<Vec<u8>, Problem> {
        if words.take("ws") {
            return self.frames.entry(stream).or_default().frame(self.direction, words, block);
        }
        let (payload, block) = Payload::of(words, block)?;
        payload.encode(&block)
    }

    /// A header block, or a part of one. What was sent before is referred to; what wasn't is sent
    /// in full and can be referred to from then on, unless it is a secret.
    fn block(&mut self, lines: &[&str], table: Option<usize>) -> Result<Vec<u8>, Problem> {
        let mut out = Vec::new();
        if let Some(capacity) = table {
            number(capacity, 5, 0x20, &mut out);
            self.capacity = capacity;
            self.evict();
        }
        for line in lines {
            // Some names begin with a colon.
            let from = usize::from(line.starts_with(':'));
            let colon = line.get(from..).and_then(|rest| rest.find(": ")).map(|at| at + from);
            let (name, value) =
                colon.and_then(|at| line.split_at_checked(at)).ok_or_else(|| {
                    Problem::Malformed { text: (*line).to_owned(), wanted: "field `name: value`" }
                })?;
            self.field(name, value.get(2..).unwrap_or_default(), &mut out);
        }
        Ok(out)
    }

    fn field(&mut self, name: &str, value: &str, out: &mut Vec<u8>) {
        let sent = self.sent.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let all: Vec<(&str, &str)> = STATIC.into_iter().chain(sent).collect();
        if let Some(place) = all.iter().position(|known| *known == (name, value)) {
            return number(place + 1, 7, 0x80, out);
        }
        let named = all.iter().position(|(known, _)| *known == name).map_or(0, |place| place + 1);
        let is_secret = SECRET.contains(&name);
        if is_secret {
            number(named, 4, 0x10, out);
        } else {
            number(named, 6, 0x40, out);
        }
        if named == 0 {
            text(name, out);
        }
        text(value, out);
        if !is_secret {
            self.sent.push_front((name.to_owned(), value.to_owned()));
            self.evict();
        }
    }

    fn evict(&mut self) {
        let size = |sent: &VecDeque<(String, String)>| -> usize {
            sent.iter().map(|(name, value)| 32 + name.len() + value.len()).sum()
        };
        while size(&self.sent) > self.capacity {
            self.sent.pop_back();
        }
    }
}

/// `FROM..TO`.
fn range(text: &str) -> Result<(usize, usize), Problem> {
    const WANTED: &str = "range of bytes";
    let malformed = || Problem::Malformed { text: text.to_owned(), wanted: WANTED };
    let (from, to) = text.split_once("..").ok_or_else(malformed)?;
    let (from, to) = (value(from, WANTED)?, value(to, WANTED)?);
    if from <= to { Ok((from, to)) } else { Err(malformed()) }
}

/// A number with the bits before it (RFC 7541, section 5.1).
fn number(value: usize, prefix: u32, before: u8, out: &mut Vec<u8>) {
    let most = (1usize << prefix) - 1;
    let byte = |value: usize| value.to_le_bytes()[0];
    out.push(before | byte(value.min(most)));
    if let Some(mut rest) = value.checked_sub(most) {
        while rest >= 0x80 {
            out.push(0x80 | byte(rest & 0x7f));
            rest >>= 7;
        }
        out.push(byte(rest));
    }
}

/// A string, coded where that is shorter (RFC 7541, section 5.2).
fn text(text: &str, out: &mut Vec<u8>) {
    let mut coded = Vec::new();
    let failed = httlib_huffman::encode(text.as_bytes(), &mut coded).is_err();
    if failed || coded.len() >= text.len() {
        number(text.len(), 7, 0, out);
        out.extend_from_slice(text.as_bytes());
    } else {
        number(coded.len(), 7, 0x80, out);
        out.extend(coded);
    }
}
