//! What a host says of its own prices.

use super::*;
use crate::meter::catalogue::own::read;

fn with(own: &str) -> Catalogue {
    let table: toml::Table = own.parse().unwrap();
    let file =
        read(serde_json::to_value(table).unwrap()).unwrap_or_else(|errors| panic!("{errors}"));
    Catalogue::builtin().unwrap().with_own(vec![file], own).unwrap()
}

const OWN: &str = r#"
    [[price]]
    provider = "openai"
    model = "gpt-5.5"
    host = "gateway.example*"
    included = true

    [[price]]
    provider = "openai"
    model = "gpt-5.5*"
    discount_percent = "12.5"

    [[price]]
    provider = "openai"
    model = "our-model"
    standard = [{ input = "1", output = "2" }, { above = 1000, input = "3" }]
    tiers = { batch = [{ input = "0.5" }] }

    [[price]]
    host = "gpu-1:8000"
    gpu_hour_usd = "2.50"
    tokens_per_hour = 5_000_000
"#;

#[test]
fn the_first_entry_that_covers_a_call_decides() {
    use Origin::{Included, Own, Table};
    let catalogue = with(OWN);
    let batch = || PriceContext { batch: true, ..PriceContext::default() };
    let eu = || PriceContext { region: Some("eu-west-1".to_owned()), ..PriceContext::default() };
    let standard = PriceContext::default;
    for (model, host, context, tokens, expected) in [
        ("gpt-5.5", None, standard(), 1000, Some(("0.004375", Own))),
        ("openai/GPT-5.5-2026-04-23", None, standard(), 1000, Some(("0.004375", Own))),
        ("gpt-5.5", Some("Gateway.example:443"), standard(), 1000, Some(("0.00", Included))),
        ("gpt-5.5", Some("api.openai.com"), batch(), 1000, Some(("0.0021875", Own))),
        ("gpt-4o", Some("gateway.example"), standard(), 1000, Some(("0.0025", Table))),
        ("our-model", None, standard(), 1000, Some(("0.001", Own))),
        ("our-model", None, standard(), 1001, Some(("0.003003", Own))),
        ("our-model", None, batch(), 1000, Some(("0.0005", Own))),
        ("our-model", None, eu(), 1000, Some(("0.001", Own))),
        ("llama", Some("gpu-1:8000"), standard(), 1_000_000, Some(("0.50", Own))),
        ("llama", Some("gpu-2:8000"), standard(), 1000, None),
    ] {
        let at = "2026-11-26T12:00:00Z".parse().unwrap();
        let sale = Sale { provider: "openai", host, model, context: &context, at };
        let quote = catalogue.quote(&sale, &input(tokens), &Counts::default());
        let quote = quote.map(|quote| (quote.cost.to_string(), quote.origin));
        let quote = quote.as_ref().map(|(cost, origin)| (cost.as_str(), *origin));
        assert_eq!(quote, expected, "{model} {host:?}");
    }
}

/// BerriAI/litellm#31282, #40016: a price of one's own was charged beside the one of the list.
#[test]
fn a_price_of_ones_own_is_charged_in_place_of_the_lists() {
    let own = r#"
        [[price]]
        provider = "openai"
        model = "gpt-4o"
        standard = [{ input = "1" }]
    "#;
    let cost = cost(&with(own), "openai", "gpt-4o", &PriceContext::default(), &input(1_000_000));
    assert_eq!(cost.unwrap().to_string(), "1.00");
}

#[test]
fn a_price_file_of_ones_own_wins_and_is_in_the_version() {
    let rows = r#"{"schema": 2, "date": "2026-11-23",
        "sources": {"s": {"version": "1", "url": "u", "license": "l"}},
        "models": [{"provider": "openai", "id": "gpt-4o", "source": "s", "taken": "2026-11-23",
            "standard": [{"input": "7"}]}]}"#;
    let file = read(serde_json::from_str(rows).unwrap()).unwrap();
    let plain = Catalogue::builtin().unwrap().version().to_owned();
    let catalogue = Catalogue::builtin().unwrap().with_own(vec![file], rows).unwrap();
    let context = PriceContext::default();
    assert_eq!(cost(&catalogue, "openai", "gpt-4o", &context, &input(1)), Some(PicoUsd(7_000_000)));
    let version = catalogue.version();
    assert!(
        version.starts_with(&format!("{plain}+")) && version.len() == plain.len() + 9,
        "{version}"
    );
}

#[test]
fn rows_of_ones_own_have_regions_and_are_nobody_elses() {
    let row = |id: &str, input: &str, region: &str| {
        serde_json::json!({"provider": "openai", "id": id, "source": "s", "taken": "2026-11-23",
            "standard": [{"input": input}], "regions": {region: "1"}})
    };
    let file = serde_json::json!({"schema": 2, "date": "2026-11-23",
        "sources": {"s": {"version": "1", "url": "u", "license": "l"}},
        "models": [row("gpt-4o", "7", "*"), row("eu/gpt-4o", "8", "eu")]});
    let discount = serde_json::json!({"price": [{"model": "gpt-4o", "discount_percent": "50"}]});
    let files = [file.clone(), discount].map(|file| read(file).unwrap());
    let halved = Catalogue::builtin().unwrap().with_own(files.into(), "x").unwrap();
    let plain = Catalogue::builtin().unwrap().with_own(vec![read(file).unwrap()], "x").unwrap();
    let eu = PriceContext { region: Some("eu".to_owned()), ..PriceContext::default() };
    let none = PriceContext::default();
    for (catalogue, provider, context, dollars) in [
        (&plain, "openai", &none, "7.00"),
        (&plain, "openai", &eu, "8.00"),
        (&plain, "azure.ai.openai", &none, "2.50"),
        (&halved, "openai", &eu, "4.00"),
        (&halved, "azure.ai.openai", &none, "1.25"),
    ] {
        let cost = cost(catalogue, provider, "gpt-4o", context, &input(1_000_000)).unwrap();
        assert_eq!(cost.to_string(), dollars, "{provider} {context:?}");
    }
}

#[test]
fn every_error_of_an_own_file_is_reported() {
    let own = r#"
        [[price]]
        included = true
        [[price]]
        model = "a"
        [[price]]
        model = "a"
        included = true
        discount_percent = "5"
        [[price]]
        model = "a"
        discount_percent = "105"
        [[price]]
        model = "a"
        discount_percent = 5
        [[price]]
        model = "a"
        gpu_hour_usd = "5"
        [[price]]
        model = "a"
        gpu_hour_usd = "5"
        tokens_per_hour = 0
        [[price]]
        model = "a"
        included = false
        [[price]]
        model = "a"
        standard = [{ above = 5, input = "1" }]
        [[price]]
        model = "a"
        modle = "b"
    "#;
    let table: toml::Table = own.parse().unwrap();
    let errors = read(serde_json::to_value(table).unwrap()).unwrap_err();
    insta::assert_snapshot!(errors);
    for other in ["{}", r#"{"price": {}}"#, r#"{"price": [], "more": 1}"#, r#"{"schema": 2}"#, "[]"]
    {
        assert!(read(serde_json::from_str(other).unwrap()).is_err(), "{other}");
    }
}

proptest! {
    #[test]
    fn no_own_file_is_too_hostile(
        key in "(provider|host|model|standard|discount_percent|included|gpu_hour_usd|x)",
        text in any::<String>(),
    ) {
        let value = serde_json::json!({"price": [{key: text}]});
        let _read_or_refused = read(value);
    }
}
