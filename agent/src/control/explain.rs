//! What `weir identity explain` and `/v1/identity/explain` say of an identity by its name: the rule that
//! is about it, and its latest call.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use weir_core::identity::{Assigned, IdentityId, Namespace, Rule, Rules};
use weir_core::meter::UsageRecord;
use weir_core::units::Timestamp;

use crate::ledger::{CallsQuery, LedgerError, Reader};

/// How far back the latest call is looked for, in hours: the last hour first.
const LOOKS: [i64; 3] = [1, 24, 7 * 24];

/// The thread that knows was too busy to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the daemon is too busy to answer; ask again")]
pub struct Busy;

/// What is known of an identity by its name. Its JSON is a public contract: fields are added, never
/// changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedIdentity {
    /// Its full name.
    pub identity: IdentityId,
    /// The rule that gives the name, or else the one that its latest call came under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleView>,
    /// Its latest call of the last seven days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<Box<UsageRecord>>,
}

/// A rule as the configuration has it, with the same keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleView {
    /// The identity's name, if it gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What must be the case.
    #[serde(default, rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub all: Vec<String>,
    /// One of which the program must be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exe_sha256: Vec<String>,
    /// One of which the parent must be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parent: Vec<String>,
    /// One of which the call must be made with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credential: Vec<String>,
    /// What it assigns.
    #[serde(flatten)]
    pub assigned: Assigned,
    /// Models that it is meant to use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved_models: Vec<String>,
    /// Providers that it is meant to use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved_providers: Vec<String>,
    /// Credentials that others are meant to use, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared_credentials: Vec<String>,
}

impl From<&Rule> for RuleView {
    fn from(rule: &Rule) -> Self {
        fn said<T: ToString>(all: &[T]) -> Vec<String> {
            all.iter().map(ToString::to_string).collect()
        }
        // The configuration has the values alone.
        let values = |kind: &str, all: Vec<String>| -> Vec<String> {
            all.iter().map(|text| text.strip_prefix(kind).unwrap_or(text).to_owned()).collect()
        };
        let spec = rule.spec();
        Self {
            name: spec.name.clone(),
            all: said(&spec.all),
            exe_sha256: values("unix:sha256:", said(&spec.exe_sha256)),
            parent: values("parent:", said(&spec.parents)),
            credential: said(&spec.credentials),
            assigned: spec.assigned.clone(),
            approved_models: spec.approved_models.clone(),
            approved_providers: spec.approved_providers.clone(),
            shared_credentials: said(&spec.shared_credentials),
        }
    }
}

/// What is known of `name`: a rule's name, an identity in full, or one without what all identities of
/// this host begin with. With `uid`, of the calls of that user only. May read days of the log.
///
/// # Errors
/// If the log can't be read.
pub(super) fn named(
    name: &str,
    uid: Option<u32>,
    rules: &Rules,
    namespace: &Namespace,
    reader: &Reader,
) -> Result<NamedIdentity, LedgerError> {
    let full = in_full(name, namespace);
    let giver = rules.named(name, namespace).or_else(|| rules.named(&full, namespace));
    let given = giver.and_then(|rule| rules.identity(rule, namespace));
    let identity = given.unwrap_or(IdentityId(full));
    let latest = latest(&identity, uid, reader, Timestamp::now())?;
    let of_latest = || {
        let label = &latest.as_ref()?.workload.assigned.as_ref()?.rule;
        rules.iter().find(|rule| rule.label() == label)
    };
    let rule = giver.or_else(of_latest).map(RuleView::from);
    Ok(NamedIdentity { identity, rule, latest: latest.map(Box::new) })
}

/// An identity as reports shorten it, in full.
fn in_full(name: &str, namespace: &Namespace) -> String {
    let name = name.trim_start_matches('/');
    if name.starts_with("spiffe://") {
        return name.to_owned();
    }
    let is_of_all_hosts = ["workload/", "ns/", "host/"].iter().any(|kind| name.starts_with(kind));
    let front = if is_of_all_hosts { namespace.domain() } else { namespace.prefix() };
    format!("{front}/{name}")
}

fn latest(
    identity: &IdentityId,
    uid: Option<u32>,
    reader: &Reader,
    now: Timestamp,
) -> Result<Option<UsageRecord>, LedgerError> {
    for hours in LOOKS {
        let query = CallsQuery {
            since: Some(now.saturating_sub(SignedDuration::from_hours(hours)).unwrap_or(now)),
            identity: Some(identity.0.clone()),
            uid,
            ..CallsQuery::default()
        };
        let mut latest = None;
        for call in reader.calls(query)? {
            latest = Some(call?.record);
        }
        if latest.is_some() {
            return Ok(latest);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_reports_show() {
        let namespace = Namespace::new("weir.local", "web-1").unwrap();
        for (name, full) in [
            ("unit/bot.service", "spiffe://weir.local/host/web-1/unit/bot.service"),
            ("workload/bot", "spiffe://weir.local/workload/bot"),
            ("/ns/prod/sa/bot", "spiffe://weir.local/ns/prod/sa/bot"),
            ("host/web-2/user/ann", "spiffe://weir.local/host/web-2/user/ann"),
            ("spiffe://other/x", "spiffe://other/x"),
        ] {
            assert_eq!(in_full(name, &namespace), full);
        }
    }
}
