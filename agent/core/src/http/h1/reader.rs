//! One direction of an HTTP/1.1 connection: bytes to heads and pieces of bodies.

use memchr::memchr;
use zeroize::Zeroizing;

use super::chunked::{Chunked, Piece};
use crate::http::head::{BodyHead, Head, HeadError};
use crate::secret::FingerprintKey;

/// Longest message head, in bytes.
const MAX_HEAD: usize = 64 * 1024;

/// What a direction brings next.
#[derive(Debug)]
pub(super) enum Frame<'a> {
    /// A message began. [`Reader::begin_body`] must be told how its body is framed.
    Head(Head),
    /// Part of its body.
    Body(&'a [u8]),
    /// The message ended.
    End,
    /// These bytes fit no message; the place of the next one is not known.
    Adrift,
}

/// How a body is framed (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// By this many bytes.
    Length(u64),
    /// By the chunked transfer coding.
    Chunked,
    /// By the end of the connection.
    UntilClose,
}

impl Framing {
    /// The framing of a request's body.
    pub(super) fn of_request(body: &BodyHead) -> Self {
        if body.chunked { Self::Chunked } else { Self::Length(body.length.unwrap_or(0)) }
    }

    /// The framing of an answer's body, where its status and its request allow one at all.
    pub(super) fn of_response(body: &BodyHead) -> Self {
        if body.chunked {
            Self::Chunked
        } else {
            body.length.map_or(Self::UntilClose, Self::Length)
        }
    }
}

#[derive(Debug)]
enum State {
    /// Nothing is known of where messages begin, so one is looked for where a segment begins.
    Adrift,
    /// Before or in a head. `scanned` bytes of the buffer were searched for its end.
    Head {
        scanned: usize,
    },
    Length {
        left: u64,
    },
    Chunked(Chunked),
    UntilClose,
}

/// Reads one direction.
#[derive(Debug)]
pub(super) struct Reader {
    state: State,
    head: Zeroizing<Vec<u8>>,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self { state: State::Adrift, head: Zeroizing::default() }
    }

    /// To be called where a segment begins: that is where a process called its TLS library, and
    /// the only place where a message can be found again after its beginning was lost.
    pub(super) fn segment_begins(&mut self, data: &[u8]) {
        if matches!(self.state, State::Adrift) && could_begin_message(data) {
            self.state = State::Head { scanned: 0 };
        }
    }

    /// Takes what it can from the front of `input`; `None` if more is needed.
    pub(super) fn next<'a>(
        &mut self,
        input: &mut &'a [u8],
        key: &FingerprintKey,
    ) -> Option<Frame<'a>> {
        match &mut self.state {
            State::Adrift => {
                *input = &[];
                None
            }
            State::Head { .. } => self.next_head(input, key),
            State::Length { left: 0 } => Some(self.end()),
            State::Length { left } => {
                let take = input.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= take as u64;
                Self::body(input, take)
            }
            State::Chunked(chunked) => match chunked.next(input)? {
                Piece::Data(data) => Some(Frame::Body(data)),
                Piece::End => Some(self.end()),
                Piece::Malformed => Some(self.adrift(input)),
            },
            State::UntilClose => Self::body(input, input.len()),
        }
    }

    /// Sets how the body of the message just begun is framed.
    pub(super) fn begin_body(&mut self, framing: Framing) {
        self.state = match framing {
            Framing::Length(left) => State::Length { left },
            Framing::Chunked => State::Chunked(Chunked::new()),
            Framing::UntilClose => State::UntilClose,
        };
    }

    /// Says that the message just begun has no body and that another head follows.
    pub(super) const fn begin_head(&mut self) {
        self.state = State::Head { scanned: 0 };
    }

    /// Whether the message before has ended and nothing of the next one was seen.
    pub(super) fn is_between_messages(&self) -> bool {
        matches!(self.state, State::Head { .. }) && self.head.is_empty()
    }

    /// Passes over `bytes` that were lost. Says whether the place in the framing is still known.
    pub(super) fn skip(&mut self, bytes: u64) -> bool {
        let known = match &mut self.state {
            State::Length { left } if bytes <= *left => {
                *left -= bytes;
                true
            }
            State::Chunked(chunked) => chunked.skip(bytes),
            State::UntilClose => true,
            State::Adrift | State::Head { .. } | State::Length { .. } => false,
        };
        if !known {
            self.set_adrift();
        }
        known
    }

    /// Whether the end of the connection is a proper end of the message being read.
    pub(super) const fn ends_with_connection(&self) -> bool {
        matches!(self.state, State::UntilClose)
    }

    /// Bytes held back.
    pub(super) fn footprint(&self) -> usize {
        self.head.capacity()
    }

    fn body<'a>(input: &mut &'a [u8], take: usize) -> Option<Frame<'a>> {
        let (data, rest) = input.split_at(take);
        *input = rest;
        (!data.is_empty()).then_some(Frame::Body(data))
    }

    fn next_head<'a>(&mut self, input: &mut &'a [u8], key: &FingerprintKey) -> Option<Frame<'a>> {
        if self.head.is_empty() {
            // Empty lines before a head are to be ignored (RFC 9112, section 2.2).
            *input = input.trim_ascii_start();
        }
        if input.is_empty() {
            return None;
        }
        let State::Head { scanned } = &mut self.state else { return None };
        if self.head.is_empty() {
            let within = &input[..input.len().min(MAX_HEAD)];
            if could_begin_message(within)
                && let Some(end) = end_of_head(within, 0)
            {
                *input = &input[end..];
                return Some(self.parsed(Head::parse(&within[..end], key), input));
            }
        }
        let held = self.head.len();
        let room = MAX_HEAD - held;
        self.head.extend_from_slice(&input[..input.len().min(room)]);
        if !could_begin_message(&self.head) {
            return Some(self.adrift(input));
        }
        match end_of_head(&self.head, *scanned) {
            Some(end) => {
                *input = &input[end - held..];
                let head = Head::parse(&self.head[..end], key);
                self.head = Zeroizing::default();
                Some(self.parsed(head, input))
            }
            None if self.head.len() >= MAX_HEAD => Some(self.adrift(input)),
            None => {
                *scanned = self.head.len();
                *input = &[];
                None
            }
        }
    }

    fn parsed<'a>(&mut self, head: Result<Head, HeadError>, input: &mut &[u8]) -> Frame<'a> {
        match head {
            Ok(head) => Frame::Head(head),
            Err(_not_a_head) => self.adrift(input),
        }
    }

    fn end<'a>(&mut self) -> Frame<'a> {
        self.begin_head();
        Frame::End
    }

    fn adrift<'a>(&mut self, input: &mut &[u8]) -> Frame<'a> {
        self.set_adrift();
        *input = &[];
        Frame::Adrift
    }

    fn set_adrift(&mut self) {
        self.head = Zeroizing::default();
        self.state = State::Adrift;
    }
}

/// The index after the blank line that ends a head. The first `scanned` bytes are known to hold
/// none.
fn end_of_head(bytes: &[u8], scanned: usize) -> Option<usize> {
    // The blank line may have begun in the last three bytes of what was searched before.
    let mut from = scanned.saturating_sub(3);
    loop {
        let newline = from + memchr(b'\n', &bytes[from..])?;
        match &bytes[newline + 1..] {
            [b'\n', ..] => return Some(newline + 2),
            [b'\r', b'\n', ..] => return Some(newline + 3),
            _ => from = newline + 1,
        }
    }
}

/// Whether the bytes are, as far as they go, the beginning of a status line or of a request line.
fn could_begin_message(bytes: &[u8]) -> bool {
    const BEGINNINGS: [&[u8]; 10] = [
        b"HTTP/1.",
        b"GET ",
        b"HEAD ",
        b"POST ",
        b"PUT ",
        b"DELETE ",
        b"CONNECT ",
        b"OPTIONS ",
        b"TRACE ",
        b"PATCH ",
    ];
    BEGINNINGS.iter().any(|beginning| {
        let shared = bytes.len().min(beginning.len());
        bytes[..shared] == beginning[..shared]
    })
}
