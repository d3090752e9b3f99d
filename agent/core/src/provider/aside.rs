//! What an exchange can be beside a model call: something that tells whose the calls are.

use super::token_exchange::{IssuedToken, TokenExchange};
use crate::http::{Ending, RequestHead, ResponseHead, Side};

/// Reads along in an exchange that may be of use without being a model call.
#[derive(Debug)]
pub(super) enum Aside {
    /// It asks for a token.
    Token(TokenExchange),
}

/// What has come of an exchange beside calls.
#[derive(Debug)]
pub enum Outcome {
    /// A token was issued.
    Token(IssuedToken),
}

impl Aside {
    /// A reader for an exchange that begins so, if it can be of use.
    pub(super) fn of(head: &RequestHead) -> Option<Self> {
        TokenExchange::of(head).map(Self::Token)
    }

    /// The answer began.
    pub(super) fn response(&mut self, head: &ResponseHead) {
        match self {
            Self::Token(exchange) => exchange.response(head),
        }
    }

    /// Part of a body came.
    pub(super) fn feed(&mut self, side: Side, data: &[u8]) {
        match self {
            Self::Token(exchange) => exchange.feed(side, data),
        }
    }

    /// Bytes are missing.
    pub(super) const fn lose(&mut self) {
        match self {
            Self::Token(exchange) => exchange.lose(),
        }
    }

    /// The request ended.
    pub(super) fn request_ended(&mut self, ending: Ending) {
        match self {
            Self::Token(exchange) => exchange.request_ended(ending),
        }
    }

    /// The bytes held back.
    pub(super) fn footprint(&self) -> usize {
        match self {
            Self::Token(exchange) => exchange.footprint(),
        }
    }

    /// What has come of it, once the exchange is over.
    pub(super) fn finish(self) -> Option<Outcome> {
        match self {
            Self::Token(exchange) => exchange.finish().map(Outcome::Token),
        }
    }
}
