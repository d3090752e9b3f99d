//! What a Kubernetes token claims: of which pod it is, and of which service account.
//!
//! The signature is not verified: that takes the cluster's keys, which no host need have. So what is
//! read here is a claim, and counts for no pod but the one that the cgroup names. A token from before
//! projected ones (a `Secret` of the service account) names no pod and so claims nothing here.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use weir_core::identity::Pod;
use zeroize::Zeroizing;

use super::super::kubelet::is_name;

/// Longest token that is read, in bytes. Real ones have about 1,000.
pub(super) const TOKEN_MAX: usize = 16 * 1024;

#[derive(Deserialize)]
struct Claims {
    #[serde(rename = "kubernetes.io")]
    kubernetes: Kubernetes,
}

#[derive(Deserialize)]
struct Kubernetes {
    namespace: String,
    pod: Object,
    serviceaccount: Object,
}

#[derive(Deserialize)]
struct Object {
    name: String,
    #[serde(default)]
    uid: String,
}

/// The pod that a token in the compact form of JWT claims to be of.
pub(super) fn claimed_by(token: &[u8]) -> Option<Pod> {
    if token.len() > TOKEN_MAX {
        return None;
    }
    let mut parts = token.trim_ascii().split(|&b| b == b'.');
    let (_header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    // Room for all of it from the start: a buffer that grows leaves unwiped copies behind.
    let mut decoded = Zeroizing::new(Vec::with_capacity(payload.len()));
    URL_SAFE_NO_PAD.decode_vec(payload, &mut decoded).ok()?;
    let Kubernetes { namespace, pod, serviceaccount } =
        serde_json::from_slice::<Claims>(&decoded).ok()?.kubernetes;
    let names = [&namespace, &pod.name, &serviceaccount.name, &pod.uid];
    names.iter().all(|name| is_name(name)).then_some(Pod {
        uid: pod.uid,
        name: Some(pod.name),
        namespace: Some(namespace),
        service_account: Some(serviceaccount.name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token(payload: &str) -> Vec<u8> {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload)).into_bytes()
    }

    #[test]
    fn a_projected_token_names_its_pod() {
        // As the API server issues them, shortened.
        let payload = r#"{"aud":["https://kubernetes.default.svc"],"exp":1,"iat":1,"iss":"https://kubernetes.default.svc",
            "kubernetes.io":{"namespace":"shop","node":{"name":"n1","uid":"u"},
            "pod":{"name":"web-0","uid":"2c48913c-b29f-11e7-9350-020968147796"},
            "serviceaccount":{"name":"bot","uid":"x"},"warnafter":1},
            "nbf":1,"sub":"system:serviceaccount:shop:bot"}"#;
        let pod = Pod {
            uid: "2c48913c-b29f-11e7-9350-020968147796".to_owned(),
            name: Some("web-0".to_owned()),
            namespace: Some("shop".to_owned()),
            service_account: Some("bot".to_owned()),
        };
        let mut token = token(payload);
        assert_eq!(claimed_by(&token), Some(pod.clone()));
        token.push(b'\n');
        assert_eq!(claimed_by(&token), Some(pod));
    }

    #[test]
    fn what_names_no_pod_claims_nothing() {
        for payload in [
            r#"{"kubernetes.io/serviceaccount/namespace":"shop",
                "kubernetes.io/serviceaccount/service-account.name":"bot",
                "sub":"system:serviceaccount:shop:bot"}"#,
            r#"{"kubernetes.io":{"namespace":"shop","serviceaccount":{"name":"bot","uid":"x"}}}"#,
            r#"{"kubernetes.io":{"namespace":"a/b","pod":{"name":"p","uid":"u"},"serviceaccount":{"name":"s"}}}"#,
            r#"{"kubernetes.io":{"namespace":"","pod":{"name":"p","uid":"u"},"serviceaccount":{"name":"s"}}}"#,
            r#"{"kubernetes.io":{"namespace":"n","pod":{"name":"p"},"serviceaccount":{"name":"s"}}}"#,
            r#"{"sub":"x"}"#,
            "[]",
            "",
        ] {
            assert_eq!(claimed_by(&token(payload)), None, "{payload}");
        }
        for raw in ["", ".", "..", "a.b.c", "a.b.c.d", "a.!.c", "a.e30=.c"] {
            assert_eq!(claimed_by(raw.as_bytes()), None, "{raw}");
        }
        assert_eq!(claimed_by(&[b'a'; TOKEN_MAX + 1]), None);
    }

    proptest! {
        #[test]
        fn no_token_breaks_it(raw in any::<Vec<u8>>(), payload in any::<String>()) {
            let _ = claimed_by(&raw);
            let _ = claimed_by(&token(&payload));
        }
    }
}
