//! Undoes the compression of one side's messages (RFC 7692, section 7.2.2).

use flate2::{Decompress, FlushDecompress, Status};

/// Output up to here is never held against a side, in bytes.
const FREE_OUTPUT: u64 = 8 * 1024 * 1024;
/// Beyond [`FREE_OUTPUT`], the most bytes that one byte of input may become.
const MAX_RATIO: u64 = 100;
/// The end of every message, which is left out.
const END: [u8; 4] = [0, 0, 0xff, 0xff];
/// How much is decompressed at a time, in bytes.
const STEP: usize = 8 * 1024;
/// What a decompressor holds, about, in bytes: its window and its tables.
const HELD: usize = 48 * 1024;

pub(super) struct Inflater {
    /// A message may refer to the ones before it.
    keeps_context: bool,
    decompress: Option<Box<Decompress>>,
    /// What a message could refer to is not known any more.
    lost: bool,
    taken: u64,
    given: u64,
}

/// The message can't be decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Undecodable;

impl Inflater {
    pub(super) const fn new(keeps_context: bool) -> Self {
        Self { keeps_context, decompress: None, lost: false, taken: 0, given: 0 }
    }

    /// A message begins.
    pub(super) fn begin(&mut self) {
        if !self.keeps_context {
            self.decompress = None;
            self.lost = false;
        }
    }

    /// Takes part of a message and hands what it becomes to `emit`.
    pub(super) fn feed(&mut self, data: &[u8], emit: impl FnMut(&[u8])) -> Result<(), Undecodable> {
        self.taken = self.taken.saturating_add(data.len() as u64);
        if self.lost {
            return Err(Undecodable);
        }
        let result = self.inflate(data, emit);
        if result.is_err() {
            self.lose();
        }
        result
    }

    /// The message has ended.
    pub(super) fn end(&mut self, emit: impl FnMut(&[u8])) -> Result<(), Undecodable> {
        self.feed(&END, emit)
    }

    /// Says that bytes are missing here.
    pub(super) fn lose(&mut self) {
        self.lost = true;
        self.decompress = None;
    }

    pub(super) const fn footprint(&self) -> usize {
        if self.decompress.is_some() { HELD } else { 0 }
    }

    fn inflate(&mut self, mut data: &[u8], mut emit: impl FnMut(&[u8])) -> Result<(), Undecodable> {
        let limit = FREE_OUTPUT.max(self.taken.saturating_mul(MAX_RATIO));
        let mut out = [0; STEP];
        loop {
            // Without a header, and with the largest window.
            let decompress =
                self.decompress.get_or_insert_with(|| Box::new(Decompress::new(false)));
            let before = (decompress.total_in(), decompress.total_out());
            let status = decompress.decompress(data, &mut out, FlushDecompress::Sync);
            let status = status.map_err(|_error| Undecodable)?;
            let taken = length(decompress.total_in() - before.0);
            let given = length(decompress.total_out() - before.1);
            self.given = self.given.saturating_add(given as u64);
            if self.given > limit {
                return Err(Undecodable);
            }
            emit(out.get(..given).unwrap_or_default());
            data = data.get(taken..).unwrap_or_default();
            match status {
                // A block that says it is the last ends the context, not the message.
                Status::StreamEnd if taken > 0 => self.decompress = None,
                Status::Ok | Status::BufError | Status::StreamEnd => {
                    let is_full = given == out.len();
                    if data.is_empty() && !is_full {
                        return Ok(());
                    }
                    if taken == 0 && given == 0 {
                        return Err(Undecodable);
                    }
                }
            }
            if data.is_empty() && self.decompress.is_none() {
                return Ok(());
            }
        }
    }
}

fn length(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

impl std::fmt::Debug for Inflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Inflater({} bytes taken, {} given)", self.taken, self.given)
    }
}
