//! Watches one HTTP exchange from its client's end and says when it is over whether it was a
//! model call, and which.

use super::form::{self, Form};
use super::host::{api_at, maker_of, provider_of};
use super::json::{Scanner, Token};
use super::request::Question;
use super::{Api, CallState, Countable, ModelCall};
use crate::http::coding::Decoder;
use crate::http::sse::Splitter;
use crate::http::{BodyKind, Ending, Method, RequestHead, ResponseHead, Side};
use crate::units::{ConnectionId, Role, Timestamp};

const ALL: [Api; 4] = [Api::ChatCompletions, Api::Responses, Api::Embeddings, Api::Messages];

/// One exchange as it goes on.
#[derive(Debug)]
pub struct Exchange {
    connection: ConnectionId,
    ordinal: u64,
    head: Option<RequestHead>,
    question: Option<Question>,
    response: Option<Response>,
    started: Timestamp,
    first_output: Option<Timestamp>,
    latest: Timestamp,
    lost_bytes: u64,
}

/// The answer as it comes.
#[derive(Debug)]
struct Response {
    status: u16,
    body: Body,
    decoder: Decoder,
    /// Readers of every form that the answer could have.
    forms: Vec<Box<dyn Form>>,
    /// Part of it could not be read.
    damaged: bool,
}

#[derive(Debug)]
enum Body {
    /// Its first byte will tell.
    Unknown,
    Json(Scanner),
    Events {
        splitter: Splitter,
        scanner: Scanner,
        /// `data: [DONE]` has come.
        done: bool,
    },
    /// Nothing that a model call would have.
    Dull,
}

impl Exchange {
    /// An exchange that begins now. `head` is missing where the request was not seen.
    #[must_use]
    pub fn new(
        connection: ConnectionId,
        ordinal: u64,
        head: Option<RequestHead>,
        now: Timestamp,
    ) -> Self {
        let question = head.as_ref().filter(|head| may_ask(head)).map(Question::new);
        Self {
            connection,
            ordinal,
            head,
            question,
            response: None,
            started: now,
            first_output: None,
            latest: now,
            lost_bytes: 0,
        }
    }

    /// Whether this can't be a model call any more.
    #[must_use]
    pub fn is_dull(&self) -> bool {
        match &self.response {
            Some(response) => matches!(response.body, Body::Dull) && response.status < 400,
            None => self.head.is_some() && self.question.is_none(),
        }
    }

    /// The answer began.
    pub fn response(&mut self, head: &ResponseHead, now: Timestamp) {
        self.latest = now;
        let forms = self.forms();
        let body = match head.body.kind {
            _ if forms.is_empty() => Body::Dull,
            BodyKind::Json => Body::Json(Scanner::default()),
            BodyKind::EventStream => Body::events(),
            BodyKind::Unsaid => Body::Unknown,
            BodyKind::Other => Body::Dull,
        };
        let decoder = Decoder::new(&head.body.coding);
        self.response =
            Some(Response { status: head.status, body, decoder, forms, damaged: false });
    }

    /// Part of a body came.
    pub fn body(&mut self, side: Side, data: &[u8], now: Timestamp) {
        self.latest = now;
        match side {
            Side::Request => {
                if let Some(question) = &mut self.question {
                    question.feed(data);
                }
            }
            Side::Response => {
                if let Some(response) = &mut self.response {
                    response.feed(data);
                    if self.first_output.is_none() && response.has_output() {
                        self.first_output = Some(now);
                    }
                }
            }
        }
    }

    /// Bytes are missing here.
    pub fn lose(&mut self, side: Side, bytes: u64) {
        self.lost_bytes = self.lost_bytes.saturating_add(bytes);
        match side {
            Side::Request => {
                if let Some(question) = &mut self.question {
                    question.lose();
                }
            }
            Side::Response => {
                if let Some(response) = &mut self.response {
                    response.lose();
                }
            }
        }
    }

    /// Bytes held back, about.
    #[must_use]
    pub fn footprint(&self) -> usize {
        let question = self.question.as_ref().map_or(0, Question::footprint);
        question + self.response.as_ref().map_or(0, Response::footprint)
    }

    /// The answer ended. Says what call it was, if it was one.
    #[must_use]
    pub fn finish(mut self, ending: Ending, now: Timestamp) -> Option<ModelCall> {
        let form = self.response.as_mut().and_then(Response::take_form);
        let said = self.question.as_ref().map(|question| &question.said);
        let provider = self.host().and_then(provider_of);
        let api = match (&form, self.expected()) {
            (Some(form), _) if form.answer().recognised => form.api(),
            (_, Some(api)) if said.is_some_and(|said| said.suits(api)) => api,
            (_, Some(api)) if said.is_some() && provider.is_some() => api,
            _ => return None,
        };
        let state = self.state(form.as_deref(), ending);
        let mut call = ModelCall {
            connection: self.connection,
            ordinal: self.ordinal,
            role: Role::Client,
            provider: provider.unwrap_or(maker_of(api)),
            api,
            host: self.host().map(str::to_owned),
            model_requested: said.and_then(|said| said.model.clone()),
            model_served: None,
            status: self.response.as_ref().map(|response| response.status),
            streamed: self.is_stream() || said.is_some_and(|said| said.stream),
            state,
            usage: None,
            countable: None,
            response_id: None,
            error_type: None,
            service_tier: None,
            credential: self.head.as_ref().and_then(|head| head.credential.clone()),
            started: self.started,
            first_output: self.first_output,
            ended: if ending == Ending::Whole { now } else { self.latest },
            lost_bytes: self.lost_bytes,
        };
        if let Some(form) = form {
            self.add_answer(&mut call, form.as_ref());
        }
        Some(call)
    }

    /// Adds what the answer said, and the text to count if it didn't say all of its usage.
    fn add_answer(self, call: &mut ModelCall, form: &dyn Form) {
        let answer = form.answer();
        call.model_served.clone_from(&answer.model);
        call.response_id.clone_from(&answer.response_id);
        call.error_type.clone_from(&answer.error_type);
        call.service_tier.clone_from(&answer.service_tier);
        call.usage = form.usage();
        let refused = call.status.is_none_or(|status| status >= 400)
            || call.state == CallState::Error && answer.text.expose().is_empty();
        let final_usage = answer.finished
            || answer.failed
            || self.response.as_ref().is_some_and(Response::is_over);
        if refused || call.usage.is_some() && final_usage {
            return;
        }
        let mut text = match (call.usage, self.question) {
            (None, Some(question)) => question.into_countable(),
            (None, None) => Countable { cut: true, ..Countable::default() },
            (Some(_), _) => Countable::default(),
        };
        text.cut |= answer.text_cut || call.state != CallState::Complete;
        text.output = answer.text.clone();
        call.countable = Some(text);
    }

    /// The form that was asked for, by the path.
    fn expected(&self) -> Option<Api> {
        api_at(&self.head.as_ref()?.path)
    }

    fn is_stream(&self) -> bool {
        let body = self.response.as_ref().map(|response| &response.body);
        matches!(body, Some(Body::Events { .. }))
    }

    fn host(&self) -> Option<&str> {
        self.head.as_ref()?.host.as_deref()
    }

    /// A reader for each form that the answer could have, by what was asked.
    fn forms(&self) -> Vec<Box<dyn Form>> {
        let expected = self.expected();
        let candidates: &[Api] = match (&self.head, &self.question, &expected) {
            (Some(_), Some(_), Some(api)) => std::slice::from_ref(api),
            (Some(_), Some(question), None)
                if question.said.is_question() || !question.is_whole() =>
            {
                &ALL
            }
            (None, _, _) => &ALL,
            (Some(_), _, _) => &[],
        };
        let cache_ttl_1h =
            self.question.as_ref().is_some_and(|question| question.said.cache_ttl_1h);
        candidates.iter().map(|&api| form::reader(api, cache_ttl_1h)).collect()
    }

    fn state(&self, form: Option<&dyn Form>, ending: Ending) -> CallState {
        let Some(response) = &self.response else {
            return if ending == Ending::Lost { CallState::Truncated } else { CallState::Aborted };
        };
        let failed = form.is_some_and(|form| form.answer().failed);
        if response.status >= 400 || failed {
            return CallState::Error;
        }
        let dropped = match &response.body {
            Body::Events { splitter, .. } => splitter.dropped() > 0,
            Body::Unknown | Body::Json(_) | Body::Dull => false,
        };
        if response.damaged || dropped || ending == Ending::Lost {
            return CallState::Truncated;
        }
        let finished = form.is_some_and(|form| form.answer().finished);
        let complete = match &response.body {
            Body::Events { .. } => finished || response.is_over(),
            Body::Json(_) => response.is_over(),
            Body::Unknown | Body::Dull => ending == Ending::Whole,
        };
        if complete { CallState::Complete } else { CallState::Aborted }
    }
}

/// Whether a request could be a model call, by its head alone.
const fn may_ask(head: &RequestHead) -> bool {
    matches!(head.method, Method::Post)
        && matches!(head.body.kind, BodyKind::Json | BodyKind::Unsaid)
}

impl Body {
    fn events() -> Self {
        Self::Events { splitter: Splitter::default(), scanner: Scanner::default(), done: false }
    }

    fn feed(&mut self, plain: &[u8], forms: &mut [Box<dyn Form>]) {
        if matches!(self, Self::Unknown) {
            match plain.trim_ascii_start().first() {
                Some(b'{' | b'[') => *self = Self::Json(Scanner::default()),
                Some(_) => *self = Self::events(),
                None => {}
            }
        }
        let mut read = |path: &str, token: Token<'_>| {
            for form in forms.iter_mut() {
                form.read(path, token);
            }
        };
        match self {
            Self::Unknown | Self::Dull => {}
            Self::Json(scanner) => scanner.feed(plain, read),
            Self::Events { splitter, scanner, done } => splitter.feed(plain, |data| {
                if data == b"[DONE]" {
                    *done = true;
                } else {
                    scanner.restart();
                    scanner.feed(data, &mut read);
                }
            }),
        }
    }

    fn lose(&mut self) {
        match self {
            Self::Unknown | Self::Dull => {}
            Self::Json(scanner) => scanner.lose(),
            Self::Events { splitter, .. } => splitter.lose(),
        }
    }

    fn footprint(&self) -> usize {
        match self {
            Self::Unknown | Self::Dull => 0,
            Self::Json(scanner) => scanner.footprint(),
            Self::Events { splitter, .. } => splitter.footprint(),
        }
    }
}

impl Response {
    fn feed(&mut self, data: &[u8]) {
        let (body, forms) = (&mut self.body, &mut self.forms);
        if self.decoder.feed(data, |plain| body.feed(plain, forms)).is_err() {
            self.damaged |= !matches!(self.body, Body::Dull);
        }
    }

    fn lose(&mut self) {
        self.decoder.lose();
        self.body.lose();
        self.damaged |= !matches!(self.body, Body::Dull);
    }

    /// Whether the caller has something: for a stream the first of its output, not its preamble.
    fn has_output(&self) -> bool {
        match self.body {
            Body::Unknown => false,
            Body::Json(_) | Body::Dull => true,
            Body::Events { .. } => {
                self.forms.iter().any(|form| !form.answer().text.expose().is_empty())
            }
        }
    }

    fn footprint(&self) -> usize {
        let text = self.forms.iter().map(|form| form.answer().text.expose().len());
        self.body.footprint() + text.sum::<usize>()
    }

    /// Whether its own last word was read.
    fn is_over(&self) -> bool {
        match &self.body {
            Body::Json(scanner) => scanner.is_whole(),
            Body::Events { done, .. } => *done,
            Body::Unknown | Body::Dull => false,
        }
    }

    /// The reader that has recognised its form, else the one for the form that was asked for.
    fn take_form(&mut self) -> Option<Box<dyn Form>> {
        let recognised = self.forms.iter().position(|form| form.answer().recognised);
        let chosen = recognised.or((self.forms.len() == 1).then_some(0))?;
        Some(self.forms.swap_remove(chosen))
    }
}
