//! Reads the lines of one file between two offsets, holding no more than one line in memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};

use super::line::LINE_MAX;

/// One step through a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A whole line is in the buffer, its newline excluded. Offsets are those of its first byte and
    /// of the byte after its newline.
    Line { start: u64, end: u64 },
    /// A line too long to be one of ours was skipped.
    TooLong { start: u64, end: u64 },
    /// The rest of the range has no newline.
    Torn { start: u64, bytes: u64 },
    /// There is no more.
    End,
}

/// Walks the lines of a file.
#[derive(Debug)]
pub(super) struct Lines {
    reader: BufReader<File>,
    at: u64,
    /// `at <= limit`
    limit: u64,
}

impl Lines {
    /// Reads from `start`, which must be the start of a line, to `limit`.
    pub(super) fn new(mut file: File, start: u64, limit: u64) -> io::Result<Self> {
        file.seek(SeekFrom::Start(start))?;
        let reader = BufReader::with_capacity(64 << 10, file);
        Ok(Self { reader, at: start, limit: limit.max(start) })
    }

    /// Fills `line` with the next line.
    pub(super) fn step(&mut self, line: &mut Vec<u8>) -> io::Result<Step> {
        line.clear();
        let start = self.at;
        let mut too_long = false;
        loop {
            let room = usize::try_from(self.limit - self.at).unwrap_or(usize::MAX);
            let chunk = self.reader.fill_buf()?;
            let chunk = &chunk[..chunk.len().min(room)];
            if chunk.is_empty() {
                let bytes = self.at - start;
                return Ok(if bytes == 0 { Step::End } else { Step::Torn { start, bytes } });
            }
            let newline = chunk.iter().position(|byte| *byte == b'\n');
            let text = &chunk[..newline.unwrap_or(chunk.len())];
            too_long |= line.len() + text.len() > LINE_MAX;
            if too_long {
                line.clear();
            } else {
                line.extend_from_slice(text);
            }
            let used = newline.map_or(chunk.len(), |at| at + 1);
            self.reader.consume(used);
            self.at += used as u64;
            if newline.is_some() {
                let end = self.at;
                return Ok(if too_long {
                    Step::TooLong { start, end }
                } else {
                    Step::Line { start, end }
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn steps(bytes: &[u8], start: u64, limit: u64) -> Vec<(Step, Vec<u8>)> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let mut lines = Lines::new(file, start, limit).unwrap();
        let mut line = Vec::new();
        let mut steps = Vec::new();
        loop {
            match lines.step(&mut line).unwrap() {
                Step::End => return steps,
                step => steps.push((step, line.clone())),
            }
        }
    }

    #[test]
    fn lines_are_read_within_the_range_only() {
        let line = |start, end, text: &[u8]| (Step::Line { start, end }, text.to_vec());
        assert_eq!(steps(b"a\nbc\n\nd\n", 2, 6), [line(2, 5, b"bc"), line(5, 6, b"")]);
        assert_eq!(
            steps(b"a\nbc", 0, 99),
            [line(0, 2, b"a"), (Step::Torn { start: 2, bytes: 2 }, b"bc".to_vec())]
        );
    }

    #[test]
    fn a_line_of_any_length_takes_bounded_memory() {
        let mut bytes = vec![b'x'; LINE_MAX + 1];
        bytes.extend_from_slice(b"\nok\n");
        let end = LINE_MAX as u64 + 2;
        let (first, rest) = steps(&bytes, 0, u64::MAX)
            .split_first()
            .map(|(f, r)| (format!("{:?}", f.0), r.len()))
            .unwrap();
        assert_eq!(first, format!("TooLong {{ start: 0, end: {end} }}"));
        assert_eq!(rest, 1);
    }
}
