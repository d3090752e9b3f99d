//! The step that an agent has taken last: the tools that the model called, as a request shows them to it again.

use super::json::Token;
use crate::secret::{Fingerprint, FingerprintKey, Sealing};

/// Makes a fingerprint of the latest message that calls tools: of their names and arguments, but not of the ids
/// that each call has.
#[derive(Debug)]
pub(super) struct Step {
    empty: Sealing,
    /// Of the message that is being read, if it calls any.
    reading: Option<Sealing>,
    last: Option<Sealing>,
}

impl Step {
    /// Nothing was called yet.
    pub(super) fn new(key: &FingerprintKey) -> Self {
        Self { empty: key.sealing("step"), reading: None, last: None }
    }

    /// Reads a value of a request's body.
    pub(super) fn read(&mut self, path: &str, token: Token<'_>) {
        if token == Token::Begin {
            if matches!(path, "messages[]" | "input[]" | "contents[]") {
                self.last = self.reading.take().or_else(|| self.last.take());
            }
            return;
        }
        if !is_of_a_tool(path) {
            return;
        }
        let sealing = self.reading.get_or_insert_with(|| self.empty.clone());
        sealing.update(path.as_bytes());
        sealing.update(&[0]);
        match token {
            Token::Text(text) | Token::Number(text) => sealing.update(text.as_bytes()),
            Token::Count(count) => sealing.update(&count.to_le_bytes()),
            Token::Flag(flag) => sealing.update(&[u8::from(flag)]),
            Token::Begin | Token::Other => {}
        }
        sealing.update(&[0]);
    }

    /// Stands for the latest message that calls tools.
    pub(super) fn last(&self) -> Option<Fingerprint> {
        let last = self.reading.as_ref().or(self.last.as_ref());
        last.map(|sealing| sealing.clone().finish())
    }
}

/// Whether this is where a request has the name of a tool that the model called, or its arguments: in the order
/// of OpenAI's two forms, Anthropic's, Bedrock's and Gemini's.
fn is_of_a_tool(path: &str) -> bool {
    if let Some(part) = path.strip_prefix("messages[]") {
        return matches!(
            part,
            ".tool_calls[].function.name"
                | ".tool_calls[].function.arguments"
                | ".content[].name"
                | ".content[].toolUse.name"
        ) || part.starts_with(".content[].input.")
            || part.starts_with(".content[].toolUse.input.");
    }
    matches!(path, "input[].name" | "input[].arguments")
        || path.starts_with("contents[].parts[].functionCall.")
}

#[cfg(test)]
mod tests {
    use super::super::json::Scanner;
    use super::*;

    /// What stands for the last step of a body.
    fn step(body: &str) -> Option<Fingerprint> {
        let mut step = Step::new(&FingerprintKey::new([1; 32]));
        let mut scanner = Scanner::only(&["messages", "input", "contents"]);
        scanner.feed(body.as_bytes(), |path, token| step.read(path, token));
        assert!(scanner.is_whole(), "{body}");
        step.last()
    }

    /// One call with this argument in each form, with an id.
    fn forms(argument: &str, id: &str) -> [String; 5] {
        [
            format!(
                r#"{{"messages":[{{"role":"assistant","tool_calls":[{{"id":"{id}","function":{{"name":"ls",
                "arguments":"{argument}"}}}}]}},{{"role":"tool","tool_call_id":"{id}","content":"{id}"}}]}}"#
            ),
            format!(
                r#"{{"input":[{{"type":"function_call","call_id":"{id}","name":"ls","arguments":"{argument}"}},
                {{"type":"function_call_output","call_id":"{id}","output":"{id}"}}]}}"#
            ),
            format!(
                r#"{{"messages":[{{"role":"assistant","content":[{{"type":"tool_use","id":"{id}","name":"ls",
                "input":{{"path":"{argument}","deep":[1,true]}}}}]}},
                {{"role":"user","content":[{{"type":"tool_result","tool_use_id":"{id}","content":"{id}"}}]}}]}}"#
            ),
            format!(
                r#"{{"messages":[{{"role":"assistant","content":[{{"toolUse":{{"toolUseId":"{id}","name":"ls",
                "input":{{"path":"{argument}"}}}}}}]}}]}}"#
            ),
            format!(
                r#"{{"contents":[{{"role":"model","parts":[{{"functionCall":{{"name":"ls","args":
                {{"path":"{argument}"}}}}}}]}},{{"role":"user","parts":[{{"text":"{id}"}}]}}]}}"#
            ),
        ]
    }

    #[test]
    fn the_same_call_is_the_same_step_whatever_its_id() {
        let (one, again, other) = (forms("/a", "1"), forms("/a", "2"), forms("/b", "1"));
        for ((one, again), other) in one.iter().zip(&again).zip(&other) {
            assert!(step(one).is_some(), "{one}");
            assert_eq!(step(one), step(again), "{one}");
            assert_ne!(step(one), step(other), "{one}");
        }
        assert_eq!(step(r#"{"messages":[{"role":"user","content":"ls"}]}"#), None);
    }
}
