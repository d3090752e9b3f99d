//! The names under which a model may be listed, from the name that was on the wire. Each step only
//! takes off what is known not to change the price; nothing is matched by likeness.

/// Longer names are no model's: what follows is not looked at.
const LONGEST: usize = 200;

/// Makers whose prefix, `MAKER/` or `MAKER.`, may be taken off.
const MAKERS: &[&str] = &[
    "openai",
    "anthropic",
    "google",
    "gemini",
    "mistralai",
    "mistral",
    "cohere",
    "deepseek",
    "x-ai",
    "xai",
    "perplexity",
    "groq",
];

/// Providers whose models are sold under their own names and at their own prices by whoever speaks
/// their forms without being known by its host: a gateway is known only by the form that it speaks.
const RELAYED: &[&str] =
    &["openai", "anthropic", "gcp.gemini", "deepseek", "mistral_ai", "x_ai", "cohere"];

/// Whose prices hold for what `provider` sells and has no prices of its own for. Azure sells
/// OpenAI's models at OpenAI's prices, as genai-prices says too (`fallback_model_providers`). Other
/// resellers have prices of their own, so what isn't listed for them isn't known.
pub(super) fn relayed(provider: &str) -> &'static [&'static str] {
    match provider {
        "azure.ai.openai" => &["openai"],
        "azure.ai.inference" => &["azure.ai.openai", "openai"],
        _ if RELAYED.contains(&provider) => RELAYED,
        _ => &[],
    }
}

/// The names to look up, best first.
pub(super) fn candidates(wire: &str) -> Vec<String> {
    if wire.len() > LONGEST {
        return Vec::new();
    }
    let wire = wire.trim().to_ascii_lowercase();
    let wire = without_path(&wire);
    let bare = without_maker(wire);
    let mut names = vec![wire.to_owned()];
    match bare.strip_prefix("ft:") {
        // `ft:BASE:organisation:name:id` has a price of its own. That of BASE would be a guess.
        Some(tuned) => {
            let base = tuned.split(':').next().unwrap_or_default();
            names.push(format!("ft:{base}"));
            names.push(format!("ft:{}", without_date(base)));
        }
        None => {
            names.push(without_throughput(bare).to_owned());
            names.push(bare.to_owned());
            names.push(without_date(bare).to_owned());
        }
    }
    names.dedup();
    names
}

/// Takes off what is before the model in a resource's name: Amazon's `arn:…/`, Google's `models/` and
/// `projects/…/models/`.
fn without_path(name: &str) -> &str {
    if name.starts_with("arn:") {
        return name.rsplit('/').next().unwrap_or(name);
    }
    if name.starts_with("projects/") || name.starts_with("publishers/") {
        return name.rsplit("/models/").next().unwrap_or(name);
    }
    name.strip_prefix("models/").unwrap_or(name)
}

/// Takes off the `:51k` that Amazon puts behind a model of another context length at the same price.
fn without_throughput(name: &str) -> &str {
    let Some((model, suffix)) = name.rsplit_once(':') else { return name };
    let thousands = suffix.strip_suffix('k').unwrap_or_default();
    let is_length = !thousands.is_empty() && thousands.bytes().all(|byte| byte.is_ascii_digit());
    if is_length && model.contains(':') { model } else { name }
}

/// Takes off `MAKER/`, or `MAKER.` and the region `global.` before it, at which the price is the
/// maker's own. Other regions have other prices, so their names stay as they are.
fn without_maker(name: &str) -> &str {
    let local = name.strip_prefix("global.").unwrap_or(name);
    let rest = MAKERS.iter().find_map(|maker| local.strip_prefix(maker)?.strip_prefix(['/', '.']));
    rest.unwrap_or(name)
}

/// Takes off `-YYYY-MM-DD`, `-YYYYMMDD`, `-latest` or `@…`, which name a release of a model, not
/// another one.
#[must_use]
pub fn without_date(name: &str) -> &str {
    if let Some((model, _release)) = name.split_once('@') {
        return model;
    }
    if let Some(model) = name.strip_suffix("-latest") {
        return model;
    }
    [11, 9]
        .into_iter()
        .find_map(|length| {
            let (model, suffix) = name.split_at_checked(name.len().checked_sub(length)?)?;
            is_date(suffix).then_some(model)
        })
        .unwrap_or(name)
}

/// Whether `text` is `-YYYY-MM-DD` or `-YYYYMMDD`.
fn is_date(text: &str) -> bool {
    let Some(date) = text.strip_prefix('-') else { return false };
    let dashes_fit = match date.len() {
        8 => !date.contains('-'),
        10 => date.as_bytes()[4] == b'-' && date.as_bytes()[7] == b'-',
        _ => false,
    };
    dashes_fit
        && date.starts_with("20")
        && date.replace('-', "").len() == 8
        && date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn last(wire: &str) -> String {
        candidates(wire).pop().unwrap()
    }

    #[test]
    fn only_what_leaves_the_price_alone_is_taken_off() {
        for (wire, name) in [
            ("gpt-4o", "gpt-4o"),
            ("openai/gpt-4o-2024-08-06", "gpt-4o"),
            ("claude-opus-4-1-20250805", "claude-opus-4-1"),
            ("claude-sonnet-4@20250514", "claude-sonnet-4"),
            ("global.anthropic.claude-x", "claude-x"),
            ("us.anthropic.claude-x", "us.anthropic.claude-x"),
            ("azure/gpt-4o", "azure/gpt-4o"),
            ("ft:gpt-4o-2024-08-06:org::id", "ft:gpt-4o"),
            ("gpt-4-0613", "gpt-4-0613"),
            ("gpt-4o-2024-0806", "gpt-4o-2024-0806"),
            ("GPT-4o", "gpt-4o"),
            ("arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova", "us.amazon.nova"),
            ("publishers/google/models/gemini-x", "gemini-x"),
            ("models/gemini-x", "gemini-x"),
        ] {
            assert_eq!(last(wire), name, "{wire}");
        }
    }

    #[test]
    fn a_context_length_leaves_the_price_alone() {
        assert!(candidates("amazon.nova-v1:0:51k").contains(&"amazon.nova-v1:0".to_owned()));
        assert!(!candidates("qwen:32k").contains(&"qwen".to_owned()));
    }

    proptest! {
        #[test]
        fn no_name_is_too_hostile(wire in any::<String>(), tail in "[-@:./0-9ä]{0,14}") {
            candidates(&format!("{wire}{tail}"));
        }
    }
}
