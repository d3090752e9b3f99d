//! What a request wants, by what it begins with, where no answer will be seen that could tell: less is
//! believed than of an exchange that is read. Many paths are words that anybody may use.

use super::Api;
use super::exchange::verb;
use super::request::Question;
use super::route::{Endpoint, Route, Verb, endpoint, route};
use crate::http::{BodyKind, RequestHead};

/// One request as far as it is there.
#[derive(Debug)]
pub struct Glance {
    head: RequestHead,
    endpoint: Option<Endpoint>,
    route: Option<Route>,
    question: Option<Question>,
}

/// What was seen of it.
#[derive(Debug)]
pub struct Glanced {
    /// Its head.
    pub head: RequestHead,
    /// Whose endpoint the host is that it names; of a model call to a host that nobody knows, who made
    /// the form.
    pub provider: Option<&'static str>,
    /// The form, if it is a model call, or reads one back.
    pub api: Option<Api>,
    /// The host that it names is a provider's endpoint.
    pub is_to_provider: bool,
}

impl Glance {
    /// A request with this head.
    #[must_use]
    pub fn new(head: RequestHead) -> Self {
        let route = verb(&head).and_then(|verb| route(verb, &head.path));
        let asks =
            route.as_ref().filter(|route| route.verb == Verb::Ask && may_hold(head.body.kind));
        let question = asks.map(|route| Question::new(&head, Some(route.api)));
        let endpoint = head.host.as_deref().and_then(endpoint);
        Self { head, endpoint, route, question }
    }

    /// Part of its body came.
    pub fn body(&mut self, data: &[u8]) {
        if let Some(question) = &mut self.question {
            question.feed(data);
        }
    }

    /// No more of it will be seen.
    #[must_use]
    pub fn finish(self) -> Glanced {
        let api = self.route.as_ref().and_then(|route| self.form(route));
        let provider = self.endpoint.as_ref().map(|endpoint| endpoint.provider);
        Glanced {
            provider: provider.or_else(|| api.map(Api::maker)),
            api,
            is_to_provider: provider.is_some(),
            head: self.head,
        }
    }

    /// The form that is spoken, if it is certain enough that any is.
    fn form(&self, route: &Route) -> Option<Api> {
        let asks = match route.verb {
            Verb::Ask => self.question.is_some(),
            Verb::Retrieve | Verb::Cancel | Verb::Results | Verb::Converse => true,
        };
        let shown = || {
            let said = &self.question.as_ref()?.said;
            let suits = |api: &Api| {
                said.suits(*api)
                    || route.model.is_some() && said.has_shape(*api)
                    || api.is_self_hosted() && said.is_question()
            };
            route.apis().find(suits)
        };
        let known = self.endpoint.as_ref().is_some_and(|endpoint| {
            !route.api.is_self_hosted() || endpoint.provider == route.api.maker()
        });
        let certain = || (known || self.is_telling(route)).then_some(route.api);
        asks.then(|| shown().or_else(certain)).flatten()
    }

    /// Whether nobody else has such a path, with what the head says beside it.
    fn is_telling(&self, route: &Route) -> bool {
        let asks = match route.verb {
            Verb::Ask | Verb::Converse => route.also.is_empty(),
            Verb::Retrieve | Verb::Cancel | Verb::Results => false,
        };
        asks && match route.api {
            Api::ChatCompletions | Api::Rerank | Api::Live => true,
            Api::Completions
            | Api::Embeddings
            | Api::Images
            | Api::Transcriptions
            | Api::Speech => self.head.path.contains("/v1/"),
            Api::Messages | Api::CountTokens => {
                self.head.anthropic_version || route.model.is_some()
            }
            Api::Converse | Api::Invoke | Api::GenerateContent | Api::EmbedContent => {
                route.model.is_some()
            }
            Api::Realtime => self.head.query_model.is_some(),
            Api::Responses
            | Api::Interactions
            | Api::CohereChat
            | Api::CohereEmbed
            | Api::Ocr
            | Api::OllamaChat
            | Api::OllamaGenerate
            | Api::OllamaEmbed
            | Api::LlamaCompletion
            | Api::TgiGenerate => false,
        }
    }
}

/// Whether what is said to be this may be a question. Who tries one out by hand often says what is wrong.
const fn may_hold(kind: BodyKind) -> bool {
    match kind {
        BodyKind::Json | BodyKind::Form | BodyKind::Unsaid | BodyKind::Other => true,
        BodyKind::EventStream | BodyKind::Lines | BodyKind::AmazonEventStream | BodyKind::Grpc => {
            false
        }
    }
}
