//! HTTP as it is spoken on a connection that somebody else holds: both directions are read, nothing
//! is ever answered, and bytes may be missing.
//!
//! [`Connection`] turns the bytes of the two directions into [`Event`]s of numbered exchanges,
//! whichever version of HTTP they are: [`h1`] and [`h2`] do the same for one of them.
//! [`coding`] undoes content codings; [`sse`], [`ndjson`] and [`event_stream`] split what holds many
//! messages, [`websocket`] reads what an exchange may turn into. All of them take input cut anywhere.

pub mod coding;
mod connection;
mod credential;
pub mod event_stream;
pub mod h1;
pub mod h2;
pub mod head;
mod hints;
pub mod ndjson;
mod remarks;
pub mod sse;
pub mod websocket;

use crate::units::Role;

pub use connection::Connection;
pub use credential::{Credential, CredentialKind, CredentialPlace};
pub(crate) use credential::{id as credential_id, subject_claims};
pub use head::{BodyKind, Method, RequestHead, ResponseHead};
pub use hints::Hints;
pub use remarks::Remarks;

/// Which message of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What was asked.
    Request,
    /// What was answered.
    Response,
}

/// How a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By its own framing: nothing is missing but what [`Event::Lost`] has told.
    Whole,
    /// The connection was closed before.
    Closed,
    /// Bytes were lost and with them the place where it ends.
    Lost,
}

/// Something that happened in an exchange. `exchange` numbers the exchanges of a connection
/// in the order in which they began.
#[derive(Debug)]
pub enum Event<'a> {
    /// A request began.
    Request {
        /// Which exchange.
        exchange: u64,
        /// Which end of the connection is ours.
        role: Role,
        /// Its head.
        head: RequestHead,
    },
    /// The final answer began; interim ones (1xx) are passed over, except for the one of HTTP/1.1
    /// that turns the exchange into a session.
    Response {
        /// Which exchange.
        exchange: u64,
        /// Which end of the connection is ours.
        role: Role,
        /// Its head.
        head: ResponseHead,
    },
    /// Part of a body, still in its content coding.
    Body {
        /// Which exchange.
        exchange: u64,
        /// Of which message.
        side: Side,
        /// At least one byte.
        data: &'a [u8],
    },
    /// A message of a session has ended, that is, of an exchange whose answer has turned it into one.
    Message {
        /// Which exchange.
        exchange: u64,
        /// Who said it.
        side: Side,
        /// What was said; absent if it could not be read as a whole.
        text: Option<&'a [u8]>,
    },
    /// Bytes are missing here.
    Lost {
        /// Which exchange.
        exchange: u64,
        /// Of which message.
        side: Side,
        /// How many.
        bytes: u64,
    },
    /// A message ended.
    End {
        /// Which exchange.
        exchange: u64,
        /// Which message.
        side: Side,
        /// How.
        ending: Ending,
    },
    /// The connection speaks something else from here on and is of no more use.
    Unreadable(Unreadable),
}

/// Why a connection can't be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unreadable {
    /// It was upgraded to another protocol (`101 Switching Protocols`) than HTTP/2 or WebSocket, or to a
    /// session that is of no use.
    Upgraded,
    /// It became a tunnel (`CONNECT`).
    Tunnel,
}

impl Unreadable {
    /// The name in metrics and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Upgraded => "upgraded",
            Self::Tunnel => "tunnel",
        }
    }
}
