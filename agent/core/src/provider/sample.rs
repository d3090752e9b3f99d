//! Which calls that say their usage can teach how many tokens text comes to.

use super::form::Answer;
use super::{Api, CallState, Countable, ModelCall, Usage};
use crate::secret::Payload;
use crate::units::Tokens;

/// The forms whose readers tell reasoning, and arguments of tools that they don't read, from the
/// visible text.
const FORMS: &[Api] = &[
    Api::ChatCompletions,
    Api::Responses,
    Api::Messages,
    Api::Converse,
    Api::Invoke,
    Api::GenerateContent,
    Api::CohereChat,
    Api::OllamaChat,
    Api::OllamaGenerate,
];

/// Longest text of a side, in bytes. A longer one is let go of whole: there is no usage that a part
/// of it could be compared with. Thousands of calls may wait for the meter, which bounds what they
/// may hold.
const LONGEST: usize = 16 * 1024;

/// The text of a call that has said its usage, as far as it has something to teach. `output` is to
/// be empty unless it [`is_lesson`].
pub(super) fn of(call: &ModelCall, input: Countable, output: Payload) -> Option<Countable> {
    let usage = plain_usage(call)?;
    let whole = !input.cut && !input.input_open && input.images == 0;
    let fits = input.footprint() <= LONGEST;
    let input = if whole && fits && is_text(&usage.tokens) { input.input } else { Vec::new() };
    let is_empty = input.is_empty() && output.expose().is_empty();
    (!is_empty).then(|| Countable { input, output, ..Countable::default() })
}

/// Whether the visible output that a call has reported is the text of its answer, and that text is
/// not too long.
pub(super) fn is_lesson(call: &ModelCall, answer: &Answer) -> bool {
    let Some(Usage { tokens, .. }) = plain_usage(call) else { return false };
    // Where reasoning isn't said it is part of the output, and nobody knows how much of it.
    let reasoning_is_told = !answer.reasoned || tokens.reasoning > 0;
    let speaks = tokens.output_audio > 0 || tokens.output_image > 0;
    let whole = !answer.text_cut && !answer.mixed;
    whole && reasoning_is_told && !speaks && answer.text.expose().len() <= LONGEST
}

/// The usage of a call that was seen as a whole, if it is that of text and of one model.
fn plain_usage(call: &ModelCall) -> Option<&Usage> {
    let seen = call.state == CallState::Complete && call.lost_bytes == 0 && !call.retrieved;
    let usage = call.usage.as_ref().filter(|_| seen && FORMS.contains(&call.api))?;
    let plain = usage.counts.is_empty() && usage.parts.is_empty() && !usage.inconsistent;
    plain.then_some(usage)
}

/// Whether all of the input is text, as far as is said.
const fn is_text(tokens: &Tokens) -> bool {
    let Tokens { input_audio, input_image, input_video, input_tool, .. } = *tokens;
    let Tokens { cache_read_audio, cache_read_image, .. } = *tokens;
    input_audio | input_image | input_video | input_tool | cache_read_audio | cache_read_image == 0
}
