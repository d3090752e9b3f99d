//! Transcripts as text again. Text and frames come back as the bytes that they are, in quotation
//! marks or as hexadecimal digits.

use std::fmt::{self, Write as _};

use super::{Event, FIRST_LINE, START, Transcript};
use crate::units::{ConnectionId, Direction};

/// How many bytes a line of hexadecimal digits shows.
const HEX_WIDTH: usize = 32;

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}")?;
        for maker in &self.processes {
            let (key, facts) = (maker.key, &maker.facts);
            write!(f, "process {} pid={} start={}", maker.name, key.pid, key.start_ns)?;
            write!(f, " uid={}", facts.process.uid)?;
            for (field, value) in [
                ("user", &facts.user),
                ("exe", &facts.process.exe),
                ("cgroup", &facts.cgroup),
                ("owner", &facts.owner),
            ] {
                if let Some(value) = value {
                    write!(f, " {field}={value}")?;
                }
            }
            writeln!(f)?;
        }
        for wire in &self.connections {
            let ConnectionId { process, handle, generation } = wire.id;
            let maker = self.processes.iter().find(|maker| maker.key == process);
            let maker = maker.map_or("1", |maker| &maker.name);
            write!(f, "connection {} process={maker}", wire.name)?;
            writeln!(f, " handle={handle} generation={generation}")?;
        }
        let mut now = START;
        for step in &self.steps {
            if step.time != now {
                now = step.time;
                writeln!(f, "at {now}")?;
            }
            self.event(&step.event, f)?;
        }
        for (verb, all) in [("expect", &self.expected), ("expect edge", &self.expected_edges)] {
            for expected in all {
                writeln!(f, "{verb} {}", serde_json::Value::Object(expected.fields.clone()))?;
            }
        }
        Ok(())
    }
}

impl Transcript {
    fn event(&self, event: &Event, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match event {
            Event::Segment { connection, direction, offset, data } => {
                let arrow = match direction {
                    Direction::Write => '>',
                    Direction::Read => '<',
                };
                write!(f, "{arrow} {} @{offset} ", self.name(*connection))?;
                match std::str::from_utf8(data) {
                    Ok(text) => quoted(text, f),
                    Err(_binary) => hex(data, f),
                }
            }
            Event::Close { connection, read_total, write_total } => {
                let name = self.name(*connection);
                writeln!(f, "close {name} read={read_total} written={write_total}")
            }
            Event::Exit { process } => {
                let maker = self.processes.iter().find(|maker| maker.key == *process);
                writeln!(f, "exit {}", maker.map_or("1", |maker| &maker.name))
            }
            Event::Tick => writeln!(f, "tick"),
        }
    }

    fn name(&self, connection: ConnectionId) -> &str {
        let wire = self.connections.iter().find(|wire| wire.id == connection);
        wire.map_or("a", |wire| &wire.name)
    }
}

fn quoted(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "quoted")?;
    for line in text.split_inclusive('\n') {
        f.write_str("  \"")?;
        for c in line.chars() {
            match c {
                '\r' => f.write_str("\\r")?,
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                '"' | '\\' => write!(f, "\\{c}")?,
                c if c.is_ascii_control() => write!(f, "\\x{:02x}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        writeln!(f, "\"")?;
    }
    Ok(())
}

fn hex(data: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "hex")?;
    for line in data.chunks(HEX_WIDTH) {
        f.write_str("  ")?;
        for byte in line {
            write!(f, "{byte:02x}")?;
        }
        writeln!(f)?;
    }
    Ok(())
}
