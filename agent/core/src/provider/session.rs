//! What sessions of every form have in common: answers that were asked for, have begun or have
//! ended, some of them at the same time.

use std::collections::VecDeque;

use super::form::{Answer, Form, Several};
use super::json::Token;
use super::{Api, CallState, Countable, ModelCall, Usage, sample};
use crate::http::Side;
use crate::secret::Payload;
use crate::units::Timestamp;

/// Most answers of a session that are going on at once, and most that are waited for. One too many
/// ends the oldest.
const MAX_OPEN: usize = 64;

/// Reads a session of one wire form, value by value. What it has to do as a [`Form`] beside that is
/// the same for all.
pub(super) trait Conversation: std::fmt::Debug + Send {
    /// Which form.
    fn api(&self) -> Api;

    /// Takes a value of what the provider says, and where it stands.
    fn read(&mut self, path: &str, token: Token<'_>);

    /// Takes a value of what the caller says, and where it stands.
    fn hear(&mut self, path: &str, token: Token<'_>);

    /// A message has ended.
    fn end_text(&mut self, side: Side);

    /// A message of the provider could not be read, which may have been part of any answer.
    fn miss_answer(&mut self) {}

    /// What was said of the session as a whole.
    fn session(&self) -> &Answer;

    /// Its answers.
    fn turns(&self) -> &Turns;

    /// Its answers, to be changed.
    fn turns_mut(&mut self) -> &mut Turns;
}

impl<C: Conversation> Form for C {
    fn api(&self) -> Api {
        Conversation::api(self)
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        Conversation::read(self, path, token);
    }

    fn hear(&mut self, path: &str, token: Token<'_>) {
        Conversation::hear(self, path, token);
    }

    fn end_text(&mut self, side: Side) {
        Conversation::end_text(self, side);
    }

    fn set_time(&mut self, now: Timestamp) {
        self.turns_mut().set_time(now);
    }

    fn miss(&mut self, side: Side) {
        match side {
            Side::Request => self.turns_mut().deafen(),
            Side::Response => {
                self.miss_answer();
                self.turns_mut().damage();
            }
        }
    }

    fn end(&mut self) {
        self.turns_mut().end_all();
    }

    fn footprint(&self) -> usize {
        self.turns().footprint()
    }

    fn usage(&self) -> Option<Usage> {
        None
    }

    fn answer(&self) -> &Answer {
        self.session()
    }

    /// The texts are with the answers that have ended or go on.
    fn take_text(&mut self) -> Payload {
        Payload::default()
    }

    fn several(&self) -> Option<Several> {
        Some(Several { begun: false })
    }

    fn next(&mut self) -> Option<(Answer, Option<Usage>)> {
        self.turns_mut().next()
    }
}

/// What is known of an answer of a session beside what it says.
#[derive(Debug)]
pub(super) struct Turn {
    /// The model that was asked for.
    pub(super) model: Option<String>,
    /// When it was asked for; when it began, where it wasn't.
    pub(super) started: Timestamp,
    /// When the first of its output came.
    pub(super) first_output: Option<Timestamp>,
    /// Most tokens of output that were allowed.
    pub(super) max_output: Option<u64>,
    /// What was asked, for counting; absent where the answer never began.
    pub(super) input: Option<Countable>,
    /// Bytes of `input`, as [`Turns::ask`] found them.
    pub(super) held: usize,
    /// The status that an error has in place of the session's own.
    pub(super) status: Option<u16>,
    /// A message that may have been part of it could not be read.
    pub(super) damaged: bool,
}

impl Turn {
    pub(super) fn new(started: Timestamp) -> Self {
        Self {
            model: None,
            started,
            first_output: None,
            max_output: None,
            input: None,
            held: 0,
            status: None,
            damaged: false,
        }
    }

    /// Adds to a call of the session what is this answer's own.
    pub(super) fn complete(self, call: &mut ModelCall, answer: Answer) {
        call.model_requested = self.model;
        call.started = self.started;
        call.first_output = self.first_output;
        call.max_output = self.max_output;
        call.status = self.status.or(call.status);
        let is_final = answer.finished || call.state == CallState::Error;
        if call.usage.is_some() && is_final {
            // The provider holds what was said before, so the input has nothing to teach.
            let teaches = sample::is_lesson(call, &answer);
            let output = if teaches { answer.text } else { Payload::default() };
            call.sample = sample::of(call, Countable::default(), output);
        } else if let Some(input) = self.input
            && !(call.state == CallState::Error && answer.text.expose().is_empty())
        {
            let mut text = match &call.usage {
                Some(_) => Countable::default(),
                None => input,
            };
            text.cut |= answer.text_cut || call.state != CallState::Complete;
            text.output = answer.text;
            call.countable = Some(text);
        }
    }
}

/// The answers of a session.
#[derive(Debug, Default)]
pub(super) struct Turns {
    now: Timestamp,
    /// Those asked for, oldest first, and in which lane. At most [`MAX_OPEN`].
    asked: VecDeque<(String, Turn)>,
    /// Those going on, oldest first. At most [`MAX_OPEN`].
    open: VecDeque<Open>,
    /// Those that have ended and were not taken yet.
    ended: VecDeque<(Answer, Option<Usage>)>,
    /// Something that was asked could not be read, so what is asked isn't matched with answers.
    deaf: bool,
}

/// An answer that is going on.
#[derive(Debug)]
pub(super) struct Open {
    /// What tells it from the others.
    key: String,
    pub(super) answer: Answer,
    turn: Turn,
    pub(super) usage: Option<Usage>,
    now: Timestamp,
}

impl Turns {
    pub(super) const fn set_time(&mut self, now: Timestamp) {
        self.now = now;
    }

    pub(super) const fn now(&self) -> Timestamp {
        self.now
    }

    /// An answer was asked for, in a lane of the session.
    pub(super) fn ask(&mut self, lane: &str, turn: Turn) {
        if self.asked.len() == MAX_OPEN
            && let Some((_, oldest)) = self.asked.pop_front()
        {
            self.end_unbegun(oldest);
        }
        let held = turn.input.as_ref().map_or(0, Countable::footprint);
        self.asked.push_back((lane.to_owned(), Turn { held, ..turn }));
    }

    /// The oldest answer that was asked for in that lane and has not begun.
    pub(super) fn asked(&mut self, lane: &str) -> Option<Turn> {
        let place = self.asked.iter().position(|(of, _)| of == lane)?;
        self.asked.remove(place).map(|(_, turn)| turn)
    }

    pub(super) fn is_asked(&self, lane: &str) -> bool {
        self.asked.iter().any(|(of, _)| of == lane)
    }

    /// The answer of that key that is going on.
    pub(super) fn find(&mut self, key: &str) -> Option<&mut Open> {
        let now = self.now;
        let open = self.open.iter_mut().find(|open| open.key == key)?;
        open.now = now;
        Some(open)
    }

    /// An answer begins: the oldest that was asked for in that lane, or one that nobody asked for.
    pub(super) fn begin(&mut self, lane: &str, key: &str) -> Option<&mut Open> {
        let now = self.now;
        let unheard = || Countable { cut: true, ..Countable::default() };
        let mut turn = self.asked(lane).unwrap_or_else(|| Turn::new(now));
        if self.deaf {
            turn = Turn { damaged: turn.damaged, ..Turn::new(turn.started) };
        }
        turn.input.get_or_insert_with(unheard);
        self.go_on(key, turn)
    }

    /// An answer goes on that had begun before anything was seen.
    pub(super) fn join(&mut self, key: &str) -> Option<&mut Open> {
        let unseen = Countable { cut: true, input_open: true, ..Countable::default() };
        let turn = Turn { input: Some(unseen), damaged: true, ..Turn::new(self.now) };
        self.go_on(key, turn)
    }

    fn go_on(&mut self, key: &str, turn: Turn) -> Option<&mut Open> {
        if self.open.len() == MAX_OPEN {
            self.end_oldest();
        }
        let (key, now) = (key.to_owned(), self.now);
        self.open.push_back(Open { key, answer: Answer::default(), turn, usage: None, now });
        self.open.back_mut()
    }

    /// The answer of that key has ended.
    pub(super) fn end(&mut self, key: &str) {
        if let Some(place) = self.open.iter().position(|open| open.key == key)
            && let Some(open) = self.open.remove(place)
        {
            self.ended.push_back(open.close());
        }
    }

    /// An answer that began and ended at once.
    pub(super) fn add(&mut self, answer: Answer, turn: Turn, usage: Option<Usage>) {
        let turn = Some(Box::new(turn));
        self.ended.push_back((Answer { turn, ..answer }, usage));
    }

    /// Nothing more will come.
    pub(super) fn end_all(&mut self) {
        while !self.open.is_empty() {
            self.end_oldest();
        }
        while let Some((_, turn)) = self.asked.pop_front() {
            self.end_unbegun(turn);
        }
    }

    /// An answer, or a part of one, could not be read: any of those that are waited for.
    pub(super) fn damage(&mut self) {
        self.open.iter_mut().for_each(|open| open.turn.damaged = true);
        self.asked.iter_mut().for_each(|(_, turn)| turn.damaged = true);
    }

    /// Something that was asked could not be read.
    pub(super) const fn deafen(&mut self) {
        self.deaf = true;
    }

    pub(super) fn next(&mut self) -> Option<(Answer, Option<Usage>)> {
        self.ended.pop_front()
    }

    pub(super) fn footprint(&self) -> usize {
        let asked: usize = self.asked.iter().map(|(_, turn)| turn.held).sum();
        let open = self.open.iter().map(|open| open.turn.held + open.answer.text.expose().len());
        asked + open.sum::<usize>()
    }

    fn end_oldest(&mut self) {
        self.ended.extend(self.open.pop_front().map(Open::close));
    }

    fn end_unbegun(&mut self, turn: Turn) {
        self.add(Answer::default(), Turn { input: None, ..turn }, None);
    }
}

impl Open {
    /// Takes what a message says of it beside its usage.
    pub(super) fn merge(&mut self, said: Answer) {
        let answer = &mut self.answer;
        answer.model = said.model.or(answer.model.take());
        answer.response_id = said.response_id.or(answer.response_id.take());
        answer.error_type = said.error_type.or(answer.error_type.take());
        let tier = &mut answer.context.service_tier;
        *tier = said.context.service_tier.or(tier.take());
        let traffic = &mut answer.context.traffic_type;
        *traffic = said.context.traffic_type.or(traffic.take());
        answer.finished |= said.finished;
        answer.failed |= said.failed;
        answer.text_cut |= said.text_cut;
        answer.reasoned |= said.reasoned;
        answer.mixed |= said.mixed;
        if !said.text.expose().is_empty() {
            answer.push_text(said.text.expose());
            self.set_output();
        }
    }

    /// Some of its output has come.
    pub(super) fn set_output(&mut self) {
        self.turn.first_output.get_or_insert(self.now);
    }

    pub(super) const fn turn(&mut self) -> &mut Turn {
        &mut self.turn
    }

    fn close(self) -> (Answer, Option<Usage>) {
        (Answer { turn: Some(Box::new(self.turn)), ..self.answer }, self.usage)
    }
}
