//! What is asked of whom, by a request's host and path. Names of providers are OpenTelemetry's
//! `gen_ai.provider.name` where it has one.
//!
//! Providers that differ only by their host are rows of [`HOSTS`]; what is asked is a row of
//! [`PATHS`], whoever's host it is on.

use super::request::name_of;
use super::{Api, ResultOf};

/// Host patterns: labels are literal, `*` is any one or more labels at the front, `{region}` is one
/// label that names a region, and a label may have a literal beside `{region}`.
const HOSTS: &[(&str, &str)] = &[
    ("api.openai.com", "openai"),
    ("mtls.api.openai.com", "openai"),
    ("mtls-{region}.api.openai.com", "openai"),
    ("{region}.api.openai.com", "openai"),
    ("chatgpt.com", "openai"),
    ("api.anthropic.com", "anthropic"),
    ("aws-external-anthropic.{region}.api.aws", "anthropic"),
    ("*.openai.azure.com", "azure.ai.openai"),
    ("*.cognitiveservices.azure.com", "azure.ai.openai"),
    ("*.services.ai.azure.com", "azure.ai.inference"),
    ("*.azure-api.net", "azure.ai.inference"),
    ("bedrock-runtime.{region}.amazonaws.com", "aws.bedrock"),
    ("bedrock-runtime-fips.{region}.amazonaws.com", "aws.bedrock"),
    ("bedrock-runtime.{region}.api.aws", "aws.bedrock"),
    ("bedrock-runtime-fips.{region}.api.aws", "aws.bedrock"),
    ("bedrock-mantle.{region}.api.aws", "aws.bedrock"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("cloudcode-pa.googleapis.com", "gcp.gen_ai"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("{region}-aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("aiplatform.{region}.rep.googleapis.com", "gcp.vertex_ai"),
    ("api.mistral.ai", "mistral_ai"),
    ("api.cohere.ai", "cohere"),
    ("api.cohere.com", "cohere"),
    ("api.groq.com", "groq"),
    ("api.deepseek.com", "deepseek"),
    ("api.x.ai", "x_ai"),
    ("api.perplexity.ai", "perplexity"),
    ("openrouter.ai", "openrouter"),
    ("api.together.xyz", "together"),
    ("api.fireworks.ai", "fireworks"),
    ("router.huggingface.co", "huggingface"),
    ("ai-gateway.vercel.sh", "vercel"),
    ("dashscope.aliyuncs.com", "alibaba"),
    ("dashscope-intl.aliyuncs.com", "alibaba"),
    ("api.z.ai", "zhipu"),
    ("api.minimax.io", "minimax"),
    ("api.githubcopilot.com", "github_copilot"),
    ("*.githubcopilot.com", "github_copilot"),
    ("models.github.ai", "github_models"),
    ("*.cloud.databricks.com", "databricks"),
    ("*.azuredatabricks.net", "databricks"),
    ("*.gcp.databricks.com", "databricks"),
    ("*.snowflakecomputing.com", "snowflake"),
    ("ollama.com", "ollama"),
];

/// Ports that tell whose endpoint it is where the name doesn't.
const PORTS: &[(&str, &str)] = &[("11434", "ollama")];

/// Path patterns, matched at the end of the path, the first that fits wins: segments are literal,
/// `{}` is any one segment, `{model}` is the segment that names the model, which may have a literal
/// behind it. Where several forms are spoken at one path, each has a row.
const PATHS: &[(&str, Verb, Api)] = &[
    ("/chat/completions", Verb::Ask, Api::ChatCompletions),
    // Snowflake's older path.
    ("/cortex/inference:complete", Verb::Ask, Api::ChatCompletions),
    // Databricks'.
    ("/serving-endpoints/{model}/invocations", Verb::Ask, Api::ChatCompletions),
    ("/serving-endpoints/{model}/invocations", Verb::Ask, Api::Embeddings),
    ("/serving-endpoints/{model}/invocations", Verb::Ask, Api::Completions),
    // Mistral's.
    ("/fim/completions", Verb::Ask, Api::ChatCompletions),
    ("/agents/completions", Verb::Ask, Api::ChatCompletions),
    ("/completions", Verb::Ask, Api::Completions),
    ("/responses", Verb::Ask, Api::Responses),
    ("/responses/compact", Verb::Ask, Api::Responses),
    ("/responses/{}", Verb::Retrieve, Api::Responses),
    ("/responses/{}/cancel", Verb::Cancel, Api::Responses),
    ("/images/generations", Verb::Ask, Api::Images),
    ("/images/edits", Verb::Ask, Api::Images),
    ("/images/variations", Verb::Ask, Api::Images),
    ("/audio/transcriptions", Verb::Ask, Api::Transcriptions),
    ("/audio/translations", Verb::Ask, Api::Transcriptions),
    ("/audio/speech", Verb::Ask, Api::Speech),
    // Whatever the batch was of; each line tells.
    ("/files/{}/content", Verb::Results, Api::ChatCompletions),
    ("/api/embeddings", Verb::Ask, Api::OllamaEmbed),
    ("/embeddings", Verb::Ask, Api::Embeddings),
    ("/messages", Verb::Ask, Api::Messages),
    ("/messages/count_tokens", Verb::Ask, Api::CountTokens),
    ("/messages/batches/{}/results", Verb::Results, Api::Messages),
    ("/model/{model}/converse", Verb::Ask, Api::Converse),
    ("/model/{model}/converse-stream", Verb::Ask, Api::Converse),
    ("/model/{model}/invoke", Verb::Ask, Api::Invoke),
    ("/model/{model}/invoke-with-response-stream", Verb::Ask, Api::Invoke),
    ("/model/{model}/invoke-with-bidirectional-stream", Verb::Ask, Api::Invoke),
    ("/model/{model}/count-tokens", Verb::Ask, Api::CountTokens),
    ("/v2/chat", Verb::Ask, Api::CohereChat),
    ("/v1/chat", Verb::Ask, Api::CohereChat),
    ("/v2/embed", Verb::Ask, Api::CohereEmbed),
    ("/v1/embed", Verb::Ask, Api::CohereEmbed),
    ("/v2/rerank", Verb::Ask, Api::Rerank),
    ("/v1/rerank", Verb::Ask, Api::Rerank),
    ("/v1/ocr", Verb::Ask, Api::Ocr),
    ("/models/count-tokens:rawPredict", Verb::Ask, Api::CountTokens),
    ("/publishers/anthropic/models/{model}:rawPredict", Verb::Ask, Api::Messages),
    ("/publishers/anthropic/models/{model}:streamRawPredict", Verb::Ask, Api::Messages),
    ("/v1internal:generateContent", Verb::Ask, Api::GenerateContent),
    ("/v1internal:streamGenerateContent", Verb::Ask, Api::GenerateContent),
    ("/v1internal:countTokens", Verb::Ask, Api::CountTokens),
    ("/{model}:generateContent", Verb::Ask, Api::GenerateContent),
    ("/{model}:streamGenerateContent", Verb::Ask, Api::GenerateContent),
    ("/{model}:countTokens", Verb::Ask, Api::CountTokens),
    ("/{model}:embedContent", Verb::Ask, Api::EmbedContent),
    ("/{model}:batchEmbedContents", Verb::Ask, Api::EmbedContent),
    ("/interactions", Verb::Ask, Api::Interactions),
    ("/interactions/{}", Verb::Retrieve, Api::Interactions),
    ("/api/chat", Verb::Ask, Api::OllamaChat),
    ("/api/generate", Verb::Ask, Api::OllamaGenerate),
    ("/api/embed", Verb::Ask, Api::OllamaEmbed),
    ("/completion", Verb::Ask, Api::LlamaCompletion),
    ("/generate", Verb::Ask, Api::TgiGenerate),
    ("/generate_stream", Verb::Ask, Api::TgiGenerate),
    ("/responses", Verb::Converse, Api::Responses),
    ("/realtime", Verb::Converse, Api::Realtime),
    (
        "/ws/google.ai.generativelanguage.v1.GenerativeService.BidiGenerateContent",
        Verb::Converse,
        Api::Live,
    ),
    (
        "/ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContent",
        Verb::Converse,
        Api::Live,
    ),
    // For tokens that last for one session.
    (
        "/ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContentConstrained",
        Verb::Converse,
        Api::Live,
    ),
    (
        "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent",
        Verb::Converse,
        Api::Live,
    ),
    (
        "/ws/google.cloud.aiplatform.v1.LlmBidiService/BidiGenerateContent",
        Verb::Converse,
        Api::Live,
    ),
    (
        "/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent",
        Verb::Converse,
        Api::Live,
    ),
];

/// What a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// A model call: `POST`.
    Ask,
    /// To read what an earlier call has come to: `GET`.
    Retrieve,
    /// To stop a call that goes on in the background and read what it has come to: `POST`.
    Cancel,
    /// To read a file that may hold the results of a batch: `GET`.
    Results,
    /// A session of many calls: a WebSocket.
    Converse,
}

/// What the path of a request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) verb: Verb,
    /// The wire form.
    pub(super) api: Api,
    /// The other forms that are spoken at this path.
    pub(super) also: Vec<Api>,
    /// The model, where the path names it.
    pub(super) model: Option<String>,
    /// The batch or the file whose content is read, where the path names one.
    id: Option<String>,
    /// The path asks for a stream. Where it doesn't, the body may.
    pub(super) streamed: bool,
}

impl Route {
    /// The forms that may be spoken here.
    pub(super) fn apis(&self) -> impl Iterator<Item = Api> + Clone {
        std::iter::once(self.api).chain(self.also.iter().copied())
    }

    /// What the results of a batch are called here, if that is what is read.
    pub(super) fn result_of(&self) -> Option<ResultOf> {
        let id = self.id.clone().filter(|_| self.verb == Verb::Results)?;
        Some(match self.api {
            Api::Messages => ResultOf::Batch(id),
            _ => ResultOf::File(id),
        })
    }
}

/// Whose endpoint a host is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) provider: &'static str,
    /// The region, where the name has one.
    pub(super) region: Option<String>,
}

/// The provider whose endpoint `host` is, a port included or not.
pub(super) fn endpoint(host: &str) -> Option<Endpoint> {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (name, port),
        _ => (host, ""),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let by_name = HOSTS.iter().find_map(|&(pattern, provider)| {
        let region = match_host(pattern, &name)?;
        Some(Endpoint { provider, region: region.and_then(name_of) })
    });
    by_name.or_else(|| {
        let (_, provider) = PORTS.iter().find(|(known, _)| *known == port)?;
        Some(Endpoint { provider, region: None })
    })
}

/// The region in `name` if it fits `pattern`.
fn match_host<'a>(pattern: &str, name: &'a str) -> Option<Option<&'a str>> {
    if let Some(suffix) = pattern.strip_prefix('*') {
        let front = name.strip_suffix(suffix)?;
        return (!front.is_empty()).then_some(None);
    }
    let Some((front, back)) = pattern.split_once("{region}") else {
        return (name == pattern).then_some(None);
    };
    let region = name.strip_prefix(front)?.strip_suffix(back)?;
    (!region.is_empty() && !region.contains('.')).then_some(Some(region))
}

/// What is asked at `path`, whoever's host it is on.
pub(super) fn route(verb: Verb, path: &str) -> Option<Route> {
    let path = path.trim_end_matches('/');
    // What a method says may be said more exactly by the path.
    let suits = |asks| match asks {
        Verb::Results => verb == Verb::Retrieve,
        Verb::Cancel => verb == Verb::Ask,
        Verb::Ask | Verb::Retrieve | Verb::Converse => asks == verb,
    };
    let rows = || PATHS.iter().filter(move |(_, asks, _)| suits(*asks));
    rows().find_map(|&(pattern, verb, api)| {
        let Named { model, id } = match_path(pattern, path)?;
        let same = rows().filter(|(other, _, also)| *other == pattern && *also != api);
        let also = same.map(|(_, _, also)| *also).collect();
        Some(Route { verb, api, also, model, id, streamed: pattern.contains("stream") })
    })
}

/// What a path names.
#[derive(Default)]
struct Named {
    model: Option<String>,
    /// What stands where the pattern has `{}`.
    id: Option<String>,
}

/// What is named in `path` if its end fits `pattern`.
fn match_path(pattern: &str, path: &str) -> Option<Named> {
    let mut named = Named::default();
    let mut segments = path.rsplit('/');
    for expected in pattern.trim_start_matches('/').rsplit('/') {
        let segment = segments.next()?;
        match expected.strip_prefix("{model}") {
            Some(behind) => {
                let segment = percent_encoding::percent_decode_str(segment).decode_utf8().ok()?;
                named.model = Some(name_of(segment.strip_suffix(behind)?)?);
            }
            None if expected == "{}" && !segment.is_empty() => named.id = name_of(segment),
            None if expected == segment => {}
            None => return None,
        }
    }
    Some(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_matched_by_whole_labels() {
        for (host, provider, region) in [
            ("api.openai.com", Some("openai"), None),
            ("API.OpenAI.com:443", Some("openai"), None),
            ("eu.api.openai.com.", Some("openai"), Some("eu")),
            ("mtls.api.openai.com", Some("openai"), None),
            ("mtls-eu.api.openai.com", Some("openai"), Some("eu")),
            ("notapi.openai.com", None, None),
            ("api.openai.com.evil.example", None, None),
            ("my-resource.openai.azure.com", Some("azure.ai.openai"), None),
            (".openai.azure.com", None, None),
            ("bedrock-runtime.eu-west-1.amazonaws.com", Some("aws.bedrock"), Some("eu-west-1")),
            ("bedrock-runtime.a.b.amazonaws.com", None, None),
            (
                "bedrock-runtime-fips.us-gov-west-1.api.aws",
                Some("aws.bedrock"),
                Some("us-gov-west-1"),
            ),
            ("us-east5-aiplatform.googleapis.com", Some("gcp.vertex_ai"), Some("us-east5")),
            ("aiplatform.eu.rep.googleapis.com", Some("gcp.vertex_ai"), Some("eu")),
            ("[::1]:11434", Some("ollama"), None),
            ("api.openai.com:11434", Some("openai"), None),
            ("localhost:8443", None, None),
            ("[::1]:8443", None, None),
            ("", None, None),
        ] {
            let found = endpoint(host);
            assert_eq!(found.as_ref().map(|found| found.provider), provider, "{host}");
            assert_eq!(found.and_then(|found| found.region).as_deref(), region, "{host}");
        }
    }

    #[test]
    fn paths_are_matched_by_their_end() {
        for (path, api) in [
            ("/v1/chat/completions", Some(Api::ChatCompletions)),
            ("/openai/deployments/d/chat/completions/", Some(Api::ChatCompletions)),
            ("/v1/completions", Some(Api::Completions)),
            ("/api/v2/cortex/inference:complete", Some(Api::ChatCompletions)),
            ("/serving-endpoints/e/invocations", Some(Api::ChatCompletions)),
            ("/v1/responses/compact", Some(Api::Responses)),
            ("/v1/messages", Some(Api::Messages)),
            ("/v1/messages/batches", None),
            ("/v1/messages/count_tokens", Some(Api::CountTokens)),
            ("/anthropic/v1/messages", Some(Api::Messages)),
            ("/model/m/converse-stream", Some(Api::Converse)),
            ("/model/m/invoke-with-response-stream", Some(Api::Invoke)),
            ("/model/m/invoke-with-bidirectional-stream", Some(Api::Invoke)),
            ("/v1/fim/completions", Some(Api::ChatCompletions)),
            ("/v1/responses/resp_1/cancel", Some(Api::Responses)),
            ("/v1/responses/resp_1/input_items", None),
            ("/v1beta/models/m:generateContent", Some(Api::GenerateContent)),
            ("/v1beta/models/m:batchGenerateContent", None),
            ("/v1beta/models/m:batchEmbedContents", Some(Api::EmbedContent)),
            ("/p/publishers/anthropic/models/m:rawPredict", Some(Api::Messages)),
            ("/p/publishers/anthropic/models/count-tokens:rawPredict", Some(Api::CountTokens)),
            ("/p/publishers/mistralai/models/m:rawPredict", None),
            ("/p/endpoints/openapi/chat/completions", Some(Api::ChatCompletions)),
            ("/v1beta/interactions", Some(Api::Interactions)),
            ("/v1beta/interactions/i/cancel", None),
            ("/api/embeddings", Some(Api::OllamaEmbed)),
            ("/api/v1/embeddings", Some(Api::Embeddings)),
        ] {
            assert_eq!(route(Verb::Ask, path).map(|route| route.api), api, "{path}");
        }
    }

    #[test]
    fn a_session_is_asked_for_where_a_call_is_too() {
        for (path, api) in [
            ("/v1/responses", Some(Api::Responses)),
            ("/openai/v1/realtime", Some(Api::Realtime)),
            (
                "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent",
                Some(Api::Live),
            ),
            ("/ws/google.cloud.aiplatform.v1.LlmBidiService/BidiGenerateContent", Some(Api::Live)),
            ("/v1/chat/completions", None),
        ] {
            assert_eq!(route(Verb::Converse, path).map(|route| route.api), api, "{path}");
        }
    }

    #[test]
    fn a_pattern_names_the_model() {
        let model = |path| match_path("/model/{model}/invoke", path)?.model;
        assert_eq!(model("/model/a%3Ab/invoke").as_deref(), Some("a:b"));
        assert_eq!(model("/model/a/b/invoke"), None);
        let arn = "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Fx/invoke";
        let name = "arn:aws:bedrock:eu-west-1:1:inference-profile/x";
        assert_eq!(model(arn).as_deref(), Some(name));
        let gemini = |path| match_path("/models/{model}:generateContent", path)?.model;
        for path in
            ["/v1beta/models/gemini-3:generateContent", "/models/gemini-3%3AgenerateContent"]
        {
            assert_eq!(gemini(path).as_deref(), Some("gemini-3"), "{path}");
        }
        assert_eq!(gemini("/models/:generateContent"), None);
    }

    #[test]
    fn a_path_may_ask_for_a_stream() {
        for (path, model, streamed) in [
            ("/v1beta/models/m:streamGenerateContent", Some("m"), true),
            ("/v1internal:streamGenerateContent", None, true),
            ("/v1/tunedModels/m:generateContent", Some("m"), false),
            ("/publishers/anthropic/models/c@1:streamRawPredict", Some("c@1"), true),
            ("/generate_stream", None, true),
            ("/generate", None, false),
        ] {
            let found = route(Verb::Ask, path).unwrap();
            assert_eq!((found.model.as_deref(), found.streamed), (model, streamed), "{path}");
        }
    }
}
