//! OpenAI `POST …/images/{generations,edits,variations}`. The models that are billed by the token
//! say their usage; of those that are billed by the image, it is known how many were asked for.

use super::form::{Answer, Asked, Form, inside};
use super::json::Token;
use super::quirks::{Quirks, quirks};
use super::usage::{OpenAiUsage, Parts};
use super::{Api, Usage};
use crate::secret::Payload;
use crate::units::Tokens;

#[derive(Debug)]
pub(super) struct Images {
    quirks: Quirks,
    answer: Answer,
    usage: OpenAiUsage,
    /// The model that wrote SVG, beside the one that made images.
    svg: Parts,
    /// The model that was asked for: the answer names none.
    model: Option<String>,
}

impl Images {
    pub(super) fn new(asked: &Asked) -> Self {
        let quirks = quirks(asked.provider, Api::Images);
        Self {
            quirks,
            answer: Answer::default(),
            usage: OpenAiUsage::new(quirks),
            svg: Parts::default(),
            model: asked.model.clone(),
        }
    }
}

impl Form for Images {
    fn api(&self) -> Api {
        Api::Images
    }

    /// The images themselves are megabytes of Base64.
    fn keys(&self) -> Option<&'static [&'static str]> {
        Some(&["error", "svg_usage", "usage"])
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        let answer = &mut self.answer;
        match (path, token) {
            ("type", Token::Text(kind)) => {
                let ours = ["image_generation.", "image_edit."];
                answer.recognised |= ours.iter().any(|ours| kind.starts_with(ours));
                answer.finished |= answer.recognised && kind.ends_with(".completed");
                answer.failed |= kind == "error";
            }
            ("svg_usage", Token::Begin) => {
                self.svg.restart();
                self.svg.begin(self.quirks);
            }
            ("svg_usage.model", Token::Text(model)) => self.svg.model(model),
            _ => {
                if let Some(key) = inside(path, "usage") {
                    self.usage.read(key, token);
                } else if let Some(key) = inside(path, "svg_usage") {
                    self.svg.read(key, token);
                } else if let Some(key) = inside(path, "error") {
                    answer.read_error(key, token);
                }
            }
        }
    }

    fn usage(&self) -> Option<Usage> {
        Some(self.svg.beside(self.usage.of_images()?, self.model.as_deref()))
    }

    fn answer(&self) -> &Answer {
        &self.answer
    }

    fn take_text(&mut self) -> Payload {
        std::mem::take(&mut self.answer.text)
    }
}

impl OpenAiUsage {
    /// The usage of a model that makes images: its output is images where it isn't said.
    pub(super) fn of_images(&self) -> Option<Usage> {
        let mut usage = self.normal()?;
        if !self.tells_output() {
            let Tokens { output_visible, output_image, .. } = usage.tokens;
            usage.tokens.output_image = output_image.saturating_add(output_visible);
            usage.tokens.output_visible = 0;
        }
        Some(usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::json::{Item, Texts};

    /// An image may be longer than any value that is read.
    #[test]
    fn usage_behind_a_large_image_is_read_and_the_image_is_not_held() {
        let mut form = Images::new(&Asked::default());
        let mut texts = Texts::only(form.keys().unwrap());
        let block = vec![b'A'; 1 << 20];
        let mut feed = |bytes: &[u8]| {
            texts.feed(bytes, |item| match item {
                Item::Value(path, token) => form.read(path, token),
                Item::End => {}
            });
            assert!(texts.footprint() < 1 << 10, "{} bytes are held", texts.footprint());
        };
        feed(br#"{"created":1,"data":[{"b64_json":""#);
        for _ in 0..20 {
            feed(&block);
        }
        feed(br#""}],"usage":{"input_tokens":5,"output_tokens":7}}"#);
        let tokens = Tokens { input_uncached: 5, output_image: 7, ..Tokens::default() };
        assert_eq!(form.usage(), Some(Usage::from(tokens)));
    }
}
