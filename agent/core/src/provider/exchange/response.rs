//! An answer on its way to the readers of the forms that it could have.

use super::body::Body;
use crate::http::coding::Decoder;
use crate::http::{Remarks, ResponseHead, Side};
use crate::provider::form::Form;
use crate::units::Timestamp;

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
    /// It may be the results of a batch, or any other file: its first byte will tell.
    is_file: bool,
}

impl Response {
    pub(super) fn new(head: &ResponseHead, forms: Vec<Box<dyn Form>>) -> Self {
        let body = match forms.as_slice() {
            [] => Body::Dull,
            [form] => Body::new(head.body.kind, form.keys()),
            _ => Body::new(head.body.kind, None),
        };
        let decoder = Decoder::new(&head.body.coding);
        let (status, remarks) = (head.status, head.remarks.clone());
        Self { status, remarks, body, decoder, forms, damaged: false, is_file: false }
    }

    /// Reads it as the results of a batch, if it turns out to be them.
    pub(super) fn expect_results(&mut self) {
        self.body = Body::lines();
        self.is_file = true;
    }

    /// An answer that has turned the exchange into a session, of a form that is known or not.
    pub(super) fn session(head: &ResponseHead, forms: Vec<Box<dyn Form>>, known: bool) -> Self {
        Self { body: Body::session(known), ..Self::new(head, forms) }
    }

    pub(super) fn message(&mut self, side: Side, text: Option<&[u8]>, now: Timestamp) {
        self.body.message(side, text, now, &mut self.forms);
    }

    pub(super) fn feed(&mut self, data: &[u8]) {
        let (body, forms, is_file) = (&mut self.body, &mut self.forms, &mut self.is_file);
        let decoded = self.decoder.feed(data, |plain| {
            if let Some(first) = plain.trim_ascii_start().first().filter(|_| *is_file) {
                *is_file = false;
                if *first != b'{' {
                    *body = Body::Dull;
                }
            }
            body.feed(plain, forms);
        });
        if decoded.is_err() {
            self.damaged |= !matches!(self.body, Body::Dull);
        }
    }

    /// No more of it will come.
    pub(super) fn end(&mut self) {
        self.damaged |= self.decoder.end().is_err() && !matches!(self.body, Body::Dull);
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

    /// The reader that has recognised its form, else one for a form that was asked for.
    pub(super) fn take_form(&mut self) -> Option<Box<dyn Form>> {
        let recognised = self.forms.iter().position(|form| form.answer().recognised);
        let chosen = recognised.or((!self.forms.is_empty()).then_some(0))?;
        Some(self.forms.swap_remove(chosen))
    }
}
