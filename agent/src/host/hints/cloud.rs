//! Which role of a cloud a process was told to take: names and ids in its environment, which are no
//! secrets. Everything else there is wiped unread; so is `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`, which is all
//! that it takes to get the role's credentials.

use std::collections::BTreeMap;

/// The variables that are kept, each with what its value may be.
const KEPT: [(&str, Form); 14] = [
    ("AWS_ROLE_ARN", Form::Name),
    ("AWS_ROLE_SESSION_NAME", Form::Name),
    ("AWS_PROFILE", Form::Name),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", Form::Path),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", Form::Address),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", Form::Path),
    ("GOOGLE_APPLICATION_CREDENTIALS", Form::Path),
    ("GOOGLE_CLOUD_PROJECT", Form::Name),
    ("CLOUDSDK_CORE_ACCOUNT", Form::Name),
    ("AZURE_CLIENT_ID", Form::Name),
    ("AZURE_TENANT_ID", Form::Name),
    ("AZURE_FEDERATED_TOKEN_FILE", Form::Path),
    ("IDENTITY_ENDPOINT", Form::Address),
    ("OCI_RESOURCE_PRINCIPAL_VERSION", Form::Name),
];
/// Longest value that is kept, in bytes. The longest ARN of a role has 2,048; real ones have 100.
const VALUE_MAX: usize = 512;

/// What a value may be. One of another form is not kept: it may be a secret that was put there by
/// mistake.
#[derive(Clone, Copy)]
enum Form {
    /// Letters, digits and `:/@+=,._-`.
    Name,
    /// An absolute path.
    Path,
    /// Of a URL, host and path.
    Address,
}

/// What an environment, as `/proc/PID/environ` has it, says of cloud roles. A variable that was cut at
/// the end is passed over, and of one that is there twice the first counts, as for `getenv`.
pub(super) fn roles_in(environment: &[u8]) -> BTreeMap<&'static str, String> {
    let mut roles = BTreeMap::new();
    let end = environment.iter().rposition(|&b| b == 0).unwrap_or(0);
    for variable in environment[..end].split(|&b| b == 0) {
        let known = KEPT.iter().find_map(|&(name, form)| {
            let value = variable.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            Some((name, form, value))
        });
        if let Some((name, form, value)) = known
            && let Some(value) = form.keep(value)
        {
            roles.entry(name).or_insert(value);
        }
    }
    roles
}

impl Form {
    fn keep(self, value: &[u8]) -> Option<String> {
        if !(1..=VALUE_MAX).contains(&value.len()) {
            return None;
        }
        let value = std::str::from_utf8(value).ok()?;
        let kept = match self {
            Self::Name => {
                let allowed = |b: u8| b.is_ascii_alphanumeric() || b":/@+=,._-".contains(&b);
                value.bytes().all(allowed).then_some(value)?
            }
            Self::Path => value.starts_with('/').then_some(value)?,
            Self::Address => {
                let rest = value.split_once("://").map_or(value, |(_scheme, rest)| rest);
                let rest = rest.split(['?', '#']).next()?;
                let authority = rest.find('/').unwrap_or(rest.len());
                let user = rest[..authority].rfind('@').map_or(0, |at| at + 1);
                &rest[user..]
            }
        };
        (!kept.is_empty() && !kept.contains(char::is_control)).then(|| kept.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(environment: &str, expected: &[(&'static str, &str)]) {
        let expected = expected.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        assert_eq!(roles_in(environment.as_bytes()), expected, "{environment:?}");
    }

    #[test]
    fn names_and_ids_are_kept() {
        let arn = "arn:aws:iam::123456789012:role/bot";
        check(&format!("PATH=/bin\0AWS_ROLE_ARN={arn}\0"), &[("AWS_ROLE_ARN", arn)]);
        check(
            "AZURE_CLIENT_ID=2c48913c-b29f\0AZURE_TENANT_ID=t\0",
            &[("AZURE_CLIENT_ID", "2c48913c-b29f"), ("AZURE_TENANT_ID", "t")],
        );
        check(
            "GOOGLE_APPLICATION_CREDENTIALS=/etc/sa.json\0",
            &[("GOOGLE_APPLICATION_CREDENTIALS", "/etc/sa.json")],
        );
        let address = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
        for (url, kept) in [
            ("http://169.254.170.23/v1/credentials", "169.254.170.23/v1/credentials"),
            ("http://u:p@h/v1?token=s#t", "h/v1"),
            ("http://h?token=s", "h"),
        ] {
            check(&format!("{address}={url}\0"), &[(address, kept)]);
        }
        check("AZURE_CLIENT_ID=a\0AZURE_CLIENT_ID=b\0", &[("AZURE_CLIENT_ID", "a")]);
    }

    #[test]
    fn nothing_else_is_kept() {
        for environment in [
            "",
            "\0\0",
            "AWS_SECRET_ACCESS_KEY=s\0AWS_SESSION_TOKEN=s\0AWS_ACCESS_KEY_ID=s\0",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/2c48913c\0",
            "OPENAI_API_KEY=sk-1\0AZURE_CLIENT_SECRET=s\0",
            "AZURE_CLIENT_ID_X=a\0XAZURE_CLIENT_ID=a\0",
            "AZURE_CLIENT_ID=\0AZURE_TENANT_ID\0",
            "AZURE_CLIENT_ID=cut",
            "GOOGLE_APPLICATION_CREDENTIALS={\"private_key\":\"s\"}\0",
            "AZURE_CLIENT_ID=a b\0",
            "AWS_ROLE_ARN=a\u{1b}[2J\0",
        ] {
            check(environment, &[]);
        }
        check(&format!("AZURE_CLIENT_ID={}\0", "a".repeat(VALUE_MAX + 1)), &[]);
    }

    proptest! {
        #[test]
        fn no_environment_breaks_it(
            values in prop::collection::vec(
                (prop::sample::select(KEPT.map(|(name, _)| name).to_vec()), any::<String>()), 0..5,
            ),
        ) {
            let text: String = values.iter().map(|(n, v)| format!("{n}={v}\0")).collect();
            for value in roles_in(text.as_bytes()).values() {
                prop_assert!((1..=VALUE_MAX).contains(&value.len()));
                prop_assert!(!value.contains(char::is_control));
            }
        }
    }
}
