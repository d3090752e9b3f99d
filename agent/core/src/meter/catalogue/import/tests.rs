use jiff::civil::date;
use serde_json::json;

use super::*;

fn rows(imported: Imported) -> Vec<ModelRow> {
    let models = imported.models.into_iter();
    models.map(|found| found.into_row("s", None, date(2026, 11, 23)).unwrap()).collect()
}

fn shown(rows: &[ModelRow]) -> String {
    rows.iter().map(|row| serde_json::to_string(row).unwrap()).collect::<Vec<_>>().join("\n")
}

#[test]
fn litellm_is_read() {
    let models = json!({
        "gpt-x": {"litellm_provider": "openai", "mode": "chat",
            "input_cost_per_token": 2e-6, "output_cost_per_token": 8e-6,
            "cache_creation_input_token_cost_above_12hr_above_272k_tokens": 1e-5,
            "cache_creation_input_token_cost_above_12hr": 5e-6,
            "input_cost_per_token_above_272k_tokens": 4e-6,
            "input_cost_per_token_batches": 1e-6,
            "regional_processing_uplift_multiplier_eu": 1.1,
            "search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_high": 0.01},
            "code_interpreter_cost_per_session": 0.03},
        "groq/whisper": {"litellm_provider": "groq", "mode": "audio_transcription",
            "input_cost_per_second": 1.111e-5, "output_cost_per_second": 0.0},
        "deepseek-v": {"litellm_provider": "deepseek", "mode": "chat", "input_cost_per_token": 3e-7,
            "off_peak_pricing": {"input_cost_per_token": 1.5e-7,
                "windows": [{"hours_utc": ["00:00-01:00"], "weekdays": [1]}]}},
        "dashscope/q": {"litellm_provider": "dashscope", "mode": "chat", "tiered_pricing": [
            {"input_cost_per_token": 5e-8, "range": [0, 256e3]},
            {"input_cost_per_token": 2.5e-7, "range": [256e3, 1e6]}]},
        "ollama/l": {"litellm_provider": "ollama", "mode": "chat", "input_cost_per_token": 0.0},
        "us.anthropic.c": {"litellm_provider": "bedrock_converse", "input_cost_per_token": 3.3e-6},
        "global.anthropic.c": {"litellm_provider": "bedrock_converse", "input_cost_per_token": 3e-6},
        "anthropic.c": {"litellm_provider": "bedrock_converse", "input_cost_per_token": 3e-6},
    });
    let imported = litellm(models).unwrap();
    let left_out = [
        "openai gpt-x code_interpreter_cost_per_session",
        "groq whisper output_cost_per_second",
        "ollama/l",
    ];
    for line in left_out {
        assert!(imported.skipped.iter().any(|skipped| skipped == line), "{line}");
    }
    insta::assert_snapshot!(shown(&rows(imported)));
}

#[test]
fn genai_prices_is_read() {
    let providers = json!([
        {"id": "openai", "models": [
            {"id": "gpt-x", "match": {"or": [{"equals": "GPT-X"}, {"starts_with": "gpt-x-2"}]},
             "prices": [
                {"prices": {"input_mtok": 3}},
                {"constraint": {"start_date": "2026-01-01"},
                 "prices": {"input_mtok": {"base": "2", "tiers": [{"start": 272000, "price": "4"}]}, "web_searches_kcount": 10}},
                {"constraint": {"start_date": "2027-01-01"}, "prices": {"input_mtok": 1}}],
             "price_variants": [
                {"when": {"processing": "batch"}, "prices": {"input_mtok": 1}},
                {"when": {"processing": "batch"}, "prices": {"input_mtok": 9}},
                {"when": {"route": "x"}, "prices": {"input_mtok": 1}}]},
            {"id": "free-of-what", "match": {}, "prices": {"input_mtok": 0}}]},
        {"id": "huggingface_groq", "models": [
            {"id": "Org/M", "match": {"equals": "org/m"}, "prices": {"input_mtok": 0.1, "output_mtok": 0.2}}]},
        {"id": "nobody", "models": []},
    ]);
    let imported = genai_prices(providers, date(2026, 11, 23)).unwrap();
    assert_eq!(
        imported.skipped,
        [r#"gpt-x when {"route": "x"}"#, "openai free-of-what", "provider nobody"]
    );
    insta::assert_snapshot!(shown(&rows(imported)));
}

#[test]
fn what_is_no_data_set_is_refused() {
    for value in [json!([]), json!({"a": 1}), json!(null)] {
        assert!(litellm(value).is_err());
    }
    assert!(genai_prices(json!({}), date(2026, 11, 23)).is_err());
    let broken = json!({"gpt-x": {"litellm_provider": "openai", "input_cost_per_token": "much"}});
    assert!(matches!(litellm(broken), Err(ImportError::Amount { .. })));
}
