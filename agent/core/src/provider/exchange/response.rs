//! An answer on its way to the readers of the forms that it could have.

use super::body::Body;
use crate::http::coding::Decoder;
use crate::http::{BodyKind, Remarks, ResponseHead};
use crate::provider::form::Form;

/// The answer as it comes.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) remarks: Box<Remarks>,
    pub(super) body: Body,
    decoder: Decoder,
    /// Readers of every form that the answer could have.
    pub(super) forms: Vec<Box<dyn Form>>,
    /// Part of it could not be read.
    pub(super) damaged: bool,
}

impl Response {
    /// An answer that begins with `head`, whose body holds what `kind` says.
    pub(super) fn new(head: &ResponseHead, kind: BodyKind, forms: Vec<Box<dyn Form>>) -> Self {
        let body = if forms.is_empty() { Body::Dull } else { Body::new(kind) };
        let decoder = Decoder::new(&head.body.coding);
        let remarks = head.remarks.clone();
        Self { status: head.status, remarks, body, decoder, forms, damaged: false }
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
        let text = self.forms.iter().map(|form| form.answer().text.expose().len());
        self.body.footprint() + text.sum::<usize>()
    }

    /// The reader that has recognised its form, else the one for the form that was asked for.
    pub(super) fn take_form(&mut self) -> Option<Box<dyn Form>> {
        let recognised = self.forms.iter().position(|form| form.answer().recognised);
        let chosen = recognised.or((self.forms.len() == 1).then_some(0))?;
        Some(self.forms.swap_remove(chosen))
    }
}
