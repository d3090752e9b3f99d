//! What an exchange can be beside a model call: something that tells whose the calls are, or who
//! caused them.

use super::batch::{BatchNews, BatchReader};
use super::edge::{Edge, EdgeReader};
use super::token_exchange::{IssuedToken, TokenExchange};
use crate::http::{Ending, RequestHead, ResponseHead, Side};
use crate::units::{ConnectionId, Timestamp};

/// Reads along in an exchange that may be of use without being a model call.
#[derive(Debug)]
pub(super) enum Aside {
    /// It asks for a token.
    Token(TokenExchange),
    /// It may be about a batch.
    Batch(BatchReader),
    /// It may be a step to another agent.
    Edge(EdgeReader),
}

/// What has come of an exchange beside calls.
#[derive(Debug)]
pub enum Outcome {
    /// A token was issued.
    Token(IssuedToken),
    /// Batches were created or asked after. At least one.
    Batches(Vec<BatchNews>),
    /// Steps to other agents were made. At least one.
    Edges(Vec<Edge>),
}

/// What is known of an exchange whatever it is.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub(super) connection: ConnectionId,
    pub(super) ordinal: u64,
    pub(super) started: Timestamp,
    pub(super) head: Option<&'a RequestHead>,
}

impl Aside {
    /// A reader for an exchange that begins so, if it can be of use. `is_model` says that host or
    /// path are those of a model API.
    pub(super) fn of(head: &RequestHead, is_model: bool) -> Option<Self> {
        let token = TokenExchange::of(head).map(Self::Token);
        let either = token.or_else(|| BatchReader::of(head).map(Self::Batch));
        either.or_else(|| EdgeReader::of(head, is_model).map(Self::Edge))
    }

    /// The answer began.
    pub(super) fn response(&mut self, head: &ResponseHead) {
        match self {
            Self::Token(exchange) => exchange.response(head),
            Self::Batch(reader) => reader.response(head),
            Self::Edge(reader) => reader.response(head),
        }
    }

    /// Part of a body came.
    pub(super) fn feed(&mut self, side: Side, data: &[u8]) {
        match (self, side) {
            (Self::Token(exchange), side) => exchange.feed(side, data),
            (Self::Batch(reader), Side::Response) => reader.feed(data),
            (Self::Edge(reader), Side::Request) => reader.feed(data),
            (Self::Batch(_), Side::Request) | (Self::Edge(_), Side::Response) => {}
        }
    }

    /// Bytes are missing.
    pub(super) fn lose(&mut self, side: Side) {
        match (self, side) {
            (Self::Token(exchange), _) => exchange.lose(),
            (Self::Batch(reader), Side::Response) => reader.lose(),
            (Self::Edge(reader), Side::Request) => reader.lose(),
            (Self::Batch(_), Side::Request) | (Self::Edge(_), Side::Response) => {}
        }
    }

    /// The request ended.
    pub(super) fn request_ended(&mut self, ending: Ending) {
        match self {
            Self::Token(exchange) => exchange.request_ended(ending),
            Self::Batch(_) => {}
            Self::Edge(reader) => reader.request_ended(),
        }
    }

    /// Whether it can still come to something, for which the answer has to be read.
    pub(super) fn needs_answer(&self) -> bool {
        match self {
            Self::Token(_) => true,
            Self::Batch(reader) => reader.needs_answer(),
            Self::Edge(reader) => reader.needs_answer(),
        }
    }

    /// Whether nothing can change what it comes to.
    pub(super) const fn is_over(&self) -> bool {
        match self {
            Self::Token(_) | Self::Batch(_) => false,
            Self::Edge(reader) => reader.is_over(),
        }
    }

    /// The bytes held back.
    pub(super) fn footprint(&self) -> usize {
        match self {
            Self::Token(exchange) => exchange.footprint(),
            Self::Batch(reader) => reader.footprint(),
            Self::Edge(reader) => reader.footprint(),
        }
    }

    /// What has come of it.
    pub(super) fn finish(self, seen: &Seen<'_>) -> Option<Outcome> {
        match self {
            Self::Token(exchange) => exchange.finish().map(Outcome::Token),
            Self::Batch(reader) => {
                let news = reader.finish(seen);
                (!news.is_empty()).then_some(Outcome::Batches(news))
            }
            Self::Edge(reader) => {
                let edges = reader.finish(seen);
                (!edges.is_empty()).then_some(Outcome::Edges(edges))
            }
        }
    }
}
