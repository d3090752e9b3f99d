//! OpenAI's responses over a WebSocket: `GET …/responses`.
//!
//! The caller asks with `response.create`, whose other fields are those of a request's body, and the
//! server answers with the events of a stream. A session has lanes, named by `stream_id`: each has one
//! answer after the other, in the order in which they were asked for. An answer that was steered ends
//! as incomplete, and another begins that nobody asked for: both are calls.

use super::Api;
use super::form::{Answer, Asked, Form, inside};
use super::json::Token;
use super::openai_responses::Responses;
use super::request::{Said, name_of};
use super::session::{Conversation, Turn, Turns};
use crate::http::Side;

#[derive(Debug)]
pub(super) struct Session {
    asked: Asked,
    session: Answer,
    turns: Turns,
    /// Nothing was seen yet of the beginning of an answer, so one may go on that had begun before.
    joins: bool,
    said: Event,
    heard: Request,
}

/// What the current message of the server says.
#[derive(Debug)]
struct Event {
    kind: Kind,
    lane: String,
    status: Option<u16>,
    /// It has the number that events of a stream have, which those of `…/realtime` have not.
    is_numbered: bool,
    /// Reads the rest, as if it were all that there is.
    response: Responses,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Other,
    /// An answer begins, or has begun.
    Begin,
    /// Part of an answer.
    Part,
    /// An answer has ended.
    End,
    Error,
}

/// What the current message of the caller says.
#[derive(Debug, Default)]
struct Request {
    is_create: bool,
    lane: String,
    /// It goes on with what the server knows already.
    continues: bool,
    said: Said,
}

impl Conversation for Session {
    fn api(&self) -> Api {
        Api::Responses
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        let event = &mut self.said;
        match (path, token) {
            ("type", Token::Text(kind)) => event.kind = Kind::of(kind),
            ("stream_id", Token::Text(lane)) => event.lane = name_of(lane).unwrap_or_default(),
            ("status", Token::Count(status)) => event.status = u16::try_from(status).ok(),
            ("sequence_number", Token::Count(_)) => event.is_numbered = true,
            _ => {}
        }
        event.response.read(path, token);
    }

    fn hear(&mut self, path: &str, token: Token<'_>) {
        let request = &mut self.heard;
        match (path, token) {
            ("type", Token::Text(kind)) => request.is_create = kind == "response.create",
            ("stream_id", Token::Text(lane)) => request.lane = name_of(lane).unwrap_or_default(),
            ("previous_response_id" | "conversation", Token::Text(_) | Token::Begin) => {
                request.continues = true;
            }
            _ => {}
        }
        request.said.read(path, token);
    }

    fn end_text(&mut self, side: Side) {
        match side {
            Side::Request => self.asked(),
            Side::Response => self.answered(),
        }
    }

    fn session(&self) -> &Answer {
        &self.session
    }

    fn turns(&self) -> &Turns {
        &self.turns
    }

    fn turns_mut(&mut self) -> &mut Turns {
        &mut self.turns
    }
}

impl Session {
    pub(super) fn new(asked: &Asked) -> Self {
        Self {
            asked: asked.clone(),
            session: Answer::default(),
            turns: Turns::default(),
            joins: asked.unseen,
            said: Event::new(asked),
            heard: Request::default(),
        }
    }

    fn asked(&mut self) {
        let request = std::mem::take(&mut self.heard);
        if !request.is_create {
            return;
        }
        self.session.recognised |= request.said.model.is_some();
        let (model, max_output) = (request.said.model.clone(), request.said.max_output);
        let mut input = request.said.into_countable();
        input.cut |= request.continues;
        let turn = Turn { model, max_output, input: Some(input), ..Turn::new(self.turns.now()) };
        self.turns.ask(&request.lane, turn);
    }

    fn answered(&mut self) {
        let Event { kind, lane, status, is_numbered, mut response } =
            std::mem::replace(&mut self.said, Event::new(&self.asked));
        response.end_text(Side::Response);
        self.session.recognised |= is_numbered && response.answer().recognised;
        let joins = self.joins;
        self.joins &= kind == Kind::Other;
        let id = &response.answer().response_id;
        match kind {
            Kind::Other => {}
            Kind::Error => self.refused(&lane, status, response),
            Kind::Begin | Kind::Part | Kind::End => {
                let other = self.turns.find(&lane).is_some_and(|open| {
                    let known = &open.answer.response_id;
                    id.is_some() && known.is_some() && known != id
                });
                if other {
                    self.turns.end(&lane);
                }
                let open = match self.turns.find(&lane) {
                    None if joins && kind != Kind::Begin => self.turns.join(&lane),
                    None if kind != Kind::Part => self.turns.begin(&lane, &lane),
                    _ => self.turns.find(&lane),
                };
                let Some(open) = open else { return };
                open.usage = response.usage().or(open.usage.take());
                open.merge(response.into_answer());
                if kind == Kind::End {
                    self.turns.end(&lane);
                }
            }
        }
    }

    /// An error is the answer to what was asked and has not begun; else it ends what is going on.
    fn refused(&mut self, lane: &str, status: Option<u16>, response: Responses) {
        let answer = Answer { failed: true, ..response.into_answer() };
        if let Some(turn) = self.turns.asked(lane) {
            self.turns.add(answer, Turn { status, ..turn }, None);
        } else if let Some(open) = self.turns.find(lane) {
            open.merge(answer);
            self.turns.end(lane);
        }
    }
}

impl Event {
    fn new(asked: &Asked) -> Self {
        Self {
            kind: Kind::default(),
            lane: String::new(),
            status: None,
            is_numbered: false,
            response: Responses::new(asked),
        }
    }
}

impl Kind {
    fn of(kind: &str) -> Self {
        match kind {
            "response.created" | "response.queued" | "response.in_progress" => Self::Begin,
            "response.completed" | "response.incomplete" | "response.failed" => Self::End,
            "error" => Self::Error,
            // What is said of steering is about an answer that goes on, or of one yet to begin.
            _ => match inside(kind, "response") {
                Some(event) if inside(event, "steer").is_none() => Self::Part,
                _ => Self::Other,
            },
        }
    }
}
