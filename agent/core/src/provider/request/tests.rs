use super::*;
use crate::secret::FingerprintKey;

fn said(body: &str, api: Option<Api>) -> Said {
    let mut scanner = Scanner::only(keys(api));
    let mut said = Said::default();
    scanner.feed(body.as_bytes(), |path, token| said.read(path, token));
    said
}

/// Of keys that aren't listed, the values are passed over.
#[test]
fn every_key_that_is_read_is_listed() {
    for key in ["max_tokens", "max_completion_tokens", "max_output_tokens"] {
        assert_eq!(said(&format!("{{\"{key}\":7}}"), None).max_output, Some(7), "{key}");
    }
    assert_eq!(said(r#"{"n":2}"#, None).wanted, Some(2));
    assert_eq!(said(r#"{"input":"Mühle"}"#, None).characters, Some(5));
    assert!(said(r#"{"prompt":["a"],"model":"m"}"#, None).suits(Api::Completions));
}

#[test]
fn a_body_tells_what_is_asked() {
    for (body, api, gemini, question) in [
        (r#"{"contents":[{"parts":[{"text":"a"}]}]}"#, Api::GenerateContent, true, true),
        (r#"{"contents":{"parts":{"text":"a"}}}"#, Api::GenerateContent, true, true),
        (r#"{"contents":"of a file","model":"t"}"#, Api::GenerateContent, false, false),
        (r#"{"anthropic_version":"v","messages":[]}"#, Api::Messages, false, true),
        (r#"{"messages":[]}"#, Api::Messages, false, false),
    ] {
        let said = said(body, None);
        assert_eq!(said.is_of_gemini(), gemini, "{body}");
        assert_eq!(said.is_question(), question, "{body}");
        assert!(!said.suits(api), "nothing names a model: {body}");
        assert_eq!(said.has_shape(api), question || api == Api::Messages, "{body}");
    }
}

#[test]
fn text_of_every_form_is_kept() {
    for (api, body, texts, most) in [
        (
            Api::GenerateContent,
            r#"{"systemInstruction":{"parts":[{"text":"Be short."}]},
                "contents":[{"role":"user","parts":[{"text":"One"},{"text":" two"}]},
                  {"parts":[{"functionCall":{"name":"f","args":{"x":"three","n":4}}}]},
                  {"role":"user","parts":{"functionResponse":{"name":"f","response":{"y":["five"]}}}}],
                "generationConfig":{"maxOutputTokens":9}}"#,
            "system: Be short.|user: One two|: fthree|user: ffive",
            Some(9),
        ),
        (
            Api::GenerateContent,
            r#"{"request":{"contents":[{"role":"user","parts":[{"text":"One"}]}]},"model":"m"}"#,
            "user: One",
            None,
        ),
        (
            Api::EmbedContent,
            r#"{"requests":[{"content":{"parts":[{"text":"One"}]}},
                  {"content":{"parts":[{"text":"two"}]}}]}"#,
            ": One|: two",
            None,
        ),
        (
            Api::Interactions,
            r#"{"agent":"a","system_instruction":"Be short.","input":[{"type":"text"}],
                "generation_config":{"max_output_tokens":9}}"#,
            "system: Be short.|: ",
            Some(9),
        ),
        (
            Api::OllamaGenerate,
            r#"{"model":"m","system":"Be short.","prompt":"One","options":{"num_predict":9}}"#,
            "system: Be short.|: One",
            Some(9),
        ),
        (Api::LlamaCompletion, r#"{"prompt":["One","two"],"n_predict":-1}"#, ": One|: two", None),
        (
            Api::Converse,
            r#"{"system":[{"text":"Be short."}],"messages":[{"role":"user","content":[{"text":"One"},
                  {"toolResult":{"content":[{"text":" two"}]}}]}],
                "inferenceConfig":{"maxTokens":9}}"#,
            "system: Be short.|user: One two",
            Some(9),
        ),
        (Api::Invoke, r#"{"inputText":"One"}"#, "user: One", None),
        (Api::Invoke, r#"{"prompt":"One","max_tokens":9}"#, ": One", Some(9)),
        (Api::CohereChat, r#"{"message":"One"}"#, "user: One", None),
        (Api::CohereEmbed, r#"{"texts":["One","two"]}"#, ": One|: two", None),
        (Api::Rerank, r#"{"query":"One"}"#, "user: One", None),
        (
            Api::TgiGenerate,
            r#"{"inputs":"One","parameters":{"max_new_tokens":9}}"#,
            ": One",
            Some(9),
        ),
    ] {
        let said = said(body, Some(api));
        let kept = said.text.input.iter();
        let kept: Vec<_> = kept.map(|one| format!("{}: {}", one.role, one.text.expose())).collect();
        assert_eq!((kept.join("|").as_str(), said.max_output), (texts, most), "{body}");
    }
}

#[test]
fn where_the_path_names_the_model_the_body_has_the_shape() {
    for (api, body, fits) in [
        (Api::Converse, r#"{"messages":[]}"#, true),
        (Api::Converse, r#"{"prompt":"One"}"#, false),
        (Api::Invoke, r#"{"messages":[]}"#, true),
        (Api::Invoke, r#"{"inputText":"One"}"#, true),
        (Api::Invoke, r#"{"texts":["One"],"input_type":"search_query"}"#, true),
        (Api::Invoke, r#"{"function":"f"}"#, false),
        (Api::CountTokens, r#"{"input":{"converse":{}}}"#, true),
        (Api::CohereEmbed, r#"{"images":["a"],"input_type":"image"}"#, true),
        (Api::Rerank, r#"{"query":"One"}"#, true),
        (Api::Rerank, r#"{"documents":[]}"#, false),
    ] {
        assert_eq!(said(body, Some(api)).has_shape(api), fits, "{api:?}: {body}");
    }
}

#[test]
fn how_long_to_cache_is_known_of_a_whole_body_only() {
    for (body, ttl) in [
        (r#"{"messages":[]}"#, CacheTtl::FiveMinutes),
        (r#"{"messages":["#, CacheTtl::Unknown),
        (r#"{"system":[{"cachePoint":{"ttl":"1h"}}],"#, CacheTtl::OneHour),
        (r#"{"system":[{"cache_control":{"type":"ephemeral","ttl":"1h"}}]}"#, CacheTtl::OneHour),
    ] {
        let mut question = Question {
            decoder: Decoder::new(""),
            body: Body::Json(Scanner::only(keys(Some(Api::Converse)))),
            seal: None,
            step: Step::new(&FingerprintKey::new([1; 32])),
            said: Said::default(),
        };
        question.feed(body.as_bytes());
        assert_eq!(question.cache_ttl(), ttl, "{body}");
    }
}

#[test]
fn ollama_streams_unless_it_is_told_not_to() {
    for (body, ollama, other) in [
        ("{}", true, false),
        (r#"{"stream":false}"#, false, false),
        (r#"{"stream":true}"#, true, true),
    ] {
        let said = said(body, None);
        assert_eq!(said.asks_for_stream(Api::OllamaChat), ollama, "{body}");
        assert_eq!(said.asks_for_stream(Api::OllamaEmbed), other, "{body}");
        assert_eq!(said.asks_for_stream(Api::ChatCompletions), other, "{body}");
    }
}

#[test]
fn a_name_is_replaced_by_names_only() {
    let mut slot = None;
    for (text, name) in [
        ("", None),
        ("gpt-5", Some("gpt-5")),
        ("", Some("gpt-5")),
        ("bell\u{7}", Some("gpt-5")),
        ("gpt-5-2025-08-07", Some("gpt-5-2025-08-07")),
    ] {
        rename(&mut slot, text);
        assert_eq!(slot.as_deref(), name, "{text:?}");
    }
}
