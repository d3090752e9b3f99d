//! OpenAI `POST …/responses` and `…/responses/compact`. A stream repeats the whole response, usage
//! included, in its last event: `response.completed`, `.incomplete` or `.failed`.
//!
//! What the tools used stands beside `usage`: searches by the piece, images by the tokens of a model
//! of their own.

use super::form::{Answer, Asked, Form, inside};
use super::json::Token;
use super::quirks::{Quirks, quirks};
use super::request::{name_of, rename};
use super::usage::{OpenAiUsage, Parts};
use super::{Api, Part, Usage};
use crate::http::Side;
use crate::secret::Payload;
use crate::units::Unit;

#[derive(Debug)]
pub(super) struct Responses {
    quirks: Quirks,
    answer: Answer,
    usage: OpenAiUsage,
    tools: Tools,
    event: Event,
}

/// What the tools used.
#[derive(Debug)]
struct Tools {
    /// Searches, as the provider counts those that it bills.
    billed_searches: Option<u64>,
    /// Search calls in the output, and those that only open or search a page that was found.
    searches: u64,
    page_actions: u64,
    file_searches: u64,
    images: OpenAiUsage,
    image_model: Option<String>,
    /// Models that wrote SVG.
    svg: Parts,
}

/// The current event.
#[derive(Debug, Default)]
struct Event {
    is_error: bool,
    /// The code of an error, else the source code of a tool call.
    code: Option<String>,
}

impl Responses {
    pub(super) fn new(asked: &Asked) -> Self {
        let quirks = quirks(asked.provider, Api::Responses);
        let usage = OpenAiUsage::new(quirks);
        let tools = Tools {
            billed_searches: None,
            searches: 0,
            page_actions: 0,
            file_searches: 0,
            images: usage,
            image_model: None,
            svg: Parts::default(),
        };
        Self { quirks, answer: Answer::default(), usage, tools, event: Event::default() }
    }

    fn event(&mut self, kind: &str) {
        self.answer.recognised |= kind.starts_with("response.");
        // Whose text comes as `delta`, too.
        self.answer.mixed |= kind.starts_with("response.reasoning");
        match kind {
            "response.completed" | "response.incomplete" => self.answer.finished = true,
            "response.failed" => self.answer.failed = true,
            "error" => {
                self.answer.failed = true;
                self.event.is_error = true;
            }
            _ => {}
        }
    }

    fn status(&mut self, status: &str) {
        let answer = &mut self.answer;
        answer.pending = matches!(status, "queued" | "in_progress");
        match status {
            "completed" | "incomplete" | "cancelled" => answer.finished = true,
            "failed" => answer.failed = true,
            _ => {}
        }
    }

    /// Takes what the response object says, be it the body or a part of an event.
    fn response(&mut self, path: &str, token: Token<'_>) {
        let answer = &mut self.answer;
        match (path, token) {
            ("object", Token::Text("response" | "response.compaction")) => answer.recognised = true,
            ("id", Token::Text(id)) => rename(&mut answer.response_id, id),
            ("model", Token::Text(model)) => rename(&mut answer.model, model),
            ("service_tier", Token::Text(tier)) => rename(&mut answer.context.service_tier, tier),
            ("output[].type", Token::Text("reasoning")) => answer.reasoned = true,
            _ => {
                if let Some(key) = inside(path, "usage") {
                    self.usage.read(key, token);
                } else if let Some(key) = inside(path, "error") {
                    answer.read_error(key, token);
                } else {
                    self.tools.read(path, token, self.quirks);
                }
            }
        }
    }
}

impl Form for Responses {
    fn api(&self) -> Api {
        Api::Responses
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        match (path, token) {
            ("type", Token::Text(kind)) => self.event(kind),
            ("delta", Token::Text(text)) => self.answer.push_text(text),
            (
                "output[].content[].text" | "output[].content[].refusal" | "output[].arguments",
                Token::Text(text),
            ) => self.answer.push_text(text),
            // A stream has it as `delta`.
            ("output[].input" | "output[].code", Token::Text(_)) => self.answer.mixed = true,
            ("status", Token::Text(status)) => self.status(status),
            ("code", Token::Text(code)) => self.event.code = name_of(code),
            _ => self.response(inside(path, "response").unwrap_or(path), token),
        }
    }

    fn end_text(&mut self, _side: Side) {
        let event = std::mem::take(&mut self.event);
        if event.is_error {
            self.answer.error_type = event.code.or(self.answer.error_type.take());
        }
    }

    fn usage(&self) -> Option<Usage> {
        Some(self.tools.beside(self.usage.normal()?, self.answer.model.as_deref()))
    }

    fn answer(&self) -> &Answer {
        &self.answer
    }

    fn take_text(&mut self) -> Payload {
        std::mem::take(&mut self.answer.text)
    }
}

impl Responses {
    /// What was said beside the usage.
    pub(super) fn into_answer(self) -> Answer {
        self.answer
    }
}

impl Tools {
    fn read(&mut self, path: &str, token: Token<'_>, quirks: Quirks) {
        match (path, token) {
            ("output", Token::Begin) => {
                self.searches = 0;
                self.page_actions = 0;
                self.file_searches = 0;
                self.svg.restart();
            }
            ("output[].type", Token::Text("web_search_call")) => self.searches += 1,
            ("output[].type", Token::Text("file_search_call")) => self.file_searches += 1,
            ("output[].action.type", Token::Text("open_page" | "find_in_page" | "find")) => {
                self.page_actions += 1;
            }
            ("output[].svg_usage", Token::Begin) => self.svg.begin(quirks),
            ("output[].svg_usage.model", Token::Text(model)) => self.svg.model(model),
            // Of all tools, only that which makes images has a model.
            ("tools[].model", Token::Text(model)) => rename(&mut self.image_model, model),
            ("tool_usage.web_search.num_requests", Token::Count(searches)) => {
                self.billed_searches = Some(searches);
            }
            _ => {
                if let Some(key) = inside(path, "tool_usage.image_gen") {
                    self.images.read(key, token);
                } else if let Some(key) = inside(path, "output[].svg_usage") {
                    self.svg.read(key, token);
                }
            }
        }
    }

    /// Adds to `usage` of `model` what is beside it.
    fn beside(&self, mut usage: Usage, model: Option<&str>) -> Usage {
        let found = self.searches.saturating_sub(self.page_actions);
        usage.counts.set(Unit::WebSearch, self.billed_searches.unwrap_or(found));
        usage.counts.set(Unit::FileSearch, self.file_searches);
        let images = self
            .images
            .of_images()
            .filter(|images| images.tokens.input_total() > 0 || images.tokens.output_total() > 0);
        let mut usage = self.svg.beside(usage, model);
        if let Some(images) = images {
            if usage.parts.is_empty() {
                let model = model.unwrap_or_default().to_owned();
                usage.parts.push(Part { model, tokens: usage.tokens });
            }
            let model = self.image_model.clone().unwrap_or_default();
            usage.parts.push(Part { model, tokens: images.tokens });
            usage.tokens = usage.tokens.saturating_add(&images.tokens);
            usage.inconsistent |= images.inconsistent;
        }
        usage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[(&str, Token<'_>)]) -> Responses {
        let mut form = Responses::new(&Asked::default());
        for (path, token) in values {
            form.read(path, *token);
        }
        form.end_text(Side::Response);
        form
    }

    /// The event that says what code a tool is to run has it where an error has its code.
    #[test]
    fn source_code_is_no_error() {
        let done = Token::Text("response.code_interpreter_call_code.done");
        let form = read(&[("code", Token::Text("print(1)")), ("type", done)]);
        assert_eq!(form.answer().error_type, None);
        let code = Token::Text("server_error");
        let form = read(&[("code", code), ("type", Token::Text("error"))]);
        assert_eq!(form.answer().error_type.as_deref(), Some("server_error"));
    }

    #[test]
    fn searches_are_counted_where_the_provider_does_not() {
        let search = ("output[].type", Token::Text("web_search_call"));
        let open = ("output[].action.type", Token::Text("open_page"));
        let input = ("usage.input_tokens", Token::Count(1));
        let counted = |values: &[(&str, Token<'_>)]| {
            read(values).usage().map(|usage| usage.counts.get(Unit::WebSearch))
        };
        assert_eq!(counted(&[input, search, open, search, search]), Some(2));
        let billed = ("tool_usage.web_search.num_requests", Token::Count(1));
        assert_eq!(counted(&[input, search, search, billed]), Some(1));
        assert_eq!(counted(&[search]), None);
    }
}
