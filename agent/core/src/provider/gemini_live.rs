//! Gemini's and Vertex AI's `BidiGenerateContent` WebSocket.
//!
//! The caller's first message, `setup`, names the model. The model's turns follow one another; each is
//! a call, from the first of its output, or from when it was asked for, to `turnComplete`. Of the
//! `usageMetadata` within a turn the last one counts; a server that sends it after the turn's end is
//! waited for.

use super::form::{Answer, Form, Several, inside};
use super::json::Token;
use super::request::{MAX_TEXT, name_of};
use super::session::{Turn, Turns};
use super::{Api, Countable, Message, Usage};
use crate::http::Side;
use crate::secret::Payload;
use crate::units::{Timestamp, Tokens};

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
    usage: Option<Counts>,
    traffic_type: Option<String>,
}

/// What the current message of the caller says.
#[derive(Debug, Default)]
struct Heard {
    text: Payload,
    text_cut: bool,
    complete: bool,
}

impl Form for Live {
    fn api(&self) -> Api {
        Api::Live
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        let said = &mut self.said;
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
            ("usageMetadata", Token::Begin) => said.usage = Some(Counts::default()),
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

    fn set_time(&mut self, now: Timestamp) {
        self.turns.set_time(now);
    }

    fn miss(&mut self, side: Side) {
        match side {
            Side::Request => self.turns.deafen(),
            Side::Response => self.turns.damage(),
        }
    }

    fn end(&mut self) {
        self.turns.end_all();
    }

    fn footprint(&self) -> usize {
        self.turns.footprint()
    }

    fn usage(&self) -> Option<Usage> {
        None
    }

    fn answer(&self) -> &Answer {
        &self.session
    }

    fn several(&self) -> Option<Several> {
        Some(Several { begun: false })
    }

    fn next(&mut self) -> Option<(Answer, Option<Usage>)> {
        self.turns.next()
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
        let is_unknown = self.turns.is_deaf() && model.is_none();
        let open = if is_first { self.turns.begin(TURN, TURN) } else { self.turns.find(TURN) };
        let Some(open) = open else { return };
        let turn = open.turn();
        turn.model = model;
        turn.damaged |= is_unknown;
        if said.output {
            open.set_output();
        }
        open.usage = said.usage.map(|counts| counts.usage()).or(open.usage.take());
        let mut answer = Answer {
            finished: said.generated || said.complete,
            text: said.text,
            text_cut: said.text_cut,
            ..Answer::default()
        };
        answer.context.traffic_type = said.traffic_type;
        open.merge(answer);
        let has_usage = open.usage.is_some();
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

/// The numbers as they came. Cached input is part of the prompt; reasoning is no part of the response,
/// nor what tools have put in of the prompt.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    prompt: u64,
    cached: u64,
    response: u64,
    thoughts: u64,
    tool_use: u64,
    total: Option<u64>,
    prompt_kinds: Kinds,
    cached_kinds: Kinds,
    response_kinds: Kinds,
    element: Element,
}

/// Tokens of a list that are not text.
#[derive(Clone, Copy, Debug, Default)]
struct Kinds {
    audio: u64,
    image: u64,
    video: u64,
}

/// The current element of a list: `{"modality":"AUDIO","tokenCount":25}`, in any order.
#[derive(Clone, Copy, Debug, Default)]
struct Element {
    kind: Option<Kind>,
    count: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Audio,
    Image,
    Video,
    Other,
}

impl Counts {
    /// Takes a value that stands at `key` inside `usageMetadata`.
    fn read(&mut self, key: &str, token: Token<'_>) {
        match (key, token) {
            ("promptTokenCount", Token::Count(count)) => self.prompt = count,
            ("cachedContentTokenCount", Token::Count(count)) => self.cached = count,
            // Vertex AI calls it as it does outside of sessions.
            ("responseTokenCount" | "candidatesTokenCount", Token::Count(count)) => {
                self.response = count;
            }
            ("thoughtsTokenCount", Token::Count(count)) => self.thoughts = count,
            ("toolUsePromptTokenCount", Token::Count(count)) => self.tool_use = count,
            ("totalTokenCount", Token::Count(count)) => self.total = Some(count),
            _ => self.read_list(key, token),
        }
    }

    fn read_list(&mut self, key: &str, token: Token<'_>) {
        let Some((list, key)) = key.split_once("[]") else { return };
        let kinds = match list {
            "promptTokensDetails" => &mut self.prompt_kinds,
            "cacheTokensDetails" => &mut self.cached_kinds,
            "responseTokensDetails" | "candidatesTokensDetails" => &mut self.response_kinds,
            _ => return,
        };
        match (key, token) {
            ("", Token::Begin) => self.element = Element::default(),
            (".modality", Token::Text(name)) => self.element.kind = Some(Kind::of(name)),
            (".tokenCount", Token::Count(count)) => self.element.count = Some(count),
            _ => return,
        }
        if let Element { kind: Some(kind), count: Some(count) } = self.element {
            self.element = Element::default();
            kinds.add(kind, count);
        }
    }

    /// The numbers in disjoint buckets. What no list names is text.
    fn usage(&self) -> Usage {
        let (prompt, cached, response) =
            (self.prompt_kinds, self.cached_kinds, self.response_kinds);
        let input_audio = prompt.audio.saturating_sub(cached.audio);
        let input_image = prompt.image.saturating_sub(cached.image);
        let input_video = prompt.video.saturating_sub(cached.video);
        let others = [input_audio, input_image, input_video, self.cached];
        let tokens = Tokens {
            input_uncached: less(self.prompt, &others),
            input_audio,
            input_image,
            input_video,
            input_tool: self.tool_use,
            cache_read: less(self.cached, &[cached.audio, cached.image]),
            cache_read_audio: cached.audio,
            cache_read_image: cached.image,
            output_visible: less(self.response, &[response.audio, response.image]),
            output_audio: response.audio,
            output_image: response.image,
            reasoning: self.thoughts,
            ..Tokens::default()
        };
        let input = self.prompt.saturating_add(self.tool_use);
        let output = self.response.saturating_add(self.thoughts);
        let inconsistent = tokens.input_total() != input
            || tokens.output_total() != output
            || self.total.is_some_and(|total| total != input.saturating_add(output));
        Usage { inconsistent, ..tokens.into() }
    }
}

impl Kinds {
    const fn add(&mut self, kind: Kind, count: u64) {
        let slot = match kind {
            Kind::Audio => &mut self.audio,
            Kind::Image => &mut self.image,
            Kind::Video => &mut self.video,
            Kind::Other => return,
        };
        *slot = slot.saturating_add(count);
    }
}

impl Kind {
    fn of(name: &str) -> Self {
        match name {
            "AUDIO" => Self::Audio,
            "IMAGE" => Self::Image,
            "VIDEO" => Self::Video,
            _ => Self::Other,
        }
    }
}

fn less(sum: u64, parts: &[u64]) -> u64 {
    parts.iter().fold(sum, |rest, part| rest.saturating_sub(*part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::json::Scanner;
    use proptest::prelude::*;

    fn usage(text: &str) -> Usage {
        let mut counts = Counts::default();
        Scanner::default().feed(text.as_bytes(), |path, token| counts.read(path, token));
        counts.usage()
    }

    #[test]
    fn lists_are_made_disjoint() {
        let found = usage(
            r#"{"promptTokenCount":1000,"cachedContentTokenCount":400,"responseTokenCount":90,
            "thoughtsTokenCount":10,"toolUsePromptTokenCount":5,"totalTokenCount":1105,
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":300},
              {"tokenCount":500,"modality":"AUDIO"},{"modality":"VIDEO","tokenCount":200}],
            "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":100},{"modality":"TEXT","tokenCount":300}],
            "responseTokensDetails":[{"modality":"AUDIO","tokenCount":80}]}"#,
        );
        let tokens = Tokens {
            input_uncached: 0,
            input_audio: 400,
            input_video: 200,
            input_tool: 5,
            cache_read: 300,
            cache_read_audio: 100,
            output_visible: 10,
            output_audio: 80,
            reasoning: 10,
            ..Tokens::default()
        };
        assert_eq!(found, Usage::from(tokens));
        assert!(usage(r#"{"promptTokenCount":3,"totalTokenCount":4}"#).inconsistent);
    }

    proptest! {
        #[test]
        fn no_numbers_overflow(counts in prop::collection::vec(any::<u64>(), 8)) {
            let keys = [
                "promptTokenCount", "cachedContentTokenCount", "responseTokenCount",
                "thoughtsTokenCount", "toolUsePromptTokenCount", "totalTokenCount",
            ];
            let mut all = Counts::default();
            keys.iter().zip(&counts).for_each(|(key, count)| all.read(key, Token::Count(*count)));
            for list in ["promptTokensDetails", "cacheTokensDetails", "responseTokensDetails"] {
                for (kind, count) in ["AUDIO", "IMAGE", "VIDEO"].iter().zip(&counts[3..]) {
                    all.read(&format!("{list}[]"), Token::Begin);
                    all.read(&format!("{list}[].modality"), Token::Text(kind));
                    all.read(&format!("{list}[].tokenCount"), Token::Count(*count));
                }
            }
            all.usage();
        }
    }
}
