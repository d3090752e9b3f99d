//! What a price depends on beside the tokens, each with what others got wrong about it.

use super::*;

const NOON: &str = "2026-11-26T12:00:00Z";

struct Asked<'a> {
    provider: &'a str,
    model: &'a str,
    region: Option<&'a str>,
    at: &'a str,
    tokens: Tokens,
    counts: &'a [(Unit, u64)],
}

impl Asked<'_> {
    fn of<'a>(provider: &'a str, model: &'a str) -> Asked<'a> {
        let tokens = input(1_000_000);
        Asked { provider, model, region: None, at: NOON, tokens, counts: &[] }
    }
}

/// The cost, with a `+` behind it if something had no price.
#[track_caller]
fn check(asked: &Asked<'_>, dollars: Option<&str>) {
    let region = asked.region.map(str::to_owned);
    let context = PriceContext { region, ..PriceContext::default() };
    let Asked { provider, model, .. } = *asked;
    let at = asked.at.parse().unwrap();
    let sale = Sale { provider, host: None, model, context: &context, at };
    let counts = Counts(asked.counts.iter().copied().collect());
    let quote = builtin().quote(&sale, &asked.tokens, &counts);
    let shown =
        quote.map(|quote| format!("{}{}", quote.cost, if quote.complete { "" } else { "+" }));
    assert_eq!(
        shown.as_deref(),
        dollars,
        "{provider} {model} {region:?} {}",
        asked.at,
        region = asked.region
    );
}

/// BerriAI/litellm#42469, for Amazon: a profile has its own price wherever it is asked, a bare name
/// only where its price is known.
#[test]
fn bedrock_is_priced_by_profile_and_region() {
    let sonnet = "anthropic.claude-sonnet-4-5-20250929-v1:0";
    for (model, region, dollars) in [
        (format!("global.{sonnet}"), "eu-west-1", Some("0.30")),
        (format!("eu.{sonnet}"), "eu-west-1", Some("0.33")),
        (format!("us.{sonnet}"), "us-east-1", Some("0.33")),
        // One region alone is as dear as a group of them.
        (sonnet.to_owned(), "us-east-1", Some("0.33")),
        (sonnet.to_owned(), "us-gov-west-1", Some("0.36")),
        (sonnet.to_owned(), "eu-west-1", None),
        (
            format!("arn:aws:bedrock:us-east-1:1:inference-profile/eu.{sonnet}"),
            "us-east-1",
            Some("0.33"),
        ),
        (
            "arn:aws:bedrock:us-east-1:1:application-inference-profile/x".to_owned(),
            "us-east-1",
            None,
        ),
    ] {
        let asked = Asked {
            region: Some(region),
            tokens: input(100_000),
            ..Asked::of("aws.bedrock", &model)
        };
        check(&asked, dollars);
    }
}

/// archestra#6912: models that Bedrock has and the list hadn't were priced by another's.
#[test]
fn a_model_that_bedrock_is_not_known_to_sell_has_no_price() {
    for model in ["anthropic.claude-unheard-of-v1:0", "claude-opus-4-5", "us.anthropic.claude"] {
        let asked = Asked { region: Some("us-east-1"), ..Asked::of("aws.bedrock", model) };
        check(&asked, None);
    }
}

#[test]
fn vertex_is_dearer_in_a_region() {
    for (model, region, dollars) in [
        ("claude-sonnet-4-5", None, Some("0.30")),
        ("claude-sonnet-4-5", Some("global"), Some("0.30")),
        ("claude-sonnet-4-5@20250929", Some("us-east5"), Some("0.33")),
        ("gemini-2.5-pro", Some("us-central1"), Some("0.125")),
    ] {
        check(
            &Asked { region, tokens: input(100_000), ..Asked::of("gcp.vertex_ai", model) },
            dollars,
        );
    }
}

/// Peak is from 1 to 4 and from 6 to 10 o'clock, Monday to Friday.
#[test]
fn deepseek_is_cheaper_off_peak() {
    for (at, dollars) in [
        ("2026-11-26T00:59:59Z", "0.15"),
        ("2026-11-26T01:00:00Z", "0.30"),
        ("2026-11-26T03:59:59Z", "0.30"),
        ("2026-11-26T04:00:00Z", "0.15"),
        ("2026-11-26T09:59:59Z", "0.30"),
        ("2026-11-26T23:59:59Z", "0.15"),
        ("2026-11-28T02:00:00Z", "0.15"),
        ("2026-11-30T02:00:00Z", "0.30"),
    ] {
        check(&Asked { at, ..Asked::of("deepseek", "deepseek-flash") }, Some(dollars));
    }
}

#[test]
fn pieces_are_charged_beside_tokens_and_are_no_tokens() {
    let none = Tokens::default();
    for (provider, model, tokens, counts, dollars) in [
        (
            "anthropic",
            "claude-opus-4-5",
            input(1_000_000),
            &[(Unit::WebSearch, 3)][..],
            Some("5.03"),
        ),
        ("anthropic", "claude-opus-4-5", input(1_000_000), &[(Unit::WebFetch, 3)], Some("5.00")),
        ("openai", "gpt-5.5", input(0), &[(Unit::WebSearch, 1), (Unit::Maps, 1)], Some("0.01+")),
        // 90 seconds at $0.111 an hour.
        ("groq", "whisper-large-v3", none, &[(Unit::AudioMs, 90_000)], Some("0.002775")),
        ("groq", "whisper-large-v3", none, &[], None),
        ("cohere", "rerank-v3.5", none, &[(Unit::SearchUnit, 2)], Some("0.004")),
        ("mistral_ai", "mistral-ocr-2512", none, &[(Unit::Page, 10)], Some("0.02")),
    ] {
        check(&Asked { tokens, counts, ..Asked::of(provider, model) }, dollars);
    }
}

/// A batch halves tokens, not searches.
#[test]
fn a_batch_leaves_the_price_of_searches_alone() {
    let context = PriceContext { batch: true, ..PriceContext::default() };
    let at = NOON.parse().unwrap();
    let model = "claude-opus-4-5";
    let sale = Sale { provider: "anthropic", host: None, model, context: &context, at };
    let counts = Counts([(Unit::WebSearch, 1000)].into_iter().collect());
    let quote = builtin().quote(&sale, &input(1_000_000), &counts).unwrap();
    assert_eq!(quote.cost.to_string(), "12.50");
}

/// conductor#427: $51.08 for what cost $8: a long session reads nearly all of its input from the
/// cache.
#[test]
fn a_session_that_reads_its_cache_is_charged_for_that() {
    let tokens = Tokens {
        input_uncached: 20_000,
        cache_read: 15_000_000,
        cache_write_5m: 60_000,
        output_visible: 5_000,
        ..Tokens::default()
    };
    // 0.1 + 7.5 + 0.375 + 0.125; as plain input it would be $75.525.
    super::check("anthropic", "claude-opus-4-5", None, tokens, Some("8.10"));
}

/// BerriAI/litellm#11364: cached tokens are part of `prompt_tokens`, and of no other bucket.
#[test]
fn cached_tokens_leave_the_rest_of_the_input_alone() {
    let apart = Tokens { input_uncached: 100, cache_read: 900, ..Tokens::default() };
    super::check("openai", "gpt-4o", None, apart, Some("0.001375"));
    super::check("openai", "gpt-4o", None, input(1000), Some("0.0025"));
}

#[test]
fn what_is_relayed_has_its_makers_price_and_what_is_resold_has_not() {
    for (provider, model, dollars) in [
        ("openai", "anthropic/claude-opus-4-1", Some("15.00")),
        ("openai", "deepseek/deepseek-chat", Some("0.28")),
        ("azure.ai.openai", "gpt-4o", Some("2.50")),
        ("azure.ai.inference", "claude-opus-4-5", Some("5.00")),
        ("groq", "claude-opus-4-5", None),
        ("together", "gpt-4o", None),
        ("llama_cpp", "gpt-4o", None),
        ("nobody", "gpt-4o", None),
    ] {
        check(&Asked::of(provider, model), dollars);
    }
}

/// Every provider that a host is known of sells something at a known price, or says itself what it
/// charges, or sells nothing by the call.
#[test]
fn every_provider_has_prices() {
    let has_prices = |provider: &str| builtin().rows().iter().any(|row| row.provider == provider);
    for host in [
        "api.openai.com",
        "api.anthropic.com",
        "x.openai.azure.com",
        "x.services.ai.azure.com",
        "bedrock-runtime.us-east-1.amazonaws.com",
        "generativelanguage.googleapis.com",
        "aiplatform.googleapis.com",
        "api.mistral.ai",
        "api.cohere.com",
        "api.groq.com",
        "api.deepseek.com",
        "api.x.ai",
        "api.perplexity.ai",
        "openrouter.ai",
        "api.together.xyz",
        "api.fireworks.ai",
        "router.huggingface.co",
        "ai-gateway.vercel.sh",
        "dashscope.aliyuncs.com",
        "api.z.ai",
        "api.minimax.io",
        "api.githubcopilot.com",
        "x.cloud.databricks.com",
        "x.snowflakecomputing.com",
    ] {
        let provider = crate::provider::provider_of(host).unwrap();
        assert!(has_prices(provider), "{host}: {provider}");
    }
    // A subscription, a free preview, and computers of one's own.
    for provider in ["gcp.gen_ai", "github_models", "ollama"] {
        assert!(!has_prices(provider), "{provider}");
    }
}

#[test]
fn a_name_with_an_open_end_comes_last() {
    let row = |id: &str, price: &str| {
        format!(
            r#"{{"provider": "p", "id": "{id}", "source": "s", "taken": "2026-11-23",
                "standard": [{{"input": "{price}"}}]}}"#
        )
    };
    let rows = [row("a-*", "1"), row("a-b*", "2"), row("a-bc", "3"), row("r/a-bc", "4")].join(",");
    let file = format!(
        r#"{{"schema": 2, "date": "2026-11-23", "models": [{rows}],
            "sources": {{"s": {{"version": "1", "url": "u", "license": "l"}}}}}}"#
    );
    let catalogue = Catalogue::parse(&file).unwrap();
    for (name, region, id) in [
        ("a-bc", None, Some("a-bc")),
        ("a-bc", Some("r"), Some("r/a-bc")),
        ("a-bc", Some("q"), Some("a-bc")),
        ("a-bcd", None, Some("a-b*")),
        ("a-x", None, Some("a-*")),
        ("a", None, None),
    ] {
        let found = catalogue.find("p", name, region).map(|row| row.id.as_str());
        assert_eq!(found, id, "{name} {region:?}");
    }
}
