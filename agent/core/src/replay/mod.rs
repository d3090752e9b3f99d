//! Transcripts: what crossed some connections, as text that can be written by hand, compared line by
//! line and run through the pipeline again. `docs/transcripts.md` describes the format.
//!
//! [`Transcript::parse`] reads one, `Display` writes one, [`Transcript::inputs`] is what the pipeline
//! takes, and [`Transcript::records`] is what comes of it.

mod block;
mod encode;
mod error;
mod frames;
mod h2;
mod http;
mod parse;
mod run;
mod words;
mod write;

#[cfg(test)]
mod tests;

pub use error::{Problem, TranscriptError};
pub use run::{HOST, TRUST_DOMAIN};

use crate::identity::ProcessFacts;
use crate::pipeline::Input;
use crate::units::{ConnectionId, Direction, ProcessKey, Timestamp};

/// The first line of every transcript.
const FIRST_LINE: &str = "weir transcript 1";

/// What was seen of some processes and their connections, in the order in which it happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    /// The processes, each with a name of its own.
    pub processes: Vec<Maker>,
    /// Their connections, each with a name of its own.
    pub connections: Vec<Wire>,
    /// What happened. Times never matter to the order.
    pub steps: Vec<Step>,
    /// What is to come of it: one JSON object for each call, in order. Replaying doesn't look at
    /// them.
    pub expected: Vec<Expected>,
    /// The same for each step to another agent.
    pub expected_edges: Vec<Expected>,
}

/// A process of a transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maker {
    /// What the transcript calls it.
    pub name: String,
    /// Which it is.
    pub key: ProcessKey,
    /// What is known of it.
    pub facts: ProcessFacts,
}

/// A connection of a transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    /// What the transcript calls it.
    pub name: String,
    /// Which it is.
    pub id: ConnectionId,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub time: Timestamp,
    /// What.
    pub event: Event,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A process sent or received bytes: one call of its TLS library.
    Segment {
        /// Where.
        connection: ConnectionId,
        /// Which way.
        direction: Direction,
        /// Position of the first byte in that direction.
        offset: u64,
        /// What.
        data: Vec<u8>,
    },
    /// A connection was closed.
    Close {
        /// Which.
        connection: ConnectionId,
        /// How many bytes were received in all.
        read_total: u64,
        /// How many bytes were sent in all.
        write_total: u64,
    },
    /// A process ended.
    Exit {
        /// Which.
        process: ProcessKey,
    },
    /// Time passed.
    Tick,
}

/// What one call, or one step to another agent, is to look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The line of the transcript that says so, 1 for the first.
    pub line: usize,
    /// Fields of its record.
    pub fields: serde_json::Map<String, serde_json::Value>,
}

impl Transcript {
    /// Reads a transcript.
    ///
    /// # Errors
    /// With the first line that says nothing that is known.
    pub fn parse(text: &str) -> Result<Self, TranscriptError> {
        parse::parse(text)
    }

    /// What the pipeline is given, the end included: from there on, nobody watches.
    pub fn inputs(&self) -> impl Iterator<Item = Input<'_>> {
        let end = self.steps.last().map_or(START, |step| step.time);
        self.steps.iter().map(|step| self.input(step)).chain([Input::Stop { time: end }])
    }

    /// The facts of a process of this transcript.
    #[must_use]
    pub fn facts(&self, process: ProcessKey) -> Option<&ProcessFacts> {
        self.processes.iter().find(|maker| maker.key == process).map(|maker| &maker.facts)
    }

    fn input<'a>(&self, step: &'a Step) -> Input<'a> {
        let time = step.time;
        match &step.event {
            Event::Segment { connection, direction, offset, data } => Input::Segment {
                connection: *connection,
                cgroup: self.cgroup(connection.process),
                direction: *direction,
                offset: *offset,
                time,
                data,
            },
            Event::Close { connection, read_total, write_total } => Input::Closed {
                connection: *connection,
                time,
                read_total: *read_total,
                write_total: *write_total,
            },
            Event::Exit { process } => Input::Exited { process: *process, time },
            Event::Tick => Input::Tick { time },
        }
    }

    /// A cgroup of its own for each process: its place in the list.
    fn cgroup(&self, process: ProcessKey) -> u64 {
        let place = self.processes.iter().position(|maker| maker.key == process);
        place.map_or(0, |place| place as u64 + 1)
    }
}

/// When a transcript begins that doesn't say: 2026-01-01T00:00:00Z.
const START: Timestamp = Timestamp::constant(1_767_225_600, 0);
