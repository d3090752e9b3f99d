use proptest::prelude::*;

use super::*;
use crate::provider::Api;
use crate::provider::quirks::quirks;

/// What `provider` reports in chat completions, normalised.
fn usage_of(provider: &str, counts: &[(&str, u64)]) -> Usage {
    let mut usage = OpenAiUsage::new(quirks(provider, Api::ChatCompletions));
    for (key, count) in counts {
        usage.read(key, Token::Count(*count));
    }
    usage.normal().unwrap()
}

/// 10 tokens of input, 50 of output, 30 of reasoning, and a total: how much of it is visible, and
/// whether the numbers contradict each other.
#[track_caller]
fn check_reasoning(provider: &str, total: Option<u64>, visible: u64, inconsistent: bool) {
    let mut counts = vec![
        ("prompt_tokens", 10),
        ("completion_tokens", 50),
        ("completion_tokens_details.reasoning_tokens", 30),
    ];
    counts.extend(total.map(|total| ("total_tokens", total)));
    let usage = usage_of(provider, &counts);
    assert_eq!((usage.tokens.output_visible, usage.tokens.reasoning), (visible, 30));
    assert_eq!(usage.inconsistent, inconsistent, "{provider} {total:?}");
}

#[test]
fn the_total_tells_whether_reasoning_is_part_of_the_output() {
    for provider in ["openai", "x_ai", "nobody"] {
        check_reasoning(provider, Some(60), 20, false);
        check_reasoning(provider, Some(90), 50, false);
    }
}

#[test]
fn where_the_total_does_not_tell_the_provider_s_rule_holds() {
    check_reasoning("openai", None, 20, false);
    check_reasoning("openai", Some(7), 20, true);
    check_reasoning("x_ai", None, 50, false);
    check_reasoning("x_ai", Some(7), 50, true);
    // Perplexity's total has no reasoning in it.
    check_reasoning("perplexity", Some(60), 50, false);
    check_reasoning("perplexity", Some(7), 50, true);
}

#[test]
fn reasoning_beyond_the_output_is_beside_it() {
    let counts = [("prompt_tokens", 1), ("completion_tokens", 5), ("reasoning_tokens", 9)];
    let usage = usage_of("openai", &counts);
    assert_eq!((usage.tokens.output_visible, usage.tokens.reasoning), (5, 9));
    assert!(usage.inconsistent);
}

/// BerriAI/litellm#9812 (writes) and #11364 (reads): what is cached was charged as input once more.
#[test]
fn cached_input_is_counted_once() {
    for (read, write) in [
        ("prompt_tokens_details.cached_tokens", "prompt_tokens_details.cache_write_tokens"),
        ("input_tokens_details.cached_tokens", "input_tokens_details.cache_write_tokens"),
        ("prompt_cache_hit_tokens", "cache_creation_input_tokens"),
        ("cache_read_input_tokens", "cache_creation_input_tokens"),
    ] {
        let usage = usage_of("openai", &[("prompt_tokens", 100), (read, 60), (write, 30)]);
        let tokens = usage.tokens;
        assert_eq!(
            (tokens.input_uncached, tokens.cache_read, tokens.cache_write_other),
            (10, 60, 30)
        );
        assert_eq!((tokens.input_total(), usage.inconsistent), (100, false), "{read}");
    }
}

#[test]
fn a_provider_that_says_the_same_twice_is_counted_once() {
    let usage = usage_of(
        "deepseek",
        &[
            ("prompt_tokens", 100),
            ("prompt_tokens_details.cached_tokens", 64),
            ("prompt_cache_hit_tokens", 64),
            ("prompt_cache_miss_tokens", 36),
        ],
    );
    assert_eq!((usage.tokens.input_uncached, usage.tokens.cache_read), (36, 64));
    assert!(!usage.inconsistent);
    let usage = usage_of("deepseek", &[("prompt_tokens", 100), ("prompt_cache_miss_tokens", 36)]);
    assert!(usage.inconsistent);
}

/// microsoft/conductor#427: whether cached input is part of the input was taken for granted, and
/// $51 reported for $8.
#[test]
fn cached_input_beyond_the_input_is_beside_it() {
    let usage =
        usage_of("openai", &[("prompt_tokens", 5), ("prompt_tokens_details.cached_tokens", 60)]);
    assert_eq!((usage.tokens.input_uncached, usage.tokens.cache_read), (5, 60));
    assert!(usage.inconsistent);
}

#[test]
fn lifetimes_of_cache_writes_are_told_apart() {
    let tokens = usage_of(
        "openai",
        &[
            ("input_tokens", 100),
            ("input_tokens_details.cached_tokens", 60),
            ("input_tokens_details.cache_write_tokens", 30),
            ("input_tokens_details.cache_write_tokens_details.ttl_30m_tokens", 4),
            ("input_tokens_details.cache_write_tokens_details.ttl_12h_tokens", 20),
        ],
    )
    .tokens;
    assert_eq!((tokens.input_uncached, tokens.cache_read), (10, 60));
    let written = (tokens.cache_write_30m, tokens.cache_write_12h, tokens.cache_write_other);
    assert_eq!(written, (4, 20, 6));
}

#[test]
fn kinds_are_parts_of_the_totals() {
    let usage = usage_of(
        "openai",
        &[
            ("input_tokens", 200),
            ("output_tokens", 90),
            ("total_tokens", 290),
            ("input_token_details.cached_tokens", 70),
            ("input_token_details.cached_tokens_details.audio_tokens", 40),
            ("input_token_details.cached_tokens_details.image_tokens", 10),
            ("input_token_details.audio_tokens", 100),
            ("input_token_details.image_tokens", 25),
            ("input_token_details.text_tokens", 75),
            ("output_token_details.audio_tokens", 50),
            ("output_token_details.image_tokens", 15),
            ("output_token_details.rejected_prediction_tokens", 12),
        ],
    );
    assert_eq!(
        usage.tokens,
        Tokens {
            input_uncached: 55,
            input_audio: 60,
            input_image: 15,
            cache_read: 20,
            cache_read_audio: 40,
            cache_read_image: 10,
            output_visible: 25,
            output_audio: 50,
            output_image: 15,
            ..Tokens::default()
        }
    );
    assert!(!usage.inconsistent);
}

#[test]
fn a_kind_is_never_more_than_all() {
    let usage =
        usage_of("openai", &[("prompt_tokens", 5), ("prompt_tokens_details.audio_tokens", 9)]);
    assert_eq!((usage.tokens.input_audio, usage.tokens.input_total()), (5, 5));
    assert!(usage.inconsistent);
}

#[test]
fn sound_is_counted_in_milliseconds_beside_the_tokens() {
    for (seconds, milliseconds) in [
        (Token::Count(12), 12_000),
        (Token::Number("1.5"), 1500),
        (Token::Number("-1.5"), 0),
        (Token::Number("1e300"), 0),
        (Token::Other, 0),
    ] {
        let mut usage = OpenAiUsage::default();
        usage.read("prompt_tokens", Token::Count(1));
        usage.read("prompt_audio_seconds", seconds);
        let counted = usage.normal().unwrap().counts.get(Unit::AudioMs);
        assert_eq!(counted, milliseconds, "{seconds:?}");
    }
}

#[track_caller]
fn check_cost(provider: &str, values: &[(&str, Token<'_>)], pico_usd: Option<i128>) {
    let mut usage = OpenAiUsage::new(quirks(provider, Api::ChatCompletions));
    usage.read("prompt_tokens", Token::Count(1));
    for (key, token) in values {
        usage.read(key, *token);
    }
    assert_eq!(usage.normal().unwrap().cost, pico_usd.map(PicoUsd), "{provider} {values:?}");
}

#[test]
fn a_cost_is_believed_of_those_whose_unit_is_known() {
    let cost = ("cost", Token::Number("0.00014250000000000002"));
    check_cost("openrouter", &[cost], Some(142_500_000));
    check_cost("openai", &[cost], None);
    check_cost("openrouter", &[("cost", Token::Count(2))], Some(2_000_000_000_000));
    check_cost("openrouter", &[("cost", Token::Number("-1.5"))], None);
    check_cost("openrouter", &[cost, ("cost", Token::Other)], Some(142_500_000));
    check_cost("x_ai", &[("cost_in_usd_ticks", Token::Count(37_756_000))], Some(3_775_600_000));
    check_cost("perplexity", &[("cost.total_cost", Token::Number("0.006"))], Some(6_000_000_000));
}

#[test]
fn what_the_caller_s_own_key_pays_elsewhere_is_a_cost() {
    let fee = ("cost", Token::Number("0.95"));
    let elsewhere = ("cost_details.upstream_inference_cost", Token::Count(19));
    let own = ("is_byok", Token::Flag(true));
    check_cost("openrouter", &[fee, elsewhere, own], Some(19_950_000_000_000));
    check_cost("openrouter", &[fee, own], None);
    check_cost("openrouter", &[fee, elsewhere], Some(950_000_000_000));
}

const KEYS: &[&str] = &[
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "reasoning_tokens",
    "prompt_cache_hit_tokens",
    "prompt_cache_miss_tokens",
    "cache_creation_input_tokens",
    "prompt_tokens_details.cached_tokens",
    "prompt_tokens_details.cached_tokens_details.audio_tokens",
    "prompt_tokens_details.cached_tokens_details.image_tokens",
    "prompt_tokens_details.audio_tokens",
    "prompt_tokens_details.image_tokens",
    "input_tokens_details.cache_write_tokens",
    "input_tokens_details.cache_write_tokens_details.ttl_30m_tokens",
    "input_tokens_details.cache_write_tokens_details.ttl_12h_tokens",
    "output_tokens_details.reasoning_tokens",
    "output_tokens_details.audio_tokens",
    "output_tokens_details.image_tokens",
    "num_search_queries",
    "citation_tokens",
];

/// Numbers of every size, and often ones that fit together.
fn any_counts() -> impl Strategy<Value = Vec<(usize, u64)>> {
    let count = prop_oneof![0..40_u64, 1000..1100_u64, any::<u64>()];
    prop::collection::vec((0..KEYS.len(), count), 0..24)
}

proptest! {
    #[test]
    fn no_numbers_overflow(
        provider in prop::sample::select(vec!["openai", "x_ai", "perplexity", "openrouter"]),
        counts in any_counts(),
    ) {
        let mut usage = OpenAiUsage::new(quirks(provider, Api::ChatCompletions));
        for (key, count) in counts {
            usage.read(KEYS[key], Token::Count(count));
        }
        let _normal = usage.normal();
    }

    /// What is in the buckets is what was reported: no token is lost and none is in two.
    #[test]
    fn consistent_numbers_add_up(
        provider in prop::sample::select(vec!["openai", "x_ai", "perplexity"]),
        input in 0..2000_u64,
        output in 0..2000_u64,
        counts in any_counts(),
        total in 0..3_u64,
    ) {
        let mut usage = OpenAiUsage::new(quirks(provider, Api::ChatCompletions));
        for (key, count) in counts {
            usage.read(KEYS[key], Token::Count(count));
        }
        usage.read("prompt_tokens", Token::Count(input));
        usage.read("completion_tokens", Token::Count(output));
        usage.total = match total {
            0 => None,
            1 => Some(input + output),
            _ => input.checked_add(output).and_then(|both| both.checked_add(usage.reasoning)),
        };
        let normal = usage.normal().unwrap();
        if !normal.inconsistent {
            let outputs = [output, output.saturating_add(usage.reasoning)];
            prop_assert_eq!(normal.tokens.input_total(), input);
            prop_assert!(outputs.contains(&normal.tokens.output_total()));
            if let (Some(all), "openai" | "x_ai") = (usage.total, provider) {
                let buckets = normal.tokens.input_total() + normal.tokens.output_total();
                prop_assert_eq!(buckets, all);
            }
        }
    }
}
