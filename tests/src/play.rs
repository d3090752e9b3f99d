//! How a request tells the model server what to do: a JSON object in the header [`HEADER`]. What it
//! leaves open is drawn at random, from the seed where there is one.

use serde::{Deserialize, Serialize};

/// The request header that carries a [`Play`].
pub const HEADER: &str = "x-play";

/// What one request asks of the server. The default is a normal answer with random numbers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Play {
    /// Makes the random choices repeatable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The model that the answer claims; else a dated name of the requested one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Text that begins the completion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub say: Option<String>,
    /// At least this many bytes of completion text; 0 for a short random one.
    #[serde(skip_serializing_if = "is_zero")]
    pub output_bytes: u64,
    /// Milliseconds before the answer begins.
    #[serde(skip_serializing_if = "is_zero")]
    pub hold_ms: u64,
    /// Milliseconds between the parts of the answer.
    #[serde(skip_serializing_if = "is_zero")]
    pub pause_ms: u64,
    /// Answer with an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail: Option<Failure>,
    /// Break the connection after this many events of a stream, or in the middle of a body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut_after: Option<usize>,
    /// The content coding; else one that the client accepts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coding: Option<Coding>,
    /// Whether a body that is not a stream is sent in chunks; else either.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunked: Option<bool>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Play {
    /// The value of [`HEADER`].
    #[must_use]
    pub fn header_value(&self) -> String {
        serde_json::json!(self).to_string()
    }
}

/// The ways a call can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// 400.
    BadRequest,
    /// 401.
    Unauthorized,
    /// 429, worth retrying.
    RateLimited,
    /// 529 as Anthropic has it, 503 elsewhere.
    Overloaded,
    /// 200, and the error comes as an event after some output.
    InStream,
}

/// Content codings, by their names in `Content-Encoding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Coding {
    /// None.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 1950, as RFC 9110 has it.
    Deflate,
    /// RFC 7932.
    Br,
    /// RFC 8878.
    Zstd,
}

impl Coding {
    /// Those that have a name in `Content-Encoding`.
    pub const NAMED: [Self; 4] = [Self::Gzip, Self::Deflate, Self::Br, Self::Zstd];

    /// The name in `Content-Encoding` and `Accept-Encoding`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Br => "br",
            Self::Zstd => "zstd",
        }
    }
}
