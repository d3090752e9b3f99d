//! What a request body says, whichever wire form it has: they agree on the keys that matter.

use super::form::{CacheTtl, inside};
use super::json::{Scanner, Token};
use super::multipart::Parts;
use super::step::Step;
use super::{Api, Countable, Message};
use crate::http::coding::Decoder;
use crate::http::{BodyKind, RequestHead};
use crate::secret::{Fingerprint, Sealing};

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
    "anthropic_version",
    "cache_control",
    "contents",
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
    "prompt",
    "response_format",
    "stream",
    "system",
    "tools",
];
/// The same where the path says that it is one of Google's forms.
const GOOGLE_KEYS: &[&str] = &[
    "agent",
    "content",
    "contents",
    "generationConfig",
    "generation_config",
    "input",
    "model",
    "request",
    "requests",
    "stream",
    "systemInstruction",
    "system_instruction",
];
/// The same where the path is one of a self-hosted server's. Others may use such a path for what
/// they do.
const SELF_HOSTED_KEYS: &[&str] = &[
    "anthropic_version",
    "cache_control",
    "contents",
    "input",
    "inputs",
    "instructions",
    "max_completion_tokens",
    "max_output_tokens",
    "max_tokens",
    "messages",
    "model",
    "n_predict",
    "options",
    "parameters",
    "prompt",
    "stream",
    "system",
    "tools",
];

/// The same where the path is one of Bedrock's, whatever the model's own body is.
const BEDROCK_KEYS: &[&str] = &[
    "anthropic_version",
    "cache_control",
    "inferenceConfig",
    "input",
    "inputText",
    "max_tokens",
    "message",
    "messages",
    "prompt",
    "system",
    "texts",
    "toolConfig",
    "tools",
];
/// The same where the path is one of Cohere's.
const COHERE_KEYS: &[&str] =
    &["input_type", "max_tokens", "message", "messages", "model", "query", "stream", "texts"];

/// Reads one request body.
#[derive(Debug)]
pub(super) struct Question {
    decoder: Decoder,
    body: Body,
    /// Of all that came; nothing once something didn't.
    seal: Option<Sealing>,
    step: Step,
    pub(super) said: Said,
}

/// How the body is written.
#[derive(Debug)]
enum Body {
    Json(Scanner),
    /// `multipart/form-data`: what comes with a file.
    Form(Parts),
}

/// What it says.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) model: Option<String>,
    /// Gemini's agents stand where a model does.
    pub(super) agent: Option<String>,
    pub(super) stream: Option<bool>,
    messages: bool,
    input: bool,
    prompt: bool,
    /// It has fields of a form, which only calls with files have.
    form: bool,
    /// How long an `input` that is one text is, in characters.
    pub(super) characters: Option<u64>,
    /// How many answers, or images, are wanted, if it says.
    pub(super) wanted: Option<u64>,
    /// It has `contents` with parts, as Gemini's forms have.
    contents: bool,
    /// It has a `content` with parts, to be embedded.
    content: bool,
    anthropic_version: bool,
    /// What is asked stands under a key of Bedrock's models or of Cohere's.
    subject: bool,
    /// A prompt-cache breakpoint asks for the longer lifetime.
    cache_ttl_1h: bool,
    /// Most tokens that are allowed of each answer.
    pub(super) max_output: Option<u64>,
    text: Countable,
    text_bytes: usize,
    /// Whose the content is that is being read, in Gemini's form.
    role: String,
}

impl Question {
    /// A question, whose form is the one that `api` names if the path tells.
    pub(super) fn new(head: &RequestHead, api: Option<Api>) -> Self {
        let body = match head.body.kind {
            BodyKind::Form => Body::Form(Parts::default()),
            _ => Body::Json(Scanner::only(keys(api))),
        };
        let mut said = Said::default();
        // Of other forms nobody looks whether there is more in the prompt than its text.
        said.text.input_open = keys(api) != KEYS;
        Self {
            decoder: Decoder::new(&head.body.coding),
            body,
            seal: Some(head.key.sealing("request")),
            step: Step::new(&head.key),
            said,
        }
    }

    pub(super) fn feed(&mut self, data: &[u8]) {
        let Self { decoder, body, seal, step, said } = self;
        let decoded = decoder.feed(data, |plain| {
            if let Some(seal) = seal {
                seal.update(plain);
            }
            match body {
                Body::Json(scanner) => scanner.feed(plain, |path, token| {
                    step.read(path, token);
                    said.read(path, token);
                }),
                Body::Form(parts) => parts.feed(plain, |name, value| said.read_field(name, value)),
            }
        });
        if decoded.is_err() {
            self.seal = None;
            self.body.lose();
        }
    }

    /// Stands for the body, if all of it came.
    pub(super) fn fingerprint(&self) -> Option<Fingerprint> {
        let seal = self.seal.as_ref().filter(|_| self.is_whole())?;
        Some(seal.clone().finish())
    }

    /// Stands for the tools that the model called last, if all of the body came.
    pub(super) fn step(&self) -> Option<Fingerprint> {
        self.step.last().filter(|_| self.is_whole())
    }

    pub(super) fn lose(&mut self) {
        self.decoder.lose();
        self.seal = None;
        self.body.lose();
    }

    /// The text for counting; a lower bound if the body was not read to its end.
    pub(super) fn into_countable(self) -> Countable {
        let is_whole = self.body.is_whole() && !self.body.left_out();
        let mut text = self.said.into_countable();
        text.cut |= !is_whole;
        text.input_open |= text.cut;
        text
    }

    /// Whether it was read to its end.
    pub(super) fn is_whole(&self) -> bool {
        self.body.is_whole()
    }

    /// Whether the rest of it is missing.
    pub(super) fn is_cut(&self) -> bool {
        match &self.body {
            Body::Json(scanner) => !scanner.is_whole() && !scanner.is_broken(),
            Body::Form(_) => false,
        }
    }

    /// For how long it wants input kept in the prompt cache.
    pub(super) fn cache_ttl(&self) -> CacheTtl {
        match self.said.cache_ttl_1h {
            true => CacheTtl::OneHour,
            false if self.is_whole() => CacheTtl::FiveMinutes,
            false => CacheTtl::Unknown,
        }
    }

    pub(super) fn footprint(&self) -> usize {
        self.body.footprint() + self.said.text_bytes
    }
}

impl Body {
    fn lose(&mut self) {
        match self {
            Self::Json(scanner) => scanner.lose(),
            Self::Form(parts) => parts.lose(),
        }
    }

    fn is_whole(&self) -> bool {
        match self {
            Self::Json(scanner) => scanner.is_whole(),
            Self::Form(parts) => parts.is_whole(),
        }
    }

    fn left_out(&self) -> bool {
        match self {
            Self::Json(scanner) => scanner.left_out(),
            Self::Form(_) => false,
        }
    }

    fn footprint(&self) -> usize {
        match self {
            Self::Json(scanner) => scanner.footprint(),
            Self::Form(parts) => parts.footprint(),
        }
    }
}

impl Said {
    /// Most tokens of output that are allowed in all.
    pub(super) fn most_output(&self) -> Option<u64> {
        Some(self.max_output?.saturating_mul(self.wanted.unwrap_or(1).max(1)))
    }

    /// Whether this could be a model call of any form.
    pub(super) const fn is_question(&self) -> bool {
        (self.model.is_some() || self.anthropic_version) && (self.messages || self.input)
            || self.contents
    }

    /// Whether this could be a model call of Gemini's form: its body names no model.
    pub(super) const fn is_of_gemini(&self) -> bool {
        self.contents
    }

    /// Whether this could be a model call of this form.
    pub(super) const fn suits(&self, api: Api) -> bool {
        (self.model.is_some() || self.agent.is_some()) && self.has_shape(api)
    }

    /// Whether this could be a model call of this form, if the path names the model. At the
    /// paths of self-hosted servers the answer has to tell.
    pub(super) const fn has_shape(&self, api: Api) -> bool {
        match api {
            Api::ChatCompletions | Api::Messages | Api::Converse => self.messages,
            Api::Responses | Api::Embeddings | Api::Interactions | Api::Speech => self.input,
            Api::Completions => self.prompt,
            Api::Images => self.prompt || self.form,
            Api::Transcriptions => self.form,
            Api::GenerateContent => self.contents,
            Api::EmbedContent => self.content,
            Api::CountTokens => self.messages || self.input || self.contents,
            Api::Invoke => self.messages || self.input || self.prompt || self.subject,
            Api::CohereChat => self.messages || self.subject,
            Api::CohereEmbed | Api::Rerank => self.subject,
            // Nobody else has such a path, and what is to be read can be very long.
            Api::Ocr => true,
            _ => false,
        }
    }

    /// Whether a stream is asked for. Ollama streams unless it is told not to.
    pub(super) fn asks_for_stream(&self, api: Api) -> bool {
        self.stream.unwrap_or(matches!(api, Api::OllamaChat | Api::OllamaGenerate))
    }

    /// Takes a field of a form.
    fn read_field(&mut self, name: &str, value: &str) {
        self.form = true;
        match name {
            "model" => self.model = name_of(value),
            "n" => self.wanted = value.parse().ok(),
            "stream" => self.stream = Some(value.eq_ignore_ascii_case("true")),
            _ => {}
        }
    }

    pub(super) fn read(&mut self, path: &str, token: Token<'_>) {
        match (path, token) {
            ("model", Token::Text(name)) => self.model = name_of(name),
            ("agent", Token::Text(name)) => self.agent = name_of(name),
            ("stream", Token::Flag(stream)) => self.stream = Some(stream),
            (
                "max_tokens"
                | "max_completion_tokens"
                | "max_output_tokens"
                | "n_predict"
                | "options.num_predict"
                | "parameters.max_new_tokens"
                | "inferenceConfig.maxTokens",
                Token::Count(most),
            ) => self.max_output = Some(most),
            ("n", Token::Count(wanted)) => self.wanted = Some(wanted),
            ("anthropic_version", Token::Text(_)) => self.anthropic_version = true,
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
            ("prompt", Token::Begin) => self.prompt = true,
            ("prompt", Token::Text(text)) => {
                self.prompt = true;
                self.begin_message("");
                self.push_text(text);
            }
            ("prompt[]", Token::Text(text)) => {
                self.begin_message("");
                self.push_text(text);
            }
            ("input", Token::Text(text)) => {
                self.input = true;
                self.characters = Some(text.chars().count() as u64);
                self.begin_message("user");
                self.push_text(text);
            }
            ("inputText" | "message" | "query", Token::Text(text)) => {
                self.subject = true;
                self.begin_message("user");
                self.push_text(text);
            }
            ("texts[]", Token::Text(text)) => {
                self.subject = true;
                self.begin_message("");
                self.push_text(text);
            }
            ("input_type", Token::Text(_)) => self.subject = true,
            ("input[]" | "inputs", Token::Text(text)) => {
                self.begin_message("");
                self.push_text(text);
            }
            (
                "messages[].content"
                | "messages[].content[].text"
                | "messages[].content[].content"
                | "messages[].content[].content[].text"
                | "messages[].content[].toolResult.content[].text"
                | "messages[].tool_calls[].function.name"
                | "messages[].tool_calls[].function.arguments"
                | "system[].text"
                | "input[].content"
                | "input[].content[].text"
                | "input[].arguments"
                | "input[].output",
                Token::Text(text),
            ) => self.push_text(text),
            (path, Token::Text("1h"))
                if path.ends_with("cache_control.ttl") || path.ends_with("cachePoint.ttl") =>
            {
                self.cache_ttl_1h = true;
            }
            _ => self.read_gemini(inside(path, "request").unwrap_or(path), token),
        }
    }

    /// Takes a value of Gemini's forms. Where they say that there is an array, one alone will do.
    fn read_gemini(&mut self, path: &str, token: Token<'_>) {
        match (path, token) {
            ("contents[].parts" | "contents.parts", Token::Begin) => {
                self.contents = true;
                let role = std::mem::take(&mut self.role);
                self.begin_message(&role);
            }
            ("content.parts" | "requests[].content.parts", Token::Begin) => {
                self.content = true;
                self.begin_message("");
            }
            ("systemInstruction.parts" | "system_instruction.parts", Token::Begin) => {
                self.begin_message("system");
            }
            ("system_instruction", Token::Text(text)) => {
                self.begin_message("system");
                self.push_text(text);
            }
            ("contents[]" | "contents", Token::Begin) => self.role.clear(),
            ("contents[].role" | "contents.role", Token::Text(role)) if role.len() <= MAX_NAME => {
                role.clone_into(&mut self.role);
            }
            (
                "generationConfig.maxOutputTokens"
                | "generation_config.maxOutputTokens"
                | "generation_config.max_output_tokens",
                Token::Count(most),
            ) => self.max_output = Some(most),
            (path, Token::Text(text)) if is_text_of_gemini(path) => self.push_text(text),
            _ => {}
        }
    }

    /// The text for counting, as far as it was read.
    pub(super) fn into_countable(self) -> Countable {
        self.text
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

/// The keys that are read of a body whose form is the one that `api` names.
const fn keys(api: Option<Api>) -> &'static [&'static str] {
    match api {
        Some(Api::GenerateContent | Api::EmbedContent | Api::Interactions) => GOOGLE_KEYS,
        Some(api) if api.is_self_hosted() => SELF_HOSTED_KEYS,
        Some(Api::Converse | Api::Invoke) => BEDROCK_KEYS,
        Some(Api::CohereChat | Api::CohereEmbed | Api::Rerank) => COHERE_KEYS,
        _ => KEYS,
    }
}

/// Whether this is where Gemini's forms have text of the prompt.
fn is_text_of_gemini(path: &str) -> bool {
    let Some((content, part)) = path.split_once(".parts") else { return false };
    let part = part.strip_prefix("[]").unwrap_or(part);
    matches!(
        content,
        "contents[]"
            | "contents"
            | "content"
            | "requests[].content"
            | "systemInstruction"
            | "system_instruction"
    ) && (matches!(part, ".text" | ".functionCall.name" | ".functionResponse.name")
        || part.starts_with(".functionCall.args.")
        || part.starts_with(".functionResponse.response."))
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
mod tests;
