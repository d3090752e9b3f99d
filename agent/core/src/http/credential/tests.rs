//! Every place and form of a credential, and that no secret gets out of any.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::*;
use crate::http::head::{Head, RequestHead};
use CredentialKind as K;
use CredentialPlace::{Header, Url};

const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260101/us-east-1/bedrock/\
                      aws4_request, SignedHeaders=host;x-amz-date, Signature=5ec2e7";

fn key() -> FingerprintKey {
    FingerprintKey::new([7; 32])
}

fn head(target: &str, fields: &str) -> RequestHead {
    let text = format!("POST {target} HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n");
    match Head::parse(text.as_bytes(), &key()) {
        Ok(Head::Request(head)) => head,
        other => panic!("{other:?}"),
    }
}

fn find(target: &str, fields: &str) -> Option<Credential> {
    head(target, fields).credential.map(|found| *found)
}

fn jwt(claims: &str) -> String {
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.c2lnbmF0dXJl", encode(r#"{"alg":"RS256"}"#), encode(claims))
}

/// A short-term key as the token generators of AWS make it.
fn bedrock_key(access_key: &str, signature: &str) -> String {
    let url = format!(
        "bedrock.amazonaws.com/?Action=CallWithBearerToken&X-Amz-Algorithm=AWS4-HMAC-SHA256&\
         X-Amz-Credential={access_key}%2F20260101%2Fus-east-1%2Fbedrock%2Faws4_request&\
         X-Amz-Expires=43200&X-Amz-Signature={signature}&Version=1"
    );
    format!("bedrock-api-key-{}", STANDARD.encode(url))
}

#[test]
fn each_form_is_told_from_the_others() {
    let (entra, bedrock) = (jwt("{}"), bedrock_key("ASIAIOSFODNN7EXAMPLE", "ab"));
    for (target, fields, kind, place) in [
        ("/", "Authorization: Bearer sk-proj-x".to_owned(), K::OpenaiKey, Header),
        ("/", "x-api-key: sk-ant-api03-x".to_owned(), K::AnthropicKey, Header),
        ("/", "Authorization: Bearer sk-ant-oat01-x".to_owned(), K::AnthropicOauth, Header),
        ("/", "x-api-key: k\r\napi-key: k".to_owned(), K::AzureApiKey, Header),
        ("/", "x-api-key: k".to_owned(), K::ApiKey, Header),
        ("/", format!("Authorization: Bearer {entra}"), K::Jwt, Header),
        ("/", format!("api-key: {entra}"), K::Jwt, Header),
        ("/", "x-goog-api-key: k".to_owned(), K::GoogleApiKey, Header),
        ("/m:generateContent?alt=sse&key=AIzaX", String::new(), K::GoogleApiKey, Url),
        ("/?access_token=auth_tokens%2Fx", String::new(), K::GoogleEphemeral, Url),
        ("/", "Authorization: Token auth_tokens/x".to_owned(), K::GoogleEphemeral, Header),
        ("/", "Authorization: Token x".to_owned(), K::Other, Header),
        ("/", "Authorization: Bearer ya29.x".to_owned(), K::GoogleOauth, Header),
        ("/", format!("Authorization: {SIGNED}"), K::AwsSigv4, Header),
        (
            "/?X-Amz-Credential=ASIAIOSFODNN7EXAMPLE%2F20260101%2Feu-west-1%2Fbedrock%2Faws4_request",
            String::new(),
            K::AwsSigv4,
            Url,
        ),
        ("/", format!("Authorization: Bearer {bedrock}"), K::BedrockApiKey, Header),
        ("/", "Authorization: Bearer ABSKx".to_owned(), K::BedrockApiKey, Header),
        ("/", "Authorization: bearer ghu_x".to_owned(), K::GithubToken, Header),
        ("/", "Authorization: Bearer tid=x;exp=1".to_owned(), K::CopilotToken, Header),
        ("/", "Authorization: Basic sk-x".to_owned(), K::Basic, Header),
        ("/", "Authorization: Bearer x".to_owned(), K::Bearer, Header),
        (
            "/v1/realtime?model=gpt-realtime",
            "Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.sk-x, openai-beta.v1"
                .to_owned(),
            K::OpenaiKey,
            Header,
        ),
    ] {
        let found = find(target, &fields).map(|found| (found.kind, found.place));
        assert_eq!(found, Some((kind, place)), "{target} {fields}");
    }
    for fields in ["Authorization: Bearer ", "Cookie: x", "x-api-key:", "Authorization:"] {
        assert_eq!(find("/?q=1&key=", fields), None, "{fields}");
    }
}

#[test]
fn one_credential_has_one_fingerprint_wherever_it_stands() {
    let print = |target: &str, fields: &str| find(target, fields).unwrap().fingerprint;
    let bedrock = bedrock_key("AKIAIOSFODNN7EXAMPLE", "ab");
    for (one, other) in [
        (
            ("/", "Authorization: Bearer sk-1"),
            ("/", "Sec-WebSocket-Protocol: openai-insecure-api-key.sk-1"),
        ),
        (("/", "x-goog-api-key: AIza1"), ("/?key=AIza1", "")),
        (("/", "x-goog-api-key: AIza1"), ("/", "Authorization: Bearer AIza1")),
        (("/", "api-key: k"), ("/", "x-api-key: k\r\napi-key: k")),
        (
            ("/", &format!("Authorization: {SIGNED}")),
            ("/", &format!("Authorization: Bearer {bedrock}")),
        ),
    ] {
        assert_eq!(print(one.0, one.1), print(other.0, other.1), "{one:?} {other:?}");
    }
    let of_token = Credential::of_bearer(b"sk-ant-oat01-1", &key());
    assert_eq!(of_token.fingerprint, print("/", "Authorization: Bearer sk-ant-oat01-1"));
    assert_ne!(print("/", "x-api-key: k"), print("/", "x-api-key: l"));
}

#[test]
fn ids_that_are_no_secrets_are_kept() {
    let entra = jwt(
        r#"{"iss":"https://sts.windows.net/t/","tid":"t","azp":"a","oid":"o","sub":"s","email":"e","aud":["x"]}"#,
    );
    for (target, fields, expected) in [
        (
            "/",
            "Authorization: Bearer sk-svcacct-x\r\nOpenAI-Organization: org-1\r\nOpenAI-Project: proj_1".to_owned(),
            vec![("key_class", "sk-svcacct"), ("openai_organization", "org-1"), ("openai_project", "proj_1")],
        ),
        (
            "/",
            "x-api-key: x\r\nanthropic-workspace-id: wrkspc_1".to_owned(),
            vec![("anthropic_workspace", "wrkspc_1")],
        ),
        (
            "/",
            "Authorization: Bearer x\r\nChatGPT-Account-Id: acc\r\nx-goog-user-project: p".to_owned(),
            vec![("chatgpt_account", "acc"), ("google_user_project", "p")],
        ),
        (
            "/",
            format!("Authorization: {SIGNED}"),
            vec![
                ("aws_access_key_id", "AKIAIOSFODNN7EXAMPLE"),
                ("aws_key_term", "long_term"),
                ("aws_region", "us-east-1"),
                ("aws_service", "bedrock"),
            ],
        ),
        (
            "/",
            format!("Authorization: Bearer {}", bedrock_key("ASIAIOSFODNN7EXAMPLE", "ab")),
            vec![
                ("aws_access_key_id", "ASIAIOSFODNN7EXAMPLE"),
                ("aws_key_term", "temporary"),
                ("aws_region", "us-east-1"),
                ("aws_service", "bedrock"),
            ],
        ),
        (
            "/",
            format!("Authorization: Bearer {entra}"),
            vec![
                ("claim_appid", "a"),
                ("claim_iss", "https://sts.windows.net/t/"),
                ("claim_oid", "o"),
                ("claim_sub", "s"),
                ("claim_tid", "t"),
            ],
        ),
        (
            "/v1/realtime?model=m",
            "Sec-WebSocket-Protocol: openai-insecure-api-key.x\r\nSec-WebSocket-Protocol: openai-organization.org-1".to_owned(),
            vec![("openai_organization", "org-1")],
        ),
        ("/", format!("x-api-key: x\r\nOpenAI-Project: {}", "p".repeat(MAX_ID + 1)), vec![]),
    ] {
        let ids = find(target, &fields).unwrap().ids;
        let ids: Vec<_> = ids.iter().map(|(name, id)| (*name, id.as_str())).collect();
        assert_eq!(ids, expected, "{fields}");
    }
}

#[test]
fn of_the_query_only_what_is_asked_for_is_kept() {
    let head =
        head("/v1/realtime?model=gpt%2Drealtime&api-version=2026-01-01&key=sekret#sekret", "");
    assert_eq!(head.query_model.as_deref(), Some("gpt-realtime"));
    assert_eq!(head.query_api_version.as_deref(), Some("2026-01-01"));
    assert_eq!(head.path, "/v1/realtime");
    assert!(!format!("{head:?}").contains("sekret"));
}

proptest! {
    /// Whatever the place and the prefix, a secret is not printed.
    #[test]
    fn no_secret_gets_out(secret in "[A-Za-z0-9]{20,60}", prefix in 0..kind::PREFIXES.len()) {
        let prefix = kind::PREFIXES[prefix].0;
        let encoded = STANDARD.encode(&secret);
        let bedrock = bedrock_key("AKIAIOSFODNN7EXAMPLE", &secret);
        let token = jwt("{}").replace("c2lnbmF0dXJl", &secret);
        let signed = SIGNED.replace("5ec2e7", &secret);
        let in_claims = jwt(&format!(r#"{{"jti":"{secret}","nonce":{{"sub":"{secret}"}}}}"#));
        let heads = [
            head("/", &format!("Authorization: {secret}")),
            head("/", &format!("Authorization: {prefix}{secret}")),
            head("/", &format!("Authorization: {secret} {secret}")),
            head("/", &format!("Authorization: Bearer {prefix}{secret}")),
            head("/", &format!("Authorization: Token {secret}\r\nx-api-key: {secret}")),
            head("/", &format!("Authorization: Basic {encoded}")),
            head("/", &format!("Authorization: {signed}\r\nX-Amz-Security-Token: {secret}")),
            head("/", &format!("Authorization: AWS4-HMAC-SHA256 Credential={secret}")),
            head("/", &format!("Authorization: Bearer {bedrock}")),
            head("/", &format!("Authorization: Bearer bedrock-api-key-{secret}")),
            head("/", &format!("Authorization: Bearer {token}")),
            head("/", &format!("Authorization: Bearer {in_claims}")),
            head("/", &format!("api-key: {secret}\r\nx-goog-api-key: {prefix}{secret}")),
            head("/", &format!("Cookie: {secret}\r\nMcp-Session-Id: {secret}\r\nX-Other: {secret}")),
            head("/", &format!("Sec-WebSocket-Protocol: openai-insecure-api-key.{prefix}{secret}")),
            head(&format!("/?key={prefix}{secret}&model=m"), ""),
            head(&format!("http://h/?alt=sse&access_token={secret}#{secret}"), ""),
            head(&format!("/?X-Amz-Credential={secret}&X-Amz-Signature={secret}&{secret}"), ""),
        ];
        for head in heads {
            let shown = format!("{head:?}");
            prop_assert!(!shown.contains(&secret) && !shown.contains(&encoded), "{}", shown);
        }
    }

    #[test]
    fn no_value_makes_it_panic(
        scheme in "(Bearer |Token |AWS4-HMAC-SHA256 Credential=|Basic |)",
        prefix in "(bedrock-api-key-|eyJ|sk-|AKIA|)",
        rest in "[ -~]{0,80}",
        target in "/[!-~]{0,60}",
    ) {
        let _ = find(&target, &format!("Authorization: {scheme}{prefix}{rest}"));
        let _ = Credential::of_bearer(rest.as_bytes(), &key());
        for query in [&rest, &target] {
            let _ = Query::new(query).credential(&key());
        }
    }
}
