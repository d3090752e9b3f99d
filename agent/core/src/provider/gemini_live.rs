//! Gemini's and Vertex AI's `BidiGenerateContent` WebSocket.
//!
//! The caller's first message, `setup`, names the model. The model's turns follow one another; each is
//! a call, from the first of its output, or from when it was asked for, to `turnComplete`. Of the
//! `usageMetadata` within a turn the last one counts; a server that sends it after the turn's end is
//! waited for.

use super::form::{Answer, inside};
use super::google_usage::GoogleUsage;
use super::json::Token;
use super::request::{MAX_TEXT, name_of};
use super::session::{Conversation, Turn, Turns};
use super::{Api, Countable, Message};
use crate::http::Side;
use crate::secret::Payload;

/// There is one turn at a time.
const TURN: &str = "";

#[derive(Debug, Default)]
pub(super) struct Live {
    session: Answer,
    turns: Turns,
    model: Option<String>,
    said: Said,
    heard: Heard,
    /// The current turn has ended without any usage.
    is_over: bool,
}

/// What the current message of the server says.
#[derive(Debug, Default)]
struct Said {
    /// There is output in it.
    output: bool,
    text: Payload,
    text_cut: bool,
    generated: bool,
    complete: bool,
    usage: Option<GoogleUsage>,
    traffic_type: Option<String>,
}

/// What the current message of the caller says.
#[derive(Debug, Default)]
struct Heard {
    text: Payload,
    text_cut: bool,
    complete: bool,
}

impl Conversation for Live {
    fn api(&self) -> Api {
        Api::Live
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        let said = &mut self.said;
        if path == "serverContent" || path == "toolCall" {
            self.session.recognised = true;
        }
        match (path, token) {
            ("serverContent.modelTurn" | "toolCall", Token::Begin) => said.output = true,
            (
                "serverContent.modelTurn.parts[].text" | "serverContent.outputTranscription.text",
                Token::Text(text),
            ) => {
                said.output = true;
                said.text_cut |= !said.text.push_within(text, MAX_TEXT);
            }
            ("serverContent.generationComplete", Token::Flag(is)) => said.generated = is,
            ("serverContent.turnComplete", Token::Flag(is)) => said.complete = is,
            ("usageMetadata", Token::Begin) => said.usage = Some(GoogleUsage::default()),
            ("usageMetadata.trafficType", Token::Text(kind)) => said.traffic_type = name_of(kind),
            _ => {
                if let (Some(usage), Some(key)) = (&mut said.usage, inside(path, "usageMetadata")) {
                    usage.read(key, token);
                }
            }
        }
    }

    fn hear(&mut self, path: &str, token: Token<'_>) {
        let heard = &mut self.heard;
        match (path, token) {
            ("setup.model", Token::Text(name)) => {
                let (outer, model) = name.rsplit_once('/').unwrap_or(("", name));
                self.session.recognised |= outer.ends_with("models");
                self.model = name_of(model);
            }
            ("clientContent.turns[].parts[].text", Token::Text(text)) => {
                heard.text_cut |= !heard.text.push_within(text, MAX_TEXT);
            }
            ("clientContent.turnComplete", Token::Flag(is)) => heard.complete = is,
            _ => {}
        }
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

impl Live {
    fn asked(&mut self) {
        let heard = std::mem::take(&mut self.heard);
        // What is asked before there was an answer to the last is answered together.
        if heard.complete && !self.turns.is_asked(TURN) {
            let text = Message { role: "user".to_owned(), text: heard.text };
            // The server has more: instructions, and what was said before.
            let input = Countable { input: vec![text], cut: true, ..Countable::default() };
            let turn = Turn { input: Some(input), ..Turn::new(self.turns.now()) };
            self.turns.ask(TURN, self.of_session(turn));
        }
    }

    fn answered(&mut self) {
        let said = std::mem::take(&mut self.said);
        if self.is_over && said.output {
            self.end_turn();
        }
        let is_first = self.turns.find(TURN).is_none();
        let begins = said.output || said.usage.is_some();
        if is_first && !begins && !(said.complete && self.turns.is_asked(TURN)) {
            return;
        }
        let model = self.model.clone();
        let open = if is_first { self.turns.begin(TURN, TURN) } else { self.turns.find(TURN) };
        let Some(open) = open else { return };
        let turn = open.turn();
        // Without a model nobody knows what it costs.
        turn.damaged |= model.is_none();
        turn.model = model;
        if said.output {
            open.set_output();
        }
        // A report may be empty: then there are no numbers to wait for.
        let is_reported = said.usage.is_some();
        open.usage = said.usage.and_then(|usage| usage.normal()).or(open.usage.take());
        let mut answer = Answer {
            finished: said.generated || said.complete,
            text: said.text,
            text_cut: said.text_cut,
            ..Answer::default()
        };
        answer.context.traffic_type = said.traffic_type;
        open.merge(answer);
        let has_usage = is_reported || open.usage.is_some();
        self.is_over |= said.complete;
        if self.is_over && has_usage {
            self.end_turn();
        }
    }

    fn end_turn(&mut self) {
        self.turns.end(TURN);
        self.is_over = false;
    }

    /// A turn with what is known of the session.
    fn of_session(&self, turn: Turn) -> Turn {
        Turn { model: self.model.clone(), ..turn }
    }
}
