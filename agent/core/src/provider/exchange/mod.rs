//! Watches one HTTP exchange from its client's end and says when it is over whether it was a
//! model call, and which.

mod body;
mod response;
mod text;

use std::slice;

use self::body::Body;
use self::response::Response;
use super::aside::{Aside, Outcome, Seen};
use super::form::{self, Answer, Asked, Form};
use super::request::{Question, Said};
use super::route::{Endpoint, Route, Verb, endpoint, route};
use super::{Api, CallState, ModelCall, PriceContext, Usage};
use crate::http::{BodyKind, Ending, Method, Remarks, RequestHead, ResponseHead, Side};
use crate::units::{ConnectionId, Role, Timestamp, Tokens, Unit};

/// The forms that an answer is read as where only the question's body tells that there is one.
const ALL: &[Api] =
    &[Api::ChatCompletions, Api::Completions, Api::Responses, Api::Embeddings, Api::Messages];
/// The same where the question is one of Gemini's.
const GEMINI: &[Api] = &[Api::GenerateContent];
/// The same where the request was not seen.
const UNSEEN: &[Api] = &[
    Api::ChatCompletions,
    Api::Completions,
    Api::Responses,
    Api::Embeddings,
    Api::Messages,
    Api::GenerateContent,
    Api::OllamaChat,
    Api::Converse,
];

/// The forms that a session is read as where nothing of the request tells.
const SESSIONS: &[Api] = &[Api::Responses, Api::Realtime, Api::Live];

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
    /// What it may be beside a model call.
    aside: Option<Aside>,
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
        let asks = head.as_ref().filter(|head| may_ask(head, route.as_ref()));
        let question = asks.map(|head| Question::new(head, route.as_ref().map(|route| route.api)));
        let endpoint = head.as_ref().and_then(|head| endpoint(head.host.as_deref()?));
        let is_model = route.is_some() || endpoint.is_some();
        Self {
            connection,
            ordinal,
            endpoint,
            route,
            aside: head.as_ref().and_then(|head| Aside::of(head, is_model)),
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

    /// Whether nothing of use can come of this any more.
    #[must_use]
    pub fn is_dull(&self) -> bool {
        if self.aside.as_ref().is_some_and(Aside::needs_answer) {
            return false;
        }
        match &self.response {
            Some(response) => {
                matches!(response.body, Body::Dull) && response.status < 400 && !self.is_of_sound()
            }
            None => {
                let unasked = self.question.is_none() && self.route.is_none();
                self.head.as_ref().is_some_and(|head| unasked && !head.websocket)
            }
        }
    }

    /// The answer began.
    pub fn response(&mut self, head: &ResponseHead, now: Timestamp) {
        self.latest = now;
        if let Some(aside) = &mut self.aside {
            aside.response(head);
        }
        self.response = Some(match head.websocket {
            Some(_) => {
                let known = self.route.is_some() && self.endpoint.is_some();
                Response::session(head, self.session_forms(), known)
            }
            None => {
                let mut response = Response::new(head, self.forms());
                if self.is_of_results() {
                    response.expect_results();
                }
                response
            }
        });
    }

    /// Part of a body came.
    pub fn body(&mut self, side: Side, data: &[u8], now: Timestamp) {
        self.latest = now;
        if let Some(aside) = &mut self.aside {
            aside.feed(side, data);
        }
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
                self.take_ended(None);
            }
        }
    }

    /// The request ended.
    pub fn request_ended(&mut self, ending: Ending) {
        if let Some(aside) = &mut self.aside {
            aside.request_ended(ending);
        }
    }

    /// What has come of it beside calls, once that is known, or as far as it is if it is `over`. To
    /// be asked before it is finished.
    pub fn take_outcome(&mut self, over: bool) -> Option<Outcome> {
        let aside = self.aside.take_if(|aside| over || aside.is_over())?;
        aside.finish(&Seen {
            connection: self.connection,
            ordinal: self.ordinal,
            started: self.started,
            head: self.head.as_ref(),
        })
    }

    /// A message of a session came; `text` is absent if it could not be read.
    pub fn message(&mut self, side: Side, text: Option<&[u8]>, now: Timestamp) {
        self.latest = now;
        if let Some(response) = &mut self.response {
            response.message(side, text, now);
        }
        self.take_ended(None);
    }

    /// The calls that have come of it so far and were not taken yet.
    pub fn take_ready(&mut self) -> Vec<ModelCall> {
        std::mem::take(&mut self.ready)
    }

    /// Bytes are missing here.
    pub fn lose(&mut self, side: Side, bytes: u64) {
        self.lost_bytes = self.lost_bytes.saturating_add(bytes);
        if let Some(aside) = &mut self.aside {
            aside.lose(side);
        }
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
        let aside = self.aside.as_ref().map_or(0, Aside::footprint);
        question + aside + self.response.as_ref().map_or(0, Response::footprint)
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
        self.take_ended(Some(ending));
        let form = self.response.as_mut().and_then(Response::take_form);
        let several = form.as_ref().and_then(|form| form.several());
        if several.is_none_or(|several| several.begun)
            && let Some(call) = self.last_call(form, ending)
        {
            self.ready.push(call);
        }
        self.ready
    }

    /// The call whose answer was going on when the exchange ended, if it is one.
    fn last_call(&mut self, form: Option<Box<dyn Form>>, ending: Ending) -> Option<ModelCall> {
        let api = match (&form, &self.route) {
            (Some(form), _) if form.answer().recognised => form.api(),
            (_, Some(route)) => self.asked_for(route)?,
            _ => return None,
        };
        let breaks_off = self.response.as_ref().is_some_and(|one| one.body.breaks_off());
        let finished = !breaks_off && form.as_deref().is_some_and(|form| is_finished(form, ending));
        let mut call = self.call(api, self.state(form.as_deref(), finished, ending));
        // What goes on in the background is a call once, when it comes to an end.
        if call.retrieved && form.as_ref().is_some_and(|form| form.answer().pending) {
            return None;
        }
        let Some(mut form) = form else { return Some(call) };
        call.usage = form.usage().or_else(|| self.asked_pieces(&call));
        add_answer(&mut call, form.answer());
        if let Some(response) = &self.response {
            add_remarks(&mut call, &response.remarks);
        }
        if let Some(failure) = self.response.as_ref().and_then(|response| response.body.failure()) {
            call.error_type = failure.error_type.clone().or(call.error_type);
        }
        self.add_text(&mut call, &mut *form, finished);
        Some(call)
    }

    /// Makes calls of the answers that have ended while the exchange goes on, or with it.
    fn take_ended(&mut self, ending: Option<Ending>) {
        let Some(response) = self.response.as_mut().filter(|one| !one.body.is_undecided()) else {
            return;
        };
        let mut ended = Vec::new();
        for form in &mut response.forms {
            while let Some((answer, usage)) = form.next() {
                ended.push((form.api(), answer, usage));
            }
        }
        for (api, mut answer, usage) in ended {
            let mut call = self.call(api, state_of(&answer, ending));
            call.usage = usage;
            call.status = answer.status.or(call.status);
            add_answer(&mut call, &answer);
            if let Some(turn) = answer.turn.take() {
                turn.complete(&mut call, answer);
                // What was lost in a session is told of once.
                self.lost_bytes = 0;
            }
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
                .or_else(|| self.head.as_ref()?.query_model.clone())
                .or_else(|| said.and_then(|said| said.agent.clone())),
            model_served: None,
            status: self.response.as_ref().map(|response| response.status),
            streamed: self.is_stream() || self.asks_for_stream(api),
            state,
            usage: None,
            context: PriceContext {
                region: endpoint.and_then(|endpoint| endpoint.region.clone()),
                service_tier: self
                    .response
                    .as_ref()
                    .and_then(|answer| answer.remarks.service_tier.clone()),
                spilled_over: self
                    .response
                    .as_ref()
                    .is_some_and(|answer| answer.remarks.spilled_over),
                ..PriceContext::default()
            },
            max_output: said.and_then(Said::most_output),
            retrieved: self.reads_back(),
            result_of: self.route.as_ref().and_then(Route::result_of),
            countable: None,
            sample: None,
            response_id: None,
            error_type: None,
            request_fp: self.question.as_ref().and_then(Question::fingerprint),
            step_fp: self.question.as_ref().and_then(Question::step),
            credential: self.head.as_ref().and_then(|head| head.credential.as_deref().cloned()),
            hints: self.head.as_ref().map(|head| (*head.hints).clone()).unwrap_or_default(),
            started: self.started,
            first_output: self.first_output,
            ended: self.latest,
            lost_bytes: self.lost_bytes,
        }
    }

    /// Whether a stream was asked for.
    fn asks_for_stream(&self, api: Api) -> bool {
        let said = self.question.as_ref().map(|question| &question.said);
        said.is_some_and(|said| said.asks_for_stream(api))
            || self.route.as_ref().is_some_and(|route| route.streamed)
    }

    fn is_stream(&self) -> bool {
        self.response.as_ref().is_some_and(|response| response.body.is_stream())
    }

    /// The form that was asked for at `route`, if it is a model call that was asked for.
    fn asked_for(&self, route: &Route) -> Option<Api> {
        let question = self.question.as_ref().filter(|_| route.verb == Verb::Ask)?;
        let said = &question.said;
        let suits = |api: &Api| said.suits(*api) || route.model.is_some() && said.has_shape(*api);
        let here = route.apis();
        // Where several forms are spoken, so may others be that are none of ours.
        let certain = route.also.is_empty() || !question.is_whole();
        let known = self.endpoint.as_ref().is_some_and(|endpoint| {
            !route.api.is_self_hosted() || endpoint.provider == route.api.maker()
        });
        here.clone().find(suits).or_else(|| (known && certain).then_some(route.api))
    }

    /// What is billed by the piece and said by the question only: what was to be spoken, and how
    /// many images were to be made.
    fn asked_pieces(&self, call: &ModelCall) -> Option<Usage> {
        let question = self.question.as_ref().filter(|question| question.is_whole())?;
        let (unit, count) = match call.api {
            Api::Speech if call.status.is_some_and(|status| status < 400) => {
                (Unit::Character, question.said.characters?)
            }
            Api::Images if call.state == CallState::Complete => {
                (Unit::Image, question.said.wanted.unwrap_or(1))
            }
            _ => return None,
        };
        let mut usage = Usage::default();
        usage.counts.set(unit, count);
        Some(usage)
    }

    /// Whether the answer may be sound, or text that was heard in it: no JSON, and yet wanted.
    fn is_of_sound(&self) -> bool {
        let route = self.route.as_ref();
        route.is_some_and(|route| matches!(route.api, Api::Speech | Api::Transcriptions))
    }

    /// Whether what an earlier call has come to is read.
    fn reads_back(&self) -> bool {
        self.route.as_ref().is_some_and(|route| match route.verb {
            Verb::Retrieve | Verb::Cancel | Verb::Results => true,
            Verb::Ask | Verb::Converse => false,
        })
    }

    /// Whether the answer may be the results of a batch.
    fn is_of_results(&self) -> bool {
        self.route.as_ref().is_some_and(|route| route.verb == Verb::Results)
    }

    /// A reader for each form that the answer could have, by what was asked.
    fn forms(&self) -> Vec<Box<dyn Form>> {
        let said = self.question.as_ref().map(|question| &question.said);
        let named = self.route.as_ref();
        let is_sure = named.is_some_and(|route| self.asked_for(route).is_some());
        // Where a path says one thing and a body another, the answer tells.
        let looks_like: &[Api] = match (&self.head, &self.question) {
            (None, _) => UNSEEN,
            (Some(_), Some(question)) if !is_sure => match &question.said {
                said if said.is_of_gemini() => GEMINI,
                said if said.is_question() || named.is_none() && !question.is_whole() => ALL,
                _ => &[],
            },
            (Some(_), _) => &[],
        };
        let asked = Asked {
            cache_ttl: self.question.as_ref().map(Question::cache_ttl).unwrap_or_default(),
            provider: self.endpoint.as_ref().map_or("", |endpoint| endpoint.provider),
            model: said.and_then(|said| said.model.clone()),
            results: self.is_of_results(),
            unseen: self.head.is_none(),
        };
        let named: Vec<Api> = named.map(|route| route.apis().collect()).unwrap_or_default();
        let others = looks_like.iter().filter(|api| !named.contains(api));
        named.iter().chain(others).filter_map(|&api| form::reader(api, &asked)).collect()
    }

    /// A reader for each form that the session could have.
    fn session_forms(&self) -> Vec<Box<dyn Form>> {
        let candidates = self.route.as_ref().map_or(SESSIONS, |route| slice::from_ref(&route.api));
        let asked = Asked {
            provider: self.endpoint.as_ref().map_or("", |endpoint| endpoint.provider),
            model: self.head.as_ref().and_then(|head| head.query_model.clone()),
            unseen: self.head.is_none(),
            ..Asked::default()
        };
        candidates.iter().filter_map(|&api| form::session(api, &asked)).collect()
    }

    /// Whether it was not seen who was asked, or for which model if the answer doesn't say, without
    /// which nobody knows what the call costs; or the end of what was asked, which may say for how
    /// long input is to be kept in the prompt cache.
    fn misses_the_question(&self, form: Option<&dyn Form>) -> bool {
        let answered = form.is_some_and(|form| form.answer().model.is_some());
        let routed = self.route.as_ref().is_some_and(|route| route.model.is_some());
        let cut = self.question.as_ref().is_some_and(|question| {
            question.is_cut() && !self.reads_back()
                || !question.is_whole() && question.said.model.is_none() && !routed && !answered
        });
        cut || self.head.is_none()
    }

    fn state(&self, form: Option<&dyn Form>, finished: bool, ending: Ending) -> CallState {
        let Some(response) = &self.response else {
            return if ending == Ending::Lost { CallState::Truncated } else { CallState::Aborted };
        };
        let body = &response.body;
        let failed = form.is_some_and(|form| form.answer().failed) || body.failure().is_some();
        if response.status >= 400 || failed {
            return CallState::Error;
        }
        let damaged = response.damaged || body.dropped() > 0 || ending == Ending::Lost;
        if damaged || self.misses_the_question(form) {
            return CallState::Truncated;
        }
        let complete = match body {
            Body::Events { .. }
            | Body::Lines { .. }
            | Body::Amazon { .. }
            | Body::Messages { .. } => finished || body.is_over(),
            Body::Json(_) => body.is_over(),
            Body::Unknown | Body::Dull => ending == Ending::Whole,
        };
        if complete { CallState::Complete } else { CallState::Aborted }
    }
}

/// Whether the provider said that there is no more to come. What says nothing of its form, not even
/// its end, as Snowflake's older streams, has ended with its body.
fn is_finished(form: &dyn Form, ending: Ending) -> bool {
    let ended_with_body =
        || ending == Ending::Whole && !form.answer().recognised && form.usage().is_some();
    form.answer().finished || ended_with_body()
}

/// How an answer has ended that is one of several. With the exchange, if it says how that has.
fn state_of(answer: &Answer, ending: Option<Ending>) -> CallState {
    match &answer.turn {
        _ if answer.failed => CallState::Error,
        Some(turn) if turn.damaged => CallState::Truncated,
        Some(_) if !answer.finished => match ending {
            Some(Ending::Lost) => CallState::Truncated,
            Some(Ending::Whole | Ending::Closed) | None => CallState::Aborted,
        },
        Some(_) | None => CallState::Complete,
    }
}

/// What the answer says beside its usage.
fn add_answer(call: &mut ModelCall, answer: &Answer) {
    call.model_served.clone_from(&answer.model);
    call.response_id.clone_from(&answer.response_id);
    call.error_type.clone_from(&answer.error_type);
    let region = answer.context.region.clone().or(call.context.region.take());
    let tier = answer.context.service_tier.clone().or(call.context.service_tier.take());
    let spilled_over = call.context.spilled_over;
    call.context =
        PriceContext { region, service_tier: tier, spilled_over, ..answer.context.clone() };
}

/// What the answer's head says where the body doesn't.
fn add_remarks(call: &mut ModelCall, remarks: &Remarks) {
    let either = |said: &mut Option<String>, remark: &Option<String>| {
        if said.is_none() {
            said.clone_from(remark);
        }
    };
    either(&mut call.response_id, &remarks.request_id);
    either(&mut call.error_type, &remarks.error_type);
    either(&mut call.context.speed, &remarks.speed);
    let silent = call.usage.is_none() && call.status.is_some_and(|status| status < 400);
    if let (Api::Invoke | Api::TgiGenerate, true, Some(input)) =
        (call.api, silent, remarks.input_tokens)
    {
        let output = remarks.output_tokens.unwrap_or(0);
        let tokens = Tokens { input_uncached: input, output_visible: output, ..Tokens::default() };
        call.usage = Some(tokens.into());
    }
}

/// What a request could want, by its head alone.
pub(super) const fn verb(head: &RequestHead) -> Option<Verb> {
    match head.method {
        Method::Post => Some(Verb::Ask),
        Method::Get | Method::Connect if head.websocket => Some(Verb::Converse),
        Method::Get => Some(Verb::Retrieve),
        Method::Head | Method::Connect | Method::Other => None,
    }
}

/// Whether a request could be a model call, by its head alone.
const fn may_ask(head: &RequestHead, route: Option<&Route>) -> bool {
    matches!(head.method, Method::Post)
        && match head.body.kind {
            BodyKind::Json | BodyKind::Unsaid => true,
            // Forms are sent everywhere.
            BodyKind::Form => route.is_some(),
            BodyKind::EventStream
            | BodyKind::Lines
            | BodyKind::AmazonEventStream
            | BodyKind::Grpc
            | BodyKind::Other => false,
        }
}
