//! The text that goes with a call: to be counted where the answer didn't say all of its usage, to
//! learn from where it did.

use super::Exchange;
use crate::provider::form::Form;
use crate::provider::request::Question;
use crate::provider::{Api, CallState, Countable, ModelCall, sample};
use crate::secret::Payload;

impl Exchange {
    /// Adds the text of an answer that is over.
    pub(super) fn add_text(&mut self, call: &mut ModelCall, form: &mut dyn Form, finished: bool) {
        let answer = form.answer();
        let refused = call.status.is_none_or(|status| status >= 400)
            || call.state == CallState::Error && answer.text.expose().is_empty();
        // What is read back was counted when it was made, or is no text.
        let uncountable = call.retrieved || answer.pending || !is_text(call.api);
        if refused || uncountable {
            return;
        }
        let is_over = self.response.as_ref().is_some_and(|response| response.body.is_over());
        let left_out = self.response.as_ref().is_some_and(|response| response.body.left_out());
        let cut = answer.text_cut || left_out;
        if call.usage.is_some() && (finished || is_over || call.state == CallState::Error) {
            let input = self.question.take().map(Question::into_countable).unwrap_or_default();
            let teaches = !cut && sample::is_lesson(call, answer);
            let output = if teaches { form.take_text() } else { Payload::default() };
            call.sample = sample::of(call, input, output);
            return;
        }
        let mut text = match (&call.usage, self.question.take()) {
            (None, Some(question)) => question.into_countable(),
            (None, None) => Countable { cut: true, input_open: true, ..Countable::default() },
            (Some(_), _) => Countable::default(),
        };
        text.cut |= cut || call.state != CallState::Complete;
        text.output = form.take_text();
        call.countable = Some(text);
    }
}

/// Whether input and output of a call of the form `api` are text, so that it can be counted.
const fn is_text(api: Api) -> bool {
    !matches!(
        api,
        Api::Images | Api::Transcriptions | Api::Speech | Api::CountTokens | Api::Rerank | Api::Ocr
    )
}
