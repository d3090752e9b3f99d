//! Amazon's event streams (`application/vnd.amazon.eventstream`), cut anywhere.
//!
//! A message is `total length u32be | headers length u32be | CRC-32 of these | headers | payload |
//! CRC-32 of all before`. Both sums are checked, so bytes that aren't a message are never taken for
//! one, and the next message can be found again after a hole.

use zeroize::Zeroizing;

/// Longest headers of a message, in bytes. Amazon's own readers take no more.
const MAX_HEADERS: usize = 128 * 1024;
/// Longest message that is read, in bytes: Amazon's bound for a payload, and its headers.
pub const MAX_MESSAGE: usize = 16 * 1024 * 1024 + MAX_HEADERS;
/// Both lengths and their sum.
const PRELUDE: usize = 12;
/// The sum at the end.
const SUM: usize = 4;

/// Splits a body into its messages.
#[derive(Debug, Default)]
pub struct Reader {
    /// The current message as far as it has come. At most [`MAX_MESSAGE`] bytes.
    buffer: Zeroizing<Vec<u8>>,
    state: State,
    dropped: u64,
}

#[derive(Debug, Default)]
enum State {
    /// Before or in a message's prelude.
    #[default]
    Prelude,
    /// Somewhere; the next prelude is looked for at every byte.
    Adrift,
    /// In a message of `total` bytes.
    Message { total: usize },
    /// In a message that is of no use. `left` > 0.
    Skip { left: u64 },
}

/// One message.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Message<'a> {
    /// `:message-type`: `event`, `exception` or `error`.
    pub message_type: &'a str,
    /// `:event-type`.
    pub event_type: &'a str,
    /// `:exception-type`, or `:error-code` of an error.
    pub exception_type: &'a str,
    /// `:content-type` of the payload.
    pub content_type: &'a str,
    /// What it carries.
    pub payload: &'a [u8],
}

impl Message<'_> {
    /// Whether it says that the stream has failed.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        matches!(self.message_type, "exception" | "error")
    }
}

impl Reader {
    /// Takes part of a body and hands each message that ends in it to `emit`.
    pub fn feed(&mut self, mut input: &[u8], mut emit: impl FnMut(Message<'_>)) {
        while !input.is_empty() {
            match self.state {
                State::Skip { left } => {
                    let take = input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    input = &input[take..];
                    self.skip(left, take as u64);
                }
                State::Prelude | State::Adrift => {
                    self.take(&mut input, PRELUDE);
                    if self.buffer.len() == PRELUDE {
                        self.prelude();
                    }
                }
                State::Message { total } => {
                    self.take(&mut input, total);
                    if self.buffer.len() == total {
                        match parse(&self.buffer) {
                            Some(message) => emit(message),
                            None => self.dropped += 1,
                        }
                        self.buffer.clear();
                        self.state = State::Prelude;
                    }
                }
            }
        }
    }

    /// Says that `bytes` are missing here: the message they belong to is dropped. If they reach
    /// beyond it, the next one is looked for.
    pub fn lose(&mut self, bytes: u64) {
        let left = match self.state {
            State::Skip { left } => left,
            State::Message { total } => {
                self.dropped += 1;
                total.saturating_sub(self.buffer.len()) as u64
            }
            State::Prelude | State::Adrift => 0,
        };
        self.buffer.clear();
        if bytes <= left && left > 0 {
            self.skip(left, bytes);
        } else {
            self.set_adrift();
        }
    }

    /// How many messages were too long or damaged, at least.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Bytes held back.
    #[must_use]
    pub fn footprint(&self) -> usize {
        self.buffer.capacity()
    }

    /// Moves bytes into the buffer until it has `wanted`.
    fn take(&mut self, input: &mut &[u8], wanted: usize) {
        let missing = wanted.saturating_sub(self.buffer.len());
        let (taken, rest) = input.split_at(input.len().min(missing));
        self.buffer.extend_from_slice(taken);
        *input = rest;
    }

    fn prelude(&mut self) {
        let (Some(total), Some(headers)) = (u32be(&self.buffer, 0), u32be(&self.buffer, 4)) else {
            return;
        };
        let (total, headers) = (total as usize, headers as usize);
        let room = total.checked_sub(PRELUDE + SUM);
        let plausible = headers <= MAX_HEADERS && room.is_some_and(|room| headers <= room);
        if !plausible || u32be(&self.buffer, 8) != Some(crc32fast::hash(&self.buffer[..8])) {
            self.set_adrift();
            self.buffer.remove(0);
        } else if total > MAX_MESSAGE {
            self.dropped += 1;
            self.buffer.clear();
            self.state = State::Skip { left: (total - PRELUDE) as u64 };
        } else {
            self.state = State::Message { total };
        }
    }

    fn set_adrift(&mut self) {
        if !matches!(self.state, State::Adrift) {
            self.dropped += 1;
        }
        self.state = State::Adrift;
    }

    const fn skip(&mut self, left: u64, bytes: u64) {
        self.state = match left.saturating_sub(bytes) {
            0 => State::Prelude,
            left => State::Skip { left },
        };
    }
}

/// The message that `bytes` are, from its prelude to its sum.
fn parse(bytes: &[u8]) -> Option<Message<'_>> {
    let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(SUM)?)?;
    if u32be(sum, 0)? != crc32fast::hash(body) {
        return None;
    }
    let (headers, payload) = body.get(PRELUDE..)?.split_at_checked(u32be(bytes, 4)? as usize)?;
    let mut message = Message { payload, ..Message::default() };
    let mut rest = headers;
    while !rest.is_empty() {
        let (name, value) = header(&mut rest)?;
        let value = std::str::from_utf8(value).unwrap_or_default();
        match name {
            b":message-type" => message.message_type = value,
            b":event-type" => message.event_type = value,
            b":exception-type" | b":error-code" => message.exception_type = value,
            b":content-type" => message.content_type = value,
            _ => {}
        }
    }
    Some(message)
}

/// Takes a header off the front: its name and, if it is text, its value.
fn header<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (&length, after) = rest.split_first()?;
    let (name, after) = after.split_at_checked(usize::from(length))?;
    let (&kind, after) = after.split_first()?;
    // Flags, whole numbers of four widths, bytes, text, a time and a UUID.
    let (prefix, length) = match kind {
        0 | 1 => (0, 0),
        2 => (0, 1),
        3 => (0, 2),
        4 => (0, 4),
        5 | 8 => (0, 8),
        6 | 7 => (2, usize::from(u16::from_be_bytes(*after.first_chunk()?))),
        9 => (0, 16),
        _ => return None,
    };
    let (value, after) = after.get(prefix..)?.split_at_checked(length)?;
    *rest = after;
    Some((name, if kind == 7 { value } else { &[] }))
}

fn u32be(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests;
