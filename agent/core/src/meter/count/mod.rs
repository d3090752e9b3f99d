//! Counts the tokens of a call whose answer doesn't say them.
//!
//! The first count with a tokenizer loads its tables: about 100 ms and 45 MiB. Nothing is loaded
//! before, so a host whose calls all report their usage never pays for it.

mod encoding;
mod pieces;

use crate::provider::{Api, Countable};
use crate::units::Tokens;
use encoding::Rule;
use pieces::Pieces;

/// Tokens around each message and around the whole conversation (tiktoken-rs,
/// `num_tokens_from_messages`; OpenAI's cookbook).
const PER_MESSAGE: u64 = 3;
const PER_CONVERSATION: u64 = 3;

/// What was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    /// All input is uncached and all output visible: text doesn't say more.
    pub(super) tokens: Tokens,
    /// All of the text was there, and counted with the model's own tokenizer.
    pub(super) exact: bool,
}

/// Counts `text` as the model of this name would, as nearly as is known.
pub(super) fn count(model: &str, api: Api, text: &Countable) -> Count {
    let rule = Rule::of(model);
    let mut exact = rule.own && !text.cut;
    let mut tokens_in = |text: &str| {
        let mut pieces = Pieces::of(text);
        let count: u64 = pieces.by_ref().map(|piece| rule.encoding.count(piece)).sum();
        exact &= pieces.exact;
        count
    };
    let input: u64 = text
        .input
        .iter()
        .map(|message| {
            let role = if message.role.is_empty() { 0 } else { tokens_in(&message.role) };
            role + tokens_in(message.text.expose())
        })
        .sum();
    // What isn't seen isn't counted, the frame of an unseen request included.
    let frame = if is_conversation(api) && !text.input.is_empty() {
        PER_MESSAGE * text.input.len() as u64 + PER_CONVERSATION
    } else {
        0
    };
    let output = tokens_in(text.output.expose());
    let scaled = |count: u64| (count * rule.tenths).div_ceil(10);
    let tokens = Tokens {
        input_uncached: scaled(input + frame),
        output_visible: scaled(output),
        ..Tokens::default()
    };
    Count { tokens, exact }
}

/// Whether the input is a conversation, with its tokens around each message.
const fn is_conversation(api: Api) -> bool {
    matches!(
        api,
        Api::ChatCompletions
            | Api::Responses
            | Api::Messages
            | Api::Converse
            | Api::GenerateContent
            | Api::CohereChat
            | Api::OllamaChat
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::Message;
    use crate::secret::Payload;

    fn text(messages: &[(&str, &str)], output: &str) -> Countable {
        let input = messages
            .iter()
            .map(|&(role, text)| Message {
                role: role.to_owned(),
                text: Payload::from(text.to_owned()),
            })
            .collect();
        Countable { input, output: Payload::from(output.to_owned()), cut: false }
    }

    #[track_caller]
    fn check(model: &str, api: Api, text: &Countable, input: u64, output: u64, exact: bool) {
        let tokens = Tokens { input_uncached: input, output_visible: output, ..Tokens::default() };
        assert_eq!(count(model, api, text), Count { tokens, exact });
    }

    #[test]
    fn a_conversation_is_counted_with_its_frame() {
        let hello = text(&[("user", "hello world")], "hello");
        // 3 around the message, 1 role, 2 words, 3 around the conversation.
        check("gpt-4o", Api::ChatCompletions, &hello, 9, 1, true);
        check("gpt-4", Api::ChatCompletions, &hello, 9, 1, true);
        check("gpt-6-sol", Api::ChatCompletions, &hello, 9, 1, false);
        check("claude-opus-4-6", Api::Messages, &hello, 11, 2, false);
        check("claude-opus-4-7", Api::Messages, &hello, 14, 2, false);
        let cut = Countable { cut: true, ..text(&[("user", "hello world")], "hello") };
        check("gpt-4o", Api::ChatCompletions, &cut, 9, 1, false);
    }

    #[test]
    fn text_to_embed_has_no_frame() {
        let texts = text(&[("", "hello world"), ("", "hello")], "");
        check("text-embedding-3-small", Api::Embeddings, &texts, 3, 0, true);
    }

    #[test]
    fn text_that_cannot_be_cut_exactly_is_an_estimate() {
        let long = text(&[("", &"a".repeat(1 << 16))], "");
        check("gpt-4o", Api::Embeddings, &long, 8192, 0, false);
    }
}
