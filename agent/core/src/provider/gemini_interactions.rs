//! Gemini `POST …/interactions`. A stream has the interaction, usage included, in its last event,
//! `interaction.completed`; some of its deltas have the usage so far. What goes on in the background
//! is read back with `GET …/interactions/{id}`.

use super::form::{Answer, Form, inside};
use super::google_usage::GoogleUsage;
use super::json::Token;
use super::request::rename;
use super::{Api, Usage};
use crate::secret::Payload;
use crate::units::{Counts, Unit};

#[derive(Debug, Default)]
pub(super) struct Interactions {
    answer: Answer,
    usage: GoogleUsage,
    grounding: Grounding,
}

/// How often which tool looked something up: an array of a type and a count each.
#[derive(Debug, Default)]
struct Grounding {
    counts: Counts,
    /// What is known of the element that is being read.
    unit: Option<Unit>,
    count: Option<u64>,
}

impl Form for Interactions {
    fn api(&self) -> Api {
        Api::Interactions
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        match (path, token) {
            ("event_type", Token::Text(kind)) => self.event(kind),
            // Not in a stream, where it stands inside: that is waited for.
            ("status", Token::Text("in_progress" | "queued")) => self.answer.pending = true,
            (
                "delta.text"
                | "delta.content.text"
                | "delta.arguments"
                | "steps[].content[].text"
                | "steps[].summary[].text"
                | "steps[].name"
                | "outputs[].text",
                Token::Text(text),
            ) => self.answer.push_text(text),
            _ => {
                if let Some(key) = inside(path, "metadata.total_usage") {
                    self.usage_value(key, token);
                } else {
                    self.interaction(inside(path, "interaction").unwrap_or(path), token);
                }
            }
        }
    }

    fn usage(&self) -> Option<Usage> {
        Some(Usage { counts: self.grounding.counts.clone(), ..self.usage.normal()? })
    }

    fn answer(&self) -> &Answer {
        &self.answer
    }

    fn take_text(&mut self) -> Payload {
        std::mem::take(&mut self.answer.text)
    }
}

impl Interactions {
    fn event(&mut self, kind: &str) {
        self.answer.recognised |= kind.starts_with("interaction.") || kind.starts_with("step.");
        match kind {
            "interaction.completed" | "interaction.complete" => self.answer.finished = true,
            "error" => self.answer.failed = true,
            _ => {}
        }
    }

    /// Takes what the interaction says, be it the body or a part of an event.
    fn interaction(&mut self, path: &str, token: Token<'_>) {
        let answer = &mut self.answer;
        match (path, token) {
            ("object", Token::Text("interaction")) => answer.recognised = true,
            ("status", Token::Text("failed")) => answer.failed = true,
            ("id", Token::Text(id)) => rename(&mut answer.response_id, id),
            ("model", Token::Text(model)) => rename(&mut answer.model, model),
            ("service_tier", Token::Text(tier)) => rename(&mut answer.context.service_tier, tier),
            _ => {
                if let Some(key) = inside(path, "usage") {
                    self.usage_value(key, token);
                } else if let Some(key) = inside(path, "error") {
                    answer.read_error(key, token);
                }
            }
        }
    }

    fn usage_value(&mut self, key: &str, token: Token<'_>) {
        match key.strip_prefix("grounding_tool_count") {
            Some(key) => self.grounding.read(key, token),
            None => self.usage.read_interaction(key, token),
        }
    }
}

impl Grounding {
    /// Takes a value that stands at `key` inside the array.
    fn read(&mut self, key: &str, token: Token<'_>) {
        match (key, token) {
            // Each report has all of them.
            ("", Token::Begin) => *self = Self::default(),
            ("[]", Token::Begin) => (self.unit, self.count) = (None, None),
            ("[].type", Token::Text("google_search")) => self.unit = Some(Unit::WebSearch),
            ("[].type", Token::Text("google_maps")) => self.unit = Some(Unit::Maps),
            ("[].type", Token::Text("retrieval")) => self.unit = Some(Unit::FileSearch),
            ("[].count", Token::Count(count)) => self.count = Some(count),
            _ => return,
        }
        if let (Some(unit), Some(count)) = (self.unit, self.count) {
            (self.unit, self.count) = (None, None);
            self.counts.add(unit, count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_report_has_all_lookups() {
        let mut form = Interactions::default();
        let report = |form: &mut Interactions, path: &str, values: &[(&str, Token<'_>)]| {
            for (key, token) in values {
                form.read(&format!("{path}.{key}"), *token);
            }
        };
        let looked_up = |count| {
            [
                ("total_input_tokens", Token::Count(3)),
                ("grounding_tool_count", Token::Begin),
                ("grounding_tool_count[]", Token::Begin),
                ("grounding_tool_count[].count", Token::Count(count)),
                ("grounding_tool_count[].type", Token::Text("google_search")),
                ("grounding_tool_count[]", Token::Begin),
                ("grounding_tool_count[].type", Token::Text("a_new_one")),
                ("grounding_tool_count[].count", Token::Count(9)),
                ("grounding_tool_count[]", Token::Begin),
                ("grounding_tool_count[].type", Token::Text("google_maps")),
                ("grounding_tool_count[].count", Token::Count(1)),
            ]
        };
        report(&mut form, "metadata.total_usage", &looked_up(1));
        report(&mut form, "interaction.usage", &looked_up(2));
        let counts = form.usage().unwrap().counts;
        assert_eq!((counts.get(Unit::WebSearch), counts.get(Unit::Maps)), (2, 1));
        assert_eq!(counts.0.len(), 2);
    }
}
