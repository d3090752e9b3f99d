//! A body split into JSON texts, however it holds them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::http::event_stream::{self, Message};
use crate::http::ndjson::Lines;
use crate::http::sse::{Piece, Splitter};
use crate::http::{BodyKind, Side};
use crate::provider::form::Form;
use crate::provider::json::{Item, Scanner, Texts, Token};
use crate::provider::request::name_of;
use crate::units::Timestamp;

/// How an answer's body holds its JSON texts, and how far it was read.
#[derive(Debug)]
pub(super) enum Body {
    /// Its first byte will tell.
    Unknown,
    /// One text; or several in one array or in a row, which is how some servers stream.
    Json(Texts),
    /// The data of server-sent events.
    Events {
        splitter: Splitter,
        scanner: Scanner,
        /// `data: [DONE]` has come.
        done: bool,
    },
    /// One on each line.
    Lines { lines: Lines, scanner: Scanner },
    /// The payloads of Amazon's event stream.
    Amazon { reader: event_stream::Reader, scanner: Scanner, failure: Option<Failure> },
    /// The messages of a session.
    Messages {
        scanner: Scanner,
        /// How many more may come before one tells which form it has; `None` once that is known.
        trial: Option<u32>,
    },
    /// Nothing that a model call would have.
    Dull,
}

/// How many messages of a session, of either side, are read to find out which form it has.
const TRIAL: u32 = 8;

/// What the framing itself says of a failure.
#[derive(Clone, Debug, Default)]
pub(super) struct Failure {
    /// The provider's word for it.
    pub(super) error_type: Option<String>,
}

impl Body {
    /// A body of that kind. Of one that is a JSON text, the values of `keys` are read, if not all.
    pub(super) fn new(kind: BodyKind, keys: Option<&'static [&'static str]>) -> Self {
        match kind {
            BodyKind::Json => Self::Json(keys.map_or_else(Texts::default, Texts::only)),
            BodyKind::EventStream => Self::events(),
            BodyKind::Lines => Self::lines(),
            BodyKind::AmazonEventStream => Self::amazon(),
            BodyKind::Unsaid => Self::Unknown,
            BodyKind::Form | BodyKind::Grpc | BodyKind::Other => Self::Dull,
        }
    }

    /// A body of lines, whatever its head says of it.
    pub(super) fn lines() -> Self {
        Self::Lines { lines: Lines::default(), scanner: Scanner::default() }
    }

    fn events() -> Self {
        Self::Events { splitter: Splitter::default(), scanner: Scanner::default(), done: false }
    }

    fn amazon() -> Self {
        let (reader, scanner) = (event_stream::Reader::default(), Scanner::default());
        Self::Amazon { reader, scanner, failure: None }
    }

    /// A session, of a form that is known or not.
    pub(super) fn session(known: bool) -> Self {
        Self::Messages { scanner: Scanner::default(), trial: (!known).then_some(TRIAL) }
    }

    /// Takes a message of a session, absent if it could not be read.
    pub(super) fn message(
        &mut self,
        side: Side,
        text: Option<&[u8]>,
        now: Timestamp,
        forms: &mut Vec<Box<dyn Form>>,
    ) {
        let Self::Messages { scanner, trial } = self else { return };
        match text {
            Some(text) => {
                forms.iter_mut().for_each(|form| form.set_time(now));
                scanner.restart();
                scanner.feed(text, |path, token| match side {
                    Side::Request => forms.iter_mut().for_each(|form| form.hear(path, token)),
                    Side::Response => read(forms, path, token),
                });
                forms.iter_mut().for_each(|form| form.end_text(side));
            }
            None => forms.iter_mut().for_each(|form| form.miss(side)),
        }
        let Some(left) = trial else { return };
        *left = left.saturating_sub(1);
        if forms.iter().any(|form| form.answer().recognised) {
            *trial = None;
            keep_recognised(forms);
        } else if *left == 0 {
            forms.clear();
            *self = Self::Dull;
        }
    }

    /// Whether it isn't known yet which form a session has, if any.
    pub(super) const fn is_undecided(&self) -> bool {
        matches!(self, Self::Messages { trial: Some(_), .. })
    }

    /// Takes part of the body, its content coding undone.
    pub(super) fn feed(&mut self, plain: &[u8], forms: &mut Vec<Box<dyn Form>>) {
        if matches!(self, Self::Unknown) {
            match plain.trim_ascii_start().first() {
                Some(b'{' | b'[') => *self = Self::Json(Texts::default()),
                // The length of a message that is shorter than 16 MiB.
                Some(0) => *self = Self::amazon(),
                Some(_) => *self = Self::events(),
                None => {}
            }
        }
        match self {
            Self::Unknown | Self::Messages { .. } | Self::Dull => {}
            Self::Json(texts) => texts.feed(plain, |item| match item {
                Item::Value(path, token) => read(forms, path, token),
                Item::End => end_text(forms),
            }),
            Self::Events { splitter, scanner, done } => splitter.feed(plain, |piece| match piece {
                Piece::Whole(b"[DONE]") => *done = true,
                Piece::Whole(data) => read_text(scanner, data, forms),
                Piece::Begin => scanner.restart(),
                Piece::Part(part) => scanner.feed(part, |path, token| read(forms, path, token)),
                Piece::End => text_ends(scanner, forms),
            }),
            Self::Lines { lines, scanner } => {
                lines.feed(plain, |line| read_text(scanner, line, forms));
            }
            Self::Amazon { reader, scanner, failure } => reader.feed(plain, |message| {
                if message.is_failure() {
                    *failure = Some(Failure { error_type: name_of(message.exception_type) });
                } else {
                    read_message(scanner, &message, forms);
                }
            }),
        }
    }

    /// The body has ended.
    pub(super) fn end(&mut self, forms: &mut Vec<Box<dyn Form>>) {
        if let Self::Lines { lines, scanner } = self {
            lines.end(|line| read_text(scanner, line, forms));
        }
    }

    /// Says that `bytes` are missing here, or `None` if nobody knows how many.
    pub(super) fn lose(&mut self, bytes: Option<u64>) {
        match self {
            Self::Unknown | Self::Messages { .. } | Self::Dull => {}
            Self::Json(texts) => texts.lose(),
            Self::Events { splitter, .. } => splitter.lose(),
            Self::Lines { lines, .. } => lines.lose(),
            Self::Amazon { reader, .. } => reader.lose(bytes.unwrap_or(u64::MAX)),
        }
    }

    pub(super) fn footprint(&self) -> usize {
        match self {
            Self::Unknown | Self::Dull => 0,
            Self::Messages { scanner, .. } => scanner.footprint(),
            Self::Json(texts) => texts.footprint(),
            Self::Events { splitter, scanner, .. } => splitter.footprint() + scanner.footprint(),
            Self::Lines { lines, .. } => lines.footprint(),
            Self::Amazon { reader, .. } => reader.footprint(),
        }
    }

    /// Whether it has more than one text, the output growing from one to the next.
    pub(super) const fn is_stream(&self) -> bool {
        match self {
            Self::Unknown | Self::Dull => false,
            Self::Json(texts) => texts.is_array(),
            Self::Events { .. }
            | Self::Lines { .. }
            | Self::Amazon { .. }
            | Self::Messages { .. } => true,
        }
    }

    /// Whether its own last word was read.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Json(texts) => texts.is_whole(),
            Self::Events { done, .. } => *done,
            Self::Unknown
            | Self::Lines { .. }
            | Self::Amazon { .. }
            | Self::Messages { .. }
            | Self::Dull => false,
        }
    }

    /// Whether it breaks off in a text of which something was read already, though it is one of many.
    pub(super) const fn breaks_off(&self) -> bool {
        match self {
            Self::Events { splitter, .. } => splitter.is_within_event(),
            Self::Unknown
            | Self::Json(_)
            | Self::Lines { .. }
            | Self::Amazon { .. }
            | Self::Messages { .. }
            | Self::Dull => false,
        }
    }

    /// Whether part of a text was too long to be read.
    pub(super) fn left_out(&self) -> bool {
        match self {
            Self::Json(texts) => texts.left_out(),
            Self::Events { scanner, .. } => scanner.left_out(),
            Self::Lines { .. } | Self::Amazon { .. } => false,
            Self::Messages { .. } | Self::Unknown | Self::Dull => false,
        }
    }

    /// How many of its texts were too long or damaged.
    pub(super) const fn dropped(&self) -> u64 {
        match self {
            Self::Unknown | Self::Json(_) | Self::Messages { .. } | Self::Dull => 0,
            Self::Events { splitter, .. } => splitter.dropped(),
            Self::Lines { lines, .. } => lines.dropped(),
            Self::Amazon { reader, .. } => reader.dropped(),
        }
    }

    /// The failure that the framing told of.
    pub(super) const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Amazon { failure, .. } => failure.as_ref(),
            _ => None,
        }
    }
}

fn read(forms: &mut [Box<dyn Form>], path: &str, token: Token<'_>) {
    forms.iter_mut().for_each(|form| form.read(path, token));
}

fn end_text(forms: &mut [Box<dyn Form>]) {
    forms.iter_mut().for_each(|form| form.end_text(Side::Response));
}

/// Reads a text that is there as a whole.
fn read_text(scanner: &mut Scanner, text: &[u8], forms: &mut Vec<Box<dyn Form>>) {
    scanner.restart();
    scanner.feed(text, |path, token| read(forms, path, token));
    text_ends(scanner, forms);
}

/// No more of a text will come. One that is damaged, or that the body has broken off in, doesn't end.
fn text_ends(scanner: &Scanner, forms: &mut Vec<Box<dyn Form>>) {
    if scanner.is_whole() {
        end_text(forms);
    }
    keep_recognised(forms);
}

/// Once a form has recognised itself, no other need read on. To be asked where it doesn't depend on
/// how the input is cut.
fn keep_recognised(forms: &mut Vec<Box<dyn Form>>) {
    if forms.len() > 1
        && let Some(recognised) = forms.iter().position(|form| form.answer().recognised)
    {
        forms.swap(0, recognised);
        forms.truncate(1);
    }
}

/// Reads the payload of a message. A `chunk` of Bedrock's wraps the model's own text in base64.
fn read_message(scanner: &mut Scanner, message: &Message<'_>, forms: &mut Vec<Box<dyn Form>>) {
    forms.iter_mut().for_each(|form| form.begin_text(message.event_type));
    if message.event_type == "chunk" {
        let mut inner = Zeroizing::new(Vec::new());
        scanner.restart();
        scanner.feed(message.payload, |path, token| {
            if let ("bytes", Token::Text(wrapped)) = (path, token) {
                *inner = STANDARD.decode(wrapped).unwrap_or_default();
            }
        });
        read_text(scanner, &inner, forms);
    } else {
        read_text(scanner, message.payload, forms);
    }
}
