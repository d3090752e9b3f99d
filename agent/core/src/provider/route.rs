//! What is asked of whom, by a request's host and path. Names of providers are OpenTelemetry's
//! `gen_ai.provider.name` where it has one.
//!
//! Providers that differ only by their host are rows of [`HOSTS`]; what is asked is a row of
//! [`PATHS`], whoever's host it is on.

use super::Api;
use super::request::name_of;

/// Host patterns: labels are literal, `*` is any one or more labels at the front, `{region}` is one
/// label that names a region, and a label may have a literal beside `{region}`.
const HOSTS: &[(&str, &str)] = &[
    ("api.openai.com", "openai"),
    ("{region}.api.openai.com", "openai"),
    ("mtls.api.openai.com", "openai"),
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
];

/// Path patterns, matched at the end of the path, the first that fits wins: segments are literal,
/// `{}` is any one segment, `{model}` is the segment that names the model, which may have a literal
/// behind it.
const PATHS: &[(&str, Verb, Api)] = &[
    ("/chat/completions", Verb::Ask, Api::ChatCompletions),
    ("/responses", Verb::Ask, Api::Responses),
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
    ("/fim/completions", Verb::Ask, Api::ChatCompletions),
    ("/agents/completions", Verb::Ask, Api::ChatCompletions),
];

/// What a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// A model call: `POST`.
    Ask,
    /// To read what an earlier call has come to: `GET`.
    Retrieve,
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
    /// The model, where the path names it.
    pub(super) model: Option<String>,
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
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    HOSTS.iter().find_map(|&(pattern, provider)| {
        let region = match_host(pattern, &name)?;
        Some(Endpoint { provider, region: region.and_then(name_of) })
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
    let suits = |asks| asks == verb || verb == Verb::Retrieve && asks == Verb::Results;
    PATHS.iter().filter(|(_, asks, _)| suits(*asks)).find_map(|&(pattern, verb, api)| {
        let model = match_path(pattern, path)?;
        Some(Route { verb, api, model })
    })
}

/// The model in `path` if its end fits `pattern`.
fn match_path(pattern: &str, path: &str) -> Option<Option<String>> {
    let mut model = None;
    let mut segments = path.rsplit('/');
    for expected in pattern.trim_start_matches('/').rsplit('/') {
        let segment = segments.next()?;
        match expected.strip_prefix("{model}") {
            Some(behind) => {
                let name = percent_encoding::percent_decode_str(segment.strip_suffix(behind)?);
                model = Some(name_of(&name.decode_utf8().ok()?)?);
            }
            None if expected == "{}" && !segment.is_empty() => {}
            None if expected == segment => {}
            None => return None,
        }
    }
    Some(model)
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
            ("/v1/messages", Some(Api::Messages)),
            ("/v1/messages/batches", None),
            ("/v1/messages/count_tokens", Some(Api::CountTokens)),
            ("/anthropic/v1/messages", Some(Api::Messages)),
            ("/model/m/converse-stream", Some(Api::Converse)),
            ("/model/m/invoke-with-response-stream", Some(Api::Invoke)),
            ("/model/m/invoke-with-bidirectional-stream", Some(Api::Invoke)),
            ("/api/embed", None),
            ("/v1/responses/resp_1/cancel", None),
        ] {
            assert_eq!(route(Verb::Ask, path).map(|route| route.api), api, "{path}");
        }
    }

    #[test]
    fn a_pattern_names_the_model() {
        let model = |path| match_path("/model/{model}/invoke", path).flatten();
        assert_eq!(model("/model/a%3Ab/invoke").as_deref(), Some("a:b"));
        assert_eq!(model("/model/a/b/invoke"), None);
        let arn = "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Fx/invoke";
        let name = "arn:aws:bedrock:eu-west-1:1:inference-profile/x";
        assert_eq!(model(arn).as_deref(), Some(name));
        let gemini = |path| match_path("/models/{model}:generateContent", path).flatten();
        assert_eq!(gemini("/v1beta/models/gemini-3:generateContent").as_deref(), Some("gemini-3"));
    }
}
