//! Recognises a model call in an HTTP exchange and reads what it says about its usage.
//! One file per wire form; a provider that differs only by host is a row of a table.

mod anthropic_batch;
mod anthropic_messages;
mod aside;
mod batch;
mod bedrock_converse;
mod bedrock_invoke;
mod bedrock_sonic;
mod choices;
mod cohere_chat;
mod cohere_units;
mod count_tokens;
mod decimal;
mod edge;
mod exchange;
mod form;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod gemini_content;
mod gemini_embed;
mod gemini_interactions;
mod gemini_live;
mod glance;
mod google_usage;
mod json;
mod llama_completion;
mod mistral_ocr;
mod multipart;
mod ollama;
mod openai_audio;
mod openai_chat;
mod openai_embeddings;
mod openai_images;
mod openai_realtime;
mod openai_responses;
mod openai_results;
mod quirks;
mod request;
mod responses_session;
mod route;
mod sample;
mod session;
mod step;
mod tgi_generate;
mod token_exchange;
mod usage;

use serde::{Deserialize, Serialize};

pub use aside::Outcome;
pub use batch::BatchNews;
pub use edge::{Edge, Protocol};
pub use exchange::Exchange;
pub use glance::{Glance, Glanced};
pub use token_exchange::IssuedToken;

use crate::http::{Credential, Hints};
use crate::secret::{Fingerprint, Payload};
use crate::units::{ConnectionId, Counts, PicoUsd, Role, Timestamp, Tokens};

/// Whose endpoint a host is, as OpenTelemetry names providers; `None` where nobody knows.
#[must_use]
pub fn provider_of(host: &str) -> Option<&'static str> {
    route::endpoint(host).map(|endpoint| endpoint.provider)
}

/// The wire form of a model call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    /// OpenAI `POST …/chat/completions`.
    ChatCompletions,
    /// OpenAI `POST …/completions`, the older form.
    Completions,
    /// OpenAI `POST …/responses`, also as a WebSocket.
    Responses,
    /// OpenAI `POST …/embeddings`.
    Embeddings,
    /// OpenAI `POST …/images/{generations,edits,variations}`.
    Images,
    /// OpenAI `POST …/audio/{transcriptions,translations}`.
    Transcriptions,
    /// OpenAI `POST …/audio/speech`.
    Speech,
    /// OpenAI's `…/realtime` WebSocket.
    Realtime,
    /// Anthropic `POST …/messages`.
    Messages,
    /// Anthropic's and Bedrock's counting of tokens, which runs no model and costs nothing.
    CountTokens,
    /// Bedrock `POST /model/{id}/converse[-stream]`.
    Converse,
    /// Bedrock `POST /model/{id}/invoke[-with-{response,bidirectional}-stream]`: the model's native
    /// body.
    Invoke,
    /// Gemini `POST …:generateContent` and `:streamGenerateContent`.
    GenerateContent,
    /// Gemini `POST …:embedContent`.
    EmbedContent,
    /// Gemini's `BidiGenerateContent` WebSocket.
    Live,
    /// Gemini `POST …/interactions`.
    Interactions,
    /// Cohere `POST /v2/chat`.
    CohereChat,
    /// Cohere `POST /v2/embed`.
    CohereEmbed,
    /// Cohere `POST /v2/rerank`.
    Rerank,
    /// Mistral `POST /v1/ocr`.
    Ocr,
    /// Ollama `POST /api/chat`.
    OllamaChat,
    /// Ollama `POST /api/generate`.
    OllamaGenerate,
    /// Ollama `POST /api/embed`.
    OllamaEmbed,
    /// llama.cpp `POST /completion`.
    LlamaCompletion,
    /// TGI `POST /generate[_stream]`.
    TgiGenerate,
}

impl Api {
    /// The name in records, queries and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat_completions",
            Self::Completions => "completions",
            Self::Responses => "responses",
            Self::Embeddings => "embeddings",
            Self::Images => "images",
            Self::Transcriptions => "transcriptions",
            Self::Speech => "speech",
            Self::Realtime => "realtime",
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
            Self::Converse => "converse",
            Self::Invoke => "invoke",
            Self::GenerateContent => "generate_content",
            Self::EmbedContent => "embed_content",
            Self::Live => "live",
            Self::Interactions => "interactions",
            Self::CohereChat => "cohere_chat",
            Self::CohereEmbed => "cohere_embed",
            Self::Rerank => "rerank",
            Self::Ocr => "ocr",
            Self::OllamaChat => "ollama_chat",
            Self::OllamaGenerate => "ollama_generate",
            Self::OllamaEmbed => "ollama_embed",
            Self::LlamaCompletion => "llama_completion",
            Self::TgiGenerate => "tgi_generate",
        }
    }

    /// Whether it is a form of servers that people run themselves, at a path that is a word which
    /// anybody may use.
    const fn is_self_hosted(self) -> bool {
        matches!(
            self,
            Self::OllamaChat
                | Self::OllamaGenerate
                | Self::OllamaEmbed
                | Self::LlamaCompletion
                | Self::TgiGenerate
        )
    }

    /// The provider that made the form, in OpenTelemetry's words.
    const fn maker(self) -> &'static str {
        match self {
            Self::ChatCompletions
            | Self::Completions
            | Self::Responses
            | Self::Embeddings
            | Self::Images
            | Self::Transcriptions
            | Self::Speech
            | Self::Realtime => "openai",
            Self::Messages | Self::CountTokens => "anthropic",
            Self::Converse | Self::Invoke => "aws.bedrock",
            Self::GenerateContent | Self::EmbedContent | Self::Live | Self::Interactions => {
                "gcp.gemini"
            }
            Self::CohereChat | Self::CohereEmbed | Self::Rerank => "cohere",
            Self::Ocr => "mistral_ai",
            Self::OllamaChat | Self::OllamaGenerate | Self::OllamaEmbed => "ollama",
            Self::LlamaCompletion => "llama_cpp",
            Self::TgiGenerate => "tgi",
        }
    }
}

/// What the provider itself said of a call's usage, made disjoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All tokens of the call.
    pub tokens: Tokens,
    /// What is billed by the piece.
    pub counts: Counts,
    /// How much of `tokens` which model used, where several models worked on one call. Empty where
    /// the served model did it all; else the parts add up to `tokens`.
    pub parts: Vec<Part>,
    /// What the provider says that it will charge.
    pub cost: Option<PicoUsd>,
    /// The numbers contradict each other: they were read by the provider's usual rule.
    pub inconsistent: bool,
}

impl From<Tokens> for Usage {
    fn from(tokens: Tokens) -> Self {
        Self { tokens, ..Self::default() }
    }
}

/// What one of several models used for a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The model.
    pub model: String,
    /// Its tokens.
    pub tokens: Tokens,
}

/// What a price depends on beside the model and the tokens. Everything as the provider says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceContext {
    /// The service tier that the answer says it was served at.
    pub service_tier: Option<String>,
    /// It was part of a batch.
    pub batch: bool,
    /// Anthropic's `usage.speed`, Bedrock's `performanceConfig.latency`.
    pub speed: Option<String>,
    /// The region, by the host's name, or where the answer says it was served.
    pub region: Option<String>,
    /// Vertex's `usageMetadata.trafficType`.
    pub traffic_type: Option<String>,
    /// It was asked of capacity bought in advance, which was used up (Azure's spillover).
    pub spilled_over: bool,
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
/// Says nothing of who made it, and holds payload only where that is of use for counting.
#[derive(Debug)]
pub struct ModelCall {
    /// The connection it crossed.
    pub connection: ConnectionId,
    /// Numbers the exchanges of that connection; no two have the same.
    pub ordinal: u64,
    /// Numbers the calls of that exchange: a session or a batch has many.
    pub index: u64,
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
    pub usage: Option<Usage>,
    /// What its price depends on.
    pub context: PriceContext,
    /// Most tokens of output that the request allows.
    pub max_output: Option<u64>,
    /// It was not made here but read back: the result of a batch, or of a call that went on in the
    /// background.
    pub retrieved: bool,
    /// What it was fetched as, if it is the result of a batch.
    pub result_of: Option<ResultOf>,
    /// What to count where the provider didn't say, or not all: input and output where `usage` is
    /// absent, else the output only.
    pub countable: Option<Countable>,
    /// Text of a call that has said its final usage and therefore has no `countable`: how many tokens
    /// text comes to can be learnt from it. A side that has nothing to teach is empty.
    pub sample: Option<Countable>,
    /// The provider's id of the answer.
    pub response_id: Option<String>,
    /// The provider's word for what went wrong (`error.type` or `error.code`).
    pub error_type: Option<String>,
    /// Stands for the body of the request, if all of it was seen.
    pub request_fp: Option<Fingerprint>,
    /// Stands for the tools that the request shows the model to have called last, with their arguments.
    pub step_fp: Option<Fingerprint>,
    /// What is known of the credential that the request carried.
    pub credential: Option<Credential>,
    /// What the request's head says of the caller's doings beside the call.
    pub hints: Hints,
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

/// What the path of a request calls the results of a batch. A claim of whoever fetches them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResultOf {
    /// The batch's own id.
    Batch(String),
    /// The id of a file, which was told to whoever asked after the batch.
    File(String),
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
    /// There was more to the input than this text and these images: some was cut, or isn't text
    /// (tools, files, earlier turns that the provider holds).
    pub input_open: bool,
    /// Images in the input.
    pub images: u64,
}

impl Countable {
    /// Bytes of text.
    pub(crate) fn footprint(&self) -> usize {
        let input = self.input.iter().map(|message| message.text.expose().len());
        self.output.expose().len() + input.sum::<usize>()
    }
}

/// One message of a request.
#[derive(Debug, Default)]
pub struct Message {
    /// `user`, `system`, …; empty where the form has no roles.
    pub role: String,
    /// Its text parts, joined.
    pub text: Payload,
}
