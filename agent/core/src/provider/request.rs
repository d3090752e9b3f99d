//! What a request body says, whichever wire form it has: they agree on the keys that matter.

use super::json::{Scanner, Token};
use super::{Api, Countable, Message};
use crate::http::RequestHead;
use crate::http::coding::Decoder;

/// Most text that is kept for counting, in bytes.
pub(super) const MAX_TEXT: usize = 8 * 1024 * 1024;
/// Most messages that are told apart; the text of further ones counts for the last.
const MAX_MESSAGES: usize = 10_000;
/// Longest model name, in bytes.
const MAX_NAME: usize = 256;

/// The keys of a body whose values [`Said::read`] looks at. The others are passed over quickly: a
/// body can't be given up before its end, since `model` may come last, and most bodies that a host
/// sends are no questions at all.
const KEYS: &[&str] = &[
    "cache_control",
    "conversation",
    "functions",
    "input",
    "instructions",
    "max_completion_tokens",
    "max_output_tokens",
    "max_tokens",
    "messages",
    "model",
    "n",
    "previous_response_id",
    "response_format",
    "stream",
    "system",
    "tools",
];

/// Reads one request body.
#[derive(Debug)]
pub(super) struct Question {
    decoder: Decoder,
    scanner: Scanner,
    pub(super) said: Said,
}

/// What it says.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) model: Option<String>,
    pub(super) stream: bool,
    messages: bool,
    input: bool,
    /// A prompt-cache breakpoint asks for the longer lifetime.
    pub(super) cache_ttl_1h: bool,
    /// Most tokens that are allowed of each answer.
    pub(super) max_output: Option<u64>,
    /// How many answers are wanted, if it says.
    choices: Option<u64>,
    text: Countable,
    text_bytes: usize,
}

impl Question {
    pub(super) fn new(head: &RequestHead) -> Self {
        Self {
            decoder: Decoder::new(&head.body.coding),
            scanner: Scanner::only(KEYS),
            said: Said::default(),
        }
    }

    pub(super) fn feed(&mut self, data: &[u8]) {
        let (scanner, said) = (&mut self.scanner, &mut self.said);
        let decoded = self.decoder.feed(data, |plain| {
            scanner.feed(plain, |path, token| said.read(path, token));
        });
        if decoded.is_err() {
            self.scanner.lose();
        }
    }

    pub(super) fn lose(&mut self) {
        self.decoder.lose();
        self.scanner.lose();
    }

    /// The text for counting; a lower bound if the body was not read to its end.
    pub(super) fn into_countable(self) -> Countable {
        let mut text = self.said.text;
        text.cut |= !self.scanner.is_whole();
        text.input_open |= text.cut;
        text
    }

    /// Whether it was read to its end.
    pub(super) fn is_whole(&self) -> bool {
        self.scanner.is_whole()
    }

    pub(super) fn footprint(&self) -> usize {
        self.scanner.footprint() + self.said.text_bytes
    }
}

impl Said {
    /// Most tokens of output that are allowed in all.
    pub(super) fn most_output(&self) -> Option<u64> {
        Some(self.max_output?.saturating_mul(self.choices.unwrap_or(1).max(1)))
    }

    /// Whether this could be a model call of any form.
    pub(super) const fn is_question(&self) -> bool {
        self.model.is_some() && (self.messages || self.input)
    }

    /// Whether this could be a model call of this form.
    pub(super) const fn suits(&self, api: Api) -> bool {
        self.model.is_some()
            && match api {
                Api::ChatCompletions | Api::Messages => self.messages,
                Api::Responses | Api::Embeddings => self.input,
                _ => false,
            }
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        match (path, token) {
            ("model", Token::Text(name)) => self.model = name_of(name),
            ("stream", Token::Flag(stream)) => self.stream = stream,
            ("max_tokens" | "max_completion_tokens" | "max_output_tokens", Token::Count(most)) => {
                self.max_output = Some(most)
            }
            ("n", Token::Count(choices)) => self.choices = Some(choices),
            // Each of these puts tokens into the prompt that no text here shows.
            ("tools[]" | "functions[]" | "conversation", Token::Begin)
            | ("response_format.json_schema", Token::Begin)
            | ("previous_response_id" | "conversation", Token::Text(_))
            | ("input[]" | "input[][]", Token::Count(_)) => self.text.input_open = true,
            (
                "messages[].content[].type"
                | "messages[].content[].content[].type"
                | "input[].content[].type"
                | "input[].type"
                | "system[].type",
                Token::Text(kind),
            ) => match kind {
                "image" | "image_url" | "input_image" => {
                    self.text.images = self.text.images.saturating_add(1);
                }
                "text"
                | "input_text"
                | "output_text"
                | "refusal"
                | "tool_result"
                | "message"
                | "function_call"
                | "function_call_output" => {}
                _ => self.text.input_open = true,
            },
            ("messages", Token::Begin) => self.messages = true,
            ("input", Token::Begin) => self.input = true,
            ("messages[]" | "input[]", Token::Begin) => self.begin_message(""),
            ("messages[].role" | "input[].role", Token::Text(role)) => {
                if let Some(message) = self.text.input.last_mut()
                    && role.len() <= MAX_NAME
                {
                    role.clone_into(&mut message.role);
                }
            }
            ("system" | "instructions", Token::Text(text)) => {
                self.begin_message("system");
                self.push_text(text);
            }
            ("system" | "instructions", Token::Begin) => self.begin_message("system"),
            ("input", Token::Text(text)) => {
                self.input = true;
                self.begin_message("user");
                self.push_text(text);
            }
            ("input[]", Token::Text(text)) => {
                self.begin_message("");
                self.push_text(text);
            }
            (
                "messages[].content"
                | "messages[].content[].text"
                | "messages[].content[].content"
                | "messages[].content[].content[].text"
                | "messages[].tool_calls[].function.name"
                | "messages[].tool_calls[].function.arguments"
                | "system[].text"
                | "input[].content"
                | "input[].content[].text"
                | "input[].arguments"
                | "input[].output",
                Token::Text(text),
            ) => self.push_text(text),
            (path, Token::Text("1h")) if path.ends_with("cache_control.ttl") => {
                self.cache_ttl_1h = true;
            }
            _ => {}
        }
    }

    fn begin_message(&mut self, role: &str) {
        if self.text.input.len() < MAX_MESSAGES {
            self.text.input.push(Message { role: role.to_owned(), ..Message::default() });
        }
    }

    fn push_text(&mut self, text: &str) {
        let Some(message) = self.text.input.last_mut() else { return };
        let room = MAX_TEXT.saturating_sub(self.text_bytes);
        let held = message.text.expose().len();
        self.text.cut |= !message.text.push_within(text, held + room);
        self.text_bytes += message.text.expose().len() - held;
    }
}

/// Takes the name that `text` is, if it is one; what was known stays if it isn't. The events of a
/// stream repeat their names, so mostly there is nothing to do.
pub(super) fn rename(slot: &mut Option<String>, text: &str) {
    if slot.as_deref() != Some(text)
        && let Some(name) = name_of(text)
    {
        *slot = Some(name);
    }
}

/// A name that fits a record: bounded and with nothing that could disturb a terminal.
pub(super) fn name_of(text: &str) -> Option<String> {
    let fits = !text.is_empty() && text.len() <= MAX_NAME && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_replaced_by_names_only() {
        let mut slot = None;
        for (text, name) in [
            ("", None),
            ("gpt-5", Some("gpt-5")),
            ("", Some("gpt-5")),
            ("bell\u{7}", Some("gpt-5")),
            ("gpt-5-2025-08-07", Some("gpt-5-2025-08-07")),
        ] {
            rename(&mut slot, text);
            assert_eq!(slot.as_deref(), name, "{text:?}");
        }
    }
}
