//! The compression of WebSocket messages (RFC 7692), each with those before it as context.
//!
//! Soketto has a `Deflate` of its own, but it keeps no context, and what it decodes with flate2 fails
//! since that reports streams without an end.

use std::io::{self, Write as _};

use flate2::Compression;
use flate2::write::{DeflateDecoder, DeflateEncoder};
use soketto::base::{Header, OpCode};
use soketto::extension::{Extension, Param};
use soketto::{BoxedError, Storage};

/// What ends each message and is left out on the wire.
const END: [u8; 4] = [0, 0, 0xff, 0xff];

/// The server's end.
#[derive(Debug)]
pub(super) struct PerMessage {
    enabled: bool,
    received: DeflateDecoder<Vec<u8>>,
    sent: DeflateEncoder<Vec<u8>>,
}

impl PerMessage {
    pub(super) fn new() -> Self {
        Self {
            enabled: false,
            received: DeflateDecoder::new(Vec::new()),
            sent: DeflateEncoder::new(Vec::new(), Compression::fast()),
        }
    }
}

impl Extension for PerMessage {
    fn is_enabled(&self) -> bool {
        self.enabled
    }

    fn name(&self) -> &'static str {
        "permessage-deflate"
    }

    /// The context is kept and the window is as large as can be, which is what no parameters mean.
    fn params(&self) -> &[Param<'_>] {
        &[]
    }

    fn configure(&mut self, _offered: &[Param<'_>]) -> Result<(), BoxedError> {
        self.enabled = true;
        Ok(())
    }

    fn encode(&mut self, header: &mut Header, data: &mut Storage<'_>) -> Result<(), BoxedError> {
        if !is_data(header) {
            return Ok(());
        }
        self.sent.write_all(data.as_ref())?;
        self.sent.flush()?;
        let mut packed = std::mem::take(self.sent.get_mut());
        if !packed.ends_with(&END) {
            return Err(io::Error::other("the message has no end").into());
        }
        packed.truncate(packed.len() - END.len());
        header.set_rsv1(true);
        header.set_payload_len(packed.len());
        *data = Storage::Owned(packed);
        Ok(())
    }

    /// Clients of these tests send messages of one frame.
    fn decode(&mut self, header: &mut Header, data: &mut Vec<u8>) -> Result<(), BoxedError> {
        if !is_data(header) || !header.is_rsv1() {
            return Ok(());
        }
        self.received.write_all(data)?;
        self.received.write_all(&END)?;
        self.received.flush()?;
        *data = std::mem::take(self.received.get_mut());
        header.set_rsv1(false);
        header.set_payload_len(data.len());
        Ok(())
    }

    fn reserved_bits(&self) -> (bool, bool, bool) {
        (true, false, false)
    }
}

fn is_data(header: &Header) -> bool {
    matches!(header.opcode(), OpCode::Text | OpCode::Binary)
}
