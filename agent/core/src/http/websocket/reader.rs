//! One side of a session: bytes to messages.

use zeroize::Zeroizing;

use super::MAX_MESSAGE;
use super::header::{Frame, Header, Opcode};
use super::inflate::Inflater;
use super::opening::Opening;

/// How much is unmasked at a time, in bytes.
const STEP: usize = 4096;
/// How much room is kept from one message to the next, in bytes.
const KEPT_ROOM: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Reader {
    state: State,
    /// The message that has begun and not ended.
    message: Option<Message>,
    /// Its text. At most [`MAX_MESSAGE`] bytes.
    text: Zeroizing<Vec<u8>>,
    /// Where compression was agreed on.
    inflater: Option<Inflater>,
}

#[derive(Debug)]
enum State {
    /// No message was found yet: one is looked for where a segment begins.
    Adrift(Opening),
    /// Before or in a frame's header.
    Header(Header),
    Payload(Payload),
    /// No more will come.
    Closed,
    /// Nothing is known of where frames begin.
    Lost,
}

#[derive(Clone, Copy, Debug)]
struct Payload {
    frame: Frame,
    /// What of it has not come. <= `frame.length`
    left: u64,
}

#[derive(Clone, Copy, Debug)]
struct Message {
    compressed: bool,
    /// Part of it is missing, or it is too long.
    damaged: bool,
}

impl Reader {
    /// `keeps_context` says of compressed messages whether they refer to the ones before, `None` that
    /// there are none.
    pub(super) fn new(keeps_context: Option<bool>) -> Self {
        Self {
            state: State::Header(Header::default()),
            message: None,
            text: Zeroizing::default(),
            inflater: keeps_context.map(Inflater::new),
        }
    }

    pub(super) fn joined(opening: Opening) -> Self {
        Self { state: State::Adrift(opening), ..Self::new(None) }
    }

    pub(super) fn feed(&mut self, input: &[u8], mut emit: impl FnMut(Option<&[u8]>)) {
        if let State::Adrift(opening) = &mut self.state {
            let Some(found) = opening.feed(input) else { return };
            self.state = State::Header(Header::default());
            self.drain(&found.held, &mut emit);
            self.drain(found.rest, &mut emit);
        } else {
            self.drain(input, &mut emit);
        }
    }

    fn drain(&mut self, mut input: &[u8], emit: &mut impl FnMut(Option<&[u8]>)) {
        while !input.is_empty() {
            match &mut self.state {
                State::Header(header) => match header.take(&mut input) {
                    None => return,
                    Some(Ok(frame)) => self.begin(frame, &mut input, emit),
                    Some(Err(_no_header)) => self.give_up(emit),
                },
                State::Payload(payload) => {
                    let room = usize::try_from(payload.left).unwrap_or(usize::MAX);
                    let (part, rest) = input.split_at(input.len().min(room));
                    let at = payload.frame.length - payload.left;
                    payload.left -= part.len() as u64;
                    let Payload { frame, left } = *payload;
                    input = rest;
                    self.take(frame, at, part);
                    if left == 0 {
                        self.end(frame, emit);
                    }
                }
                State::Adrift(_) | State::Closed | State::Lost => return,
            }
        }
    }

    pub(super) fn lose(&mut self, bytes: u64, mut emit: impl FnMut(Option<&[u8]>)) {
        match &mut self.state {
            State::Adrift(opening) => opening.forget(),
            State::Payload(payload) if bytes <= payload.left => {
                payload.left -= bytes;
                let Payload { frame, left } = *payload;
                if matches!(frame.opcode, Opcode::Message | Opcode::Continuation) {
                    self.damage();
                }
                if left == 0 {
                    self.end(frame, &mut emit);
                }
            }
            State::Header(_) | State::Payload(_) => self.give_up(&mut emit),
            State::Closed | State::Lost => {}
        }
    }

    /// No more will come. What has begun and not ended was never said.
    pub(super) fn hang_up(&mut self) {
        if !self.is_lost() {
            self.clear();
            self.state = State::Closed;
        }
    }

    pub(super) const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    pub(super) const fn is_lost(&self) -> bool {
        matches!(self.state, State::Lost)
    }

    pub(super) fn footprint(&self) -> usize {
        self.text.capacity() + self.inflater.as_ref().map_or(0, Inflater::footprint)
    }

    /// A frame begins, with `input` after its header.
    fn begin(&mut self, frame: Frame, input: &mut &[u8], emit: &mut impl FnMut(Option<&[u8]>)) {
        match frame.opcode {
            Opcode::Message => {
                let is_wrong =
                    self.message.is_some() || frame.compressed && self.inflater.is_none();
                if is_wrong {
                    return self.give_up(emit);
                }
                if let Some(text) = in_one_piece(&frame, input) {
                    emit(Some(text));
                    *input = &input[text.len()..];
                    self.state = State::Header(Header::default());
                    return;
                }
                if let Some(inflater) = self.inflater.as_mut().filter(|_| frame.compressed) {
                    inflater.begin();
                }
                self.message = Some(Message { compressed: frame.compressed, damaged: false });
            }
            Opcode::Continuation if self.message.is_none() => return self.give_up(emit),
            Opcode::Continuation | Opcode::Close | Opcode::Beat => {}
        }
        self.state = State::Payload(Payload { frame, left: frame.length });
        if frame.length == 0 {
            self.end(frame, emit);
        }
    }

    /// Takes part of a frame's payload, which is `at` bytes after its beginning.
    fn take(&mut self, frame: Frame, at: u64, part: &[u8]) {
        if matches!(frame.opcode, Opcode::Close | Opcode::Beat) {
            return;
        }
        let Some(mask) = frame.mask else { return self.push(part) };
        let mut plain = Zeroizing::new([0; STEP]);
        let mut key = mask;
        key.rotate_left((at % 4) as usize);
        // A step is a multiple of the key's length, so each begins where the key does.
        for masked in part.chunks(STEP) {
            let plain = &mut plain[..masked.len()];
            for ((plain, byte), key) in plain.iter_mut().zip(masked).zip(key.iter().cycle()) {
                *plain = byte ^ key;
            }
            self.push(plain);
        }
    }

    /// Takes part of the message, its masking undone.
    fn push(&mut self, part: &[u8]) {
        let Some(message) = &mut self.message else { return };
        let text = &mut self.text;
        let mut append = |plain: &[u8]| {
            if text.len() + plain.len() > MAX_MESSAGE {
                message.damaged = true;
            } else if !message.damaged {
                text.extend_from_slice(plain);
            }
        };
        match &mut self.inflater {
            // What is too long to be read is decompressed all the same: later messages refer to it.
            Some(inflater) if message.compressed => {
                if inflater.feed(part, append).is_err() {
                    message.damaged = true;
                }
            }
            _ => append(part),
        }
    }

    /// A frame has ended.
    fn end(&mut self, frame: Frame, emit: &mut impl FnMut(Option<&[u8]>)) {
        self.state = match frame.opcode {
            Opcode::Close => State::Closed,
            Opcode::Message | Opcode::Continuation | Opcode::Beat => {
                State::Header(Header::default())
            }
        };
        let is_part = matches!(frame.opcode, Opcode::Message | Opcode::Continuation);
        if is_part && frame.last {
            self.end_message(emit);
        }
    }

    fn end_message(&mut self, emit: &mut impl FnMut(Option<&[u8]>)) {
        let Some(mut message) = self.message else { return };
        if let Some(inflater) = self.inflater.as_mut().filter(|_| message.compressed) {
            let text = &mut self.text;
            let ended = inflater.end(|plain| text.extend_from_slice(plain));
            message.damaged |= ended.is_err() || text.len() > MAX_MESSAGE;
        }
        emit((!message.damaged).then_some(self.text.as_slice()));
        self.clear();
    }

    /// Part of the message is missing.
    fn damage(&mut self) {
        let Some(message) = &mut self.message else { return };
        message.damaged = true;
        if let Some(inflater) = self.inflater.as_mut().filter(|_| message.compressed) {
            inflater.lose();
        }
    }

    fn give_up(&mut self, emit: &mut impl FnMut(Option<&[u8]>)) {
        self.clear();
        self.inflater = None;
        self.state = State::Lost;
        emit(None);
    }

    fn clear(&mut self) {
        self.message = None;
        if self.text.capacity() > KEPT_ROOM {
            self.text = Zeroizing::default();
        }
        self.text.clear();
    }
}

/// The payload of a frame that is a whole message as it is, if all of it has come.
fn in_one_piece<'a>(frame: &Frame, input: &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(frame.length).ok().filter(|length| *length <= MAX_MESSAGE)?;
    let is_plain = frame.last && !frame.compressed && frame.mask.is_none();
    input.get(..length).filter(|_| is_plain)
}
