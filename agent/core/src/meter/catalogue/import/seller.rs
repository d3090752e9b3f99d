//! Who sells a model, and under which name, by how the data sets call it.

/// LiteLLM's `litellm_provider`, ours, and what its names begin with there. Names without that are
/// classes of models where `true`.
const LITELLM: &[(&str, &str, &str, bool)] = &[
    ("openai", "openai", "openai/", false),
    ("text-completion-openai", "openai", "", false),
    ("anthropic", "anthropic", "anthropic/", false),
    ("azure", "azure.ai.openai", "azure/", true),
    ("azure_text", "azure.ai.openai", "azure/", false),
    ("azure_ai", "azure.ai.inference", "azure_ai/", true),
    ("bedrock", "aws.bedrock", "bedrock/", false),
    ("bedrock_converse", "aws.bedrock", "bedrock/", false),
    ("bedrock_mantle", "aws.bedrock", "bedrock_mantle/", true),
    ("gemini", "gcp.gemini", "gemini/", true),
    ("mistral", "mistral_ai", "mistral/", true),
    ("codestral", "mistral_ai", "codestral/", true),
    ("cohere", "cohere", "cohere/", false),
    ("cohere_chat", "cohere", "cohere/", false),
    ("groq", "groq", "groq/", true),
    ("deepseek", "deepseek", "deepseek/", false),
    ("xai", "x_ai", "xai/", true),
    ("perplexity", "perplexity", "perplexity/", true),
    ("together_ai", "together", "together_ai/", true),
    ("fireworks_ai", "fireworks", "fireworks_ai/", true),
    ("fireworks_ai-embedding-models", "fireworks", "fireworks_ai/", true),
    ("dashscope", "alibaba", "dashscope/", true),
    ("zai", "zhipu", "zai/", true),
    ("minimax", "minimax", "minimax/", true),
    ("github_copilot", "github_copilot", "github_copilot/", true),
    ("databricks", "databricks", "databricks/", true),
    ("snowflake", "snowflake", "snowflake/", true),
    ("ollama", "ollama", "ollama/", true),
    ("vercel_ai_gateway", "vercel", "vercel_ai_gateway/", true),
    ("openrouter", "openrouter", "openrouter/", true),
];

/// genai-prices' provider and ours. Of Amazon, Azure and DeepSeek LiteLLM says more: by region, and
/// by the day of the week.
const GENAI: &[(&str, &str)] = &[
    ("openai", "openai"),
    ("anthropic", "anthropic"),
    ("google", "gcp.gemini"),
    ("mistral", "mistral_ai"),
    ("cohere", "cohere"),
    ("groq", "groq"),
    ("x-ai", "x_ai"),
    ("perplexity", "perplexity"),
    ("together", "together"),
    ("fireworks", "fireworks"),
    ("openrouter", "openrouter"),
    ("zai", "zhipu"),
    ("minimax", "minimax"),
    ("github-copilot", "github_copilot"),
    ("databricks", "databricks"),
];

/// Our provider and the name on the wire of what LiteLLM calls `key`.
pub(super) fn of_litellm(provider: &str, key: &str) -> Option<(&'static str, String)> {
    let key = key.to_lowercase();
    let (ours, name) = if provider.starts_with("vertex_ai") {
        ("gcp.vertex_ai", key.strip_prefix("vertex_ai/").unwrap_or(&key))
    } else {
        let &(_, ours, prefix, required) =
            LITELLM.iter().find(|(theirs, ..)| *theirs == provider)?;
        match key.strip_prefix(prefix) {
            Some(name) => (ours, name),
            None if required => return None,
            None => (ours, key.as_str()),
        }
    };
    let name = if ours == "gcp.vertex_ai" { name.rsplit('/').next().unwrap_or(name) } else { name };
    let fits = match name.split_once('/') {
        Some((region, rest)) if ours == "aws.bedrock" => is_region(region) && !rest.contains('/'),
        Some((first, rest)) if ours == "azure.ai.openai" => {
            matches!(first, "eu" | "us") && !rest.contains('/')
        }
        // The size and quality of an image.
        Some((first, _)) if ours == "openai" => !first.contains("-x-") && first != "hd",
        Some(_) | None => true,
    };
    (fits && !name.is_empty() && !name.contains('*')).then(|| (ours, name.to_owned()))
}

/// Our provider of genai-prices', and what it puts behind a name.
pub(super) fn of_genai(provider: &str) -> Option<(&'static str, String)> {
    if let Some(server) = provider.strip_prefix("huggingface_") {
        return Some(("huggingface", format!(":{server}")));
    }
    let (_, ours) = GENAI.iter().find(|(theirs, _)| *theirs == provider)?;
    Some((ours, String::new()))
}

/// Whether it looks like `us-gov-west-1`.
fn is_region(text: &str) -> bool {
    let mut parts = text.split('-');
    let number = parts.next_back().unwrap_or_default();
    let words = parts.clone().count();
    let is_word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    words >= 2 && parts.all(is_word) && number.len() == 1 && number.as_bytes()[0].is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_on_the_wire() {
        for (provider, key, expected) in [
            ("openai", "gpt-4o", Some(("openai", "gpt-4o"))),
            ("openai", "1024-x-1024/gpt-image-1", None),
            ("azure", "azure/eu/gpt-4o", Some(("azure.ai.openai", "eu/gpt-4o"))),
            ("azure", "azure/global/gpt-4o", None),
            ("bedrock", "bedrock/us-gov-west-1/x", Some(("aws.bedrock", "us-gov-west-1/x"))),
            ("bedrock", "bedrock/us-west-2/1-month-commitment/x", None),
            ("bedrock", "bedrock/invoke/x", None),
            ("bedrock", "bedrock/*/1-month-commitment/x", None),
            (
                "vertex_ai-anthropic_models",
                "vertex_ai/claude-x",
                Some(("gcp.vertex_ai", "claude-x")),
            ),
            ("together_ai", "together-ai-up-to-4b", None),
            (
                "fireworks_ai",
                "fireworks_ai/accounts/fireworks/models/X",
                Some(("fireworks", "accounts/fireworks/models/x")),
            ),
            ("nowhere", "x", None),
        ] {
            let found = of_litellm(provider, key);
            let found = found.as_ref().map(|(provider, name)| (*provider, name.as_str()));
            assert_eq!(found, expected, "{key}");
        }
        assert_eq!(of_genai("huggingface_groq"), Some(("huggingface", ":groq".to_owned())));
        assert_eq!(of_genai("aws"), None);
    }
}
