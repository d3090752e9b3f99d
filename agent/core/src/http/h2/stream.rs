//! One stream: what its DATA frames carry, and how its messages end.

use crate::http::websocket::Session;
use crate::http::{Ending, Event, ResponseHead, Side};
use crate::units::Role;

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: u32,
    pub(super) exchange: u64,
    /// The request is known and goes on.
    request_open: bool,
    /// The head of the answer is known.
    answered: bool,
    /// The head of the answer may be what is missing.
    damaged: bool,
    /// Bytes that are missing of the request, of which nobody was told yet.
    untold: u64,
    content: Content,
}

/// What DATA frames carry.
#[derive(Debug)]
enum Content {
    /// The bodies of the request and of its answer.
    Bodies,
    /// What will be a WebSocket if the answer agrees to it (RFC 8441).
    Offer {
        /// Something of the caller's came before the answer, or was lost: where its first frame
        /// begins isn't known.
        early: bool,
    },
    /// A WebSocket. The request has ended with its head.
    Session(Box<Session>),
    /// A WebSocket that can't be read, or is of no use.
    Passed,
}

impl Stream {
    pub(super) const fn new(id: u32, exchange: u64) -> Self {
        Self {
            id,
            exchange,
            request_open: false,
            answered: false,
            damaged: false,
            untold: 0,
            content: Content::Bodies,
        }
    }

    /// Bytes held back.
    pub(super) fn footprint(&self) -> usize {
        match &self.content {
            Content::Session(session) => size_of::<Session>() + session.footprint(),
            Content::Bodies | Content::Offer { .. } | Content::Passed => 0,
        }
    }

    /// The head of the request was read.
    pub(super) fn ask(&mut self, for_websocket: bool) {
        self.request_open = true;
        if for_websocket {
            self.content = Content::Offer { early: false };
        }
    }

    /// Whether it is asked for a WebSocket, and not answered yet.
    pub(super) const fn is_offer(&self) -> bool {
        matches!(self.content, Content::Offer { .. })
    }

    /// Whether the head of the answer is known.
    pub(super) const fn is_answered(&self) -> bool {
        self.answered
    }

    /// The head of the answer has come; it is absent if it can't be read.
    pub(super) fn answer(
        &mut self,
        head: Option<ResponseHead>,
        role: Role,
        emit: &mut impl FnMut(Event<'_>),
    ) {
        let (exchange, untold) = (self.exchange, std::mem::take(&mut self.untold));
        (self.answered, self.damaged) = (head.is_some(), head.is_none());
        let Some(head) = head else { return };
        let is_yes = (200..300).contains(&head.status);
        match (&self.content, head.websocket) {
            (&Content::Offer { early }, Some(extensions)) => {
                self.end_request(Ending::Whole, emit);
                emit(Event::Response { exchange, role, head });
                self.content = Content::Session(Box::new(Session::new(extensions)));
                if early {
                    self.lose_frames(Side::Request, u64::MAX, emit);
                }
            }
            (Content::Offer { .. }, None) => {
                self.content = if is_yes { Content::Passed } else { Content::Bodies };
                emit(Event::Response { exchange, role, head });
            }
            (Content::Bodies | Content::Session(_) | Content::Passed, _) => {
                emit(Event::Response { exchange, role, head });
                if untold > 0 {
                    emit(Event::Lost { exchange, side: Side::Request, bytes: untold });
                }
            }
        }
    }

    /// Takes part of what a DATA frame carries. Says whether the exchange is over.
    pub(super) fn feed(
        &mut self,
        side: Side,
        data: &[u8],
        emit: &mut impl FnMut(Event<'_>),
    ) -> bool {
        let exchange = self.exchange;
        if let Content::Session(session) = &mut self.content {
            session.feed(side, data, |text| emit(Event::Message { exchange, side, text }));
        } else if self.is_under_way(side) {
            self.miss(side);
            emit(Event::Body { exchange, side, data });
        }
        self.is_over()
    }

    /// Passes over bytes that were lost of what a DATA frame carries, at most `bytes` if that isn't
    /// `exact`. Says whether the exchange is over.
    pub(super) fn lose(
        &mut self,
        side: Side,
        bytes: u64,
        exact: bool,
        emit: &mut impl FnMut(Event<'_>),
    ) -> bool {
        if self.is_under_way(side) {
            emit(Event::Lost { exchange: self.exchange, side, bytes });
        }
        self.miss(side);
        self.lose_frames(side, if exact { bytes } else { u64::MAX }, emit);
        self.is_over()
    }

    /// A header block was lost, or can't be read: `bytes` of it are missing.
    pub(super) fn lose_block(&mut self, side: Side, bytes: u64, emit: &mut impl FnMut(Event<'_>)) {
        // What comes after the end of a message is no part of it.
        if side == Side::Request && !self.request_open {
            return;
        }
        self.damaged |= side == Side::Response && !self.answered;
        if bytes > 0 {
            emit(Event::Lost { exchange: self.exchange, side, bytes });
        }
    }

    /// The head of the request is what is missing, `bytes` of it.
    pub(super) const fn lose_request(&mut self, bytes: u64) {
        self.untold = bytes;
    }

    /// The place in that side is lost, and perhaps `bytes` of this stream. Says whether the exchange
    /// is over.
    pub(super) fn adrift(
        &mut self,
        side: Side,
        bytes: u64,
        emit: &mut impl FnMut(Event<'_>),
    ) -> bool {
        // An answer may yet begin.
        if bytes > 0 && (self.is_under_way(side) || side == Side::Response && !self.answered) {
            emit(Event::Lost { exchange: self.exchange, side, bytes });
        }
        if matches!(self.content, Content::Session(_)) {
            self.lose_frames(side, u64::MAX, emit);
            return self.is_over();
        }
        match side {
            Side::Request => self.end_request(Ending::Lost, emit),
            Side::Response => self.damaged |= !self.answered,
        }
        side == Side::Response && self.answered
    }

    /// The request has ended. Says whether the exchange is over.
    pub(super) fn hang_up(&mut self, emit: &mut impl FnMut(Event<'_>)) -> bool {
        match &mut self.content {
            Content::Session(session) => session.hang_up(Side::Request),
            Content::Bodies | Content::Offer { .. } | Content::Passed => {
                self.end_request(Ending::Whole, emit);
            }
        }
        self.is_over()
    }

    /// Ends both messages, because the stream has ended so.
    pub(super) fn finish(mut self, ending: Ending, emit: &mut impl FnMut(Event<'_>)) {
        // A request that goes on when its answer ends is of no more use to anybody.
        let request = if ending == Ending::Whole { Ending::Closed } else { ending };
        self.end_request(request, emit);
        let ending = match &self.content {
            Content::Session(_) if ending == Ending::Lost => Ending::Lost,
            // The end of a stream is no proper end of a WebSocket.
            Content::Session(session) => session.ending().unwrap_or_else(|| session.cut_off()),
            // An answer can't end whole before it began.
            _ if self.damaged || ending == Ending::Whole && !self.answered => Ending::Lost,
            Content::Bodies | Content::Offer { .. } | Content::Passed => ending,
        };
        emit(Event::End { exchange: self.exchange, side: Side::Response, ending });
    }

    /// Passes over what is still to come of a session.
    pub(super) fn pass_over(&mut self) {
        if matches!(self.content, Content::Session(_)) {
            self.content = Content::Passed;
        }
    }

    fn end_request(&mut self, ending: Ending, emit: &mut impl FnMut(Event<'_>)) {
        self.miss(Side::Request);
        if std::mem::replace(&mut self.request_open, false) {
            emit(Event::End { exchange: self.exchange, side: Side::Request, ending });
        }
    }

    /// Whether what DATA frames of that side carry is part of a message, or of a session.
    const fn is_under_way(&self, side: Side) -> bool {
        match (&self.content, side) {
            (Content::Session(session), side) => !session.is_closed(side),
            (Content::Passed, _) => false,
            (Content::Bodies | Content::Offer { .. }, Side::Request) => self.request_open,
            (Content::Bodies | Content::Offer { .. }, Side::Response) => self.answered,
        }
    }

    /// Whether nothing more can be read of a session.
    fn is_over(&self) -> bool {
        matches!(&self.content, Content::Session(session) if session.ending().is_some())
    }

    fn lose_frames(&mut self, side: Side, bytes: u64, emit: &mut impl FnMut(Event<'_>)) {
        let exchange = self.exchange;
        if let Content::Session(session) = &mut self.content {
            session.lose(side, bytes, |text| emit(Event::Message { exchange, side, text }));
        }
    }

    /// Something of what the caller says was not read as part of a session that may come.
    const fn miss(&mut self, side: Side) {
        if let (Content::Offer { early }, Side::Request) = (&mut self.content, side) {
            *early = true;
        }
    }
}
