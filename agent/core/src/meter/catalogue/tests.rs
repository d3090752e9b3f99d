mod own;
mod terms;

use std::sync::LazyLock;

use proptest::prelude::*;
use serde::Deserialize;

use super::format::Factor;
use super::*;
use crate::units::Unit;

static BUILTIN_READ: LazyLock<Catalogue> =
    LazyLock::new(|| Catalogue::builtin().unwrap_or_else(|errors| panic!("{errors}")));

fn builtin() -> &'static Catalogue {
    &BUILTIN_READ
}

/// What tokens alone cost on a Thursday at noon.
fn cost(
    catalogue: &Catalogue,
    provider: &str,
    model: &str,
    context: &PriceContext,
    tokens: &Tokens,
) -> Option<PicoUsd> {
    let at = "2026-11-26T12:00:00Z".parse().unwrap();
    let sale = Sale { provider, host: None, model, context, at };
    catalogue.quote(&sale, tokens, &Counts::default()).map(|quote| quote.cost)
}

#[track_caller]
fn check(provider: &str, model: &str, tier: Option<&str>, tokens: Tokens, dollars: Option<&str>) {
    let cost = cost(builtin(), provider, model, &at(tier), &tokens).map(|cost| cost.to_string());
    assert_eq!(cost.as_deref(), dollars, "{provider} {model} {tier:?}");
}

fn at(tier: Option<&str>) -> PriceContext {
    PriceContext { service_tier: tier.map(str::to_owned), ..PriceContext::default() }
}

fn input(count: u64) -> Tokens {
    Tokens { input_uncached: count, ..Tokens::default() }
}

/// BerriAI/litellm#9812: Anthropic's console said $0.0544; charging the write as input too makes
/// it $0.0913.
#[test]
fn a_cache_write_is_charged_once() {
    let tokens = Tokens {
        input_uncached: 3,
        cache_write_5m: 12_304,
        output_visible: 550,
        ..Tokens::default()
    };
    check("anthropic", "claude-3-7-sonnet-20250219", None, tokens, Some("0.054399"));
}

/// BerriAI/litellm#14849: the same mistake for reads.
#[test]
fn a_cache_read_is_charged_once_and_at_its_own_price() {
    let tokens = Tokens { input_uncached: 5_005, cache_read: 257_955, ..Tokens::default() };
    // 5,005 × $2.50 + 257,955 × $1.25 a million.
    check("openai", "gpt-4o", None, tokens, Some("0.33495625"));
}

#[test]
fn the_cliff_is_above_272000_tokens_and_moves_every_price() {
    check("openai", "gpt-5.5", None, input(272_000), Some("1.36"));
    check("openai", "gpt-5.5", None, input(272_001), Some("2.72001"));
    let cached = |input_uncached| Tokens {
        input_uncached,
        cache_read: 272_000,
        output_visible: 1_000,
        ..Tokens::default()
    };
    check("openai", "gpt-5.5", None, cached(0), Some("0.166"));
    check("openai", "gpt-5.5", None, cached(1), Some("0.31701"));
}

#[test]
fn a_tier_replaces_the_standard_prices_or_has_none() {
    check("openai", "gpt-5.5", Some("default"), input(1_000_000), Some("10.00"));
    check("openai", "gpt-5.5", Some("flex"), input(1_000_000), Some("5.00"));
    // This tier has no cliff, although the standard prices do.
    check("openai", "gpt-5.5", Some("priority"), input(1_000_000), Some("12.50"));
    check("anthropic", "claude-opus-4-5", Some("standard"), input(1_000_000), Some("5.00"));
    check("anthropic", "claude-opus-4-5", Some("batch"), input(1_000_000), Some("2.50"));
    check("anthropic", "claude-opus-4-5", Some("priority"), input(1_000_000), None);
    check("openai", "gpt-5.5", Some("scale"), input(1_000_000), None);
}

#[test]
fn the_lifetime_of_a_cache_write_has_its_price() {
    let hour = Tokens { cache_write_1h: 1_000_000, ..Tokens::default() };
    check("anthropic", "claude-opus-4-5", None, hour, Some("10.00"));
    let half_day = Tokens { cache_write_12h: 100_000, ..Tokens::default() };
    check("openai", "gpt-6-sol", None, half_day, Some("0.50"));
    // Anthropic sells no such thing, so nobody knows what it would cost.
    check("anthropic", "claude-opus-4-5", None, half_day, None);
}

/// BerriAI/litellm#14849 itself, at the issue's own prices: its $0.7642 charges the cached input
/// twice. What the provider charges above 200,000 tokens isn't part of the issue.
#[test]
fn a_gemini_cache_read_is_charged_once() {
    let file = r#"{"schema": 2, "date": "2026-11-23",
        "sources": {"s": {"version": "1", "url": "u", "license": "l"}},
        "models": [{"provider": "gcp.gemini", "id": "g", "source": "s", "taken": "2026-11-23",
            "standard": [{"input": "1.25", "cache_read": "0.625", "output": "10"}]}]}"#;
    let tokens = Tokens {
        input_uncached: 262_960 - 257_955,
        cache_read: 257_955,
        output_visible: 1_744,
        ..Tokens::default()
    };
    let catalogue = Catalogue::parse(file).unwrap();
    let cost = cost(&catalogue, "gcp.gemini", "g", &PriceContext::default(), &tokens).unwrap();
    // 5,005 × $1.25 + 257,955 × $0.625 + 1,744 × $10 a million: $0.1849 in the vector.
    assert_eq!(cost.to_string(), "0.184918125");
}

/// BerriAI/litellm#42469: a region's price fell back to that of no region and was too low.
#[test]
fn conditions_that_the_catalogue_has_no_price_for_have_none() {
    let catalogue = builtin();
    let cost = |context: PriceContext| {
        let cost = cost(catalogue, "openai", "gpt-5.5", &context, &input(1_000_000));
        cost.map(|cost| cost.to_string())
    };
    let standard = PriceContext::default;
    let word = |word: &str| Some(word.to_owned());
    for (context, dollars) in [
        (standard(), Some("10.00")),
        (PriceContext { batch: true, ..standard() }, Some("5.00")),
        (PriceContext { batch: true, service_tier: word("batch"), ..standard() }, Some("5.00")),
        (PriceContext { batch: true, service_tier: word("priority"), ..standard() }, None),
        (PriceContext { speed: word("standard"), ..standard() }, Some("10.00")),
        (PriceContext { speed: word("fast"), service_tier: word("flex"), ..standard() }, None),
        (PriceContext { region: word("global"), ..standard() }, Some("10.00")),
        (PriceContext { region: word("eu"), ..standard() }, Some("11.00")),
        (PriceContext { region: word("eu"), batch: true, ..standard() }, Some("5.50")),
        (PriceContext { region: word("us"), ..standard() }, Some("11.00")),
        (PriceContext { region: word("au"), ..standard() }, None),
        (PriceContext { traffic_type: word("ON_DEMAND"), ..standard() }, Some("10.00")),
        (PriceContext { spilled_over: true, ..standard() }, Some("10.00")),
        (PriceContext { traffic_type: word("ON_DEMAND_FLEX"), ..standard() }, Some("5.00")),
        (PriceContext { traffic_type: word("PROVISIONED_THROUGHPUT"), ..standard() }, None),
    ] {
        assert_eq!(cost(context.clone()).as_deref(), dollars, "{context:?}");
    }
}

/// truefoundry/models#2845: prices of batches that nobody sells.
#[test]
fn a_batch_of_a_model_that_is_not_sold_so_has_no_price() {
    let context = PriceContext { batch: true, ..PriceContext::default() };
    assert_eq!(cost(builtin(), "anthropic", "claude-2", &context, &input(1)), None);
}

#[test]
fn what_is_always_charged_apart_is_not_charged_as_text() {
    let bucket = |index: usize| {
        let mut buckets = [0; 17];
        buckets[index] = 1;
        Tokens::from_array(buckets)
    };
    let model = |tokens| cost(builtin(), "openai", "gpt-4o", &PriceContext::default(), &tokens);
    let unpriced: Vec<usize> = (0..17).filter(|index| model(bucket(*index)).is_none()).collect();
    // Sound and cached sound; the writes that OpenAI doesn't sell; sound and images put out.
    assert_eq!(unpriced, [1, 6, 10, 11, 14, 15]);
}

/// appstrate#1025, archestra#6912: unknown shown as $0, or priced by a model of a similar name.
#[test]
fn an_unknown_model_has_no_price() {
    for (provider, model) in [
        ("openai", "gpt-99"),
        ("openai", "gpt-4o-unheard-of"),
        ("openai", "ft:gpt-5.5:org::id"),
        ("openai", "us.anthropic.claude-opus-4-5"),
        ("anthropic", "claude-opus-45"),
        ("aws.bedrock", "claude-opus-4-5"),
        ("openai", ""),
    ] {
        check(provider, model, None, input(1), None);
    }
}

#[test]
fn releases_and_prefixes_lead_to_the_model() {
    let catalogue = builtin();
    for (provider, wire, id) in [
        ("openai", "gpt-4o-2024-08-06", "gpt-4o"),
        ("openai", "gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("openai", "openai/gpt-4o", "gpt-4o"),
        ("openai", "anthropic/claude-opus-4-1-20250805", "claude-opus-4-1"),
        ("anthropic", "claude-opus-4-1@20250805", "claude-opus-4-1"),
        ("anthropic", "claude-3-5-sonnet-latest", "claude-3-5-sonnet"),
        ("openai", "ft:gpt-4o-2024-08-06:org::id", "ft:gpt-4o"),
    ] {
        let found = catalogue.find(provider, wire, None).map(|row| row.id.as_str());
        assert_eq!(found, Some(id), "{wire}");
    }
}

/// What genai-prices and LiteLLM themselves make of tokens and prices. `cargo xtask prices --compare
/// --golden agent/core/src/meter/catalogue/grid.json` wrote it, of a far larger grid.
#[test]
fn the_calculators_of_others_agree() {
    #[derive(Deserialize)]
    struct Case {
        provider: String,
        model: String,
        tier: Option<String>,
        region: Option<String>,
        at: Timestamp,
        /// All input, cached or not.
        input: u64,
        cache_read: u64,
        cache_write: u64,
        cache_write_1h: u64,
        output: u64,
        calculator: String,
        cost_usd: PicoUsd,
    }
    let cases: Vec<Case> = serde_json::from_str(include_str!("grid.json")).unwrap();
    for case in cases {
        let Case { provider, model, at, cache_read, cache_write, cache_write_1h, .. } = case;
        let tokens = Tokens {
            input_uncached: case.input - cache_read - cache_write - cache_write_1h,
            cache_read,
            cache_write_5m: cache_write,
            cache_write_1h,
            output_visible: case.output,
            ..Tokens::default()
        };
        let context = PriceContext {
            batch: case.tier.as_deref() == Some("batch"),
            service_tier: case.tier,
            region: case.region,
            ..PriceContext::default()
        };
        let sale = Sale { provider: &provider, host: None, model: &model, context: &context, at };
        let cost = builtin().quote(&sale, &tokens, &Counts::default()).map(|quote| quote.cost);
        assert_eq!(cost, Some(case.cost_usd), "{} {model} {context:?} {tokens:?}", case.calculator);
    }
}

#[test]
fn every_error_of_a_file_is_reported() {
    let text = r#"{"schema": 2, "date": "2026-11-23", "sources": {}, "models": [
        {"provider": "p", "id": "a", "source": "s", "taken": "2026-11-23", "standard": []},
        {"provider": "p", "id": "A", "source": "s", "taken": "2026-11-23",
         "standard": [{"input": "-1"}], "tiers": {"flex": [{"above": 5, "input": "1"}]}},
        {"provider": "p", "id": "b", "source": "s", "taken": "2026-11-23", "standard": [{"inptu": "1"}]}
    ]}"#;
    insta::assert_snapshot!(Catalogue::parse(text).unwrap_err(), @r#"
    a: no source is called "s"
    a: prices "standard" must begin at 0 tokens, rise in `above` and be 0 to 100000
    A: no source is called "s"
    A: prices "flex" must begin at 0 tokens, rise in `above` and be 0 to 100000
    A: prices "standard" must begin at 0 tokens, rise in `above` and be 0 to 100000
    model number 3: unknown field `inptu`, expected one of `above`, `input`, `cache_read`, `cache_write`, `cache_write_1h`, `cache_write_12h`, `output`, `reasoning`, `input_audio`, `input_image`, `input_video`, `input_tool`, `cache_read_audio`, `cache_read_image`, `output_audio`, `output_image`, `request`, `pieces` at line 1 column 88
    A is listed twice
    "#);
    insta::assert_snapshot!(
        Catalogue::parse("{}").unwrap_err(),
        @"not a price file: missing field `schema` at line 1 column 2"
    );
    let older = r#"{"schema": 1, "date": "2026-11-23", "sources": {}, "models": []}"#;
    insta::assert_snapshot!(
        Catalogue::parse(older).unwrap_err(),
        @"schema 1 is not the one this program reads, 2"
    );
}

#[test]
fn the_version_names_the_date_and_the_text() {
    let text = r#"{"schema": 2, "date": "2026-11-23", "sources": {}, "models": []}"#;
    let version = Catalogue::parse(text).unwrap().version().to_owned();
    assert!(version.starts_with("2026-11-23-") && version.len() == 19, "{version}");
    let other = text.replace("[]", "[ ]");
    assert_ne!(version, Catalogue::parse(&other).unwrap().version());
}

fn any_tokens(most: u64) -> impl Strategy<Value = Tokens> {
    prop::array::uniform7(0..=most).prop_map(|counts| Tokens {
        input_uncached: counts[0],
        cache_read: counts[1],
        cache_write_5m: counts[2],
        cache_write_30m: counts[3],
        cache_write_other: counts[4],
        output_visible: counts[5],
        reasoning: counts[6],
        ..Tokens::default()
    })
}

proptest! {
    #[test]
    fn more_tokens_never_cost_less(a in any_tokens(1 << 20), b in any_tokens(1 << 20)) {
        let none = Counts::default();
        for row in builtin().rows().iter().filter(|row| row.standard[0].output.is_some()) {
            let of = |tokens| cost::cost(&row.standard, Factor::ONE, tokens, &none).map(|p| p.cost);
            let one = of(&a);
            let both = of(&a.saturating_add(&b));
            prop_assert!(one.is_some() && one <= both, "{}: {one:?} {both:?}", row.id);
        }
    }

    /// Each of the three is rounded by at most half a pico-dollar.
    #[test]
    fn without_a_cliff_costs_add_up(a in any_tokens(1 << 40), b in any_tokens(1 << 40)) {
        let has_output = |row: &&ModelRow| {
            row.standard[0].output.is_some() && row.standard[0].request.is_none()
        };
        for row in builtin().rows().iter().filter(|row| row.standard.len() == 1).filter(has_output) {
            let none = Counts::default();
            let of = |tokens| {
                cost::cost(&row.standard, Factor::ONE, tokens, &none).map(|price| price.cost.0)
            };
            let apart = of(&a).zip(of(&b)).map(|(a, b)| a + b);
            let together = of(&a.saturating_add(&b));
            let difference = apart.zip(together).map(|(apart, together)| (apart - together).abs());
            prop_assert!(difference.is_some_and(|difference| difference <= 1), "{}", row.id);
        }
    }

    #[test]
    fn no_count_is_too_large(tokens in any_tokens(u64::MAX), all in prop::bool::ANY) {
        let largest = Some(cost::LARGEST_RATE);
        let dearest = Rates {
            pieces: Unit::ALL.into_iter().map(|unit| (unit, cost::LARGEST_RATE)).collect(),
            request: largest,
            ..Rates::every_token(cost::LARGEST_RATE)
        };
        let counts = Counts(Unit::ALL.into_iter().map(|unit| (unit, u64::MAX)).collect());
        let tokens = if all { Tokens::from_array([u64::MAX; 17]) } else { tokens };
        let factor = "100".parse().unwrap();
        let price = cost::cost(&[dearest], factor, &tokens, &counts).unwrap();
        prop_assert!(price.complete && price.cost >= PicoUsd::ZERO);
    }

    #[test]
    fn no_name_is_too_hostile(provider in any::<String>(), model in any::<String>()) {
        let catalogue = builtin();
        prop_assert!(catalogue.find(&provider, &model, Some(&provider)).is_none());
        let _found_or_not = catalogue.find("openai", &model, None);
    }

    /// The parser reads or refuses whatever single character of the real file is exchanged.
    #[test]
    fn no_file_is_too_damaged(at in any::<prop::sample::Index>(), with in any::<char>()) {
        let text: String = BUILTIN.chars().take(6000).collect();
        let text = text.rsplit_once(",\n    {").map_or("", |(rows, _)| rows).to_owned() + "]}";
        prop_assert!(Catalogue::parse(&text).is_ok());
        let at = at.index(text.len());
        let damaged: String = text
            .char_indices()
            .map(|(position, character)| if position == at { with } else { character })
            .collect();
        let _read_or_refused = Catalogue::parse(&damaged);
    }
}
