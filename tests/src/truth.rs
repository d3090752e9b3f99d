//! What the model server answered, call by call: the numbers that `weir` has to arrive at by
//! watching.

use std::fs::File;
use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// One call as the server knows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Truth {
    /// Who called: what follows `sk-weir-` or `sk-ant-weir-` in the API key.
    pub label: String,
    /// `openai` or `anthropic`.
    pub provider: String,
    /// `chat_completions`, `responses`, `embeddings` or `messages`.
    pub api: String,
    /// The request's `Host`.
    pub host: String,
    /// The model that was asked for.
    pub model_requested: String,
    /// The model that the answer named.
    pub model: Option<String>,
    /// HTTP status.
    pub status: u16,
    /// Whether a stream of events was asked for.
    pub streamed: bool,
    /// How it ended.
    pub state: State,
    /// What the answer said of its usage, if it said all of it.
    pub usage: Option<Tokens>,
    /// Tokens of output text that were sent: each word of it is one token of `o200k_base`.
    pub words: u64,
    /// The id in the answer.
    pub response_id: Option<String>,
    /// The answer's `error.type` and `error.code`, as far as it had them.
    pub errors: Vec<String>,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the answer's body, before any content coding.
    pub response_bytes: u64,
    /// The content coding of the answer.
    pub coding: String,
}

/// How a call ended, as the server knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Not yet.
    Open,
    /// With the whole answer.
    Complete,
    /// One side closed before the answer was whole.
    Aborted,
    /// With an error.
    Error,
}

/// Token counts in disjoint buckets, but that `output` includes `reasoning`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Input that has nothing to do with the cache.
    pub input_uncached: u64,
    /// Input read from the cache.
    pub cache_read: u64,
    /// Input written to the cache for 5 minutes.
    #[serde(default)]
    pub cache_write_5m: u64,
    /// Input written to the cache for 30 minutes.
    #[serde(default)]
    pub cache_write_30m: u64,
    /// Input written to the cache for an hour.
    #[serde(default)]
    pub cache_write_1h: u64,
    /// Input written to the cache for 12 hours.
    #[serde(default)]
    pub cache_write_12h: u64,
    /// Input written to the cache for a time the answer did not name.
    #[serde(default)]
    pub cache_write_other: u64,
    /// All output.
    pub output: u64,
    /// The part of `output` that is reasoning.
    pub reasoning: u64,
}

impl Tokens {
    /// All that was written to the cache.
    #[must_use]
    pub const fn cache_write(&self) -> u64 {
        self.cache_write_5m
            + self.cache_write_30m
            + self.cache_write_1h
            + self.cache_write_12h
            + self.cache_write_other
    }

    /// All input.
    #[must_use]
    pub const fn input(&self) -> u64 {
        self.input_uncached + self.cache_read + self.cache_write()
    }
}

/// All calls so far, in the order of their requests. A call is here from its first byte on, so that
/// whoever has seen an answer finds it.
#[derive(Clone, Debug, Default)]
pub struct Journal(Arc<Mutex<Pages>>);

#[derive(Debug, Default)]
struct Pages {
    calls: Vec<Truth>,
    file: Option<File>,
}

/// Names a call in its [`Journal`].
#[derive(Clone, Copy, Debug)]
pub struct Entry(usize);

impl Journal {
    /// One that also appends each call that ends to `file`, as a line of JSON.
    #[must_use]
    pub fn with_file(file: File) -> Self {
        Self(Arc::new(Mutex::new(Pages { calls: Vec::new(), file: Some(file) })))
    }

    /// What it holds now.
    #[must_use]
    pub fn calls(&self) -> Vec<Truth> {
        self.pages().calls.clone()
    }

    /// How many calls have ended.
    #[must_use]
    pub fn ended(&self) -> usize {
        self.pages().calls.iter().filter(|call| call.state != State::Open).count()
    }

    pub(crate) fn open(&self, truth: Truth) -> Entry {
        let mut pages = self.pages();
        pages.calls.push(truth);
        Entry(pages.calls.len() - 1)
    }

    pub(crate) fn amend(&self, entry: Entry, change: impl FnOnce(&mut Truth)) {
        let mut pages = self.pages();
        let Pages { calls, file } = &mut *pages;
        let Some(truth) = calls.get_mut(entry.0) else { return };
        change(truth);
        if let Some(file) = file
            && truth.state != State::Open
            && let Err(error) = writeln!(file, "{}", serde_json::json!(truth))
        {
            eprintln!("model-server: can't write the truth: {error}");
        }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
