//! `--since` and `--until`.

use weir_core::units::Timestamp;

use crate::control::when;

/// Reads a time as people write it. "Now" is when the command line was read.
pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    when::parse(text, Timestamp::now()).map_err(|error| error.to_string())
}

/// The path and query of a request; parameters without a value are left out.
pub(super) fn target(path: &str, parameters: &[(&str, Option<String>)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    format!("{path}?{}", query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_encoded() {
        let identity = Some("spiffe://a/host/b&follow=true".to_owned());
        assert_eq!(
            target("/v1/calls", &[("since", None), ("identity", identity)]),
            "/v1/calls?identity=spiffe%3A%2F%2Fa%2Fhost%2Fb%26follow%3Dtrue"
        );
    }
}
