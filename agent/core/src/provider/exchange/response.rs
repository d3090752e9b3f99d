//! An answer on its way to the readers of the forms that it could have.

use super::body::Body;
use crate::http::coding::Decoder;
use crate::http::{ResponseHead, Side};
use crate::provider::form::Form;
use crate::units::Timestamp;

/// The answer as it comes.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) body: Body,
    decoder: Decoder,
    /// Readers of every form that the answer could have.
    pub(super) forms: Vec<Box<dyn Form>>,
    /// Part of it could not be read.
    pub(super) damaged: bool,
}

impl Response {
    pub(super) fn new(head: &ResponseHead, forms: Vec<Box<dyn Form>>) -> Self {
        let body = if forms.is_empty() { Body::Dull } else { Body::new(head.body.kind) };
        let decoder = Decoder::new(&head.body.coding);
        Self { status: head.status, body, decoder, forms, damaged: false }
    }

    /// An answer that has turned the exchange into a session, of a form that is known or not.
    pub(super) fn session(head: &ResponseHead, forms: Vec<Box<dyn Form>>, known: bool) -> Self {
        Self { body: Body::session(known), ..Self::new(head, forms) }
    }

    pub(super) fn message(&mut self, side: Side, text: Option<&[u8]>, now: Timestamp) {
        self.body.message(side, text, now, &mut self.forms);
    }

    pub(super) fn feed(&mut self, data: &[u8]) {
        let (body, forms) = (&mut self.body, &mut self.forms);
        if self.decoder.feed(data, |plain| body.feed(plain, forms)).is_err() {
            self.damaged |= !matches!(self.body, Body::Dull);
        }
    }

    /// No more of it will come.
    pub(super) fn end(&mut self) {
        self.body.end(&mut self.forms);
        self.forms.iter_mut().for_each(|form| form.end());
    }

    pub(super) fn lose(&mut self, bytes: u64) {
        self.decoder.lose();
        self.body.lose(self.decoder.is_identity().then_some(bytes));
        self.damaged |= !matches!(self.body, Body::Dull);
    }

    /// Whether the caller has something: for a stream the first of its output, not its preamble.
    pub(super) fn has_output(&self) -> bool {
        match self.body {
            Body::Unknown => false,
            _ if self.body.is_stream() => {
                self.forms.iter().any(|form| !form.answer().text.expose().is_empty())
            }
            _ => true,
        }
    }

    pub(super) fn footprint(&self) -> usize {
        let held = self.forms.iter().map(|form| form.footprint());
        self.body.footprint() + held.sum::<usize>()
    }

    /// The reader that has recognised its form, else the one for the form that was asked for.
    pub(super) fn take_form(&mut self) -> Option<Box<dyn Form>> {
        let recognised = self.forms.iter().position(|form| form.answer().recognised);
        let chosen = recognised.or((self.forms.len() == 1).then_some(0))?;
        Some(self.forms.swap_remove(chosen))
    }
}
