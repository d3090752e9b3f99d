//! Whose endpoint a host is. Names are OpenTelemetry's `gen_ai.provider.name` where it has one.

use super::Api;

/// Exact names, and suffixes that begin with a dot.
const HOSTS: &[(&str, &str)] = &[
    ("api.openai.com", "openai"),
    (".api.openai.com", "openai"),
    ("chatgpt.com", "openai"),
    ("api.anthropic.com", "anthropic"),
    (".openai.azure.com", "azure.ai.openai"),
    (".cognitiveservices.azure.com", "azure.ai.openai"),
    (".services.ai.azure.com", "azure.ai.inference"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("api.mistral.ai", "mistral_ai"),
    ("api.groq.com", "groq"),
    ("api.deepseek.com", "deepseek"),
    ("api.x.ai", "x_ai"),
    ("api.perplexity.ai", "perplexity"),
    ("openrouter.ai", "openrouter"),
    ("api.together.xyz", "together"),
    ("api.fireworks.ai", "fireworks"),
];

/// The provider whose endpoint `host` is, a port included or not.
pub(super) fn provider_of(host: &str) -> Option<&'static str> {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    HOSTS
        .iter()
        .find(|(known, _)| match known.strip_prefix('.') {
            Some(_) => name.ends_with(known),
            None => name == *known,
        })
        .map(|(_, provider)| *provider)
}

/// The provider that made the form `api`.
pub(super) const fn maker_of(api: Api) -> &'static str {
    match api {
        Api::ChatCompletions | Api::Responses | Api::Embeddings => "openai",
        Api::Messages => "anthropic",
    }
}

/// The form that is spoken at `path`, whoever's host it is on.
pub(super) fn api_at(path: &str) -> Option<Api> {
    let path = path.trim_end_matches('/');
    [
        ("/chat/completions", Api::ChatCompletions),
        ("/responses", Api::Responses),
        ("/embeddings", Api::Embeddings),
        ("/messages", Api::Messages),
    ]
    .into_iter()
    .find(|(end, _)| path.ends_with(end))
    .map(|(_, api)| api)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_matched_by_whole_labels() {
        for (host, provider) in [
            ("api.openai.com", Some("openai")),
            ("API.OpenAI.com:443", Some("openai")),
            ("eu.api.openai.com.", Some("openai")),
            ("notapi.openai.com", None),
            ("api.openai.com.evil.example", None),
            ("my-resource.openai.azure.com", Some("azure.ai.openai")),
            ("localhost:8443", None),
            ("[::1]:8443", None),
            ("", None),
        ] {
            assert_eq!(provider_of(host), provider, "{host}");
        }
    }

    #[test]
    fn paths_are_matched_by_their_end() {
        for (path, api) in [
            ("/v1/chat/completions", Some(Api::ChatCompletions)),
            ("/openai/deployments/d/chat/completions/", Some(Api::ChatCompletions)),
            ("/v1/messages", Some(Api::Messages)),
            ("/v1/messages/count_tokens", None),
            ("/v1/messages/batches", None),
            ("/v1/responses/resp_1/cancel", None),
        ] {
            assert_eq!(api_at(path), api, "{path}");
        }
    }
}
