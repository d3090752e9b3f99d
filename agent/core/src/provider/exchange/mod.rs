//! Watches one HTTP exchange from its client's end and says when it is over whether it was a
//! model call, and which.

mod body;
mod response;

use self::body::Body;
use self::response::Response;
use super::form::{self, Answer, Asked, Form};
use super::request::{Question, Said};
use super::route::{Endpoint, Route, Verb, endpoint, route};
use super::{Api, CallState, Countable, ModelCall, PriceContext};
use crate::http::{BodyKind, Ending, Method, RequestHead, ResponseHead, Side};
use crate::units::{ConnectionId, Role, Timestamp};

/// The forms that an answer is read as where nothing of the request tells.
const ALL: &[Api] = &[Api::ChatCompletions, Api::Responses, Api::Embeddings, Api::Messages];

/// One exchange as it goes on.
#[derive(Debug)]
pub struct Exchange {
    connection: ConnectionId,
    ordinal: u64,
    head: Option<RequestHead>,
    endpoint: Option<Endpoint>,
    /// What is asked, by the path.
    route: Option<Route>,
    question: Option<Question>,
    response: Option<Response>,
    started: Timestamp,
    first_output: Option<Timestamp>,
    latest: Timestamp,
    lost_bytes: u64,
    /// How many calls have come of it, and the latest that have not been taken.
    made: u64,
    ready: Vec<ModelCall>,
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
        let route = head.as_ref().and_then(|head| route(verb(head)?, &head.path));
        let asks = head.as_ref().filter(|head| may_ask(head));
        let question = asks.map(Question::new);
        Self {
            connection,
            ordinal,
            endpoint: head.as_ref().and_then(|head| endpoint(head.host.as_deref()?)),
            route,
            head,
            question,
            response: None,
            started: now,
            first_output: None,
            latest: now,
            lost_bytes: 0,
            made: 0,
            ready: Vec::new(),
        }
    }

    /// Whether this can't be a model call any more.
    #[must_use]
    pub fn is_dull(&self) -> bool {
        match &self.response {
            Some(response) => matches!(response.body, Body::Dull) && response.status < 400,
            None => self.head.is_some() && self.question.is_none() && self.route.is_none(),
        }
    }

    /// The answer began.
    pub fn response(&mut self, head: &ResponseHead, now: Timestamp) {
        self.latest = now;
        let forms = self.forms();
        self.response = Some(Response::new(head, forms));
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
                self.take_ended();
            }
        }
    }

    /// The calls that have come of it so far and were not taken yet.
    pub fn take_ready(&mut self) -> Vec<ModelCall> {
        std::mem::take(&mut self.ready)
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
                    response.lose(bytes);
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

    /// The exchange is over. Says what calls have come of it that were not taken yet.
    #[must_use]
    pub fn finish(mut self, ending: Ending, now: Timestamp) -> Vec<ModelCall> {
        if ending == Ending::Whole {
            self.latest = now;
        }
        if let Some(response) = &mut self.response {
            response.end();
        }
        self.take_ended();
        let form = self.response.as_mut().and_then(Response::take_form);
        let several = form.as_ref().and_then(|form| form.several());
        if several.is_none_or(|several| several.begun)
            && let Some(call) = self.last_call(form.as_deref(), ending)
        {
            self.ready.push(call);
        }
        self.ready
    }

    /// The call whose answer was going on when the exchange ended, if it is one.
    fn last_call(&mut self, form: Option<&dyn Form>, ending: Ending) -> Option<ModelCall> {
        let said = self.question.as_ref().map(|question| &question.said);
        let api = match (form, &self.route) {
            (Some(form), _) if form.answer().recognised => form.api(),
            (_, Some(route)) if said.is_some_and(|said| said.suits(route.api)) => route.api,
            (_, Some(route)) if said.is_some() && self.endpoint.is_some() => route.api,
            _ => return None,
        };
        let mut call = self.call(api, self.state(form, ending));
        let Some(form) = form else { return Some(call) };
        call.usage = form.usage();
        add_answer(&mut call, form.answer());
        if let Some(failure) = self.response.as_ref().and_then(|response| response.body.failure()) {
            call.error_type = failure.error_type.clone().or(call.error_type);
        }
        self.add_text(&mut call, form.answer());
        Some(call)
    }

    /// Makes calls of the answers that have ended while the exchange goes on.
    fn take_ended(&mut self) {
        let Some(response) = &mut self.response else { return };
        let mut ended = Vec::new();
        for form in &mut response.forms {
            while let Some((answer, usage)) = form.next() {
                ended.push((form.api(), answer, usage));
            }
        }
        for (api, answer, usage) in ended {
            let state = if answer.failed { CallState::Error } else { CallState::Complete };
            let mut call = self.call(api, state);
            call.usage = usage;
            add_answer(&mut call, &answer);
            self.ready.push(call);
        }
    }

    /// A call of this exchange, without what its answer says.
    fn call(&mut self, api: Api, state: CallState) -> ModelCall {
        let index = self.made;
        self.made += 1;
        let said = self.question.as_ref().map(|question| &question.said);
        let named = self.route.as_ref().and_then(|route| route.model.clone());
        let endpoint = self.endpoint.as_ref();
        ModelCall {
            connection: self.connection,
            ordinal: self.ordinal,
            index,
            role: Role::Client,
            provider: endpoint.map_or(api.maker(), |endpoint| endpoint.provider),
            api,
            host: self.head.as_ref().and_then(|head| head.host.clone()),
            model_requested: named
                .or_else(|| said.and_then(|said| said.model.clone()))
                .or_else(|| self.head.as_ref()?.query_model.clone()),
            model_served: None,
            status: self.response.as_ref().map(|response| response.status),
            streamed: self.is_stream() || said.is_some_and(|said| said.stream),
            state,
            usage: None,
            context: PriceContext {
                region: endpoint.and_then(|endpoint| endpoint.region.clone()),
                ..PriceContext::default()
            },
            max_output: said.and_then(Said::most_output),
            retrieved: self.route.as_ref().is_some_and(|route| route.verb == Verb::Retrieve),
            countable: None,
            response_id: None,
            error_type: None,
            credential: self.head.as_ref().and_then(|head| head.credential.as_deref().cloned()),
            hints: self.head.as_ref().map(|head| (*head.hints).clone()).unwrap_or_default(),
            started: self.started,
            first_output: self.first_output,
            ended: self.latest,
            lost_bytes: self.lost_bytes,
        }
    }

    /// Adds the text to count where the answer didn't say all of its usage.
    fn add_text(&mut self, call: &mut ModelCall, answer: &Answer) {
        let refused = call.status.is_none_or(|status| status >= 400)
            || call.state == CallState::Error && answer.text.expose().is_empty();
        let final_usage = answer.finished
            || call.state == CallState::Error
            || self.response.as_ref().is_some_and(|response| response.body.is_over());
        if refused || call.usage.is_some() && final_usage {
            return;
        }
        let mut text = match (&call.usage, self.question.take()) {
            (None, Some(question)) => question.into_countable(),
            (None, None) => Countable { cut: true, input_open: true, ..Countable::default() },
            (Some(_), _) => Countable::default(),
        };
        text.cut |= answer.text_cut || call.state != CallState::Complete;
        text.output = answer.text.clone();
        call.countable = Some(text);
    }

    fn is_stream(&self) -> bool {
        self.response.as_ref().is_some_and(|response| response.body.is_stream())
    }

    /// A reader for each form that the answer could have, by what was asked.
    fn forms(&self) -> Vec<Box<dyn Form>> {
        let candidates: &[Api] = match (&self.head, &self.question, &self.route) {
            (Some(_), _, Some(route)) => std::slice::from_ref(&route.api),
            (Some(_), Some(question), None)
                if question.said.is_question() || !question.is_whole() =>
            {
                ALL
            }
            (None, _, _) => ALL,
            (Some(_), _, _) => &[],
        };
        let said = self.question.as_ref().map(|question| &question.said);
        let asked = Asked { cache_ttl_1h: said.is_some_and(|said| said.cache_ttl_1h) };
        candidates.iter().filter_map(|&api| form::reader(api, &asked)).collect()
    }

    fn state(&self, form: Option<&dyn Form>, ending: Ending) -> CallState {
        let Some(response) = &self.response else {
            return if ending == Ending::Lost { CallState::Truncated } else { CallState::Aborted };
        };
        let body = &response.body;
        let failed = form.is_some_and(|form| form.answer().failed) || body.failure().is_some();
        if response.status >= 400 || failed {
            return CallState::Error;
        }
        if response.damaged || body.dropped() > 0 || ending == Ending::Lost {
            return CallState::Truncated;
        }
        let finished = form.is_some_and(|form| form.answer().finished);
        let complete = match body {
            Body::Events { .. } | Body::Lines { .. } | Body::Amazon { .. } => {
                finished || body.is_over()
            }
            Body::Json(_) => body.is_over(),
            Body::Unknown | Body::Dull => ending == Ending::Whole,
        };
        if complete { CallState::Complete } else { CallState::Aborted }
    }
}

/// What the answer says beside its usage.
fn add_answer(call: &mut ModelCall, answer: &Answer) {
    call.model_served.clone_from(&answer.model);
    call.response_id.clone_from(&answer.response_id);
    call.error_type.clone_from(&answer.error_type);
    let region = answer.context.region.clone().or(call.context.region.take());
    call.context = PriceContext { region, ..answer.context.clone() };
}

/// What a request could want, by its head alone.
const fn verb(head: &RequestHead) -> Option<Verb> {
    match head.method {
        Method::Post => Some(Verb::Ask),
        Method::Get => Some(Verb::Retrieve),
        Method::Head | Method::Connect | Method::Other => None,
    }
}

/// Whether a request could be a model call, by its head alone.
const fn may_ask(head: &RequestHead) -> bool {
    matches!(head.method, Method::Post)
        && matches!(head.body.kind, BodyKind::Json | BodyKind::Unsaid)
}
