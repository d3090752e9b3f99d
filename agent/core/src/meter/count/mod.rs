//! Counts the tokens of a call whose answer doesn't say them.
//!
//! The first count with a tokenizer loads its tables: about 100 ms and 45 MiB. Nothing is loaded
//! before, so a host whose calls all report their usage never pays for it.

mod class;
mod encoding;
mod images;
mod pieces;

use crate::provider::{Api, Countable, Message};
use crate::units::Tokens;
pub(super) use class::Class;
pub(super) use encoding::{Rule, Scale};
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
    /// All of the text was there, counted with the model's own tokenizer, and there was nothing but
    /// text.
    pub(super) exact: bool,
    /// What the input lies between.
    pub(super) input: Between,
    /// What the output that was seen lies between.
    pub(super) seen: Between,
    /// The output may have been more than was seen: the model may have reasoned.
    pub(super) reasons: bool,
}

/// A number that isn't known: `least <= it <= most`. Where `most` is absent, so is an upper end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Between {
    pub(super) least: u64,
    pub(super) most: Option<u64>,
}

/// What the tokens of a model are to those that are counted for it, on either side of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scales {
    pub(super) input: Scale,
    pub(super) output: Scale,
}

/// Counts `text` as the model of this name would, as nearly as is known, whose tokens are to those
/// of its `rule` as `scales` says.
pub(super) fn count(
    model: &str,
    rule: &Rule,
    api: Api,
    text: &Countable,
    scales: &Scales,
) -> Count {
    let reasons = rule.reasons && puts_out_text(api);
    let input = tokens_in_input(rule, api, &text.input);
    let output = tokens_in(rule, text.output.expose());
    let only_text = !text.cut && !text.input_open && text.images == 0;
    let exact = rule.own && !reasons && only_text && input.exact && output.exact;
    let input = Scaled::by(scales.input, input.count);
    let output = Scaled::by(scales.output, output.count);
    let tokens =
        Tokens { input_uncached: input.likely, output_visible: output.likely, ..Tokens::default() };
    let images = images::most_tokens(model, text.images).filter(|_| !text.input_open);
    Count {
        tokens,
        exact,
        input: Between {
            least: input.least,
            most: images.map(|images| input.most.saturating_add(images)),
        },
        seen: Between { least: output.least, most: Some(output.most) },
        reasons,
    }
}

/// Tokens of a tokenizer of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) count: u64,
    /// The text was cut only where the tokenizer would have cut it.
    exact: bool,
}

/// Counts a text by `rule`.
pub(super) fn tokens_in(rule: &Rule, text: &str) -> Raw {
    let mut pieces = Pieces::of(text);
    let count = pieces.by_ref().map(|piece| rule.encoding.count(piece)).sum();
    Raw { count, exact: pieces.exact }
}

/// Counts the messages of a request by `rule`, and what the form puts around them.
pub(super) fn tokens_in_input(rule: &Rule, api: Api, input: &[Message]) -> Raw {
    // What isn't seen isn't counted, the frame of an unseen request included.
    let frame = if is_conversation(api) && !input.is_empty() {
        PER_MESSAGE * input.len() as u64 + PER_CONVERSATION
    } else {
        0
    };
    let texts = input.iter().flat_map(|message| [&*message.role, message.text.expose()]);
    texts.filter(|text| !text.is_empty()).fold(Raw { count: frame, exact: true }, |sum, text| {
        let Raw { count, exact } = tokens_in(rule, text);
        Raw { count: sum.count + count, exact: sum.exact && exact }
    })
}

/// What a number of tokens of another tokenizer comes to: `least <= likely <= most`.
#[derive(Clone, Copy)]
struct Scaled {
    least: u64,
    likely: u64,
    most: u64,
}

impl Scaled {
    fn by(scale: Scale, count: u64) -> Self {
        let thousandths = |part: u64| count.saturating_mul(part);
        Self {
            least: thousandths(scale.least) / 1_000,
            likely: thousandths(scale.likely).div_ceil(1_000),
            most: thousandths(scale.most).div_ceil(1_000),
        }
    }
}

/// Whether answers are text, which a model may have reasoned about first.
const fn puts_out_text(api: Api) -> bool {
    !matches!(
        api,
        Api::Embeddings | Api::EmbedContent | Api::CohereEmbed | Api::OllamaEmbed | Api::Rerank
    )
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
        Countable { input, output: Payload::from(output.to_owned()), ..Countable::default() }
    }

    fn count_by_table(model: &str, api: Api, text: &Countable) -> Count {
        let rule = Rule::of(model);
        count(model, &rule, api, text, &Scales { input: rule.scale, output: rule.scale })
    }

    #[track_caller]
    fn check(model: &str, api: Api, text: &Countable, input: u64, output: u64, exact: bool) {
        let tokens = Tokens { input_uncached: input, output_visible: output, ..Tokens::default() };
        let count = count_by_table(model, api, text);
        assert_eq!((count.tokens, count.exact), (tokens, exact));
        assert!(count.input.least <= input && count.input.most.is_none_or(|most| input <= most));
        assert!(count.seen.least <= output && count.seen.most.is_none_or(|most| output <= most));
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
    fn what_is_not_text_has_a_bound_if_its_size_has_one() {
        let most = |model, images, input_open| {
            let hello = text(&[("user", "hello world")], "hello");
            let text = Countable { images, input_open, ..hello };
            let count = count_by_table(model, Api::ChatCompletions, &text);
            assert!(!count.exact);
            count.input.most
        };
        assert_eq!(most("gpt-4o", 2, false), Some(9 + 2 * 14_364));
        // 9 at 1.5, and the image.
        assert_eq!(most("claude-opus-4-6", 1, false), Some(14 + 4_005));
        assert_eq!(most("gpt-4o-mini", 1, false), None);
        assert_eq!(most("gpt-4o", 0, true), None);
    }

    #[test]
    fn a_model_that_may_reason_is_never_counted_exactly() {
        let hello = text(&[("user", "hello world")], "hello");
        check("gpt-5-mini", Api::ChatCompletions, &hello, 9, 1, false);
        assert!(count_by_table("gpt-5-mini", Api::ChatCompletions, &hello).reasons);
        assert!(!count_by_table("gpt-4o", Api::ChatCompletions, &hello).reasons);
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
