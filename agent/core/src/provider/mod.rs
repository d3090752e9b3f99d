//! Recognises a model call in an HTTP exchange and reads what it says about its usage.
//! One file per wire form; a provider that differs only by host is a row of a table.

mod anthropic_messages;
mod exchange;
mod form;
mod host;
mod json;
mod openai_chat;
mod openai_embeddings;
mod openai_responses;
mod request;
mod usage;

use serde::{Deserialize, Serialize};

pub use exchange::Exchange;

use crate::secret::{Fingerprint, Payload};
use crate::units::{ConnectionId, Role, Timestamp, Tokens};

/// The wire form of a model call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    /// OpenAI `POST …/chat/completions`.
    ChatCompletions,
    /// OpenAI `POST …/responses`.
    Responses,
    /// OpenAI `POST …/embeddings`.
    Embeddings,
    /// Anthropic `POST …/messages`.
    Messages,
}

impl Api {
    /// The name in records, queries and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat_completions",
            Self::Responses => "responses",
            Self::Embeddings => "embeddings",
            Self::Messages => "messages",
        }
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// The whole answer was seen.
    Complete,
    /// The caller or the provider closed the connection before the answer was complete.
    Aborted,
    /// The call went on, but part of it could not be seen: bytes were lost or a bound was hit.
    Truncated,
    /// The provider answered with an error, by status or inside the stream.
    Error,
}

/// A model call as seen on the wire: who was asked for what and what the answer said of its cost.
/// Says nothing of who made it, and holds payload only where the answer had no usage.
#[derive(Debug)]
pub struct ModelCall {
    /// The connection it crossed.
    pub connection: ConnectionId,
    /// Numbers the exchanges of that connection; no two have the same.
    pub ordinal: u64,
    /// Which end of the connection was seen.
    pub role: Role,
    /// OpenTelemetry's `gen_ai.provider.name`, from the host; for a host we don't know, the
    /// provider whose wire form it speaks.
    pub provider: &'static str,
    /// The wire form.
    pub api: Api,
    /// What the request's `Host` says, the port included where it is there. A claim of the caller.
    pub host: Option<String>,
    /// The model that the request named.
    pub model_requested: Option<String>,
    /// The model that the answer says has served it. This is what is priced.
    pub model_served: Option<String>,
    /// HTTP status; absent if no answer came.
    pub status: Option<u16>,
    /// Whether a stream of events was asked for, or came.
    pub streamed: bool,
    /// How it ended.
    pub state: CallState,
    /// The provider's own numbers. Where `countable` is there too, the output was still growing.
    pub usage: Option<Tokens>,
    /// What to count where the provider didn't say, or not all: input and output where `usage` is
    /// absent, else the output only.
    pub countable: Option<Countable>,
    /// The provider's id of the answer.
    pub response_id: Option<String>,
    /// The provider's word for what went wrong (`error.type` or `error.code`).
    pub error_type: Option<String>,
    /// The service tier that the answer says it was served at.
    pub service_tier: Option<String>,
    /// Stands for the credential that the request carried.
    pub credential: Option<Fingerprint>,
    /// When the request's first byte was seen.
    pub started: Timestamp,
    /// When the first output was seen: the first content event of a stream, else the first byte
    /// of the answer's body.
    pub first_output: Option<Timestamp>,
    /// When the last byte was seen.
    pub ended: Timestamp,
    /// Bytes of this call that the kernel saw and could not hand over.
    pub lost_bytes: u64,
}

/// The text of a call, for counting its tokens. Bounded; wiped on drop.
#[derive(Debug, Default)]
pub struct Countable {
    /// The text of each message of the request: instructions, content, tool results.
    pub input: Vec<Message>,
    /// The text of the answer, as far as it was seen.
    pub output: Payload,
    /// Some text did not fit the bound or was lost, so a count of this is a lower bound.
    pub cut: bool,
}

/// One message of a request.
#[derive(Debug, Default)]
pub struct Message {
    /// `user`, `system`, …; empty where the form has no roles.
    pub role: String,
    /// Its text parts, joined.
    pub text: Payload,
}
