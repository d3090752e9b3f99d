//! From the text of a transcript to what happened.

use std::collections::HashMap;

use jiff::SignedDuration;

use super::block::{Entry, entries};
use super::encode::{LAST_CHUNK, Payload, chunk, unquote};
use super::frames::Frames;
use super::h2;
use super::words::{Words, name, value};
use super::{
    Event, Expected, Maker, Problem, START, Step, Transcript, TranscriptError, Wire, http,
};
use crate::identity::{Process, ProcessFacts};
use crate::units::{ConnectionId, Direction, ProcessKey, Timestamp};

/// Most bytes that the segments of one transcript may hold together.
const MAX_BYTES: usize = 256 * 1024 * 1024;
/// The name of the connection that needs no declaration.
const DEFAULT_CONNECTION: &str = "a";
/// The name of the process that needs no declaration.
const DEFAULT_PROCESS: &str = "1";
/// The first pid that is given to a process which says none.
const FIRST_PID: u32 = 1000;

/// Reads a transcript.
pub(super) fn parse(text: &str) -> Result<Transcript, TranscriptError> {
    let mut reader =
        Reader { transcript: Transcript::default(), now: START, ways: HashMap::new(), bytes: 0 };
    for entry in entries(text)? {
        let line = entry.line;
        reader.entry(&entry).map_err(|problem| TranscriptError { line, problem })?;
    }
    Ok(reader.transcript)
}

struct Reader {
    transcript: Transcript,
    now: Timestamp,
    ways: HashMap<(ConnectionId, Direction), Way>,
    /// What all segments hold.
    bytes: usize,
}

/// One direction of a connection.
#[derive(Default)]
struct Way {
    /// The offset after the last byte.
    next: u64,
    frames: Frames,
    h2: Option<h2::Encoder>,
}

impl Reader {
    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), Problem> {
        let mut words = Words::of(entry.head);
        let verb = words.need("a verb")?;
        match verb {
            ">" => return self.record(Direction::Write, words, &entry.block),
            "<" => return self.record(Direction::Read, words, &entry.block),
            "expect" => return self.expect(entry, words),
            _ if !entry.block.is_empty() => return Err(Problem::Block),
            _ => {}
        }
        match verb {
            "process" => self.process(words),
            "connection" => self.connection(words),
            "at" => {
                self.now = value(words.need("a time")?, "time in UTC")?;
                words.end()
            }
            "after" => {
                let later = duration(words.need("a time span")?)?;
                self.now = self.now.saturating_add(later).unwrap_or(Timestamp::MAX);
                words.end()
            }
            "close" => self.close(words),
            "exit" => {
                let process = self.known_process(words.next().unwrap_or(DEFAULT_PROCESS))?;
                words.end()?;
                self.push(Event::Exit { process });
                Ok(())
            }
            "tick" => {
                words.end()?;
                self.push(Event::Tick);
                Ok(())
            }
            other => Err(Problem::Unknown(other.to_owned())),
        }
    }

    fn push(&mut self, event: Event) {
        self.transcript.steps.push(Step { time: self.now, event });
    }

    fn process(&mut self, mut words: Words<'_>) -> Result<(), Problem> {
        let name = name(words.need("the name of the process")?)?;
        let pid = FIRST_PID
            .saturating_add(u32::try_from(self.transcript.processes.len()).unwrap_or(u32::MAX));
        let mut key = ProcessKey { pid, start_ns: 1 };
        let mut facts = ProcessFacts::new(Process { pid, exe: None, uid: FIRST_PID });
        while let Some(word) = words.next() {
            let (field, text) = word.split_once('=').unwrap_or((word, ""));
            match field {
                "pid" => key.pid = value(text, "process id")?,
                "start" => key.start_ns = value(text, "number of nanoseconds")?,
                "uid" => facts.process.uid = value(text, "user id")?,
                "user" => facts.user = Some(text.to_owned()),
                "exe" => facts.process.exe = Some(text.to_owned()),
                "unit" => facts.cgroup = Some(format!("/system.slice/{text}")),
                "cgroup" => facts.cgroup = Some(text.to_owned()),
                "owner" => facts.owner = Some(text.to_owned()),
                _ => return Err(Problem::Unknown(word.to_owned())),
            }
        }
        facts.process.pid = key.pid;
        let processes = &mut self.transcript.processes;
        if processes.iter().any(|maker| maker.name == name || maker.key == key) {
            return Err(Problem::Twice(name));
        }
        processes.push(Maker { name, key, facts });
        Ok(())
    }

    fn connection(&mut self, mut words: Words<'_>) -> Result<(), Problem> {
        let name = name(words.need("the name of the connection")?)?;
        let mut process = None;
        let mut handle = self.transcript.connections.len() as u64 + 1;
        let mut generation = 1;
        while let Some(word) = words.next() {
            match word.split_once('=') {
                Some(("process", text)) => process = Some(self.known_process(text)?),
                Some(("handle", text)) => handle = value(text, "number")?,
                Some(("generation", text)) => generation = value(text, "number")?,
                _ => return Err(Problem::Unknown(word.to_owned())),
            }
        }
        let process = match process {
            Some(process) => process,
            None => self.first_process()?,
        };
        let id = ConnectionId { process, handle, generation };
        let connections = &mut self.transcript.connections;
        if connections.iter().any(|wire| wire.name == name || wire.id == id) {
            return Err(Problem::Twice(name));
        }
        connections.push(Wire { name, id });
        Ok(())
    }

    fn close(&mut self, mut words: Words<'_>) -> Result<(), Problem> {
        let connection = self.known_connection(words.next().unwrap_or(DEFAULT_CONNECTION))?;
        let mut read_total = self.way(connection, Direction::Read).next;
        let mut write_total = self.way(connection, Direction::Write).next;
        while let Some(word) = words.next() {
            match word.split_once('=') {
                Some(("read", text)) => read_total = value(text, "number of bytes")?,
                Some(("written", text)) => write_total = value(text, "number of bytes")?,
                _ => return Err(Problem::Unknown(word.to_owned())),
            }
        }
        self.push(Event::Close { connection, read_total, write_total });
        Ok(())
    }

    fn expect(&mut self, entry: &Entry<'_>, mut words: Words<'_>) -> Result<(), Problem> {
        let is_edge = words.take("edge");
        let text = format!("{}\n{}", words.rest(), entry.block.join("\n"));
        let fields = serde_json::from_str(&text).map_err(|_| Problem::Malformed {
            text: entry.head.to_owned(),
            wanted: "JSON object",
        })?;
        let expected = Expected { line: entry.line, fields };
        if is_edge {
            self.transcript.expected_edges.push(expected);
        } else {
            self.transcript.expected.push(expected);
        }
        Ok(())
    }

    /// What follows `>` or `<`: a connection, an offset, and how the bytes are written.
    fn record(
        &mut self,
        direction: Direction,
        mut words: Words<'_>,
        block: &[&str],
    ) -> Result<(), Problem> {
        let is_declared =
            |name: &str| self.transcript.connections.iter().any(|wire| wire.name == name);
        let named = words.peek().filter(|name| *name == DEFAULT_CONNECTION || is_declared(name));
        if named.is_some() {
            words.next();
        }
        let connection = self.known_connection(named.unwrap_or(DEFAULT_CONNECTION))?;
        if let Some(offset) = words.peek().and_then(|word| word.strip_prefix('@')) {
            self.way(connection, direction).next = value(offset, "offset")?;
            words.next();
        }
        if words.peek().is_some_and(|word| word.starts_with('"')) {
            if !block.is_empty() {
                return Err(Problem::Block);
            }
            let mut data = Vec::new();
            unquote(words.rest(), &mut data)?;
            return self.segment(connection, direction, data);
        }
        match words.peek() {
            Some("lost") => {
                words.next();
                let bytes: u64 = value(words.need("a number of bytes")?, "number of bytes")?;
                let way = self.way(connection, direction);
                way.next = way.next.saturating_add(bytes);
                words.end()
            }
            Some("head") => {
                words.next();
                words.end()?;
                self.segment(connection, direction, http::head(block))
            }
            Some("http") => {
                words.next();
                let (apart, until_close) = (words.take("apart"), words.take("until-close"));
                let (payload, block) = Payload::of(words, block)?;
                let (mut head, body) = http::message(&block, payload, until_close)?;
                if apart {
                    self.segment(connection, direction, head)?;
                    self.segment(connection, direction, body)
                } else {
                    head.extend(body);
                    self.segment(connection, direction, head)
                }
            }
            Some("chunk") => {
                words.next();
                let (payload, block) = Payload::of(words, block)?;
                self.segment(connection, direction, chunk(&payload.encode(&block)?))
            }
            Some("last-chunk") => {
                words.next();
                words.end()?;
                self.segment(connection, direction, LAST_CHUNK.to_vec())
            }
            Some("h2") => {
                words.next();
                let way = self.way(connection, direction);
                let encoder = way.h2.get_or_insert_with(|| h2::Encoder::new(direction));
                let frame = encoder.frame(words, block)?;
                self.partly(connection, direction, frame)
            }
            Some("ws") => {
                words.next();
                let frame =
                    self.way(connection, direction).frames.frame(direction, words, block)?;
                self.segment(connection, direction, frame)
            }
            _ => {
                let (payload, block) = Payload::of(words, block)?;
                self.segment(connection, direction, payload.encode(&block)?)
            }
        }
    }

    /// A frame of HTTP/2, of which a part may be lost.
    fn partly(
        &mut self,
        connection: ConnectionId,
        direction: Direction,
        mut frame: h2::Frame,
    ) -> Result<(), Problem> {
        let Some((from, to)) = frame.lost else {
            return self.segment(connection, direction, frame.bytes);
        };
        let after = frame.bytes.split_off(to.min(frame.bytes.len()));
        let before = frame.bytes.drain(..from.min(frame.bytes.len())).collect::<Vec<u8>>();
        if !before.is_empty() {
            self.segment(connection, direction, before)?;
        }
        let way = self.way(connection, direction);
        way.next = way.next.saturating_add(frame.bytes.len() as u64);
        if after.is_empty() { Ok(()) } else { self.segment(connection, direction, after) }
    }

    fn segment(
        &mut self,
        connection: ConnectionId,
        direction: Direction,
        data: Vec<u8>,
    ) -> Result<(), Problem> {
        self.bytes = self.bytes.saturating_add(data.len());
        if self.bytes > MAX_BYTES {
            return Err(Problem::TooLarge(MAX_BYTES));
        }
        let way = self.way(connection, direction);
        let offset = way.next;
        way.next = offset.saturating_add(data.len() as u64);
        self.push(Event::Segment { connection, direction, offset, data });
        Ok(())
    }

    fn way(&mut self, connection: ConnectionId, direction: Direction) -> &mut Way {
        self.ways.entry((connection, direction)).or_default()
    }

    fn known_process(&mut self, name: &str) -> Result<ProcessKey, Problem> {
        let known = self.transcript.processes.iter().find(|maker| maker.name == name);
        match known.map(|maker| maker.key) {
            Some(key) => Ok(key),
            None if name == DEFAULT_PROCESS => self.first_process(),
            None => Err(Problem::Undeclared(name.to_owned())),
        }
    }

    /// The process that is meant where none is named.
    fn first_process(&mut self) -> Result<ProcessKey, Problem> {
        if self.transcript.processes.is_empty() {
            self.process(Words::of(DEFAULT_PROCESS))?;
        }
        let first = self.transcript.processes.first().map(|maker| maker.key);
        first.ok_or(Problem::Missing("a process"))
    }

    fn known_connection(&mut self, name: &str) -> Result<ConnectionId, Problem> {
        let known = |this: &Self| {
            let wires = this.transcript.connections.iter();
            wires.filter(|wire| wire.name == name).map(|wire| wire.id).next()
        };
        if known(self).is_none() && name == DEFAULT_CONNECTION {
            self.connection(Words::of(DEFAULT_CONNECTION))?;
        }
        known(self).ok_or_else(|| Problem::Undeclared(name.to_owned()))
    }
}

/// `250ms`, `1.5s` or `2m`.
fn duration(text: &str) -> Result<SignedDuration, Problem> {
    let malformed = || Problem::Malformed { text: text.to_owned(), wanted: "time span" };
    let (number, unit) =
        text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(malformed)?);
    let number: f64 = number.parse().map_err(|_| malformed())?;
    let seconds = match unit {
        "us" => number / 1e6,
        "ms" => number / 1e3,
        "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        _ => return Err(malformed()),
    };
    SignedDuration::try_from_secs_f64(seconds).map_err(|_| malformed())
}
