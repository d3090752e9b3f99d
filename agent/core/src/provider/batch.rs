//! Batches of calls, as far as they tell whose the results are: the exchange that creates one, and
//! those that ask after one, whose answers name the files that hold its results.
//!
//! The shapes are those of the providers' own SDKs: OpenAI's `Batch` (openai 3.54.0), Anthropic's
//! `MessageBatch` (anthropic 2.12.0) and Mistral's `BatchJob` (mistralai 3.7.0).

#[cfg(test)]
mod tests;

use super::aside::Seen;
use super::form::inside;
use super::json::{Scanner, Token};
use super::request::name_of;
use super::route::endpoint;
use crate::http::coding::Decoder;
use crate::http::{Credential, Method, RequestHead, ResponseHead};
use crate::units::Timestamp;

/// Longest answer that is read, in bytes: a page of batches with all the metadata that they may have.
const MAX_BODY: usize = 1024 * 1024;
/// Most batches that are taken from one answer: OpenAI's largest page.
const MAX_BATCHES: usize = 100;
/// Most files that one batch has: of results and of errors.
const MAX_FILES: usize = 2;

/// How batches look at some provider, and at everybody who speaks its form.
#[derive(Debug)]
struct Form {
    /// Whose results these are where the host tells nothing: as with the calls among them.
    maker: &'static str,
    /// The end of the path at which batches are created and listed. What is below it is one of them.
    path: &'static str,
    /// The key that says what an object is, and what it says of a batch.
    mark: (&'static str, &'static str),
    /// The keys that name files of results. Without any, the path of the results names the batch.
    files: &'static [&'static str],
}

const OPENAI: Form = Form {
    maker: "openai",
    path: "/v1/batches",
    mark: ("object", "batch"),
    files: &["output_file_id", "error_file_id"],
};

const FORMS: &[Form] = &[
    OPENAI,
    // Azure's older path.
    Form { path: "/openai/batches", ..OPENAI },
    // Mistral's. Its results have OpenAI's form.
    Form { path: "/v1/batch/jobs", files: &["output_file", "error_file"], ..OPENAI },
    Form {
        maker: "anthropic",
        path: "/v1/messages/batches",
        mark: ("type", "message_batch"),
        files: &[],
    },
];

/// The outermost keys of an answer that are looked at, whatever its form.
const KEYS: &[&str] = &[
    "data",
    "error_file",
    "error_file_id",
    "id",
    "object",
    "output_file",
    "output_file_id",
    "type",
];

/// What the two ends of a connection said of a batch. Claims, all of it: who speaks on a connection
/// can name any host as the one that it speaks to, and make up any answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchNews {
    /// When the request's first byte was seen.
    pub time: Timestamp,
    /// Whose batch it is, as [`ModelCall::provider`](super::ModelCall::provider) of its results.
    pub provider: &'static str,
    /// What the request's `Host` says.
    pub host: String,
    /// The batch.
    pub id: String,
    /// It was created by this exchange; else it was asked after.
    pub created: bool,
    /// The files that hold its results, as far as there are any. At most two.
    pub files: Vec<String>,
    /// What is known of the credential that the request carried.
    pub credential: Option<Credential>,
}

/// One exchange as it goes on.
#[derive(Debug)]
pub(super) struct BatchReader {
    form: &'static Form,
    created: bool,
    provider: &'static str,
    host: String,
    answer: Option<Answer>,
    /// The answer is a refusal, too long, or part of it is missing: nothing comes of it.
    broken: bool,
}

#[derive(Debug)]
struct Answer {
    decoder: Decoder,
    scanner: Scanner,
    taken: usize,
    /// Every object that may be a batch. At most [`MAX_BATCHES`] and the one around them.
    said: Vec<Said>,
}

/// What an object of the answer says.
#[derive(Debug, Default)]
struct Said {
    is_batch: bool,
    id: Option<String>,
    files: Vec<String>,
    /// Something is said twice, so that it may mean either.
    contradictory: bool,
}

impl BatchReader {
    /// A reader for an exchange that begins so, if it may be about a batch.
    pub(super) fn of(head: &RequestHead) -> Option<Self> {
        let (form, created) = FORMS.iter().find_map(|form| Some((form, form.creates(head)?)))?;
        let host = head.host.clone()?;
        let provider = endpoint(&host).map_or(form.maker, |endpoint| endpoint.provider);
        Some(Self { form, created, provider, host, answer: None, broken: false })
    }

    /// The answer began.
    pub(super) fn response(&mut self, head: &ResponseHead) {
        self.broken |= !(200..300).contains(&head.status);
        self.answer = Some(Answer {
            decoder: Decoder::new(&head.body.coding),
            scanner: Scanner::only(KEYS),
            taken: 0,
            said: Vec::new(),
        });
    }

    /// Part of the answer came.
    pub(super) fn feed(&mut self, data: &[u8]) {
        if let Some(answer) = self.answer.as_mut().filter(|_| !self.broken) {
            self.broken = answer.feed(data, self.form).is_none();
        }
    }

    /// Bytes of the answer are missing: what is left can't be trusted to be said of the same batch.
    pub(super) const fn lose(&mut self) {
        self.broken = true;
    }

    /// Whether something can still come of it.
    pub(super) const fn needs_answer(&self) -> bool {
        !self.broken
    }

    /// The bytes held back.
    pub(super) fn footprint(&self) -> usize {
        self.answer.as_ref().map_or(0, |answer| {
            let said = answer.said.iter().flat_map(|said| said.id.iter().chain(&said.files));
            answer.scanner.footprint() + said.map(String::len).sum::<usize>()
        })
    }

    /// What was said of each batch, once the exchange is over.
    pub(super) fn finish(self, seen: &Seen<'_>) -> Vec<BatchNews> {
        let Self { created, provider, host, answer, broken, form: _ } = self;
        let answer = answer.filter(|answer| !broken && answer.scanner.is_whole());
        let mut said = answer.map(|answer| answer.said).unwrap_or_default();
        if created {
            said.truncate(1);
        }
        let credential = seen.head.and_then(|head| head.credential.as_deref());
        let news = said.into_iter().filter_map(|said| {
            let sure = said.is_batch && !said.contradictory;
            Some(BatchNews {
                time: seen.started,
                provider,
                host: host.clone(),
                id: said.id.filter(|_| sure)?,
                created,
                files: said.files,
                credential: credential.cloned(),
            })
        });
        news.collect()
    }
}

impl Form {
    /// Whether a request that begins so creates a batch; `None` if it isn't about any.
    fn creates(&self, head: &RequestHead) -> Option<bool> {
        let path = head.path.trim_end_matches('/');
        if path.ends_with(self.path) {
            return match head.method {
                Method::Post => Some(true),
                Method::Get => self.tells(),
                Method::Head | Method::Connect | Method::Other => None,
            };
        }
        let (above, below) = path.rsplit_once('/')?;
        match (head.method, below) {
            (Method::Get, _) if above.ends_with(self.path) => self.tells(),
            (Method::Post, "cancel") if above.rsplit_once('/')?.0.ends_with(self.path) => {
                self.tells()
            }
            _ => None,
        }
    }

    /// An exchange that creates nothing is of use if it may name files.
    const fn tells(&self) -> Option<bool> {
        if self.files.is_empty() { None } else { Some(false) }
    }
}

impl Answer {
    /// Takes part of the body, if it can be read.
    fn feed(&mut self, data: &[u8], form: &Form) -> Option<()> {
        let Self { decoder, scanner, taken, said } = self;
        let mut fits = true;
        let decoded = decoder.feed(data, |plain| {
            *taken = taken.saturating_add(plain.len());
            fits &= *taken <= MAX_BODY;
            if fits {
                scanner.feed(plain, |path, token| fits &= read(said, form, path, token).is_some());
            }
        });
        (decoded.is_ok() && fits).then_some(())
    }
}

/// Takes a value of the answer, which is a batch or has a list of them; `None` if they are too many.
fn read(said: &mut Vec<Said>, form: &Form, path: &str, token: Token<'_>) -> Option<()> {
    let key = inside(path, "data[]").unwrap_or(path);
    match token {
        Token::Begin if key.is_empty() => {
            (said.len() <= MAX_BATCHES).then(|| said.push(Said::default()))
        }
        Token::Text(text) => {
            // What stands in the object around the list is said of that one.
            let listed = key.len() != path.len();
            let object = if listed { said.last_mut() } else { said.first_mut() };
            object.into_iter().for_each(|object| object.read(form, key, text));
            Some(())
        }
        Token::Begin | Token::Count(_) | Token::Flag(_) | Token::Number(_) | Token::Other => {
            Some(())
        }
    }
}

impl Said {
    fn read(&mut self, form: &Form, key: &str, text: &str) {
        let (mark, batch) = form.mark;
        if key == mark {
            self.is_batch = text == batch;
        } else if key == "id" {
            self.contradictory |= self.id.is_some();
            self.id = name_of(text);
        } else if form.files.contains(&key)
            && let Some(file) = name_of(text)
        {
            self.contradictory |= self.files.len() == MAX_FILES;
            self.files.truncate(MAX_FILES - 1);
            self.files.push(file);
        }
    }
}
