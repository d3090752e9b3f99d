//! What happens on a host as bytes, in a form in which a change of a byte is a small change of what
//! happens, and which transcripts can be written in.

use arbitrary::{Error, Result, Unstructured};
use weir_core::pipeline::Input;
use weir_core::replay::{Event, Transcript};
use weir_core::units::{ConnectionId, Direction, ProcessKey, Timestamp};

/// How many connections there are at a time, shared by half as many processes.
pub const CONNECTIONS: usize = 8;
/// How many processes there are at a time.
pub const PROCESSES: usize = CONNECTIONS / 2;

const SEGMENT: u8 = 0;
const CLOSE: u8 = 1;
const EXIT: u8 = 2;
const TICK: u8 = 3;
const FACTS: u8 = 4;
/// Where in an operation's first byte its connection stands.
const WHICH: u32 = 3;
const WRITE: u8 = 1 << 6;
const GAP: u8 = 1 << 7;

/// Something that happens.
#[derive(Debug)]
pub enum Step<'a> {
    /// A process sent or received bytes, perhaps after some that were lost.
    Segment { connection: usize, direction: Direction, gap: u64, data: &'a [u8] },
    /// A connection was closed, after that many bytes more.
    Close { connection: usize, more: u64 },
    /// A process ended.
    Exit { process: usize },
    /// That many seconds passed.
    Tick { seconds: u16 },
    /// The facts of a process are known from here on.
    Facts { process: usize },
}

impl<'a> Step<'a> {
    /// Reads the next one.
    ///
    /// # Errors
    /// If there is none.
    pub fn next(bytes: &mut Unstructured<'a>) -> Result<Self> {
        // What has no bytes left goes on with zeros for ever.
        if bytes.is_empty() {
            return Err(Error::NotEnoughData);
        }
        let first: u8 = bytes.arbitrary()?;
        let connection = usize::from(first >> WHICH) % CONNECTIONS;
        let process = connection / 2;
        Ok(match first % 8 {
            CLOSE => Self::Close { connection, more: gap(first, bytes)? },
            EXIT => Self::Exit { process },
            TICK => Self::Tick { seconds: bytes.arbitrary()? },
            FACTS => Self::Facts { process },
            _ => {
                let gap = gap(first, bytes)?;
                let length = usize::from(bytes.arbitrary::<u16>()?);
                let data = bytes.bytes(length.min(bytes.len()))?;
                let direction = if first & WRITE == 0 { Direction::Read } else { Direction::Write };
                Self::Segment { connection, direction, gap, data }
            }
        })
    }
}

fn gap(first: u8, bytes: &mut Unstructured<'_>) -> Result<u64> {
    if first & GAP == 0 { Ok(0) } else { Ok(u64::from(bytes.arbitrary::<u16>()?)) }
}

/// A transcript in this form, as far as there is room for its connections.
#[must_use]
pub fn encode(transcript: &Transcript) -> Vec<u8> {
    let mut out = Vec::new();
    let place = |id: &ConnectionId| transcript.connections.iter().position(|wire| wire.id == *id);
    // Two connections of one process are told by their places.
    let slot = |id: &ConnectionId| u8::try_from(place(id)? * 2 % CONNECTIONS).ok();
    out.extend(
        (0..CONNECTIONS)
            .step_by(2)
            .filter_map(|slot| Some(FACTS | u8::try_from(slot).ok()? << WHICH)),
    );
    for step in &transcript.steps {
        match &step.event {
            Event::Segment { connection, direction, data, .. } => {
                let Some(slot) = slot(connection) else { continue };
                let way = if *direction == Direction::Write { WRITE } else { 0 };
                for part in data.chunks(usize::from(u16::MAX)) {
                    out.push(SEGMENT | slot << WHICH | way);
                    out.extend(u16::try_from(part.len()).unwrap_or(u16::MAX).to_le_bytes());
                    out.extend(part);
                }
            }
            Event::Close { connection, .. } => {
                out.extend(slot(connection).map(|slot| CLOSE | slot << WHICH));
            }
            Event::Exit { .. } => out.push(EXIT),
            Event::Tick => out.extend([TICK, 1, 0]),
        }
    }
    out
}

/// A host on which things happen in the order in which the kernel would tell of them: offsets and
/// times never go back, and what has ended has another name when it begins again.
#[derive(Debug)]
pub struct Host {
    now: Timestamp,
    processes: [ProcessKey; PROCESSES],
    /// The connections, and how many bytes they have received and sent.
    connections: [(ConnectionId, [u64; 2]); CONNECTIONS],
    begun: u64,
}

impl Default for Host {
    fn default() -> Self {
        let processes = std::array::from_fn(|n| ProcessKey {
            pid: 1 + u32::try_from(n).unwrap_or(0),
            start_ns: 0,
        });
        let connections = std::array::from_fn(|n| {
            let id = ConnectionId { process: processes[n / 2], handle: n as u64, generation: 0 };
            (id, [0; 2])
        });
        Self { now: Timestamp::UNIX_EPOCH, processes, connections, begun: 0 }
    }
}

impl Host {
    /// The time now.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// The process in that place.
    #[must_use]
    pub const fn process(&self, place: usize) -> ProcessKey {
        self.processes[place]
    }

    /// How many bytes a connection that has not ended has sent.
    #[must_use]
    pub fn sent(&self, id: ConnectionId) -> Option<u64> {
        self.connections.iter().find(|(known, _)| *known == id).map(|(_, [_, sent])| *sent)
    }

    /// What the pipeline is told of a step; nothing if it is about facts.
    pub fn input<'a>(&mut self, step: &Step<'a>) -> Option<Input<'a>> {
        let milliseconds = match step {
            Step::Tick { seconds } => i64::from(*seconds) * 1000,
            _ => 1,
        };
        let later = self.now.as_millisecond().saturating_add(milliseconds);
        self.now = Timestamp::from_millisecond(later).unwrap_or(Timestamp::MAX);
        let time = self.now;
        Some(match *step {
            Step::Segment { connection, direction, gap, data } => {
                let (id, totals) = &mut self.connections[connection];
                let total = &mut totals[usize::from(direction == Direction::Write)];
                let offset = *total + gap;
                *total = offset + data.len() as u64;
                let cgroup = 1 + connection as u64 / 2;
                Input::Segment { connection: *id, cgroup, direction, offset, time, data }
            }
            Step::Close { connection, more } => {
                let (id, [received, sent]) = self.connections[connection];
                self.begin(connection);
                let (read_total, write_total) = (received + more, sent);
                Input::Closed { connection: id, time, read_total, write_total }
            }
            Step::Exit { process } => {
                let ended = self.processes[process];
                self.begun += 1;
                self.processes[process].start_ns = self.begun;
                self.begin(process * 2);
                self.begin(process * 2 + 1);
                Input::Exited { process: ended, time }
            }
            Step::Tick { .. } => Input::Tick { time },
            Step::Facts { .. } => return None,
        })
    }

    /// Another connection in the same place.
    fn begin(&mut self, place: usize) {
        self.begun += 1;
        let id = ConnectionId {
            process: self.processes[place / 2],
            handle: place as u64,
            generation: self.begun,
        };
        self.connections[place] = (id, [0; 2]);
    }
}
