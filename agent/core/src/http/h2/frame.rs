//! The head of an HTTP/2 frame (RFC 9113, sections 4.1 and 6).

/// Length of a frame's head, in bytes.
pub(super) const HEAD: usize = 9;
/// Longest frame whose head is believed while nothing else says that this is HTTP/2, in bytes: what
/// every peer must take, and nearly all leave it at that (`SETTINGS_MAX_FRAME_SIZE`).
const USUAL_LENGTH: u32 = 1 << 14;
/// Longest settings and farewells that are believed so, in bytes.
const USUAL_CONTROL: u32 = 256;
/// Streams up to here are believed so.
const USUAL_STREAM: u32 = (1 << 24) - 1;

/// DATA, HEADERS: the message ends with it.
pub(super) const END_STREAM: u8 = 0x1;
/// HEADERS, `PUSH_PROMISE`, CONTINUATION: the header block ends with it.
pub(super) const END_HEADERS: u8 = 0x4;
/// DATA, HEADERS, `PUSH_PROMISE`: padding follows what it carries.
pub(super) const PADDED: u8 = 0x8;
/// HEADERS: five bytes of priority come first.
pub(super) const PRIORITY: u8 = 0x20;
/// SETTINGS, PING: the answer to one.
const ACK: u8 = 0x1;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Headers,
    Priority,
    Reset,
    Settings,
    PushPromise,
    Ping,
    GoAway,
    WindowUpdate,
    Continuation,
    /// Of an extension: to be passed over.
    Other,
}

/// A frame's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHead {
    /// Of what follows the head, in bytes, below 2²⁴.
    pub(super) length: u32,
    pub(super) kind: Kind,
    pub(super) flags: u8,
    /// Below 2³¹; 0 for the connection itself.
    pub(super) stream: u32,
    reserved: bool,
}

impl FrameHead {
    pub(super) fn parse(bytes: [u8; HEAD]) -> Self {
        let [l1, l2, l3, kind, flags, s1, s2, s3, s4] = bytes;
        let stream = u32::from_be_bytes([s1, s2, s3, s4]);
        Self {
            length: u32::from_be_bytes([0, l1, l2, l3]),
            kind: Kind::of(kind),
            flags,
            stream: stream & (u32::MAX >> 1),
            reserved: stream > u32::MAX >> 1,
        }
    }

    pub(super) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether the protocol allows it. If not, the peer will close the connection, or these bytes
    /// are no head of a frame.
    pub(super) const fn is_sound(&self) -> bool {
        let padding = if self.has(PADDED) { 1 } else { 0 };
        let of_stream = self.stream != 0;
        match self.kind {
            Kind::Data => of_stream && self.length >= padding,
            Kind::Headers => {
                let priority = if self.has(PRIORITY) { 5 } else { 0 };
                of_stream && self.length >= padding + priority
            }
            Kind::PushPromise => of_stream && self.length >= padding + 4,
            Kind::Continuation => of_stream,
            Kind::Priority => of_stream && self.length == 5,
            Kind::Reset => of_stream && self.length == 4,
            Kind::Settings => !of_stream && self.length.is_multiple_of(6),
            Kind::Ping => !of_stream && self.length == 8,
            Kind::GoAway => !of_stream && self.length >= 8,
            Kind::WindowUpdate => self.length == 4,
            Kind::Other => true,
        }
    }

    /// Whether it is what peers really send, so that nine bytes from somewhere hardly ever pass.
    /// The kernel asks the same of the first eight (`looks_like_http` in `agent-ebpf`).
    pub(super) const fn is_plausible(&self) -> bool {
        let (allowed, fits) = match self.kind {
            // An empty one says nothing but that it is the last.
            Kind::Data => (END_STREAM | PADDED, self.length > 0 || self.has(END_STREAM)),
            Kind::Headers => (END_STREAM | END_HEADERS | PADDED | PRIORITY, self.length > 0),
            Kind::PushPromise => (END_HEADERS | PADDED, true),
            Kind::Settings => {
                (ACK, self.length <= USUAL_CONTROL && (self.length == 0 || !self.has(ACK)))
            }
            Kind::Ping => (ACK, true),
            Kind::GoAway => (0, self.length <= USUAL_CONTROL),
            Kind::Priority | Kind::Reset | Kind::WindowUpdate => (0, true),
            Kind::Continuation | Kind::Other => (0, false),
        };
        // Streams that a server opens are those it pushes, and nobody takes these any more.
        let usual_stream = self.stream == 0 || !self.stream.is_multiple_of(2);
        self.is_sound()
            && fits
            && usual_stream
            && self.flags & !allowed == 0
            && self.length <= USUAL_LENGTH
            && self.stream <= USUAL_STREAM
            && !self.reserved
    }

    /// Whether these bytes, fewer than a head has, may be the beginning of a plausible one.
    pub(super) fn may_begin(bytes: &[u8]) -> bool {
        bytes.first().is_none_or(|&length| length == 0)
            && bytes.get(1).is_none_or(|&length| length <= 0x40)
            && bytes.get(3).is_none_or(|&kind| kind <= 8)
    }
}

impl Kind {
    const fn of(number: u8) -> Self {
        match number {
            0 => Self::Data,
            1 => Self::Headers,
            2 => Self::Priority,
            3 => Self::Reset,
            4 => Self::Settings,
            5 => Self::PushPromise,
            6 => Self::Ping,
            7 => Self::GoAway,
            8 => Self::WindowUpdate,
            9 => Self::Continuation,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_told_from_other_bytes() {
        for (head, sound, plausible) in [
            // As clients and servers begin.
            (*b"\0\0\x12\x04\0\0\0\0\0", true, true),
            (*b"\0\0\0\x04\x01\0\0\0\0", true, true),
            (*b"\0\0\x04\x08\0\0\0\0\0", true, true),
            (*b"\0\0\x2a\x01\x25\0\0\0\x01", true, true),
            (*b"\0\x40\0\0\0\0\0\0\x07", true, true),
            (*b"\0\0\0\0\x01\0\0\0\x07", true, true),
            (*b"\0\0\x04\x03\0\0\0\0\x07", true, true),
            (*b"\0\0\x08\x07\0\0\0\0\0", true, true),
            // Allowed, but nothing to go by.
            (*b"\0\x40\x01\0\0\0\0\0\x07", true, false),
            (*b"\0\0\0\0\0\0\0\0\x07", true, false),
            (*b"\0\0\x05\0\0\0\0\0\x06", true, false),
            (*b"\0\0\x05\0\0\x80\0\0\x07", true, false),
            (*b"\0\0\x05\0\x40\0\0\0\x07", true, false),
            (*b"\0\0\x05\x09\x04\0\0\0\x07", true, false),
            (*b"\0\0\x05\x0c\0\0\0\0\0", true, false),
            (*b"\0\0\x06\x04\x01\0\0\0\0", true, false),
            // Not allowed.
            (*b"\0\0\x05\x04\0\0\0\0\0", false, false),
            (*b"\0\0\x06\x04\0\0\0\0\x01", false, false),
            (*b"\0\0\x05\0\0\0\0\0\0", false, false),
            (*b"\0\0\0\0\x08\0\0\0\x01", false, false),
            (*b"\0\0\x05\x01\x28\0\0\0\x01", false, false),
            (*b"\0\0\x05\x08\0\0\0\0\0", false, false),
        ] {
            let parsed = FrameHead::parse(head);
            assert_eq!(parsed.is_sound(), sound, "{head:?}");
            assert_eq!(parsed.is_plausible(), plausible, "{head:?}");
            assert!(!plausible || (0..HEAD).all(|end| FrameHead::may_begin(&head[..end])));
        }
        for other in [b"GET / HTT", b"HTTP/1.1 ", b"PRI * HTT", b"\x16\x03\x01\x02\0\x01\0\x01\xfc"]
        {
            assert!(!FrameHead::parse(*other).is_plausible());
        }
    }
}
