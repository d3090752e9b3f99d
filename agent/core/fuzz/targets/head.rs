//! Heads and the credentials in them: everything that is kept is bounded and harmless to a terminal,
//! and no secret is shown.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_core::http::Credential;
use weir_core::http::head::Head;
use weir_core::secret::FingerprintKey;

/// Longest value of a field and longest id of a credential, as the room says.
const MAX_VALUE: usize = 1024;
const MAX_ID: usize = 256;

fn is_plain(text: &str, longest: usize) -> bool {
    text.len() <= longest && !text.chars().any(char::is_control)
}

fn check(credential: &Credential) {
    assert_eq!(credential.fingerprint.to_string().len(), 32);
    for id in credential.ids.values() {
        assert!(!id.is_empty() && is_plain(id, MAX_ID), "{id:?}");
    }
}

fuzz_target!(|data: &[u8]| {
    let key = FingerprintKey::new([7; 32]);
    match Head::parse(data, &key) {
        Ok(Head::Request(head)) => {
            assert!(is_plain(&head.path, MAX_VALUE));
            let texts = [&head.query_model, &head.query_api_version, &head.host];
            assert!(texts.into_iter().flatten().all(|text| is_plain(text, MAX_VALUE)));
            let hints = [&head.hints.trace_id, &head.hints.parent_id, &head.hints.user_agent];
            assert!(hints.into_iter().flatten().all(|text| is_plain(text, MAX_ID)));
            assert!(is_plain(&head.body.coding, MAX_VALUE));
            if let Some(credential) = &head.credential {
                check(credential);
            }
        }
        Ok(Head::Response(head)) => assert!(is_plain(&head.body.coding, MAX_VALUE)),
        Err(_) => {}
    }
    // The same bytes as the value of the field that holds most credentials.
    let head = [b"GET / HTTP/1.1\r\nAuthorization: ", data, b"\r\n\r\n"].concat();
    if let Ok(Head::Request(head)) = Head::parse(&head, &key)
        && let Some(credential) = &head.credential
    {
        check(credential);
    }
});
