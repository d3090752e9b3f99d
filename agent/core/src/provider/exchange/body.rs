//! The body of an answer on its way to the readers of the forms that it could have.

use crate::http::coding::Decoder;
use crate::http::sse::Splitter;
use crate::http::{BodyKind, ResponseHead, Side};
use crate::provider::form::Form;
use crate::provider::json::{Scanner, Token};

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

#[derive(Debug)]
pub(super) enum Body {
    /// Its first byte will tell.
    Unknown,
    Json(Scanner),
    Events {
        splitter: Splitter,
        scanner: Scanner,
        /// `data: [DONE]` has come.
        done: bool,
    },
    /// Nothing that a model call would have.
    Dull,
}

impl Body {
    fn events() -> Self {
        Self::Events { splitter: Splitter::default(), scanner: Scanner::default(), done: false }
    }

    fn feed(&mut self, plain: &[u8], forms: &mut [Box<dyn Form>]) {
        if matches!(self, Self::Unknown) {
            match plain.trim_ascii_start().first() {
                Some(b'{' | b'[') => *self = Self::Json(Scanner::default()),
                Some(_) => *self = Self::events(),
                None => {}
            }
        }
        match self {
            Self::Unknown | Self::Dull => {}
            Self::Json(scanner) => {
                let whole = scanner.is_whole();
                scanner.feed(plain, |path, token| read(forms, path, token));
                if !whole && scanner.is_whole() {
                    forms.iter_mut().for_each(|form| form.end_text(Side::Response));
                }
            }
            Self::Events { splitter, scanner, done } => splitter.feed(plain, |data| {
                if data == b"[DONE]" {
                    *done = true;
                } else {
                    scanner.restart();
                    scanner.feed(data, |path, token| read(forms, path, token));
                    forms.iter_mut().for_each(|form| form.end_text(Side::Response));
                }
            }),
        }
    }

    fn lose(&mut self) {
        match self {
            Self::Unknown | Self::Dull => {}
            Self::Json(scanner) => scanner.lose(),
            Self::Events { splitter, .. } => splitter.lose(),
        }
    }

    fn footprint(&self) -> usize {
        match self {
            Self::Unknown | Self::Dull => 0,
            Self::Json(scanner) => scanner.footprint(),
            Self::Events { splitter, .. } => splitter.footprint(),
        }
    }
}

impl Response {
    pub(super) fn new(head: &ResponseHead, forms: Vec<Box<dyn Form>>) -> Self {
        let body = match head.body.kind {
            _ if forms.is_empty() => Body::Dull,
            BodyKind::Json => Body::Json(Scanner::default()),
            BodyKind::EventStream => Body::events(),
            BodyKind::Unsaid => Body::Unknown,
            BodyKind::Other => Body::Dull,
        };
        let decoder = Decoder::new(&head.body.coding);
        Self { status: head.status, body, decoder, forms, damaged: false }
    }

    pub(super) fn feed(&mut self, data: &[u8]) {
        let (body, forms) = (&mut self.body, &mut self.forms);
        if self.decoder.feed(data, |plain| body.feed(plain, forms)).is_err() {
            self.damaged |= !matches!(self.body, Body::Dull);
        }
    }

    pub(super) fn lose(&mut self) {
        self.decoder.lose();
        self.body.lose();
        self.damaged |= !matches!(self.body, Body::Dull);
    }

    /// Whether the caller has something: for a stream the first of its output, not its preamble.
    pub(super) fn has_output(&self) -> bool {
        match self.body {
            Body::Unknown => false,
            Body::Json(_) | Body::Dull => true,
            Body::Events { .. } => {
                self.forms.iter().any(|form| !form.answer().text.expose().is_empty())
            }
        }
    }

    pub(super) fn footprint(&self) -> usize {
        let text = self.forms.iter().map(|form| form.answer().text.expose().len());
        self.body.footprint() + text.sum::<usize>()
    }

    /// Whether its own last word was read.
    pub(super) fn is_over(&self) -> bool {
        match &self.body {
            Body::Json(scanner) => scanner.is_whole(),
            Body::Events { done, .. } => *done,
            Body::Unknown | Body::Dull => false,
        }
    }

    /// The reader that has recognised its form, else the one for the form that was asked for.
    pub(super) fn take_form(&mut self) -> Option<Box<dyn Form>> {
        let recognised = self.forms.iter().position(|form| form.answer().recognised);
        let chosen = recognised.or((self.forms.len() == 1).then_some(0))?;
        Some(self.forms.swap_remove(chosen))
    }
}

fn read(forms: &mut [Box<dyn Form>], path: &str, token: Token<'_>) {
    forms.iter_mut().for_each(|form| form.read(path, token));
}
