//! Whole exchanges, and broken ones.

use proptest::prelude::*;

use super::*;
use crate::http::head::Head;
use crate::secret::FingerprintKey;

/// `{"alg":"none"}`, `{"iss":"https://token.example","sub":"repo:weir"}`.
const JWT: &str =
    "eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL3Rva2VuLmV4YW1wbGUiLCJzdWIiOiJyZXBvOndlaXIifQ.x";

fn begin(target: &str, host: &str) -> Option<TokenExchange> {
    let head = format!("POST {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    match Head::parse(head.as_bytes(), &FingerprintKey::new([0; 32])) {
        Ok(Head::Request(head)) => TokenExchange::of(&head),
        other => panic!("{other:?}"),
    }
}

fn answer(exchange: &mut TokenExchange, status: u16) {
    let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n\r\n");
    match Head::parse(head.as_bytes(), &FingerprintKey::new([0; 32])) {
        Ok(Head::Response(head)) => exchange.response(&head),
        other => panic!("{other:?}"),
    }
}

/// What comes of a request in these parts and of its answer.
fn run(request: &[&[u8]], status: u16, response: &[&[u8]]) -> Option<IssuedToken> {
    let mut exchange = begin("/oauth/token", "auth.openai.com").unwrap();
    request.iter().for_each(|part| exchange.feed(Side::Request, part));
    exchange.request_ended(Ending::Whole);
    answer(&mut exchange, status);
    response.iter().for_each(|part| exchange.feed(Side::Response, part));
    exchange.finish()
}

fn json() -> String {
    format!(
        r#"{{"grant_type":"urn:ietf:params:oauth:grant-type:token-exchange","service_account_id":"sa_1","identity_provider_id":"idp_1","subject_token":"{JWT}"}}"#
    )
}

fn form() -> String {
    format!(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&service_account_id=sa_1\
         &identity_provider_id=idp_1&subject_token={JWT}"
    )
}

const ISSUED: &str = r#"{"access_token":"tok","token_type":"Bearer","expires_in":600}"#;

#[test]
fn json_and_form_say_the_same() {
    for request in [json(), form()] {
        let issued = run(&[request.as_bytes()], 200, &[ISSUED.as_bytes()]).unwrap();
        let ids: Vec<(&str, &str)> = issued.ids.iter().map(|(n, id)| (*n, id.as_str())).collect();
        let expected = [
            ("claim_subject_iss", "https://token.example"),
            ("claim_subject_sub", "repo:weir"),
            ("openai_identity_provider", "idp_1"),
            ("openai_service_account", "sa_1"),
        ];
        assert_eq!(ids, expected);
        assert_eq!((issued.token.expose(), issued.expires_in), ("tok", Some(600)));
        assert!(!format!("{issued:?}").contains("tok\""));
    }
}

#[test]
fn only_the_issuers_are_believed_to_issue() {
    for (target, host, is_one) in [
        ("/oauth/token", "auth.openai.com", true),
        ("/oauth/token", "AUTH.openai.com:443", true),
        ("/oauth/token?x=1", "auth.openai.com", true),
        ("/v1/oauth/token", "api.anthropic.com", true),
        ("/oauth/token", "auth.openai.com.evil.example", false),
        ("/oauth/token", "auth.openai.com:8443", false),
        ("/oauth/authorize", "auth.openai.com", false),
        ("/oauth/token", "api.anthropic.com", false),
    ] {
        assert_eq!(begin(target, host).is_some(), is_one, "{target} {host}");
    }
}

#[test]
fn what_is_not_whole_and_plain_issues_nothing() {
    let twice = json().replace("{\"grant", "{\"service_account_id\":\"sa_2\",\"grant");
    let refresh = json().replace("token-exchange", "refresh_token");
    let long = format!("{}{}", " ".repeat(MAX_BODY), json());
    let cut = &json()[..json().len() - 1];
    for (request, status, response) in [
        (twice.as_str(), 200, ISSUED),
        (&refresh, 200, ISSUED),
        (&long, 200, ISSUED),
        (cut, 200, ISSUED),
        ("", 200, ISSUED),
        (&json(), 400, ISSUED),
        (&json(), 200, r#"{"access_token":"a","access_token":"b"}"#),
        (&json(), 200, r#"{"access_token":""}"#),
        (&json(), 200, r#"{"access_token":"a""#),
        (&json(), 200, r#"{"access_token":{"a":"b"}}"#),
    ] {
        let issued = run(&[request.as_bytes()], status, &[response.as_bytes()]);
        assert!(issued.is_none(), "{request} {status} {response}");
    }
}

#[test]
fn a_loss_issues_nothing() {
    for ending in [Ending::Closed, Ending::Lost, Ending::Whole] {
        let mut exchange = begin("/oauth/token", "auth.openai.com").unwrap();
        exchange.feed(Side::Request, form().as_bytes());
        exchange.request_ended(ending);
        answer(&mut exchange, 200);
        if ending == Ending::Whole {
            exchange.lose();
        }
        exchange.feed(Side::Response, ISSUED.as_bytes());
        assert!(exchange.finish().is_none(), "{ending:?}");
    }
}

proptest! {
    #[test]
    fn any_split_gives_the_same(
        is_json: bool,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let request = if is_json { json() } else { form() };
        let parts = |text: &'static str| text.as_bytes().chunks(1).collect::<Vec<_>>();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(request.len() + 1)).collect();
        cuts.extend([0, request.len()]);
        cuts.sort_unstable();
        let cut: Vec<&[u8]> =
            cuts.windows(2).map(|pair| &request.as_bytes()[pair[0]..pair[1]]).collect();
        let issued = run(&cut, 200, &parts(ISSUED)).unwrap();
        prop_assert_eq!(issued.ids, run(&[request.as_bytes()], 200, &[ISSUED.as_bytes()]).unwrap().ids);
    }

    #[test]
    fn no_bytes_make_it_panic(
        request in prop::collection::vec(any::<u8>(), 0..100),
        response in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        run(&[&request], 200, &[&response]);
    }
}
