//! One direction of an HTTP/2 connection: bytes to what they do to streams.

use zeroize::Zeroizing;

use super::frame::{
    END_HEADERS, END_STREAM, FrameHead, HEAD, Kind, PADDED, PRIORITY as PRIORITY_FLAG,
};
use super::hpack::{Decoder, Fields};

/// What every client says first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Longest header block, in bytes, over all frames that it is in.
const MAX_BLOCK: usize = 64 * 1024;
/// Most CONTINUATION frames of one header block.
const MAX_CONTINUATIONS: usize = 16;

/// What a direction brings next.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// The client's preface: the connection begins here.
    Preface,
    /// A header block.
    Fields {
        stream: u32,
        fields: Fields,
        /// The message ends with it.
        last: bool,
    },
    /// A header block that can't be read. `lost` of its bytes are missing.
    Unread { stream: u32, lost: u64, last: bool },
    /// Part of a body.
    Data { stream: u32, data: &'a [u8] },
    /// The message ended.
    End { stream: u32 },
    /// The stream was given up.
    Reset { stream: u32 },
    /// Streams beyond this one were not looked at and won't be.
    GoAway { last: u32 },
    /// These bytes are no frames; the place of the next one is not known.
    Adrift,
}

/// What became of a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Skipped {
    /// It lies within one frame. So many bytes of that stream's body are missing, or at most so many
    /// if that isn't `exact`.
    Within { stream: u32, bytes: u64, exact: bool },
    /// It lies within one frame and took none of any body.
    Elsewhere,
    /// It reached beyond a frame: nobody knows what it took, or where the next frame is.
    Adrift,
}

#[derive(Debug)]
enum State {
    /// Nothing is known of where frames begin, so one is looked for where a segment begins.
    Adrift,
    /// In the preface.
    Preface { matched: usize },
    /// Before or in a frame's head.
    Head,
    /// The payload of a DATA frame.
    Data(Data),
    /// The payload of a frame with a part of a header block.
    Block { left: u32 },
    /// The payload of a GOAWAY frame; the number of a stream comes first.
    GoAway {
        /// At least 8.
        length: u32,
    },
    /// The payload of a frame that is of no use beside what its head says.
    Skip { left: u32, reset: Option<u32> },
}

#[derive(Debug)]
struct Data {
    stream: u32,
    /// Payload that has not come, padding included.
    left: u32,
    /// How much of that is padding. At most `left`.
    padding: u32,
    /// The length of the padding comes next.
    padding_unsaid: bool,
    last: bool,
}

/// A header block as it is gathered.
#[derive(Debug)]
struct Gathering {
    stream: u32,
    /// It belongs to a request that the server makes up: nobody is told of it.
    promised: bool,
    last: bool,
    continuations: usize,
    /// The frame that is being read.
    frame: FrameHead,
    bytes: Zeroizing<Vec<u8>>,
    /// Where in `bytes` that frame's payload begins.
    start: usize,
    /// It is too long, or bytes of it are missing: not kept.
    unread: bool,
    lost: u64,
}

/// Reads one direction.
#[derive(Debug)]
pub(super) struct Reader {
    state: State,
    /// What has come of a frame's head, or of the number in a GOAWAY frame.
    held: [u8; HEAD],
    held_length: usize,
    gathering: Option<Gathering>,
    decoder: Decoder,
    /// That these are frames was shown by more than a head that looks like one.
    is_sure: bool,
    /// The other direction shows that this one has frames. Where they begin must still be found.
    is_expected: bool,
}

impl Reader {
    pub(super) const fn new() -> Self {
        Self {
            state: State::Adrift,
            held: [0; HEAD],
            held_length: 0,
            gathering: None,
            decoder: Decoder::new(),
            is_sure: false,
            is_expected: false,
        }
    }

    /// A reader of what a client says from its preface on.
    pub(super) fn at_preface() -> Self {
        Self { state: State::Preface { matched: 0 }, ..Self::at_frame() }
    }

    /// A reader of what certainly begins with a frame.
    pub(super) fn at_frame() -> Self {
        Self { state: State::Head, is_sure: true, ..Self::new() }
    }

    /// Says that this direction begins with the connection, and the connection is HTTP/2.
    pub(super) const fn believe(&mut self) {
        self.is_expected = true;
    }

    /// To be called where a segment begins: that is where a process called its TLS library, and
    /// the only place where a frame can be found again after its beginning was lost.
    pub(super) fn segment_begins(&mut self, data: &[u8]) {
        let between = matches!(self.state, State::Head) && self.gathering.is_none();
        let in_doubt = between && !self.is_sure;
        if matches!(self.state, State::Adrift) || in_doubt && !self.would_be_plausible(data) {
            let shared = data.len().min(PREFACE.len());
            self.held_length = 0;
            self.state = if data[..shared] == PREFACE[..shared] {
                State::Preface { matched: 0 }
            } else if self.would_be_plausible(data) {
                State::Head
            } else {
                State::Adrift
            };
        }
    }

    /// Takes what it can from the front of `input`; `None` if more is needed.
    pub(super) fn next<'a>(&mut self, input: &mut &'a [u8]) -> Option<Step<'a>> {
        loop {
            match &mut self.state {
                State::Adrift => {
                    *input = &[];
                    return None;
                }
                State::Preface { matched } => {
                    let expected = &PREFACE[*matched..];
                    let shared = input.len().min(expected.len());
                    if input[..shared] != expected[..shared] {
                        return Some(self.adrift(input));
                    }
                    *matched += shared;
                    *input = &input[shared..];
                    if *matched < PREFACE.len() {
                        return None;
                    }
                    self.is_sure = true;
                    self.state = State::Head;
                    return Some(Step::Preface);
                }
                State::Head => {
                    self.hold(input, HEAD);
                    if self.held_length < HEAD {
                        return None;
                    }
                    self.held_length = 0;
                    let head = FrameHead::parse(self.held);
                    if !self.begin(head) {
                        return Some(self.adrift(input));
                    }
                }
                State::Data(data) => match data.next(input) {
                    Progress::Bytes(bytes) => {
                        return Some(Step::Data { stream: data.stream, data: bytes });
                    }
                    Progress::More => return None,
                    Progress::Malformed => return Some(self.adrift(input)),
                    Progress::Over => {
                        let (stream, last) = (data.stream, data.last);
                        self.state = State::Head;
                        if last {
                            return Some(Step::End { stream });
                        }
                    }
                },
                State::Block { left } => {
                    let part = take(input, left);
                    let over = *left == 0;
                    if let Some(gathering) = &mut self.gathering {
                        gathering.add(part);
                    }
                    if !over {
                        return None;
                    }
                    self.state = State::Head;
                    match self.end_of_part() {
                        Ok(None) => {}
                        Ok(Some(step)) => return Some(step),
                        Err(Misframed) => return Some(self.adrift(input)),
                    }
                }
                State::GoAway { length } => {
                    let length = *length;
                    self.hold(input, 4);
                    if self.held_length < 4 {
                        return None;
                    }
                    self.held_length = 0;
                    self.state = State::Skip { left: length - 4, reset: None };
                    let [a, b, c, d, ..] = self.held;
                    let last = u32::from_be_bytes([a, b, c, d]) & (u32::MAX >> 1);
                    return Some(Step::GoAway { last });
                }
                State::Skip { left, reset } => {
                    take(input, left);
                    if *left > 0 {
                        return None;
                    }
                    let reset = reset.take();
                    self.state = State::Head;
                    if let Some(stream) = reset {
                        return Some(Step::Reset { stream });
                    }
                }
            }
        }
    }

    /// Passes over `bytes` that were lost.
    pub(super) fn skip(&mut self, bytes: u64) -> Skipped {
        let within = |left: u32| u32::try_from(bytes).ok().filter(|&bytes| bytes <= left);
        match &mut self.state {
            State::Data(data) => {
                if let Some(bytes) = within(data.left) {
                    return data.lose(bytes);
                }
            }
            State::Block { left } => {
                if let Some(within) = within(*left) {
                    *left -= within;
                    if let Some(gathering) = &mut self.gathering {
                        gathering.lose(bytes);
                    }
                    return Skipped::Elsewhere;
                }
            }
            State::GoAway { length } => {
                let left = *length - u32::try_from(self.held_length).unwrap_or(0);
                if let Some(within) = within(left) {
                    self.held_length = 0;
                    self.state = State::Skip { left: left - within, reset: None };
                    return Skipped::Elsewhere;
                }
            }
            State::Skip { left, .. } => {
                if let Some(within) = within(*left) {
                    *left -= within;
                    return Skipped::Elsewhere;
                }
            }
            State::Adrift | State::Preface { .. } | State::Head => {}
        }
        self.set_adrift();
        Skipped::Adrift
    }

    /// Bytes held back.
    pub(super) fn footprint(&self) -> usize {
        let gathered = self.gathering.as_ref().map_or(0, |gathering| gathering.bytes.capacity());
        self.decoder.footprint() + gathered
    }

    /// Whether what is held of a head, and `data` after it, may be a frame that peers really send.
    fn would_be_plausible(&self, data: &[u8]) -> bool {
        let mut head = [0; HEAD];
        let held = self.held[..self.held_length].iter().chain(data);
        let length = head.iter_mut().zip(held).map(|(to, &from)| *to = from).count();
        if length < HEAD {
            FrameHead::may_begin(&head[..length])
        } else {
            FrameHead::parse(head).is_plausible()
        }
    }

    fn hold(&mut self, input: &mut &[u8], wanted: usize) {
        let missing = wanted.saturating_sub(self.held_length).min(input.len());
        let (part, rest) = input.split_at(missing);
        self.held[self.held_length..self.held_length + missing].copy_from_slice(part);
        self.held_length += missing;
        *input = rest;
    }

    /// Begins the payload of a frame. Says whether this can be a frame at all.
    fn begin(&mut self, head: FrameHead) -> bool {
        let FrameHead { length, kind, stream, .. } = head;
        let continues = self.gathering.as_ref().is_some_and(|gathering| gathering.stream == stream);
        let in_turn = match (&self.gathering, kind) {
            // Nothing may come between the frames of one block.
            (Some(_), Kind::Continuation) => continues,
            (None, kind) => kind != Kind::Continuation,
            (Some(_), _) => false,
        };
        let believed = self.is_sure || self.gathering.is_some() || head.is_plausible();
        if !in_turn || !believed || !head.is_sound() {
            return false;
        }
        self.is_sure |= self.is_expected;
        self.state = match kind {
            Kind::Data => State::Data(Data {
                stream,
                left: length,
                padding: 0,
                padding_unsaid: head.has(PADDED),
                last: head.has(END_STREAM),
            }),
            Kind::Headers | Kind::PushPromise => {
                self.gathering = Some(Gathering {
                    stream,
                    promised: kind == Kind::PushPromise,
                    last: kind == Kind::Headers && head.has(END_STREAM),
                    continuations: 0,
                    frame: head,
                    bytes: Zeroizing::default(),
                    start: 0,
                    unread: false,
                    lost: 0,
                });
                self.begin_part(head)
            }
            Kind::Continuation => self.begin_part(head),
            Kind::Reset => State::Skip { left: length, reset: Some(stream) },
            Kind::GoAway => State::GoAway { length },
            Kind::Priority | Kind::Settings | Kind::Ping | Kind::WindowUpdate | Kind::Other => {
                State::Skip { left: length, reset: None }
            }
        };
        true
    }

    fn begin_part(&mut self, head: FrameHead) -> State {
        if let Some(gathering) = &mut self.gathering {
            gathering.begin_part(head);
        }
        State::Block { left: head.length }
    }

    /// A frame with a part of a header block was read.
    fn end_of_part<'a>(&mut self) -> Result<Option<Step<'a>>, Misframed> {
        let Some(gathering) = &mut self.gathering else { return Ok(None) };
        gathering.strip()?;
        if !gathering.frame.has(END_HEADERS) {
            return Ok(None);
        }
        let Some(gathering) = self.gathering.take() else { return Ok(None) };
        let Gathering { stream, promised, last, lost, .. } = gathering;
        let fields = if gathering.unread {
            self.decoder.forget();
            None
        } else {
            self.decoder.decode(&gathering.bytes).ok()
        };
        match fields {
            // Where these may be no frames at all, what is no header block shows that they aren't.
            None if !self.is_sure && !gathering.unread => Err(Misframed),
            _ if promised => Ok(None),
            None => Ok(Some(Step::Unread { stream, lost, last })),
            Some(fields) => {
                self.is_sure |= fields.side().is_some();
                Ok(Some(Step::Fields { stream, fields, last }))
            }
        }
    }

    fn adrift<'a>(&mut self, input: &mut &[u8]) -> Step<'a> {
        self.set_adrift();
        *input = &[];
        Step::Adrift
    }

    fn set_adrift(&mut self) {
        self.state = State::Adrift;
        self.held_length = 0;
        self.gathering = None;
        self.decoder.forget();
        (self.is_sure, self.is_expected) = (false, false);
    }
}

/// What a frame says of its parts doesn't add up.
#[derive(Clone, Copy, Debug)]
struct Misframed;

enum Progress<'a> {
    Bytes(&'a [u8]),
    More,
    Over,
    Malformed,
}

impl Data {
    fn next<'a>(&mut self, input: &mut &'a [u8]) -> Progress<'a> {
        if self.padding_unsaid {
            let Some((&padding, rest)) = input.split_first() else { return Progress::More };
            *input = rest;
            self.left -= 1;
            self.padding = u32::from(padding);
            self.padding_unsaid = false;
            if self.padding > self.left {
                return Progress::Malformed;
            }
        }
        let mut body = self.left - self.padding;
        if body > 0 {
            let bytes = take(input, &mut body);
            self.left = body + self.padding;
            return if bytes.is_empty() { Progress::More } else { Progress::Bytes(bytes) };
        }
        take(input, &mut self.left);
        self.padding = self.left;
        if self.left > 0 { Progress::More } else { Progress::Over }
    }

    /// Passes over `bytes`, at most `left`.
    fn lose(&mut self, bytes: u32) -> Skipped {
        let stream = self.stream;
        if self.padding_unsaid {
            // What of the rest is padding, nobody knows: all of it is lost.
            let lost = self.left;
            (self.left, self.padding, self.padding_unsaid) = (self.left - bytes, 0, false);
            self.padding = self.left;
            return Skipped::Within { stream, bytes: u64::from(lost), exact: false };
        }
        let of_body = bytes.min(self.left - self.padding);
        self.left -= bytes;
        self.padding = self.padding.min(self.left);
        if of_body == 0 {
            Skipped::Elsewhere
        } else {
            Skipped::Within { stream, bytes: u64::from(of_body), exact: true }
        }
    }
}

impl Gathering {
    fn begin_part(&mut self, head: FrameHead) {
        self.frame = head;
        self.start = self.bytes.len();
        if head.kind == Kind::Continuation {
            self.continuations += 1;
        }
        let total = self.start + usize::try_from(head.length).unwrap_or(MAX_BLOCK);
        if total > MAX_BLOCK || self.continuations > MAX_CONTINUATIONS {
            self.give_up();
        }
    }

    fn add(&mut self, part: &[u8]) {
        if !self.unread {
            self.bytes.extend_from_slice(part);
        }
    }

    fn lose(&mut self, bytes: u64) {
        self.lost = self.lost.saturating_add(bytes);
        self.give_up();
    }

    fn give_up(&mut self) {
        self.unread = true;
        self.bytes = Zeroizing::default();
        self.start = 0;
    }

    /// Leaves of the frame that was just read only what is part of the block.
    fn strip(&mut self) -> Result<(), Misframed> {
        if self.unread {
            return Ok(());
        }
        let (before, padded) = match self.frame.kind {
            Kind::Headers if self.frame.has(PRIORITY_FLAG) => (5, self.frame.has(PADDED)),
            Kind::Headers => (0, self.frame.has(PADDED)),
            Kind::PushPromise => (4, self.frame.has(PADDED)),
            _ => (0, false),
        };
        let part = self.bytes.get(self.start..).unwrap_or_default();
        let padding = part.first().filter(|_| padded).map_or(0, |&padding| usize::from(padding));
        let from = self.start + usize::from(padded) + before;
        let to = self.bytes.len().checked_sub(padding).ok_or(Misframed)?;
        if from > to {
            return Err(Misframed);
        }
        self.bytes.copy_within(from..to, self.start);
        self.bytes.truncate(self.start + to - from);
        Ok(())
    }
}

/// Takes up to `left` bytes from the front of `input`.
fn take<'a>(input: &mut &'a [u8], left: &mut u32) -> &'a [u8] {
    let (part, rest) =
        input.split_at(input.len().min(usize::try_from(*left).unwrap_or(usize::MAX)));
    *left -= u32::try_from(part.len()).unwrap_or(*left);
    *input = rest;
    part
}
