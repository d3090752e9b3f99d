//! The header of a frame (RFC 6455, section 5.2), cut anywhere.

/// The longest there is: two bytes, a length of eight and a mask of four.
const MAX_HEADER: usize = 14;

/// A header as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Header {
    bytes: [u8; MAX_HEADER],
    /// 0 <= have < `MAX_HEADER`
    have: usize,
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// It is the last of its message.
    pub(super) last: bool,
    /// Its message is compressed: said by the first frame of one.
    pub(super) compressed: bool,
    pub(super) opcode: Opcode,
    /// Of the payload, in bytes.
    pub(super) length: u64,
    pub(super) mask: Option<[u8; 4]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    /// More of the message that has begun.
    Continuation,
    /// The first of a message: of text, or of bytes, which some servers call their JSON.
    Message,
    Close,
    /// Ping or pong.
    Beat,
}

/// This is no header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoHeader;

impl Header {
    /// Takes what it can from the front of `input`; `None` if more is needed.
    pub(super) fn take(&mut self, input: &mut &[u8]) -> Option<Result<Frame, NoHeader>> {
        while self.have < self.length() {
            let missing = self.length() - self.have;
            let (taken, rest) = input.split_at(input.len().min(missing));
            if taken.is_empty() {
                return None;
            }
            self.bytes[self.have..self.have + taken.len()].copy_from_slice(taken);
            self.have += taken.len();
            *input = rest;
        }
        Some(self.frame().ok_or(NoHeader))
    }

    /// How long it is, as far as that is known.
    const fn length(&self) -> usize {
        if self.have < 2 {
            return 2;
        }
        let mask = if self.bytes[1] & 0x80 == 0 { 0 } else { 4 };
        2 + self.length_of_length() + mask
    }

    const fn length_of_length(&self) -> usize {
        match self.bytes[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        }
    }

    fn frame(&self) -> Option<Frame> {
        let [flags, short, rest @ ..] = self.bytes;
        let (length, rest) = rest.split_at(self.length_of_length());
        let length = match length {
            [] => u64::from(short & 0x7f),
            bytes => bytes.iter().fold(0, |length, &byte| length << 8 | u64::from(byte)),
        };
        let opcode = match flags & 0x0f {
            0 => Opcode::Continuation,
            1 | 2 => Opcode::Message,
            8 => Opcode::Close,
            9 | 10 => Opcode::Beat,
            _ => return None,
        };
        let (last, compressed) = (flags & 0x80 != 0, flags & 0x40 != 0);
        // Two flags mean nothing, no length has its first bit set, and what controls the connection
        // is short and in one piece.
        let is_control = matches!(opcode, Opcode::Close | Opcode::Beat);
        let is_wrong = flags & 0x30 != 0
            || length >> 63 != 0
            || is_control && (!last || length > 125)
            || compressed && opcode != Opcode::Message;
        let mask = (short & 0x80 != 0).then(|| rest.first_chunk().copied()).flatten();
        (!is_wrong).then_some(Frame { last, compressed, opcode, length, mask })
    }
}
