//! The results of a batch: `GET …/files/{id}/content` of OpenAI's, a line for each call with the
//! answer that the call itself would have had. The batch's own summary (`GET …/batches/{id}`) has
//! the sum of their usage and is not read, so that nothing is billed twice.

use std::collections::VecDeque;

use super::form::{Answer, Asked, Form, Several, inside, reader};
use super::json::Token;
use super::request::name_of;
use super::{Api, Usage};
use crate::http::Side;
use crate::secret::Payload;

/// The forms that a batch can have calls of.
const FORMS: &[Api] = &[Api::ChatCompletions, Api::Responses, Api::Embeddings, Api::Completions];

#[derive(Debug)]
pub(super) struct Results {
    asked: Asked,
    /// The form of the latest result that was taken.
    api: Api,
    line: Line,
    ended: VecDeque<(Api, Answer, Option<Usage>)>,
}

/// The current line.
#[derive(Debug, Default)]
struct Line {
    /// It is that of a result.
    begun: bool,
    status: Option<u16>,
    /// The call never ran.
    failed: bool,
    error_type: Option<String>,
    forms: Vec<Box<dyn Form>>,
    /// Before the line is known to be a result, nothing is said of it.
    answer: Answer,
}

impl Results {
    pub(super) fn new(asked: &Asked) -> Self {
        let asked = Asked { results: false, ..asked.clone() };
        let line = Line::new(&asked);
        Self { asked, api: Api::ChatCompletions, line, ended: VecDeque::new() }
    }
}

impl Line {
    fn new(asked: &Asked) -> Self {
        let forms = FORMS.iter().filter_map(|&api| reader(api, asked)).collect();
        Self { forms, ..Self::default() }
    }

    /// What the line says, if it is that of a result.
    fn end(mut self, latest: Api) -> Option<(Api, Answer, Option<Usage>)> {
        let status = self.status.filter(|_| self.begun)?;
        let recognised = self.forms.iter().position(|form| form.answer().recognised);
        let form = self.forms.swap_remove(recognised.unwrap_or(0));
        let api = if recognised.is_some() { form.api() } else { latest };
        let said = form.answer();
        let failed = self.failed || said.failed || status >= 400;
        if recognised.is_none() && !failed {
            return None;
        }
        let mut context = said.context.clone();
        context.batch = true;
        let answer = Answer {
            recognised: true,
            model: said.model.clone(),
            response_id: said.response_id.clone(),
            context,
            finished: true,
            failed,
            error_type: self.error_type.or_else(|| said.error_type.clone()),
            status: Some(status),
            ..Answer::default()
        };
        Some((api, answer, form.usage()))
    }
}

impl Form for Results {
    fn api(&self) -> Api {
        self.api
    }

    fn read(&mut self, path: &str, token: Token<'_>) {
        let line = &mut self.line;
        match (path, token) {
            ("custom_id", Token::Text(_)) => line.begun = true,
            ("response.status_code", Token::Count(status)) => {
                line.status = u16::try_from(status).ok();
            }
            ("error", Token::Begin) => line.failed = true,
            ("error.code", Token::Text(code)) => line.error_type = name_of(code),
            _ => {
                if let Some(key) = inside(path, "response.body") {
                    line.forms.iter_mut().for_each(|form| form.read(key, token));
                }
            }
        }
    }

    fn end_text(&mut self, side: Side) {
        let mut line = std::mem::replace(&mut self.line, Line::new(&self.asked));
        line.forms.iter_mut().for_each(|form| form.end_text(side));
        self.ended.extend(line.end(self.api));
    }

    fn usage(&self) -> Option<Usage> {
        None
    }

    fn answer(&self) -> &Answer {
        &self.line.answer
    }

    fn take_text(&mut self) -> Payload {
        std::mem::take(&mut self.line.answer.text)
    }

    /// A line that breaks off is no call: the file can be fetched again.
    fn several(&self) -> Option<Several> {
        Some(Several { begun: false })
    }

    fn next(&mut self) -> Option<(Answer, Option<Usage>)> {
        let (api, answer, usage) = self.ended.pop_front()?;
        self.api = api;
        Some((answer, usage))
    }
}
