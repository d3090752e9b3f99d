//! WebSocket (RFC 6455) with per-message compression (RFC 7692), as it is spoken on a connection that
//! somebody else holds: both sides are read, nothing is ever answered, and bytes may be missing.
//!
//! A reader of our own: the libraries each are one end of a connection. They read only what the other
//! end sends, answer pings, and give up at the first byte that is missing.

mod extensions;
mod header;
mod inflate;
mod opening;
mod reader;
#[cfg(test)]
mod tests;

pub use self::extensions::Extensions;
pub use self::opening::{Found, Opening};
use self::reader::Reader;
use super::{Ending, Side};

/// Longest message that is read, decompressed, in bytes.
pub const MAX_MESSAGE: usize = 8 * 1024 * 1024;

/// A session: the messages of both sides.
#[derive(Debug)]
pub struct Session {
    request: Reader,
    response: Reader,
}

impl Session {
    /// A session whose first bytes come next.
    #[must_use]
    pub fn new(extensions: Extensions) -> Self {
        let keeps = |leaves: fn(extensions::Compression) -> bool| {
            extensions.compression.map(|compression| !leaves(compression))
        };
        Self {
            request: Reader::new(keeps(|compression| compression.client_no_context_takeover)),
            response: Reader::new(keeps(|compression| compression.server_no_context_takeover)),
        }
    }

    /// A session that is joined in the middle. Each side is read from the first message on that is
    /// found in it; what was seen of them so far is in the openings.
    #[must_use]
    pub fn joined(request: Opening, response: Opening) -> Self {
        Self { request: Reader::joined(request), response: Reader::joined(response) }
    }

    /// Takes bytes of one side and hands each message that ends in them to `emit`: its text, or
    /// `None` if it could not be read as a whole. Where the frames can't be told apart any more, that
    /// too is a message that could not be read, and the last.
    pub fn feed(&mut self, side: Side, data: &[u8], emit: impl FnMut(Option<&[u8]>)) {
        self.reader_mut(side).feed(data, emit);
    }

    /// Passes over bytes of one side that were lost.
    pub fn lose(&mut self, side: Side, bytes: u64, emit: impl FnMut(Option<&[u8]>)) {
        self.reader_mut(side).lose(bytes, emit);
    }

    /// Says that no more will come of that side.
    pub fn hang_up(&mut self, side: Side) {
        self.reader_mut(side).hang_up();
    }

    /// How it has ended, if nothing more of it can be read. One whose answers can't be is gone on
    /// with: what is asked says how many calls are missing.
    #[must_use]
    pub const fn ending(&self) -> Option<Ending> {
        let deaf = self.is_lost(Side::Request) || self.is_closed(Side::Request);
        if self.is_closed(Side::Response) {
            Some(Ending::Whole)
        } else if self.is_lost(Side::Response) && deaf {
            Some(Ending::Lost)
        } else {
            None
        }
    }

    /// How it has ended if what carries it is over, in the middle of it.
    #[must_use]
    pub const fn cut_off(&self) -> Ending {
        if self.is_lost(Side::Response) { Ending::Lost } else { Ending::Closed }
    }

    /// Whether no more will come of that side: it has said so, or was cut off.
    #[must_use]
    pub const fn is_closed(&self, side: Side) -> bool {
        self.reader(side).is_closed()
    }

    /// Whether it isn't known any more where the frames of that side begin.
    #[must_use]
    pub const fn is_lost(&self, side: Side) -> bool {
        self.reader(side).is_lost()
    }

    /// Bytes held back.
    #[must_use]
    pub fn footprint(&self) -> usize {
        self.request.footprint() + self.response.footprint()
    }

    const fn reader(&self, side: Side) -> &Reader {
        match side {
            Side::Request => &self.request,
            Side::Response => &self.response,
        }
    }

    const fn reader_mut(&mut self, side: Side) -> &mut Reader {
        match side {
            Side::Request => &mut self.request,
            Side::Response => &mut self.response,
        }
    }
}
